/* v2/client: downloads that go on from what a try before has left, and those to a stream. */
#include <string.h>
#include <unistd.h>

#include "unit/test_v2_client_get.h"

static const struct v2_terms terms = { 6, 1048576 };

/* What has come before the connection is lost is kept, and goes on over another one. */
static void
lose_after(size_t len)
{
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(BIG);
	say_content(id, 0, len);
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(asker.times, 1);
	ck_assert(asker.o.retryable && !asker.o.answered);
	ck_assert_uint_eq(get.moved, len);
	asker.times = 0;
	v2_connect();
	peer_greet(32, 65536);
	v2_client_get(client, &get);
}

START_TEST(test_resume)
{
	size_t have = 262144 + 4096;
	struct digest_value whole = sum_of(DIGEST_XXH128, content, BIG);
	struct v2_get m;
	uint16_t id;

	lose_after(have);
	id = take_get(&m);
	ck_assert_uint_eq(m.resume, have);
	ck_assert(v2_slice_equal(m.file_version, (struct v2_slice)SOME_VERSION));
	say_file(id, 0, BIG, _i == 1 ? 0 : have, &whole);
	ck_assert_uint_eq(get.resumed, _i == 1 ? 0 : have);
	say_content(id, _i == 1 ? 0 : have, BIG);
	say_end(id, content + (_i == 1 ? 0 : have), BIG - (_i == 1 ? 0 : have));
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, BIG);
}
END_TEST

/* The server is not sure that it is the same file: it compares what the client has. */
START_TEST(test_resume_prefix)
{
	size_t have = 262144 + 4096, from = _i == 0 ? have : 0;
	struct digest_value v = sum_of(DIGEST_XXH128, content, have);
	const struct v2_frame *f;
	struct v2_prefix p;
	struct v2_get m;
	uint16_t id;

	lose_after(have);
	id = take_get(&m);
	say_file(id, V2_FILE_PREFIX, BIG, 0, NULL);
	f = peer_takes(V2_PREFIX);
	ck_assert_int_eq(v2_prefix_decode(f, &terms, &p).reach, V2_REACH_NONE);
	ck_assert_uint_eq(p.offset, have);
	ck_assert(digest_equal(&p.digest, &v));
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = from);
	say_content(id, from, BIG);
	say_end(id, content + from, BIG - from);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, BIG);
}
END_TEST

/* Another size: what is there cannot become this file. */
START_TEST(test_resume_other_size)
{
	size_t have = 262144;
	const struct v2_frame *f;
	struct v2_prefix p;
	struct v2_get m;
	uint16_t id;

	lose_after(have);
	id = take_get(&m);
	say_file(id, V2_FILE_PREFIX, BIG - 1, 0, NULL);
	f = peer_takes(V2_PREFIX);
	ck_assert_int_eq(v2_prefix_decode(f, &terms, &p).reach, V2_REACH_NONE);
	ck_assert(!V2_HAS(&p, DIGEST));
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET));
	say_content(id, 0, BIG - 1);
	say_end(id, content, BIG - 1);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, BIG - 1);
}
END_TEST

/* What was there already does not fit the whole: once more, without it. */
START_TEST(test_resume_wrong)
{
	size_t have = 262144;
	struct digest_value wrong = sum_of(DIGEST_XXH128, content, BIG - 1);
	struct v2_get m;
	uint16_t id;

	lose_after(have);
	id = take_get(&m);
	say_file(id, 0, BIG, have, &wrong);
	say_content(id, have, BIG);
	say_end(id, content + have, BIG - have);
	expect_outcome(&asker, FTX_DIGEST_MISMATCH, V2_WHOSE_SERVER);
	ck_assert(asker.o.retryable);
	ck_assert_int_eq(heard.closes, 0);
	asker.times = 0;
	begin_get(BIG);
}
END_TEST

START_TEST(test_resume_wrong_offset)
{
	struct v2_get m;
	uint16_t id;

	lose_after(262144);
	id = take_get(&m);
	if (_i == 0)
		say_file(id, 0, BIG, 4096, NULL);
	else if (_i == 1) /* another file, without a question */
		PEER_SAYS(file, v2_file, 0, id,
		    .has = V2_BIT(SIZE) | V2_BIT(MTIME) | V2_BIT(MODE) | V2_BIT(FILE_VERSION) |
			   V2_BIT(OFFSET),
		    .size = BIG, .mode = 0604, .offset = 262144,
		    .file_version = { (const uint8_t *)"version2", 8 });
	else {
		say_file(id, V2_FILE_PREFIX, BIG, 0, NULL);
		PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = 8192);
	}
	expect_left(FTX_PROTOCOL);
}
END_TEST

/* --- Streams --- */

static struct {
	size_t at, upto;
	bool wrong;
} sink;

static enum ftx_rc
write_sink(void *arg, const void *p, size_t len, size_t *n)
{
	(void)arg;
	*n = sink.upto - sink.at < len ? sink.upto - sink.at : len;
	sink.wrong |= memcmp(content + sink.at, p, *n) != 0;
	sink.at += *n;
	return FTX_OK;
}

static const struct v2_stream stream = { .write = write_sink };

/* What a stalled client and the kernel have room for. */
#define STREAMED 120000

START_TEST(test_stream)
{
	uint16_t id;

	peer_greet(32, 65536);
	get.stream = &stream;
	get.store = NULL;
	id = begin_get(STREAMED);
	peer_hold(true);
	say_content(id, 0, STREAMED);
	say_end(id, content, STREAMED);
	peer_hold(false);
	settle();
	ck_assert_int_eq(asker.times, 0);
	elapse(100000); /* it is not the server who is slow */
	while (sink.upto < STREAMED) {
		ck_assert_uint_eq(sink.at, sink.upto);
		sink.upto += STREAMED - sink.upto < 50000 ? STREAMED - sink.upto : 50000;
		v2_request_continue(&get.r);
		settle();
	}
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(sink.at, STREAMED);
	ck_assert(!sink.wrong);
}
END_TEST

void
add_resume_cases(Suite *s)
{
	TCase *tc = unit_case(s, "resume");

	tcase_add_checked_fixture(tc, get_setup, get_teardown);
	tcase_add_loop_test(tc, test_resume, 0, 2);
	tcase_add_loop_test(tc, test_resume_prefix, 0, 2);
	tcase_add_test(tc, test_resume_other_size);
	tcase_add_test(tc, test_resume_wrong);
	tcase_add_loop_test(tc, test_resume_wrong_offset, 0, 3);
	tcase_add_test(tc, test_stream);
}
