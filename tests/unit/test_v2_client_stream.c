/* v2/client: uploads of streams, what is there already, what has to wait, and early ends. */
#include <string.h>
#include <unistd.h>

#include "unit/test_v2_client_put.h"

static const struct v2_terms terms = { 6, 1048576 };

/* It was published before: our own file is read, to compare it with the receipt. */
START_TEST(test_published_before)
{
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	content[BIG - 1] = (char)(content[BIG - 1] ^ _i);
	peer_says_receipt(id, content, BIG);
	expect_outcome(&asker, _i == 0 ? FTX_OK : FTX_DIGEST_MISMATCH,
	    _i == 0 ? V2_WHOSE_NONE : V2_WHOSE_SERVER);
	ck_assert_int_eq(heard.closes, 0);
	peer_takes_nothing();
}
END_TEST

START_TEST(test_same)
{
	struct v2_put m;
	uint16_t id;

	peer_greet(32, 65536);
	put.policy = V2_CREATE_OR_SAME;
	put.digest = sum_of(DIGEST_SHA256, content, BIG);
	v2_client_put(client, &put);
	id = take_head(&m);
	ck_assert_uint_eq(m.policy, V2_CREATE_OR_SAME);
	ck_assert(digest_equal(&m.digest, &put.digest));
	PEER_SAYS(put_ok, v2_receipt, V2_OK_SAME, id,
	    .has =
		V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) | V2_BIT(TIME),
	    .name = slice("name"), .size = BIG, .digest = put.digest, .file_version = SOME_VERSION);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(put.receipt.flags, V2_OK_SAME);
}
END_TEST

/* --- Streams --- */

static struct {
	size_t at, upto, end;
} source;

static enum ftx_rc
read_source(void *arg, void *p, size_t len, size_t *n)
{
	size_t left = source.upto - source.at;

	(void)arg;
	*n = left < len ? left : len;
	memcpy(p, content + source.at, *n);
	source.at += *n;
	return *n == 0 && source.at == source.end ? FTX_TRUNCATED : FTX_OK;
}

static const struct v2_stream stream = { .read = read_source };

START_TEST(test_stream)
{
	const struct v2_frame *f;
	struct v2_put m;
	struct v2_end end;
	uint16_t id;

	peer_greet(32, 65536);
	put.store = NULL;
	put.stream = &stream;
	source.end = BIG;
	v2_client_put(client, &put);
	id = take_head(&m);
	ck_assert(!V2_HAS(&m, SIZE));
	say_go(id, 0);
	peer_takes_nothing();
	source.upto = 5000; /* one block of it can go */
	v2_request_continue(&put.r);
	f = peer_takes(V2_DATA);
	ck_assert_uint_eq(f->length, 4096);
	ck_assert_mem_eq(f->payload, content, 4096);
	peer_takes_nothing();
	source.upto = 6000;
	v2_request_continue(&put.r);
	peer_takes_nothing();
	source.upto = BIG;
	v2_request_continue(&put.r);
	take_content(id, 4096, BIG);
	f = peer_takes(V2_END);
	ck_assert_int_eq(v2_put_end_decode(f, &terms, &end).reach, V2_REACH_NONE);
	ck_assert_uint_eq(end.size, BIG);
	peer_says_receipt(id, content, BIG);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(put.size, BIG);
}
END_TEST

START_TEST(test_empty_stream)
{
	struct v2_put m;
	uint16_t id;

	peer_greet(32, 65536);
	put.store = NULL;
	put.stream = &stream;
	source.end = 0;
	v2_client_put(client, &put);
	id = take_head(&m);
	say_go(id, 0);
	take_end(id, 0);
	peer_says_receipt(id, content, 0);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
}
END_TEST

/* --- What stands in the way --- */

/* A PUT with NOW waits for the content that is under way; a head does not. */
START_TEST(test_now_waits)
{
	struct v2_put m;
	uint16_t id, now;

	peer_greet(32, 65536);
	put.store = NULL;
	put.stream = &stream;
	source.end = 4096;
	v2_client_put(client, &put);
	id = take_head(&m);
	say_go(id, 0);
	v2_client_put(client, &second);
	peer_takes_nothing();
	source.upto = 4096;
	v2_request_continue(&put.r);
	take_content(id, 0, 4096);
	take_end(id, 4096);
	now = take_head(&m);
	take_content(now, 0, 5000);
	take_end(now, 5000);
}
END_TEST

/* A head does not, and passes it; but not what has a barrier. */
START_TEST(test_head_passes)
{
	static struct asker third;
	static struct v2_put_request big;
	struct v2_put m;
	uint16_t id;

	peer_greet(32, 65536);
	big = put;
	big.r.arg = &third;
	put.store = NULL;
	put.stream = &stream;
	source.end = 4096;
	v2_client_put(client, &put);
	id = take_head(&m);
	say_go(id, 0);
	second.flags = _i == 0 ? 0 : V2_BARRIER;
	v2_client_put(client, &second);
	v2_client_put(client, &big);
	if (_i == 0)
		take_big_head();
	peer_takes_nothing();
	source.upto = 4096;
	v2_request_continue(&put.r);
	take_content(id, 0, 4096);
	take_end(id, 4096);
	take_head(&m);
	ck_assert_uint_eq(m.size, 5000);
}
END_TEST

/* Nor does content get in the way of what a barrier waits for. */
START_TEST(test_barrier)
{
	static struct asker third;
	static struct v2_ask ask = { ASKED_BY(&third) };
	struct v2_put m;
	uint16_t id, barrier;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	v2_client_stat(client, &ask, "a", DIGEST_NONE, V2_BARRIER);
	v2_client_put(client, &second);
	id = take_big_head();
	barrier = peer_takes(V2_STAT)->id;
	peer_takes_nothing();
	if (_i == 0) {
		say_go(id, 0);
		take_content(id, 0, BIG);
		take_end(id, BIG);
	} else
		peer_says_error(id, V2_CODE_EXISTS);
	take_head(&m);
	ck_assert_uint_eq(m.size, 5000);
	peer_says_error(barrier, V2_CODE_NOT_FOUND);
}
END_TEST

START_TEST(test_cancel_asking)
{
	uint16_t id, cancel;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	v2_client_cancel(&put.r);
	cancel = peer_takes(V2_CANCEL)->id;
	if (_i == 1) { /* GO has crossed it */
		say_go(id, 0);
		take_abort(id);
	}
	peer_says_error(id, V2_CODE_CANCELLED);
	PEER_SAYS(cancel_ok, v2_done, 0, cancel, 0);
	expect_outcome(&asker, FTX_CANCELLED, V2_WHOSE_SERVER);
	ck_assert_int_eq(heard.closes, 0);
}
END_TEST

START_TEST(test_cancel_sending)
{
	struct v2_put m;
	uint16_t id;

	peer_greet(32, 65536);
	put.store = NULL;
	put.stream = &stream;
	source.end = 1;
	v2_client_put(client, &put);
	id = take_head(&m);
	say_go(id, 0);
	v2_client_cancel(&put.r);
	take_abort(id);
	peer_says_error(id, V2_CODE_CANCELLED);
	expect_outcome(&asker, FTX_CANCELLED, V2_WHOSE_SERVER);
}
END_TEST

START_TEST(test_lost_while_sending)
{
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	peer_stop_reading(true);
	say_go(id, 0);
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(asker.times, 1);
	ck_assert(asker.o.rc != FTX_OK && asker.o.retryable && asker.o.sent && !asker.o.answered);
}
END_TEST

void
add_stream_cases(Suite *s)
{
	TCase *tc = unit_case(s, "stream");

	tcase_add_checked_fixture(tc, put_setup, put_teardown);
	tcase_add_loop_test(tc, test_published_before, 0, 2);
	tcase_add_test(tc, test_same);
	tcase_add_test(tc, test_stream);
	tcase_add_test(tc, test_empty_stream);
	tcase_add_test(tc, test_now_waits);
	tcase_add_loop_test(tc, test_head_passes, 0, 2);
	tcase_add_loop_test(tc, test_barrier, 0, 2);
	tcase_add_loop_test(tc, test_cancel_asking, 0, 2);
	tcase_add_test(tc, test_cancel_sending);
	tcase_add_test(tc, test_lost_while_sending);
}
