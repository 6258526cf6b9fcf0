/* The space of a put on a local directory: promised, and given back by what is only kept. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/local_private.h"

/* local_finds_room() */
#define FIND_TRIES 10
#define FIND_MS    20

/*
 * Nothing is behind that any more. It is no change by a stranger, so what is known of the content
 * before it still holds, if it did.
 */
static enum ftx_rc
cut(struct local_put *put, uint64_t size)
{
	enum ftx_rc rc = FTX_OK;

	if (put->claim != NULL)
		local_put_check(put);
	if (ftruncate(put->stage.fd, (off_t)size) != 0)
		rc = ftx_rc_from_errno(errno);
	if (put->claim != NULL)
		local_put_note_version(put);
	return rc;
}

static enum ftx_rc
promise(struct local_transfer *lt, uint64_t from)
{
	struct local_put *put = lt->put;
	struct space *space = lt->root->space;

	if (local_put_is_kept(put) || put->stage.part)
		return space_extend_beyond(
		    space, put->stage.fd, from, lt->t.size - from, &put->hold);
	return space_extend(space, put->stage.fd, from, lt->t.size - from, &put->hold);
}

bool
local_make_room(struct local_transfer *lt, enum ftx_rc why, uint64_t size)
{
	struct uploads *uploads = lt->root->uploads;
	struct space_lack lack;

	return (why == FTX_NO_SPACE || why == FTX_STAGE_FULL) && uploads != NULL &&
	       space_lacks(lt->root->space, lt->put->stage.fd, size, &lack) == FTX_OK &&
	       uploads_make_room(uploads, &lack);
}

bool
local_finds_room(struct local_transfer *lt, enum ftx_rc why, uint64_t size, unsigned *tries)
{
	static const struct timespec moment = { .tv_nsec = FIND_MS * 1000000L };

	if (why != FTX_NO_SPACE || *tries == FIND_TRIES || !space_has(lt->put->stage.fd, size))
		return false;
	++*tries;
	(void)nanosleep(&moment, NULL);
	return true;
}

/* What is behind the first `from` bytes. */
static enum ftx_rc
reserve_space(struct local_transfer *lt, uint64_t from)
{
	enum ftx_rc rc;

	do {
		rc = promise(lt, from);
	} while (local_make_room(lt, rc, lt->t.size - from));
	return rc;
}

/*
 * Goes on where the content that is kept ends, or begins anew. What was promised behind that is
 * given back first, by whichever try.
 */
static enum ftx_rc
prepare_kept(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	enum ftx_rc rc = FTX_OK;

	if (put->claim != NULL)
		uploads_take_hold(put->claim, &put->hold);
	space_keep_only(&put->hold, lt->t.offset);
	if (put->claim != NULL && lt->t.offset == 0)
		uploads_mark(put->claim, NULL, 0);
	if (put->stage.part || lt->t.have > 0)
		rc = cut(put, lt->t.offset);
	return rc == FTX_OK ? reserve_space(lt, lt->t.offset) : rc;
}

static enum ftx_rc
prepare_space(struct local_transfer *lt)
{
	struct local_put *put = lt->put;

	if (put->stage.part || local_put_is_kept(put))
		return prepare_kept(lt);
	return reserve_space(lt, put->reserved);
}

static void
run_reserve(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	struct local_put *put = lt->put;

	lt->rc = FTX_TAKEN_OVER;
	if (!uploads_enter(put->claim))
		return;
	lt->rc = put->stage.kind == STAGE_THROUGH ? FTX_OK : prepare_space(lt);
	/* What grows is in the page cache already. */
	if (lt->rc == FTX_OK && put->reserved == 0)
		(void)stage_prefer_direct(&put->stage, lt->t.size);
	if (lt->rc == FTX_OK)
		put->reserved = lt->t.size;
	if (local_put_is_kept(put))
		uploads_give_hold(put->claim, &put->hold);
	uploads_leave(put->claim);
}

static void
on_reserved(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	lt->t.direct = lt->put->stage.direct;
	local_on_job_done(job);
}

void
local_reserve(struct transfer *t)
{
	local_submit((struct local_transfer *)t, POOL_OPEN, run_reserve, on_reserved);
}

bool
local_put_park(struct local_put *put)
{
	struct stat st;
	bool any = true;

	if (put->stage.fd < 0 || !local_put_is_kept(put) || !uploads_enter(put->claim))
		return true;
	if (fstat(put->stage.fd, &st) == 0) {
		any = st.st_size > 0;
		if (any && cut(put, (uint64_t)st.st_size) == FTX_OK)
			uploads_parked(put->claim, &st);
	}
	uploads_leave(put->claim);
	return any;
}
