#include "net/pump.h"

#include <event2/buffer.h>

#include "loop/counters.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_time.h"
#include "net/machine.h"
#include "store/store.h"

/* The next chunk is read while so much of the last one is still on its way to the kernel. */
#define OUTPUT_LOW STORE_CHUNK_MAX

static void
pump_release(struct pump *p)
{
	struct conn *c = p->conn;

	p->conn = NULL;
	machine_set_busy(p->machine, false);
	conn_set_sending(c, false);
	conn_set_input_max(c, CONN_INPUT_SMALL);
	machine_take_io(p->machine);
}

static void
pump_fail(struct pump *p, enum ftx_rc why)
{
	pump_release(p);
	p->fail(p->arg, why);
}

static void
pump_end(struct pump *p)
{
	pump_release(p);
	machine_event(p->machine, p->event);
}

static void
receive_step(struct pump *p)
{
	size_t len = conn_input_length(p->conn);

	if (!p->waiting && p->left == 0) {
		pump_end(p);
		return;
	}
	if (!p->waiting && len == 0) {
		machine_set_busy(p->machine, false);
		if (conn_peer_end(p->conn) != FTX_OK)
			pump_fail(p, conn_peer_end(p->conn));
		return;
	}
	if (!p->waiting) {
		p->waiting = true;
		p->left -= store_write(p->transfer, conn_input(p->conn), len);
		conn_consumed(p->conn);
		len = conn_input_length(p->conn);
	}
	/* As long as there is room, and more to come, the peer is the one we wait for. */
	machine_set_busy(p->machine, len >= CONN_INPUT_BULK || len >= p->left);
}

static void
send_step(struct pump *p)
{
	enum ftx_rc end = conn_peer_end(p->conn);

	machine_set_busy(p->machine, conn_output_length(p->conn) == 0 && p->left > 0);
	/* First of all: a peer that leaves does not leave its read behind, which nobody counts. */
	if (p->waiting)
		return;
	if (end != FTX_OK && (end != FTX_TRUNCATED || p->needs_peer)) {
		pump_fail(p, end);
		return;
	}
	if (conn_output_length(p->conn) > OUTPUT_LOW)
		return;
	if (p->left > 0) {
		p->waiting = true;
		store_read(p->transfer, STORE_CHUNK_MAX);
	} else if (conn_output_length(p->conn) == 0)
		pump_end(p);
	else
		conn_set_output_low(p->conn, 0);
}

static void
pump_step(void *arg)
{
	struct pump *p = arg;

	if (p->sending)
		send_step(p);
	else
		receive_step(p);
}

void
pump_on_io(struct pump *p, enum ftx_rc rc)
{
	p->waiting = false;
	if (p->conn == NULL)
		return;
	if (rc == FTX_OK && p->sending) {
		p->left -= evbuffer_get_length(p->transfer->buffer);
		rc = conn_write_buffer(p->conn, p->transfer->buffer);
	}
	if (rc != FTX_OK) {
		pump_fail(p, rc);
		return;
	}
	counters_add(worker_counters(conn_worker(p->conn)),
	    p->sending ? COUNT_COPY_SENT : COUNT_COPY_RECEIVED, p->transfer->offset - p->moved);
	p->moved = p->transfer->offset;
	conn_log_content(p->conn, p->moved);
	pump_step(p);
}

uint64_t
pump_moved(const struct pump *p)
{
	return p->moved;
}

static void
pump_start(struct pump *p)
{
	static const struct conn_io io = { pump_step, pump_step };

	p->left = p->transfer->size;
	conn_set_io(p->conn, &io, p);
	conn_set_output_low(p->conn, p->sending ? OUTPUT_LOW : 0);
	conn_set_sending(p->conn, p->sending);
	if (!p->sending)
		conn_set_input_max(p->conn, CONN_INPUT_BULK);
	pump_step(p);
}

void
pump_receive(struct pump *p, struct conn *c, struct transfer *t, struct machine *m, uint8_t event,
    void (*fail)(void *arg, enum ftx_rc why), void *arg)
{
	*p = (struct pump){
		.conn = c,
		.transfer = t,
		.machine = m,
		.event = event,
		.fail = fail,
		.arg = arg,
	};
	pump_start(p);
}

void
pump_send(struct pump *p, struct conn *c, struct transfer *t, struct machine *m, uint8_t event,
    bool needs_peer, void (*fail)(void *arg, enum ftx_rc why), void *arg)
{
	*p = (struct pump){
		.conn = c,
		.transfer = t,
		.machine = m,
		.event = event,
		.sending = true,
		.needs_peer = needs_peer,
		.fail = fail,
		.arg = arg,
	};
	pump_start(p);
}

void
pump_stop(struct pump *p)
{
	p->conn = NULL;
}
