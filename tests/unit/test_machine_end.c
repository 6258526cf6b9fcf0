/* net/machine: the peer's end, and a pump that has the connection's notices. */
#include <string.h>
#include <sys/socket.h>

#include "unit/test_machine.h"

START_TEST(test_end_without_a_row)
{
	machine_start_in(WAIT_TWO);
	peer_send("abc", 3);
	peer_close(_i == 1);
	UNIT_UNTIL(fails > 0, worker_turn(worker, false));
	traced("m"); /* what came is taken first */
	machine_failed(_i == 1 ? FTX_RESET : FTX_TRUNCATED);
}
END_TEST

START_TEST(test_end_with_a_row)
{
	machine_start_in(OWN);
	machine_event(&machine, ON_THREE);
	peer_send("ab", 2);
	peer_close(false);
	UNIT_UNTIL(strlen(trace) == 3, worker_turn(worker, false));
	turns(20);
	traced("bbe"); /* once */
	ck_assert_int_eq(fails, 0);
}
END_TEST

/*
 * Where no input is wanted: a half-closed peer still listens; one that is gone does not. While we
 * are at work (OWN) neither is looked at.
 */
START_TEST(test_end_where_nothing_is_wanted)
{
	bool reset = _i % 2 == 1, at_work = _i < 2;

	machine_start_in(OWN);
	if (!at_work)
		machine_event(&machine, ON_GO);
	if (reset)
		peer_close(true);
	else
		ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	UNIT_UNTIL(fails > 0 || conn_peer_end(conn) != FTX_OK, worker_turn(worker, false));
	turns(10);
	if (reset && !at_work) {
		machine_failed(FTX_RESET);
		return;
	}
	ck_assert_int_eq(fails, 0);
	ck_assert_int_eq(conn_peer_end(conn), reset ? FTX_RESET : FTX_TRUNCATED);
	/* But it is known as soon as something is wanted. */
	machine_event(&machine, at_work ? ON_ONE : ON_SENT);
	machine_failed(reset ? FTX_RESET : FTX_TRUNCATED);
}
END_TEST

/* A pump has the connection's notices: the input is not the machine's to look at. */
static int pump_notices;

static void
on_pump(void *arg)
{
	(void)arg;
	pump_notices++;
}

START_TEST(test_pump_has_the_notices)
{
	static const struct conn_io io = { on_pump, on_pump };

	machine_start_in(WAIT_TWO);
	conn_set_io(conn, &io, &pump_notices);
	peer_send("abc", 3);
	UNIT_UNTIL(conn_input_length(conn) == 3, worker_turn(worker, false));
	ck_assert_int_gt(pump_notices, 0);
	machine_event(&machine, ON_ONE); /* events are its own still */
	traced("1");
	machine_take_io(&machine);
	traced("1");
	machine_resume(&machine);
	traced("1m");
	pump_notices = 0;
	peer_send("d", 1);
	UNIT_UNTIL(strlen(trace) == 3, worker_turn(worker, false));
	ck_assert_int_eq(pump_notices, 0);
}
END_TEST

void
add_end_cases(Suite *s)
{
	TCase *tc = unit_case(s, "end");

	tcase_add_checked_fixture(tc, machine_set_up, net_teardown);
	tcase_add_loop_test(tc, test_end_without_a_row, 0, 2);
	tcase_add_test(tc, test_end_with_a_row);
	tcase_add_loop_test(tc, test_end_where_nothing_is_wanted, 0, 4);
	tcase_add_test(tc, test_pump_has_the_notices);
}
