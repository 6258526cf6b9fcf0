#include "net/pump.h"

#include <stddef.h>

#include "loop/chunk.h"
#include "loop/counters.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_time.h"
#include "net/machine.h"
#include "store/store.h"

/*
 * Bytes moved in one turn of the loop, about: all peers together, and each has at least the second,
 * less of which is not worth being called.
 */
#define TURN_ALL  ((size_t)1024 * 1024)
#define SHARE_MIN ((size_t)64 * 1024)
/* Bytes moved by one call on the loop: they fit a processor core's own cache, twice. */
#define PIECE_SIZE ((size_t)256 * 1024)
/* What a slow peer takes at once, less of which is not worth reading. */
#define BURST_MIN ((size_t)16 * 1024)
/*
 * A peer is taken for slow until it has proved otherwise, and again when it is: so many bytes in so
 * much time. A slow one is offered little at once, and little waits for it in the kernel, both
 * together less than 64 KiB with what the kernel needs besides.
 */
#define PACE_BYTES  ((uint64_t)1024 * 1024)
#define PACE_MS     64
#define SLOW_BURST  ((size_t)32 * 1024)
#define SLOW_UNSENT (16 * 1024)
#define FAST_UNSENT (1024 * 1024)

static struct chunk_cache *
chunks_of(const struct pump *p)
{
	return worker_chunks(conn_worker(p->ends.conn));
}

static void
give_back(const struct pump *p, struct chunk *chunk)
{
	chunk_put(chunks_of(p), chunk);
}

static size_t
least(size_t a, uint64_t b)
{
	return b < a ? (size_t)b : a;
}

static size_t
share_of_turn(const struct pump *p)
{
	size_t share = worker_share(conn_worker(p->ends.conn), TURN_ALL);

	return share > SHARE_MIN ? share : SHARE_MIN;
}

/* Bytes that have not been written or sent yet, nor are under way to the store. */
static uint64_t
left(const struct pump *p)
{
	const struct transfer *t = p->ends.transfer;

	return t->size - t->offset - (p->waiting && !p->sending ? t->chunk->len : 0);
}

static void
pump_release(struct pump *p)
{
	struct conn *c = p->ends.conn;

	p->running = false;
	give_back(p, p->chunk);
	p->chunk = NULL;
	machine_set_busy(p->ends.machine, false);
	conn_set_sending(c, false);
	conn_set_bulk_input(c, false);
	machine_take_io(p->ends.machine);
}

static void
pump_fail(struct pump *p, enum ftx_rc why)
{
	pump_release(p);
	p->ends.fail(p->ends.arg, why);
}

static void
pump_fail_here(struct pump *p, enum ftx_rc why)
{
	p->failed_here = true;
	pump_fail(p, why);
}

static void
pump_end(struct pump *p)
{
	pump_release(p);
	machine_event(p->ends.machine, p->ends.event);
}

static void
note_moved(struct pump *p)
{
	uint64_t moved = p->ends.transfer->offset;

	enum counter path = p->sending                 ? COUNT_COPY_SENT
			    : p->ends.transfer->direct ? COUNT_DIRECT
						       : COUNT_COPY_RECEIVED;

	counters_add(worker_counters(conn_worker(p->ends.conn)), path, moved - p->counted);
	p->counted = moved;
	conn_log_content(p->ends.conn, moved);
	if (p->ends.moved != NULL)
		*p->ends.moved = moved;
}

/*
 * As much as there is, within the turn, written there and then. The chunk is the one that was used
 * last, and is in the processor's cache still.
 */
static enum ftx_rc
receive_now(struct pump *p, struct chunk *chunk)
{
	struct transfer *t = p->ends.transfer;

	for (size_t rest = share_of_turn(p); rest > 0 && left(p) > 0;) {
		size_t want = least(rest < PIECE_SIZE ? rest : PIECE_SIZE, left(p));
		size_t n = conn_receive(p->ends.conn, chunk->data, want);
		enum ftx_rc rc;

		if (n == 0)
			return left(p) > 0 ? conn_peer_end(p->ends.conn) : FTX_OK;
		rc = store_write_now(t, chunk->data, n);
		p->failed_here = rc != FTX_OK;
		if (rc != FTX_OK)
			return rc;
		rest -= n;
		if (n < want)
			break; /* the kernel has no more for now, as a rule */
	}
	return FTX_OK;
}

static void
receive_and_write(struct pump *p)
{
	struct chunk *chunk = chunk_get(chunks_of(p));
	enum ftx_rc rc;

	if (chunk == NULL) {
		pump_fail_here(p, FTX_NOMEM);
		return;
	}
	/* A client waits for its disk here, if it must: the server is not to blame for that. */
	machine_set_busy(p->ends.machine, true);
	rc = receive_now(p, chunk);
	machine_set_busy(p->ends.machine, false);
	give_back(p, chunk);
	note_moved(p);
	if (rc != FTX_OK)
		pump_fail(p, rc);
	else if (left(p) == 0)
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

/* What is received fills a chunk for as long as the one before it is being written. */
static enum ftx_rc
fill_chunk(struct pump *p)
{
	size_t want, n;

	if (p->chunk == NULL)
		p->chunk = chunk_get(chunks_of(p));
	p->failed_here = p->chunk == NULL;
	if (p->failed_here)
		return FTX_NOMEM;
	want = least(CHUNK_SIZE, left(p)) - p->chunk->len;
	n = conn_receive(p->ends.conn, p->chunk->data + p->chunk->len, want);
	p->chunk->len += n;
	return n > 0 ? FTX_OK : conn_peer_end(p->ends.conn);
}

/* There is no room for more, or there is no more. */
static bool
chunk_is_full(const struct pump *p)
{
	size_t len = p->chunk != NULL ? p->chunk->len : 0;

	return len == CHUNK_SIZE || len == left(p);
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
	if (!p->waiting && left(p) == 0) {
		pump_end(p);
		return;
	}
	if (p->chunk != NULL && p->chunk->len == 0) {
		give_back(p, p->chunk);
		p->chunk = NULL;
	}
	/* As long as there is room, and more to come, the peer is the one we wait for. */
	full = chunk_is_full(p);
	conn_set_receiving(p->ends.conn, !full);
	machine_set_busy(p->ends.machine, full);
}

static void
receive_step(struct pump *p)
{
	if (p->ends.transfer->writes_now)
		receive_and_write(p);
	else
		receive_for_device(p);
}

static void
set_pace(struct pump *p, bool fast)
{
	p->burst_max = fast ? PIECE_SIZE : SLOW_BURST;
	if (p->burst > p->burst_max)
		p->burst = p->burst_max;
	conn_set_unsent_max(p->ends.conn, fast ? FAST_UNSENT : SLOW_UNSENT);
}

/* Once per so many bytes. */
static void
judge_pace(struct pump *p)
{
	uint64_t offset = p->ends.transfer->offset, now;
	bool fast;

	if (offset - p->pace_from < PACE_BYTES)
		return;
	now = worker_now(conn_worker(p->ends.conn));
	fast = (now - p->pace_at) * PACE_BYTES <= (offset - p->pace_from) * PACE_MS;
	if (fast != (p->burst_max == PIECE_SIZE))
		set_pace(p, fast);
	p->pace_from = offset;
	p->pace_at = now;
}

/* Sends the first len bytes of the chunk. False: the kernel did not take them all. */
static bool
send_chunk(struct pump *p, const struct chunk *chunk, size_t len)
{
	bool more = len < left(p) || p->ends.closes;
	size_t n = conn_send(p->ends.conn, chunk->data, len, more);

	store_sent(p->ends.transfer, n);
	if (n < len)
		p->burst = n > BURST_MIN ? n : BURST_MIN;
	else if (p->burst < p->burst_max)
		p->burst = least(p->burst_max, 2 * (uint64_t)p->burst);
	return n == len;
}

/*
 * As much as the kernel takes, within the turn. What it does not take is read again when it does:
 * so a peer that waits costs no memory. True: the store has the chunk and will read into it.
 */
static bool
send_now(struct pump *p, struct chunk *chunk)
{
	struct transfer *t = p->ends.transfer;

	for (size_t rest = share_of_turn(p); rest > 0 && left(p) > 0;) {
		size_t want = least(rest < p->burst ? rest : p->burst, left(p));
		size_t n = store_read_now(t, chunk->data, want);

		if (n == 0) {
			p->waiting = true;
			store_read(t, chunk, want);
			return true;
		}
		if (!send_chunk(p, chunk, n))
			break;
		rest -= n;
	}
	return false;
}

static void
send_content(struct pump *p)
{
	struct chunk *chunk = chunk_get(chunks_of(p));

	if (chunk == NULL) {
		pump_fail_here(p, FTX_NOMEM);
		return;
	}
	if (send_now(p, chunk)) {
		/* Nothing is on its way: it is we who keep the peer waiting. */
		machine_set_busy(p->ends.machine, true);
		return;
	}
	give_back(p, chunk);
	note_moved(p);
	judge_pace(p);
	if (left(p) > 0)
		conn_wait_output(p->ends.conn);
	else
		pump_end(p);
}

static void
send_step(struct pump *p)
{
	enum ftx_rc end = conn_peer_end(p->ends.conn);

	/* First of all: a peer that leaves does not leave its read behind, which nobody counts. */
	if (p->waiting)
		return;
	if (end != FTX_OK && (end != FTX_TRUNCATED || p->ends.needs_peer)) {
		pump_fail(p, end);
		return;
	}
	machine_set_busy(p->ends.machine, false);
	if (conn_output_length(p->ends.conn) == 0)
		send_content(p);
}

static void
pump_step(struct pump *p)
{
	if (p->sending)
		send_step(p);
	else
		receive_step(p);
}

static void
on_input(void *arg)
{
	struct pump *p = arg;

	if (p->sending && conn_peer_end(p->ends.conn) == FTX_OK)
		return; /* not due yet */
	pump_step(p);
}

static void
on_output(void *arg)
{
	struct pump *p = arg;

	if (p->sending)
		pump_step(p);
}

void
pump_on_io(struct pump *p, enum ftx_rc rc)
{
	struct chunk *chunk = transfer_take_chunk(p->ends.transfer);

	p->waiting = false;
	if (p->running && p->sending && rc == FTX_OK)
		(void)send_chunk(p, chunk, chunk->len);
	give_back(p, chunk);
	if (!p->running)
		return;
	note_moved(p);
	if (rc != FTX_OK)
		pump_fail_here(p, rc);
	else
		pump_step(p);
}

static void
pump_start(struct pump *p)
{
	static const struct conn_io io = { on_input, on_output };

	p->running = true;
	conn_set_io(p->ends.conn, &io, p);
	conn_set_sending(p->ends.conn, p->sending);
	conn_set_bulk_input(p->ends.conn, !p->sending);
	pump_step(p);
}

void
pump_receive(struct pump *p, const struct pump_ends *ends)
{
	*p = (struct pump){ .ends = *ends };
	pump_start(p);
}

void
pump_send(struct pump *p, const struct pump_ends *ends)
{
	*p = (struct pump){
		.ends = *ends,
		.sending = true,
		.burst = SLOW_BURST,
		.burst_max = SLOW_BURST,
		.pace_at = worker_now(conn_worker(ends->conn)),
	};
	/* A small file is with the kernel at once, whatever it is told. */
	if (ends->transfer->size > 2 * SLOW_BURST)
		set_pace(p, false);
	pump_start(p);
}

void
pump_stop(struct pump *p)
{
	if (!p->running)
		return;
	p->running = false;
	give_back(p, p->chunk);
	p->chunk = NULL;
}
