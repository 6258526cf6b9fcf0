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

uint64_t
pump_left(const struct pump *p)
{
	const struct transfer *t = p->ends.transfer;

	return t->size - t->offset - (p->waiting && !p->sending ? t->chunk->len : 0);
}

static void
pump_halt(struct pump *p)
{
	p->running = false;
	worker_not_later(conn_worker(p->ends.conn), &p->work);
	pump_give_back(p, p->chunk);
	p->chunk = NULL;
}

static void
pump_release(struct pump *p)
{
	struct conn *c = p->ends.conn;

	pump_halt(p);
	machine_set_busy(p->ends.machine, false);
	conn_set_sending(c, false);
	conn_set_bulk_input(c, false);
	machine_take_io(p->ends.machine);
}

void
pump_fail(struct pump *p, enum ftx_rc why)
{
	pump_release(p);
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
	machine_event(p->ends.machine, p->ends.event);
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
	conn_log_content(p->ends.conn, moved);
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

static void
on_input(void *arg)
{
	struct pump *p = arg;

	if (!p->sending || conn_peer_end(p->ends.conn) != FTX_OK) /* else it is not due yet */
		step_later(p);
}

static void
on_output(void *arg)
{
	struct pump *p = arg;

	if (p->sending)
		step_later(p);
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
	if (!p->running)
		return;
	if (rc != FTX_OK)
		pump_fail_here(p, rc);
	else {
		pump_note_moved(p);
		step_later(p);
	}
}

void
pump_start(struct pump *p)
{
	static const struct conn_io io = { on_input, on_output };

	p->running = true;
	p->work.run = run_step;
	conn_set_io(p->ends.conn, &io, p);
	conn_set_sending(p->ends.conn, p->sending);
	conn_set_bulk_input(p->ends.conn, !p->sending);
	pump_step(p);
}

void
pump_receive(struct pump *p, const struct pump_ends *ends)
{
	*p = (struct pump){ .ends = *ends };
	pump_choose_pipe(p);
	pump_start(p);
}

void
pump_stop(struct pump *p)
{
	if (p->running)
		pump_halt(p);
}
