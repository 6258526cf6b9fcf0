/* What a stage's content is written by. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/rc.h"
#include "loop/chunk.h"
#include "store/iov.h"
#include "store/stage.h"

/*
 * Bytes of a file from which on it is written past the page cache. It costs half the processor time
 * (no copy, and nothing to be written back later), leaves the cache to others, and there is little
 * left to do at the end; but each write waits for the device, which a small file's need not.
 */
#define DIRECT_MIN ((uint64_t)16 * 1024 * 1024)

/*
 * What was written to the page cache begins its way to the device after so many bytes, so that the
 * fsync at the end finds most of it there.
 */
#define FLUSH_BYTES ((uint64_t)8 * 1024 * 1024)

static bool
set_direct(struct stage *s, bool on)
{
#ifdef O_DIRECT
	int flags = fcntl(s->fd, F_GETFL);

	if (flags < 0 || fcntl(s->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) != 0)
		return false;
	s->direct = on;
	return true;
#else
	(void)on;
	return false;
#endif
}

bool
stage_prefer_direct(struct stage *s, uint64_t size)
{
	return s->kind != STAGE_THROUGH && !s->in_memory && !s->may_wait && size >= DIRECT_MIN &&
	       set_direct(s, true);
}

void
stage_end_direct(struct stage *s)
{
	if (s->direct)
		(void)set_direct(s, false);
}

static bool
is_aligned(const struct iovec *iov, int count, uint64_t offset)
{
	uint64_t all = offset;

	for (int i = 0; i < count; i++)
		all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return all % CHUNK_ALIGN == 0;
}

static ssize_t
write_once(struct stage *s, const struct iovec *iov, int count, uint64_t offset)
{
	ssize_t n;

	if (s->kind == STAGE_THROUGH)
		return writev(s->fd, iov, count);
	/* The last bytes of a file, or after a write that was cut short. */
	if (s->direct && !is_aligned(iov, count, offset) && !set_direct(s, false))
		return -1;
	n = pwritev(s->fd, iov, count, (off_t)offset);
	/* Some file systems take the flag, and refuse what is written with it. */
	if (n < 0 && errno == EINVAL && s->direct && set_direct(s, false))
		n = pwritev(s->fd, iov, count, (off_t)offset);
	return n;
}

/* Does not wait for what it begins, as a rule; a failure shows in the fsync. */
static void
begin_writeback(struct stage *s, uint64_t written)
{
#ifdef SYNC_FILE_RANGE_WRITE
	if (s->kind == STAGE_THROUGH || s->in_memory || s->direct || !root_syncs(s->root) ||
	    written < s->flushed + FLUSH_BYTES)
		return;
	(void)sync_file_range(
	    s->fd, (off_t)s->flushed, (off_t)(written - s->flushed), SYNC_FILE_RANGE_WRITE);
	s->flushed = written;
#else
	(void)s;
	(void)written;
#endif
}

/* What a syncfs(2) would have to wait for. */
static void
count_unsynced(struct stage *s, uint64_t bytes)
{
	if (s->direct || s->in_memory)
		return;
	s->unsynced += bytes;
	atomic_fetch_add(&s->root->unsynced, (uint_fast64_t)bytes);
}

enum ftx_rc
stage_write(struct stage *s, struct iovec *iov, int count, uint64_t offset)
{
	while (count > 0) {
		ssize_t n = write_once(s, iov, count, offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return ftx_rc_from_errno(errno);
		}
		if (n == 0 && iov->iov_len > 0)
			return FTX_IO; /* it would be asked for ever */
		count_unsynced(s, (uint64_t)n);
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	begin_writeback(s, offset);
	return FTX_OK;
}

#ifdef HAVE_SPLICE
/* The file is not one that takes it, or the kernel. */
static bool
refuses_splice(int err)
{
	return err == EINVAL || err == ENOSYS || err == EOPNOTSUPP;
}

enum ftx_rc
stage_write_pipe(struct stage *s, int pipe, size_t len, uint64_t offset)
{
	loff_t at = (loff_t)offset;
	size_t left = len;

	if (s->kind == STAGE_THROUGH)
		return FTX_UNSUPPORTED;
	while (left > 0) {
		ssize_t n = splice(pipe, NULL, s->fd, &at, left, SPLICE_F_MOVE);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return left == len && refuses_splice(errno) ? FTX_UNSUPPORTED
								    : ftx_rc_from_errno(errno);
		}
		if (n == 0)
			return FTX_IO; /* there was less in it */
		count_unsynced(s, (uint64_t)n);
		left -= (size_t)n;
	}
	begin_writeback(s, offset + len);
	return FTX_OK;
}
#else
enum ftx_rc
stage_write_pipe(struct stage *s, int pipe, size_t len, uint64_t offset)
{
	(void)s;
	(void)pipe;
	(void)len;
	(void)offset;
	return FTX_UNSUPPORTED;
}
#endif
