/* net/machine: deadlines, each with the moved clock. */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/conn_time.h"
#include "unit/test_machine.h"

START_TEST(test_request_deadline)
{
	unit_clock_add(200); /* the connection is older than the conversation */
	machine_start_in(WAIT_TWO);
	peer_send("a", 1);
	turns(5);
	elapse(700);
	peer_send("bc", 2); /* bytes do not help, nor does a message */
	UNIT_UNTIL(strlen(trace) == 1, worker_turn(worker, false));
	elapse(99);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_REQUEST_TIMEOUT);
}
END_TEST

/* For all such states together, and without the time that we took. */
START_TEST(test_request_deadline_without_our_own_time)
{
	machine_start_in(WAIT_TWO);
	elapse(400);
	machine_event(&machine, ON_GO);
	ck_assert(conn_is_busy(conn)); /* in OWN: a slow disk, not the peer */
	elapse(60 * 1000);
	machine_set_busy(&machine, true); /* and likewise, twice is not twice as long */
	elapse(1000);
	machine_set_busy(&machine, false);
	ck_assert(conn_is_busy(conn));
	elapse(1000);
	ck_assert_int_eq(fails, 0);
	machine_event(&machine, ON_GO);
	elapse(300); /* in SENDING */
	ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
	UNIT_UNTIL(strlen(trace) == 2, worker_turn(worker, false));
	elapse(100);
	machine_event(&machine, ON_GO);
	elapse(7000);
	machine_event(&machine, ON_ONE);
	elapse(199); /* 400 + 300 + 100 + 199 */
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_REQUEST_TIMEOUT);
}
END_TEST

void
to_bulk(void)
{
	machine_start_in(OWN);
	elapse(100 * 1000);
	machine_event(&machine, ON_THREE);
	ck_assert_int_eq(machine.state, BULK);
}

START_TEST(test_idle_deadline)
{
	to_bulk(); /* entering it is a sign of life: what was before does not count */
	elapse(4999);
	ck_assert_int_eq(fails, 0);
	/* Bytes keep it alive. */
	for (int i = 0; i < 10; i++) {
		size_t before = strlen(trace);

		peer_send("a", 1);
		UNIT_UNTIL(strlen(trace) > before, worker_turn(worker, false));
		elapse(4999);
		ck_assert_int_eq(fails, 0);
	}
	elapse(1);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/* Reads until that is seen to move something, or all was read: so much has. */
static size_t
read_until_it_moves(size_t got, size_t all)
{
	uint64_t before = conn_moved(conn);

	UNIT_UNTIL(conn_moved(conn) > before || got == all, {
		char buf[1000];
		ssize_t n = recv(peer, buf, sizeof(buf), 0);

		got += n > 0 ? (size_t)n : 0;
		worker_turn(worker, false);
		conn_look(conn);
	});
	return got;
}

/* By TCP, what the peer's kernel has acknowledged; else what our own kernel has taken. */
START_TEST(test_idle_deadline_of_output)
{
	bool tcp = _i == 0;

	if (!tcp) {
		machine_restart(limits);
		pair_unix();
	}
	to_bulk();
	for (int i = 0; i < 10; i++) {
		peer_acks_at_once();
		ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
		UNIT_UNTIL(conn_output_length(conn) == 0, worker_turn(worker, false));
		elapse(4999);
		ck_assert_int_eq(fails, 0);
	}
	/* What was found at the last look may be as old as the one before. */
	elapse(tcp ? 5000 : 1);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/* While we keep the peer waiting its clock stands still, and then goes on. */
START_TEST(test_idle_deadline_while_busy)
{
	to_bulk();
	elapse(3000);
	machine_set_busy(&machine, true);
	for (int i = 0; i < 20; i++)
		elapse(4000);
	ck_assert_int_eq(fails, 0);
	machine_set_busy(&machine, false);
	elapse(1999);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/* What is left to do in the end is the peer's, in whatever state. */
START_TEST(test_no_waiting_for_us_in_the_end)
{
	uint64_t before;

	machine_start_in(OWN);
	ck_assert(conn_is_busy(conn));
	conn_finish(conn, FTX_OK);
	machine_event(&machine, ON_TWO); /* to QUIET, which has no deadline either */
	ck_assert(!conn_is_busy(conn));
	before = conn_peer_clock(conn);
	unit_clock_add(100);
	ck_assert_uint_eq(conn_peer_clock(conn), before + 100);
}
END_TEST

START_TEST(test_close_deadline)
{
	to_bulk();
	machine_event(&machine, ON_GO);
	elapse(15000);
	peer_send("a", 1);
	turns(5);
	machine_event(&machine, ON_ONE); /* it stays there: the clock goes on */
	elapse(4999);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/*
 * The close is waited for from when the peer has all: until then, our kernel having it already, it
 * is only to move something.
 */
START_TEST(test_close_deadline_of_a_slow_reader)
{
	static char content[100 * 1000];
	int small = 4096, steps = 0;
	size_t got = 0;

	ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	to_bulk();
	ck_assert_int_eq(conn_write(conn, content, sizeof(content)), FTX_OK);
	UNIT_UNTIL(conn_output_length(conn) == 0, worker_turn(worker, false));
	machine_event(&machine, ON_GO);
	ck_assert_int_eq(machine.state, CLOSING);
	if (_i == 0) {
		elapse(6000); /* what its kernel took by itself has moved */
		for (int i = 0; i < 10 && conn != NULL; i++)
			elapse(1000);
		machine_failed(FTX_IDLE_TIMEOUT);
		return;
	}
	for (; got < sizeof(content); steps++) {
		got = read_until_it_moves(got, sizeof(content));
		elapse(got < sizeof(content) ? 3000 : 0);
		ck_assert_int_eq(fails, 0);
	}
	ck_assert_int_gt(steps, 7); /* longer in all than the close may take */
	UNIT_UNTIL(conn_has_taken_all(conn), {
		worker_turn(worker, false);
		conn_look(conn);
	});
	elapse(MACHINE_LOOK_MS); /* and it is seen */
	elapse(19999);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

START_TEST(test_a_state_left_has_no_deadline)
{
	machine_start_in(WAIT_TWO);
	elapse(999);
	machine_event(&machine, ON_FOUR); /* to CLOSING, which has another one */
	elapse(5000);
	ck_assert_int_eq(fails, 0);
	elapse(15000);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

START_TEST(test_no_limits)
{
	static const enum state all[] = { WAIT_TWO, SENDING, BULK, CLOSING };

	machine_restart((struct conn_limits){ 0 });
	pair_tcp();
	machine_start_in(all[_i]);
	elapse(UINT64_C(1000) * 86400 * 365);
	turns(5);
	ck_assert_int_eq(fails, 0);
}
END_TEST

/* So late that the sum does not fit: never, and not at once. */
START_TEST(test_limits_that_are_too_late)
{
	static const enum state all[] = { WAIT_TWO, SENDING, BULK, CLOSING };
	uint64_t ms = _i < 4 ? UINT64_MAX : (uint64_t)INT64_MAX;

	machine_restart((struct conn_limits){ .request_ms = ms, .idle_ms = ms, .close_ms = ms });
	pair_tcp();
	machine_start_in(all[_i % 4]);
	elapse(UINT64_C(1000) * 86400 * 365);
	turns(5);
	ck_assert_int_eq(fails, 0);
}
END_TEST

/* The loop's own clock does it, too: no event is needed from outside. */
START_TEST(test_deadline_in_real_time)
{
	machine_restart((struct conn_limits){ .request_ms = 50 });
	clock_set_hook(NULL);
	pair_tcp();
	machine_start_in(WAIT_TWO);
	while (fails == 0)
		worker_turn(worker, true);
	machine_failed(FTX_REQUEST_TIMEOUT);
}
END_TEST

void
add_deadline_cases(Suite *s)
{
	TCase *tc = unit_case(s, "deadlines");

	tcase_add_checked_fixture(tc, machine_set_up, net_teardown);
	tcase_add_test(tc, test_request_deadline);
	tcase_add_test(tc, test_request_deadline_without_our_own_time);
	tcase_add_test(tc, test_idle_deadline);
	tcase_add_loop_test(tc, test_idle_deadline_of_output, 0, 2);
	tcase_add_test(tc, test_idle_deadline_while_busy);
	tcase_add_test(tc, test_no_waiting_for_us_in_the_end);
	tcase_add_test(tc, test_close_deadline);
	tcase_add_loop_test(tc, test_close_deadline_of_a_slow_reader, 0, 2);
	tcase_add_test(tc, test_a_state_left_has_no_deadline);
	tcase_add_loop_test(tc, test_no_limits, 0, 4);
	tcase_add_loop_test(tc, test_limits_that_are_too_late, 0, 8);
	tcase_add_test(tc, test_deadline_in_real_time);
}
