/* The digest of what a file begins with: of a stage that is kept, or of a file that is read. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/local_private.h"

#define PIECE ((size_t)256 * 1024)
#define SLICE ((uint64_t)8 * 1024 * 1024)

/* FTX_CHANGED: there is less in it. */
static enum ftx_rc
read_stage(int fd, void *p, size_t len, uint64_t offset)
{
	char *to = p;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n == 0)
			return FTX_CHANGED;
		if (n < 0 && errno != EINTR)
			return ftx_rc_from_errno(errno);
		if (n > 0) {
			to += n;
			offset += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	return FTX_OK;
}

static enum ftx_rc
read_piece(struct local_transfer *lt, void *p, size_t len, uint64_t offset)
{
	struct iovec iov = { p, len };

	if (lt->t.kind == TRANSFER_PUT)
		return read_stage(lt->put->stage.fd, p, len, offset);
	return reader_read(&lt->reader, &iov, 1, offset);
}

static enum ftx_rc
hash_slice(struct local_transfer *lt)
{
	uint64_t done = atomic_load(&lt->t.prefix_done), end = done + SLICE;
	enum ftx_rc rc = FTX_OK;
	void *piece = malloc(PIECE);

	if (piece == NULL)
		return FTX_NOMEM;
	if (end > lt->t.prefix_len)
		end = lt->t.prefix_len;
	while (rc == FTX_OK && done < end) {
		size_t len = end - done < PIECE ? (size_t)(end - done) : PIECE;

		rc = read_piece(lt, piece, len, done);
		if (rc == FTX_OK)
			rc = digest_update(&lt->t.prefix, piece, len);
		done += len;
	}
	free(piece);
	if (rc == FTX_OK)
		atomic_store(&lt->t.prefix_done, done);
	return rc;
}

static bool
stage_version(const struct stage *s, struct meta_version *v)
{
	struct stat st;
	struct meta m;

	if (fstat(s->fd, &st) != 0)
		return false;
	meta_of(&st, &m);
	*v = m.version;
	return true;
}

void
local_put_check(const struct local_put *put)
{
	struct meta_version v = { 0 };

	(void)stage_version(&put->stage, &v);
	uploads_check(put->claim, &v);
}

void
local_put_note_version(const struct local_put *put)
{
	struct meta_version v;

	if (local_put_is_kept(put) && stage_version(&put->stage, &v))
		uploads_stands(put->claim, &v);
}

void
local_mark(struct transfer *t, const struct digest *d, uint64_t at)
{
	struct local_put *put = ((struct local_transfer *)t)->put;

	if (local_put_is_kept(put))
		uploads_mark(put->claim, d, at);
}

/* What was noted while it came needs not be read again. */
static void
skip_what_is_known(struct local_transfer *lt, struct upload_claim *claim)
{
	struct digest known;
	uint64_t at;

	if (claim == NULL || atomic_load(&lt->t.prefix_done) > 0)
		return;
	at = uploads_find_mark(claim, lt->t.prefix.kind, lt->t.prefix_len, &known);
	if (at == 0)
		return;
	digest_clear(&lt->t.prefix);
	lt->t.prefix = known;
	atomic_store(&lt->t.prefix_done, at);
}

static void
run_prefix(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	struct upload_claim *claim = lt->t.kind == TRANSFER_PUT ? lt->put->claim : NULL;

	lt->rc = FTX_CANCELLED;
	if (atomic_load(&lt->t.cancelled))
		return;
	lt->rc = FTX_TAKEN_OVER;
	if (!uploads_enter(claim))
		return;
	skip_what_is_known(lt, claim);
	lt->rc = hash_slice(lt);
	uploads_leave(claim);
}

static void
on_prefix_done(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	/* Nobody waits for the rest of it. */
	if (lt->rc == FTX_OK && lt->t.owner == NULL)
		lt->rc = FTX_CANCELLED;
	if (lt->rc == FTX_OK && atomic_load(&lt->t.prefix_done) < lt->t.prefix_len)
		local_submit(lt, POOL_LONG, run_prefix, on_prefix_done);
	else {
		atomic_store(&lt->t.cancelled, false); /* that was meant, not what comes after it */
		local_on_job_done(job);
	}
}

void
local_prefix(struct transfer *t)
{
	local_submit((struct local_transfer *)t, POOL_LONG, run_prefix, on_prefix_done);
}
