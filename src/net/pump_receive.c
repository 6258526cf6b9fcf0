/* Content that is received. */
#include "loop/chunk.h"
#include "net/conn.h"
#include "net/machine.h"
#include "net/pump_private.h"
#include "store/store.h"

/*
 * As much as there is, within the turn, written there and then. The chunk is the one that was used
 * last, and is in the processor's cache still.
 */
static enum ftx_rc
receive_now(struct pump *p, struct chunk *chunk)
{
	struct transfer *t = p->ends.transfer;
	/* It came early, before the last bytes were due: nobody will call for them again. */
	bool ended = conn_peer_end(p->ends.conn) != FTX_OK;

	for (size_t rest = ended ? SIZE_MAX : pump_share(p); rest > 0 && pump_left(p) > 0;) {
		size_t want = least(rest < PIECE_SIZE ? rest : PIECE_SIZE, pump_left(p));
		size_t n = conn_receive(p->ends.conn, chunk->data, want);
		enum ftx_rc rc;

		if (n == 0)
			return pump_left(p) > 0 ? conn_peer_end(p->ends.conn) : FTX_OK;
		rc = store_write_now(t, chunk->data, n);
		p->failed_here = rc != FTX_OK;
		if (rc != FTX_OK)
			return rc;
		rest -= n;
		if (n < want && !ended)
			break; /* the kernel has no more for now, as a rule */
	}
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
	machine_set_busy(p->ends.machine, true);
	rc = receive_now(p, chunk);
	machine_set_busy(p->ends.machine, false);
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

/* There is no room for more, or there is no more. */
static bool
chunk_is_full(const struct pump *p)
{
	size_t len = p->chunk != NULL ? p->chunk->len : 0;

	return len == CHUNK_SIZE || len == pump_left(p);
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

		n = conn_receive(p->ends.conn, p->chunk->data + p->chunk->len, want);
		p->chunk->len += n;
	} while (n > 0 && conn_peer_end(p->ends.conn) != FTX_OK && !chunk_is_full(p));
	return n > 0 ? FTX_OK : conn_peer_end(p->ends.conn);
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
	if (p->chunk != NULL && !p->waiting && p->chunk->len > 0 &&
	    (chunk_is_full(p) || !p->ends.transfer->direct))
		write_chunk(p);
	if (!p->waiting && pump_left(p) == 0) {
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
	machine_set_busy(p->ends.machine, full);
}

void
pump_receive_step(struct pump *p)
{
	if (p->ends.transfer->writes_now)
		receive_and_write(p);
	else
		receive_for_device(p);
}
