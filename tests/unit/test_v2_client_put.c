/* v2/client: uploads; the test is the server. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "unit/fake_sys.h"
#include "unit/test_v2_client_put.h"

struct v2_put_request put, second;
static const struct v2_terms terms = { 6, 1048576 };

/* Bytes that are found in memory at once, at most; 0: all. */
static size_t found_max;

ssize_t
preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t, int);
	struct iovec first = iov[0];

	*(void **)&real = dlsym(RTLD_NEXT, "preadv2");
	if (found_max == 0 || first.iov_len <= found_max)
		return real(fd, iov, count, offset, flags);
	first.iov_len = found_max;
	return real(fd, &first, 1, offset, flags);
}

void
put_setup(void)
{
	content_setup();
	unit_write("root/big", content, BIG);
	unit_write("root/small", content, 5000);
	put = (struct v2_put_request){ ASKED_BY(&asker), .name = "r/big", .store = store,
		.local_name = "big", .has_upload_id = true };
	second = (struct v2_put_request){ ASKED_BY(&other), .name = "r/small", .store = store,
		.local_name = "small" };
	unit_sleep_ms(20); /* what changes them comes in another tick */
}

void
put_teardown(void)
{
	v2_put_clear(&put);
	v2_put_clear(&second);
	content_teardown();
}

/* The head of a PUT; its id. */
uint16_t
take_head(struct v2_put *m)
{
	const struct v2_frame *f = peer_takes(V2_PUT);

	ck_assert_int_eq(v2_put_decode(f, &terms, m).reach, V2_REACH_NONE);
	return f->id;
}

uint16_t
take_big_head(void)
{
	struct v2_put m;
	uint16_t id = take_head(&m);

	ck_assert_uint_eq(m.size, BIG);
	return id;
}

/* Content from `from` to `to`, in as many frames as it takes. */
void
take_content(uint16_t id, size_t from, size_t to)
{
	while (from < to) {
		const struct v2_frame *f = peer_takes(V2_DATA);

		ck_assert_uint_eq(f->id, id);
		ck_assert_uint_le(f->length, to - from);
		ck_assert(f->length > 0 && f->length <= 65536);
		ck_assert(f->length % 4096 == 0 || f->length == to - from);
		ck_assert_mem_eq(f->payload, content + from, f->length);
		from += f->length;
	}
}

void
take_end(uint16_t id, size_t len)
{
	const struct digest_value v = sum_of(DIGEST_XXH128, content, len);
	const struct v2_frame *f = peer_takes(V2_END);
	struct v2_end m;

	ck_assert_uint_eq(f->id, id);
	ck_assert_uint_eq(f->flags, 0);
	ck_assert_int_eq(v2_put_end_decode(f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert(digest_equal(&m.digest, &v));
}

void
take_abort(uint16_t id)
{
	const struct v2_frame *f = peer_takes(V2_END);

	ck_assert_uint_eq(f->id, id);
	ck_assert_uint_eq(f->flags, V2_END_ABORT);
}

void
say_go(uint16_t id, uint64_t offset)
{
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = offset);
}

void
say_have(uint16_t id, uint64_t offset)
{
	PEER_SAYS(have, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = offset);
}

START_TEST(test_now)
{
	const struct v2_frame *f;
	struct v2_put m;
	uint16_t id;

	second.has_mode = second.has_mtime = true;
	second.mode = 0604;
	second.mtime = (struct v2_time){ 1234567890, 5 };
	v2_client_put(client, &second);
	peer_greet(32, 65536);
	f = peer_takes(V2_PUT);
	id = f->id;
	ck_assert_uint_eq(f->flags, V2_PUT_NOW);
	ck_assert_int_eq(v2_put_decode(f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(m.name, slice("r/small")));
	ck_assert_uint_eq(m.size, 5000);
	ck_assert_uint_eq(m.mode, 0604);
	ck_assert_int_eq(m.mtime.sec, 1234567890);
	take_content(id, 0, 5000);
	take_end(id, 5000);
	ck_assert_uint_eq(second.moved, 5000);
	ck_assert_ptr_null(second.transfer); /* it was read there and then */
	peer_says_receipt(id, content, 5000);
	expect_outcome(&other, FTX_OK, V2_WHOSE_NONE);
	ck_assert_str_eq(second.receipt.name, "name");
	ck_assert_uint_eq(second.receipt.size, 5000);
	ck_assert_mem_eq(second.receipt.version, "version1", 8);
}
END_TEST

/* It is not sent what it has said that it will not take. _i: the limit is one byte more. */
START_TEST(test_larger_than_the_server_takes)
{
	peer_max_file = 4999 + (uint64_t)_i;
	peer_greet(32, 65536);
	v2_client_put(client, &second);
	v2_client_put(client, &put);
	expect_outcome(&asker, FTX_TOO_LARGE, V2_WHOSE_SERVER);
	ck_assert_uint_eq(asker.o.code, V2_CODE_TOO_LARGE);
	ck_assert(!asker.o.retryable && !asker.o.sent);
	if (_i == 0) {
		expect_outcome(&other, FTX_TOO_LARGE, V2_WHOSE_SERVER);
		peer_takes_nothing();
	} else
		(void)peer_takes(V2_PUT);
}
END_TEST

/* All of them are on their way before the first is answered. */
START_TEST(test_many_now)
{
	static struct v2_put_request puts[40];
	static struct asker askers[40];
	uint16_t ids[40];

	peer_greet(256, 65536);
	for (int i = 0; i < 40; i++) {
		puts[i] = second;
		puts[i].r.arg = &askers[i];
		if (i % 2 == 1) {
			puts[i].store = NULL;
			puts[i].memory = content;
			puts[i].memory_size = i % 4 == 1 ? 0 : 4097;
		}
		v2_client_put(client, &puts[i]);
	}
	for (int i = 0; i < 40; i++) {
		size_t len = i % 4 == 1 ? 0 : i % 4 == 3 ? 4097 : 5000;
		struct v2_put m;

		ids[i] = take_head(&m);
		take_content(ids[i], 0, len);
		take_end(ids[i], len);
	}
	for (int i = 39; i >= 0; i--) {
		peer_says_receipt(ids[i], content, i % 4 == 1 ? 0 : i % 4 == 3 ? 4097 : 5000);
		expect_outcome(&askers[i], FTX_OK, V2_WHOSE_NONE);
		v2_put_clear(&puts[i]);
	}
}
END_TEST

START_TEST(test_go)
{
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	peer_takes_nothing();
	say_go(id, 0);
	take_content(id, 0, BIG);
	take_end(id, BIG);
	ck_assert_uint_eq(put.moved, BIG);
	ck_assert_int_eq(asker.times, 0);
	peer_says_receipt(id, content, BIG);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
}
END_TEST

/* Of a file, too, that is read in odd pieces. */
START_TEST(test_odd_reads)
{
	uint16_t id;

	fake_orders.io_max = 3000;
	found_max = _i == 0 ? 5000 : 1000;
	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	say_go(id, 0);
	take_content(id, 0, BIG);
	take_end(id, BIG);
}
END_TEST

/* Not more than was handed in fits in the server's limit of heads. */
START_TEST(test_heads)
{
	static struct v2_put_request puts[18];
	static struct asker askers[18];
	uint16_t ids[18];

	peer_greet(256, 65536);
	for (int i = 0; i < 18; i++) {
		puts[i] = put;
		puts[i].r.arg = &askers[i];
		v2_client_put(client, &puts[i]);
	}
	for (int i = 0; i < 16; i++)
		ids[i] = take_big_head();
	peer_takes_nothing();
	peer_says_error(ids[3], V2_CODE_EXISTS);
	ids[16] = take_big_head();
	peer_takes_nothing();
	say_go(ids[1], 0);
	say_go(ids[0], 0);
	take_content(ids[1], 0, BIG);
	take_end(ids[1], BIG);
	ids[17] = take_big_head();
	take_content(ids[0], 0, BIG);
	take_end(ids[0], BIG);
}
END_TEST

/* What is wrong with a receipt: size, digest, its kind. */
START_TEST(test_wrong_receipt)
{
	struct digest_value v = sum_of(DIGEST_XXH128, content, BIG);
	uint64_t size = BIG;
	uint16_t id;

	peer_greet(32, 65536);
	put.has_upload_id = _i == 3;
	v2_client_put(client, &put);
	id = take_big_head();
	say_go(id, 0);
	take_content(id, 0, BIG);
	take_end(id, BIG);
	if (_i == 0 || _i == 3)
		v.bytes[3] ^= 1;
	else if (_i == 1)
		size--;
	else
		v = sum_of(DIGEST_SHA256, content, BIG);
	PEER_SAYS(put_ok, v2_receipt, 0, id,
	    .has =
		V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) | V2_BIT(TIME),
	    .name = slice("name"), .size = size, .digest = v, .file_version = SOME_VERSION);
	if (_i == 3) { /* it may be of another upload by that id, long ago */
		expect_outcome(&asker, FTX_DIGEST_MISMATCH, V2_WHOSE_SERVER);
		ck_assert(asker.o.answered && asker.o.code == 0 && !asker.o.breach);
		ck_assert(digest_equal(&put.receipt.digest, &v));
		return;
	}
	expect_breach(_i == 0 ? FTX_DIGEST_MISMATCH : FTX_PROTOCOL);
	ck_assert(asker.o.rc != FTX_OK && asker.o.breach);
}
END_TEST

START_TEST(test_resume)
{
	const struct v2_frame *f;
	struct v2_prefix m;
	struct digest_value v = sum_of(DIGEST_XXH128, content, 8192 * 70);
	bool same = _i == 0;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	say_have(id, 8192 * 70);
	f = peer_takes(V2_PREFIX);
	ck_assert_int_eq(v2_prefix_decode(f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert_uint_eq(m.offset, 8192 * 70);
	ck_assert(digest_equal(&m.digest, &v));
	say_go(id, same ? 8192 * 70 : 0);
	take_content(id, same ? 8192 * 70 : 0, BIG);
	take_end(id, BIG);
	ck_assert_uint_eq(put.resumed, same ? 8192 * 70 : 0);
	peer_says_receipt(id, content, BIG);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
}
END_TEST

/* The server has all of it: only the END is missing. */
START_TEST(test_resume_whole)
{
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	say_have(id, BIG);
	peer_takes(V2_PREFIX);
	say_go(id, BIG);
	take_end(id, BIG);
	peer_says_receipt(id, content, BIG);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
}
END_TEST

START_TEST(test_wrong_offset)
{
	uint16_t id;

	peer_greet(32, 65536);
	put.has_upload_id = _i != 6;
	v2_client_put(client, &put);
	id = take_big_head();
	switch (_i) {
	case 0:
		say_go(id, 4096);
		break;
	case 1:
		say_have(id, 4097);
		break;
	case 2:
		say_have(id, BIG + 1);
		break;
	case 3:
		say_have(id, 8192);
		peer_takes(V2_PREFIX);
		say_go(id, 4096);
		break;
	case 4: /* twice */
		say_have(id, 8192);
		peer_takes(V2_PREFIX);
		say_have(id, 8192);
		break;
	case 5:
		say_go(id, 0);
		say_go(id, 0);
		break;
	default:
		say_have(id, 8192);
		break;
	}
	expect_breach(FTX_PROTOCOL);
}
END_TEST

/* The file is another one in the middle: what was sent is taken back, and nothing is published. */
START_TEST(test_changed)
{
	const struct v2_frame *f;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	unit_write("root/big", content, _i == 0 ? BIG - 1 : BIG);
	say_go(id, 0);
	do
		f = peer_takes(peer_next_type());
	while (f->type == V2_DATA);
	ck_assert_uint_eq(f->type, V2_END);
	ck_assert_uint_eq(f->flags, V2_END_ABORT);
	ck_assert_int_eq(asker.times, 0);
	peer_says_error(id, V2_CODE_CANCELLED);
	expect_outcome(&asker, FTX_CHANGED, V2_WHOSE_LOCAL);
	ck_assert(asker.o.answered);
	ck_assert_int_eq(heard.closes, 0);
}
END_TEST

/* It is gone before its turn: the server hears nothing of it. */
START_TEST(test_no_file)
{
	peer_greet(32, 65536);
	put.local_name = "none";
	v2_client_put(client, &put);
	v2_client_put(client, &second);
	expect_outcome(&asker, FTX_NOT_FOUND, V2_WHOSE_LOCAL);
	ck_assert(!asker.o.sent);
	peer_takes(V2_PUT);
}
END_TEST

/* Content is under way when the server says that it does not want it. */
START_TEST(test_refused_while_sending)
{
	const struct v2_frame *f;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_put(client, &put);
	id = take_big_head();
	peer_stop_reading(true);
	say_go(id, 0);
	peer_says_error(id, V2_CODE_NO_SPACE);
	expect_outcome(&asker, FTX_NO_SPACE, V2_WHOSE_SERVER);
	/* The frame that was begun is whole, and then the content ends. */
	v2_client_put(client, &second);
	settle();
	peer_stop_reading(false);
	do
		f = peer_takes(peer_next_type());
	while (f->type == V2_DATA && f->id == id);
	ck_assert_uint_eq(f->type, V2_END);
	ck_assert_uint_eq(f->id, id);
	ck_assert_uint_eq(f->flags, V2_END_ABORT);
	f = peer_takes(V2_PUT);
	ck_assert_uint_eq(f->flags, V2_PUT_NOW);
}
END_TEST

void
add_put_cases(Suite *s)
{
	TCase *tc = unit_case(s, "put");

	tcase_add_checked_fixture(tc, put_setup, put_teardown);
	tcase_add_test(tc, test_now);
	tcase_add_loop_test(tc, test_larger_than_the_server_takes, 0, 2);
	tcase_add_test(tc, test_many_now);
	tcase_add_test(tc, test_go);
	tcase_add_loop_test(tc, test_odd_reads, 0, 2);
	tcase_add_test(tc, test_heads);
	tcase_add_loop_test(tc, test_wrong_receipt, 0, 4);
	tcase_add_loop_test(tc, test_resume, 0, 2);
	tcase_add_test(tc, test_resume_whole);
	tcase_add_loop_test(tc, test_wrong_offset, 0, 7);
	tcase_add_loop_test(tc, test_changed, 0, 2);
	tcase_add_test(tc, test_no_file);
	tcase_add_test(tc, test_refused_while_sending);
}
