#include "net/pump.h"

#include <stddef.h>

#include "loop/chunk.h"
#include "loop/counters.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_time.h"
#include "net/machine.h"
#include "net/pump_private.h"
#include "store/store.h"

struct chunk_cache *
pump_chunks(const struct pump *p)
{
	return worker_chunks(conn_worker(p->ends.conn));
}

void
pump_give_back(const struct pump *p, struct chunk *chunk)
{
	chunk_put(pump_chunks(p), chunk);
}

size_t
pump_step_size(const struct pump *p)
{
	return worker_queues(conn_worker(p->ends.conn)) ? STEP_SIZE : STEP_SIZE_ALONE;
}

static uint64_t
left_until(const struct pump *p, uint64_t end)
{
	const struct transfer *t = p->ends.transfer;

	return end - t->offset - (p->waiting && !p->sending ? t->chunk->len : 0);
}

uint64_t
pump_left(const struct pump *p)
{
	return left_until(p, p->run_end);
}

uint64_t
pump_left_in_all(const struct pump *p)
{
	return left_until(p, p->content_end);
}

uint64_t
pump_to_come(const struct pump *p)
{
	return p->to_come;
}

void
pump_set_busy(struct pump *p, bool busy)
{
	p->busy = busy;
	if (p->ends.machine != NULL)
		machine_set_busy(p->ends.machine, busy);
}

void
pump_show_bytes(struct pump *p, const void *bytes, size_t len)
{
	p->to_come -= p->sending ? 0 : len;
	if (len > 0 && p->ends.on_bytes != NULL)
		p->ends.on_bytes(p->ends.arg, bytes, len);
}

bool
pump_is_busy(const struct pump *p)
{
	return p->running && p->busy;
}

/* What was received and not written yet stays: there may be another run. */
static void
pump_rest(struct pump *p)
{
	p->running = false;
	worker_not_later(conn_worker(p->ends.conn), &p->work);
}

static void
drop_chunk(struct pump *p)
{
	pump_give_back(p, p->chunk);
	p->chunk = NULL;
}

static void
pump_release(struct pump *p)
{
	struct conn *c = p->ends.conn;

	pump_rest(p);
	pump_set_busy(p, false);
	if (p->ends.machine == NULL) {
		if (!p->sending)
			conn_set_bulk_input(c, false);
		return;
	}
	conn_set_sending(c, false);
	conn_set_bulk_input(c, false);
	machine_take_io(p->ends.machine);
}

void
pump_fail(struct pump *p, enum ftx_rc why)
{
	pump_release(p);
	drop_chunk(p);
	p->ends.fail(p->ends.arg, why);
}

void
pump_fail_here(struct pump *p, enum ftx_rc why)
{
	p->failed_here = true;
	pump_fail(p, why);
}

void
pump_end(struct pump *p)
{
	pump_release(p);
	if (p->ends.machine != NULL)
		machine_event(p->ends.machine, p->ends.event);
	else
		p->ends.on_end(p->ends.arg);
}

void
pump_note_moved(struct pump *p)
{
	uint64_t moved = p->ends.transfer->offset;

	enum counter path = p->sending                 ? COUNT_COPY_SENT
			    : p->ends.transfer->direct ? COUNT_DIRECT
						       : COUNT_COPY_RECEIVED;

	counters_add(worker_counters(conn_worker(p->ends.conn)), path, moved - p->counted);
	p->counted = moved;
	conn_add_content(p->ends.conn, moved - p->noted);
	p->noted = moved;
	if (p->ends.moved != NULL)
		*p->ends.moved = moved;
}

static void
pump_step(struct pump *p)
{
	if (p->sending)
		pump_send_step(p);
	else
		pump_receive_step(p);
}

static void
run_step(struct work *work)
{
	pump_step((struct pump *)((char *)work - offsetof(struct pump, work)));
}

bool
pump_again(struct pump *p)
{
	return worker_later(conn_worker(p->ends.conn), &p->work);
}

/* Others may be waiting for less. */
static void
step_later(struct pump *p)
{
	if (!pump_again(p))
		pump_step(p);
}

void
pump_on_input(struct pump *p)
{
	/* While it sends, what comes is not due yet. */
	if (p->running && (!p->sending || conn_peer_end(p->ends.conn) != FTX_OK))
		step_later(p);
}

void
pump_on_output(struct pump *p)
{
	if (p->running && p->sending)
		step_later(p);
}

static void
on_input(void *arg)
{
	pump_on_input(arg);
}

static void
on_output(void *arg)
{
	pump_on_output(arg);
}

void
pump_on_io(struct pump *p, enum ftx_rc rc)
{
	struct chunk *chunk = transfer_take_chunk(p->ends.transfer);

	p->waiting = false;
	if (p->running && p->sending && rc == FTX_OK)
		p->chunk = chunk;
	else
		pump_give_back(p, chunk);
	if (!p->running) {
		p->failure = rc;
		if (rc == FTX_OK) {
			pump_note_moved(p); /* it may have been the last one */
			pump_write_on(p);
		}
		return;
	}
	if (rc != FTX_OK)
		pump_fail_here(p, rc);
	else {
		pump_note_moved(p);
		step_later(p);
	}
}

static void
begin_run(struct pump *p, uint64_t length)
{
	static const struct conn_io io = { on_input, on_output };

	p->running = true;
	p->to_come = length;
	p->run_end = p->content_end - pump_left_in_all(p) + length;
	if (!p->sending && p->chunk != NULL)
		p->run_end += p->chunk->len; /* of the run before */
	if (p->ends.machine != NULL) {
		conn_set_io(p->ends.conn, &io, p);
		conn_set_sending(p->ends.conn, p->sending);
	}
	if (p->ends.machine != NULL || !p->sending)
		conn_set_bulk_input(p->ends.conn, !p->sending && !p->finishing);
	if (p->failure != FTX_OK)
		pump_fail_here(p, p->failure);
	else
		pump_step(p);
}

void
pump_start(struct pump *p)
{
	uint64_t length = p->content_end - p->from;

	p->work.run = run_step;
	begin_run(p, p->ends.length > 0 ? p->ends.length : length);
}

void
pump_next(struct pump *p, uint64_t length)
{
	begin_run(p, length);
}

void
pump_finish(struct pump *p)
{
	p->finishing = true;
	begin_run(p, 0);
}

void
pump_set_total(struct pump *p, uint64_t total)
{
	p->content_end = p->from + total;
}

/* What is to be moved, from where the transfer stands. */
void
pump_init(struct pump *p, const struct pump_ends *ends, bool sending)
{
	uint64_t from = ends->transfer->offset;

	*p = (struct pump){
		.ends = *ends,
		.sending = sending,
		.from = from,
		.content_end = ends->total > 0 ? from + ends->total : ends->transfer->size,
		.counted = from,
		.noted = from,
	};
}

void
pump_receive(struct pump *p, const struct pump_ends *ends)
{
	pump_init(p, ends, false);
	pump_choose_pipe(p);
	pump_start(p);
}

void
pump_stop(struct pump *p)
{
	if (p->running)
		pump_rest(p);
	if (p->chunk != NULL)
		drop_chunk(p);
}
