/* Content that is received. */
#include "loop/chunk.h"
#include "loop/counters.h"
#include "loop/pipe.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump_private.h"
#include "store/store.h"

/* A file of fewer bytes is not worth the two calls that replace a copy. */
#define BY_PIPE_MIN ((uint64_t)1024 * 1024)

/*
 * On the loopback what is in the socket are whole pages, and passing them on costs a quarter less
 * than two copies. What a network card brings is in pieces of a packet, one a page: not tried.
 */
void
pump_choose_pipe(struct pump *p)
{
	const struct transfer *t = p->ends.transfer;
	enum pump_way way = p->ends.way;

	p->by_pipe = t->writes_now && p->ends.on_bytes == NULL &&
		     p->content_end - p->from >= BY_PIPE_MIN &&
		     (way == PUMP_FILE || (way == PUMP_AUTO && conn_is_local(p->ends.conn)));
}

/* What stands in the pipe is written, if need be by way of the chunk. */
static enum ftx_rc
write_piped(struct pump *p, struct content_pipe *pipe, struct chunk *chunk, size_t len)
{
	struct transfer *t = p->ends.transfer;
	enum ftx_rc rc = store_write_pipe(t, pipe->out, len);

	if (rc == FTX_OK) {
		counters_add(worker_counters(conn_worker(p->ends.conn)), COUNT_SPLICE, len);
		p->counted += len;
		return FTX_OK;
	}
	if (rc == FTX_UNSUPPORTED) {
		p->by_pipe = false;
		rc = pipe_take(pipe, chunk->data, len) ? store_write_now(t, chunk->data, len)
						       : FTX_IO;
	}
	if (rc != FTX_OK)
		pipe_close(pipe);
	return rc;
}

/* Up to `want` of the next bytes are received and written; *len: how many. 0: none now. */
static enum ftx_rc
move_piece(struct pump *p, struct chunk *chunk, size_t want, size_t *len)
{
	struct content_pipe *pipe = worker_pipe(conn_worker(p->ends.conn));

	if (p->by_pipe && pipe_open(pipe)) {
		bool unable;

		*len = conn_receive_pipe(p->ends.conn, pipe->in, want, &unable);
		p->to_come -= *len;
		if (!unable)
			return *len > 0 ? write_piped(p, pipe, chunk, *len) : FTX_OK;
	}
	*len = conn_receive(p->ends.conn, chunk->data, want);
	pump_show_bytes(p, chunk->data, *len);
	return *len > 0 ? store_write_now(p->ends.transfer, chunk->data, *len) : FTX_OK;
}

/*
 * As much as there is, within the step, written there and then. The chunk is the one that was used
 * last, and is in the processor's cache still.
 */
static enum ftx_rc
receive_now(struct pump *p, struct chunk *chunk)
{
	/* It came early, before the last bytes were due: nobody will call for them again. */
	bool ended = conn_peer_end(p->ends.conn) != FTX_OK;

	for (size_t rest = ended ? SIZE_MAX : pump_step_size(p); rest > 0 && pump_left(p) > 0;) {
		size_t want = least(rest < PUMP_PIECE ? rest : PUMP_PIECE, pump_left(p));
		size_t n;
		enum ftx_rc rc = move_piece(p, chunk, want, &n);

		p->failed_here = rc != FTX_OK;
		if (rc != FTX_OK)
			return rc;
		if (n == 0)
			return pump_left(p) > 0 ? conn_peer_end(p->ends.conn) : FTX_OK;
		rest -= n;
		if (n < want && !ended)
			return FTX_OK; /* the kernel has no more for now, as a rule */
	}
	(void)pump_again(p); /* or the kernel says so again */
	return FTX_OK;
}

static void
receive_and_write(struct pump *p)
{
	struct chunk *chunk = chunk_get(pump_chunks(p));
	enum ftx_rc rc;

	if (chunk == NULL) {
		pump_fail_here(p, FTX_NOMEM);
		return;
	}
	/* A client waits for its disk here, if it must: the server is not to blame for that. */
	pump_set_busy(p, true);
	rc = receive_now(p, chunk);
	pump_set_busy(p, false);
	pump_give_back(p, chunk);
	pump_note_moved(p);
	if (rc != FTX_OK)
		pump_fail(p, rc);
	else if (pump_left(p) == 0)
		pump_end(p);
}

static void
write_chunk(struct pump *p)
{
	struct chunk *chunk = p->chunk;

	p->chunk = NULL;
	p->waiting = true;
	store_write(p->ends.transfer, chunk);
}

static size_t
chunk_length(const struct pump *p)
{
	return p->chunk != NULL ? p->chunk->len : 0;
}

/* Nothing more is to be received, in this run. */
static bool
run_is_received(const struct pump *p)
{
	return chunk_length(p) == pump_left(p);
}

/* There is no room for more, or there is no more. */
static bool
chunk_is_full(const struct pump *p)
{
	return chunk_length(p) == CHUNK_SIZE || run_is_received(p);
}

/* It is worth a job: full, or the last one, or one of a file where that makes no difference. */
static bool
chunk_is_ready(const struct pump *p)
{
	return chunk_length(p) > 0 &&
	       (chunk_length(p) == CHUNK_SIZE || !p->ends.transfer->direct || p->finishing ||
		   (run_is_received(p) && p->ends.machine != NULL));
}

void
pump_write_on(struct pump *p)
{
	if (!p->sending && chunk_is_ready(p))
		write_chunk(p);
}

/* What is received fills a chunk for as long as the one before it is being written. */
static enum ftx_rc
fill_chunk(struct pump *p)
{
	size_t n;

	if (p->chunk == NULL)
		p->chunk = chunk_get(pump_chunks(p));
	p->failed_here = p->chunk == NULL;
	if (p->failed_here)
		return FTX_NOMEM;
	do { /* once, unless the end came early: nobody will call for the last bytes again */
		size_t want = least(CHUNK_SIZE, pump_left(p)) - p->chunk->len;
		uint8_t *at = p->chunk->data + p->chunk->len;

		n = conn_receive(p->ends.conn, at, want);
		pump_show_bytes(p, at, n);
		p->chunk->len += n;
	} while (n > 0 && conn_peer_end(p->ends.conn) != FTX_OK && !chunk_is_full(p));
	return n > 0 ? FTX_OK : conn_peer_end(p->ends.conn);
}

/* Where more runs follow, writing need not wait for them, nor they for it. */
static bool
run_is_over(const struct pump *p)
{
	if (p->ends.machine == NULL && !p->finishing)
		return run_is_received(p);
	return !p->waiting && pump_left(p) == 0;
}

static void
receive_for_device(struct pump *p)
{
	enum ftx_rc rc = chunk_is_full(p) ? FTX_OK : fill_chunk(p);
	bool full;

	if (rc != FTX_OK && !p->waiting) {
		pump_fail(p, rc);
		return;
	}
	if (!p->waiting && chunk_is_ready(p))
		write_chunk(p);
	if (run_is_over(p)) {
		pump_end(p);
		return;
	}
	if (p->chunk != NULL && p->chunk->len == 0) {
		pump_give_back(p, p->chunk);
		p->chunk = NULL;
	}
	/* As long as there is room, and more to come, the peer is the one we wait for. */
	full = chunk_is_full(p);
	conn_set_receiving(p->ends.conn, !full);
	pump_set_busy(p, full);
}

void
pump_receive_step(struct pump *p)
{
	if (p->ends.transfer->writes_now)
		receive_and_write(p);
	else
		receive_for_device(p);
}
