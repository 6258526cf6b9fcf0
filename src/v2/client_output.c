/*
 * Frames that go. Messages are gathered, and written together once a turn; content is sent a frame
 * at a time, each read whole before it is begun, so that a source that fails never leaves one open.
 * Between two frames go the messages.
 */
#include <string.h>

#include "loop/chunk.h"
#include "v2/client_private.h"

/* Frames of content in one turn, so that what comes is looked at in between. */
#define FRAMES_A_TURN 4

enum ftx_rc
v2_client_add_frame(struct v2_client *c, const void *frame, size_t len)
{
	if (len == 0)
		return FTX_BAD_NAME;
	if (!buf_add(&c->out, frame, len))
		return FTX_NOMEM;
	v2_client_soon(c);
	return FTX_OK;
}

size_t
v2_client_waiting_output(const struct v2_client *c)
{
	return c->out.len + conn_output_length(c->conn);
}

bool
v2_client_content_is_free(const struct v2_client *c)
{
	return TAILQ_EMPTY(&c->going) && c->sender.chunk == NULL;
}

void
v2_client_send_abort(struct v2_client *c, uint16_t id)
{
	const struct v2_end m = { 0 };
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc = v2_client_add_frame(
	    c, frame, v2_put_end_encode(&m, V2_END_ABORT, id, frame, sizeof(frame)));

	if (rc != FTX_OK)
		v2_client_fail(c, rc, V2_WHOSE_LOCAL, false);
}

/* Of the frame of content that is under way, what the kernel takes. True: all of it is sent. */
static bool
push_frame(struct v2_client *c)
{
	struct v2_sender *s = &c->sender;

	while (s->at < V2_HEADER_SIZE + s->len) {
		bool header = s->at < V2_HEADER_SIZE;
		size_t from = header ? s->at : s->at - V2_HEADER_SIZE;
		const uint8_t *p = (header ? s->header : s->chunk->data) + from;
		size_t len = (header ? V2_HEADER_SIZE : s->len) - from;
		size_t n = conn_send(c->conn, p, len, header);

		s->at += n;
		if (n > 0)
			c->sent_at = worker_now(c->worker);
		if (n < len)
			return false;
	}
	return true;
}

static void
end_frame(struct v2_client *c)
{
	struct v2_sender *s = &c->sender;

	conn_add_content(c->conn, s->len);
	chunk_put(worker_chunks(c->worker), s->chunk);
	s->chunk = NULL;
}

static void
begin_frame(struct v2_client *c, struct v2_put_request *put)
{
	struct v2_sender *s = &c->sender;
	const struct v2_frame f = {
		.length = (uint32_t)put->chunk->len,
		.type = V2_DATA,
		.id = put->r.id,
	};

	*s = (struct v2_sender){ .chunk = put->chunk, .len = put->chunk->len };
	v2_frame_encode(&f, s->header);
	put->chunk = NULL;
	put->moved += s->len;
}

/* Messages go to the kernel, or wait in the connection. False: it has no room for more. */
static bool
flush(struct v2_client *c)
{
	struct buf out = c->out;
	enum ftx_rc rc;

	if (out.len > 0) {
		c->out = (struct buf){ 0 };
		c->sent_at = worker_now(c->worker);
		rc = conn_write(c->conn, buf_data(&out), out.len);
		buf_clear(&out);
		if (rc != FTX_OK)
			v2_client_fail(c, rc, V2_WHOSE_LOCAL, false);
	}
	return c->conn != NULL && conn_output_length(c->conn) == 0;
}

/*
 * What is on its way would be lost with the connection, wherever it waits: so that is bounded. A
 * stream cannot go on where it was, and has nothing to lose.
 */
static bool
is_window_full(const struct v2_put_request *put, size_t most)
{
	return put->r.client->tells_progress && put->size != UINT64_MAX && put->moved < put->size &&
	       put->moved - put->arrived + most > WINDOW_MAX;
}

/* The next frame of the content that is under way; false: there is none for now. */
static bool
next_frame(struct v2_client *c)
{
	struct v2_put_request *put = (struct v2_put_request *)TAILQ_FIRST(&c->going);
	size_t most = c->limits.max_data < DATA_PIECE ? c->limits.max_data : DATA_PIECE;

	if (put == NULL || is_window_full(put, most))
		return false;
	switch (v2_source_fill(put, most)) {
	case V2_FILL_SOME:
		begin_frame(c, put);
		return true;
	case V2_FILL_END:
		v2_put_send_end(put);
		return c->conn != NULL;
	case V2_FILL_LATER:
		break;
	}
	return false;
}

void
v2_client_send(struct v2_client *c)
{
	for (unsigned n = 0; c->conn != NULL; n++) {
		if (c->sender.chunk != NULL) {
			if (!push_frame(c)) {
				conn_wait_output(c->conn);
				return;
			}
			end_frame(c);
		}
		if (c->conn == NULL || !flush(c))
			return;
		if (n >= FRAMES_A_TURN && !TAILQ_EMPTY(&c->going)) {
			conn_wait_output(c->conn);
			return;
		}
		if (!next_frame(c))
			break;
	}
	if (c->conn != NULL)
		(void)flush(c);
}

void
v2_client_on_output(void *arg)
{
	struct v2_client *c = arg;

	v2_client_send(c);
	v2_client_soon(c);
}
