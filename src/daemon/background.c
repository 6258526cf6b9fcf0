#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"

/*
 * The first process: waits for the code, or for the end of the pipe when the daemon died without a
 * word.
 */
static void
wait_until_ready(int fd)
{
	ssize_t n;
	char byte;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	_exit(n == 1 ? byte : EX_SOFTWARE);
}

int
background_enter(struct background *b)
{
	int fds[2];
	pid_t pid;

	b->pipe = -1;
	b->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (b->null < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		close(b->null);
		return -1;
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid > 0) {
		close(fds[1]);
		wait_until_ready(fds[0]);
	}
	if (pid == 0) {
		close(fds[0]);
		if (setsid() < 0)
			_exit(EX_OSERR);
		pid = fork();
		if (pid == 0) {
			b->pipe = fds[1];
			return 0;
		}
		_exit(pid > 0 ? 0 : EX_OSERR);
	}
	close(fds[0]);
	close(fds[1]);
	close(b->null);
	return -1;
}

void
background_tell(struct background *b, int code)
{
	char byte = (char)code;

	while (write(b->pipe, &byte, 1) < 0 && errno == EINTR)
		continue;
	close(b->pipe);
	close(b->null);
}

void
background_detach(const struct background *b)
{
	dup2(b->null, STDIN_FILENO);
	dup2(b->null, STDOUT_FILENO);
	dup2(b->null, STDERR_FILENO);
	if (chdir("/") != 0)
		errno = 0; /* then it keeps a directory busy: no harm */
}

/*
 * Root writes it, and its directory may be another user's, who could lead us to any file by a link,
 * or make us wait at a FIFO for ever: neither is opened. -1 with errno.
 */
static int
pid_file_open(const char *path)
{
	int fd =
	    open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	struct stat st;
	int err;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		err = EINVAL;
	else if (st.st_nlink != 1)
		err = EMLINK;
	else
		err = ftruncate(fd, 0) == 0 ? 0 : errno;
	if (err == 0)
		return fd;
	close(fd);
	errno = err;
	return -1;
}

/* The directory's, and the last component as it is; the caller's, or NULL with errno. */
static char *
absolute_path(const char *path)
{
	const char *slash = strrchr(path, '/'), *leaf = slash != NULL ? slash + 1 : path;
	char *dir = slash == NULL ? strdup(".") : strndup(path, (size_t)(leaf - path));
	char *real = dir != NULL ? realpath(dir, NULL) : NULL;
	char *absolute = NULL;

	if (real != NULL &&
	    asprintf(&absolute, "%s%s%s", real, strcmp(real, "/") == 0 ? "" : "/", leaf) < 0)
		absolute = NULL;
	free(real);
	free(dir);
	return absolute;
}

int
pid_file_write(const char *path, char **absolute)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	int fd = pid_file_open(path);

	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)len) != len) {
		close(fd);
		return -1;
	}
	if (close(fd) != 0)
		return -1;
	*absolute = absolute_path(path); /* the working directory will be another one */
	return *absolute != NULL ? 0 : -1;
}

void
pid_file_remove(char *absolute)
{
	if (absolute == NULL)
		return;
	if (unlink(absolute) != 0 && errno != ENOENT)
		log_warn("pid_file %s stays behind: %s", absolute, ftx_errno_text(errno));
	free(absolute);
}
