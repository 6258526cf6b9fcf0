#include "net/machine.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
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

/* When the peer will have had the rest of its time; never, while its clock stands still. */
static uint64_t
after_rest(const struct machine *m, uint64_t had, uint64_t limit)
{
	if (conn_is_busy(m->conn))
		return UINT64_MAX;
	return clock_after(worker_now(conn_worker(m->conn)), had < limit ? limit - had : 0);
}

/* By the peer's clock, since a byte moved, or since the state was entered: a sign of life, too. */
static uint64_t
idle_time(const struct machine *m)
{
	uint64_t since = conn_idle_since(m->conn);

	return conn_peer_clock(m->conn) - (since > m->idle_from ? since : m->idle_from);
}

static uint64_t
window_time(const struct machine *m)
{
	return conn_peer_clock(m->conn) - m->window_from;
}

static void
begin_window(struct machine *m)
{
	m->window_from = conn_peer_clock(m->conn);
	m->window_moved = conn_moved(m->conn);
}

/* Bytes that the rate asks for in that time; saturates. */
static uint64_t
bytes_due(uint64_t rate, uint64_t ms)
{
	uint64_t whole, part;

	if (__builtin_mul_overflow(rate / 1000, ms, &whole) ||
	    __builtin_mul_overflow(rate % 1000, ms, &part) ||
	    __builtin_add_overflow(whole, part / 1000, &whole))
		return UINT64_MAX;
	return whole;
}

/* The state's deadline, ms; it may still turn out later. UINT64_MAX: none. */
static uint64_t
deadline_of(const struct machine *m)
{
	const struct conn_limits *limits = conn_limits(m->conn);
	uint64_t due = UINT64_MAX, window;

	switch (state_of(m)->deadline) {
	case DEADLINE_REQUEST:
		if (limits->request_ms > 0)
			due = clock_after(conn_started(m->conn) + m->own_ms, limits->request_ms);
		break;
	case DEADLINE_IDLE:
		if (limits->idle_ms > 0)
			due = after_rest(m, idle_time(m), limits->idle_ms);
		if (limits->min_rate > 0) {
			window = after_rest(m, window_time(m), MACHINE_WINDOW_MS);
			due = window < due ? window : due;
		}
		break;
	case DEADLINE_CLOSE:
		if (limits->close_ms > 0)
			due = clock_after(m->entered, limits->close_ms);
		break;
	case DEADLINE_NONE:
	default:
		break;
	}
	return due;
}

/* What the peer has done since the last look decides whether it may go on: FTX_OK. */
static enum ftx_rc
judge_movement(struct machine *m)
{
	const struct conn_limits *limits = conn_limits(m->conn);
	uint64_t moved;

	if (conn_is_busy(m->conn))
		return FTX_OK;
	conn_look(m->conn);
	if (limits->idle_ms > 0 && idle_time(m) >= limits->idle_ms)
		return FTX_IDLE_TIMEOUT;
	if (limits->min_rate == 0 || window_time(m) < MACHINE_WINDOW_MS)
		return FTX_OK;
	moved = conn_moved(m->conn) - m->window_moved;
	if ((moved > 0 || limits->idle_ms == 0) &&
	    moved < bytes_due(limits->min_rate, window_time(m)))
		return FTX_TOO_SLOW;
	begin_window(m);
	return FTX_OK;
}

static void
arm_deadline(struct machine *m)
{
	struct worker *w = conn_worker(m->conn);
	uint64_t due = deadline_of(m);

	if (due == UINT64_MAX)
		worker_timer_stop(w, &m->timer);
	else
		worker_timer_start(w, &m->timer, due);
}

static void
on_deadline(void *arg)
{
	struct machine *m = arg;
	enum machine_deadline kind = state_of(m)->deadline;
	enum ftx_rc why = FTX_OK;

	if (kind == DEADLINE_IDLE)
		why = judge_movement(m);
	else if (deadline_of(m) <= worker_now(conn_worker(m->conn)))
		why = kind == DEADLINE_REQUEST ? FTX_REQUEST_TIMEOUT : FTX_IDLE_TIMEOUT;
	if (why != FTX_OK)
		fail(m, why);
	else
		arm_deadline(m);
}

void
machine_set_busy(struct machine *m, bool busy)
{
	bool was = conn_is_busy(m->conn);

	conn_set_busy(m->conn, busy);
	if (was && !busy && !m->stopped)
		arm_deadline(m);
}

static void
enter(struct machine *m, uint8_t next)
{
	uint64_t now = worker_now(conn_worker(m->conn));

	if (state_of(m)->deadline == DEADLINE_NONE)
		m->own_ms += now - m->entered;
	m->state = next;
	m->entered = now;
	if (state_of(m)->deadline == DEADLINE_IDLE) {
		conn_look(m->conn); /* what came before is no movement of this state's */
		m->idle_from = conn_peer_clock(m->conn);
		begin_window(m);
	}
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
