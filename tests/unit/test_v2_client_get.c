/* v2/client: downloads; the test is the server. */
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test_v2_client_get.h"

struct v2_get_request get;
static const struct v2_terms terms = { 6, 1048576 };

/* Of large content: headers that were read by themselves. */
static unsigned headers_read;

/* The C library's own, but for the count. */
ssize_t
recv(int fd, void *p, size_t len, int flags)
{
	ssize_t (*real)(int, void *, size_t, int);

	*(void **)&real = dlsym(RTLD_NEXT, "recv");
	headers_read += len == V2_HEADER_SIZE;
	return real(fd, p, len, flags);
}

void
get_setup(void)
{
	content_setup();
	get = (struct v2_get_request){ ASKED_BY(&asker), .name = "r/file", .store = store,
		.spec.name = "file", .keep_mode = true, .keep_mtime = true };
}

void
get_teardown(void)
{
	v2_get_clear(&get);
	content_teardown();
	ck_assert_int_le(unit_names_in("root"), 1);
}

void
expect_nothing_there(void)
{
	settle();
	v2_get_clear(&get);
	settle();
	ck_assert_int_eq(unit_names_in("root"), 0);
}

void
expect_left(enum ftx_rc rc)
{
	expect_breach(rc);
	expect_outcome(&asker, rc, V2_WHOSE_CONNECTION);
	expect_nothing_there();
}

uint16_t
take_get(struct v2_get *m)
{
	const struct v2_frame *f = peer_takes(V2_GET);

	ck_assert_int_eq(v2_get_decode(f, &terms, m).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(m->name, slice("r/file")));
	return f->id;
}

/* FILE; with the digest that is stored, if sum is one. */
void
say_file(uint16_t id, uint8_t flags, uint64_t size, uint64_t offset, const struct digest_value *sum)
{
	static const struct digest_value none;

	PEER_SAYS(file, v2_file, flags, id,
	    .has = V2_BIT(SIZE) | V2_BIT(MTIME) | V2_BIT(MODE) | V2_BIT(FILE_VERSION) |
		   (flags == 0 ? V2_BIT(OFFSET) : 0) | (sum != NULL ? V2_BIT(DIGEST) : 0),
	    .size = size, .mtime = { 1234567890, 7 }, .mode = 0604, .offset = offset,
	    .digest = sum != NULL ? *sum : none, .file_version = SOME_VERSION);
}

void
say_end(uint16_t id, const char *p, size_t len)
{
	PEER_SAYS(
	    get_end, v2_end, 0, id, .has = V2_BIT(DIGEST), .digest = sum_of(DIGEST_XXH128, p, len));
}

void
say_content(uint16_t id, size_t from, size_t to)
{
	for (size_t n; from < to; from += n) {
		n = to - from < 262144 ? to - from : 262144;
		peer_says_data(id, content + from, n);
	}
}

uint16_t
begin_get(uint64_t size)
{
	struct v2_get m;
	uint16_t id;

	v2_client_get(client, &get);
	id = take_get(&m);
	ck_assert(!V2_HAS(&m, RESUME) && !V2_HAS(&m, OFFSET) && !V2_HAS(&m, LENGTH));
	say_file(id, 0, size, 0, NULL);
	return id;
}

START_TEST(test_whole)
{
	static const size_t sizes[] = { 0, 1, 4096, 5000, BIG };
	size_t size = sizes[_i];
	struct stat st;
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(size);
	headers_read = 0;
	ck_assert_uint_eq(get.size, size);
	say_content(id, 0, size);
	settle();
	/* What stands behind one goes to where it belongs, but for the first time. */
	ck_assert(size <= 65536 ? headers_read == 0 : headers_read >= size / 262144);
	ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert_int_eq(asker.times, 0);
	say_end(id, content, size);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(get.moved, size);
	unit_holds("root/file", content, size);
	ck_assert_int_eq(stat("root/file", &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0604);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1234567890);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 7);
}
END_TEST

/* All of it is there at once, before there is a place for it. */
START_TEST(test_at_once)
{
	uint16_t id;
	struct v2_get m;

	peer_greet(32, 65536);
	v2_client_get(client, &get);
	id = take_get(&m);
	peer_hold(true);
	say_file(id, 0, 5000, 0, NULL);
	peer_says_data(id, content, 5000);
	say_end(id, content, 5000);
	peer_hold(false);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, 5000);
}
END_TEST

/* A stored digest is enough, and END has none then. */
START_TEST(test_stored_digest)
{
	struct digest_value v = sum_of(DIGEST_XXH128, content, BIG);
	struct v2_get m;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_get(client, &get);
	id = take_get(&m);
	v.bytes[0] ^= (uint8_t)_i;
	say_file(id, 0, BIG, 0, &v);
	say_content(id, 0, BIG);
	PEER_SAYS(get_end, v2_end, 0, id, 0);
	if (_i == 0) {
		expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
		unit_holds("root/file", content, BIG);
	} else
		expect_left(FTX_DIGEST_MISMATCH);
}
END_TEST

START_TEST(test_wrong)
{
	enum ftx_rc rc = FTX_PROTOCOL;
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(_i == 0 ? 4096 : 5000);
	switch (_i) {
	case 0: /* more than was announced */
		peer_says_data(id, content, 8192);
		rc = FTX_EXCESS;
		break;
	case 1: /* less */
		peer_says_data(id, content, 4096);
		say_end(id, content, 4096);
		rc = FTX_SIZE_MISMATCH;
		break;
	case 2: /* another behind a shorter one */
		peer_says_data(id, content, 100);
		break;
	case 3: /* empty */
		peer_says_data(id, content, 0);
		break;
	case 4: /* its digest is wrong */
		peer_says_data(id, content, 5000);
		say_end(id, content + 1, 5000);
		rc = FTX_DIGEST_MISMATCH;
		break;
	case 5: /* there is none */
		peer_says_data(id, content, 5000);
		PEER_SAYS(get_end, v2_end, 0, id, 0);
		rc = FTX_BAD_MESSAGE;
		break;
	case 6: /* a second FILE */
		say_file(id, 0, 5000, 0, NULL);
		break;
	default: /* PREFIX of what was not resumed */
		PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET));
		break;
	}
	expect_left(rc);
}
END_TEST

START_TEST(test_wrong_file)
{
	struct digest_value v = sum_of(DIGEST_SHA256, content, 1);
	struct v2_get m;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_get(client, &get);
	id = take_get(&m);
	switch (_i) {
	case 0: /* it was to begin at 0 */
		say_file(id, 0, 5000, 4096, NULL);
		break;
	case 1: /* nothing was to be resumed */
		say_file(id, V2_FILE_PREFIX, 5000, 0, NULL);
		break;
	case 2: /* a digest of another kind */
		say_file(id, 0, 5000, 0, &v);
		break;
	default: /* content without FILE */
		peer_says_data(id, content, 4096);
		break;
	}
	expect_left(FTX_PROTOCOL);
}
END_TEST

START_TEST(test_content_of_two)
{
	static struct asker second_asker;
	static struct v2_get_request second;
	struct v2_get m;
	uint16_t id, id2;

	second = get;
	second.r.arg = &second_asker;
	second.spec.name = "other";
	peer_greet(32, 65536);
	v2_client_get(client, &get);
	v2_client_get(client, &second);
	id = take_get(&m);
	id2 = take_get(&m);
	say_file(id, 0, 8192, 0, NULL);
	say_file(id2, 0, 8192, 0, NULL);
	peer_says_data(id, content, 4096);
	peer_says_data(id2, content, 4096);
	settle();
	ck_assert_int_eq(second_asker.times, 1);
	expect_left(FTX_PROTOCOL);
}
END_TEST

START_TEST(test_changed)
{
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(BIG);
	say_content(id, 0, 262144);
	PEER_SAYS(get_end, v2_end, V2_END_CHANGED, id, 0);
	expect_outcome(&asker, FTX_CHANGED, V2_WHOSE_SERVER);
	ck_assert(asker.o.retryable);
	ck_assert_int_eq(heard.closes, 0);
	expect_nothing_there();
}
END_TEST

START_TEST(test_error)
{
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(BIG);
	say_content(id, 0, 262144);
	peer_says_error(id, V2_CODE_INTERNAL);
	expect_outcome(&asker, FTX_INTERNAL, V2_WHOSE_SERVER);
	expect_nothing_there();
}
END_TEST

START_TEST(test_range)
{
	struct v2_get m;
	uint16_t id;

	peer_greet(32, 65536);
	get.has_range = true;
	get.offset = 100;
	get.length = _i == 0 ? 5000 : UINT64_MAX;
	v2_client_get(client, &get);
	id = take_get(&m);
	ck_assert_uint_eq(m.offset, 100);
	ck_assert_uint_eq(V2_HAS(&m, LENGTH), _i == 0);
	say_file(id, 0, BIG, 100, NULL);
	ck_assert_uint_eq(get.size, _i == 0 ? 5000 : BIG - 100);
	say_content(id, 100, _i == 0 ? 5100 : BIG);
	say_end(id, content + 100, get.size);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content + 100, get.size);
}
END_TEST

/* The local name is taken: the server is told, and what it sends is thrown away. */
START_TEST(test_target_fails)
{
	uint16_t id, cancel;

	unit_write("root/file", "x", 1);
	peer_greet(32, 65536);
	id = begin_get(BIG);
	say_content(id, 0, BIG);
	cancel = peer_takes(V2_CANCEL)->id;
	ck_assert_int_eq(asker.times, 0);
	say_end(id, content, BIG);
	PEER_SAYS(error, v2_error, 0, cancel, .has = V2_BIT(CODE), .code = V2_CODE_TOO_LATE);
	expect_outcome(&asker, FTX_EXISTS, V2_WHOSE_LOCAL);
	ck_assert_int_eq(heard.closes, 0);
	unit_holds("root/file", "x", 1);
}
END_TEST

static void
cancel_found(void *arg, struct v2_get_request *g)
{
	ck_assert_ptr_eq(arg, &asker);
	ck_assert_uint_eq(g->size, BIG);
	v2_client_cancel(&g->r);
}

START_TEST(test_cancel)
{
	uint16_t id;

	peer_greet(32, 65536);
	if (_i == 0)
		get.on_found = cancel_found;
	id = begin_get(BIG);
	if (_i == 1) {
		say_content(id, 0, 262144);
		v2_client_cancel(&get.r);
	}
	peer_takes(V2_CANCEL);
	peer_says_data(id, content, 4096); /* it was on its way */
	peer_says_error(id, V2_CODE_CANCELLED);
	expect_outcome(&asker, FTX_CANCELLED, V2_WHOSE_SERVER);
	expect_nothing_there();
}
END_TEST

/* --- Small ones, which are kept in memory until they are whole --- */

/* Of one that is cut in the middle nothing is kept: the next try begins anew. */
START_TEST(test_small_lost)
{
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(8192);
	peer_says_data(id, content, 4096);
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(asker.times, 1);
	ck_assert(asker.o.retryable);
	ck_assert_int_eq(unit_names_in("root"), 0);
	asker.times = 0;
	v2_connect();
	peer_greet(32, 65536);
	id = begin_get(8192);
	say_content(id, 0, 8192);
	say_end(id, content, 8192);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, 8192);
}
END_TEST

/* The local name is taken, or there is no directory for it: found out when all has come. */
START_TEST(test_small_fails)
{
	uint16_t id;

	unit_write("root/file", "x", 1);
	if (_i == 1)
		get.spec.name = "none/file";
	peer_greet(32, 65536);
	id = begin_get(5000);
	say_content(id, 0, 5000);
	say_end(id, content, 5000);
	expect_outcome(&asker, _i == 0 ? FTX_EXISTS : FTX_NO_PARENT, V2_WHOSE_LOCAL);
	ck_assert_int_eq(heard.closes, 0);
	unit_holds("root/file", "x", 1);
}
END_TEST

START_TEST(test_small_cancel)
{
	uint16_t id;

	peer_greet(32, 65536);
	id = begin_get(8192);
	peer_says_data(id, content, 4096);
	v2_client_cancel(&get.r);
	peer_takes(V2_CANCEL);
	peer_says_data(id, content, 4096); /* it was on its way */
	peer_says_error(id, V2_CODE_CANCELLED);
	expect_outcome(&asker, FTX_CANCELLED, V2_WHOSE_SERVER);
	expect_nothing_there();
}
END_TEST

/* What is kept in memory is bounded: with so many others under way this one is not. */
START_TEST(test_small_many)
{
	enum { SIZE = 65536, MANY = 200, KEPT = 8 * 1024 * 1024 / SIZE };
	static struct v2_get_request gets[MANY];
	static struct asker askers[MANY];
	static uint16_t ids[MANY];
	struct v2_get m;
	int kept = 0;

	peer_greet(256, 65536);
	for (int i = 0; i < 2 * MANY; i++) {
		struct v2_get_request *g = &gets[i % MANY];

		*g = get;
		g->r.arg = &askers[i % MANY];
		g->spec.policy = PUT_REPLACE;
		v2_client_get(client, g);
		ids[i % MANY] = take_get(&m);
		say_file(ids[i % MANY], 0, SIZE, 0, NULL);
		kept += g->is_small;
		if (i % MANY < MANY - 1)
			continue;
		ck_assert_int_eq(kept, KEPT);
		for (int k = 0; k < MANY; k++) {
			say_content(ids[k], 0, SIZE);
			say_end(ids[k], content, SIZE);
			expect_outcome(&askers[k], FTX_OK, V2_WHOSE_NONE);
			askers[k] = (struct asker){ 0 };
		}
		kept = 0; /* and what they had is given back: once more */
	}
	unit_holds("root/file", content, SIZE);
}
END_TEST

void
add_get_cases(Suite *s)
{
	TCase *tc = unit_case(s, "get");

	tcase_add_checked_fixture(tc, get_setup, get_teardown);
	tcase_add_loop_test(tc, test_whole, 0, 5);
	tcase_add_test(tc, test_at_once);
	tcase_add_loop_test(tc, test_stored_digest, 0, 2);
	tcase_add_loop_test(tc, test_wrong, 0, 8);
	tcase_add_loop_test(tc, test_wrong_file, 0, 4);
	tcase_add_test(tc, test_content_of_two);
	tcase_add_test(tc, test_changed);
	tcase_add_test(tc, test_error);
	tcase_add_loop_test(tc, test_range, 0, 2);
	tcase_add_test(tc, test_target_fails);
	tcase_add_loop_test(tc, test_cancel, 0, 2);
	tcase_add_test(tc, test_small_lost);
	tcase_add_loop_test(tc, test_small_fails, 0, 2);
	tcase_add_test(tc, test_small_cancel);
	tcase_add_test(tc, test_small_many);
}
