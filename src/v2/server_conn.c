/* Protocol 2, the server: the connection, from its preface to its end. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "loop/chunk.h"
#include "net/conn.h"
#include "v2/server_private.h"

/* At least a whole message. Small uploads that come at once are begun, and answered, together. */
#define INPUT_MAX ((size_t)128 * 1024)
_Static_assert(INPUT_MAX >= V2_HEADER_SIZE + V2_CONTROL_MAX, "a message does not fit");
/* Output that waits for the client to read it; more requests are not taken then. */
#define OUTPUT_MAX ((size_t)256 * 1024)

static const char *const states[] = {
	[V2S_OPENING_PREFACE] = "opening_preface",
	[V2S_OPENING_HELLO] = "opening_hello",
	[V2S_OPEN] = "open",
	[V2S_DRAINING] = "draining",
	[V2S_FINISHING] = "finishing",
	[V2S_CLOSING] = "closing",
};

void
v2s_enter(struct v2s_conn *c, enum v2s_conn_state state)
{
	c->state = (uint8_t)state;
	log_debug("conn=%" PRIu64 " changed status to: %s", conn_id(c->conn), states[state]);
}

bool
v2s_is_stalled(const struct v2s_conn *c)
{
	return c->out.len + conn_output_length(c->conn) > OUTPUT_MAX;
}

/*
 * A turn lasts until on_more(), however often v2s_run() is called, or begins again, meanwhile: what
 * ends at once would have no end else. False: there is no queue, or nothing more to be done.
 */
static bool
ask_for_turn(struct v2s_conn *c)
{
	return !c->closed && worker_later(c->worker, &c->more);
}

void
v2s_count_frame(struct v2s_conn *c)
{
	if (++c->frames == V2S_TURN_FRAMES && !ask_for_turn(c))
		c->frames = 0;
}

void
v2s_count_sent(struct v2s_conn *c, size_t bytes)
{
	c->sent += bytes;
	if (!v2s_may_send(c) && !ask_for_turn(c))
		c->sent = 0;
}

static void
drop_output(struct v2s_conn *c)
{
	buf_clear(&c->out);
	chunk_put(worker_chunks(c->worker), c->out_chunk);
	c->out_chunk = NULL;
}

/*
 * What is collected within a turn stands in a chunk, if there is one to spare; but none waits for
 * the end of a frame.
 */
static void
make_room(struct v2s_conn *c)
{
	if (c->out.len > 0 || c->out_chunk != NULL || c->sending)
		return;
	c->out_chunk = chunk_get_kept(worker_chunks(c->worker));
	if (c->out_chunk != NULL)
		buf_lend(&c->out, c->out_chunk->data, 0, CHUNK_SIZE);
}

void
v2s_flush(struct v2s_conn *c)
{
	enum ftx_rc rc;

	if (c->out.len == 0 || c->sending || c->closed)
		return;
	log_flush(); /* each answer has its line by then */
	rc = conn_write(c->conn, buf_data(&c->out), c->out.len);
	drop_output(c);
	c->sent_at = worker_now(c->worker);
	if (rc != FTX_OK)
		conn_close(c->conn, rc);
}

void
v2s_send_bytes(struct v2s_conn *c, const void *p, size_t len)
{
	if (c->closed || c->state == V2S_CLOSING)
		return; /* nothing follows an ERROR of the connection */
	make_room(c);
	if (!buf_add(&c->out, p, len))
		conn_close(c->conn, FTX_NOMEM);
}

void
v2s_send(struct v2s_conn *c, enum v2_message_id message, const void *m, uint8_t flags, uint16_t id)
{
	uint8_t frame[V2_FRAME_ROOM];
	size_t len = v2_message_encode(message, m, flags, id, frame, sizeof(frame));

	assert(len > 0);
	v2s_send_bytes(c, frame, len);
}

/* The client is told, and then it is over: what is not answered is not. */
static void
end_now(struct v2s_conn *c)
{
	enum ftx_rc why = c->ending;

	c->zeros = 0;
	v2s_requests_clear(c);
	v2s_flush(c);
	if (!c->closed)
		conn_finish(c->conn, why);
}

void
v2s_fail(struct v2s_conn *c, enum ftx_rc why, uint16_t target)
{
	struct v2_error e = { .has = V2_BIT(CODE), .code = (uint16_t)v2_code_from_rc(why) };

	if (c->closed || c->state == V2S_CLOSING)
		return;
	if (target != 0) {
		e.has |= V2_BIT(TARGET);
		e.target = target;
	}
	if (c->state > V2S_OPENING_HELLO)
		v2s_send(c, V2_MESSAGE_error, &e, 0, 0);
	c->ending = why;
	v2s_enter(c, V2S_CLOSING);
	c->again = true;
}

/* A frame that has been begun is completed before, for a client that takes it. */
static void
end_when_sent(struct v2s_conn *c)
{
	enum ftx_rc end = conn_peer_end(c->conn);

	v2s_send_content(c);
	if (c->closed)
		return;
	if (!c->sending)
		end_now(c);
	else if (end != FTX_OK && end != FTX_TRUNCATED)
		conn_close(c->conn, c->ending);
}

/* The client's end: whether it may come here, and what of it is to be waited for. */
static void
look_at_end(struct v2s_conn *c)
{
	enum ftx_rc end = conn_peer_end(c->conn);
	const struct v2s_request *r;

	if (end == FTX_OK || c->closed || c->state == V2S_CLOSING)
		return;
	if (end != FTX_TRUNCATED || c->state < V2S_OPEN) {
		conn_close(c->conn, end);
		return;
	}
	if (c->content_id != 0 || c->skip > 0 || conn_input_length(c->conn) > 0) {
		/* Bytes that wait for us are no end in the middle of something. */
		if (c->receiving == NULL && !c->blocked && !c->stalled && !c->more.queued)
			conn_close(c->conn, end);
		return;
	}
	TAILQ_FOREACH (r, &c->order, link) {
		if (r->is_head || v2s_get_waits_for_client(r)) {
			conn_close(c->conn, end);
			return;
		}
	}
	if (c->live > 0 && TAILQ_EMPTY(&c->order)) {
		conn_close(c->conn, end); /* an END is owed */
		return;
	}
	if (c->state != V2S_FINISHING)
		v2s_enter(c, V2S_FINISHING);
	if (!TAILQ_EMPTY(&c->order) || c->sending || c->zeros > 0)
		return;
	v2s_flush(c);
	if (!c->closed) {
		v2s_enter(c, V2S_CLOSING);
		v2s_requests_clear(c);
		conn_finish(c->conn, FTX_OK);
	}
}

void
v2s_run(struct v2s_conn *c)
{
	if (c->running) {
		c->again = true;
		return;
	}
	c->running = true;
	do {
		c->again = false;
		if (c->closed)
			break;
		if (c->state == V2S_CLOSING) {
			end_when_sent(c);
			break;
		}
		v2s_start_ready(c);
		v2s_read_frames(c);
		v2s_fail_auth(c);
		v2s_send_content(c);
		look_at_end(c);
	} while (c->again);
	c->running = false;
	if (c->closed || (c->state == V2S_CLOSING && !c->sending))
		return;
	if (c->out.len > 0 && !c->sending)
		v2s_flush_soon(c);
	v2s_arm(c);
}

static void
on_input(void *arg)
{
	struct v2s_conn *c = arg;

	c->heard_at = worker_now(c->worker);
	if (c->receiving != NULL || c->skip > 0)
		c->content_at = c->heard_at;
	if (c->receiving != NULL)
		pump_on_input(&c->receive);
	else if (c->sending && conn_peer_end(c->conn) != FTX_OK)
		pump_on_input(&c->send);
	v2s_run(c);
}

static void
on_output(void *arg)
{
	struct v2s_conn *c = arg;

	if (c->sending)
		pump_on_output(&c->send);
	v2s_run(c);
}

static void
on_more(struct work *work)
{
	struct v2s_conn *c = (struct v2s_conn *)((char *)work - offsetof(struct v2s_conn, more));

	c->frames = 0;
	c->sent = 0;
	v2s_run(c);
}

static void
conn_free(struct v2s_conn *c)
{
	drop_output(c);
	free(c);
}

static void
reap(struct grave *g)
{
	struct v2s_conn *c = (struct v2s_conn *)g; /* its first member */

	c->is_dead = true;
	v2s_conn_let_go(c);
}

void
v2s_conn_let_go(struct v2s_conn *c)
{
	if (c->is_dead && !c->flush_due && c->lent == 0)
		conn_free(c);
}

void
v2s_flush_soon(struct v2s_conn *c)
{
	if (c->flush_due)
		return;
	c->flush_due = true;
	worker_hold(c->worker);
	worker_soon(c->worker, &c->flush);
}

static void
on_flush(struct mail *m)
{
	struct v2s_conn *c = (struct v2s_conn *)((char *)m - offsetof(struct v2s_conn, flush));

	worker_release(c->worker);
	c->flush_due = false;
	if (c->closed) {
		v2s_conn_let_go(c);
		return;
	}
	if (c->again)
		v2s_run(c);
	if (!c->closed && c->state != V2S_CLOSING)
		v2s_flush(c);
}

static void
on_close(void *arg, enum ftx_rc why)
{
	struct v2s_conn *c = arg;

	(void)why;
	c->closed = true;
	v2s_requests_clear(c);
	worker_timer_clear(c->worker, &c->timer);
	worker_not_later(c->worker, &c->more);
	c->grave.reap = reap;
	worker_bury(c->worker, &c->grave);
}

enum ftx_rc
v2_server_attach(struct v2s_conn **out, struct conn *conn, const struct v2_server *server)
{
	static const struct conn_io io = { on_input, on_output };
	struct v2s_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return FTX_NOMEM;
	c->conn = conn;
	c->worker = conn_worker(conn);
	c->server = server;
	c->more.run = on_more;
	c->flush.deliver = on_flush;
	TAILQ_INIT(&c->order);
	TAILQ_INIT(&c->to_send);
	for (int i = 0; i < V2S_CLASSES; i++)
		TAILQ_INIT(&c->waiting[i]);
	if (worker_timer_init(c->worker, &c->timer, v2s_on_timer, c) != FTX_OK) {
		free(c);
		return FTX_NOMEM;
	}
	c->opened = conn_started(conn); /* its first byte may have taken its time */
	c->heard_at = c->taken_at = c->sent_at = worker_now(c->worker);
	c->looked_at = c->content_at = c->heard_at;
	conn_set_conversation(conn, on_close, c);
	conn_describe(conn, "v2", NULL);
	conn_set_io(conn, &io, c);
	conn_set_input_max(conn, INPUT_MAX);
	*out = c;
	v2s_enter(c, V2S_OPENING_PREFACE);
	v2s_run(c);
	return FTX_OK;
}

void
v2_server_drain(struct v2s_conn *c)
{
	static const struct v2_goodbye goodbye = { 0 };

	if (c->closed || c->state == V2S_CLOSING || c->state == V2S_DRAINING)
		return;
	if (c->state < V2S_OPEN) {
		conn_close(c->conn, FTX_SHUTDOWN);
		return;
	}
	if (c->state == V2S_OPEN) {
		v2s_send(c, V2_MESSAGE_goodbye, &goodbye, 0, 0);
		c->goodbye_at = worker_now(c->worker);
		v2s_enter(c, V2S_DRAINING);
	}
	v2s_run(c);
}
