/* net/machine: the least rate, by moved time; and slow readers behind a real TCP. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/conn_time.h"
#include "unit/test_machine.h"

#define WINDOW MACHINE_WINDOW_MS
#define RATE   100 /* bytes a second */
#define DUE    (RATE * WINDOW / 1000)

static const struct conn_limits rated = { .idle_ms = 60 * 1000, .min_rate = RATE };

static void
start(struct conn_limits with)
{
	machine_restart(with);
	pair_unix();
	to_bulk();
}

/* The peer sends so many bytes, and they are read. */
static void
arrives(size_t bytes)
{
	uint64_t before = conn_moved(conn);
	char *p = calloc(1, bytes + 1);

	peer_send(p, bytes);
	UNIT_UNTIL(conn_moved(conn) == before + bytes, worker_turn(worker, false));
	conn_drop_input(conn);
	free(p);
}

START_TEST(test_edge)
{
	start(rated);
	for (int i = 0; i < 3; i++) {
		arrives(DUE);
		elapse(WINDOW);
		ck_assert_int_eq(fails, 0);
	}
	arrives(DUE - 1);
	elapse(WINDOW - 1);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* It does not help to have been fast before, or to be steady. */
START_TEST(test_trickle)
{
	start(rated);
	arrives(100 * DUE);
	elapse(WINDOW);
	for (int i = 0; i < 29; i++) {
		arrives(1);
		elapse(1000);
		ck_assert_int_eq(fails, 0);
	}
	elapse(1000);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* Nothing at all is the idle deadline's business; a single byte does not make it anew. */
START_TEST(test_silence)
{
	start(rated);
	elapse(59999);
	ck_assert_int_eq(fails, 0);
	if (_i == 0) {
		elapse(1);
		machine_failed(FTX_IDLE_TIMEOUT);
		return;
	}
	arrives(1);
	elapse(WINDOW + 1);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

START_TEST(test_silence_without_an_idle_deadline)
{
	start((struct conn_limits){ .min_rate = RATE });
	elapse(WINDOW - 1);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* A transfer that is shorter than a window, and one that ends within its last. */
START_TEST(test_ends_in_time)
{
	start(rated);
	for (int i = 0; i < _i; i++) {
		arrives(DUE);
		elapse(WINDOW);
	}
	arrives(1);
	elapse(WINDOW - 1);
	machine_event(&machine, ON_GO); /* to a state without a rate */
	elapse(2 * WINDOW);
	ck_assert_int_eq(fails, 0);
}
END_TEST

/* Windows are of the peer's time: while we keep it waiting none passes. */
START_TEST(test_our_own_time)
{
	start(rated);
	arrives(DUE / 2);
	elapse(10000);
	machine_set_busy(&machine, true);
	for (int i = 0; i < 1000; i++)
		elapse(1000);
	ck_assert_int_eq(fails, 0);
	machine_set_busy(&machine, false);
	elapse(WINDOW - 10000 - 1);
	arrives(DUE / 2);
	elapse(1);
	ck_assert_int_eq(fails, 0);
	/* The last of a window stays the last, however long we take in between. */
	arrives(DUE - 1);
	elapse(WINDOW - 1);
	machine_set_busy(&machine, true);
	elapse(10 * WINDOW);
	machine_set_busy(&machine, false);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* It has done its part a moment before the timer runs that would have judged it. */
START_TEST(test_finished_in_the_last_moment)
{
	start(rated);
	arrives(DUE - 1);
	elapse(WINDOW - 1);
	unit_clock_add(1);
	machine_set_busy(&machine, true);
	worker_run_timers(worker);
	elapse(10 * WINDOW);
	ck_assert_int_eq(fails, 0);
}
END_TEST

/* In turns: half of the time is ours, and the peer moves just enough in its own. */
START_TEST(test_in_turns)
{
	uint64_t bytes = _i == 0 ? RATE : RATE * 9 / 10;

	start(rated);
	for (int i = 0; i < 300 && conn != NULL; i++) {
		arrives(bytes);
		elapse(1000);
		if (conn == NULL)
			break;
		machine_set_busy(&machine, true);
		elapse(1000);
		machine_set_busy(&machine, false);
	}
	if (_i == 0)
		ck_assert_int_eq(fails, 0);
	else
		machine_failed(FTX_TOO_SLOW);
}
END_TEST

START_TEST(test_a_new_state_begins_a_new_window)
{
	machine_restart(rated);
	pair_unix();
	machine_start_in(OWN);
	conn_set_input_max(conn, 256 * 1024);
	arrives(5 * DUE); /* early */
	elapse(10 * WINDOW);
	machine_event(&machine, ON_THREE);
	arrives(1);
	elapse(WINDOW);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* What the peer sends while content goes to it is no movement. */
START_TEST(test_bytes_in_the_other_direction)
{
	start(rated);
	conn_set_sending(conn, true);
	if (_i == 0)
		conn_set_sending(conn, false);
	for (int i = 0; i < 6 && conn != NULL; i++) {
		char *p = calloc(1, DUE);

		peer_send(p, DUE);
		turns(3);
		UNIT_UNTIL(conn_input_length(conn) == 0, worker_turn(worker, false));
		free(p);
		elapse(10000);
	}
	if (_i == 0)
		ck_assert_int_eq(fails, 0);
	else
		machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/* Rates near the limits of their type: nothing wraps to a small number. */
START_TEST(test_large_rates)
{
	static const uint64_t rates[] = { (uint64_t)1 << 30, INT64_MAX, (uint64_t)INT64_MAX + 1,
		UINT64_MAX, UINT64_MAX / WINDOW, (UINT64_MAX / WINDOW + 1) * 1000 };

	start((struct conn_limits){ .idle_ms = 60 * 1000, .min_rate = rates[_i] });
	arrives(10000);
	elapse(WINDOW - 1);
	ck_assert_int_eq(fails, 0);
	elapse(1);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* A rate of less than one byte for a millisecond is not rounded away. */
START_TEST(test_small_rate)
{
	start((struct conn_limits){ .idle_ms = 60 * 1000, .min_rate = 1 });
	arrives(30);
	elapse(WINDOW);
	ck_assert_int_eq(fails, 0);
	arrives(29);
	elapse(WINDOW);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

/* Readers. Content is queued as a pump would: more, when there is little left. */
#define QUEUED ((size_t)512 * 1024)

static void
start_sending(uint64_t min_rate, int receive_buffer)
{
	machine_restart((struct conn_limits){ .idle_ms = 60 * 1000, .min_rate = min_rate });
	pair_tcp();
	if (receive_buffer > 0)
		ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
				     sizeof(receive_buffer)),
		    0);
	conn_set_sending(conn, true);
	to_bulk();
}

static void
keep_sending(void)
{
	static const char content[QUEUED];

	while (conn != NULL && conn_output_length(conn) < QUEUED) {
		ck_assert_int_eq(conn_write(conn, content, sizeof(content)), FTX_OK);
		worker_turn(worker, false);
	}
	for (int i = 0; i < 3; i++) {
		worker_turn(worker, false);
		unit_pause();
	}
}

/* A second in which the peer reads so much. */
static void
second_of_reading(size_t bytes)
{
	static char buf[1024 * 1024];

	keep_sending();
	for (size_t got = 0; got < bytes;) {
		ssize_t n = recv(peer, buf, bytes - got, 0);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	keep_sending();
	elapse(1000);
}

/* Slow is not stopped, though a socket takes long to have room again for what we write. */
START_TEST(test_slow_reader)
{
	start_sending(_i == 0 ? 0 : 1024, 0);
	for (int i = 0; i < 600 && conn != NULL; i++)
		second_of_reading(5000);
	ck_assert_int_eq(fails, 0);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	/* It stops, which is seen by the second look afterwards. */
	for (int i = 0; i < 301 && conn != NULL; i++)
		second_of_reading(0);
	if (_i == 0)
		machine_failed(FTX_IDLE_TIMEOUT);
	else
		ck_assert_int_eq(fails, 1); /* perhaps for the little that moved before */
}
END_TEST

/* What one that never reads has in its kernel is not taken for reading. */
START_TEST(test_reader_that_never_reads)
{
	start_sending(0, 0);
	/* TCP keeps real time: its probes of a window that is almost full may move a last bit. */
	for (int i = 0; i < 301 && conn != NULL; i++)
		second_of_reading(0);
	machine_failed(FTX_IDLE_TIMEOUT);
}
END_TEST

/* Too slow is seen where the receiver's buffer does not hide it. */
START_TEST(test_trickling_reader)
{
	start_sending(8192, 4096);
	for (int i = 0; i < 300 && conn != NULL; i++)
		second_of_reading(3000);
	machine_failed(FTX_TOO_SLOW);
}
END_TEST

void
add_rate_cases(Suite *s)
{
	TCase *tc = unit_case(s, "rate");

	tcase_add_checked_fixture(tc, machine_set_up, net_teardown);
	tcase_add_test(tc, test_edge);
	tcase_add_test(tc, test_trickle);
	tcase_add_loop_test(tc, test_silence, 0, 2);
	tcase_add_test(tc, test_silence_without_an_idle_deadline);
	tcase_add_loop_test(tc, test_ends_in_time, 0, 3);
	tcase_add_test(tc, test_our_own_time);
	tcase_add_test(tc, test_finished_in_the_last_moment);
	tcase_add_loop_test(tc, test_in_turns, 0, 2);
	tcase_add_test(tc, test_a_new_state_begins_a_new_window);
	tcase_add_loop_test(tc, test_bytes_in_the_other_direction, 0, 2);
	tcase_add_loop_test(tc, test_large_rates, 0, 6);
	tcase_add_test(tc, test_small_rate);
	tc = unit_case(s, "readers");
	tcase_add_checked_fixture(tc, machine_set_up, net_teardown);
	tcase_add_loop_test(tc, test_slow_reader, 0, 2);
	tcase_add_test(tc, test_reader_that_never_reads);
	tcase_add_test(tc, test_trickling_reader);
}
