/*
 * The connection's life:
 *
 *   greeting     preface and HELLO are sent, and requests within the limits that hold before the
 *                server's HELLO
 *   open         that has come
 *   parting      GOODBYE has come: no new requests
 *   half_closed  nothing is left to ask: our FIN is sent
 *   closed       requests end; when the last one has, the owner hears of it
 */
#include "v2/client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "loop/chunk.h"
#include "v2/client_private.h"

static const char *const state_names[] = {
	[GREETING] = "greeting",
	[OPEN] = "open",
	[PARTING] = "parting",
	[HALF_CLOSED] = "half_closed",
	[CLOSED] = "closed",
};

void
v2_client_set_state(struct v2_client *c, enum v2_client_state state)
{
	c->state = state;
	if (c->conn != NULL)
		log_debug(
		    "conn=%" PRIu64 " changed status to: %s", conn_id(c->conn), state_names[state]);
}

static void
client_reap(struct grave *g)
{
	free(g); /* its first member */
}

/* It ends as the connection did; on_done comes later, when nobody looks at it any more. */
static void
end_request(struct v2_client *c, struct v2_request *r)
{
	v2_request_free_id(r);
	v2_request_settle(r, &c->end);
	v2_request_move(r, NULL);
	if (r->ops->let_go(r))
		v2_request_done_soon(r);
}

static void
end_requests(struct v2_client *c)
{
	struct v2_request *r;

	for (unsigned id = 1; id <= LIVE_MAX; id++) {
		if (c->slots[id] != NULL)
			end_request(c, c->slots[id]);
	}
	while ((r = TAILQ_FIRST(&c->pings)) != NULL)
		end_request(c, r);
	c->queued = 0;
	while ((r = TAILQ_FIRST(&c->queue)) != NULL)
		end_request(c, r);
}

static void
on_conn_close(void *arg, enum ftx_rc why)
{
	struct v2_client *c = arg;

	v2_client_set_state(c, CLOSED);
	c->conn = NULL;
	if (c->end.rc == FTX_OK && why != FTX_OK)
		c->end = (struct v2_outcome){
			.rc = why,
			.whose = V2_WHOSE_CONNECTION,
			.retryable = true,
		};
	worker_timer_stop(c->worker, &c->timer);
	chunk_put(worker_chunks(c->worker), c->sender.chunk);
	c->sender.chunk = NULL;
	c->receiving = NULL;
	buf_clear(&c->out);
	end_requests(c);
	v2_client_soon(c);
}

void
v2_client_end(struct v2_client *c, const struct v2_outcome *o)
{
	size_t len = o->text.len < sizeof(c->end_text) ? o->text.len : sizeof(c->end_text);

	if (c->conn == NULL)
		return;
	c->end = *o;
	if (len > 0)
		memcpy(c->end_text, o->text.p, len);
	c->end.text = (struct v2_slice){ (const uint8_t *)c->end_text, len };
	conn_reset(c->conn, o->rc);
}

void
v2_client_fail(struct v2_client *c, enum ftx_rc rc, enum v2_whose whose, bool breach)
{
	const struct v2_outcome o = {
		.rc = rc,
		.whose = whose,
		.retryable = whose == V2_WHOSE_CONNECTION && !breach,
		.breach = breach,
	};

	v2_client_end(c, &o);
}

void
v2_client_abort(struct v2_client *c, enum ftx_rc why)
{
	const struct v2_outcome o = { .rc = why };
	struct v2_request *r, *next;

	for (r = TAILQ_FIRST(&c->settling); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		v2_request_settle(r, &o);
		v2_request_move(r, NULL);
		if (r->ops->let_go(r))
			v2_request_done_soon(r);
	}
	v2_client_end(c, &o);
}

/* --- Requests that wait --- */

static unsigned
live_max(const struct v2_client *c)
{
	return c->limits.max_requests < LIVE_MAX ? c->limits.max_requests : LIVE_MAX;
}

static bool
may_begin(const struct v2_client *c)
{
	/* Those that are answered and not done cost as much here. */
	return c->conn != NULL && c->live < live_max(c) && c->held - c->queued < 2 * LIVE_MAX &&
	       v2_client_waiting_output(c) < OUTPUT_HIGH && v2_client_next_id(c) != 0;
}

uint16_t
v2_client_next_id(const struct v2_client *c)
{
	uint16_t id = c->last_id;

	do { /* there is one: of as many as may be live, fewer are */
		id = id < LIVE_MAX ? (uint16_t)(id + 1) : 1;
	} while ((c->slots[id] != NULL || c->cancelling[id]) && id != c->last_id);
	return c->slots[id] == NULL && !c->cancelling[id] ? id : 0;
}

void
v2_client_go_live(struct v2_client *c, struct v2_request *r)
{
	if (c->live == 0)
		c->told_from = worker_now(c->worker); /* nothing was due before */
	if (c->live == 0 && TAILQ_EMPTY(&c->pings))
		v2_client_heard(c);
	v2_request_move(r, NULL);
	c->queued--;
	r->id = c->last_id = v2_client_next_id(c);
	r->sent = true;
	c->slots[r->id] = r;
	c->live++;
	if ((r->flags & V2_BARRIER) != 0)
		c->barriers++;
}

bool
v2_client_may_use(struct v2_request *r, enum digest_kind kind)
{
	const struct v2_client *c = r->client;

	if (kind <= DIGEST_XXH128) /* all have it */
		return true;
	if (c->greeted && (c->info.kinds & UINT32_C(1) << kind) == 0)
		v2_request_fail(r, FTX_NOT_OFFERED, V2_WHOSE_SERVER);
	return c->greeted && !r->settled;
}

/*
 * The first of the queue has to wait: for the content that is under way, say. Heads of others may
 * pass it, so that their GO is here when that is over; unless an order was asked for.
 */
static void
announce_ahead(struct v2_client *c)
{
	struct v2_request *r, *next;
	unsigned n = 0;

	for (r = TAILQ_FIRST(&c->queue); r != NULL && n < PREPARED_MAX; r = next, n++) {
		next = TAILQ_NEXT(r, link);
		if ((r->flags & V2_BARRIER) != 0 || !may_begin(c))
			return;
		if (r->ops->may_pass != NULL && r->ops->may_pass(r))
			(void)r->ops->turn(r);
	}
}

static void
begin_requests(struct v2_client *c)
{
	struct v2_request *r, *next;
	unsigned n = 0;

	for (r = TAILQ_FIRST(&c->queue); r != NULL && n < PREPARED_MAX; r = next, n++) {
		next = TAILQ_NEXT(r, link);
		if (r->ops->prepare != NULL)
			r->ops->prepare(r);
	}
	while ((r = TAILQ_FIRST(&c->queue)) != NULL && may_begin(c) && r->ops->turn(r))
		;
	announce_ahead(c);
}

static void
call_those_done(struct v2_client *c)
{
	struct v2_requests done = TAILQ_HEAD_INITIALIZER(done);
	struct v2_request *r;

	while ((r = TAILQ_FIRST(&c->done)) != NULL)
		v2_request_move(r, &done);
	while ((r = TAILQ_FIRST(&done)) != NULL)
		v2_request_done(r);
}

bool
v2_client_ready(const struct v2_client *c)
{
	return c->conn != NULL && c->state < PARTING && !c->finishing && c->queued < QUEUE_HIGH;
}

static void
tell_ready(struct v2_client *c)
{
	if (!c->was_full || c->queued > QUEUE_LOW || !v2_client_ready(c))
		return;
	c->was_full = false;
	c->callbacks->on_ready(c->arg);
}

/* Nothing is to be asked any more, and nothing is owed. */
static void
half_close_if_done(struct v2_client *c)
{
	if (c->conn == NULL || c->state == HALF_CLOSED || (!c->finishing && c->state != PARTING) ||
	    c->live > 0 || c->queued > 0 || !TAILQ_EMPTY(&c->pings) ||
	    v2_client_waiting_output(c) > 0 || c->sender.chunk != NULL)
		return;
	v2_client_set_state(c, HALF_CLOSED);
	worker_timer_stop(c->worker, &c->timer);
	conn_finish(c->conn, c->finishing ? FTX_OK : FTX_SHUTDOWN);
}

static void
bury(struct v2_client *c)
{
	worker_timer_clear(c->worker, &c->timer);
	c->callbacks->on_close(c->arg, &c->end);
	c->grave.reap = client_reap;
	worker_bury(c->worker, &c->grave);
}

static void
on_soon(struct mail *m)
{
	struct v2_client *c = (struct v2_client *)((char *)m - offsetof(struct v2_client, soon));

	c->soon_pending = false;
	worker_release(c->worker);
	if (c->conn != NULL && c->input_soon)
		v2_client_resume_input(c);
	if (c->conn != NULL) {
		begin_requests(c);
		v2_client_send(c);
	}
	call_those_done(c);
	tell_ready(c);
	half_close_if_done(c);
	if (c->conn != NULL && c->state != HALF_CLOSED)
		v2_client_set_timer(c);
	if (c->conn == NULL && c->held == 0 && !c->soon_pending)
		bury(c);
}

void
v2_client_soon(struct v2_client *c)
{
	if (c->soon_pending)
		return;
	c->soon_pending = true;
	worker_hold(c->worker);
	worker_soon(c->worker, &c->soon);
}

void
v2_client_submit(struct v2_client *c, struct v2_request *r, const struct v2_request_ops *ops,
    enum v2_type type, uint8_t flags)
{
	const struct v2_outcome late = { .rc = FTX_SHUTDOWN, .retryable = true };

	r->client = c;
	r->ops = ops;
	r->in = NULL;
	r->id = 0;
	r->type = type;
	r->flags = flags;
	r->state = 0;
	r->worked = r->unasked = 0;
	r->sent = r->cancelled = r->settled = false;
	r->text = NULL;
	c->held++;
	if (c->conn == NULL || c->state >= PARTING || c->finishing) {
		v2_request_settle(r, c->conn == NULL && c->end.rc != FTX_OK ? &c->end : &late);
		v2_request_done_soon(r);
		return;
	}
	v2_request_move(r, &c->queue);
	c->queued++;
	/* Noted here, where it is seen: what waits may have gone out before anybody looks again. */
	if (c->queued >= QUEUE_HIGH)
		c->was_full = true;
	v2_client_soon(c);
}

void
v2_client_finish(struct v2_client *c)
{
	c->finishing = true;
	v2_client_soon(c);
}

const struct v2_server_info *
v2_client_server(const struct v2_client *c)
{
	return c->greeted ? &c->info : NULL;
}

static enum ftx_rc
say_hello(struct v2_client *c, const char *agent)
{
	static const uint8_t kinds[] = { DIGEST_XXH128, DIGEST_SHA256 };
	const struct v2_hello m = {
		.has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(FEATURES) |
		       V2_BIT(MAX_DATA) | (agent != NULL ? V2_BIT(AGENT) : 0),
		.version = V2_VERSION,
		.digests = { kinds, sizeof(kinds) },
		.features = V2_FEATURE_PROGRESS,
		.max_data = OUR_MAX_DATA,
		.agent = { (const uint8_t *)agent, agent != NULL ? strlen(agent) : 0 },
	};
	uint8_t frame[V2_FRAME_ROOM], preface[V2_PREFACE_SIZE];

	v2_preface_encode(preface);
	if (!buf_add(&c->out, preface, sizeof(preface)))
		return FTX_NOMEM;
	return v2_client_add_frame(
	    c, frame, v2_client_hello_encode(&m, 0, 0, frame, sizeof(frame)));
}

enum ftx_rc
v2_client_new(struct v2_client **out, struct conn *conn, const char *agent,
    const struct v2_client_callbacks *callbacks, void *arg)
{
	static const struct conn_io io = { v2_client_on_input, v2_client_on_output };
	struct v2_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return FTX_NOMEM;
	c->conn = conn;
	c->worker = conn_worker(conn);
	c->callbacks = callbacks;
	c->arg = arg;
	c->limits = V2_LIMITS_EARLY;
	c->terms =
	    (struct v2_terms){ 1U << DIGEST_XXH128 | 1U << DIGEST_SHA256, c->limits.max_now };
	c->soon.deliver = on_soon;
	TAILQ_INIT(&c->queue);
	TAILQ_INIT(&c->going);
	TAILQ_INIT(&c->settling);
	TAILQ_INIT(&c->done);
	TAILQ_INIT(&c->pings);
	if (say_hello(c, agent) != FTX_OK ||
	    worker_timer_init(c->worker, &c->timer, v2_client_on_timer, c) != FTX_OK) {
		buf_clear(&c->out);
		free(c);
		return FTX_NOMEM;
	}
	c->quiet_from = c->sent_at = worker_now(c->worker);
	conn_set_input_max(conn, INPUT_MAX);
	conn_set_io(conn, &io, c);
	conn_set_conversation(conn, on_conn_close, c);
	conn_describe(conn, "client", "");
	v2_client_set_state(c, GREETING);
	v2_client_soon(c);
	*out = c;
	return FTX_OK;
}
