#include "unit/fake_sys.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#ifdef HAVE_SYS_VFS_H
#include <sys/vfs.h>
#endif
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

struct fake_orders fake_orders;

#define SYNCS_MAX 64

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int steps, named, attrs, synced_all;
	struct fake_counts counts;
	char watched[256];
	ino_t synced[SYNCS_MAX];
	int synced_at[SYNCS_MAX];
	unsigned syncs;
} seen;
static atomic_uint io_calls;

/* The C library's own (dlsym(3): a function's address comes as a void pointer). */
#define REAL(name)                                         \
	do {                                               \
		*(void **)&real = dlsym(RTLD_NEXT, #name); \
		if (real == NULL)                          \
			return errno = ENOSYS, -1;         \
	} while (0)

void
fake_watch(const char *leaf)
{
	memset(&seen, 0, sizeof(seen));
	snprintf(seen.watched, sizeof(seen.watched), "%s", leaf);
}

int
fake_named(void)
{
	int step;

	pthread_mutex_lock(&seen_lock);
	step = seen.named;
	pthread_mutex_unlock(&seen_lock);
	return step;
}

int
fake_attrs(void)
{
	int step;

	pthread_mutex_lock(&seen_lock);
	step = seen.attrs;
	pthread_mutex_unlock(&seen_lock);
	return step;
}

int
fake_synced(ino_t ino)
{
	int step = 0;

	pthread_mutex_lock(&seen_lock);
	for (unsigned i = 0; i < seen.syncs && i < SYNCS_MAX; i++) {
		if (seen.synced[i] == ino && seen.synced_at[i] > step)
			step = seen.synced_at[i];
	}
	pthread_mutex_unlock(&seen_lock);
	return step;
}

int
fake_syncfs(void)
{
	int step;

	pthread_mutex_lock(&seen_lock);
	step = seen.synced_all;
	pthread_mutex_unlock(&seen_lock);
	return step;
}

struct fake_counts
fake_count(void)
{
	struct fake_counts counts;

	pthread_mutex_lock(&seen_lock);
	counts = seen.counts;
	pthread_mutex_unlock(&seen_lock);
	return counts;
}

static int
fails(int err)
{
	if (err != 0)
		errno = err;
	return err;
}

/* Seen, but not done: it would take most of a test's time, and no file of one is to last. */
int
fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (fake_orders.before_fsync != NULL)
		fake_orders.before_fsync();
	pthread_mutex_lock(&seen_lock);
	*(S_ISDIR(st.st_mode) ? &seen.counts.fsync_dir : &seen.counts.fsync_file) += 1;
	pthread_mutex_unlock(&seen_lock);
	if (fails(S_ISDIR(st.st_mode) ? fake_orders.fsync_dir : fake_orders.fsync_file))
		return -1;
	pthread_mutex_lock(&seen_lock);
	seen.synced[seen.syncs % SYNCS_MAX] = st.st_ino;
	seen.synced_at[seen.syncs++ % SYNCS_MAX] = ++seen.steps;
	pthread_mutex_unlock(&seen_lock);
	return 0;
}

int
syncfs(int fd)
{
	(void)fd;
	if (fake_orders.before_syncfs != NULL)
		fake_orders.before_syncfs();
	pthread_mutex_lock(&seen_lock);
	seen.counts.syncfs++;
	if (fake_orders.syncfs == 0)
		seen.synced_all = ++seen.steps;
	pthread_mutex_unlock(&seen_lock);
	return fails(fake_orders.syncfs) ? -1 : 0;
}

#ifdef HAVE_SYS_VFS_H
int
sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
	struct stat st;

	(void)offset;
	(void)len;
	(void)flags;
	if (fstat(fd, &st) != 0)
		return -1;
	return fails(st.st_ino == fake_orders.bad_file ? EIO : 0) ? -1 : 0;
}

int
fstatfs(int fd, struct statfs *st)
{
	int (*real)(int, struct statfs *);

	REAL(fstatfs);
	if (real(fd, st) != 0)
		return -1;
	if (fake_orders.fs_type != 0)
		st->f_type = fake_orders.fs_type;
	return 0;
}
#endif

static int
see_name(int result, const char *name)
{
	int err = errno;

	pthread_mutex_lock(&seen_lock);
	if (result == 0 && strcmp(name, seen.watched) == 0)
		seen.named = ++seen.steps;
	pthread_mutex_unlock(&seen_lock);
	errno = err;
	return result;
}

static void
before_link(void)
{
	if (fake_orders.before_link != NULL)
		fake_orders.before_link();
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	int (*real)(int, const char *, int, const char *, int);

	REAL(linkat);
	before_link();
	if (fails(fake_orders.link) ||
	    ((flags & AT_EMPTY_PATH) != 0 && fails(fake_orders.no_link_by_fd ? ENOENT : 0)))
		return -1;
	return see_name(real(from_dir, from, to_dir, to, flags), to);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int (*real)(int, const char *, int, const char *);

	REAL(renameat);
	before_link();
	if (fails(fake_orders.rename))
		return -1;
	return see_name(real(from_dir, from, to_dir, to), to);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int (*real)(int, const char *, int, const char *, unsigned);

	REAL(renameat2);
	before_link();
	if (fails(fake_orders.rename))
		return -1;
	return see_name(real(from_dir, from, to_dir, to, flags), to);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	int (*real)(int, const char *, mode_t);

	REAL(mkdirat);
	if (fails(fake_orders.mkdir) || see_name(real(dir, path, mode), path) != 0)
		return -1;
	if (fake_orders.after_mkdir != NULL)
		fake_orders.after_mkdir();
	return 0;
}

int
unlinkat(int dir, const char *path, int flags)
{
	int (*real)(int, const char *, int);

	REAL(unlinkat);
	if (fails(fake_orders.unlink)) {
		if (fake_orders.unlink_once)
			fake_orders.unlink = 0;
		return -1;
	}
	return see_name(real(dir, path, flags), path);
}

static int
see_attrs(int result)
{
	int err = errno;

	pthread_mutex_lock(&seen_lock);
	if (result == 0)
		seen.attrs = ++seen.steps;
	pthread_mutex_unlock(&seen_lock);
	errno = err;
	return result;
}

int
futimens(int fd, const struct timespec times[2])
{
	int (*real)(int, const struct timespec[2]);

	REAL(futimens);
	if (fails(fake_orders.futimens))
		return -1;
	return see_attrs(real(fd, times));
}

int
fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	int (*real)(int, const char *, const void *, size_t, int);

	REAL(fsetxattr);
	if (fails(fake_orders.fsetxattr))
		return -1;
	return see_attrs(real(fd, name, value, size, flags));
}

/* The vector as it may be used now; false: interrupted. */
static bool
may_move(const struct iovec *iov, int *count, struct iovec *first)
{
	if (fake_orders.io_interrupted && atomic_fetch_add(&io_calls, 1) % 2 == 0) {
		errno = EINTR;
		return false;
	}
	*first = iov[0];
	if (fake_orders.io_max > 0) {
		*count = 1;
		if (first->iov_len > fake_orders.io_max)
			first->iov_len = fake_orders.io_max;
	}
	return true;
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t);
	struct iovec first;

	REAL(pwritev);
	if (fake_orders.no_direct && (fcntl(fd, F_GETFL) & O_DIRECT) != 0) {
		errno = EINVAL;
		return -1;
	}
	if (fails(fake_orders.write)) {
		if (fake_orders.write_times > 0 && --fake_orders.write_times == 0)
			fake_orders.write = 0;
		return -1;
	}
	if (!may_move(iov, &count, &first))
		return -1;
	return real(fd, count == 1 ? &first : iov, count, offset);
}

ssize_t
preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t);
	struct iovec first;

	REAL(preadv);
	if (!may_move(iov, &count, &first))
		return -1;
	return real(fd, count == 1 ? &first : iov, count, offset);
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	int (*real)(int, int, off_t, off_t);

	REAL(fallocate);
	if (fails(fake_orders.no_fallocate ? EOPNOTSUPP : 0))
		return -1;
	return real(fd, mode, offset, len);
}

int
fstatvfs(int fd, struct statvfs *v)
{
	int (*real)(int, struct statvfs *);

	REAL(fstatvfs);
	if (real(fd, v) != 0)
		return -1;
	if (fake_orders.free_bytes > 0) {
		v->f_frsize = 1;
		v->f_bavail = fake_orders.free_bytes;
	}
	return 0;
}

FTSENT *
fts_read(FTS *fts)
{
	FTSENT *(*real)(FTS *);
	FTSENT *e;
	int err;

	*(void **)&real = dlsym(RTLD_NEXT, "fts_read");
	e = real(fts);
	err = errno;
	if (e != NULL && fake_orders.found != NULL)
		fake_orders.found(e);
	errno = err;
	return e;
}

/* `begin` and `end` are real times; end.tv_sec is 0 while the tick lasts. */
static struct {
	atomic_int looks;
	struct timespec begin, end;
} tick;
static atomic_int looks_at_clock, set_back;

void
fake_set_back(int seconds)
{
	atomic_store(&set_back, seconds);
}

int
fake_looks(void)
{
	return atomic_load(&looks_at_clock);
}

void
fake_tick(int looks)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	tick.begin = now;
	tick.end = (struct timespec){ 0 };
	atomic_store(&tick.looks, looks);
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* All of a tick is its beginning. */
static void
make_coarse(struct timespec *ts)
{
	if (!is_before(ts, &tick.begin) && (tick.end.tv_sec == 0 || is_before(ts, &tick.end)))
		*ts = tick.begin;
}

int
fstat(int fd, struct stat *st)
{
	int (*real)(int, struct stat *);

	REAL(fstat);
	if (real(fd, st) != 0)
		return -1;
	if (tick.begin.tv_sec != 0) {
		make_coarse(&st->st_mtim);
		make_coarse(&st->st_ctim);
	}
	return 0;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int (*real)(clockid_t, struct timespec *);

	REAL(clock_gettime);
	if (real(clock, ts) != 0)
		return -1;
	if (clock != CLOCK_REALTIME_COARSE)
		return 0;
	atomic_fetch_add(&looks_at_clock, 1);
	ts->tv_sec -= atomic_load(&set_back);
	if (tick.begin.tv_sec == 0)
		return 0;
	if (tick.end.tv_sec == 0 && atomic_fetch_sub(&tick.looks, 1) <= 0) {
		/* Later than any time given so far; and all that follow are later still. */
		real(CLOCK_REALTIME, &tick.end);
		while (is_before(ts, &tick.end))
			real(clock, ts);
	}
	make_coarse(ts);
	return 0;
}

ssize_t
splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags)
{
	static ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned);

	REAL(splice);
	return fails(fake_orders.splice) ? -1 : real(in, in_at, out, out_at, len, flags);
}
