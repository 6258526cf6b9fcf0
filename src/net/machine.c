#include "net/machine.h"

#include <assert.h>
#include <inttypes.h>

#include "base/log.h"
#include "loop/worker.h"
#include "net/conn.h"

static const struct machine_state *
state_of(const struct machine *m)
{
	return &m->def->states[m->state];
}

const char *
machine_state_name(const struct machine *m)
{
	return state_of(m)->name;
}

static void
fail(struct machine *m, enum ftx_rc why)
{
	if (!m->stopped)
		m->def->fail(m->ctx, why);
}

/* When the state's deadline is, ms; UINT64_MAX: it has none. *why is what passing it means. */
static uint64_t
deadline_of(const struct machine *m, enum ftx_rc *why)
{
	const struct conn_limits *limits = conn_limits(m->conn);
	uint64_t from = 0, limit = 0;

	switch (state_of(m)->deadline) {
	case DEADLINE_REQUEST:
		*why = FTX_REQUEST_TIMEOUT;
		from = conn_started(m->conn) + m->own_ms;
		limit = limits->request_ms;
		break;
	case DEADLINE_IDLE:
		*why = FTX_IDLE_TIMEOUT;
		from = conn_idle_since(m->conn);
		/* Entering a state is a sign of life: the peer's time began then. */
		if (from < m->entered)
			from = m->entered;
		limit = limits->idle_ms;
		break;
	case DEADLINE_CLOSE:
		*why = FTX_IDLE_TIMEOUT;
		from = m->entered;
		limit = limits->close_ms;
		break;
	case DEADLINE_NONE:
	default:
		break;
	}
	return limit == 0 ? UINT64_MAX : from + limit;
}

static void
arm_deadline(struct machine *m)
{
	struct worker *w = conn_worker(m->conn);
	enum ftx_rc why;
	uint64_t due = deadline_of(m, &why);

	if (due == UINT64_MAX)
		worker_timer_stop(w, &m->timer);
	else
		worker_timer_start(w, &m->timer, due);
}

static void
on_deadline(void *arg)
{
	struct machine *m = arg;
	enum ftx_rc why = FTX_INTERNAL;
	uint64_t due = deadline_of(m, &why);

	if (due == UINT64_MAX)
		return;
	if (due > worker_now(conn_worker(m->conn)))
		arm_deadline(m); /* bytes have moved since */
	else
		fail(m, why);
}

static void
enter(struct machine *m, uint8_t next)
{
	uint64_t now = worker_now(conn_worker(m->conn));

	if (state_of(m)->deadline == DEADLINE_NONE)
		m->own_ms += now - m->entered;
	m->state = next;
	m->entered = now;
	if (machine_state_name(m) != NULL)
		log_debug("conn=%" PRIu64 " changed status to: %s", conn_id(m->conn),
		    machine_state_name(m));
	/* An action that ended the conversation has given the timer back; nothing may run on it. */
	if (!m->stopped)
		arm_deadline(m);
}

static const struct machine_rule *
find_rule(const struct machine *m, uint8_t event)
{
	for (size_t i = 0; i < m->def->rule_count; i++) {
		const struct machine_rule *r = &m->def->rules[i];

		if (r->state == m->state && r->event == event)
			return r;
	}
	return NULL;
}

static void
handle(struct machine *m, uint8_t event)
{
	const struct machine_rule *r = find_rule(m, event);
	enum ftx_rc rc;

	if (r == NULL) {
		/* The peer's end has a reason of its own. A notice that all is sent may be idle. */
		if (event == ON_END)
			fail(m, conn_peer_end(m->conn));
		else if (event != ON_SENT)
			fail(m, FTX_PROTOCOL);
		return;
	}
	rc = r->action != NULL ? r->action(m->ctx) : FTX_OK;
	if (rc != FTX_OK)
		fail(m, rc);
	else if (r->next != MACHINE_STAY)
		enter(m, r->next); /* an action that ends the conversation has a last state, too */
}

/* The events that actions posted, in their order. */
static void
handle_queue(struct machine *m)
{
	while (m->queued > 0 && !m->stopped) {
		uint8_t event = m->queue[0];

		m->queued--;
		for (unsigned i = 0; i < m->queued; i++)
			m->queue[i] = m->queue[i + 1];
		handle(m, event);
	}
}

/* A pump may have the connection's notices meanwhile: then its input is not ours to look at. */
static bool
has_io(const struct machine *m)
{
	return conn_has_io(m->conn, m);
}

/* One event that the input gives rise to, if any. */
static bool
next_input_event(struct machine *m, uint8_t *event)
{
	size_t wants = state_of(m)->wants;
	enum ftx_rc end = conn_peer_end(m->conn);

	if (wants > 0 && conn_input_length(m->conn) >= wants) {
		*event = ON_MESSAGE;
		return true;
	}
	if (end == FTX_OK || m->end_told)
		return false;
	/*
	 * A peer that has only finished sending may still be told something; one that is gone may
	 * not. But while we are at work (no clock runs) not even that is looked at: the work would
	 * go on without its connection, and nothing would count how much of it there is.
	 */
	if (wants == 0 && (end == FTX_TRUNCATED || state_of(m)->deadline == DEADLINE_NONE))
		return false;
	m->end_told = true;
	*event = ON_END;
	return true;
}

void
machine_resume(struct machine *m)
{
	uint8_t event;

	if (m->running || m->stopped)
		return;
	m->running = true;
	handle_queue(m);
	while (!m->stopped && has_io(m) && next_input_event(m, &event)) {
		size_t before = conn_input_length(m->conn);
		uint8_t state = m->state;

		handle(m, event);
		handle_queue(m);
		/* An action that takes nothing would be called for ever. */
		if (event == ON_MESSAGE && !m->stopped && m->state == state && has_io(m) &&
		    conn_input_length(m->conn) == before) {
			fail(m, FTX_INTERNAL);
			break;
		}
	}
	m->running = false;
}

void
machine_event(struct machine *m, uint8_t event)
{
	if (m->stopped)
		return;
	assert(m->queued < MACHINE_QUEUE);
	m->queue[m->queued++] = event;
	machine_resume(m);
}

static void
on_input(void *arg)
{
	machine_resume(arg);
}

static void
on_output(void *arg)
{
	machine_event(arg, ON_SENT);
}

void
machine_take_io(struct machine *m)
{
	static const struct conn_io io = { on_input, on_output };

	conn_set_io(m->conn, &io, m);
	conn_set_output_low(m->conn, 0);
}

enum ftx_rc
machine_start(
    struct machine *m, const struct machine_def *def, struct conn *c, void *ctx, uint8_t first)
{
	enum ftx_rc rc;

	*m = (struct machine){ .def = def, .conn = c, .ctx = ctx, .state = first };
	rc = worker_timer_init(conn_worker(c), &m->timer, on_deadline, m);
	if (rc != FTX_OK)
		return rc;
	machine_take_io(m);
	m->entered = worker_now(conn_worker(c));
	enter(m, first);
	return FTX_OK;
}

void
machine_stop(struct machine *m)
{
	if (m->stopped || m->conn == NULL)
		return;
	m->stopped = true;
	worker_timer_clear(conn_worker(m->conn), &m->timer);
}
