/* Protocol 2, the server: PUT, its table and its way through the store. */
#include "core/registry.h"
#include "net/conn.h"
#include "v2/server_put.h"

/* What a stream is promised at first. A frame always fits. */
#define STREAM_FIRST ((uint64_t)2 * V2_DATA_MAX)

static const char *const states[] = {
	[V2S_PUT_WAITING] = "put_waiting",
	[V2S_PUT_CHECKING] = "put_checking",
	[V2S_PUT_COMPARING] = "put_comparing",
	[V2S_PUT_RECEIVING] = "put_receiving",
	[V2S_PUT_COMMITTING] = "put_committing",
};

static void check(struct v2s_request *r);
static void commit(struct v2s_request *r);

static const struct v2s_row rows[] = {
	{ V2S_PUT_WAITING, V2S_PUT_ON_START, check, V2S_PUT_CHECKING },
	{ V2S_PUT_CHECKING, V2S_PUT_ON_HAVE, v2s_put_begin_compare, V2S_PUT_COMPARING },
	{ V2S_PUT_CHECKING, V2S_PUT_ON_READY, v2s_put_begin_content, V2S_PUT_RECEIVING },
	{ V2S_PUT_CHECKING, V2S_PUT_ON_PUBLISHED, v2s_put_answer, V2S_STAY },
	{ V2S_PUT_COMPARING, V2S_PUT_ON_READY, v2s_put_begin_content, V2S_PUT_RECEIVING },
	{ V2S_PUT_RECEIVING, V2S_PUT_ON_CONTENT, commit, V2S_PUT_COMMITTING },
	{ V2S_PUT_COMMITTING, V2S_PUT_ON_PUBLISHED, v2s_put_answer, V2S_STAY },
};

static bool
may_be_same(const struct v2s_request *r)
{
	return r->m.put.policy == V2_CREATE_OR_SAME || r->m.put.policy == V2_REPLACE_OR_SAME;
}

static bool
may_replace(const struct v2s_request *r)
{
	return r->m.put.policy == V2_REPLACE || r->m.put.policy == V2_REPLACE_OR_SAME;
}

static enum ftx_rc
take(struct v2s_request *r, const struct v2_frame *f)
{
	uint64_t max = r->c->server->max_file_size;
	struct v2_fault fault = v2_put_decode(f, &r->c->terms, &r->m.put);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	rc = v2s_take_version(r->m.put.if_version, &r->if_version);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, r->m.put.name, true, false, &r->name);
	if (rc == FTX_OK && max > 0 && r->m.put.size > max)
		rc = FTX_TOO_LARGE;
	return rc;
}

static void
start(struct v2s_request *r)
{
	v2s_event(r, V2S_PUT_ON_START);
}

/* A small one is there as soon as all of it has come, and may have to wait for its place yet. */
static bool
cancel(struct v2s_request *r)
{
	return r->state != V2S_PUT_COMMITTING || r->is_waiting;
}

/* What the store has said, in the words of this request. */
static void
refuse(struct v2s_request *r, enum ftx_rc why)
{
	if (why == FTX_EXISTS && may_replace(r))
		why = FTX_FORBIDDEN; /* it was not even tried */
	if (why != FTX_NOT_REGULAR)
		v2s_refuse(r, why);
	else if (may_replace(r))
		v2s_refuse_kind(r);
	else
		v2s_refuse(r, FTX_EXISTS);
}

static struct put_spec
make_spec(const struct v2s_request *r)
{
	const struct v2_put *m = &r->m.put;

	return (struct put_spec){
		.name = r->name,
		.policy = may_replace(r) && r->c->server->allow_replace ? PUT_REPLACE : PUT_CREATE,
		.parents = (r->flags & V2_PUT_PARENTS) != 0,
		.has_mode = V2_HAS(m, MODE),
		.mode = m->mode,
		.has_mtime = V2_HAS(m, MTIME),
		.mtime = { .tv_sec = m->mtime.sec, .tv_nsec = m->mtime.nsec },
		.if_version = r->if_version,
	};
}

/* It was only to be found out whether this upload was published before. */
static void
on_looked_up(struct v2s_request *r, enum ftx_rc rc)
{
	r->looks_up = false;
	if (rc == FTX_OK && r->transfer->published) {
		v2s_event(r, V2S_PUT_ON_PUBLISHED);
		return;
	}
	if (rc != FTX_OK && rc != FTX_EXISTS) {
		refuse(r, rc);
		return;
	}
	store_drop(r->transfer);
	store_close(r->transfer);
	r->transfer = NULL;
	v2s_put_settle_same(r);
}

static void
on_opened(struct v2s_request *r, enum ftx_rc rc)
{
	struct transfer *t = r->transfer;

	if (r->looks_up) {
		on_looked_up(r, rc);
		return;
	}
	/* It is the only one for a name that was free; downloads of what had it do not matter. */
	if (rc == FTX_OK && !t->published && !t->replaces &&
	    registry_begin_upload(t->claim) == FTX_TAKEN_OVER)
		rc = FTX_TAKEN_OVER;
	if (rc != FTX_OK)
		refuse(r, rc);
	else if (t->published)
		v2s_event(r, V2S_PUT_ON_PUBLISHED);
	else if (t->have > 0)
		v2s_event(r, V2S_PUT_ON_HAVE);
	else
		v2s_put_reserve(r, 0);
}

void
v2s_put_reserve(struct v2s_request *r, uint64_t offset)
{
	r->received = r->digested = offset;
	if (v2s_put_is_stream(r))
		store_reserve(r->transfer, STREAM_FIRST);
	else if (r->m.put.size == 0)
		v2s_event(r, V2S_PUT_ON_READY);
	else
		store_reserve_at(r->transfer, r->m.put.size, offset);
}

static void
on_reserved(struct v2s_request *r, enum ftx_rc rc)
{
	if (rc != FTX_OK)
		refuse(r, rc);
	else if (r->state == V2S_PUT_RECEIVING)
		v2s_put_on_grown(r);
	else
		v2s_event(r, V2S_PUT_ON_READY);
}

static void
on_committed(struct v2s_request *r, enum ftx_rc rc)
{
	if (rc == FTX_OK)
		v2s_event(r, V2S_PUT_ON_PUBLISHED);
	else
		refuse(r, rc);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)t;
	switch (op) {
	case TRANSFER_OPEN:
		on_opened(r, rc);
		break;
	case TRANSFER_PREFIX:
		v2s_put_on_summed(r, rc);
		break;
	case TRANSFER_WRITE:
		v2s_put_on_written(r, rc);
		break;
	case TRANSFER_COMMIT:
		on_committed(r, rc);
		break;
	case TRANSFER_RESERVE:
	default:
		on_reserved(r, rc);
		break;
	}
	v2s_run(c);
}

/* The content that is at hand is the transfer's from here on. */
static enum ftx_rc
put_whole(struct v2s_request *r, const struct put_spec *spec)
{
	size_t len = r->content.len;
	enum ftx_rc rc;

	r->content.digest = r->sum;
	rc =
	    store_put_whole(r->c->server->store, spec, &r->content, on_store_done, r, &r->transfer);
	if (rc == FTX_OK) {
		conn_add_content(r->c->conn, len);
		v2s_put_free_when_written(r);
	}
	return rc;
}

/*
 * The name is this request's from here on, as long as its transfer is there. whole: all of its
 * content is at hand.
 */
static enum ftx_rc
begin_transfer(struct v2s_request *r, bool whole)
{
	struct put_spec spec = make_spec(r);
	struct registry_claim *claim;
	struct upload_terms terms;
	enum ftx_rc rc = v2s_put_claim(r, &claim);

	if (rc != FTX_OK)
		return rc;
	if (v2s_put_has_key(r)) {
		v2s_put_terms(r, &terms);
		spec.upload = &terms;
	}
	if (whole)
		rc = put_whole(r, &spec);
	else
		rc = store_put(r->c->server->store, &spec, on_store_done, r, &r->transfer);
	if (rc == FTX_OK) {
		v2s_lend_share(r);
		transfer_set_claim(r->transfer, claim, registry_release);
		r->transfer->on_taken = v2s_put_on_taken;
	} else
		registry_release(claim);
	return rc;
}

static void
open_stage(struct v2s_request *r)
{
	enum ftx_rc rc = digest_init(&r->digest, (enum digest_kind)r->m.put.digest_kind);

	if (rc == FTX_OK)
		rc = begin_transfer(r, false);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

/* Nothing will be published by that, so the name is not claimed. */
void
v2s_put_look_up(struct v2s_request *r)
{
	struct put_spec spec = make_spec(r);
	struct upload_terms terms;
	enum ftx_rc rc;

	v2s_put_terms(r, &terms);
	spec.upload = &terms;
	r->looks_up = true;
	rc = store_put(r->c->server->store, &spec, on_store_done, r, &r->transfer);
	if (rc == FTX_OK) {
		v2s_lend_share(r);
		r->transfer->on_taken = v2s_put_on_taken;
	} else
		v2s_refuse(r, rc);
}

void
v2s_put_go_on(struct v2s_request *r)
{
	v2s_leave_place(r);
	if (v2s_put_is_small(r))
		v2s_event(r, V2S_PUT_ON_READY);
	else
		v2s_want_place(r, v2s_put_has_now(r) ? V2S_NOW : V2S_HEADS, open_stage);
}

static void
check(struct v2s_request *r)
{
	if (may_be_same(r))
		v2s_put_check_same(r);
	else
		v2s_put_go_on(r);
}

static void
commit_whole(struct v2s_request *r)
{
	enum ftx_rc rc = begin_transfer(r, true);

	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

static void
commit(struct v2s_request *r)
{
	if (v2s_put_is_small(r)) {
		v2s_want_place(r, V2S_NOW, commit_whole);
		return;
	}
	if (v2s_put_is_stream(r))
		store_end_here(r->transfer);
	store_set_digest(r->transfer, &r->sum);
	store_commit(r->transfer);
	/* It waits for a disk, and not for the client, who may send the next one meanwhile. */
	if (r->place == V2S_HEADS)
		v2s_move_place(r, V2S_PUBLISHING);
}

const struct v2s_kind v2s_put_kind = { states, rows, sizeof(rows) / sizeof(rows[0]), take, start,
	cancel };
