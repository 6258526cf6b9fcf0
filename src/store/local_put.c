/*
 * Puts on a local directory. What is done for one that is known by its key stands between
 * uploads_enter() and uploads_leave(): so it ends before another one goes on with the upload.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/chunk.h"
#include "store/local_private.h"
#include "store/names.h"
#include "store/path.h"

/* OPEN */

/* It says nothing about what is there. */
static bool
says_nothing(enum ftx_rc rc)
{
	return rc == FTX_IO || rc == FTX_NOMEM || rc == FTX_DESCRIPTORS;
}

/*
 * Upload ids are told to nobody. What was published before, and whether it still stands there: that
 * it does not is said only where it is known, for then its owner never sends it again.
 */
static enum ftx_rc
tell_published(struct local_transfer *lt, const struct upload_record *r)
{
	struct meta m;
	enum ftx_rc rc = names_stat(lt->root, lt->t.name, false, &m);

	if (says_nothing(rc))
		return rc;
	lt->t.superseded = rc != FTX_OK || !meta_same_version(&m.version, &r->meta.version);
	lt->put->unsynced =
	    r->unsynced || (!lt->t.superseded && !names_are_synced(lt->root, lt->t.name));
	lt->t.published = true;
	lt->t.published_at = r->time;
	lt->t.meta = r->meta;
	return FTX_OK;
}

/* A stage that can be opened again: the one that is there, or a new one. */
static enum ftx_rc
open_kept(struct local_transfer *lt, const struct upload_record *r)
{
	struct local_put *put = lt->put;
	struct stage_kept kept = { { 0 } };
	uint64_t have = 0;
	enum ftx_rc rc = FTX_NOT_FOUND;

	memcpy(kept.stage, r->stage, sizeof(kept.stage));
	if (kept.stage[0] != '\0')
		rc = stage_open_kept(&put->stage, lt->root, &put->spec, &kept, &have);
	if (rc == FTX_OK)
		local_put_check(put);
	if (rc == FTX_NOT_FOUND) { /* somebody has removed it */
		kept.stage[0] = '\0';
		rc = stage_open_kept(&put->stage, lt->root, &put->spec, &kept, &have);
		if (rc == FTX_OK)
			rc = uploads_staged(put->claim, put->stage.temp);
		if (rc != FTX_OK)
			stage_discard(&put->stage); /* nobody would find it again */
	}
	if (have < put->terms.size)
		have -= have % CHUNK_ALIGN;
	else
		have = put->terms.size;
	lt->t.have = have;
	return rc;
}

static enum ftx_rc
open_new(struct local_transfer *lt)
{
	struct local_put *put = lt->put;

	return put->last_dir != NULL
		   ? stage_open_next(&put->stage, lt->root, &put->spec, put->last_dir)
		   : stage_open(&put->stage, lt->root, &put->spec);
}

/* One that is not kept, in place of what was. */
static enum ftx_rc
open_fresh(struct local_transfer *lt, const struct upload_record *r)
{
	struct local_put *put = lt->put;

	if (r->stage[0] != '\0') {
		uploads_take_hold(put->claim, &put->hold);
		space_release(&put->hold);
		if (uploads_staged(put->claim, "") != FTX_OK)
			return FTX_TAKEN_OVER;
		uploads_remove_stage(lt->root, lt->t.name, r->stage);
	}
	return open_new(lt);
}

static enum ftx_rc
open_record(struct local_transfer *lt, struct upload_record *r)
{
	struct local_put *put = lt->put;
	enum ftx_rc rc;

	if (r->state == UPLOAD_NAMED) {
		rc = uploads_sync_name(put->claim, lt->t.name, r);
		if (rc != FTX_OK)
			return rc;
	}
	if (r->state == UPLOAD_PUBLISHED)
		return tell_published(lt, r);
	return put->terms.keep ? open_kept(lt, r) : open_fresh(lt, r);
}

static enum ftx_rc
open_known(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	struct upload_record r;
	enum ftx_rc rc;

	if (!uploads_enter(put->claim))
		return FTX_TAKEN_OVER;
	rc = uploads_look(put->claim, &r) ? open_record(lt, &r) : FTX_TAKEN_OVER;
	if (rc == FTX_OK)
		put->stage.upload = put->claim;
	uploads_leave(put->claim);
	return rc;
}

/* Known by nothing, or by its name. */
static enum ftx_rc
open_plain(struct local_transfer *lt)
{
	uint64_t have;
	enum ftx_rc rc;

	if (lt->put->last_dir != NULL)
		return open_new(lt);
	rc = stage_open_kept(&lt->put->stage, lt->root, &lt->put->spec, NULL, &have);
	lt->t.have = have - have % CHUNK_ALIGN;
	return rc;
}

enum ftx_rc
local_put_open(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	enum ftx_rc rc = local_claim(lt);

	if (rc != FTX_OK)
		return rc;
	rc = put->claim != NULL ? open_known(lt) : open_plain(lt);
	if (rc != FTX_OK || lt->t.published)
		return rc;
	if (!put->stage.may_wait) /* a client does not ask */
		put->stage.meta = &lt->t.meta;
	put->commit.stage = &put->stage;
	put->commit.cancelled = &lt->t.cancelled;
	put->commit.sound = put->stage.kind != STAGE_THROUGH && !put->stage.in_memory &&
			    commit_is_sound(put->stage.fd);
	put->unsynced = put->stage.in_memory || !root_syncs(lt->root);
	return FTX_OK;
}

static void
run_put_open(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	lt->rc = local_put_open(lt);
}

static void
on_taken(void *arg)
{
	struct local_transfer *lt = arg;

	if (lt->t.owner != NULL && lt->t.on_taken != NULL)
		lt->t.on_taken(lt->t.owner, &lt->t);
}

static void on_put_opened(struct pool_job *job);

static void
submit_open(struct local_transfer *lt)
{
	local_submit(lt, POOL_OPEN, run_put_open, on_put_opened);
}

static void
on_put_opened(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (lt->put->again) {
		local_wait_for_claim(lt, submit_open);
		return;
	}
	if (lt->put->claim != NULL)
		uploads_on_taken(lt->put->claim, lt->t.store->worker, on_taken, lt);
	lt->t.replaces = lt->put->stage.replaces;
	lt->t.kept = lt->put->stage.part;
	lt->t.unsynced = lt->put->unsynced;
	lt->t.writes_now = lt->put->stage.in_memory || lt->put->stage.may_wait;
	local_on_job_done(job);
}

void
local_put_set_spec(struct local_transfer *lt, const struct put_spec *spec)
{
	struct local_put *put = lt->put;

	put->spec = *spec;
	put->spec.name = lt->t.name;
	put->keyed = spec->upload != NULL;
	if (put->keyed) {
		put->terms = *spec->upload;
		put->spec.upload = &put->terms;
	}
}

enum ftx_rc
local_put(struct store *s, const struct put_spec *spec, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	struct local_transfer *lt;
	enum ftx_rc rc = local_transfer_new(s, TRANSFER_PUT, spec->name, on_done, owner, &lt);

	if (rc != FTX_OK)
		return rc;
	local_put_set_spec(lt, spec);
	*out = &lt->t;
	submit_open(lt);
	return FTX_OK;
}

void
local_set_attrs(struct transfer *t, const struct put_spec *spec)
{
	stage_take_attrs(&((struct local_transfer *)t)->put->stage, spec);
}

/* WRITE */
static void
written(struct local_transfer *lt, size_t len)
{
	if (!local_put_is_kept(lt->put))
		space_written(&lt->put->hold, len);
	else
		uploads_written(lt->put->claim, len);
}

static enum ftx_rc
write_piece(struct local_transfer *lt, const void *p, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };
	enum ftx_rc rc;

	if (!uploads_enter(lt->put->claim))
		return FTX_TAKEN_OVER;
	rc = stage_write(&lt->put->stage, &iov, 1, lt->t.offset);
	if (rc == FTX_OK)
		local_put_note_version(lt->put);
	uploads_leave(lt->put->claim);
	return rc;
}

static void
run_write(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	unsigned tries = 0;

	do {
		lt->rc = write_piece(lt, lt->t.chunk->data, lt->t.chunk->len);
	} while (local_finds_room(lt, lt->rc, lt->t.chunk->len, &tries));
}

static void
on_written(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (lt->rc == FTX_OK) {
		written(lt, lt->t.chunk->len);
		lt->t.offset += lt->t.chunk->len;
	}
	local_on_job_done(job);
}

void
local_write(struct transfer *t)
{
	local_submit((struct local_transfer *)t, POOL_BULK, run_write, on_written);
}

enum ftx_rc
local_write_now(struct transfer *t, const void *p, size_t len)
{
	struct local_transfer *lt = (struct local_transfer *)t;
	enum ftx_rc rc = write_piece(lt, p, len);

	if (rc == FTX_OK)
		written(lt, len);
	return rc;
}

enum ftx_rc
local_write_pipe(struct transfer *t, int pipe, size_t len)
{
	struct local_transfer *lt = (struct local_transfer *)t;
	enum ftx_rc rc;

	if (!uploads_enter(lt->put->claim))
		return FTX_TAKEN_OVER;
	rc = stage_write_pipe(&lt->put->stage, pipe, len, t->offset);
	if (rc == FTX_OK)
		local_put_note_version(lt->put);
	uploads_leave(lt->put->claim);
	if (rc == FTX_OK)
		written(lt, len);
	return rc;
}

/* DISCARD */
bool
local_put_needs_discard(const struct local_transfer *lt)
{
	/* Of what is published nothing is left to be dropped or kept. */
	bool published = lt->t.committed || lt->t.published;

	return lt->put->stage.kind != STAGE_NONE || (lt->put->claim != NULL && !published);
}

/*
 * What can be gone on with is kept, unless its owner wants it dropped: that is content, and no more
 * space than it takes.
 */
void
local_put_discard(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	bool drop = lt->t.dropped || !put->terms.keep || !local_put_park(put);
	struct upload_record r;
	/* It has a stage that could not be opened: its name was taken meanwhile, for instance. */
	bool unopened = put->claim != NULL && put->stage.kind == STAGE_NONE &&
			uploads_look(put->claim, &r) && r.stage[0] != '\0';
	bool part = put->stage.part && !lt->t.dropped && (lt->t.have > 0 || lt->t.offset > 0);
	bool mine = !part && (put->claim == NULL || (drop && uploads_forget(put->claim)));

	if (mine && unopened)
		uploads_remove_stage(lt->root, lt->t.name, r.stage);
	/* A stage that is not to be kept is in no record, whoever has the upload now. */
	if (mine || (put->claim != NULL && !put->terms.keep))
		stage_discard(&put->stage);
	else
		stage_park(&put->stage);
}

void
local_put_clear(struct local_transfer *lt)
{
	uploads_release(lt->put->claim);
	space_release(&lt->put->hold);
	put_content_free(&lt->put->content, lt->t.store->worker);
}
