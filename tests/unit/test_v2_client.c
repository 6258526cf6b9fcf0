/* v2/client: the connection; the test is the server. */
#include "unit/test_v2_client.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char *content;
struct asker asker, other;

static struct v2_ask ask = { ASKED_BY(&asker) };
static struct v2_ask next = { ASKED_BY(&other) };

void
content_setup(void)
{
	uint64_t seed = 7;

	v2_setup();
	content = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		content[i] = (char)unit_random(&seed);
}

void
content_teardown(void)
{
	free(content);
	v2_teardown();
}

void
expect_outcome(const struct asker *a, enum ftx_rc rc, enum v2_whose whose)
{
	settle();
	ck_assert_int_eq(a->times, 1);
	ck_assert_str_eq(ftx_rc_name(a->o.rc), ftx_rc_name(rc));
	ck_assert_int_eq(a->o.whose, whose);
}

void
expect_breach(enum ftx_rc rc)
{
	settle();
	ck_assert_int_eq(heard.closes, 1);
	ck_assert_str_eq(ftx_rc_name(heard.end.rc), ftx_rc_name(rc));
	ck_assert(heard.end.breach && !heard.end.retryable);
	ck_assert(peer_sees_end());
	ck_assert(asker.times == 0 || asker.o.breach);
}

START_TEST(test_greets)
{
	ck_assert_ptr_null(v2_client_server(client));
	ck_assert(v2_client_ready(client));
	peer_greet(32, 131072);
	ck_assert_uint_eq(v2_client_server(client)->limits.max_requests, 32);
	ck_assert_uint_eq(v2_client_server(client)->limits.max_now, 131072);
	ck_assert_uint_eq(
	    v2_client_server(client)->kinds, 1U << DIGEST_XXH128 | 1U << DIGEST_SHA256);
}
END_TEST

START_TEST(test_wrong_preface)
{
	peer_send("HTTP/1.1", 8);
	expect_breach(FTX_PROTOCOL);
}
END_TEST

/* The five bytes that come before the sixth is wrong are waited with. */
START_TEST(test_half_preface)
{
	peer_send("\xf7\x46\x54\x58\x0d", 5);
	ck_assert_int_eq(heard.closes, 0);
	peer_send("\x0d", 1);
	expect_breach(FTX_PROTOCOL);
}
END_TEST

/* Before the server's HELLO there are 16 at a time, then as many as that says; the rest waits. */
START_TEST(test_limits)
{
	static struct v2_ask asks[150];
	static struct asker askers[150];
	uint16_t id = 0;

	for (int i = 0; i < 150; i++) {
		asks[i] = (struct v2_ask){ ASKED_BY(&askers[i]) };
		v2_client_stat(client, &asks[i], "a", DIGEST_NONE, 0);
	}
	ck_assert(!v2_client_ready(client));
	peer_greet(20, 65536);
	for (int i = 0; i < 20; i++)
		id = peer_takes(V2_STAT)->id;
	peer_takes_nothing();
	for (int i = 20; i < 150; i++) {
		ck_assert_int_eq(heard.readies, i >= 20 + 80 ? 1 : 0);
		peer_says_error(id, V2_CODE_NOT_FOUND);
		id = peer_takes(V2_STAT)->id;
	}
	ck_assert_int_eq(heard.readies, 1);
}
END_TEST

/* Whatever number the server says: never more, and no fewer than we have use for. */
static const struct {
	uint16_t says;
	int live;
} announced[] = { { 16, 16 }, { 17, 17 }, { 255, 255 }, { 256, 256 }, { 257, 256 },
	{ 65535, 256 } };

START_TEST(test_announced_limit)
{
	static struct v2_ask asks[300];
	static struct asker askers[300];
	int live = announced[_i].live;
	uint16_t id = 0;

	for (int i = 0; i < 300; i++) {
		asks[i] = (struct v2_ask){ ASKED_BY(&askers[i]) };
		v2_client_stat(client, &asks[i], "a", DIGEST_NONE, 0);
	}
	peer_greet(announced[_i].says, 65536);
	for (int i = 0; i < live; i++)
		id = peer_takes(V2_STAT)->id;
	peer_takes_nothing();
	for (int i = live; i < 300; i++) {
		peer_says_error(id, V2_CODE_NOT_FOUND);
		id = peer_takes(V2_STAT)->id;
		peer_takes_nothing();
	}
}
END_TEST

START_TEST(test_early_limit)
{
	static struct v2_ask asks[17];
	static struct asker askers[17];

	for (int i = 0; i < 17; i++) {
		asks[i] = (struct v2_ask){ ASKED_BY(&askers[i]) };
		v2_client_stat(client, &asks[i], "a", DIGEST_NONE, 0);
	}
	settle();
	peer_skip_hello();
	for (int i = 0; i < 16; i++)
		peer_takes(V2_STAT);
	peer_takes_nothing();
}
END_TEST

START_TEST(test_silence)
{
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	peer_takes(V2_STAT);
	elapse(44000);
	peer_takes(V2_PING); /* after 30 s of our own silence */
	ck_assert_int_eq(heard.closes, 0);
	PEER_SAYS(pong, v2_ping, 0, 0, 0);
	elapse(44000);
	ck_assert_int_eq(heard.closes, 0);
	elapse(1000);
	expect_outcome(&asker, FTX_IDLE_TIMEOUT, V2_WHOSE_CONNECTION);
	ck_assert(asker.o.retryable && !asker.o.answered);
}
END_TEST

/* It is there, but has forgotten what it was asked for. */
START_TEST(test_forgotten)
{
	uint16_t id;

	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	id = peer_takes(V2_STAT)->id;
	PEER_SAYS(working, v2_working, 0, id, 0);
	for (int i = 0; i < 2; i++) {
		elapse(30000);
		peer_takes(V2_PING);
		PEER_SAYS(pong, v2_ping, 0, 0, 0);
	}
	elapse(29000);
	ck_assert_int_eq(heard.closes, 0);
	elapse(1000);
	expect_outcome(&asker, FTX_IDLE_TIMEOUT, V2_WHOSE_CONNECTION);
	ck_assert(asker.o.retryable && !asker.o.answered);
}
END_TEST

/* With nothing due the server may be silent; but each PING is to be answered. */
START_TEST(test_idle)
{
	peer_greet(32, 65536);
	for (int i = 0; i < 5; i++) {
		elapse(29000);
		peer_takes_nothing();
		elapse(1000);
		peer_takes(V2_PING);
		if (i < 4)
			PEER_SAYS(pong, v2_ping, 0, 0, 0);
	}
	elapse(45000);
	ck_assert_int_eq(heard.closes, 1);
	ck_assert_int_eq(heard.end.rc, FTX_IDLE_TIMEOUT);
}
END_TEST

START_TEST(test_working)
{
	uint16_t id;

	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	id = peer_takes(V2_STAT)->id;
	for (int i = 0; i < 10; i++) {
		elapse(15000);
		PEER_SAYS(working, v2_working, 0, id, 0);
	}
	ck_assert_int_eq(heard.closes, 0);
}
END_TEST

START_TEST(test_ping)
{
	v2_client_ping(client, &ask);
	peer_greet(32, 65536);
	peer_takes(V2_PING);
	PEER_SAYS(pong, v2_ping, 0, 0, 0);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
}
END_TEST

START_TEST(test_goodbye)
{
	uint16_t id;

	peer_greet(16, 65536);
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	id = peer_takes(V2_STAT)->id;
	PEER_SAYS(goodbye, v2_goodbye, 0, 0, .has = V2_BIT(RETRY_AFTER), .retry_after = 7);
	ck_assert_int_eq(heard.goodbyes, 1);
	ck_assert_uint_eq(heard.retry_after, 7);
	v2_client_stat(client, &next, "b", DIGEST_NONE, 0);
	settle();
	expect_outcome(&other, FTX_SHUTDOWN, V2_WHOSE_NONE);
	ck_assert(other.o.retryable && !other.o.sent);
	ck_assert(!peer_sees_end());
	peer_says_error(id, V2_CODE_NOT_FOUND);
	expect_outcome(&asker, FTX_NOT_FOUND, V2_WHOSE_SERVER);
	ck_assert(peer_sees_end());
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(heard.closes, 1);
	ck_assert_int_eq(heard.end.rc, FTX_SHUTDOWN);
}
END_TEST

START_TEST(test_finish)
{
	peer_greet(32, 65536);
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	v2_client_finish(client);
	peer_says_error(peer_takes(V2_STAT)->id, V2_CODE_NOT_FOUND);
	ck_assert_int_eq(asker.times, 1);
	ck_assert(peer_sees_end());
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(heard.closes, 1);
	ck_assert_int_eq(heard.end.rc, FTX_OK);
}
END_TEST

START_TEST(test_connection_error)
{
	peer_greet(32, 65536);
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_takes(V2_STAT);
	PEER_SAYS(error, v2_error, 0, 0, .has = V2_BIT(CODE) | V2_BIT(RETRY_AFTER),
	    .code = V2_CODE_OVERLOADED, .retry_after = 3);
	expect_outcome(&asker, FTX_LIMIT, V2_WHOSE_SERVER);
	ck_assert(asker.o.retryable && !asker.o.answered && !asker.o.breach);
	ck_assert_uint_eq(asker.o.retry_after, 3);
	ck_assert_int_eq(heard.closes, 1);
	ck_assert_uint_eq(heard.end.code, V2_CODE_OVERLOADED);
}
END_TEST

START_TEST(test_lost)
{
	peer_greet(32, 65536);
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_takes(V2_STAT);
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(asker.times, 1);
	ck_assert(asker.o.sent && !asker.o.answered && asker.o.retryable);
	ck_assert_int_eq(heard.closes, 1);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "connection");

	tcase_add_checked_fixture(tc, v2_setup, v2_teardown);
	tcase_add_test(tc, test_greets);
	tcase_add_test(tc, test_wrong_preface);
	tcase_add_test(tc, test_half_preface);
	tcase_add_test(tc, test_limits);
	tcase_add_loop_test(tc, test_announced_limit, 0, sizeof(announced) / sizeof(announced[0]));
	tcase_add_test(tc, test_early_limit);
	tcase_add_test(tc, test_silence);
	tcase_add_test(tc, test_forgotten);
	tcase_add_test(tc, test_idle);
	tcase_add_test(tc, test_working);
	tcase_add_test(tc, test_ping);
	tcase_add_test(tc, test_goodbye);
	tcase_add_test(tc, test_finish);
	tcase_add_test(tc, test_connection_error);
	tcase_add_test(tc, test_lost);
	add_ask_cases(s);
	add_put_cases(s);
	add_stream_cases(s);
	add_get_cases(s);
	add_resume_cases(s);
	add_part_cases(s);
	add_whole_cases(s);
	add_window_cases(s);
}

int
main(void)
{
	return unit_run("v2_client", add_cases);
}
