#include "store/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/iov.h"
#include "store/path.h"
#include "store/stored_digest.h"

/*
 * No mixture of two versions may pass for one. What can be proved by looking at a file's times, and
 * how, for those who write to it as write(2) does, on a local file system:
 *
 * - Who begins to write after the first read changes the times before any content, so the look that
 *   follows the last read sees it. Times come from a clock with ticks of milliseconds, though: a
 *   write in the tick of the last change leaves them as they are. So the first read waits until
 *   that tick is over.
 * - Who had begun before, with one long write, changes them no more. But it has the inode's lock
 *   until it ends, and we take that once before the first read (SEEK_DATA does).
 * - Who sets the time of modification back cannot do so to the time of change. That one moves with
 *   the names, the owner and the mode of the file, too; only of names can we tell.
 */

/*
 * The clock's tick is 10 ms at most. More tries are for nothing, and so is any where the file's
 * time is further ahead: somebody has set the clock back, or it is a server's, not ours.
 */
#define SETTLE_TRIES 20
#define SETTLE_NS    (1000L * 1000)
#define TICK_NS      (10L * 1000 * 1000)

/* Of a file that is read from a device: what is asked for at a time, and what is not worth it. */
#define AHEAD_BYTES ((off_t)4 * 1024 * 1024)
#define AHEAD_MIN   ((uint64_t)128 * 1024)

#ifndef CLOCK_REALTIME_COARSE /* Linux: the clock that files get their times from */
#define CLOCK_REALTIME_COARSE CLOCK_REALTIME
#endif

void
reader_init(struct reader *rd)
{
	*rd = (struct reader){ .fd = -1 };
}

void
reader_close(struct reader *rd)
{
	if (rd->fd >= 0)
		close(rd->fd);
	rd->fd = -1;
}

/*
 * The kernel's own readahead would be begun by reads that must not wait, and waits itself where a
 * device has all the requests that it can take. So it is ours to ask for (read_ahead()).
 */
static void
choose_readahead(const struct reader *rd)
{
#ifdef POSIX_FADV_RANDOM
	if (!rd->in_memory && rd->size > AHEAD_MIN)
		(void)posix_fadvise(rd->fd, 0, 0, POSIX_FADV_RANDOM);
#else
	(void)rd;
#endif
}

/* What the file is like that was opened. */
static void
note(struct reader *rd, struct root *r, const char *name, const struct stat *st)
{
	meta_of(st, &rd->meta);
	rd->size = rd->end = (uint64_t)st->st_size;
	rd->mtime = st->st_mtim;
	rd->ctime = st->st_ctim;
	rd->links = st->st_nlink;
	rd->dev = st->st_dev;
	rd->ino = st->st_ino;
	rd->root = r;
	rd->name = name;
	rd->in_memory = root_is_memory(r, rd->fd, st->st_dev);
	choose_readahead(rd);
}

enum ftx_rc
reader_open(struct reader *rd, struct root *r, const char *name)
{
	const char *leaf;
	struct stat st;
	int dir_fd;
	enum ftx_rc rc;

	reader_init(rd);
	rc = path_open_parent(r->fd, root_path_flags(r) | PATH_SEARCH_ONLY, name, &dir_fd, &leaf);
	if (rc != FTX_OK)
		return rc;
	rc = path_open_file(dir_fd, leaf, &rd->fd);
	close(dir_fd);
	if (rc != FTX_OK)
		return rc;
	if (fstat(rd->fd, &st) != 0) {
		reader_close(rd);
		return FTX_IO;
	}
	note(rd, r, name, &st);
	return FTX_OK;
}

void
reader_stored_digest(const struct reader *rd, struct digest_value *v)
{
	const struct stat st = { .st_size = (off_t)rd->size, .st_mtim = rd->mtime };

	(void)stored_digest_read(rd->fd, &st, v);
}

static bool
is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The name leads to another file by now, or to none: ours was renamed or replaced. */
static bool
has_lost_its_name(const struct reader *rd)
{
	struct stat st;
	const char *leaf;
	int dir_fd;
	bool lost;
	enum ftx_rc rc = path_open_parent(
	    rd->root->fd, root_path_flags(rd->root) | PATH_SEARCH_ONLY, rd->name, &dir_fd, &leaf);

	if (rc != FTX_OK)
		return rc == FTX_NO_PARENT;
	if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		lost = errno == ENOENT;
	else
		lost = st.st_dev != rd->dev || st.st_ino != rd->ino;
	close(dir_fd);
	return lost;
}

enum version {
	VERSION_SAME,
	VERSION_OTHER,
	VERSION_MOVED /* the same, if it was only its names that changed */
};

static enum ftx_rc
look_at_version(const struct reader *rd, enum version *version, bool *has_name)
{
	struct stat st;

	if (fstat(rd->fd, &st) != 0)
		return FTX_IO;
	*has_name = st.st_nlink > 0;
	if ((uint64_t)st.st_size != rd->size || !is_same_time(&st.st_mtim, &rd->mtime))
		*version = VERSION_OTHER;
	else if (is_same_time(&st.st_ctim, &rd->ctime) || st.st_nlink != rd->links)
		*version = VERSION_SAME;
	else
		*version = VERSION_MOVED;
	return FTX_OK;
}

enum ftx_rc
reader_check(const struct reader *rd)
{
	enum version version;
	bool has_name;
	enum ftx_rc rc = look_at_version(rd, &version, &has_name);

	if (rc != FTX_OK || version == VERSION_SAME)
		return rc;
	return version == VERSION_MOVED && has_lost_its_name(rd) ? FTX_OK : FTX_CHANGED;
}

static bool
version_is_same(const struct reader *rd, bool *has_name)
{
	enum version version;

	return look_at_version(rd, &version, has_name) == FTX_OK && version == VERSION_SAME;
}

#define SECOND_NS (INT64_C(1000) * 1000 * 1000)

/* How long a is after b; negative: before it. Not exact where it is more than seconds. */
static int64_t
ns_after(const struct timespec *a, const struct timespec *b)
{
	int64_t seconds = a->tv_sec > b->tv_sec + 1   ? 2
			  : a->tv_sec < b->tv_sec - 1 ? -2
						      : a->tv_sec - b->tv_sec;

	return seconds * SECOND_NS + a->tv_nsec - b->tv_nsec;
}

/* Of the last change, or of a clock that is not ours. */
static bool
tick_is_over(const struct reader *rd, const struct timespec *now)
{
	int64_t ahead = ns_after(&rd->ctime, now);

	return ahead < 0 || ahead > TICK_NS;
}

/* Until the file's next change must have another time than its last one. */
static enum ftx_rc
settle(struct reader *rd)
{
	const struct timespec step = { .tv_nsec = SETTLE_NS };
	struct timespec now;

	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		enum ftx_rc rc;

		if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0)
			return FTX_IO;
		rc = reader_check(rd);
		if (rc != FTX_OK)
			return rc;
		if (tick_is_over(rd, &now))
			break;
		nanosleep(&step, NULL);
	}
#ifdef SEEK_DATA
	(void)lseek(rd->fd, 0, SEEK_DATA); /* for its lock; it fails on a file that is all hole */
#endif
	rd->settled = true;
	return FTX_OK;
}

/*
 * What comes next is not in memory: more of it is asked for than is read, in large pieces (the
 * kernel's own readahead is of 128 KiB), so that the loop finds it there for a while.
 */
static void
read_ahead(struct reader *rd, uint64_t offset)
{
#ifdef POSIX_FADV_WILLNEED
	if (rd->in_memory || rd->size - offset <= AHEAD_MIN)
		return;
	(void)posix_fadvise(rd->fd, (off_t)offset, AHEAD_BYTES, POSIX_FADV_WILLNEED);
#else
	(void)rd;
	(void)offset;
#endif
}

enum ftx_rc
reader_read(struct reader *rd, struct iovec *iov, int count, uint64_t offset)
{
	read_ahead(rd, offset);
	if (!rd->settled) {
		enum ftx_rc rc = settle(rd);

		if (rc != FTX_OK)
			return rc;
	}
	while (count > 0) {
		ssize_t n = preadv(rd->fd, iov, count, (off_t)offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return ftx_rc_from_errno(errno);
		}
		if (n == 0)
			return FTX_CHANGED;
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	return offset < rd->end ? FTX_OK : reader_check(rd);
}

bool
reader_open_now(struct reader *rd, struct root *r, const char *name)
{
	struct stat st;

	reader_init(rd);
	if (!path_open_file_now(r->fd, root_path_flags(r), name, &rd->fd, &st))
		return false;
	note(rd, r, name, &st);
	return true;
}

/*
 * A lease for reading is not given while anybody has the file open for writing (fcntl(2),
 * F_SETLEASE), and is given only to who owns it; it is given back at once.
 */
static bool
nobody_writes(int fd)
{
#ifdef F_SETLEASE
	return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
#else
	(void)fd;
	return false;
#endif
}

/*
 * As settle(), if that takes no time: who writes from here on opens the file first. The version is
 * to be looked at after the read that follows, if not before.
 */
static bool
settle_now(struct reader *rd)
{
	struct timespec now;

	return clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 && tick_is_over(rd, &now) &&
	       nobody_writes(rd->fd);
}

static ssize_t
read_without_waiting(const struct reader *rd, void *p, size_t len, uint64_t offset)
{
	if (rd->in_memory)
		return pread(rd->fd, p, len, (off_t)offset);
#ifdef RWF_NOWAIT
	struct iovec iov = { p, len };

	return preadv2(rd->fd, &iov, 1, (off_t)offset, RWF_NOWAIT);
#else
	errno = EOPNOTSUPP;
	return -1;
#endif
}

size_t
reader_read_now(struct reader *rd, void *p, size_t len, uint64_t offset)
{
	bool at_end;
	ssize_t n;

	if (rd->no_nowait || (!rd->settled && !settle_now(rd)))
		return 0;
	n = read_without_waiting(rd, p, len, offset);
	if (n < 0) {
		rd->no_nowait = errno != EAGAIN && errno != EINTR;
		return 0;
	}
	at_end = offset + (uint64_t)n >= rd->end;
	if ((!rd->settled || at_end) && !version_is_same(rd, &rd->has_name))
		return 0;
	rd->settled = true;
	rd->has_name &= at_end;
	return (size_t)n;
}

/* As settle_now(), but for who may wait until a long write(2) into memory has ended. */
static bool
settle_soon(struct reader *rd)
{
	struct timespec now;

	if (!rd->in_memory)
		return settle_now(rd);
	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0 || !tick_is_over(rd, &now))
		return false;
#ifdef SEEK_DATA
	(void)lseek(rd->fd, 0, SEEK_DATA);
#endif
	return true;
}

bool
reader_take_whole(struct root *r, const char *name, size_t most, uint8_t **content, size_t *len)
{
	struct reader rd = { .fd = -1 };
	struct stat st;
	bool ok;

	*content = NULL;
	if (!path_open_file_now(r->fd, root_path_flags(r) | PATH_SEEN, name, &rd.fd, &st))
		return false;
	note(&rd, r, name, &st);
	*len = (size_t)rd.size;
	ok = rd.size == 0;
	if (!ok && rd.size <= most && settle_soon(&rd)) {
		rd.settled = true;
		*content = malloc((size_t)rd.size);
		ok = *content != NULL && reader_read_now(&rd, *content, *len, 0) == *len;
	}
	reader_close(&rd);
	if (ok)
		return true;
	free(*content);
	*content = NULL;
	return false;
}

/*
 * Page by page: what is being read ahead arrives in any order, and one page that is still on its
 * way is enough to make sendfile(2) wait.
 */
#define PROBE_STEP ((size_t)4096)

size_t
reader_resident(const struct reader *rd, uint64_t offset, size_t len)
{
	size_t good = 0;
	char byte;

	if (rd->in_memory)
		return len;
	if (rd->no_nowait || !rd->settled)
		return 0;
	while (good < len && read_without_waiting(rd, &byte, 1, offset + good) == 1)
		good += PROBE_STEP - (offset + good) % PROBE_STEP;
	return good < len ? good : len;
}

bool
reader_close_is_quick(const struct reader *rd)
{
	struct stat st;

	return rd->fd < 0 || rd->has_name || (fstat(rd->fd, &st) == 0 && st.st_nlink > 0);
}
