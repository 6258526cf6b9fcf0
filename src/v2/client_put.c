/* PUT: an upload, up to its receipt. */
#include <stdlib.h>
#include <string.h>

#include "loop/chunk.h"
#include "store/digest_trail.h"
#include "v2/client_private.h"
#include "v2/result.h"

enum {
	PUT_INIT,
	PUT_ASKING,
	PUT_HASHING,
	PUT_ASKING_AGAIN,
	PUT_SENDING,
	PUT_CONFIRMING,
	PUT_VERIFYING
};

static const struct v2_request_state states[] = {
	[PUT_INIT] = { "put_init", V2_DOING_WAIT },
	[PUT_ASKING] = { "put_asking", V2_DOING_WAIT },
	[PUT_HASHING] = { "put_hashing", V2_DOING_DIGEST },
	[PUT_ASKING_AGAIN] = { "put_asking_again", V2_DOING_DIGEST },
	[PUT_SENDING] = { "put_sending", V2_DOING_MOVE },
	[PUT_CONFIRMING] = { "put_confirming", V2_DOING_STORE },
	[PUT_VERIFYING] = { "put_verifying", V2_DOING_DIGEST },
};

static enum ftx_rc send_head(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc send_now(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_have(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc send_prefix(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_go(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_early_ok(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_receipt(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc verify(struct v2_request *r, const struct v2_frame *f);

/*
 * ERROR ends it from every state. What was given up waits for its final result where it is. With
 * NOW the content is on its way in the same moment as the head, so nothing can come in between. An
 * OK before the END says that the file was published before: then our own is read, up to its end,
 * to see that it is the same (put_verifying, in which the server has no part).
 */
static const struct v2_step steps[] = {
	/* state              event         action         next */
	{ PUT_INIT, V2_ON_TURN, send_head, PUT_ASKING },
	{ PUT_INIT, V2_ON_NOW, send_now, PUT_CONFIRMING },
	{ PUT_ASKING, V2_ON_HAVE, take_have, PUT_HASHING },
	{ PUT_ASKING, V2_ON_GO, take_go, PUT_SENDING },
	{ PUT_ASKING, V2_ON_OK, take_early_ok, PUT_VERIFYING },
	{ PUT_HASHING, V2_ON_DIGEST, send_prefix, PUT_ASKING_AGAIN },
	{ PUT_HASHING, V2_ON_OK, take_early_ok, PUT_VERIFYING },
	{ PUT_ASKING_AGAIN, V2_ON_GO, take_go, PUT_SENDING },
	{ PUT_ASKING_AGAIN, V2_ON_OK, take_early_ok, PUT_VERIFYING },
	{ PUT_SENDING, V2_ON_SENT, NULL, PUT_CONFIRMING },
	{ PUT_SENDING, V2_ON_OK, take_early_ok, PUT_VERIFYING },
	{ PUT_CONFIRMING, V2_ON_OK, take_receipt, V2_STAY },
	{ PUT_VERIFYING, V2_ON_DIGEST, verify, V2_STAY },
};

static struct v2_put_request *
put_of(struct v2_request *r)
{
	return (struct v2_put_request *)r; /* its first member */
}

enum digest_kind
v2_put_kind(const struct v2_put_request *put)
{
	if (put->digest.kind != DIGEST_NONE)
		return put->digest.kind;
	return put->kind != DIGEST_NONE ? put->kind : DIGEST_XXH128;
}

/* --- Its turn --- */

static uint64_t
now_max(const struct v2_put_request *put)
{
	const struct v2_client *c = put->r.client;

	/* Who may have it already is asked first; a stream has to be. */
	if (put->ask_first || put->stream != NULL || put->policy > V2_REPLACE)
		return 0;
	return c->limits.max_now < NOW_MAX ? c->limits.max_now : NOW_MAX;
}

static bool
goes_now(const struct v2_put_request *put)
{
	return now_max(put) > 0 && put->size <= now_max(put);
}

static void
put_prepare(struct v2_request *r)
{
	v2_source_prepare(put_of(r), now_max(put_of(r)));
}

/* A barrier might have to wait for it yet: it is a head, or part of its content is to come. */
static bool
owes_content(const struct v2_put_request *put)
{
	return put->r.state < PUT_CONFIRMING;
}

/* Content must not stand in the way of what a barrier waits for. */
static bool
barrier_allows_now(const struct v2_request *r)
{
	const struct v2_client *c = r->client;

	if (c->barriers == 0 && (r->flags & V2_BARRIER) == 0)
		return true;
	for (unsigned id = 1; id <= LIVE_MAX; id++) {
		const struct v2_request *other = c->slots[id];

		if (other == NULL)
			continue;
		if (other->ops == &v2_put_ops && owes_content((const struct v2_put_request *)other))
			return false;
		if (other->ops == &v2_get_ops &&
		    v2_get_owes_prefix((const struct v2_get_request *)other))
			return false;
	}
	return true;
}

/* The server has said that it takes none of that size. */
static bool
is_too_large(const struct v2_put_request *put)
{
	const struct v2_client *c = put->r.client;

	return c->greeted && c->info.has_max_file && put->size != UINT64_MAX &&
	       put->size > c->info.max_file;
}

static bool
put_turn(struct v2_request *r)
{
	struct v2_put_request *put = put_of(r);
	struct v2_client *c = r->client;

	if (!put->opened)
		return r->settled;
	if (!v2_client_may_use(r, v2_put_kind(put)))
		return r->settled;
	if (is_too_large(put)) {
		v2_request_settle(r,
		    &(struct v2_outcome){
			.rc = FTX_TOO_LARGE, .whose = V2_WHOSE_SERVER, .code = V2_CODE_TOO_LARGE });
		v2_request_drop(r);
		return true;
	}
	if (!goes_now(put)) {
		if (put->reading || c->heads >= V2_HEADS_MAX)
			return false;
		v2_request_event(r, V2_ON_TURN, NULL);
		return true;
	}
	if (!v2_client_content_is_free(c) || !barrier_allows_now(r) ||
	    (c->unasked > 0 && c->unasked + put->size > WINDOW_MAX))
		return false;
	if (v2_source_whole(put, &put->whole) == V2_FILL_LATER)
		return r->settled;
	v2_request_event(r, V2_ON_NOW, NULL);
	return true;
}

static bool
put_may_pass(struct v2_request *r)
{
	return put_of(r)->opened && !goes_now(put_of(r));
}

static enum ftx_rc
send_head(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	enum ftx_rc rc = v2_put_add_head(put, 0);

	(void)f;
	if (rc != FTX_OK)
		return rc;
	v2_client_go_live(r->client, r);
	put->is_head = true;
	r->client->heads++;
	return FTX_OK;
}

/* What the caller said of the content, and what was read. */
static enum ftx_rc
check_own(const struct v2_put_request *put)
{
	return put->digest.kind == DIGEST_NONE || digest_equal(&put->digest, &put->own)
		   ? FTX_OK
		   : FTX_CHANGED;
}

static enum ftx_rc
send_now(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	struct v2_client *c = r->client;
	size_t size = (size_t)put->size;
	enum ftx_rc rc = digest_of(v2_put_kind(put), put->whole, size, &put->own);

	(void)f;
	if (rc == FTX_OK)
		rc = check_own(put);
	if (rc == FTX_OK)
		rc = v2_put_add_head(put, V2_PUT_NOW);
	if (rc != FTX_OK)
		return rc;
	v2_client_go_live(c, r);
	rc = v2_put_add_content(put, put->whole, size);
	if (rc == FTX_OK)
		rc = v2_put_add_end(put);
	if (rc != FTX_OK) /* half of it may be said */
		v2_client_fail(c, rc, V2_WHOSE_LOCAL, false);
	else {
		put->moved = r->unasked = size;
		c->unasked += size;
		v2_source_let_go(put);
	}
	return FTX_OK;
}

/* --- What the server says --- */

static enum ftx_rc
take_have(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	struct v2_offset m;
	struct v2_fault fault = v2_have_decode(f, &r->client->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (put->stream != NULL || !put->has_upload_id || m.offset > put->size ||
	    (m.offset != put->size && m.offset % V2_BLOCK != 0))
		return FTX_PROTOCOL;
	put->have = m.offset;
	if (!r->settled && !r->cancelled)
		v2_source_digest(put, put->have);
	return FTX_OK;
}

static enum ftx_rc
send_prefix(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	struct v2_prefix m = { .has = V2_BIT(OFFSET) | V2_BIT(DIGEST), .offset = put->have };
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc = v2_source_sum(put, &m.digest);

	(void)f;
	if (rc != FTX_OK)
		return rc;
	return v2_client_add_frame(
	    r->client, frame, v2_prefix_encode(&m, 0, r->id, frame, sizeof(frame)));
}

static void
no_head_any_more(struct v2_put_request *put)
{
	if (!put->is_head)
		return;
	put->is_head = false;
	put->r.client->heads--;
}

/* An END is owed, and nothing is to be sent any more. */
static void
abort_content(struct v2_put_request *put)
{
	struct v2_client *c = put->r.client;
	uint16_t id = put->owed_id;

	put->owed_id = 0;
	no_head_any_more(put);
	if (id != 0 && c->conn != NULL)
		v2_client_send_abort(c, id); /* behind the frame that is under way */
}

static enum ftx_rc
take_go(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	struct v2_offset m;
	struct v2_fault fault = v2_go_decode(f, &r->client->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (m.offset != 0 && (put->have == 0 || m.offset != put->have))
		return FTX_PROTOCOL;
	put->owed_id = r->id;
	if (r->settled || r->cancelled) { /* they have crossed */
		abort_content(put);
		v2_request_set_state(r, PUT_CONFIRMING);
		return FTX_OK;
	}
	if (m.offset == 0)
		v2_source_rewind(put);
	put->resumed = put->moved = put->arrived = m.offset;
	v2_request_move(r, &r->client->going);
	v2_client_soon(r->client);
	return FTX_OK;
}

/* Before GO it is something else that is being worked on. */
enum ftx_rc
v2_put_progress(struct v2_put_request *put, uint64_t done)
{
	if (put->r.state != PUT_SENDING)
		return FTX_OK;
	if (done > put->moved || done < put->arrived)
		return FTX_PROTOCOL;
	put->arrived = done;
	v2_client_soon(put->r.client);
	return FTX_OK;
}

void
v2_put_send_end(struct v2_put_request *put)
{
	enum ftx_rc rc = check_own(put);

	if (rc == FTX_OK)
		rc = v2_put_add_end(put);
	if (rc != FTX_OK) {
		v2_request_fail(&put->r, rc, V2_WHOSE_LOCAL);
		return;
	}
	put->owed_id = 0;
	no_head_any_more(put);
	v2_request_move(&put->r, NULL);
	v2_source_let_go(put);
	v2_request_event(&put->r, V2_ON_SENT, NULL);
	v2_client_soon(put->r.client);
}

/* --- The receipt --- */

/* What was published under this id is not what is here now. */
static void
end_with_another(struct v2_request *r)
{
	v2_request_settle(r, &(struct v2_outcome){
				 .rc = FTX_DIGEST_MISMATCH,
				 .whose = V2_WHOSE_SERVER,
				 .answered = true,
			     });
	v2_request_end(r);
}

static enum ftx_rc
take_receipt(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	enum ftx_rc rc = v2_put_copy_receipt(put, f);

	if (rc != FTX_OK)
		return rc;
	if (r->settled || v2_put_receipt_is_right(put))
		v2_request_succeed(r);
	else if (put->has_upload_id && put->stream == NULL) {
		v2_request_free_id(r);
		end_with_another(r);
	} else
		return FTX_DIGEST_MISMATCH;
	return FTX_OK;
}

static enum ftx_rc
take_early_ok(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	enum ftx_rc rc = v2_put_copy_receipt(put, f);

	if (rc != FTX_OK)
		return rc;
	v2_request_free_id(r);
	abort_content(put);
	if (r->settled) {
		v2_request_end(r);
		return FTX_OK;
	}
	v2_request_move(r, &r->client->settling);
	if (put->digest.kind != DIGEST_NONE) {
		put->own = put->digest;
		v2_request_event(r, V2_ON_DIGEST, NULL);
	} else
		v2_source_digest(put, UINT64_MAX);
	return FTX_OK;
}

static enum ftx_rc
verify(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_put_request *put = put_of(r);
	enum ftx_rc rc = FTX_OK;

	(void)f;
	if (put->digest.kind == DIGEST_NONE)
		rc = v2_source_sum(put, &put->own);
	if (rc != FTX_OK)
		return rc;
	if (v2_put_receipt_is_right(put))
		v2_request_succeed(r);
	else
		end_with_another(r);
	return FTX_OK;
}

/* --- Its end --- */

static bool
put_let_go(struct v2_request *r)
{
	abort_content(put_of(r));
	v2_source_let_go(put_of(r));
	return true;
}

static void
put_give_up(struct v2_request *r)
{
	struct v2_put_request *put = put_of(r);

	if (put->owed_id == 0) {
		v2_request_send_cancel(r);
		return;
	}
	v2_request_move(r, NULL);
	abort_content(put);
	v2_source_let_go(put);
	v2_request_event(r, V2_ON_SENT, NULL);
}

const struct v2_request_ops v2_put_ops = {
	.states = states,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.prepare = put_prepare,
	.turn = put_turn,
	.may_pass = put_may_pass,
	.let_go = put_let_go,
	.give_up = put_give_up,
};

void
v2_client_put(struct v2_client *c, struct v2_put_request *put)
{
	put->size = UINT64_MAX;
	put->moved = put->resumed = put->offset = put->have = 0;
	put->own.kind = DIGEST_NONE;
	put->owed_id = 0;
	put->opening = put->opened = put->reading = put->digesting = put->all_read = false;
	put->is_head = put->is_small = false;
	v2_client_submit(c, &put->r, &v2_put_ops, V2_PUT, put->flags);
}

void
v2_put_again(struct v2_put_request *put)
{
	free(put->receipt.name);
	put->receipt = (struct v2_receipt_copy){ 0 };
}

void
v2_put_clear(struct v2_put_request *put)
{
	v2_put_again(put);
	digest_trail_clear(&put->trail);
}
