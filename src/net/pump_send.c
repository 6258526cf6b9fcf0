/* Content that is sent. */
#include "loop/chunk.h"
#include "loop/counters.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_time.h"
#include "net/machine.h"
#include "net/pump_private.h"
#include "store/store.h"

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
/* Where most of a file is sent by sendfile(2): so many bytes at its end, at least, are not. */
#define LAST_BYTES ((uint64_t)64 * 1024)
/* Smaller files are not worth it; on the loopback, where waiting at the end takes longest. */
#define FROM_FILE_MIN       (8 * LAST_BYTES)
#define FROM_FILE_MIN_LOCAL ((uint64_t)32 * 1024 * 1024)

static void
set_pace(struct pump *p, bool fast)
{
	p->burst_max = fast ? PUMP_PIECE : SLOW_BURST;
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
	if (fast != (p->burst_max == PUMP_PIECE))
		set_pace(p, fast);
	p->pace_from = offset;
	p->pace_at = now;
}

/* Whether the next bytes are for sendfile(2). The version is settled by the first ones. */
static bool
is_for_file(const struct pump *p)
{
	return p->from_file && p->ends.transfer->offset > p->from &&
	       pump_left_in_all(p) > LAST_BYTES;
}

/* Of the next bytes, which are in memory; how many went. */
static size_t
send_from_file(struct pump *p, size_t len)
{
	struct transfer *t = p->ends.transfer;
	bool unable;
	size_t n = conn_send_file(p->ends.conn, store_file(t), t->offset, len, &unable);

	p->from_file = !unable;
	p->by_file |= n > 0;
	p->file_end = conn_sent(p->ends.conn);
	store_sent(t, n);
	counters_add(worker_counters(conn_worker(p->ends.conn)), COUNT_SENDFILE, n);
	p->counted += n;
	return n;
}

/*
 * What sendfile(2) has queued are pages of the file until the peer has got them. So the version is
 * looked at, for the last bytes, when there is nothing left that could still change. There are
 * stops, where it is waited for that, each with so many bytes left to be sent:
 *
 * A peer on another machine acknowledges at once what has more behind it. One on this machine has
 * got what it has read; but if it spliced that into a pipe, only once it reads what comes next.
 */
static const uint64_t stops_far[] = { LAST_BYTES / 2 };
static const uint64_t stops_here[] = { LAST_BYTES, LAST_BYTES / 2 };

/* 0: there is none, or none any more. */
static uint64_t
next_stop(const struct pump *p)
{
	bool here = conn_is_local(p->ends.conn);
	unsigned count = here ? 2 : 1;

	if ((!p->from_file && !p->by_file) || p->stops >= count)
		return 0;
	return here ? stops_here[p->stops] : stops_far[p->stops];
}

/* Sends the first len bytes of the chunk; how many the kernel took. */
static size_t
send_chunk(struct pump *p, const struct chunk *chunk, size_t len)
{
	uint64_t left = pump_left_in_all(p), stop = next_stop(p);
	/* What the peer is to get before a stop must not wait for what comes after it. */
	bool more =
	    left > stop && stop > 0 ? len < left - stop : len < pump_left(p) || p->ends.closes;
	size_t n = conn_send(p->ends.conn, chunk->data, len, more);

	pump_show_bytes(p, chunk->data, n); /* what was not taken is read again */
	store_sent(p->ends.transfer, n);
	if (n < len)
		p->burst = n > BURST_MIN ? n : BURST_MIN;
	else if (p->burst < p->burst_max)
		p->burst = least(p->burst_max, 2 * (uint64_t)p->burst);
	return n;
}

/* What the peer is to get before more is sent. */
static uint64_t
to_be_got(const struct pump *p)
{
	return conn_is_local(p->ends.conn) ? conn_sent(p->ends.conn) : p->file_end;
}

static bool
must_stop(struct pump *p)
{
	if (!p->by_file || next_stop(p) == 0 || pump_left_in_all(p) > next_stop(p))
		return false;
	if (!conn_has_got(p->ends.conn, to_be_got(p)))
		return true;
	p->stops++;
	return false;
}

enum sending {
	SENDING_WAITS, /* the kernel takes no more for now */
	SENDING_GOES,  /* it would take more, or all is sent */
	SENDING_READS, /* the store has the chunk, and reads into it */
	SENDING_STOPS  /* the peer is to get what it was sent */
};

/* Of the next bytes, how many are to be moved by one call. */
static size_t
next_piece(const struct pump *p, size_t max)
{
	uint64_t left = pump_left_in_all(p), stop = is_for_file(p) ? LAST_BYTES : next_stop(p);

	return least(least(max, left > stop ? left - stop : left), pump_left(p));
}

/*
 * As much as the kernel takes, within the step. What it does not take is read again when it does:
 * so a peer that waits costs no memory.
 */
static enum sending
send_now(struct pump *p, struct chunk *chunk)
{
	struct transfer *t = p->ends.transfer;

	for (size_t rest = pump_step_size(p); rest > 0 && pump_left(p) > 0;) {
		bool file = is_for_file(p);
		size_t most = file ? p->burst_max : p->burst;
		size_t want, n;

		if (must_stop(p))
			return SENDING_STOPS;
		want = next_piece(p, rest < most ? rest : most);
		n = file ? store_resident(t, want) : store_read_now(t, chunk->data, want);
		if (n == 0) {
			p->waiting = true;
			store_read(t, chunk, want);
			return SENDING_READS;
		}
		want = n;
		n = file ? send_from_file(p, want) : send_chunk(p, chunk, want);
		rest -= n;
		if (n < want && (!file || p->from_file))
			return SENDING_WAITS;
	}
	return SENDING_GOES;
}

/* What a job has read; what the kernel does not take of it is read again when it does. */
static enum sending
send_read(struct pump *p, struct chunk *chunk)
{
	return send_chunk(p, chunk, chunk->len) < chunk->len ? SENDING_WAITS : SENDING_GOES;
}

static void
go_on(struct pump *p, enum sending sending)
{
	if (pump_left(p) == 0)
		pump_end(p);
	else if (sending == SENDING_STOPS)
		conn_wait_got(p->ends.conn, to_be_got(p));
	else if (sending == SENDING_WAITS || !pump_again(p))
		conn_wait_output(p->ends.conn);
}

static void
send_content(struct pump *p)
{
	struct chunk *chunk = p->chunk != NULL ? p->chunk : chunk_get(pump_chunks(p));
	enum sending sending;

	if (chunk == NULL) {
		pump_fail_here(p, FTX_NOMEM);
		return;
	}
	sending = p->chunk != NULL ? send_read(p, chunk) : send_now(p, chunk);
	p->chunk = NULL;
	if (sending == SENDING_READS) {
		/* Nothing is on its way: it is we who keep the peer waiting. */
		pump_set_busy(p, true);
		return;
	}
	pump_give_back(p, chunk);
	pump_note_moved(p);
	judge_pace(p);
	go_on(p, sending);
}

void
pump_send_step(struct pump *p)
{
	enum ftx_rc end = conn_peer_end(p->ends.conn);

	/* First of all: a peer that leaves does not leave its read behind, which nobody counts. */
	if (p->waiting)
		return;
	if (end != FTX_OK && (end != FTX_TRUNCATED || p->ends.needs_peer)) {
		pump_fail(p, end);
		return;
	}
	pump_set_busy(p, false);
	if (conn_output_length(p->ends.conn) == 0)
		send_content(p);
}

/*
 * A peer on the loopback gets the file's own pages, too (which costs a quarter less of both ends),
 * if it can be told when it has read them.
 */
static bool
is_file_sent(const struct pump_ends *ends, uint64_t length)
{
	bool local = conn_is_local(ends->conn), tells;

	if (ends->way == PUMP_COPY || ends->on_bytes != NULL || store_file(ends->transfer) < 0 ||
	    length < FROM_FILE_MIN)
		return false;
	tells = local && length >= FROM_FILE_MIN_LOCAL && conn_tells_reads(ends->conn);
	return ends->way == PUMP_FILE || !local || tells;
}

void
pump_send(struct pump *p, const struct pump_ends *ends)
{
	pump_init(p, ends, true);
	p->burst = p->burst_max = SLOW_BURST;
	p->pace_from = p->from;
	p->pace_at = worker_now(conn_worker(ends->conn));
	p->from_file = is_file_sent(ends, p->content_end - p->from);
	/* A small file is with the kernel at once, whatever it is told. */
	if (p->content_end - p->from > 2 * SLOW_BURST)
		set_pace(p, false);
	pump_start(p);
}
