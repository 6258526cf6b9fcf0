/*
 * The calls that make files and change what is in them. What fails changes nothing and is not
 * written down; of a write it is the part that was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#endif

#include "torture/record.h"

int __real_close(int fd);

static void
saw_number(const char *op, int fd, const char *key, long long number)
{
	struct stat st;

	if (!record_is_file(fd, &st))
		return;
	record_begin(op);
	record_inode("inode", &st);
	record_number(key, number);
	record_end();
}

/* What openat() and its kin are to do is known before, what they did only after. */
static bool
was_there(int dir, const char *path, int flags)
{
	struct stat st;

	return (flags & O_CREAT) == 0 || fstatat(dir, path, &st, 0) == 0;
}

static int
saw_open(int fd, int dir, const char *path, int flags, bool there)
{
	int err = errno;
	struct stat st;

	if (fd >= 0 && record_is_file(fd, &st)) {
		if ((flags & O_TMPFILE) == O_TMPFILE)
			record_create(&st, dir, NULL);
		else if (!there)
			record_create(&st, dir, path);
		else if ((flags & O_TRUNC) != 0)
			saw_number("truncate", fd, "size", 0);
	}
	errno = err;
	return fd;
}

static mode_t
mode_argument(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

WRAPPED(int, openat, int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;
	bool there;
	int fd;

	va_start(ap, flags);
	mode = mode_argument(flags, ap);
	va_end(ap);
	if ((flags & O_TMPFILE) == O_TMPFILE && record_fails("tmpfile"))
		return errno = EOPNOTSUPP, -1;
	record_lock();
	there = was_there(dir, path, flags);
	fd = saw_open(__real_openat(dir, path, flags, mode), dir, path, flags, there);
	record_unlock();
	return fd;
}

WRAPPED(int, open, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_argument(flags, ap);
	va_end(ap);
	return __wrap_openat(AT_FDCWD, path, flags, mode);
}

/* What the two become with _FORTIFY_SOURCE where the flags are no constant; they create nothing. */
WRAPPED(int, __openat_2, int dir, const char *path, int flags)
{
	return __wrap_openat(dir, path, flags);
}

WRAPPED(int, __open_2, const char *path, int flags)
{
	return __wrap_openat(AT_FDCWD, path, flags);
}

/* Of the calls that have no function of their own, those that change no file. */
static bool
changes_nothing(long number)
{
	static const long harmless[] = {
		SYS_capget,
		SYS_capset,
#ifdef SYS_landlock_create_ruleset
		SYS_landlock_create_ruleset,
		SYS_landlock_add_rule,
		SYS_landlock_restrict_self,
#endif
	};

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (harmless[i] == number)
			return true;
	}
	return false;
}

/* Of openat2() we know what it does; of the rest it is for the checker to complain. */
WRAPPED(long, syscall, long number, ...)
{
	long arg[6], result;
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
#ifdef SYS_openat2
	if (number == SYS_openat2 && record_fails("openat2"))
		return errno = ENOSYS, -1;
#endif
	record_lock();
#ifdef SYS_openat2
	if (number == SYS_openat2) {
		const struct open_how *how = (const struct open_how *)arg[2];
		const char *path = (const char *)arg[1];
		bool there = was_there((int)arg[0], path, (int)how->flags);

		result = __real_syscall(number, arg[0], arg[1], arg[2], arg[3]);
		saw_open((int)result, (int)arg[0], path, (int)how->flags, there);
		record_unlock();
		return result;
	}
#endif
	result = __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (!changes_nothing(number)) {
		record_begin("syscall");
		record_number("number", number);
		record_end();
	}
	record_unlock();
	return result;
}

static void
saw_write(int fd, off_t offset, const struct iovec *iov, ssize_t len)
{
	int err = errno;
	struct stat st;

	if (len > 0 && record_is_file(fd, &st)) {
		record_begin("write");
		record_inode("inode", &st);
		record_number("offset", offset);
		record_data("data", iov, (size_t)len);
		record_end();
	}
	errno = err;
}

/* Where a write without an offset goes. */
static off_t
position(int fd)
{
	struct stat st;

	if (!record_is_file(fd, &st))
		return 0;
	return (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
}

WRAPPED(ssize_t, pwritev, int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t n;

	record_lock();
	n = __real_pwritev(fd, iov, count, offset);
	saw_write(fd, offset, iov, n);
	record_unlock();
	return n;
}

WRAPPED(ssize_t, pwrite, int fd, const void *buf, size_t len, off_t offset)
{
	struct iovec iov = { .iov_len = len };

	memcpy(&iov.iov_base, &buf, sizeof(buf)); /* it is not written to */
	return __wrap_pwritev(fd, &iov, 1, offset);
}

WRAPPED(ssize_t, writev, int fd, const struct iovec *iov, int count)
{
	struct stat st;
	off_t offset;
	ssize_t n;

	if (!record_is_file(fd, &st))
		return __real_writev(fd, iov, count); /* it may block */
	record_lock();
	offset = position(fd);
	n = __real_writev(fd, iov, count);
	saw_write(fd, offset, iov, n);
	record_unlock();
	return n;
}

WRAPPED(ssize_t, write, int fd, const void *buf, size_t len)
{
	struct iovec iov = { .iov_len = len };

	memcpy(&iov.iov_base, &buf, sizeof(buf));
	return __wrap_writev(fd, &iov, 1);
}

/* What the kernel moved by itself is read again from where it went. */
static void
saw_move(int fd, off_t offset, ssize_t len)
{
	struct iovec iov;
	char path[64];
	int again, err = errno;

	if (len <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = __real_open(path, O_RDONLY | O_CLOEXEC);
	iov.iov_len = (size_t)len;
	iov.iov_base = malloc((size_t)len);
	if (again < 0 || iov.iov_base == NULL ||
	    pread(again, iov.iov_base, iov.iov_len, offset) != len)
		abort();
	saw_write(fd, offset, &iov, len);
	free(iov.iov_base);
	__real_close(again);
	errno = err;
}

WRAPPED(
    ssize_t, splice, int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags)
{
	struct stat st;
	off_t offset;
	ssize_t n;

	if (!record_is_file(out, &st))
		return __real_splice(in, in_off, out, out_off, len, flags);
	record_lock();
	offset = out_off != NULL ? *out_off : position(out);
	n = __real_splice(in, in_off, out, out_off, len, flags);
	saw_move(out, offset, n);
	record_unlock();
	return n;
}

WRAPPED(ssize_t, copy_file_range, int in, off64_t *in_off, int out, off64_t *out_off, size_t len,
    unsigned flags)
{
	off_t offset;
	ssize_t n;

	record_lock();
	offset = out_off != NULL ? *out_off : position(out);
	n = __real_copy_file_range(in, in_off, out, out_off, len, flags);
	saw_move(out, offset, n);
	record_unlock();
	return n;
}

WRAPPED(ssize_t, sendfile, int out, int in, off_t *in_off, size_t len)
{
	struct stat st;
	off_t offset;
	ssize_t n;

	if (!record_is_file(out, &st))
		return __real_sendfile(out, in, in_off, len);
	record_lock();
	offset = position(out);
	n = __real_sendfile(out, in, in_off, len);
	saw_move(out, offset, n);
	record_unlock();
	return n;
}

WRAPPED(int, fallocate, int fd, int mode, off_t offset, off_t len)
{
	int result;

	if (record_fails("fallocate"))
		return errno = EOPNOTSUPP, -1;
	record_lock();
	result = __real_fallocate(fd, mode, offset, len);
	/* Room alone is no change that one could see; the store makes no holes and the like. */
	if (result == 0 && mode == 0)
		saw_number("grow", fd, "size", offset + len);
	else if (result == 0 && mode != FALLOC_FL_KEEP_SIZE)
		abort();
	record_unlock();
	return result;
}

WRAPPED(int, ftruncate, int fd, off_t size)
{
	int result;

	record_lock();
	result = __real_ftruncate(fd, size);
	if (result == 0)
		saw_number("truncate", fd, "size", size);
	record_unlock();
	return result;
}

WRAPPED(int, fchmod, int fd, mode_t mode)
{
	int result;

	record_lock();
	result = __real_fchmod(fd, mode);
	if (result == 0)
		saw_number("chmod", fd, "mode", mode);
	record_unlock();
	return result;
}
