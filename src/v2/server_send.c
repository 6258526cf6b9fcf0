/* Protocol 2, the server: the content of files, one after the other, on its way to the client. */
#include "loop/chunk.h"
#include "net/conn.h"
#include "v2/server_private.h"

/* What is left of a file is sent at once with what stands around it, if it is no more than that. */
#define SMALL_MAX ((size_t)V2S_SMALL_MAX)
/* In a turn, so many bytes more for each file, and for each frame that goes at once. */
#define FILE_COST  ((size_t)16 * 1024)
#define FRAME_COST (V2S_TURN_SENT / 4)
#define ZEROS      ((size_t)16 * 1024)

static bool
is_whole(const struct v2s_request *r)
{
	return !V2_HAS(&r->m.get, OFFSET) && !V2_HAS(&r->m.get, LENGTH);
}

/* The digest of the whole file is known, and the client has no other use for one. */
static bool
needs_digest(const struct v2s_request *r)
{
	return !(r->stored && is_whole(r));
}

void
v2s_get_stop(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;

	if (r->queued)
		TAILQ_REMOVE(&c->to_send, r, waiting);
	r->queued = false;
	if (c->sender != r)
		return;
	pump_stop(&c->send);
	c->sender = NULL;
	c->sending = c->begun = false;
	c->zeros = 0;
}

/* The final result. */
static void
end_content(struct v2s_request *r)
{
	struct v2_end m = { .has = 0 };
	enum ftx_rc rc = r->digest_rc;

	if (rc == FTX_OK && needs_digest(r)) {
		m.has = V2_BIT(DIGEST);
		rc = digest_final(&r->digest, &m.digest);
	}
	if (rc == FTX_OK)
		v2s_answer(r, V2_MESSAGE_get_end, &m, 0);
	else
		v2s_refuse(r, rc);
}

/* The file could not be read on: the frame is complete, and tells nothing. */
static void
end_broken(struct v2s_request *r, enum ftx_rc why)
{
	static const struct v2_end m = { .has = 0 };

	if (why == FTX_CHANGED)
		v2s_answer(r, V2_MESSAGE_get_end, &m, V2_END_CHANGED);
	else
		v2s_refuse(r, why);
}

static void
on_bytes(void *arg, const void *p, size_t len)
{
	struct v2s_request *r = arg;

	if (r->digest_rc == FTX_OK)
		r->digest_rc = digest_update(&r->digest, p, len);
}

static void
on_sent(void *arg)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	c->sending = false;
	c->sent_at = worker_now(c->worker);
	if (r->cancel_id != 0)
		v2s_refuse(r, FTX_CANCELLED);
	v2s_run(c);
}

static void
on_failed(void *arg, enum ftx_rc why)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	if (c->send.failed_here) {
		c->zeros = c->send.run_end - r->transfer->offset;
		r->digest_rc = why;
	} else
		conn_close(c->conn, why);
	v2s_run(c);
}

/* What the frame lacks, as fast as the client takes it. */
static void
send_zeros(struct v2s_conn *c)
{
	static const uint8_t zeros[ZEROS];
	struct v2s_request *r = c->sender;

	while (c->zeros > 0 && conn_output_length(c->conn) == 0 && !c->closed) {
		size_t n = c->zeros < ZEROS ? (size_t)c->zeros : ZEROS;

		c->zeros -= n;
		if (conn_write(c->conn, zeros, n) != FTX_OK)
			conn_close(c->conn, FTX_NOMEM);
	}
	if (c->zeros > 0 || c->closed)
		return;
	c->sending = false;
	end_broken(r, r->digest_rc);
}

/* A frame of DATA, copied to the output. */
static void
send_data(struct v2s_request *r, const void *p, size_t len)
{
	const struct v2_frame f = { .length = (uint32_t)len, .type = V2_DATA, .id = r->id };
	uint8_t header[V2_HEADER_SIZE];

	v2_frame_encode(&f, header);
	v2s_send_bytes(r->c, header, sizeof(header));
	v2s_send_bytes(r->c, p, len);
	conn_add_content(r->c->conn, len);
}

void
v2s_send_whole(struct v2s_request *r, const void *p, size_t len)
{
	if (len > 0)
		send_data(r, p, len);
	v2s_count_sent(r->c, FILE_COST + len);
	if (!r->c->closed)
		end_content(r);
}

/* The rest of a small file, if it is in memory: one copy, and nothing waits. */
static bool
send_small(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	struct transfer *t = r->transfer;
	size_t len = (size_t)(r->end - t->offset);
	struct chunk *chunk;
	bool all;

	if (r->end - t->offset > SMALL_MAX || c->begun)
		return false;
	chunk = chunk_get(worker_chunks(c->worker));
	if (chunk == NULL)
		return false;
	all = store_read_now(t, chunk->data, len) == len;
	if (all) {
		send_data(r, chunk->data, len);
		if (needs_digest(r))
			on_bytes(r, chunk->data, len);
		store_sent(t, len);
	}
	chunk_put(worker_chunks(c->worker), chunk);
	return all;
}

static void
send_frame(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	uint64_t left = r->end - r->transfer->offset;
	struct v2_frame f = { .type = V2_DATA, .id = r->id };
	uint8_t header[V2_HEADER_SIZE];
	size_t sent;

	f.length = left < c->max_data ? (uint32_t)left : c->max_data;
	v2_frame_encode(&f, header);
	v2s_flush(c);
	if (c->closed)
		return;
	sent = conn_send(c->conn, header, sizeof(header), true);
	if (sent < sizeof(header) &&
	    conn_write(c->conn, header + sent, sizeof(header) - sent) != FTX_OK) {
		conn_close(c->conn, FTX_NOMEM);
		return;
	}
	c->sending = true;
	if (c->begun) {
		pump_next(&c->send, f.length);
		return;
	}
	c->begun = true;
	pump_send(&c->send, &(struct pump_ends){
				.conn = c->conn,
				.transfer = r->transfer,
				.on_end = on_sent,
				.total = left,
				.length = f.length,
				.on_bytes = needs_digest(r) ? on_bytes : NULL,
				.way = c->server->send_way,
				.closes = true, /* a header follows each frame, or END */
				.fail = on_failed,
				.arg = r,
			    });
}

/* The next one has its turn. NULL: there is none, or it has failed. */
static struct v2s_request *
next_sender(struct v2s_conn *c)
{
	struct v2s_request *r = TAILQ_FIRST(&c->to_send);
	enum ftx_rc rc = FTX_OK;

	if (c->sender != NULL || r == NULL)
		return c->sender;
	c->sender = r;
	c->begun = false;
	v2s_get_turn(r);
	if (needs_digest(r))
		rc = digest_init(&r->digest, (enum digest_kind)r->m.get.digest_kind);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	return c->sender;
}

/* Output waits for the client already: on_output() comes when it is taken. */
static bool
has_room(const struct v2s_conn *c)
{
	return conn_output_length(c->conn) == 0 && c->out.len <= SMALL_MAX;
}

bool
v2s_may_send_now(struct v2s_conn *c)
{
	if (c->sending || c->sender != NULL || !TAILQ_EMPTY(&c->to_send))
		return false;
	if (c->out.len > SMALL_MAX)
		v2s_flush(c);
	return !c->closed && has_room(c);
}

void
v2s_send_content(struct v2s_conn *c)
{
	if (c->sending && c->zeros > 0)
		send_zeros(c);
	while (!c->closed && !c->sending && c->state != V2S_CLOSING && v2s_may_send(c)) {
		struct v2s_request *r;
		size_t rest;

		if (c->out.len > SMALL_MAX)
			v2s_flush(c);
		if (c->closed || !has_room(c))
			return;
		r = next_sender(c);
		if (r == NULL)
			return;
		rest = (size_t)(r->end - r->transfer->offset);
		if (rest == 0 || send_small(r)) {
			v2s_count_sent(c, FILE_COST + rest);
			end_content(r);
			continue;
		}
		send_frame(r);
		if (!c->sending)
			v2s_count_sent(c, FRAME_COST);
	}
}
