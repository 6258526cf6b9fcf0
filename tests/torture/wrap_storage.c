/*
 * wrap_storage.c - the calls that change files and directories.
 *
 * Names that end in _2 are those of openat(2) and open(2) in a build with _FORTIFY_SOURCE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture/torture.h"

/* clang-format off */
TORTURE_WRAP(int, fchmod, TORTURE_STORAGE, (int fd, mode_t mode), (fd, mode))
TORTURE_WRAP(int, flock, TORTURE_STORAGE, (int fd, int how), (fd, how))
TORTURE_WRAP(int, fsetxattr, TORTURE_STORAGE,
    (int fd, const char *name, const void *value, size_t len, int flags), (fd, name, value, len, flags))
TORTURE_WRAP(int, ftruncate, TORTURE_STORAGE, (int fd, off_t size), (fd, size))
TORTURE_WRAP(int, futimens, TORTURE_STORAGE, (int fd, const struct timespec times[2]), (fd, times))
TORTURE_WRAP(int, mkdirat, TORTURE_STORAGE, (int dir, const char *path, mode_t mode), (dir, path, mode))
TORTURE_WRAP(int, renameat, TORTURE_STORAGE,
    (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
TORTURE_WRAP(int, sync_file_range, TORTURE_STORAGE,
    (int fd, off_t from, off_t len, unsigned flags), (fd, from, len, flags))
TORTURE_WRAP(int, unlink, TORTURE_STORAGE, (const char *path), (path))
TORTURE_WRAP(int, unlinkat, TORTURE_STORAGE, (int dir, const char *path, int flags), (dir, path, flags))
/* clang-format on */

/* The real calls' names; each has a wrapper below. */
extern int __real_close(int fd);
extern int __wrap_close(int fd);
extern int __real_fstat(int fd, struct stat *st);
extern int __real_fsync(int fd);
extern int __wrap_fsync(int fd);
extern int __real_open(const char *path, int flags, ...);
extern int __wrap_open(const char *path, int flags, ...);
extern int __wrap___open_2(const char *path, int flags);
extern int __real_openat(int dir, const char *path, int flags, ...);
extern int __wrap_openat(int dir, const char *path, int flags, ...);
extern int __wrap___openat_2(int dir, const char *path, int flags);
extern long __real_syscall(long number, ...);
extern long __wrap_syscall(long number, ...);
extern int __real_fallocate(int fd, int mode, off_t offset, off_t len);
extern int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
extern int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
extern int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
extern int __real_renameat2(
    int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
extern int __wrap_renameat2(
    int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
extern ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t offset);
extern ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset);
extern ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
extern ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
extern ssize_t __real_writev(int fd, const struct iovec *iov, int count);
extern ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);

/* Whatever it says, the descriptor is gone (close(2)). */
int
__wrap_close(int fd)
{
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "close", TORTURE_STORAGE))
		ret = __real_close(fd);
	else {
		int err = errno;

		(void)__real_close(fd);
		errno = err;
	}
	torture_leave(&step);
	return ret;
}

/* What a failed one means for the content is more than what it means for a name. */
int
__wrap_fsync(int fd)
{
	struct torture_step step;
	struct stat st;
	bool of_dir = __real_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	int ret = -1;

	if (!of_dir)
		torture_hold();
	if (torture_enter(&step, of_dir ? "fsync-dir" : "fsync", TORTURE_STORAGE))
		ret = __real_fsync(fd);
	torture_leave(&step);
	return ret;
}

TORTURE_WRAP(int, syncfs, TORTURE_STORAGE, (int fd), (fd))

static int
step_openat(const char *call, int dir, const char *path, int flags, mode_t mode)
{
	struct torture_step step;
	int fd = -1;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		call = "tmpfile";
	if (torture_enter(&step, call, TORTURE_STORAGE) &&
	    ((flags & O_TMPFILE) != O_TMPFILE || !torture_lacks(TORTURE_NO_TMPFILE, EOPNOTSUPP)))
		fd = __real_openat(dir, path, flags, mode);
	torture_leave(&step);
	return fd;
}

static mode_t
mode_argument(int flags, va_list ap)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

/* The root directory is opened for a sanitizer alone, which cannot report without it. */
int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	if (strcmp(path, "/") == 0)
		return __real_open(path, flags);

	va_start(ap, flags);
	mode = mode_argument(flags, ap);
	va_end(ap);
	return step_openat("open", AT_FDCWD, path, flags, mode);
}

int
__wrap___open_2(const char *path, int flags)
{
	return step_openat("open", AT_FDCWD, path, flags, 0);
}

int
__wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_argument(flags, ap);
	va_end(ap);
	return step_openat("openat", dir, path, flags, mode);
}

int
__wrap___openat_2(int dir, const char *path, int flags)
{
	return step_openat("openat", dir, path, flags, 0);
}

/* syscall(2) is how openat2(2) is called. Nothing has more than six arguments. */
long
__wrap_syscall(long number, ...)
{
	struct torture_step step;
	const char *call = "syscall";
	bool lacking = false;
	long a[6], ret = -1;
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
#ifdef SYS_openat2
	if (number == SYS_openat2) {
		call = "openat2";
		lacking = torture_lacks(TORTURE_NO_OPENAT2, ENOSYS);
	}
#endif
	if (torture_enter(&step, call, TORTURE_STORAGE) && !lacking)
		ret = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	torture_leave(&step);
	return ret;
}

int
__wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "fallocate", TORTURE_STORAGE) &&
	    !torture_lacks(TORTURE_NO_FALLOCATE, EOPNOTSUPP))
		ret = __real_fallocate(fd, mode, offset, len);
	torture_leave(&step);
	return ret;
}

int
__wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	bool unnamed = (flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0;
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "linkat", TORTURE_STORAGE) &&
	    (!unnamed || !torture_lacks(TORTURE_NO_LINK_UNNAMED, EPERM)))
		ret = __real_linkat(from_dir, from, to_dir, to, flags);
	torture_leave(&step);
	return ret;
}

int
__wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "renameat2", TORTURE_STORAGE) &&
	    !torture_lacks(TORTURE_NO_RENAMEAT2, EINVAL))
		ret = __real_renameat2(from_dir, from, to_dir, to, flags);
	torture_leave(&step);
	return ret;
}

ssize_t
__wrap_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct torture_step step;
	ssize_t ret = -1;

	if (torture_enter(&step, "pwrite", TORTURE_STORAGE))
		ret = __real_pwrite(fd, buf, len, offset);
	else if (torture_is_short(&step))
		ret = __real_pwrite(fd, buf, (len + 1) / 2, offset);
	torture_leave(&step);
	return ret;
}

ssize_t
__wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	struct torture_step step;
	ssize_t ret = -1;

	if (torture_enter(&step, "pwritev", TORTURE_STORAGE))
		ret = __real_pwritev(fd, iov, count, offset);
	else if (torture_is_short(&step))
		ret = __real_pwrite(fd, iov[0].iov_base, (iov[0].iov_len + 1) / 2, offset);
	torture_leave(&step);
	return ret;
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int count)
{
	struct torture_step step;
	ssize_t ret = -1;

	if (torture_enter(&step, "writev", TORTURE_STORAGE))
		ret = __real_writev(fd, iov, count);
	else if (torture_is_short(&step)) {
		struct iovec half = { iov[0].iov_base, (iov[0].iov_len + 1) / 2 };

		ret = __real_writev(fd, &half, 1);
	}
	torture_leave(&step);
	return ret;
}
