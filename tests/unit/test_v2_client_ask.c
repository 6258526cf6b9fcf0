/* v2/client: requests without content; the test is the server. */
#include <string.h>

#include "unit/test_v2_client.h"

static struct v2_ask ask = { ASKED_BY(&asker) };
static struct v2_ask next = { ASKED_BY(&other) };

START_TEST(test_stat)
{
	const struct v2_frame *f;
	struct v2_stat m;
	const struct v2_terms terms = { 6, 0 };

	v2_client_stat(client, &ask, "a/b", DIGEST_XXH128, V2_BARRIER);
	ck_assert_int_eq(asker.times, 0);
	peer_greet(32, 65536);
	f = peer_takes(V2_STAT);
	ck_assert_uint_eq(f->flags, V2_BARRIER);
	ck_assert_int_eq(v2_stat_decode(f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(m.name, slice("a/b")));
	PEER_SAYS(stat_ok, v2_entry, 0, f->id, .has = V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
	    .kind = V2_DIRECTORY, .mode = 0755);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(ask.got.stat.kind, V2_DIRECTORY);
	ck_assert(asker.o.sent && asker.o.answered);
}
END_TEST

START_TEST(test_error)
{
	v2_client_remove(client, &ask, "a", NO_VERSION, 0);
	peer_greet(32, 65536);
	peer_says_error(peer_takes(V2_REMOVE)->id, V2_CODE_NOT_FOUND);
	expect_outcome(&asker, FTX_NOT_FOUND, V2_WHOSE_SERVER);
	ck_assert_uint_eq(asker.o.code, V2_CODE_NOT_FOUND);
	ck_assert(asker.o.answered && !asker.o.retryable);
	ck_assert_str_eq(asker.text, "in words");
	ck_assert_int_eq(heard.closes, 0);
}
END_TEST

/* An unknown code goes by its range. */
START_TEST(test_unknown_codes)
{
	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	v2_client_stat(client, &next, "b", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	peer_says_error(peer_takes(V2_STAT)->id, 250);
	peer_says_error(peer_takes(V2_STAT)->id, 150);
	expect_outcome(&asker, FTX_REMOTE_ERROR, V2_WHOSE_SERVER);
	ck_assert(asker.o.retryable);
	expect_outcome(&other, FTX_REMOTE_REFUSED, V2_WHOSE_SERVER);
	ck_assert(!other.o.retryable);
}
END_TEST

static void
ask_short(struct v2_ask *a, int kind)
{
	switch (kind) {
	case 0:
		v2_client_mkdir(client, a, "d", 0750, V2_MKDIR_PARENTS);
		break;
	case 1:
		v2_client_rename(client, a, "a", "b", slice("version1"), V2_RENAME_REPLACE);
		break;
	case 2:
		v2_client_remove(client, a, "d", NO_VERSION, V2_REMOVE_DIRECTORY);
		break;
	default:
		v2_client_sum(client, a, "a", DIGEST_SHA256, 4096, UINT64_MAX, V2_DIGEST_FRESH);
		break;
	}
}

static const enum v2_type short_types[] = { V2_MKDIR, V2_RENAME, V2_REMOVE, V2_DIGEST };

START_TEST(test_short)
{
	uint16_t id;

	ask_short(&ask, _i);
	peer_greet(32, 65536);
	id = peer_takes(short_types[_i])->id;
	if (_i == 1)
		PEER_SAYS(rename_ok, v2_renamed, V2_OK_UNSYNCED, id, .has = V2_BIT(FILE_VERSION),
		    .file_version = SOME_VERSION);
	else if (_i == 3)
		PEER_SAYS(digest_ok, v2_digest_made, 0, id,
		    .has = V2_BIT(FILE_VERSION) | V2_BIT(SIZE) | V2_BIT(DIGEST),
		    .digest = sum_of(DIGEST_SHA256, "x", 1), .size = 4097,
		    .file_version = SOME_VERSION);
	else if (_i == 0)
		PEER_SAYS(mkdir_ok, v2_done, V2_OK_EXISTED, id, 0);
	else
		PEER_SAYS(remove_ok, v2_done, 0, id, 0);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_uint_eq(ask.ok_flags, _i == 0 ? V2_OK_EXISTED : _i == 1 ? V2_OK_UNSYNCED : 0);
}
END_TEST

/* A result of another type than the request, or one that is not due. */
START_TEST(test_wrong_result)
{
	uint16_t id;

	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	id = peer_takes(V2_STAT)->id;
	switch (_i) {
	case 0:
		PEER_SAYS(page, v2_page, 0, id, 0);
		break;
	case 1:
		PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET));
		break;
	case 2:
		PEER_SAYS(get_end, v2_end, 0, id, 0);
		break;
	case 3:
		peer_says_data(id, "x", 1);
		break;
	case 4: /* no such request */
		PEER_SAYS(working, v2_working, 0, (uint16_t)(id + 1), 0);
		break;
	case 5:
		PEER_SAYS(pong, v2_ping, 0, 0, 0);
		break;
	case 6:
		PEER_SAYS(cancel_ok, v2_done, 0, (uint16_t)(0x4000 + id), 0);
		break;
	case 7: /* a code that a request cannot have */
		peer_says_error(id, V2_CODE_TOO_MUCH);
		break;
	default: /* a second HELLO */
		PEER_SAYS(server_hello, v2_hello, 0, 0,
		    .has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA) |
			   V2_BIT(MAX_REQUESTS) | V2_BIT(MAX_NOW),
		    .version = 2, .digests = { (const uint8_t *)"\1", 1 }, .max_data = 65536,
		    .max_requests = 16, .max_now = 65536);
		break;
	}
	expect_breach(FTX_PROTOCOL);
	expect_outcome(&asker, FTX_PROTOCOL, V2_WHOSE_CONNECTION);
	ck_assert(asker.o.sent && !asker.o.answered && asker.o.breach);
}
END_TEST

/* A length that nothing has, before anything of it is there. */
START_TEST(test_absurd_length)
{
	static const uint8_t header[] = { 0x7f, 0xff, 0xff, 0xff, V2_OK, 0, 0, 1 };

	v2_client_stat(client, &ask, "a", DIGEST_NONE, 0);
	peer_greet(32, 65536);
	peer_takes(V2_STAT);
	peer_send(header, sizeof(header));
	settle();
	ck_assert_int_eq(heard.closes, 1);
	ck_assert(heard.end.breach);
}
END_TEST

static void
send_page(uint16_t id, const char *name, size_t len, const char *cursor)
{
	static uint8_t frame[V2_HEADER_SIZE + V2_CONTROL_MAX];
	struct v2_page_writer w;
	const struct v2_entry e = {
		.has = V2_BIT(NAME) | V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
		.name = { (const uint8_t *)name, len },
		.kind = V2_DIRECTORY,
	};
	size_t size;

	v2_page_begin(&w, id, frame, sizeof(frame));
	if (name != NULL)
		ck_assert(v2_page_add(&w, &e));
	size = v2_page_end(&w, slice(cursor));
	ck_assert_uint_gt(size, 0);
	peer_send(frame, size);
}

static char listed[64];

static void
note_entries(struct asker *a, struct v2_request *r)
{
	struct v2_entry e;

	(void)a;
	listed[0] = '\0';
	while (v2_ask_next_entry((struct v2_ask *)r, &e))
		strncat(listed, (const char *)e.name.p, e.name.len);
}

START_TEST(test_list)
{
	asker.then = note_entries;
	v2_client_list(client, &ask, "", NO_VERSION, DIGEST_NONE, 0);
	peer_greet(32, 65536);
	send_page(peer_takes(V2_LIST)->id, "-x y", 4, "more");
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	ck_assert_str_eq(listed, "-x y");
}
END_TEST

static const struct {
	const char *name;
	size_t len;
} bad_names[] = { { "", 0 }, { ".", 1 }, { "..", 2 }, { "a/b", 3 }, { "/", 1 }, { "a\0b", 3 },
	{ "../../etc/passwd", 16 } };

START_TEST(test_list_names)
{
	v2_client_list(client, &ask, "", NO_VERSION, DIGEST_NONE, 0);
	peer_greet(32, 65536);
	send_page(peer_takes(V2_LIST)->id, bad_names[_i].name, bad_names[_i].len, "");
	expect_breach(FTX_BAD_NAME);
}
END_TEST

START_TEST(test_list_without_end)
{
	struct v2_slice cursor = { NULL, 0 };

	peer_greet(32, 65536);
	for (int i = 1; i <= 64; i++) {
		asker.times = 0;
		v2_client_list(client, &ask, "", cursor, DIGEST_NONE, 0);
		send_page(peer_takes(V2_LIST)->id, NULL, 0, "again");
		cursor = slice("again");
		ck_assert_int_eq(heard.closes, i == 64);
	}
	expect_breach(FTX_PROTOCOL);
}
END_TEST

START_TEST(test_cancel)
{
	const struct v2_frame *f;
	uint16_t id, cancel_id;

	peer_greet(32, 65536);
	v2_client_sum(client, &ask, "a", DIGEST_NONE, 0, UINT64_MAX, 0);
	id = peer_takes(V2_DIGEST)->id;
	v2_client_cancel(&ask.r);
	v2_client_cancel(&ask.r);
	f = peer_takes(V2_CANCEL);
	cancel_id = f->id;
	ck_assert_uint_eq(f->payload[5], id);
	peer_takes_nothing();
	peer_says_error(id, V2_CODE_CANCELLED);
	expect_outcome(&asker, FTX_CANCELLED, V2_WHOSE_SERVER);
	/* Its id waits for the answer to the CANCEL. */
	for (int i = 0; i < 300; i++) {
		uint16_t other_id;

		other.times = 0;
		v2_client_stat(client, &next, "a", DIGEST_NONE, 0);
		other_id = peer_takes(V2_STAT)->id;
		ck_assert_uint_ne(other_id, id);
		peer_says_error(other_id, V2_CODE_NOT_FOUND);
	}
	PEER_SAYS(cancel_ok, v2_done, 0, cancel_id, 0);
	ck_assert_int_eq(heard.closes, 0);
}
END_TEST

START_TEST(test_cancel_unsent)
{
	static struct v2_ask asks[17];
	static struct asker askers[17];

	for (int i = 0; i < 17; i++) {
		asks[i] = (struct v2_ask){ ASKED_BY(&askers[i]) };
		v2_client_stat(client, &asks[i], "a", DIGEST_NONE, 0);
	}
	settle();
	v2_client_cancel(&asks[16].r);
	ck_assert_int_eq(askers[16].times, 0);
	settle();
	expect_outcome(&askers[16], FTX_CANCELLED, V2_WHOSE_NONE);
	ck_assert(!askers[16].o.sent);
}
END_TEST

/* A name that no frame has room for. */
START_TEST(test_long_name)
{
	static char name[10000];

	memset(name, 'a', sizeof(name) - 1);
	peer_greet(32, 65536);
	v2_client_stat(client, &ask, name, DIGEST_NONE, 0);
	settle();
	expect_outcome(&asker, FTX_BAD_NAME, V2_WHOSE_LOCAL);
	v2_client_stat(client, &next, "a", DIGEST_NONE, 0);
	peer_takes(V2_STAT);
}
END_TEST

/* What is being done for it, and how far that is, as the server says it. */
START_TEST(test_working)
{
	struct v2_doing d;
	uint16_t id;

	peer_greet(32, 65536);
	v2_client_sum(client, &ask, "a", DIGEST_XXH128, 0, UINT64_MAX, 0);
	ck_assert_int_eq(v2_request_doing(&ask.r).what, V2_DOING_WAIT);
	id = peer_takes(V2_DIGEST)->id;
	d = v2_request_doing(&ask.r);
	ck_assert_int_eq(d.what, V2_DOING_DIGEST);
	ck_assert_uint_eq(d.done, 0);
	PEER_SAYS(working, v2_working, 0, id, .has = V2_BIT(DONE), .done = 12345);
	PEER_SAYS(working, v2_working, 0, id, .has = 0);
	d = v2_request_doing(&ask.r);
	ck_assert_int_eq(d.what, V2_DOING_DIGEST);
	ck_assert_uint_eq(d.done, 12345);
	peer_says_error(id, V2_CODE_NOT_FOUND);
	expect_outcome(&asker, FTX_NOT_FOUND, V2_WHOSE_SERVER);
	ck_assert_int_eq(v2_request_doing(&ask.r).what, V2_DOING_WAIT);
}
END_TEST

void
add_ask_cases(Suite *s)
{
	TCase *tc = unit_case(s, "ask");

	tcase_add_checked_fixture(tc, v2_setup, v2_teardown);
	tcase_add_test(tc, test_stat);
	tcase_add_test(tc, test_error);
	tcase_add_test(tc, test_unknown_codes);
	tcase_add_loop_test(tc, test_short, 0, COUNT(short_types));
	tcase_add_loop_test(tc, test_wrong_result, 0, 9);
	tcase_add_test(tc, test_absurd_length);
	tcase_add_test(tc, test_list);
	tcase_add_loop_test(tc, test_list_names, 0, COUNT(bad_names));
	tcase_add_test(tc, test_list_without_end);
	tcase_add_test(tc, test_cancel);
	tcase_add_test(tc, test_cancel_unsent);
	tcase_add_test(tc, test_long_name);
	tcase_add_test(tc, test_working);
}
