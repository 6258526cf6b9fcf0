/* net/conn: what comes in and goes out. How it ends is in test_conn_end.c. */
#include "unit/net_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB        ((size_t)1024 * 1024)
#define INPUT_BULK (MIB / 4)

static char *bytes; /* 8 MiB, no two places alike; made once for all tests */

/* Each test over both kinds of socket: _i is 0 or 1. */
static void
pair(int kind)
{
	if (kind == 0)
		pair_unix();
	else
		pair_tcp();
}

START_TEST(test_take_and_peek)
{
	char got[8] = "";

	pair(_i);
	ck_assert(!conn_take(conn, got, 1));
	ck_assert(!conn_peek(conn, got, 1));
	ck_assert(conn_take(conn, got, 0));
	peer_send("abcdef", 6);
	UNIT_UNTIL(conn_input_length(conn) == 6, worker_turn(worker, false));
	ck_assert_int_ge(heard.inputs, 1);
	ck_assert(!conn_take(conn, got, 7));
	ck_assert(!conn_peek(conn, got, 7));
	ck_assert_str_eq(got, "");
	ck_assert(conn_peek(conn, got, 2));
	ck_assert_mem_eq(got, "ab", 2);
	ck_assert(conn_take(conn, got, 3));
	ck_assert_mem_eq(got, "abc", 3);
	ck_assert(conn_peek(conn, got, 3));
	ck_assert_mem_eq(got, "def", 3);
	ck_assert_uint_eq(conn_input_length(conn), 3);
	conn_drop_input(conn);
	ck_assert_uint_eq(conn_input_length(conn), 0);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
}
END_TEST

/* A peer that sends what nobody takes: so much is kept, the rest stays with it. */
static const size_t maxima[] = { 1, 100, CONN_INPUT_SMALL, INPUT_BULK };

START_TEST(test_input_is_bounded)
{
	size_t max = maxima[_i / 2], sent, arrived = 0, len = 8 * MIB;
	char *got = malloc(INPUT_BULK);

	pair(_i % 2);
	if (max != CONN_INPUT_SMALL) /* that is what it begins with */
		conn_set_input_max(conn, max);
	sent = peer_send_some(bytes, len);
	for (int i = 0; i < 300; i++) {
		worker_turn(worker, false);
		UNIT_CHECK(conn_input_length(conn) <= max);
		sent += peer_send_some(bytes + sent, len - sent);
	}
	UNIT_UNTIL(conn_input_length(conn) == max, {
		sent += peer_send_some(bytes + sent, len - sent);
		worker_turn(worker, false);
	});
	ck_assert_uint_lt(sent, len); /* it is held back */
	ck_assert_int_eq(heard.ends, 0);
	/* Nobody is woken for what is there already. */
	heard.inputs = 0;
	turns(30);
	ck_assert_int_eq(heard.inputs, 0);
	/* What is taken makes room; nothing is lost, nothing changes its place. */
	len = max < 1000 ? 50 * max : 8 * max;
	UNIT_UNTIL(arrived >= len, {
		size_t n = conn_input_length(conn);

		UNIT_CHECK(n <= max && conn_take(conn, got, n));
		UNIT_CHECK(memcmp(got, bytes + arrived, n) == 0);
		arrived += n;
		sent += peer_send_some(bytes + sent, 8 * MIB - sent);
		worker_turn(worker, false);
	});
	free(got);
}
END_TEST

/* However much is there, one turn reads a bounded part of it. */
START_TEST(test_one_turn_is_bounded)
{
	pair(_i);
	conn_set_input_max(conn, INPUT_BULK);
	(void)peer_send_some(bytes, MIB);
	unit_sleep_ms(5);
	worker_turn(worker, false);
	ck_assert_uint_gt(conn_input_length(conn), 0);
	ck_assert_uint_le(conn_input_length(conn), 128 * 1024);
}
END_TEST

START_TEST(test_maximum_made_smaller)
{
	pair(_i);
	conn_set_input_max(conn, INPUT_BULK);
	peer_send(bytes, 100000);
	UNIT_UNTIL(conn_input_length(conn) == 100000, worker_turn(worker, false));
	conn_set_input_max(conn, CONN_INPUT_SMALL);
	peer_send("x", 1);
	turns(10);
	ck_assert_uint_eq(conn_input_length(conn), 100000);
	conn_drop_input(conn);
	UNIT_UNTIL(conn_input_length(conn) == 1, worker_turn(worker, false));
}
END_TEST

START_TEST(test_read_now)
{
	pair(_i);
	peer_send("abc", 3);
	unit_sleep_ms(5);
	conn_read_now(conn);
	ck_assert_uint_eq(conn_input_length(conn), 3);
	ck_assert_int_eq(heard.inputs, 0);
	(void)peer_send_some(bytes, MIB);
	unit_sleep_ms(5);
	conn_read_now(conn);
	ck_assert_uint_eq(conn_input_length(conn), CONN_INPUT_SMALL);
	conn_drop_input(conn);
	/* It goes on by itself. */
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
}
END_TEST

START_TEST(test_read_now_sees_the_end)
{
	pair(_i);
	peer_send("abc", 3);
	peer_close(false);
	unit_sleep_ms(5);
	conn_read_now(conn);
	ck_assert_uint_eq(conn_input_length(conn), 3);
	ck_assert_int_eq(conn_peer_end(conn), FTX_TRUNCATED);
}
END_TEST

/* The peer's end stands behind its last byte, and is told. */
START_TEST(test_end_of_the_peer)
{
	char got[5000];

	pair(_i % 2);
	peer_send(bytes, 5000);
	if (_i < 2)
		ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	else
		peer_close(false);
	UNIT_UNTIL(conn_input_length(conn) == CONN_INPUT_SMALL, worker_turn(worker, false));
	turns(10);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
	heard.inputs = 0;
	ck_assert(conn_take(conn, got, CONN_INPUT_SMALL));
	UNIT_UNTIL(conn_peer_end(conn) != FTX_OK, worker_turn(worker, false));
	ck_assert_int_eq(conn_peer_end(conn), FTX_TRUNCATED);
	ck_assert_int_ge(heard.inputs, 1);
	ck_assert_uint_eq(conn_input_length(conn), 5000 - CONN_INPUT_SMALL);
	/* Told once, not over and over. */
	heard.inputs = 0;
	turns(30);
	ck_assert_int_eq(heard.inputs, 0);
	ck_assert(conn_take(conn, got, 5000 - CONN_INPUT_SMALL));
	ck_assert_int_eq(heard.ends, 0); /* that is the conversation's to decide */
	if (_i >= 2)
		return;
	/* A peer that has only finished sending still listens. */
	ck_assert_int_eq(conn_write(conn, "answer", 6), FTX_OK);
	peer_gets("answer", 6);
}
END_TEST

START_TEST(test_reset_by_the_peer)
{
	pair_tcp();
	if (_i == 0) {
		peer_close(true);
		UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	} else {
		/* While it sends: the last bytes are there, and then the reset. */
		peer_send("last words", 10);
		peer_close(true);
		UNIT_UNTIL(conn_peer_end(conn) != FTX_OK, worker_turn(worker, false));
		ck_assert_uint_eq(conn_input_length(conn), 10);
	}
	ck_assert_int_eq(conn_peer_end(conn), FTX_RESET);
	heard.inputs = 0;
	turns(30);
	ck_assert_int_eq(heard.inputs, 0);
	ck_assert_int_eq(heard.ends, 0);
}
END_TEST

START_TEST(test_output)
{
	pair(_i);
	ck_assert_int_eq(conn_write(conn, "abc", 3), FTX_OK);
	ck_assert_int_eq(conn_write(conn, "def", 3), FTX_OK);
	ck_assert_uint_eq(conn_output_length(conn), 0); /* there was room for it */
	ck_assert_int_eq(heard.outputs, 0);             /* never within the call */
	peer_gets("abcdef", 6);
	UNIT_UNTIL(heard.outputs > 0, worker_turn(worker, false));
	ck_assert_uint_eq(conn_output_length(conn), 0);
	/* Told once. */
	turns(10);
	ck_assert_int_eq(heard.outputs, 1);
}
END_TEST

/* A peer that does not read: nothing is said before all has gone. */
START_TEST(test_output_waits)
{
	char *got = malloc(8 * MIB);
	size_t used = 0;

	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	ck_assert_int_eq(heard.outputs, 0);
	UNIT_UNTIL(used == 8 * MIB, {
		ssize_t n = recv(peer, got + used, 8 * MIB - used, 0);

		used += n > 0 ? (size_t)n : 0;
		worker_turn(worker, false);
		/* Said when it is so, and only then. */
		UNIT_CHECK((heard.outputs > 0) == (conn_output_length(conn) == 0));
	});
	ck_assert(memcmp(got, bytes, 8 * MIB) == 0);
	ck_assert_uint_eq(conn_output_length(conn), 0);
	free(got);
}
END_TEST

/* The peer refuses and leaves while we are sending: what it said is still to be had. */
START_TEST(test_refusal_behind_a_write_error)
{
	char got = 0;

	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	ck_assert_int_eq(send(peer, "F", 1, 0), 1);
	peer_close(false); /* with our bytes unread: TCP makes a reset of it */
	UNIT_UNTIL(conn_peer_end(conn) != FTX_OK, worker_turn(worker, false));
	turns(10);
	ck_assert_int_eq(conn_peer_end(conn), FTX_RESET);
	ck_assert_int_ge(heard.inputs, 1);
	ck_assert_uint_eq(conn_input_length(conn), 1);
	ck_assert(conn_take(conn, &got, 1));
	ck_assert_int_eq(got, 'F');
	/* And no spinning afterwards. */
	heard.inputs = heard.outputs = 0;
	turns(30);
	ck_assert_int_eq(heard.inputs + heard.outputs, 0);
}
END_TEST

/* The same with a bulk that its owner reads by himself: all of it comes before the end does. */
START_TEST(test_reads_on_behind_a_write_error)
{
	size_t got = 0, n;

	pair(_i);
	conn_set_bulk_input(conn, true);
	conn_set_reads_on(conn, true);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	ck_assert_int_eq(send(peer, bytes, 100000, 0), 100000);
	peer_close(false);
	UNIT_UNTIL(conn_output_length(conn) == 0, worker_turn(worker, false));
	turns(10);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
	while ((n = conn_receive(conn, bytes + MIB, 4096)) > 0) {
		ck_assert_mem_eq(bytes + MIB, bytes + got, n);
		got += n;
		if (got == 40000) /* between two frames it is not bulk */
			conn_set_bulk_input(conn, false);
	}
	ck_assert_uint_eq(got, 100000);
	ck_assert_int_eq(conn_peer_end(conn), FTX_RESET);
	heard.inputs = heard.outputs = 0;
	turns(30);
	ck_assert_int_eq(heard.inputs + heard.outputs, 0);
}
END_TEST

START_TEST(test_identity)
{
	struct conn *second;
	int ends[2];

	limits.idle_ms = 4711;
	pair(_i);
	ck_assert_ptr_eq(conn_worker(conn), worker);
	ck_assert_uint_eq(conn_limits(conn)->idle_ms, 4711);
	tcp_ends(ends);
	ck_assert_int_eq(conn_new(&second, worker, ends[0], NULL, &limits), FTX_OK);
	ck_assert_uint_ne(conn_id(second), conn_id(conn));
	/* Nobody listens to it yet: what arrives is kept, and it may be closed. */
	ck_assert_int_eq(send(ends[1], "x", 1, 0), 1);
	UNIT_UNTIL(conn_input_length(second) == 1, worker_turn(worker, false));
	conn_close(second, FTX_OK);
	close(ends[1]);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "input");
	uint64_t seed = 11;

	bytes = malloc(8 * MIB);
	for (size_t i = 0; i < 8 * MIB; i++)
		bytes[i] = (char)unit_random(&seed);

	tcase_add_checked_fixture(tc, net_setup, net_teardown);
	tcase_add_loop_test(tc, test_take_and_peek, 0, 2);
	tcase_add_loop_test(tc, test_input_is_bounded, 0, 2 * COUNT(maxima));
	tcase_add_loop_test(tc, test_one_turn_is_bounded, 0, 2);
	tcase_add_loop_test(tc, test_maximum_made_smaller, 0, 2);
	tcase_add_loop_test(tc, test_read_now, 0, 2);
	tcase_add_loop_test(tc, test_read_now_sees_the_end, 0, 2);
	tcase_add_loop_test(tc, test_end_of_the_peer, 0, 4);
	tcase_add_loop_test(tc, test_reset_by_the_peer, 0, 2);
	tc = unit_case(s, "output");
	tcase_add_checked_fixture(tc, net_setup, net_teardown);
	tcase_add_loop_test(tc, test_output, 0, 2);
	tcase_add_loop_test(tc, test_output_waits, 0, 2);
	tcase_add_loop_test(tc, test_refusal_behind_a_write_error, 0, 2);
	tcase_add_loop_test(tc, test_reads_on_behind_a_write_error, 0, 2);
	tc = unit_case(s, "time");
	tcase_add_checked_fixture(tc, net_setup, net_teardown);
	tcase_add_loop_test(tc, test_identity, 0, 2);
}

int
main(void)
{
	int rc = unit_run("conn", add_cases);

	free(bytes);
	return rc;
}
