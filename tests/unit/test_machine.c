/*
 * net/machine: the driver of the state tables, with a table that is made for it. Deadlines are in
 * test_machine_time.c, the least rate in test_machine_rate.c, ends in test_machine_end.c: one
 * program.
 */
#include "unit/test_machine.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static const struct machine_state states[] = {
	[WAIT_TWO] = { "wait_two", 2, DEADLINE_REQUEST },
	[OWN] = { "own", 0, DEADLINE_NONE },
	[SENDING] = { "sending", 0, DEADLINE_REQUEST },
	[BULK] = { "bulk", 1, DEADLINE_IDLE },
	[CLOSING] = { "closing", 0, DEADLINE_CLOSE },
	[QUIET] = { NULL, 0, DEADLINE_NONE },
};

/* The conversation of a test: what its actions do next, and what was done. */
struct machine machine;
char trace[64]; /* a letter for each action */
static char message[3];
static enum ftx_rc result; /* of the next action */
static uint8_t posts[4];   /* events that the next action posts */
static int post_count;
static bool closes, takes_nothing;
int fails;
static enum ftx_rc failed_with;

static enum ftx_rc
act(char letter)
{
	static int actions;
	int me = ++actions, n = post_count;
	enum ftx_rc rc = result;
	size_t len = strlen(trace);

	if (len + 1 < sizeof(trace))
		trace[len] = letter;
	result = FTX_OK;
	post_count = 0;
	for (int i = 0; i < n; i++)
		machine_event(&machine, posts[i]);
	/* Not within this one. */
	UNIT_CHECK(actions == me);
	if (closes)
		conn_close(conn, FTX_CANCELLED);
	return rc;
}

static enum ftx_rc
take_two(void *ctx)
{
	UNIT_CHECK(ctx == &machine);
	if (!takes_nothing)
		UNIT_CHECK(conn_take(conn, message, 2));
	return act('m');
}

static enum ftx_rc
take_one(void *ctx)
{
	char byte;

	(void)ctx;
	if (!takes_nothing)
		UNIT_CHECK(conn_take(conn, &byte, 1));
	return act('b');
}

static enum ftx_rc
sent(void *ctx)
{
	(void)ctx;
	return act('s');
}

static enum ftx_rc
ended(void *ctx)
{
	(void)ctx;
	return act('e');
}

static enum ftx_rc
one(void *ctx)
{
	(void)ctx;
	return act('1');
}

static enum ftx_rc
two(void *ctx)
{
	(void)ctx;
	return act('2');
}

static enum ftx_rc
three(void *ctx)
{
	(void)ctx;
	return act('3');
}

/* clang-format off */
static const struct machine_rule rules[] = {
	{ WAIT_TWO, ON_MESSAGE, take_two, MACHINE_STAY },
	{ WAIT_TWO, ON_GO,      one,      OWN },
	{ WAIT_TWO, ON_ONE,     one,      MACHINE_STAY },
	{ WAIT_TWO, ON_TWO,     two,      MACHINE_STAY },
	{ WAIT_TWO, ON_THREE,   three,    MACHINE_STAY },
	{ WAIT_TWO, ON_FOUR,    NULL,     CLOSING },
	{ OWN,      ON_GO,      NULL,     SENDING },
	{ OWN,      ON_ONE,     one,      WAIT_TWO },
	{ OWN,      ON_TWO,     two,      QUIET },
	{ OWN,      ON_THREE,   NULL,     BULK },
	{ SENDING,  ON_SENT,    sent,     WAIT_TWO },
	{ BULK,     ON_MESSAGE, take_one, MACHINE_STAY },
	{ BULK,     ON_END,     ended,    MACHINE_STAY },
	{ BULK,     ON_GO,      one,      CLOSING },
	{ CLOSING,  ON_ONE,     one,      MACHINE_STAY },
	{ QUIET,    ON_ONE,     one,      OWN },
};
/* clang-format on */

static void
on_fail(void *ctx, enum ftx_rc why)
{
	UNIT_CHECK(ctx == &machine);
	fails++;
	failed_with = why;
	conn_close(conn, why);
}

static const struct machine_def def = {
	.states = states,
	.state_count = COUNT(states),
	.rules = rules,
	.rule_count = COUNT(rules),
	.fail = on_fail,
};

static void
on_close(void *arg, enum ftx_rc why)
{
	heard.ends++;
	heard.why = why;
	machine_stop(arg);
}

void
machine_start_in(enum state first)
{
	ck_assert_int_eq(machine_start(&machine, &def, conn, &machine, first), FTX_OK);
	conn_set_conversation(conn, on_close, &machine);
}

void
machine_set_up(void)
{
	net_setup();
	limits = (struct conn_limits){ .request_ms = 1000, .idle_ms = 5000, .close_ms = 20000 };
	pair_tcp();
}

void
traced(const char *want)
{
	ck_assert_str_eq(trace, want);
}

void
machine_failed(enum ftx_rc why)
{
	ck_assert_int_eq(fails, 1);
	ck_assert_str_eq(ftx_rc_name(failed_with), ftx_rc_name(why));
	ck_assert_ptr_null(conn);
}

/* Time passes, and what is due happens. */
void
elapse(uint64_t ms)
{
	unit_clock_add(ms);
	worker_run_timers(worker);
}

void
machine_restart(struct conn_limits with)
{
	net_teardown();
	net_setup();
	limits = with;
}

void
peer_acks_at_once(void)
{
	int one = 1;

	(void)setsockopt(peer, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

/* Messages. */
START_TEST(test_messages)
{
	machine_start_in(WAIT_TWO);
	peer_send("a", 1);
	UNIT_UNTIL(conn_input_length(conn) == 1, worker_turn(worker, false));
	traced("");
	peer_send("b", 1);
	UNIT_UNTIL(strlen(trace) == 1, worker_turn(worker, false));
	ck_assert_str_eq(message, "ab");
	/* Many at once, and a half of one. */
	peer_send("cdefghi", 7);
	UNIT_UNTIL(strlen(trace) == 4, worker_turn(worker, false));
	turns(5);
	traced("mmmm");
	ck_assert_str_eq(message, "gh");
	ck_assert_uint_eq(conn_input_length(conn), 1);
	ck_assert_int_eq(fails, 0);
}
END_TEST

/* What comes before it is due is kept, and due as soon as a state wants it. */
START_TEST(test_early_bytes)
{
	machine_start_in(OWN);
	peer_send("abcd", 4);
	UNIT_UNTIL(conn_input_length(conn) == 4, worker_turn(worker, false));
	turns(5);
	traced("");
	machine_event(&machine, ON_ONE); /* to WAIT_TWO, without a new byte */
	traced("1mm");
	ck_assert_str_eq(message, "cd");
}
END_TEST

START_TEST(test_input_that_was_there_before)
{
	peer_send("ab", 2);
	UNIT_UNTIL(conn_input_length(conn) == 2, worker_turn(worker, false));
	machine_start_in(WAIT_TWO);
	machine_resume(&machine);
	traced("m");
}
END_TEST

START_TEST(test_action_that_takes_nothing)
{
	takes_nothing = true;
	machine_start_in(WAIT_TWO);
	peer_send("ab", 2);
	UNIT_UNTIL(fails > 0, worker_turn(worker, false));
	machine_failed(FTX_INTERNAL);
	traced("m");
}
END_TEST

/* States. */
START_TEST(test_states_are_logged)
{
	machine_start_in(OWN);
	ck_assert_int_eq(machine.state, OWN);
	ck_assert_int_eq(unit_log_count(" changed status to: own"), 1);
	machine_event(&machine, ON_TWO);
	ck_assert_int_eq(machine.state, QUIET);
	ck_assert_int_eq(unit_log_count("changed status to"), 1);
	machine_event(&machine, ON_ONE);
	ck_assert_int_eq(unit_log_count("changed status to: own"), 2);
	machine_event(&machine, ON_ONE);
	ck_assert_int_eq(unit_log_count("changed status to: wait_two"), 1);
	machine_event(&machine, ON_ONE); /* stays: no change */
	ck_assert_int_eq(unit_log_count("changed status to"), 3);
	traced("2111");
}
END_TEST

START_TEST(test_no_row)
{
	machine_start_in(_i == 0 ? WAIT_TWO : OWN);
	machine_event(&machine, ON_UNKNOWN);
	machine_failed(FTX_PROTOCOL);
	machine_event(&machine, ON_GO); /* over */
	traced("");
	ck_assert_int_eq(fails, 1);
}
END_TEST

START_TEST(test_sent)
{
	/* Without a row it asks for nothing. */
	machine_start_in(WAIT_TWO);
	ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
	turns(5);
	ck_assert_int_eq(fails, 0);
	machine_event(&machine, ON_GO);
	machine_event(&machine, ON_GO);
	ck_assert_int_eq(machine.state, SENDING);
	ck_assert_int_eq(conn_write(conn, "y", 1), FTX_OK);
	UNIT_UNTIL(strlen(trace) == 2, worker_turn(worker, false));
	turns(5);
	traced("1s");
	ck_assert_int_eq(machine.state, WAIT_TWO);
}
END_TEST

START_TEST(test_action_fails)
{
	machine_start_in(WAIT_TWO);
	result = FTX_NO_SPACE;
	posts[0] = ON_TWO;
	post_count = 1;
	machine_event(&machine, ON_GO);
	machine_failed(FTX_NO_SPACE);
	/* Its next state was not entered, and nothing that it posted is done. */
	traced("1");
	ck_assert_int_eq(unit_log_count("changed status to: own"), 0);
}
END_TEST

/* Posted events: after the action that posts them, in their order, before any more input. */
START_TEST(test_posted_events)
{
	machine_start_in(WAIT_TWO);
	posts[0] = ON_ONE;
	posts[1] = ON_TWO;
	posts[2] = ON_THREE;
	posts[3] = ON_ONE;
	post_count = 4;
	peer_send("abcd", 4);
	UNIT_UNTIL(strlen(trace) == 6, worker_turn(worker, false));
	traced("m1231m");
}
END_TEST

START_TEST(test_posted_events_find_the_next_state)
{
	machine_start_in(WAIT_TWO);
	posts[0] = ON_TWO; /* has another row in OWN */
	post_count = 1;
	machine_event(&machine, ON_GO);
	traced("12");
	ck_assert_int_eq(machine.state, QUIET);
}
END_TEST

/* The event, or the message, whose action closes; and where that leads. */
START_TEST(test_close_in_an_action)
{
	static const enum state last[] = { OWN, WAIT_TWO, WAIT_TWO };
	const char *want = _i == 1 ? "m" : "1";

	machine_start_in(_i == 2 ? OWN : WAIT_TWO);
	closes = true;
	posts[0] = ON_ONE;
	posts[1] = ON_TWO;
	post_count = 2;
	if (_i == 0)
		machine_event(&machine, ON_GO);
	else if (_i == 1) {
		peer_send("abcd", 4);
		UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	} else
		machine_event(&machine, ON_ONE); /* to a state that has a deadline */
	traced(want);
	ck_assert_int_eq(fails, 0);
	/* It has a last state; the events that were posted are dropped. */
	ck_assert_int_eq(machine.state, last[_i]);
	/* Nothing of it is left to happen. */
	ck_assert(!timer_running(&machine.timer));
	turns(5);
	elapse(1000 * 1000);
	ck_assert_int_eq(fails, 0);
	machine_event(&machine, ON_ONE);
	machine_resume(&machine);
	machine_stop(&machine);
	traced(want);
}
END_TEST

START_TEST(test_stop_of_nothing)
{
	struct machine none;

	memset(&none, 0, sizeof(none));
	machine_stop(&none);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "events");

	tcase_add_checked_fixture(tc, machine_set_up, net_teardown);
	tcase_add_test(tc, test_messages);
	tcase_add_test(tc, test_early_bytes);
	tcase_add_test(tc, test_input_that_was_there_before);
	tcase_add_test(tc, test_action_that_takes_nothing);
	tcase_add_test(tc, test_states_are_logged);
	tcase_add_loop_test(tc, test_no_row, 0, 2);
	tcase_add_test(tc, test_sent);
	tcase_add_test(tc, test_action_fails);
	tcase_add_test(tc, test_posted_events);
	tcase_add_test(tc, test_posted_events_find_the_next_state);
	tcase_add_loop_test(tc, test_close_in_an_action, 0, 3);
	tcase_add_test(tc, test_stop_of_nothing);
	add_end_cases(s);
	add_deadline_cases(s);
	add_rate_cases(s);
}

int
main(void)
{
	return unit_run("machine", add_cases);
}
