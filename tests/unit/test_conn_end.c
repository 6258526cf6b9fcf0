/* net/conn: how a connection ends. */
#include "unit/net_pair.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)

static char *bytes; /* 8 MiB of them */

static void
set_up(void)
{
	net_setup();
	bytes = calloc(8, MIB);
}

static void
tear_down(void)
{
	net_teardown();
	free(bytes);
}

static void
pair(int kind)
{
	if (kind == 0)
		pair_unix();
	else
		pair_tcp();
}

/* The connection has ended, for this reason; everybody heard of it once, the log too. */
static void
ended(enum ftx_rc why)
{
	char reason[64];

	snprintf(reason, sizeof(reason), " reason=%s", ftx_rc_name(why));
	ck_assert_ptr_null(conn);
	ck_assert_str_eq(ftx_rc_name(heard.why), ftx_rc_name(why));
	ck_assert_int_eq(heard.ends, 1);
	ck_assert_int_eq(heard.owner_ends, 1);
	ck_assert_int_eq(unit_log_count(" reason="), 1);
	ck_assert_int_eq(unit_log_count(reason), 1);
}

/* conn_close(). */
START_TEST(test_close)
{
	struct conn *c;

	pair(_i);
	c = conn;
	conn_close(c, FTX_CANCELLED);
	ended(FTX_CANCELLED); /* within the call */
	/* Again, in any way: nothing happens. */
	conn_close(c, FTX_IO);
	conn_reset(c, FTX_IO);
	conn_finish(c, FTX_IO);
	ended(FTX_CANCELLED);
	ck_assert_int_eq(peer_next(), 0);
	ended(FTX_CANCELLED);
}
END_TEST

static int gone;

static void
on_gone(void *arg)
{
	UNIT_CHECK(arg == &conn && heard.owner_ends == 1);
	gone++;
}

static void
release_at_the_end(void *arg, enum ftx_rc why)
{
	heard.ends++;
	heard.why = why;
	conn_release(arg);
}

/* It is gone, once, when it has ended and nothing is open any more that counts as its own. */
START_TEST(test_gone)
{
	struct conn *c;

	pair_unix();
	c = conn;
	gone = 0;
	conn_set_gone(c, on_gone);
	if (_i == 3) {
		conn_set_conversation(c, release_at_the_end, c);
		conn_hold(c);
		conn_close(c, FTX_CANCELLED);
		ended(FTX_CANCELLED);
		ck_assert_int_eq(gone, 1);
		return;
	}
	conn_hold(c);
	conn_hold(c);
	conn_release(c);
	if (_i == 0) {
		conn_release(c);
		ck_assert_int_eq(gone, 0);
	}
	conn_close(c, FTX_CANCELLED);
	ended(FTX_CANCELLED);
	ck_assert_int_eq(gone, _i == 0);
	if (_i == 1)
		conn_release(c); /* before its reaper has come */
	ck_assert_int_eq(gone, _i != 2);
	ck_assert_int_eq(peer_next(), 0); /* and here after it */
	if (_i == 2)
		conn_release(c);
	ck_assert_int_eq(gone, 1);
}
END_TEST

START_TEST(test_close_from_a_notice)
{
	int before = unit_descriptors();

	pair(_i % 2);
	heard.close_on = conn;
	if (_i < 2) {
		peer_send("abc", 3);
		UNIT_UNTIL(heard.ends > 0, worker_turn(worker, false));
		ck_assert_int_eq(heard.inputs, 1);
	} else {
		ck_assert_int_eq(conn_write(conn, "abc", 3), FTX_OK);
		UNIT_UNTIL(heard.ends > 0, worker_turn(worker, false));
		ck_assert_int_eq(heard.outputs, 1);
	}
	ended(FTX_CANCELLED);
	peer_close(false);
	turns(3);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* Nothing is told any more after the end, though there would be things to tell. */
START_TEST(test_silence_after_close)
{
	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, MIB), FTX_OK);
	peer_send("abc", 3);
	conn_close(conn, FTX_OK);
	peer_close(false);
	turns(10);
	ck_assert_int_eq(heard.inputs + heard.outputs, 0);
}
END_TEST

START_TEST(test_the_log_line)
{
	pair_tcp();
	conn_describe(conn, "upload", "first");
	conn_describe(conn, "download", "a \"name\"\n\x1b[2J");
	conn_add_content(conn, 12345);
	unit_clock_add(678);
	conn_close(conn, FTX_NO_SPACE);
	ck_assert_int_eq(unit_log_count(" op=download name=\"a \\x22name\\x22\\x0a\\x1b[2J\" "
					"bytes=12345 ms=678 reason=no-space"),
	    1);
	ck_assert_int_eq(unit_log_count(" peer=127.0.0.1:"), 1);
	peer_close(false);
	pair_unix();
	conn_close(conn, FTX_PROTOCOL);
	ck_assert_int_eq(unit_log_count(" peer=- op=- bytes=0 ms=0 reason=protocol-error"), 1);
	ck_assert_int_eq(unit_log_count(" reason="), 2);
}
END_TEST

/* FIN or reset, as the peer sees it. */
START_TEST(test_fin_or_reset)
{
	static const char *const ways[] = { "close", "reset", "abortive", "not abortive any more",
		"unread input" };

	pair_tcp();
	ck_assert_int_eq(conn_write(conn, "x", 1), FTX_OK);
	peer_gets("x", 1);
	switch (_i) {
	case 0:
		conn_close(conn, FTX_OK);
		break;
	case 1:
		conn_reset(conn, FTX_OK);
		break;
	case 2:
		conn_set_abortive(conn, true);
		conn_close(conn, FTX_OK);
		break;
	case 3:
		conn_set_abortive(conn, true);
		conn_set_abortive(conn, false);
		conn_close(conn, FTX_OK);
		break;
	default:
		peer_send("unread", 6);
		unit_sleep_ms(5);
		conn_close(conn, FTX_OK);
	}
	ended(FTX_OK);
	ck_assert_msg(peer_next() == (_i == 0 || _i == 3 ? 0 : ECONNRESET), "%s", ways[_i]);
}
END_TEST

/* A process that is killed, or crashes: the peer must not take what it got for whole. */
START_TEST(test_abortive_is_the_kernels)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	tcp_ends(ends);
	pid = fork();
	if (pid == 0) {
		struct worker *w;
		struct conn *c;

		close(ends[1]);
		if (worker_new(&w, NULL) != FTX_OK ||
		    conn_new(&c, w, ends[0], NULL, &limits) != FTX_OK)
			_exit(1);
		conn_set_abortive(c, _i == 1);
		raise(SIGKILL);
	}
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	unit_sleep_ms(5);
	errno = 0;
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), _i == 1 ? -1 : 0);
	ck_assert_int_eq(errno, _i == 1 ? ECONNRESET : 0);
	close(ends[1]);
}
END_TEST

/* conn_finish(). */
START_TEST(test_finish)
{
	pair(_i);
	ck_assert_int_eq(conn_write(conn, "answer", 6), FTX_OK);
	conn_finish(conn, FTX_EXISTS);
	peer_gets("answer", 6);
	ck_assert_int_eq(peer_next(), 0);
	/* It waits for the peer, and throws away what comes. */
	ck_assert_ptr_nonnull(conn);
	ck_assert_int_eq(heard.ends, 0);
	peer_send(bytes, 100000);
	turns(10);
	ck_assert_uint_eq(conn_input_length(conn), 0);
	conn_finish(conn, FTX_IO); /* it is on its way */
	peer_close(false);
	UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	ended(FTX_EXISTS);
	/* The conversation has nothing to do with any of it. */
	ck_assert_int_eq(heard.inputs + heard.outputs, 0);
}
END_TEST

START_TEST(test_finish_with_a_peer_that_has_finished)
{
	pair(_i);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	UNIT_UNTIL(conn_peer_end(conn) != FTX_OK, worker_turn(worker, false));
	conn_finish(conn, FTX_OK);
	ended(FTX_OK); /* nothing to wait for: within the call */
	ck_assert_int_eq(peer_next(), 0);
}
END_TEST

START_TEST(test_finish_with_input_waiting)
{
	pair(_i);
	peer_send(bytes, 3000);
	UNIT_UNTIL(conn_input_length(conn) == 3000, worker_turn(worker, false));
	ck_assert_int_eq(conn_write(conn, "F", 1), FTX_OK);
	conn_finish(conn, FTX_BUSY);
	peer_gets("F", 1);
	ck_assert_int_eq(peer_next(), 0);
	peer_close(false);
	UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	ended(FTX_BUSY);
}
END_TEST

START_TEST(test_finish_from_a_notice)
{
	pair(_i % 2);
	heard.finish_on = conn;
	if (_i < 2)
		peer_send("abc", 3);
	else
		ck_assert_int_eq(conn_write(conn, "abc", 3), FTX_OK);
	UNIT_UNTIL(heard.inputs + heard.outputs > 0, worker_turn(worker, false));
	if (_i >= 2)
		peer_gets("abc", 3);
	ck_assert_int_eq(peer_next(), 0);
	peer_close(false);
	UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	ended(FTX_DECLINED);
}
END_TEST

/* A lot is still to be sent: all of it goes before the end is said. */
START_TEST(test_finish_sends_all)
{
	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, 4 * MIB), FTX_OK);
	conn_finish(conn, FTX_OK);
	turns(20);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	peer_gets(bytes, 4 * MIB);
	ck_assert_int_eq(peer_next(), 0);
	peer_close(false);
	UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	ended(FTX_OK);
}
END_TEST

/* The peer neither talks nor leaves. */
START_TEST(test_finish_does_not_wait_for_ever)
{
	pair(_i);
	conn_finish(conn, FTX_BUSY);
	ck_assert_int_eq(peer_next(), 0);
	unit_clock_add(CONN_DRAIN_MS - 1);
	worker_run_timers(worker);
	ck_assert_ptr_nonnull(conn);
	unit_clock_add(1);
	worker_run_timers(worker);
	ended(FTX_BUSY);
}
END_TEST

/* The peer does not take what is left to be said. */
START_TEST(test_finish_of_a_deaf_peer)
{
	enum ftx_rc why = _i < 2 ? FTX_OK : FTX_BUSY;

	limits.idle_ms = 30000;
	pair(_i % 2);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	conn_finish(conn, why);
	turns(20);
	ck_assert_uint_gt(conn_output_length(conn), 0);
	unit_clock_add(29999);
	worker_run_timers(worker);
	ck_assert_ptr_nonnull(conn);
	unit_clock_add(1);
	worker_run_timers(worker);
	ended(why == FTX_OK ? FTX_IDLE_TIMEOUT : FTX_BUSY);
}
END_TEST

/* The end did not reach the peer: not said to have gone well. */
START_TEST(test_finish_that_fails)
{
	enum ftx_rc why = _i < 2 ? FTX_OK : FTX_BUSY;

	pair(_i % 2);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	conn_finish(conn, why);
	peer_close(false); /* with bytes unread */
	UNIT_UNTIL(conn == NULL, worker_turn(worker, false));
	ended(why == FTX_OK ? FTX_RESET : FTX_BUSY);
}
END_TEST

/* A peer that goes on sending for ever, while it does not take the answer: not for ever. */
START_TEST(test_finish_drains_a_bounded_amount)
{
	size_t sent = 0;

	pair(_i);
	ck_assert_int_eq(conn_write(conn, "F", 1), FTX_OK);
	conn_finish(conn, FTX_BUSY);
	UNIT_UNTIL(conn == NULL, {
		sent += peer_send_some(bytes, 64 * 1024);
		worker_turn(worker, false);
	});
	ended(FTX_BUSY);
	ck_assert_uint_ge(sent, CONN_DRAIN_BYTES);
	ck_assert_uint_le(
	    sent, CONN_DRAIN_BYTES + 7 * MIB); /* what fits into the kernel's buffers */
	/* The answer had arrived by then. */
	peer_gets("F", 1);
}
END_TEST

/* An answer stands in the output and cannot leave; the bytes that come count all the same. */
START_TEST(test_finish_drains_a_bounded_amount_before_it_has_sent)
{
	size_t sent = 0;

	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	turns(20);
	conn_finish(conn, FTX_BUSY);
	for (int i = 0; i < 2000 && conn != NULL; i++) {
		sent += peer_send_some(bytes, MIB);
		worker_turn(worker, false);
	}
	/* Closed, or not read from any more. */
	ck_assert_msg(
	    sent < 16 * MIB, "%zu MiB were taken from a peer that was refused", sent / MIB);
}
END_TEST

/*
 * The peer sends all the while, as the original client does: it reads the refusal, then the end,
 * and no reset is in its way.
 */
START_TEST(test_refusal_is_not_lost)
{
	pair_tcp();
	(void)peer_send_some(bytes, 300 * 1024);
	turns(10);
	ck_assert_uint_eq(conn_input_length(conn), CONN_INPUT_SMALL);
	ck_assert_int_eq(conn_write(conn, "F", 1), FTX_OK);
	conn_finish(conn, FTX_EXISTS);
	for (int i = 0; i < 20; i++) {
		turns(1);
		if (i % 4 == 0)
			ck_assert_uint_eq(peer_send_some(bytes, 10000), 10000);
	}
	if (_i == 1) {
		/* Longer than we wait. */
		unit_clock_add(CONN_DRAIN_MS);
		worker_run_timers(worker);
		turns(5);
		ended(FTX_EXISTS);
	}
	peer_gets("F", 1);
	ck_assert_int_eq(peer_next(), 0);
}
END_TEST

START_TEST(test_close_while_finishing)
{
	pair(_i);
	ck_assert_int_eq(conn_write(conn, bytes, 8 * MIB), FTX_OK);
	conn_finish(conn, FTX_OK);
	turns(5);
	conn_close(conn, FTX_SHUTDOWN);
	ended(FTX_SHUTDOWN);
	/* No timer of it is left that would fire on freed memory. */
	turns(3);
	unit_clock_add(1000 * 1000);
	worker_run_timers(worker);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "close");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_close, 0, 2);
	tcase_add_loop_test(tc, test_gone, 0, 4);
	tcase_add_loop_test(tc, test_close_from_a_notice, 0, 4);
	tcase_add_loop_test(tc, test_silence_after_close, 0, 2);
	tcase_add_test(tc, test_the_log_line);
	tcase_add_loop_test(tc, test_fin_or_reset, 0, 5);
	tcase_add_loop_test(tc, test_abortive_is_the_kernels, 0, 2);
	tc = unit_case(s, "finish");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_finish, 0, 2);
	tcase_add_loop_test(tc, test_finish_with_a_peer_that_has_finished, 0, 2);
	tcase_add_loop_test(tc, test_finish_with_input_waiting, 0, 2);
	tcase_add_loop_test(tc, test_finish_from_a_notice, 0, 4);
	tcase_add_loop_test(tc, test_finish_sends_all, 0, 2);
	tcase_add_loop_test(tc, test_finish_does_not_wait_for_ever, 0, 2);
	tcase_add_loop_test(tc, test_finish_of_a_deaf_peer, 0, 4);
	tcase_add_loop_test(tc, test_finish_that_fails, 0, 4);
	tcase_add_loop_test(tc, test_finish_drains_a_bounded_amount, 0, 2);
	tcase_add_loop_test(tc, test_finish_drains_a_bounded_amount_before_it_has_sent, 0, 2);
	tcase_add_loop_test(tc, test_refusal_is_not_lost, 0, 2);
	tcase_add_loop_test(tc, test_close_while_finishing, 0, 2);
}

int
main(void)
{
	return unit_run("conn_end", add_cases);
}
