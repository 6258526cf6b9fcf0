/*
 * wrap_other.c - memory, sockets, threads, and the calls that only look at files.
 *
 * realpath(3), asprintf(3), strdup(3) and strndup(3) allocate inside the C library: each counts as
 * an allocation.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "torture/torture.h"

/* clang-format off */
TORTURE_WRAP(int, accept4, TORTURE_OTHER,
    (int fd, struct sockaddr *sa, socklen_t *len, int flags), (fd, sa, len, flags))
TORTURE_WRAP(int, access, TORTURE_OTHER, (const char *path, int mode), (path, mode))
TORTURE_WRAP(int, bind, TORTURE_OTHER, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
TORTURE_WRAP(int, chdir, TORTURE_OTHER, (const char *path), (path))
TORTURE_WRAP(int, connect, TORTURE_OTHER, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
TORTURE_WRAP(int, dup2, TORTURE_OTHER, (int fd, int to), (fd, to))
TORTURE_WRAP(ssize_t, fgetxattr, TORTURE_OTHER,
    (int fd, const char *name, void *value, size_t len), (fd, name, value, len))
TORTURE_WRAP(pid_t, fork, TORTURE_OTHER, (void), ())
TORTURE_WRAP(int, fstat, TORTURE_OTHER, (int fd, struct stat *st), (fd, st))
TORTURE_WRAP(int, fstatat, TORTURE_OTHER,
    (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
TORTURE_WRAP(int, fstatvfs, TORTURE_OTHER, (int fd, struct statvfs *st), (fd, st))
TORTURE_WRAP(ssize_t, getrandom, TORTURE_OTHER, (void *buf, size_t len, unsigned flags), (buf, len, flags))
TORTURE_WRAP(int, getrlimit, TORTURE_OTHER,
    (int what, struct rlimit *rl), (what, rl))
TORTURE_WRAP(int, getsockname, TORTURE_OTHER, (int fd, struct sockaddr *sa, socklen_t *len), (fd, sa, len))
TORTURE_WRAP(int, getsockopt, TORTURE_OTHER,
    (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len))
TORTURE_WRAP(int, listen, TORTURE_OTHER, (int fd, int backlog), (fd, backlog))
TORTURE_WRAP(int, pipe2, TORTURE_OTHER, (int fds[2], int flags), (fds, flags))
TORTURE_WRAP(int, poll, TORTURE_OTHER, (struct pollfd *fds, nfds_t count, int ms), (fds, count, ms))
TORTURE_WRAP(ssize_t, pread, TORTURE_OTHER, (int fd, void *buf, size_t len, off_t at), (fd, buf, len, at))
TORTURE_WRAP(ssize_t, preadv, TORTURE_OTHER,
    (int fd, const struct iovec *iov, int count, off_t at), (fd, iov, count, at))
TORTURE_WRAP(ssize_t, preadv2, TORTURE_OTHER,
    (int fd, const struct iovec *iov, int count, off_t at, int flags), (fd, iov, count, at, flags))
TORTURE_WRAP(ssize_t, readlinkat, TORTURE_OTHER,
    (int dir, const char *path, char *buf, size_t len), (dir, path, buf, len))
TORTURE_WRAP(ssize_t, recv, TORTURE_OTHER, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))
TORTURE_WRAP(ssize_t, send, TORTURE_OTHER,
    (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags))
TORTURE_WRAP(ssize_t, sendfile, TORTURE_OTHER, (int out, int in, off_t *at, size_t len), (out, in, at, len))
TORTURE_WRAP(int, setrlimit, TORTURE_OTHER,
    (int what, const struct rlimit *rl), (what, rl))
TORTURE_WRAP(int, setsockopt, TORTURE_OTHER,
    (int fd, int level, int name, const void *value, socklen_t len), (fd, level, name, value, len))
TORTURE_WRAP(int, signalfd, TORTURE_OTHER, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
TORTURE_WRAP(int, shutdown, TORTURE_OTHER, (int fd, int how), (fd, how))
TORTURE_WRAP(int, socket, TORTURE_OTHER, (int family, int type, int protocol), (family, type, protocol))
TORTURE_WRAP(ssize_t, splice, TORTURE_OTHER,
    (int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags),
    (in, in_at, out, out_at, len, flags))
TORTURE_WRAP(int, stat, TORTURE_OTHER, (const char *path, struct stat *st), (path, st))

/* The same for calls that return a pointer. */
#define WRAP_POINTER(type, name, kind, group, params, args) \
	extern type __real_##name params; \
	extern type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		struct torture_step step; \
		type ret = NULL; \
\
		if (torture_enter(&step, kind, group)) \
			ret = __real_##name args; \
		torture_leave(&step); \
		return ret; \
	}

WRAP_POINTER(void *, EVP_MD_CTX_new, "malloc", TORTURE_MEMORY, (void), ())
WRAP_POINTER(void *, XXH3_createState, "malloc", TORTURE_MEMORY, (void), ())
WRAP_POINTER(DIR *, fdopendir, "fdopendir", TORTURE_OTHER, (int fd), (fd))
WRAP_POINTER(struct dirent *, readdir, "readdir", TORTURE_OTHER, (DIR *dir), (dir))
WRAP_POINTER(void *, malloc, "malloc", TORTURE_MEMORY, (size_t size), (size))
WRAP_POINTER(void *, calloc, "calloc", TORTURE_MEMORY, (size_t count, size_t size), (count, size))
WRAP_POINTER(void *, realloc, "realloc", TORTURE_MEMORY, (void *p, size_t size), (p, size))
WRAP_POINTER(void *, aligned_alloc, "aligned_alloc", TORTURE_MEMORY,
    (size_t align, size_t size), (align, size))
WRAP_POINTER(char *, strdup, "strdup", TORTURE_MEMORY, (const char *s), (s))
WRAP_POINTER(char *, strndup, "strndup", TORTURE_MEMORY, (const char *s, size_t len), (s, len))
WRAP_POINTER(char *, realpath, "realpath", TORTURE_MEMORY, (const char *path, char *out), (path, out))
WRAP_POINTER(FTS *, fts_open, "fts_open", TORTURE_MEMORY,
    (char *const *paths, int options, int (*order)(const FTSENT **, const FTSENT **)),
    (paths, options, order))
/* clang-format on */

int __real_fstatfs(int fd, struct statfs *st);
int __wrap_fstatfs(int fd, struct statfs *st);

int
__wrap_fstatfs(int fd, struct statfs *st)
{
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "fstatfs", TORTURE_OTHER))
		ret = __real_fstatfs(fd, st);
	torture_leave(&step);
	if (ret == 0 && torture_lacks(TORTURE_NO_MEMORY_FS, 0))
		st->f_type = 0xef53;
	return ret;
}

#define EVENT_FDS 16

static atomic_int event_fds[EVENT_FDS]; /* those of eventfd(2), plus 1; they are few and stay */

extern FTSENT *__real_fts_read(FTS *fts);
extern FTSENT *__wrap_fts_read(FTS *fts);
extern int __real_eventfd(unsigned value, int flags);
extern int __wrap_eventfd(unsigned value, int flags);
extern int __real_fcntl(int fd, int cmd, ...);
extern int __wrap_fcntl(int fd, int cmd, ...);
extern int __real_prctl(int option, ...);
extern int __wrap_prctl(int option, ...);
extern ssize_t __real_write(int fd, const void *buf, size_t len);
extern ssize_t __wrap_write(int fd, const void *buf, size_t len);
extern ssize_t __real_read(int fd, void *buf, size_t len);
extern ssize_t __wrap_read(int fd, void *buf, size_t len);
extern int __wrap_asprintf(char **out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
extern int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
extern int __real_pthread_create(
    pthread_t *tid, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
extern int __wrap_pthread_create(
    pthread_t *tid, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
extern int __real_getaddrinfo(
    const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out);
extern int __wrap_getaddrinfo(
    const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out);
extern int __real_getnameinfo(const struct sockaddr *sa, socklen_t len, char *host,
    socklen_t host_len, char *service, socklen_t service_len, int flags);
extern int __wrap_getnameinfo(const struct sockaddr *sa, socklen_t len, char *host,
    socklen_t host_len, char *service, socklen_t service_len, int flags);

/* It fails having gone on: fts_close(3) frees nothing of what has never been read from. */
FTSENT *
__wrap_fts_read(FTS *fts)
{
	FTSENT *entry = __real_fts_read(fts);
	struct torture_step step;

	if (!torture_enter(&step, "fts_read", TORTURE_MEMORY))
		entry = NULL;
	torture_leave(&step);
	return entry;
}

int
__wrap_eventfd(unsigned value, int flags)
{
	struct torture_step step;
	int fd = -1;

	if (torture_enter(&step, "eventfd", TORTURE_OTHER))
		fd = __real_eventfd(value, flags);
	for (int i = 0; fd >= 0 && i < EVENT_FDS; i++) {
		int none = 0;

		if (atomic_compare_exchange_strong(&event_fds[i], &none, fd + 1))
			break;
	}
	torture_leave(&step);
	return fd;
}

/* A counter that is far from its maximum takes every write, and gives its value to every read. */
static bool
is_event_fd(int fd)
{
	for (int i = 0; i < EVENT_FDS; i++) {
		if (atomic_load(&event_fds[i]) == fd + 1)
			return true;
	}
	return false;
}

ssize_t
__wrap_write(int fd, const void *buf, size_t len)
{
	struct torture_step step;
	ssize_t ret = -1;

	if (is_event_fd(fd))
		return __real_write(fd, buf, len);
	if (torture_enter(&step, "write", TORTURE_OTHER))
		ret = __real_write(fd, buf, len);
	else if (torture_is_short(&step))
		ret = __real_write(fd, buf, (len + 1) / 2);
	torture_leave(&step);
	return ret;
}

ssize_t
__wrap_read(int fd, void *buf, size_t len)
{
	struct torture_step step;
	ssize_t ret = -1;

	if (is_event_fd(fd))
		return __real_read(fd, buf, len);
	if (torture_enter(&step, "read", TORTURE_OTHER))
		ret = __real_read(fd, buf, len);
	torture_leave(&step);
	return ret;
}

/* All commands that our code uses take an int, or nothing. */
int
__wrap_fcntl(int fd, int cmd, ...)
{
	struct torture_step step;
	int arg, ret = -1;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, int);
	va_end(ap);
	if (torture_enter(&step, "fcntl", TORTURE_OTHER))
		ret = __real_fcntl(fd, cmd, arg);
	torture_leave(&step);
	return ret;
}

/* The process stays open to who looks at its descriptors from outside. */
int
__wrap_prctl(int option, ...)
{
	struct torture_step step;
	unsigned long a[4];
	int ret = -1;
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (torture_enter(&step, "prctl", TORTURE_OTHER))
		ret = option == PR_SET_DUMPABLE ? 0 : __real_prctl(option, a[0], a[1], a[2], a[3]);
	torture_leave(&step);
	return ret;
}

static int
step_vasprintf(char **out, const char *format, va_list ap)
{
	struct torture_step step;
	int ret = -1;

	if (torture_enter(&step, "asprintf", TORTURE_MEMORY))
		ret = vasprintf(out, format, ap);
	torture_leave(&step);
	return ret;
}

int
__wrap_asprintf(char **out, const char *format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = step_vasprintf(out, format, ap);
	va_end(ap);
	return ret;
}

int
__wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list ap;
	int ret;

	(void)flag;
	va_start(ap, format);
	ret = step_vasprintf(out, format, ap);
	va_end(ap);
	return ret;
}

/* What follows returns its error. */
int
__wrap_pthread_create(pthread_t *tid, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	struct torture_step step;
	int err;

	if (torture_enter(&step, "pthread_create", TORTURE_OTHER))
		err = __real_pthread_create(tid, attr, run, arg);
	else
		err = errno;
	torture_leave(&step);
	return err;
}

int
__wrap_getaddrinfo(
    const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	struct torture_step step;
	int err = EAI_MEMORY;

	if (torture_enter(&step, "getaddrinfo", TORTURE_MEMORY))
		err = __real_getaddrinfo(host, service, hints, out);
	torture_leave(&step);
	return err;
}

int
__wrap_getnameinfo(const struct sockaddr *sa, socklen_t len, char *host, socklen_t host_len,
    char *service, socklen_t service_len, int flags)
{
	struct torture_step step;
	int err = EAI_MEMORY;

	if (torture_enter(&step, "getnameinfo", TORTURE_MEMORY))
		err = __real_getnameinfo(sa, len, host, host_len, service, service_len, flags);
	torture_leave(&step);
	return err;
}
