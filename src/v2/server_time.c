/* Protocol 2, the server: what happens because nothing does. */
#include "base/clock.h"
#include "net/conn.h"
#include "net/machine.h"
#include "v2/server_put.h"

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

static void
begin_window(struct v2s_window *w, uint64_t moved)
{
	*w = (struct v2s_window){ .open = true, .from = moved };
}

/* Whose content is under way, if it is the client's to send on. */
static struct v2s_request *
who_is_under_way(const struct v2s_conn *c)
{
	struct v2s_request *r = c->content_id != 0 ? v2s_find(c, c->content_id) : NULL;

	return r != NULL && v2s_put_waits_for_client(r) ? r : NULL;
}

/* Whose content is due, if anybody's, and the client's to send: a stream only if no other's is. */
static struct v2s_request *
who_waits_for_content(const struct v2s_conn *c)
{
	struct v2s_request *r = who_is_under_way(c), *stream = NULL;

	if (r != NULL)
		return r;
	TAILQ_FOREACH (r, &c->order, link) {
		if (!v2s_put_waits_for_client(r))
			continue;
		if (!v2s_put_is_stream(r))
			return r;
		stream = stream == NULL ? r : stream;
	}
	return stream;
}

/*
 * A stream comes as its source has it, which may rest: that the client is alive is all that can be
 * asked of it. It has only as much space as has come, too. Those beside it hold all of theirs, and
 * unless its content is under way the client may send that of any.
 */
static struct v2s_request *
who_is_to_send(const struct v2s_conn *c)
{
	struct v2s_request *r = who_waits_for_content(c);

	return r != NULL && v2s_put_is_stream(r) ? NULL : r;
}

void
v2s_content_is_due(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;

	/* Its END is not owed yet: it is not one that waits. */
	if (v2s_put_has_now(r) || who_is_to_send(c) == NULL)
		c->content_at = now_of(c);
}

static uint64_t
content_come(const struct v2s_conn *c)
{
	uint64_t to_come = c->receiving != NULL ? pump_to_come(&c->receive) : 0;

	return c->announced - c->skip - to_come;
}

/* What has moved since the last look. */
static void
look(struct v2s_conn *c)
{
	const struct conn_progress moved = conn_progress(c->conn);
	uint64_t now = now_of(c), come = content_come(c);

	c->step = now - c->looked_at;
	c->looked_at = now;
	if (!is_ready_to_read(c))
		c->heard_at = c->content_at = now;
	if (who_is_to_send(c) == NULL)
		c->content_at = now;
	if (come != c->come && !c->receives.open)
		begin_window(&c->receives, come); /* the silence before was not for it to fill */
	c->come = come;
	if (moved.taken != c->taken || (moved.all_taken && !waits_to_send(c))) {
		c->taken = moved.taken;
		c->taken_at = now;
	}
}

/* Somebody, if anybody, whose PREFIX is the client's to send. */
static struct v2s_request *
who_waits_for_prefix(struct v2s_conn *c)
{
	struct v2s_request *r;

	TAILQ_FOREACH (r, &c->order, link) {
		if (r->prefix_due)
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

/*
 * Bytes move, but too slowly. Once begun, one window follows the other, through pauses, too; one in
 * which nothing moves is idleness.
 */
static bool
is_too_slow(struct v2s_conn *c, struct v2s_window *w, uint64_t moved, bool counts)
{
	uint64_t bytes = moved - w->from, ms;

	if (counts)
		w->ms += c->step;
	ms = w->ms;
	if (ms < MACHINE_WINDOW_MS)
		return false;
	begin_window(w, moved);
	return bytes > 0 && bytes * 1000 / ms < conn_limits(c->conn)->min_rate;
}

/* Of content that comes, whatever frames it is in. */
static void
judge_receiving(struct v2s_conn *c)
{
	struct v2s_request *r = who_is_to_send(c);

	if (r == NULL)
		c->receives.open = false;
	if (!c->receives.open || !is_too_slow(c, &c->receives, c->come, is_ready_to_read(c)))
		return;
	c->receives.open = false;
	v2s_refuse(r, FTX_TOO_SLOW);
}

/* Of what the client takes, while there is content for it, or so much else that we do not read. */
static bool
takes_too_slowly(struct v2s_conn *c)
{
	if (c->sender == NULL && TAILQ_EMPTY(&c->to_send) && !c->stalled) {
		c->takes.open = false;
		return false;
	}
	if (!c->takes.open) {
		begin_window(&c->takes, c->taken);
		return false;
	}
	return is_too_slow(c, &c->takes, c->taken, !pump_is_busy(&c->send));
}

static void
say_goodbye(struct v2s_conn *c)
{
	static const struct v2_goodbye m = { .has = 0 };

	v2s_send(c, V2_MESSAGE_goodbye, &m, 0, 0);
	c->goodbye_at = now_of(c);
	v2s_enter(c, V2S_DRAINING);
}

/* Nothing has come for too long; where content is due, none of that. */
static void
judge_silence(struct v2s_conn *c)
{
	uint64_t most = conn_limits(c->conn)->idle_ms;
	struct v2s_request *r = who_is_to_send(c);

	if (most == 0 || now_of(c) - (r != NULL ? c->content_at : c->heard_at) < most)
		return;
	if (r == NULL)
		r = who_waits_for_content(c);
	if (r == NULL)
		r = who_waits_for_prefix(c);
	c->heard_at = c->content_at = now_of(c);
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
	if (takes_too_slowly(c)) {
		conn_reset(c->conn, FTX_TOO_SLOW);
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
	judge_receiving(c);
	judge_silence(c);
	say_working(c);
	(void)v2s_cursors_expire(c);
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

/*
 * Who opens it has a time for all of that, however often a byte comes.
 *
 * One that rests has no reason to wake anybody before its time, or that of a listing that it has
 * left; but what it sends now and then puts that off, so they are looked at here, too.
 */
void
v2s_arm(struct v2s_conn *c)
{
	const struct conn_limits *limits = conn_limits(c->conn);
	uint64_t wait = LOOK_MS;

	if (c->state <= V2S_OPENING_HELLO) {
		if (limits->request_ms > 0)
			worker_timer_start(
			    c->worker, &c->timer, clock_after(c->opened, limits->request_ms));
		return;
	}
	if (timer_running(&c->timer) && c->is_awake)
		return;
	if (c->state == V2S_OPEN && c->live == 0 && conn_output_length(c->conn) == 0) {
		wait = limits->idle_ms > 0 ? limits->idle_ms / 4 + 1 : WORKING_MS;
		if (v2s_cursors_expire(c) && wait > WORKING_MS)
			wait = WORKING_MS;
	}
	c->is_awake = wait == LOOK_MS;
	worker_timer_start(c->worker, &c->timer, clock_after(now_of(c), wait));
}
