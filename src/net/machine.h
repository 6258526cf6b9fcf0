/*
 * machine.h - the driver of all state tables: the only code that changes a state.
 * Layer: net. Threads: its worker's.
 * Tests: tests/unit/test_machine.c, tests/pair/
 *
 * One half of a conversation is a table: rows of {state, event, action, next}, and per state a
 * name, how many bytes it waits for and which deadline runs. An event without a row is a protocol
 * error and ends the conversation. An action returns FTX_OK (the row's next state is entered) or
 * why the conversation ends; it may post further events, which are handled before any more input.
 */
#ifndef NET_MACHINE_H
#define NET_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "loop/timer.h"

struct conn;

/* What the driver itself reports; a table's own events start at MACHINE_EVENTS. */
enum machine_event {
	ON_MESSAGE, /* the bytes that the state waits for are there: the action takes them */
	ON_SENT,    /* all output is with the kernel */
	ON_END,     /* the peer will send no more, and that is too little: conn_peer_end() */
	MACHINE_EVENTS
};

enum machine_deadline {
	DEADLINE_NONE,    /* we keep the peer waiting: its clock stands still */
	DEADLINE_REQUEST, /* for all such states together, since the connection began */
	DEADLINE_IDLE, /* since a byte moved; and the average of a window must be the least rate */
	DEADLINE_CLOSE /* the same until the peer has taken all that was sent; then since that */
};

struct machine_state {
	const char *name; /* NULL: entering it is not logged */
	size_t wants;     /* bytes: ON_MESSAGE when so many are there; 0: input is not looked at */
	enum machine_deadline deadline;
};

/*
 * The rate is looked at over such a time of the peer's clock. A window in which nothing moved at
 * all is the idle deadline's to judge.
 */
#define MACHINE_WINDOW_MS 30000
/* Whether all was taken is looked for so often. */
#define MACHINE_LOOK_MS 1000

#define MACHINE_STAY UINT8_MAX /* as a row's next state: the one it is in */

struct machine_rule {
	uint8_t state;
	uint8_t event;
	enum ftx_rc (*action)(void *ctx); /* NULL: nothing to do */
	uint8_t next;
};

struct machine_def {
	const struct machine_state *states;
	size_t state_count;
	const struct machine_rule *rules;
	size_t rule_count;
	/* Has to end the conversation: an action failed, a deadline passed, or no row fits. */
	void (*fail)(void *ctx, enum ftx_rc why);
};

#define MACHINE_QUEUE 4 /* events that one action posts, at the most */

/* Embedded in what it drives. */
struct machine {
	const struct machine_def *def; /* static */
	struct conn *conn;             /* borrowed; outlives the machine's running */
	void *ctx;                     /* borrowed: the argument of the actions */
	uint8_t state;
	uint8_t queue[MACHINE_QUEUE];
	unsigned queued;
	bool running; /* an event is being handled */
	bool stopped;
	bool end_told;
	struct timer timer;
	bool busy;        /* machine_set_busy() */
	bool close_begun; /* all was taken in a state that waits for the close */
	uint64_t entered; /* when the state was; like the others, ms of the peer's clock */
	uint64_t window_from;
	uint64_t window_moved; /* bytes that had moved when the window began */
	uint64_t close_from;
};

/*
 * Takes the connection's input and output notices, enters `first`. Input that is there already
 * waits for machine_resume(). FTX_NOMEM: nothing was done.
 */
enum ftx_rc machine_start(struct machine *m, const struct machine_def *def, struct conn *c,
    void *ctx, uint8_t first) FTX_MUST_CHECK;
/*
 * Something happened; handled at once, or after the action that is running. Ignored by a machine
 * that has stopped, so that late news of a transfer does no harm.
 */
void machine_event(struct machine *m, uint8_t event);
/*
 * Looks at input that is there already: after the connection's notices were given back to the
 * machine.
 */
void machine_resume(struct machine *m);
/* The connection's notices are the machine's again (a pump had them). */
void machine_take_io(struct machine *m);
/* On: it is we who keep the peer waiting; its clock (net/conn_time.h) stands still. */
void machine_set_busy(struct machine *m, bool busy);
/* No event is handled any more; gives the timer back. Idempotent. */
void machine_stop(struct machine *m);

#endif
