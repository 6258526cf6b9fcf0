#include "daemon/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"

/*
 * An old one is removed and not written to: it may be another user's. What is no file, say
 * /dev/null or a link, and what has another name as well, stays: not to be ours, and an error when
 * the new one is made.
 */
static int
remove_old(const char *path)
{
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -1;
	return S_ISREG(st.st_mode) && st.st_nlink == 1 ? unlink(path) : 0;
}

static int
write_number(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	ssize_t n = write(fd, text, (size_t)len);

	if (n >= 0 && n < len)
		errno = ENOSPC;
	return n == len ? 0 : -1;
}

static int
write_new(struct pid_file *f, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644), err;

	if (fd < 0)
		return -1;
	if (write_number(fd) == 0)
		f->path = realpath(path, NULL); /* the working directory will be another one */
	f->fd = fd;
	if (f->path != NULL)
		return 0;
	err = errno;
	(void)unlink(path);
	close(fd);
	errno = err;
	return -1;
}

int
pid_file_write(struct pid_file *f, const char *path)
{
	f->path = NULL;
	if (remove_old(path) == 0 && write_new(f, path) == 0)
		return 0;
	log_error("pid_file %s: %s", path,
	    errno == EEXIST ? "what is there is no regular file of one name, and stays"
			    : ftx_errno_text(errno));
	return -1;
}

/* While it is open, no other file can have its number. */
static bool
is_ours(const struct pid_file *f, const struct stat *named)
{
	struct stat opened;

	return fstat(f->fd, &opened) == 0 && opened.st_dev == named->st_dev &&
	       opened.st_ino == named->st_ino;
}

void
pid_file_remove(struct pid_file *f)
{
	struct stat st;
	int result;

	if (f->path == NULL)
		return;
	result = fstatat(AT_FDCWD, f->path, &st, AT_SYMLINK_NOFOLLOW);
	if (result == 0 && !is_ours(f, &st))
		log_warn("pid_file %s is not this daemon's any more, and stays", f->path);
	else if ((result != 0 || unlink(f->path) != 0) && errno != ENOENT) {
		log_warn("pid_file %s stays behind: %s", f->path, ftx_errno_text(errno));
		/* The number will be another process's. */
		if (ftruncate(f->fd, 0) != 0)
			log_debug("nor can it be emptied: %s", ftx_errno_text(errno));
	}
	close(f->fd);
	free(f->path);
	f->path = NULL;
}
