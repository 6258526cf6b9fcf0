#include "net/machine.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_time.h"

static const struct machine_state *
state_of(const struct machine *m)
{
	return &m->def->states[m->state];
}

/* Of the state it is in; NULL for one whose entering is not logged. */
static const char *
state_name(const struct machine *m)
{
	return state_of(m)->name;
}

static void
fail(struct machine *m, enum ftx_rc why)
{
	if (!m->stopped)
		m->def->fail(m->ctx, why);
}

#define NEVER UINT64_MAX

/*
 * Of each limit, how much of its time the peer has left, ms of its clock. 0: the time is over;
 * NEVER: there is no such limit.
 */
static uint64_t
rest_of(uint64_t had, uint64_t limit)
{
	if (limit == 0)
		return NEVER;
	return had < limit ? limit - had : 0;
}

static uint64_t
rest_of_request(const struct machine *m)
{
	return rest_of(
	    conn_peer_clock(m->conn) - conn_started(m->conn), conn_limits(m->conn)->request_ms);
}

/* Since a byte moved, or since the state was entered: a sign of life, too. */
static uint64_t
rest_of_idle(const struct machine *m)
{
	uint64_t since = conn_idle_since(m->conn);

	if (since < m->entered)
		since = m->entered;
	return rest_of(conn_peer_clock(m->conn) - since, conn_limits(m->conn)->idle_ms);
}

static uint64_t
window_time(const struct machine *m)
{
	return conn_peer_clock(m->conn) - m->window_from;
}

static uint64_t
rest_of_window(const struct machine *m)
{
	if (conn_limits(m->conn)->min_rate == 0)
		return NEVER;
	return rest_of(window_time(m), MACHINE_WINDOW_MS);
}

static uint64_t
rest_of_close(const struct machine *m)
{
	return rest_of(conn_peer_clock(m->conn) - m->close_from, conn_limits(m->conn)->close_ms);
}

/* Its limits are of what moves. */
static bool
is_looked_at(const struct machine *m)
{
	enum machine_deadline deadline = state_of(m)->deadline;

	return deadline == DEADLINE_IDLE || deadline == DEADLINE_CLOSE;
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

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until the limits of the state are to be looked at again. */
static uint64_t
rest_of_state(const struct machine *m)
{
	switch (state_of(m)->deadline) {
	case DEADLINE_REQUEST:
		return rest_of_request(m);
	case DEADLINE_IDLE:
		return least(rest_of_idle(m), rest_of_window(m));
	case DEADLINE_CLOSE:
		if (m->close_begun)
			return rest_of_close(m);
		return least(MACHINE_LOOK_MS, least(rest_of_idle(m), rest_of_window(m)));
	case DEADLINE_NONE:
	default:
		return NEVER;
	}
}

/* Whether the peer has moved what it had to: FTX_OK. */
static enum ftx_rc
judge_movement(struct machine *m)
{
	const struct conn_limits *limits = conn_limits(m->conn);
	uint64_t moved;

	if (rest_of_idle(m) == 0)
		return FTX_IDLE_TIMEOUT;
	if (rest_of_window(m) > 0)
		return FTX_OK;
	moved = conn_moved(m->conn) - m->window_moved;
	/* A silent window is the idle deadline's to judge, if there is one: it may be longer. */
	if ((moved > 0 || limits->idle_ms == 0) &&
	    moved < bytes_due(limits->min_rate, window_time(m)))
		return FTX_TOO_SLOW;
	begin_window(m);
	return FTX_OK;
}

/*
 * The close is waited for as soon as the peer has all that was sent. Until then, and our kernel may
 * have megabytes of it, it is as slow as it may be in sending.
 */
static void
look_for_close(struct machine *m)
{
	if (m->close_begun || !conn_has_taken_all(m->conn))
		return;
	m->close_begun = true;
	m->close_from = conn_peer_clock(m->conn);
}

/* What the peer has done until now decides whether it may go on: FTX_OK. */
static enum ftx_rc
judge(struct machine *m)
{
	if (conn_is_busy(m->conn))
		return FTX_OK;
	if (is_looked_at(m))
		conn_look(m->conn);
	switch (state_of(m)->deadline) {
	case DEADLINE_REQUEST:
		return rest_of_request(m) > 0 ? FTX_OK : FTX_REQUEST_TIMEOUT;
	case DEADLINE_IDLE:
		return judge_movement(m);
	case DEADLINE_CLOSE:
		look_for_close(m);
		if (!m->close_begun)
			return judge_movement(m);
		return rest_of_close(m) > 0 ? FTX_OK : FTX_IDLE_TIMEOUT;
	case DEADLINE_NONE:
	default:
		return FTX_OK;
	}
}

/* No time passes while the peer's clock stands still. */
static void
arm_deadline(struct machine *m)
{
	struct worker *w = conn_worker(m->conn);
	uint64_t rest = conn_is_busy(m->conn) ? NEVER : rest_of_state(m);

	if (rest == NEVER)
		worker_timer_stop(w, &m->timer);
	else
		worker_timer_start(w, &m->timer, clock_after(worker_now(w), rest));
}

static void
on_deadline(void *arg)
{
	struct machine *m = arg;
	enum ftx_rc why = judge(m);

	if (why != FTX_OK)
		fail(m, why);
	else
		arm_deadline(m);
}

/* We keep the peer waiting in a state that says so, and when a pump or an action does. */
static void
update_busy(struct machine *m)
{
	conn_set_busy(m->conn, m->busy || state_of(m)->deadline == DEADLINE_NONE);
}

void
machine_set_busy(struct machine *m, bool busy)
{
	bool was = conn_is_busy(m->conn);

	m->busy = busy;
	update_busy(m);
	if (was && !conn_is_busy(m->conn) && !m->stopped)
		arm_deadline(m);
}

static void
enter(struct machine *m, uint8_t next)
{
	m->state = next;
	update_busy(m);
	m->entered = conn_peer_clock(m->conn);
	m->close_begun = false;
	if (is_looked_at(m)) {
		conn_look(m->conn); /* what came before is no movement of this state's */
		begin_window(m);
		look_for_close(m);
	}
	if (state_name(m) != NULL)
		log_debug(
		    "conn=%" PRIu64 " changed status to: %s", conn_id(m->conn), state_name(m));
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
