/* The calls that make durable, give names and take them away, and the ends of connections. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#ifdef HAVE_SYS_VFS_H
#include <sys/vfs.h>
#endif
#include <time.h>
#include <unistd.h>

#include "torture/record.h"

#define STATE_DIR "/.ftxferd"
#define MARK      STATE_DIR "/named-stages"
#define UPLOADS   STATE_DIR "/uploads"
#define UNNAMED   "/proc/self/fd/"

int __real_close(int fd);
int __real_fsync(int fd);
int __real_syncfs(int fd);

/*
 * What was to be synced, and will be once a file has its name (FTX_RECORD_DROP=late, or fs-late),
 * and how.
 */
static _Thread_local int late_fd = -1;
static _Thread_local bool late_is_fs;
/* The mark was just synced: the state directory is next; and then the root, for the mark's sake. */
static _Thread_local bool dir_is_marks, root_is_marks;

/* Syncs, and says so. */
static int
do_sync(const char *op, int fd, int (*sync_it)(int fd))
{
	int result = sync_it(fd);
	struct stat st;

	if (result == 0 && fstat(fd, &st) == 0) {
		record_begin(op);
		record_inode("inode", &st);
		record_end();
	}
	return result;
}

/* The sync that was kept back until now. */
static void
sync_late(void)
{
	if (late_fd < 0)
		return;
	if (late_is_fs)
		do_sync("syncfs", late_fd, __real_syncfs);
	else
		do_sync("fsync", late_fd, __real_fsync);
	__real_close(late_fd);
	late_fd = -1;
}

/* A name was given; if it is not a stage's, that was the step before which the sync is due. */
static void
after_naming(const char *name)
{
	if (strncmp(name, ".ftxfer", strlen(".ftxfer")) != 0)
		sync_late();
}

static bool
ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

/* What this sync is for, in the words of FTX_RECORD_DROP: mark, log, file or dir. */
static const char *
sync_kind(int fd)
{
	char link[64], path[4096];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (ends_with(path, STATE_DIR)) {
		root_is_marks = dir_is_marks;
		dir_is_marks = false;
		return root_is_marks ? "mark" : "log";
	}
	if (ends_with(path, MARK) || root_is_marks) {
		dir_is_marks = !root_is_marks;
		root_is_marks = false;
		return "mark";
	}
	if (ends_with(path, UPLOADS) || ends_with(path, UPLOADS ".new"))
		return "log";
	return record_is_file(fd, &st) ? "file" : "dir";
}

/* FTX_RECORD_HOLD names a file: while it is there, nothing that has content is synced. */
static void
wait_while_held(int fd)
{
	const struct timespec step = { .tv_nsec = 1000 * 1000 };
	const char *path = getenv("FTX_RECORD_HOLD");
	struct stat st;

	if (path == NULL || !record_is_file(fd, &st))
		return;
	while (access(path, F_OK) == 0)
		nanosleep(&step, NULL);
}

/* It will be done later. The lock is held. */
static void
put_off(int fd, bool fs)
{
	sync_late(); /* of a file that got no name after all */
	late_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	late_is_fs = fs;
}

WRAPPED(int, fsync, int fd)
{
	const char *kind;
	int result = 0;

	wait_while_held(fd);
	record_lock();
	kind = sync_kind(fd);
	if (strcmp(kind, "file") == 0 && record_drops("late"))
		put_off(fd, false);
	else if (!record_drops(kind))
		result = do_sync("fsync", fd, __real_fsync);
	record_unlock();
	return result;
}

WRAPPED(int, fdatasync, int fd)
{
	int result;

	record_lock();
	result = do_sync("fdatasync", fd, __real_fdatasync);
	record_unlock();
	return result;
}

WRAPPED(int, syncfs, int fd)
{
	int result = 0;

	record_lock();
	if (record_drops("fs-late"))
		put_off(fd, true);
	else if (!record_drops("fs"))
		result = do_sync("syncfs", fd, __real_syncfs);
	record_unlock();
	return result;
}

#ifdef HAVE_SYS_VFS_H
/* A test's files may well be in memory: what the store does on ext4 is to be seen all the same. */
WRAPPED(int, fstatfs, int fd, struct statfs *st)
{
	int result = __real_fstatfs(fd, st);

	if (record_fails("memory"))
		st->f_type = 0xef53;
	return result;
}
#endif

WRAPPED(int, futimens, int fd, const struct timespec times[2])
{
	struct stat st;
	int result;

	record_lock();
	result = __real_futimens(fd, times);
	if (result == 0 && record_is_file(fd, &st)) {
		record_begin("times");
		record_inode("inode", &st);
		record_number("seconds", st.st_mtim.tv_sec);
		record_number("nanoseconds", st.st_mtim.tv_nsec);
		record_end();
	}
	record_unlock();
	return result;
}

WRAPPED(int, fsetxattr, int fd, const char *name, const void *value, size_t len, int flags)
{
	struct iovec iov = { .iov_len = len };
	struct stat st;
	int result;

	memcpy(&iov.iov_base, &value, sizeof(value)); /* it is not written to */
	record_lock();
	result = __real_fsetxattr(fd, name, value, len, flags);
	if (result == 0 && record_is_file(fd, &st)) {
		record_begin("setxattr");
		record_inode("inode", &st);
		record_text("name", name);
		record_data("data", &iov, len);
		record_end();
	}
	record_unlock();
	return result;
}

/* It promises nothing (sync_file_range(2)). */
WRAPPED(int, sync_file_range, int fd, off64_t offset, off64_t len, unsigned flags)
{
	return __real_sync_file_range(fd, offset, len, flags);
}

WRAPPED(int, linkat, int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	struct stat st;
	int result;

	if ((*from == '\0' || strncmp(from, UNNAMED, strlen(UNNAMED)) == 0) &&
	    record_fails("link-unnamed"))
		return errno = EPERM, -1;
	record_lock();
	result = __real_linkat(from_dir, from, to_dir, to, flags);
	if (result == 0) {
		if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) != 0)
			abort();
		record_begin("link");
		record_inode("inode", &st);
		record_place("dir", "name", to_dir, to);
		record_end();
		after_naming(to);
	}
	record_unlock();
	return result;
}

static void
saw_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;

	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) != 0)
		abort();
	record_begin("rename");
	record_inode("inode", &st);
	record_place("from_dir", "from", from_dir, from);
	record_place("dir", "name", to_dir, to);
	record_end();
	after_naming(to);
}

WRAPPED(int, renameat2, int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int result;

	if (record_fails("renameat2"))
		return errno = EINVAL, -1;
	if ((flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		abort(); /* nobody has taught the checker what it does */
	record_lock();
	result = __real_renameat2(from_dir, from, to_dir, to, flags);
	if (result == 0)
		saw_rename(from_dir, from, to_dir, to);
	record_unlock();
	return result;
}

WRAPPED(int, renameat, int from_dir, const char *from, int to_dir, const char *to)
{
	int result;

	record_lock();
	result = __real_renameat(from_dir, from, to_dir, to);
	if (result == 0)
		saw_rename(from_dir, from, to_dir, to);
	record_unlock();
	return result;
}

WRAPPED(int, unlinkat, int dir, const char *path, int flags)
{
	int result;

	record_lock();
	result = __real_unlinkat(dir, path, flags);
	if (result == 0) {
		record_begin("unlink");
		record_place("dir", "name", dir, path);
		record_end();
	}
	record_unlock();
	return result;
}

WRAPPED(int, mkdirat, int dir, const char *path, mode_t mode)
{
	struct stat st;
	int result;

	record_lock();
	result = __real_mkdirat(dir, path, mode);
	if (result == 0 && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		record_create(&st, dir, path);
	record_unlock();
	return result;
}

/* The port of the socket's peer, or 0. */
static unsigned
peer_port(int fd)
{
	struct sockaddr_in6 a; /* an IPv4 address has its port in the same place */
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	return getpeername(fd, (struct sockaddr *)&a, &len) == 0 ? ntohs(a.sin6_port) : 0;
}

/* What a peer hears: a receipt of version 2 is in it. */
WRAPPED(ssize_t, send, int fd, const void *p, size_t len, int flags)
{
	struct iovec iov = { .iov_len = len };
	unsigned port;
	ssize_t n;

	memcpy(&iov.iov_base, &p, sizeof(p));
	record_lock();
	port = peer_port(fd);
	n = __real_send(fd, p, len, flags);
	if (n > 0 && port != 0) {
		record_begin("send");
		record_number("port", port);
		record_data("data", &iov, (size_t)n);
		record_end();
	}
	record_unlock();
	return n;
}

static void
saw_end(unsigned port, bool reset)
{
	record_begin("end");
	record_number("port", port);
	record_text("how", reset ? "reset" : "fin");
	record_end();
}

WRAPPED(int, shutdown, int fd, int how)
{
	unsigned port;
	int result;

	record_lock();
	port = peer_port(fd);
	result = __real_shutdown(fd, how);
	if (result == 0 && port != 0 && how != SHUT_RD)
		saw_end(port, false);
	record_unlock();
	return result;
}

WRAPPED(int, close, int fd)
{
	struct linger l = { .l_onoff = 0 };
	socklen_t len = sizeof(l);
	unsigned port;
	int result;

	record_lock();
	port = peer_port(fd);
	if (port != 0)
		(void)getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len);
	result = __real_close(fd);
	if (port != 0)
		saw_end(port, l.l_onoff != 0 && l.l_linger == 0);
	record_unlock();
	return result;
}
