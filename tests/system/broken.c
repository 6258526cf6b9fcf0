/*
 * broken.c - a disk that hangs and a memory that is full, for the system tests: preloaded into a
 * program (LD_PRELOAD) it stands before the C library's calls. test_hostile.py compiles it.
 *
 * Orders are files in the directory $BROKEN, obeyed while they exist:
 *     hang-NAME   the call NAME (openat, pwritev, preadv, fsync) waits until the file is gone; with
 *                 fsync syncfs does, which takes its place for a group of small files
 *     no-memory   one allocation in 16 fails
 * While preadv hangs nothing is in the page cache (preadv2, RWF_NOWAIT). Any file system is said to
 * be on a device, so that its calls are made where they may hang.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);

/* No allocation, and no call that is replaced below. */
static bool
is_ordered(const char *order)
{
	const char *dir = getenv("BROKEN");
	char path[512];
	size_t len;

	if (dir == NULL || (len = strlen(dir)) + strlen(order) + 2 > sizeof(path))
		return false;
	memcpy(path, dir, len);
	path[len] = '/';
	strcpy(path + len + 1, order);
	return syscall(SYS_faccessat, AT_FDCWD, path, F_OK, 0) == 0;
}

static void
hang(const char *order)
{
	const struct timespec step = { .tv_nsec = 5 * 1000 * 1000 };
	int saved = errno;

	while (is_ordered(order))
		nanosleep(&step, NULL);
	errno = saved;
}

int
fsync(int fd)
{
	hang("hang-fsync");
	return (int)syscall(SYS_fsync, fd);
}

int
syncfs(int fd)
{
	hang("hang-fsync");
	return (int)syscall(SYS_syncfs, fd);
}

int
openat64(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	hang("hang-openat");
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int
openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return openat64(dir, path, flags, mode);
}

/* What openat(2) is in a build with FORTIFY when the compiler cannot see that no mode is needed. */
int __openat_2(int dir, const char *path, int flags);

int
__openat_2(int dir, const char *path, int flags)
{
	return openat64(dir, path, flags, 0);
}

static ssize_t
go_on(const char *name, int fd, const struct iovec *iov, int count, off_t offset)
{
	static ssize_t (*real[2])(int, const struct iovec *, int, off_t);
	int which = name[1] == 'w';

	hang(which ? "hang-pwritev" : "hang-preadv");
	if (real[which] == NULL)
		*(void **)&real[which] = dlsym(RTLD_NEXT, name);
	return real[which](fd, iov, count, offset);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return go_on("pwritev", fd, iov, count, offset);
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off_t offset)
{
	return go_on("pwritev64", fd, iov, count, offset);
}

ssize_t
preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	return go_on("preadv", fd, iov, count, offset);
}

ssize_t
preadv64(int fd, const struct iovec *iov, int count, off_t offset)
{
	return go_on("preadv64", fd, iov, count, offset);
}

static ssize_t
read_at_once(const char *name, int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	static ssize_t (*real)(int, const struct iovec *, int, off_t, int);

	if (is_ordered("hang-preadv")) {
		errno = EAGAIN;
		return -1;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, name);
	return real(fd, iov, count, offset, flags);
}

ssize_t
preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return read_at_once("preadv2", fd, iov, count, offset, flags);
}

ssize_t
preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return read_at_once("preadv64v2", fd, iov, count, offset, flags);
}

static int
say_device(long *type)
{
	*type = 0xef53; /* EXT4_SUPER_MAGIC */
	return 0;
}

int
fstatfs(int fd, struct statfs *fs)
{
	int ret = (int)syscall(SYS_fstatfs, fd, fs);

	return ret == 0 ? say_device(&fs->f_type) : ret;
}

int
fstatfs64(int fd, struct statfs64 *fs)
{
	int ret = (int)syscall(SYS_fstatfs, fd, fs);

	return ret == 0 ? say_device(&fs->f_type) : ret;
}

#ifdef WITH_MALLOC
static bool
no_memory(void)
{
	static atomic_uint calls;
	int saved = errno;
	/* Scattered, so that each allocation has its turn whatever the rhythm of the others. */
	bool none = atomic_fetch_add(&calls, 1) * 2654435761u >> 28 == 0 && is_ordered("no-memory");

	errno = none ? ENOMEM : saved;
	return none;
}

void *
malloc(size_t size)
{
	return no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *p, size_t size)
{
	return no_memory() ? NULL : __libc_realloc(p, size);
}
#endif
