/* Protocol 2, the server: requests, from their message to their result. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/registry.h"
#include "net/conn.h"
#include "v2/server_private.h"

#define NAME_TEXT 800 /* of a name in the log: two of them fit into a line */
#define LINE_TEXT (2 * NAME_TEXT + 200)
/* In a minute, of what a connection is refused: to be that costs it next to nothing. */
#define REFUSED_LINES 100

struct v2s_request *
v2s_find(const struct v2s_conn *c, uint16_t id)
{
	struct v2s_request *r;

	SLIST_FOREACH (r, &c->ids[id % V2S_IDS], same) {
		if (r->id == id)
			break;
	}
	return r;
}

/* Nothing behind it begins before it does, and it waits for all before it. */
static bool
is_barrier(const struct v2s_request *r)
{
	return r->type == V2_AUTH || (r->flags & V2_BARRIER) != 0;
}

struct v2s_request *
v2s_request_new(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2s_request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->c = c;
	r->id = f->id;
	r->type = f->type;
	r->flags = f->flags;
	SLIST_INSERT_HEAD(&c->ids[r->id % V2S_IDS], r, same);
	TAILQ_INSERT_TAIL(&c->order, r, link);
	c->live++;
	c->unstarted++;
	c->barriers += is_barrier(r) ? 1 : 0;
	if (r->type == V2_PUT && (r->flags & V2_PUT_NOW) == 0) {
		r->is_head = true;
		c->heads++;
	}
	return r;
}

void
v2s_event(struct v2s_request *r, uint8_t event)
{
	for (size_t i = 0; i < r->kind->row_count; i++) {
		const struct v2s_row *row = &r->kind->rows[i];

		if (row->state != r->state || row->event != event)
			continue;
		if (row->next != V2S_STAY) {
			r->state = row->next;
			log_debug("conn=%" PRIu64 " request=%u changed status to: %s",
			    conn_id(r->c->conn), r->id, r->kind->states[r->state]);
		}
		if (row->action != NULL)
			row->action(r);
		return;
	}
	/* Only our own operations are told here, and each has its row. */
	v2s_refuse(r, FTX_INTERNAL);
}

/* What it has of the store. keep: what can be gone on with later stays. */
static void
let_go(struct v2s_request *r, bool keep)
{
	struct v2s_conn *c = r->c;

	v2s_leave_place(r);
	v2s_put_unbuffer(r);
	if (c->filling == r)
		c->filling = NULL;
	put_content_free(&r->content, c->worker);
	if (c->receiver == r) {
		if (c->receiving == r) {
			/* What of the frame has not come yet is not wanted any more. */
			c->skip = pump_to_come(&c->receive);
			conn_set_bulk_input(c->conn, false);
			c->receiving = NULL;
		}
		pump_stop(&c->receive);
		c->receiver = NULL;
		conn_set_reads_on(c->conn, false);
	}
	v2s_get_stop(r);
	store_request_close(r->asked);
	r->asked = NULL;
	/* Whoever hears the result may use the name at once; but what is published has it. */
	if (r->transfer != NULL && r->transfer->op != TRANSFER_COMMIT)
		transfer_release_claim(r->transfer);
	if (r->transfer != NULL && !keep)
		store_drop(r->transfer);
	store_close(r->transfer);
	r->transfer = NULL;
	digest_clear(&r->digest);
	r->prefix_due = false;
}

static void
request_reap(struct grave *g)
{
	struct v2s_request *r = (struct v2s_request *)g; /* its first member */

	free(r->name);
	free(r->to);
	free(r);
}

/* Who called us may look at it until the end of the turn. */
static void
forget(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;

	SLIST_REMOVE(&c->ids[r->id % V2S_IDS], r, v2s_request, same);
	c->live--;
	r->grave.reap = request_reap;
	worker_bury(c->worker, &r->grave);
}

static void
leave_heads(struct v2s_request *r)
{
	if (r->is_head)
		r->c->heads--;
	r->is_head = false;
}

static void
set_started(struct v2s_request *r)
{
	if (r->started)
		return;
	r->started = true;
	r->c->unstarted--;
	r->c->barriers -= is_barrier(r) ? 1 : 0;
}

/* Whatever it is: from here on nothing of it is left but an END that is owed. */
static void
end_request(struct v2s_request *r, bool keep)
{
	struct v2s_conn *c = r->c;

	assert(!r->answered);
	let_go(r, keep);
	leave_heads(r);
	set_started(r);
	r->answered = true;
	TAILQ_REMOVE(&c->order, r, link);
	if (!r->owes_end)
		forget(r);
	else
		log_debug("conn=%" PRIu64 " request=%u changed status to: put_discarding",
		    conn_id(c->conn), r->id);
	c->again = true;
}

static void
answer_cancel(struct v2s_conn *c, uint16_t id)
{
	static const struct v2_done done = { 0 };

	if (id != 0)
		v2s_send(c, V2_MESSAGE_cancel_ok, &done, 0, id);
}

/* What an operator wants to know later: what was to be changed, and what was not given. */
static bool
is_news(const struct v2s_request *r, enum ftx_rc rc)
{
	switch (r->type) {
	case V2_PUT:
	case V2_MKDIR:
	case V2_RENAME:
	case V2_REMOVE:
		return true;
	case V2_GET:
		return rc != FTX_OK;
	default:
		return false;
	}
}

/* After so many lines, one says that there are no more. */
static bool
is_told(struct v2s_conn *c)
{
	if (log_is_due(&c->refused_due))
		c->refused = 0;
	if (c->refused == REFUSED_LINES)
		log_info("conn=%" PRIu64 " is refused more than %d requests in a minute: the rest "
			 "is left out",
		    conn_id(c->conn), REFUSED_LINES);
	return c->refused++ < REFUSED_LINES;
}

static void
log_result(const struct v2s_request *r, enum ftx_rc rc)
{
	bool news = is_news(r, rc) && (rc == FTX_OK || is_told(r->c)), is_put = r->type == V2_PUT;
	uint64_t bytes = is_put && V2_HAS(&r->m.put, SIZE) ? r->m.put.size : r->received;
	char name[NAME_TEXT] = "-", to[NAME_TEXT] = "", size[32] = "", line[LINE_TEXT];

	if (!news && !log_is_debug())
		return; /* quoting takes its time */
	if (r->name != NULL)
		log_quote(name, sizeof(name), r->name, strlen(r->name));
	if (r->to != NULL)
		log_quote(to, sizeof(to), r->to, strlen(r->to));
	if (is_put)
		snprintf(size, sizeof(size), " bytes=%" PRIu64, bytes);
	snprintf(line, sizeof(line), "conn=%" PRIu64 " request=%u op=%s name=%s%s%s%s reason=%s",
	    conn_id(r->c->conn), r->id, v2_type_name(r->type), name, *to != '\0' ? " to=" : "", to,
	    size, ftx_rc_name(rc));
	if (news)
		log_info("%s", line);
	else
		log_debug("%s", line);
}

static void
refuse_id(struct v2s_conn *c, uint16_t id, enum ftx_rc why)
{
	const struct v2_error e = { .has = V2_BIT(CODE), .code = (uint16_t)v2_code_from_rc(why) };

	v2s_send(c, V2_MESSAGE_error, &e, 0, id);
}

void
v2s_answer(struct v2s_request *r, enum v2_message_id message, const void *m, uint8_t flags)
{
	uint16_t cancel_id = r->cancel_id;
	struct v2s_conn *c = r->c;

	log_result(r, FTX_OK);
	if (m != NULL)
		v2s_send(c, message, m, flags, r->id);
	if (c->closed)
		return;
	end_request(r, false);
	if (cancel_id != 0)
		refuse_id(c, cancel_id, FTX_TOO_LATE);
}

void
v2s_refuse(struct v2s_request *r, enum ftx_rc why)
{
	uint16_t cancel_id = r->cancel_id;
	struct v2s_conn *c = r->c;

	log_result(r, why);
	refuse_id(c, r->id, why);
	if (c->closed)
		return;
	end_request(r, v2_code_keeps_upload((uint16_t)v2_code_from_rc(why)));
	answer_cancel(c, cancel_id);
}

void
v2s_want_prefix(struct v2s_request *r, uint64_t len, enum digest_kind kind)
{
	r->prefix_due = true;
	r->prefix_at = worker_now(r->c->worker);
	r->prefix_len = len;
	r->prefix_kind = kind;
}

void
v2s_content_ended(struct v2s_request *r)
{
	leave_heads(r);
	r->owes_end = false;
	if (r->answered)
		forget(r);
}

/*
 * AUTH, which nobody can pass yet: nothing behind it may ever run as somebody else than was meant.
 */
void
v2s_fail_auth(struct v2s_conn *c)
{
	struct v2s_request *r;

	if (c->auth_due == NULL || c->closed || c->state == V2S_CLOSING)
		return;
	v2s_refuse(c->auth_due, c->auth_due->refusal);
	while (!c->closed && (r = TAILQ_FIRST(&c->order)) != NULL)
		v2s_refuse(r, FTX_UNAUTHENTICATED);
	v2s_fail(c, FTX_UNAUTHENTICATED, 0);
}

/* They begin in their order, so those that have not are the last ones. */
static struct v2s_request *
first_unstarted(const struct v2s_conn *c)
{
	struct v2s_request *r = TAILQ_LAST(&c->order, v2s_requests);

	for (unsigned n = c->unstarted; n > 1; n--)
		r = TAILQ_PREV(r, v2s_requests, link);
	return c->unstarted > 0 ? r : NULL;
}

/*
 * In the order in which they came; one with a barrier when it is the first of those that are not
 * answered.
 */
void
v2s_start_ready(struct v2s_conn *c)
{
	struct v2s_request *r, *next;

	if (c->state == V2S_CLOSING)
		return; /* what was wrong may be one of them */
	v2s_give_places(c);
	for (r = first_unstarted(c); r != NULL && c->unstarted > 0 && !c->closed; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->started)
			continue;
		if (is_barrier(r) && r != TAILQ_FIRST(&c->order))
			return;
		if (r->type == V2_AUTH) {
			c->auth_due = r;
			return;
		}
		set_started(r);
		r->kind->start(r);
	}
}

bool
v2s_stands_in_the_way(const struct v2s_request *r)
{
	const struct v2s_conn *c = r->c;
	const struct v2s_request *barrier = NULL, *q;

	if (c->barriers == 0)
		return false;
	/* The last barrier that waits: itself, or one before it. */
	TAILQ_FOREACH (q, &c->order, link) {
		if (!q->started && is_barrier(q))
			barrier = q;
	}
	TAILQ_FOREACH (q, &c->order, link) {
		if (q == barrier)
			break;
		if (q->is_head || v2s_get_waits_for_client(q))
			return true;
	}
	return false;
}

void
v2s_cancel(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2_cancel m;
	struct v2_fault fault = v2_cancel_decode(f, &c->terms, &m);
	struct v2s_request *r;

	if (v2s_find(c, f->id) != NULL) {
		v2s_fail(c, FTX_ID_IN_USE, f->id);
		return;
	}
	if (fault.reach != V2_REACH_NONE) {
		refuse_id(c, f->id, fault.rc);
		return;
	}
	r = v2s_find(c, m.target);
	if (r == NULL || r->answered || r->cancel_id != 0 || r->type == V2_AUTH ||
	    (r->started && !r->kind->cancel(r))) {
		refuse_id(c, f->id, FTX_TOO_LATE);
		return;
	}
	r->cancel_id = f->id;
	if (c->sending && c->sender == r)
		return; /* when its frame is complete */
	v2s_refuse(r, FTX_CANCELLED);
}

void
v2s_requests_clear(struct v2s_conn *c)
{
	struct v2s_request *r;

	for (int i = 0; i < V2S_IDS; i++) {
		while ((r = SLIST_FIRST(&c->ids[i])) != NULL) {
			if (!r->answered) {
				set_started(r);
				let_go(r, true);
				TAILQ_REMOVE(&c->order, r, link);
				r->answered = true;
			}
			forget(r);
		}
	}
	c->heads = 0;
	v2s_cursors_clear(c);
}
