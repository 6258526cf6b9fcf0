#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

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
