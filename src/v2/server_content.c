/* Protocol 2, the server: the content of a PUT as it comes, and whether it is what was said. */
#include "loop/chunk.h"
#include "net/conn.h"
#include "v2/server_put.h"

/*
 * Bytes of all small files of a connection that are in memory. So much of each has room there in
 * any case: only a larger one asks to be told when its memory is given back.
 */
#define BUFFERED_MAX  ((size_t)1024 * 1024)
#define BUFFERED_EACH (BUFFERED_MAX / V2S_NOW_MAX)
_Static_assert(V2S_WHOLE_MAX <= CHUNK_SMALL_SIZE, "a small file does not fit");
/* With a frame that is not whole yet it is never more than V2_PROGRESS_STEP that is not told. */
#define TELL_STEP (V2_PROGRESS_STEP / 2)
/* What a stream is promised more in one step, at most. */
#define STREAM_STEP ((uint64_t)64 * 1024 * 1024)

static void
on_bytes(void *arg, const void *p, size_t len)
{
	struct v2s_request *r = arg;

	if (r->digest_rc == FTX_OK)
		r->digest_rc = digest_update(&r->digest, p, len);
	r->digested += len;
	if (r->digest_rc == FTX_OK && v2s_put_has_key(r))
		store_mark(r->transfer, &r->digest, r->digested);
}

/* A stream always has room for one more frame before that is read. */
static void
grow(struct v2s_request *r)
{
	struct transfer *t = r->transfer;

	if (!v2s_put_is_stream(r) || r->answered || r->ended)
		return;
	r->needs_room |= t->size - r->received < V2_DATA_MAX;
	if (r->needs_room && t->op == TRANSFER_IDLE)
		store_reserve(t, t->size + (t->size < STREAM_STEP ? t->size : STREAM_STEP));
}

void
v2s_put_on_grown(struct v2s_request *r)
{
	r->needs_room = false;
	if (r->c->receiver == r)
		pump_set_total(&r->c->receive, r->transfer->size);
}

/* Who sends may wait for it, so that little is sent again when it is lost on its way. */
static void
tell_progress(struct v2s_request *r)
{
	const struct v2_working m = { .has = V2_BIT(DONE), .done = r->received };

	if ((r->c->features & V2_FEATURE_PROGRESS) == 0 || r->answered || r->ended ||
	    r->received - r->told < TELL_STEP)
		return;
	r->told = r->received;
	v2s_send(r->c, V2_MESSAGE_working, &m, 0, r->id);
}

static void
on_finished(void *arg)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	if (c->receiving == r) { /* a frame */
		c->receiving = NULL;
		if (r->digest_rc != FTX_OK)
			v2s_refuse(r, r->digest_rc);
		else {
			grow(r);
			tell_progress(r);
		}
	} else { /* all that was received is written */
		c->receiver = NULL;
		conn_set_reads_on(c->conn, false);
		v2s_event(r, V2S_PUT_ON_CONTENT);
	}
	v2s_run(c);
}

static void
on_failed(void *arg, enum ftx_rc why)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	if (c->receive.failed_here)
		v2s_refuse(r, why);
	else
		conn_close(c->conn, why);
	v2s_run(c);
}

/* Whether the content is what its END says: FTX_OK. */
static enum ftx_rc
judge(struct v2s_request *r)
{
	const struct v2_put *put = &r->m.put;
	const struct v2_end *end = &r->put_end;

	if (end->digest.kind != put->digest_kind || (v2s_put_is_stream(r) && !V2_HAS(end, SIZE)))
		return FTX_BAD_MESSAGE;
	if ((!v2s_put_is_stream(r) && r->received != put->size) ||
	    (V2_HAS(end, SIZE) && end->size != r->received))
		return FTX_SIZE_MISMATCH;
	if (!digest_equal(&r->sum, &end->digest) ||
	    (V2_HAS(put, DIGEST) && !digest_equal(&r->sum, &put->digest)))
		return FTX_DIGEST_MISMATCH;
	return FTX_OK;
}

static void
settle_end(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	enum ftx_rc rc = r->digest_rc;

	if (rc == FTX_OK && v2s_put_is_small(r))
		rc = digest_of(
		    (enum digest_kind)r->m.put.digest_kind, r->content.p, r->content.len, &r->sum);
	else if (rc == FTX_OK)
		rc = digest_final(&r->digest, &r->sum);
	if (rc == FTX_OK)
		rc = judge(r);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else if (c->receiver == r)
		pump_finish(&c->receive);
	else
		v2s_event(r, V2S_PUT_ON_CONTENT);
}

void
v2s_put_begin_content(struct v2s_request *r)
{
	const struct v2_offset go = { .has = V2_BIT(OFFSET), .offset = r->received };

	r->told = r->received;
	if (!v2s_put_has_now(r)) {
		v2s_content_is_due(r);
		r->owes_end = true;
		v2s_send(r->c, V2_MESSAGE_go, &go, 0, r->id);
	}
	if (r->ended)
		settle_end(r); /* it had come before we were ready, as that of a small file may */
}

void
v2s_put_on_written(struct v2s_request *r, enum ftx_rc rc)
{
	pump_on_io(&r->c->receive, rc);
	if (r->needs_room)
		grow(r);
}

bool
v2s_put_takes(const struct v2s_request *r)
{
	const struct v2s_conn *c = r->c;

	if (v2s_put_is_small(r))
		return r->content.p != NULL || c->buffered == 0 ||
		       c->buffered + put_content_room((size_t)r->m.put.size) <= BUFFERED_MAX;
	return r->state == V2S_PUT_RECEIVING && !r->needs_room &&
	       (c->receiver == NULL || c->receiver == r);
}

bool
v2s_put_waits_for_client(const struct v2s_request *r)
{
	return r->type == V2_PUT && !r->answered && r->owes_end && r->state == V2S_PUT_RECEIVING;
}

enum ftx_rc
v2s_put_expects(const struct v2s_request *r, uint64_t length)
{
	uint64_t max = r->c->server->max_file_size;

	if (v2s_put_is_stream(r))
		return max > 0 && length > max - r->received ? FTX_TOO_LARGE : FTX_OK;
	return length <= r->m.put.size - r->received ? FTX_OK : FTX_SIZE_MISMATCH;
}

void
v2s_put_unbuffer(struct v2s_request *r)
{
	r->c->buffered -= r->buffered;
	r->buffered = 0;
}

/* While it is made durable there is room for the next ones. */
static void
on_content_written(void *owner, struct transfer *t)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)t;
	v2s_put_unbuffer(r);
	v2s_run(c);
}

void
v2s_put_free_when_written(struct v2s_request *r)
{
	if (r->buffered > BUFFERED_EACH)
		r->transfer->on_written = on_content_written;
}

/* The frame is copied into memory, from the input or by and by. */
static void
buffer_content(struct v2s_request *r, uint32_t length)
{
	struct v2s_conn *c = r->c;

	if (r->content.p == NULL) {
		if (!put_content_alloc(&r->content, c->worker, (size_t)r->m.put.size)) {
			v2s_refuse(r, FTX_NOMEM);
			c->skip = length;
			return;
		}
		r->buffered = put_content_room((size_t)r->m.put.size);
		c->buffered += r->buffered;
	}
	c->filling = r;
	c->skip = length;
}

void
v2s_put_receive(struct v2s_request *r, uint32_t length)
{
	struct v2s_conn *c = r->c;

	r->received += length;
	if (v2s_put_is_small(r)) {
		buffer_content(r, length);
		return;
	}
	c->receiving = r;
	if (c->receiver == r) {
		pump_next(&c->receive, length);
		return;
	}
	c->receiver = r;
	conn_set_reads_on(c->conn, true); /* what has come need not come again */
	pump_receive(&c->receive, &(struct pump_ends){
				      .conn = c->conn,
				      .transfer = r->transfer,
				      .on_end = on_finished,
				      .length = length,
				      .on_bytes = on_bytes,
				      .way = c->server->receive_way,
				      .fail = on_failed,
				      .arg = r,
				  });
}

void
v2s_put_end(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_put_end_decode(f, &r->c->terms, &r->put_end);

	v2s_content_ended(r);
	r->ended = true;
	if (fault.reach != V2_REACH_NONE)
		v2s_refuse(r, fault.rc);
	else if ((f->flags & V2_END_ABORT) != 0)
		v2s_refuse(r, FTX_CANCELLED);
	else if (r->state == V2S_PUT_RECEIVING)
		settle_end(r);
}
