/* net/conn: content, which passes by its buffers. */
#include "unit/net_pair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_time.h"

#define MIB ((size_t)1024 * 1024)

/* Nothing is read but by conn_receive(), and what came early comes first. */
START_TEST(test_receive)
{
	char got[8] = "";

	pair_tcp();
	peer_send("abc", 3);
	UNIT_UNTIL(conn_input_length(conn) == 3, worker_turn(worker, false));
	conn_set_bulk_input(conn, true);
	peer_send("defg", 4);
	heard.inputs = 0;
	UNIT_UNTIL(heard.inputs > 1, worker_turn(worker, false)); /* again and again */
	ck_assert_uint_eq(conn_receive(conn, got, 2), 2);
	ck_assert_uint_eq(conn_receive(conn, got + 2, 6), 1);
	ck_assert_uint_eq(conn_receive(conn, got + 3, 5), 4);
	ck_assert_str_eq(got, "abcdefg");
	ck_assert_uint_eq(conn_receive(conn, got, 8), 0);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
	heard.inputs = 0;
	turns(10);
	ck_assert_int_eq(heard.inputs, 0);
	/* Back-pressure: nobody is told, nothing is lost. */
	conn_set_receiving(conn, false);
	peer_send("x", 1);
	turns(10);
	ck_assert_int_eq(heard.inputs, 0);
	conn_set_receiving(conn, true);
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	/* And back to messages. */
	conn_set_bulk_input(conn, false);
	UNIT_UNTIL(conn_input_length(conn) == 1, worker_turn(worker, false));
	conn_drop_input(conn);
	conn_set_bulk_input(conn, true);
	peer_close(false);
	UNIT_UNTIL(heard.inputs > 1, worker_turn(worker, false));
	ck_assert_uint_eq(conn_receive(conn, got, 8), 0);
	ck_assert_int_eq(conn_peer_end(conn), FTX_TRUNCATED);
	heard.inputs = 0;
	turns(10);
	ck_assert_int_eq(heard.inputs, 0);
}
END_TEST

/* Of what stands behind a header nothing is taken with it. */
START_TEST(test_receive_behind_header)
{
	char got[8] = "";

	pair_tcp();
	conn_set_header(conn, 3);
	peer_send("abcdefgh", 8);
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	ck_assert_uint_eq(conn_input_length(conn), 3);
	conn_skip(conn, 3);
	conn_set_bulk_input(conn, true);
	ck_assert_uint_eq(conn_receive(conn, got, 4), 4);
	ck_assert_int_eq(memcmp(got, "defg", 4), 0);
	conn_set_bulk_input(conn, false);
	conn_set_header(conn, 0);
	peer_send("ij", 2);
	UNIT_UNTIL(conn_input_length(conn) == 3, worker_turn(worker, false));
	ck_assert_int_eq(memcmp(conn_input(conn), "hij", 3), 0);
}
END_TEST

/* Into a pipe; but what came early is in memory, and comes first. */
START_TEST(test_receive_by_pipe)
{
	char got[8] = "";
	bool unable;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	pair_tcp();
	peer_send("abc", 3);
	UNIT_UNTIL(conn_input_length(conn) == 3, worker_turn(worker, false));
	conn_set_bulk_input(conn, true);
	peer_send("defg", 4);
	turns(3);
	ck_assert_uint_eq(conn_receive_pipe(conn, ends[1], 8, &unable), 0);
	ck_assert(unable);
	ck_assert_uint_eq(conn_receive(conn, got, 8), 3);
	ck_assert_uint_eq(conn_receive_pipe(conn, ends[1], 2, &unable), 2);
	ck_assert(!unable);
	ck_assert_uint_eq(conn_receive_pipe(conn, ends[1], 8, &unable), 2);
	ck_assert_int_eq(read(ends[0], got, 8), 4);
	ck_assert_int_eq(memcmp(got, "defg", 4), 0);
	ck_assert_uint_eq(conn_moved(conn), 7);
	ck_assert_uint_eq(conn_receive_pipe(conn, ends[1], 8, &unable), 0);
	ck_assert(!unable);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
	/* Not into what is no pipe; nothing is lost by that. */
	peer_send("h", 1);
	turns(3);
	ck_assert_uint_eq(conn_receive_pipe(conn, peer, 8, &unable), 0);
	ck_assert(unable);
	ck_assert_uint_eq(conn_receive(conn, got, 8), 1);
	peer_close(false);
	heard.inputs = 0;
	UNIT_UNTIL(heard.inputs > 0, worker_turn(worker, false));
	ck_assert_uint_eq(conn_receive_pipe(conn, ends[1], 8, &unable), 0);
	ck_assert(!unable);
	ck_assert_int_eq(conn_peer_end(conn), FTX_TRUNCATED);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* One that goes at once, and behind it one that does not: the second is not forgotten. */
START_TEST(test_write_behind_a_write)
{
	size_t len = 16 * MIB, got = 0;
	char *bytes = calloc(1, len);

	pair_tcp();
	turns(3);
	ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
	ck_assert_int_eq(conn_write(conn, bytes, len), FTX_OK);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	turns(3);
	for (int idle = 0; got < len + 1 && idle < 1000;) {
		ssize_t n = recv(peer, bytes, len, MSG_DONTWAIT);

		if (n > 0)
			got += (size_t)n;
		else
			idle++;
		turns(1);
	}
	ck_assert_uint_eq(got, len + 1);
	free(bytes);
}
END_TEST

/* As much as the kernel takes; then it is told when there is room, once. */
START_TEST(test_send)
{
	char *bytes = calloc(1, MIB), *got = malloc(MIB);
	size_t sent = 0, n, all;

	pair_tcp();
	conn_set_unsent_max(conn, 16 * 1024);
	while ((n = conn_send(conn, bytes, MIB, true)) > 0)
		sent += n;
	ck_assert_uint_gt(sent, 0);
	conn_wait_output(conn);
	turns(5);
	ck_assert_int_eq(heard.outputs, 0);
	for (all = 0; all < sent;) {
		ssize_t r = recv(peer, got, MIB, 0);

		all += r > 0 ? (size_t)r : 0;
		worker_turn(worker, false);
	}
	UNIT_UNTIL(heard.outputs > 0, worker_turn(worker, false));
	turns(10);
	ck_assert_int_eq(heard.outputs, 1);
	/* Behind a message that waits nothing may go. */
	ck_assert_int_eq(conn_write(conn, bytes, MIB), FTX_OK);
	while (conn_output_length(conn) == 0)
		ck_assert_int_eq(conn_write(conn, bytes, MIB), FTX_OK);
	ck_assert_uint_eq(conn_send(conn, bytes, 1, false), 0);
	peer_close(true);
	UNIT_UNTIL(conn_peer_end(conn) == FTX_RESET, worker_turn(worker, false));
	ck_assert_uint_eq(conn_send(conn, bytes, 1, false), 0);
	free(bytes);
	free(got);
}
END_TEST

START_TEST(test_send_file)
{
	bool unable = true;
	int fd, pipes[2];

	unit_enter_dir();
	pair_tcp();
	unit_write("file", "0123456789", 10);
	fd = open("file", O_RDONLY);
	ck_assert_uint_eq(conn_send_file(conn, fd, 2, 5, &unable), 5);
	ck_assert(!unable);
	peer_gets("23456", 5);
	/* It ends before that; or is no file. */
	ck_assert_uint_eq(conn_send_file(conn, fd, 10, 5, &unable), 0);
	ck_assert(unable);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_uint_eq(conn_send_file(conn, pipes[0], 0, 5, &unable), 0);
	ck_assert(unable);
	ck_assert_int_eq(conn_peer_end(conn), FTX_OK);
	/* The peer's fault is not the file's. */
	peer_close(true);
	UNIT_UNTIL(conn_peer_end(conn) == FTX_RESET, worker_turn(worker, false));
	ck_assert_uint_eq(conn_send_file(conn, fd, 0, 5, &unable), 0);
	ck_assert(!unable);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

/* Told when the peer has acknowledged all, and not if somebody else has the notices by then. */
START_TEST(test_wait_got)
{
	pair_tcp();
	ck_assert_uint_eq(conn_send(conn, "abc", 3, false), 3);
	conn_wait_got(conn, conn_sent(conn));
	for (int i = 0; i < 100 && heard.outputs == 0; i++) {
		unit_sleep_ms(1);
		unit_clock_add(20);
		worker_run_timers(worker);
	}
	ck_assert_int_eq(heard.outputs, 1);
	ck_assert(conn_has_taken_all(conn));
	unit_clock_add(100);
	worker_run_timers(worker);
	ck_assert_int_eq(heard.outputs, 1);
}
END_TEST

START_TEST(test_local)
{
	pair_tcp();
	ck_assert(conn_is_local(conn));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "bulk");

	tcase_add_checked_fixture(tc, net_setup, net_teardown);
	tcase_add_test(tc, test_receive);
	tcase_add_test(tc, test_receive_behind_header);
	tcase_add_test(tc, test_receive_by_pipe);
	tcase_add_test(tc, test_write_behind_a_write);
	tcase_add_test(tc, test_send);
	tcase_add_test(tc, test_send_file);
	tcase_add_test(tc, test_wait_got);
	tcase_add_test(tc, test_local);
}

int
main(void)
{
	return unit_run("conn_bulk", add_cases);
}
