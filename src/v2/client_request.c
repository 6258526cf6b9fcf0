/* A request's life: what leads where is said by its table, and every way ends in on_done. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "v2/client_private.h"
#include "v2/result.h"

void
v2_request_move(struct v2_request *r, struct v2_requests *to)
{
	if (r->in != NULL)
		TAILQ_REMOVE(r->in, r, link);
	r->in = to;
	if (to != NULL)
		TAILQ_INSERT_TAIL(to, r, link);
}

void
v2_request_set_state(struct v2_request *r, uint8_t state)
{
	r->state = state;
	if (log_is_debug() && r->client->conn != NULL)
		log_debug("conn=%" PRIu64 " id=%u changed status to: %s", conn_id(r->client->conn),
		    r->id, r->ops->states[state].name);
}

static const struct v2_step *
find_step(const struct v2_request *r, enum v2_request_event event)
{
	for (size_t i = 0; i < r->ops->step_count; i++) {
		const struct v2_step *s = &r->ops->steps[i];

		if (s->state == r->state && s->event == event)
			return s;
	}
	return NULL;
}

static bool
is_message(enum v2_request_event event)
{
	return event >= V2_ON_OK && event <= V2_ON_END;
}

void
v2_request_event(struct v2_request *r, enum v2_request_event event, const struct v2_frame *f)
{
	const struct v2_step *s = find_step(r, event);
	struct v2_client *c = r->client;
	enum ftx_rc rc = s == NULL && is_message(event) ? FTX_PROTOCOL : FTX_OK;

	if (s != NULL) {
		/* Before the action, which may be the last that there is of the request. */
		if (s->next != V2_STAY)
			v2_request_set_state(r, s->next);
		if (s->action != NULL)
			rc = s->action(r, f);
	}
	if (rc == FTX_OK)
		return;
	if (is_message(event))
		v2_client_fail(c, rc, V2_WHOSE_CONNECTION, true);
	else
		v2_request_fail(r, rc, V2_WHOSE_LOCAL);
}

void
v2_request_settle(struct v2_request *r, const struct v2_outcome *o)
{
	if (r->settled)
		return;
	r->settled = true;
	r->outcome = *o;
	r->outcome.sent = r->sent;
	r->outcome.text = (struct v2_slice){ NULL, 0 };
	if (o->text.len == 0)
		return;
	r->text = malloc(o->text.len); /* NULL: it does without */
	if (r->text != NULL) {
		memcpy(r->text, o->text.p, o->text.len);
		r->outcome.text = (struct v2_slice){ (const uint8_t *)r->text, o->text.len };
	}
}

void
v2_request_done(struct v2_request *r)
{
	struct v2_client *c = r->client;
	struct v2_outcome o = r->outcome;
	char *text = r->text;

	assert(r->settled && r->id == 0);
	v2_request_move(r, NULL);
	r->client = NULL;
	r->text = NULL;
	c->held--;
	v2_client_soon(c);
	r->on_done(r->arg, r, &o);
	free(text);
}

void
v2_request_done_soon(struct v2_request *r)
{
	v2_request_move(r, &r->client->done);
	v2_client_soon(r->client);
}

void
v2_request_end(struct v2_request *r)
{
	v2_request_move(r, NULL);
	if (r->ops->let_go(r))
		v2_request_done(r);
}

void
v2_request_drop(struct v2_request *r)
{
	r->client->queued--;
	v2_request_move(r, NULL);
	if (r->ops->let_go(r))
		v2_request_done_soon(r);
}

void
v2_request_free_id(struct v2_request *r)
{
	struct v2_client *c = r->client;

	if (r->id == 0)
		return;
	c->slots[r->id] = NULL;
	c->live--;
	c->unasked -= r->unasked;
	r->unasked = 0;
	if ((r->flags & V2_BARRIER) != 0)
		c->barriers--;
	r->id = 0;
	v2_client_soon(c);
}

void
v2_request_succeed(struct v2_request *r)
{
	v2_request_free_id(r);
	v2_request_settle(r, &(struct v2_outcome){ .rc = FTX_OK, .answered = true });
	v2_request_end(r);
}

void
v2_request_error(struct v2_request *r, const struct v2_error *m)
{
	const struct v2_outcome o = {
		.rc = v2_code_rc(m->code),
		.whose = V2_WHOSE_SERVER,
		.answered = true,
		.retryable = v2_code_is_retryable(m->code),
		.code = m->code,
		.retry_after = V2_HAS(m, RETRY_AFTER) ? m->retry_after : 0,
		.text = m->text,
	};

	v2_request_settle(r, &o);
	r->outcome.answered = true;
	v2_request_free_id(r);
	v2_request_end(r);
}

void
v2_request_fail(struct v2_request *r, enum ftx_rc rc, enum v2_whose whose)
{
	v2_request_settle(r, &(struct v2_outcome){ .rc = rc, .whose = whose });
	if (!r->sent)
		v2_request_drop(r);
	else if (r->id == 0)
		v2_request_end(r);
	else
		r->ops->give_up(r);
}

void
v2_request_send_cancel(struct v2_request *r)
{
	const struct v2_cancel m = { V2_BIT(TARGET), r->id };
	struct v2_client *c = r->client;
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc;

	if (c->cancelling[r->id])
		return;
	c->cancelling[r->id] = true;
	rc = v2_client_add_frame(
	    c, frame, v2_cancel_encode(&m, 0, (uint16_t)(CANCEL_ID + r->id), frame, sizeof(frame)));
	if (rc != FTX_OK)
		v2_client_fail(c, rc, V2_WHOSE_LOCAL, false);
}

void
v2_client_cancel(struct v2_request *r)
{
	const struct v2_outcome o = { .rc = FTX_CANCELLED };

	if (r->client == NULL || r->cancelled || r->settled || r->type == V2_PING)
		return;
	r->cancelled = true;
	if (r->id != 0) {
		r->ops->give_up(r);
		return;
	}
	v2_request_settle(r, &o);
	if (!r->sent) {
		v2_request_drop(r);
		return;
	}
	v2_request_move(r, NULL);
	if (r->ops->let_go(r))
		v2_request_done_soon(r);
}
