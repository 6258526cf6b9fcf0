/* net/conn_time: what has moved, and the peer's clock. */
#include <stdlib.h>
#include <sys/socket.h>

#include "net/conn_time.h"
#include "unit/net_pair.h"

static void
pair(int i)
{
	if (i == 0)
		pair_unix();
	else
		pair_tcp();
}

START_TEST(test_peer_clock)
{
	uint64_t start;

	pair(_i);
	start = conn_started(conn);
	ck_assert_uint_eq(start, worker_now(worker));
	ck_assert_uint_eq(conn_peer_clock(conn), start);
	unit_clock_add(100);
	ck_assert_uint_eq(conn_peer_clock(conn), start + 100);
	/* It stands still, whatever is said twice, and goes on from there. */
	conn_set_busy(conn, true);
	ck_assert(conn_is_busy(conn));
	unit_clock_add(5000);
	conn_set_busy(conn, true);
	unit_clock_add(5000);
	ck_assert_uint_eq(conn_peer_clock(conn), start + 100);
	conn_set_busy(conn, false);
	conn_set_busy(conn, false);
	ck_assert(!conn_is_busy(conn));
	ck_assert_uint_eq(conn_peer_clock(conn), start + 100);
	unit_clock_add(7);
	ck_assert_uint_eq(conn_peer_clock(conn), start + 107);
	conn_set_busy(conn, true);
	unit_clock_add(1000);
	conn_set_busy(conn, false);
	ck_assert_uint_eq(conn_peer_clock(conn), start + 107);
	ck_assert_uint_eq(conn_started(conn), start);
}
END_TEST

/* All that was written is acknowledged, at this look. */
static void
all_taken(uint64_t moved)
{
	UNIT_UNTIL(conn_moved(conn) == moved, {
		worker_turn(worker, false);
		conn_look(conn);
	});
}

START_TEST(test_moved)
{
	uint64_t start;

	pair(_i);
	start = conn_started(conn);
	unit_clock_add(100);
	ck_assert_uint_eq(conn_idle_since(conn), start);
	ck_assert_uint_eq(conn_moved(conn), 0);
	peer_send("abc", 3);
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	ck_assert_uint_eq(conn_idle_since(conn), start + 100);
	ck_assert_uint_eq(conn_moved(conn), 3);
	conn_look(conn); /* nothing new */
	unit_clock_add(100);
	conn_look(conn);
	ck_assert_uint_eq(conn_idle_since(conn), start + 100);
	/* What is with the peer's kernel is moved. */
	ck_assert_int_eq(conn_write(conn, "wxyz", 4), FTX_OK);
	all_taken(7);
	ck_assert_uint_eq(conn_idle_since(conn), start + 200);
	unit_clock_add(100);
	conn_look(conn);
	ck_assert_uint_eq(conn_idle_since(conn), start + 200);
	/* By the peer's clock. */
	conn_set_busy(conn, true);
	unit_clock_add(1000);
	conn_set_busy(conn, false);
	peer_send("d", 1);
	UNIT_UNTIL(conn_input_length(conn) == 4, worker_turn(worker, false));
	ck_assert_uint_eq(conn_moved(conn), 8);
	ck_assert_uint_eq(conn_idle_since(conn), start + 300);
}
END_TEST

START_TEST(test_sending)
{
	uint64_t start;

	pair(_i);
	start = conn_started(conn);
	ck_assert_int_eq(conn_write(conn, "wxyz", 4), FTX_OK);
	all_taken(4);
	unit_clock_add(100);
	conn_set_sending(conn, true);
	peer_send("abc", 3);
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	ck_assert_uint_eq(conn_moved(conn), 4);
	ck_assert_uint_eq(conn_idle_since(conn), start);
	conn_set_sending(conn, false);
	ck_assert_uint_eq(conn_moved(conn), 7);
	ck_assert_uint_eq(conn_idle_since(conn), start + 100);
}
END_TEST

#define MUCH ((size_t)16 * 1024 * 1024)

/* Megabytes are with our kernel before the peer has any of them: they have not moved. */
START_TEST(test_swallowed_is_not_taken)
{
	int small = 4096;
	char *content = calloc(1, MUCH);
	size_t with_kernel;

	pair_tcp();
	ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	unit_clock_add(100);
	ck_assert_int_eq(conn_write(conn, content, MUCH), FTX_OK);
	turns(200);
	with_kernel = MUCH - conn_output_length(conn);
	conn_look(conn);
	ck_assert_uint_gt(with_kernel, 256 * 1024);
	ck_assert_uint_lt(conn_moved(conn), with_kernel / 2);
	free(content);
}
END_TEST

/* Our own end is counted there like a byte, and is none. */
START_TEST(test_after_the_end)
{
	pair_tcp();
	ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
	all_taken(1);
	conn_finish(conn, FTX_OK);
	for (int i = 0; i < 20; i++) {
		conn_look(conn);
		ck_assert_uint_eq(conn_moved(conn), 1);
		turns(1);
	}
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "time");

	tcase_add_checked_fixture(tc, net_setup, net_teardown);
	tcase_add_loop_test(tc, test_peer_clock, 0, 2);
	tcase_add_loop_test(tc, test_moved, 0, 2);
	tcase_add_loop_test(tc, test_sending, 0, 2);
	tcase_add_test(tc, test_swallowed_is_not_taken);
	tcase_add_test(tc, test_after_the_end);
}

int
main(void)
{
	return unit_run("conn_time", add_cases);
}
