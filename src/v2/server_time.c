/* Protocol 2, the server: what happens because nothing does. */
#include "base/clock.h"
#include "net/conn.h"
#include "net/machine.h"
#include "v2/server_private.h"

/* While requests are live it is looked so often; ms, as all here. */
#define LOOK_MS    1000
#define WORKING_MS 15000
/* After GOODBYE, with nothing left to do, for the client to see it. */
#define PARTING_MS 2000
/* For a PREFIX, and for so many bytes that it is of. */
#define PREFIX_MS      60000
#define PREFIX_STEP    ((uint64_t)16 * 1024 * 1024)
#define PREFIX_STEP_MS 1000

static uint64_t
now_of(const struct v2s_conn *c)
{
	return worker_now(c->worker);
}

/* We are ready to read: what does not come is the client's to send. */
static bool
is_ready_to_read(const struct v2s_conn *c)
{
	return !c->blocked && !c->stalled && !(c->receiving != NULL && pump_is_busy(&c->receive));
}

/* A frame of DATA waits for the client, even for one that has taken all there is. */
static bool
waits_to_send(const struct v2s_conn *c)
{
	return c->sending && !pump_is_busy(&c->send);
}

/* What has moved since the last look. */
static void
look(struct v2s_conn *c)
{
	const struct conn_progress moved = conn_progress(c->conn);
	uint64_t now = now_of(c);

	c->heard = moved.received;
	if (!is_ready_to_read(c))
		c->heard_at = now;
	if (moved.taken != c->taken || (moved.all_taken && !waits_to_send(c))) {
		c->taken = moved.taken;
		c->taken_at = now;
	}
}

/* Somebody, if anybody, whose next step is the client's. */
static struct v2s_request *
who_waits_for_client(struct v2s_conn *c)
{
	struct v2s_request *r;

	TAILQ_FOREACH (r, &c->order, link) {
		if (v2s_put_waits_for_client(r) || r->prefix_due)
			return r;
	}
	return NULL;
}

static void
refuse_late_prefixes(struct v2s_conn *c)
{
	struct v2s_request *r, *next;

	for (r = TAILQ_FIRST(&c->order); r != NULL && !c->closed; r = next) {
		uint64_t most;

		next = TAILQ_NEXT(r, link);
		if (!r->prefix_due)
			continue;
		most = PREFIX_MS + r->prefix_len / PREFIX_STEP * PREFIX_STEP_MS;
		if (now_of(c) - r->prefix_at >= most)
			v2s_refuse(r, FTX_TIMED_OUT);
	}
}

static void
begin_window(struct v2s_conn *c)
{
	c->in_window = true;
	c->window_at = now_of(c);
	c->window = c->heard;
}

/*
 * Content comes, but too slowly. The window begins at a look that finds some coming: what was
 * before, however long, was not for the client to fill.
 */
static void
judge_rate(struct v2s_conn *c)
{
	uint64_t rate = conn_limits(c->conn)->min_rate, ms = now_of(c) - c->window_at;
	struct v2s_request *r = c->receiving;

	if (r == NULL || rate == 0 || !is_ready_to_read(c)) {
		c->in_window = false;
		return;
	}
	if (!c->in_window) {
		begin_window(c);
		return;
	}
	if (ms < MACHINE_WINDOW_MS)
		return;
	if (c->heard > c->window && (c->heard - c->window) * 1000 / ms < rate)
		v2s_refuse(r, FTX_TOO_SLOW);
	begin_window(c);
}

static void
say_goodbye(struct v2s_conn *c)
{
	static const struct v2_goodbye m = { .has = 0 };

	v2s_send(c, V2_MESSAGE_goodbye, &m, 0, 0);
	c->goodbye_at = now_of(c);
	v2s_enter(c, V2S_DRAINING);
}

/* Nothing has come for too long. */
static void
judge_silence(struct v2s_conn *c)
{
	uint64_t most = conn_limits(c->conn)->idle_ms;
	struct v2s_request *r;

	if (most == 0 || now_of(c) - c->heard_at < most)
		return;
	r = who_waits_for_client(c);
	c->heard_at = now_of(c);
	if (r != NULL)
		v2s_refuse(r, FTX_TIMED_OUT);
	else if (c->live > 0 && TAILQ_EMPTY(&c->order))
		v2s_fail(c, FTX_TIMED_OUT, 0); /* an END is owed, and nothing else is to be done */
	else if (c->live == 0 && c->state == V2S_OPEN)
		say_goodbye(c);
}

/* The client is told that we are at work, unless it is being told anything. */
static void
say_working(struct v2s_conn *c)
{
	struct v2_working m = { .has = 0 };
	const struct v2s_request *r = TAILQ_FIRST(&c->order);

	if (r == NULL || c->sending || now_of(c) - c->sent_at < WORKING_MS)
		return;
	if (r->asked != NULL && r->asked->op == REQUEST_SUM) {
		m.has = V2_BIT(DONE);
		m.done = atomic_load(&r->asked->done);
	}
	if (r->transfer != NULL && r->transfer->op == TRANSFER_PREFIX) {
		m.has = V2_BIT(DONE);
		m.done = atomic_load(&r->transfer->prefix_done);
	}
	v2s_send(c, V2_MESSAGE_working, &m, 0, r->id);
}

static void
judge(struct v2s_conn *c)
{
	uint64_t idle = conn_limits(c->conn)->idle_ms, request = conn_limits(c->conn)->request_ms;

	if (c->state <= V2S_OPENING_HELLO) {
		if (request > 0 && now_of(c) - c->opened >= request)
			conn_close(c->conn, FTX_REQUEST_TIMEOUT);
		return;
	}
	look(c);
	if (idle > 0 && now_of(c) - c->taken_at >= idle) {
		conn_reset(c->conn, FTX_IDLE_TIMEOUT);
		return;
	}
	if (c->state == V2S_CLOSING)
		return; /* nothing is left but a frame for it to take */
	if (c->state == V2S_DRAINING && c->live == 0 && now_of(c) - c->goodbye_at >= PARTING_MS) {
		c->ending = FTX_SHUTDOWN;
		v2s_enter(c, V2S_CLOSING);
		return;
	}
	refuse_late_prefixes(c);
	judge_rate(c);
	judge_silence(c);
	say_working(c);
	v2s_cursors_expire(c);
}

void
v2s_on_timer(void *arg)
{
	struct v2s_conn *c = arg;

	if (c->closed)
		return;
	if (c->state != V2S_CLOSING || c->sending)
		judge(c);
	v2s_run(c);
}

/* One that rests has no reason to wake anybody before its time. */
void
v2s_arm(struct v2s_conn *c)
{
	const struct conn_limits *limits = conn_limits(c->conn);
	uint64_t wait = LOOK_MS;

	if (timer_running(&c->timer) && c->is_awake)
		return;
	if (c->state <= V2S_OPENING_HELLO)
		wait = limits->request_ms > 0 ? limits->request_ms : WORKING_MS;
	else if (c->state == V2S_OPEN && c->live == 0 && conn_output_length(c->conn) == 0)
		wait = limits->idle_ms > 0 ? limits->idle_ms / 4 + 1 : WORKING_MS;
	c->is_awake = wait == LOOK_MS;
	worker_timer_start(c->worker, &c->timer, clock_after(now_of(c), wait));
}
