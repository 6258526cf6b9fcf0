/* GET: a download, up to its name. */
#include <string.h>

#include "store/transfer.h"
#include "v2/client_private.h"

enum { GET_INIT, GET_ASKING, GET_ASKING_AGAIN, GET_RECEIVING, GET_PUBLISHING };

static const struct v2_request_state states[] = {
	[GET_INIT] = { "get_init", V2_DOING_WAIT },
	[GET_ASKING] = { "get_asking", V2_DOING_WAIT },
	[GET_ASKING_AGAIN] = { "get_asking_again", V2_DOING_DIGEST },
	[GET_RECEIVING] = { "get_receiving", V2_DOING_MOVE },
	[GET_PUBLISHING] = { "get_publishing", V2_DOING_STORE },
};

static enum ftx_rc send_request(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_file(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_go(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_end(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc publish(struct v2_request *r, const struct v2_frame *f);

/*
 * ERROR ends it from every state. DATA is looked at in get_receiving, and passes by the table, as
 * its payload does. There is no get_hashing: the digest of what a try before has left is kept with
 * it. In get_publishing the server has no part any more.
 */
static const struct v2_step steps[] = {
	/* state              event         action        next */
	{ GET_INIT, V2_ON_TURN, send_request, GET_ASKING },
	{ GET_ASKING, V2_ON_FILE, take_file, V2_STAY },
	{ GET_ASKING_AGAIN, V2_ON_GO, take_go, GET_RECEIVING },
	{ GET_RECEIVING, V2_ON_END, take_end, GET_PUBLISHING },
	{ GET_PUBLISHING, V2_ON_STORED, publish, V2_STAY },
};

static struct v2_get_request *
get_of(struct v2_request *r)
{
	return (struct v2_get_request *)r; /* its first member */
}

enum digest_kind
v2_get_kind(const struct v2_get_request *get)
{
	return get->kind != DIGEST_NONE ? get->kind : DIGEST_XXH128;
}

bool
v2_get_owes_prefix(const struct v2_get_request *get)
{
	return get->resumes && get->r.state < GET_RECEIVING;
}

static void
get_prepare(struct v2_request *r)
{
	struct v2_get_request *get = get_of(r);

	if (get->keeps_part && get->stream == NULL && !get->has_range && get->transfer == NULL &&
	    !get->looked && !get->looking)
		v2_part_look(get);
}

static bool
get_turn(struct v2_request *r)
{
	if (get_of(r)->looking)
		return false;
	if (!v2_client_may_use(r, v2_get_kind(get_of(r))))
		return r->settled;
	v2_request_event(r, V2_ON_TURN, NULL);
	return true;
}

static enum ftx_rc
send_request(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_get_request *get = get_of(r);
	struct v2_client *c = r->client;
	bool ranged = get->has_range;
	const struct v2_get m = {
		.has = V2_BIT(NAME) | V2_BIT(DIGEST_KIND) |
		       (ranged && get->offset > 0 ? V2_BIT(OFFSET) : 0) |
		       (ranged && get->length != UINT64_MAX ? V2_BIT(LENGTH) : 0) |
		       (get->if_version.len > 0 ? V2_BIT(IF_VERSION) : 0) |
		       (get->resumes ? V2_BIT(RESUME) : 0) |
		       (get->resumes && get->vouched ? V2_BIT(FILE_VERSION) : 0),
		.name = { (const uint8_t *)get->name, strlen(get->name) },
		.if_version = get->if_version,
		.file_version = { get->version, get->version_len },
		.offset = ranged ? get->offset : 0,
		.length = ranged && get->length != UINT64_MAX ? get->length : 0,
		.resume = get->resume,
		.digest_kind = (uint8_t)v2_get_kind(get),
	};
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc = v2_client_add_frame(
	    c, frame, v2_get_encode(&m, r->flags, v2_client_next_id(c), frame, sizeof(frame)));

	(void)f;
	if (rc == FTX_OK)
		v2_client_go_live(c, r);
	return rc;
}

/* --- FILE --- */

/* What is there is of no use: from the beginning. */
static void
begin_anew(struct v2_get_request *get)
{
	if (get->transfer != NULL)
		v2_target_rewind(get);
	get->moved = get->resumed = 0;
	digest_clear(&get->running);
	v2_small_choose(get);
}

/* Bytes of content, as FILE says. */
static uint64_t
content_size(const struct v2_get_request *get, uint64_t size)
{
	uint64_t rest;

	if (!get->has_range)
		return size;
	rest = size - get->offset;
	return get->length < rest ? get->length : rest;
}

/* The content begins at `offset` of it. */
static enum ftx_rc
begin_content(struct v2_get_request *get, uint64_t offset)
{
	enum ftx_rc rc = FTX_OK;

	if (offset == 0)
		begin_anew(get);
	if (!get->is_small) /* else it is made at the end, at once */
		rc = digest_init(offset == 0 ? &get->running : &get->sent, v2_get_kind(get));
	if (rc != FTX_OK) { /* no fault of the server's */
		v2_request_fail(&get->r, rc, V2_WHOSE_LOCAL);
		return FTX_OK;
	}
	get->resumed = offset;
	get->left = get->size - offset;
	get->vouched = true;
	if (!get->r.cancelled && !get->r.settled)
		v2_target_open(get);
	return FTX_OK;
}

static bool
is_same_version(const struct v2_get_request *get, struct v2_slice version)
{
	return v2_slice_equal(version, (struct v2_slice){ get->version, get->version_len });
}

/* Whether what there is can become a file of this size. */
static bool
fits(const struct v2_get_request *get, uint64_t size)
{
	return get->reserved ? size == get->transfer->size : get->resume <= size;
}

/* Where the content may begin that comes without a question. */
static enum ftx_rc
check_offset(const struct v2_get_request *get, const struct v2_file *m)
{
	uint64_t asked = get->has_range ? get->offset : 0;

	if (get->resumes && m->offset == get->resume)
		return get->vouched && is_same_version(get, m->file_version) && fits(get, m->size)
			   ? FTX_OK
			   : FTX_PROTOCOL;
	return m->offset == asked && asked <= m->size ? FTX_OK : FTX_PROTOCOL;
}

static enum ftx_rc
send_prefix(struct v2_get_request *get, bool same_size)
{
	struct v2_client *c = get->r.client;
	struct v2_prefix m = { .has = V2_BIT(OFFSET), .offset = get->resume };
	struct digest copy = { 0 };
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc = FTX_OK;

	if (same_size) { /* else what is there cannot become this file */
		rc = digest_copy(&copy, &get->running);
		if (rc == FTX_OK)
			rc = digest_final(&copy, &m.digest);
		m.has |= V2_BIT(DIGEST);
	}
	if (rc == FTX_OK)
		rc = v2_client_add_frame(
		    c, frame, v2_prefix_encode(&m, 0, get->r.id, frame, sizeof(frame)));
	return rc;
}

static void
note_file(struct v2_get_request *get, const struct v2_file *m)
{
	get->file = *m;
	get->version_len = m->file_version.len;
	memmove(get->version, m->file_version.p, m->file_version.len);
	get->file.file_version = (struct v2_slice){ get->version, get->version_len };
	get->size = content_size(get, m->size);
	if (get->on_found != NULL && !get->r.settled && !get->r.cancelled)
		get->on_found(get->r.arg, get);
}

static enum ftx_rc
take_file(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_get_request *get = get_of(r);
	struct v2_client *c = r->client;
	bool asks = (f->flags & V2_FILE_PREFIX) != 0;
	struct v2_file m;
	struct v2_fault fault = v2_file_decode(f, &c->terms, &m);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (V2_HAS(&m, DIGEST) && m.digest.kind != v2_get_kind(get))
		return FTX_PROTOCOL;
	if (asks)
		rc = get->resumes && get->resume <= m.size ? FTX_OK : FTX_PROTOCOL;
	else
		rc = check_offset(get, &m);
	if (rc != FTX_OK)
		return rc;
	note_file(get, &m);
	if (c->conn == NULL) /* who hears of it may end it all */
		return FTX_OK;
	v2_request_set_state(r, asks ? GET_ASKING_AGAIN : GET_RECEIVING);
	if (!asks)
		return begin_content(get, get->has_range ? 0 : m.offset);
	get->vouched = false;
	rc = send_prefix(get, fits(get, get->size));
	if (rc != FTX_OK)
		v2_request_fail(r, rc, V2_WHOSE_LOCAL);
	return FTX_OK;
}

static enum ftx_rc
take_go(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_get_request *get = get_of(r);
	struct v2_offset m;
	struct v2_fault fault = v2_go_decode(f, &r->client->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (m.offset != 0 && (m.offset != get->resume || !fits(get, get->size)))
		return FTX_PROTOCOL;
	return begin_content(get, m.offset);
}

/* --- Content --- */

enum ftx_rc
v2_get_data(struct v2_get_request *get, const struct v2_frame *f)
{
	if (get->r.state != GET_RECEIVING || f->length == 0)
		return FTX_PROTOCOL;
	if (f->length > get->left)
		return FTX_EXCESS;
	if (f->length % V2_BLOCK != 0 && f->length != get->left)
		return FTX_PROTOCOL;
	return FTX_OK;
}

/* Each digest that the server has said, and that the rows ask for. */
static enum ftx_rc
check_digests(struct v2_get_request *get, const struct v2_end *m)
{
	bool whole = !get->has_range;
	struct digest_value sent;
	enum ftx_rc rc;

	if (get->is_small)
		rc = digest_of(v2_get_kind(get), get->small, (size_t)get->moved, &get->digest);
	else
		rc = digest_final(&get->running, &get->digest);
	sent = get->digest;
	if (rc == FTX_OK && get->sent.kind != DIGEST_NONE)
		rc = digest_final(&get->sent, &sent);
	if (rc != FTX_OK)
		return rc;
	if (V2_HAS(m, DIGEST) && !digest_equal(&m->digest, &sent))
		return FTX_DIGEST_MISMATCH;
	if (whole && V2_HAS(&get->file, DIGEST) && !digest_equal(&get->file.digest, &get->digest))
		return FTX_DIGEST_MISMATCH;
	return FTX_OK;
}

/* The content is of no use. */
static void
end_without(struct v2_get_request *get, enum ftx_rc rc, bool retryable)
{
	v2_request_settle(&get->r, &(struct v2_outcome){
				       .rc = rc,
				       .whose = V2_WHOSE_SERVER,
				       .answered = true,
				       .retryable = retryable,
				   });
	v2_request_free_id(&get->r);
	v2_request_end(&get->r);
}

static enum ftx_rc
take_end(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_get_request *get = get_of(r);
	struct v2_client *c = r->client;
	struct v2_end m;
	struct v2_fault fault = v2_get_end_decode(f, &c->terms, &m);
	bool changed = (f->flags & V2_END_CHANGED) != 0;
	bool may_lack = V2_HAS(&get->file, DIGEST) && !get->has_range;
	bool resumed = get->resumed > 0;
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (c->receiving != NULL && c->receiving != get)
		return FTX_PROTOCOL;
	c->receiving = NULL;
	if (changed || r->settled || r->cancelled) {
		end_without(get, changed ? FTX_CHANGED : FTX_CANCELLED, changed);
		return FTX_OK;
	}
	if (get->left > 0)
		return FTX_SIZE_MISMATCH;
	if (!V2_HAS(&m, DIGEST) && !may_lack)
		return FTX_BAD_MESSAGE;
	rc = check_digests(get, &m);
	/* A server that sends wrong digests is to be left; but what we had may be wrong, too. */
	if (rc == FTX_DIGEST_MISMATCH && !resumed)
		return rc;
	if (rc != FTX_OK) {
		end_without(get, rc, rc == FTX_DIGEST_MISMATCH);
		return FTX_OK;
	}
	v2_request_free_id(r);
	v2_request_move(r, &c->settling);
	v2_target_finish(get);
	return FTX_OK;
}

static enum ftx_rc
publish(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_get_request *get = get_of(r);

	(void)f;
	if (get->on_whole == NULL)
		return v2_target_publish(get);
	get->on_whole(r->arg, get);
	return FTX_OK;
}

void
v2_get_publish(struct v2_get_request *get)
{
	enum ftx_rc rc = v2_target_publish(get);

	if (rc != FTX_OK)
		v2_request_fail(&get->r, rc, V2_WHOSE_LOCAL);
}

/* --- Its end --- */

static bool
get_let_go(struct v2_request *r)
{
	return v2_target_let_go(get_of(r));
}

const struct v2_request_ops v2_get_ops = {
	.states = states,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.prepare = get_prepare,
	.turn = get_turn,
	.let_go = get_let_go,
	.give_up = v2_request_send_cancel,
};

/* What an earlier try has left, and still fits what is asked. */
static bool
can_resume(const struct v2_get_request *get)
{
	return get->transfer != NULL && get->moved > 0 && !get->has_range &&
	       get->running.kind == v2_get_kind(get);
}

void
v2_client_get(struct v2_client *c, struct v2_get_request *get)
{
	get->resumes = can_resume(get);
	if (!get->resumes)
		v2_get_clear(get);
	else if (get->chunk != NULL)
		c->writing++;
	get->resume = get->resumes ? get->moved : 0;
	get->moved = get->resume;
	get->resumed = 0;
	get->size = UINT64_MAX;
	get->opened = get->opening = get->writing = get->finishing = get->stalled = false;
	get->is_small = get->looking = get->looked = false;
	v2_client_submit(c, &get->r, &v2_get_ops, V2_GET, get->flags);
}

void
v2_request_continue(struct v2_request *r)
{
	if (r->client == NULL || r->settled)
		return;
	if (r->ops == &v2_put_ops)
		v2_source_continue((struct v2_put_request *)r);
	else if (r->ops == &v2_get_ops)
		v2_target_continue((struct v2_get_request *)r);
}
