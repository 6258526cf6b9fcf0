/* v2/client: how much of an upload is on its way at a time, and in what pieces. */
#include "unit/test_v2_client_put.h"

#define LARGE ((size_t)8 * 1024 * 1024)

static void
say_progress(uint16_t id, uint64_t done)
{
	PEER_SAYS(working, v2_working, 0, id, .has = V2_BIT(DONE), .done = done);
}

/*
 * What the server has not said to have is bounded. _i: 1 it does not speak of it; 2, 3 it says
 * what cannot be: more than was sent, less than before.
 */
START_TEST(test_window)
{
	struct v2_put_request large = { ASKED_BY(&asker), .name = "r/large",
		.has_upload_id = true };
	void *memory = calloc(1, LARGE);
	struct v2_put m;
	uint64_t at;
	uint16_t id;

	large.memory = memory;
	large.memory_size = LARGE;
	peer_features = _i != 1 ? V2_FEATURE_PROGRESS : 0;
	peer_greet(32, 65536);
	v2_client_put(client, &large);
	id = take_head(&m);
	say_go(id, 0);
	at = peer_takes_data();
	if (_i == 1)
		ck_assert_uint_eq(at, LARGE);
	else
		ck_assert(at > 5 * 1024 * 1024 && at <= 6 * 1024 * 1024);
	if (_i == 0) {
		say_progress(id, 1048576);
		ck_assert_uint_eq(peer_takes_data(), 1048576);
		say_progress(id, at);
		ck_assert_uint_eq(at + 1048576 + peer_takes_data(), LARGE);
		peer_takes(V2_END);
	} else if (_i > 1) {
		say_progress(id, _i == 2 ? at + 1 : 8192);
		if (_i == 3)
			say_progress(id, 4096);
		expect_breach(FTX_PROTOCOL);
	}
	if (_i < 2)
		v2_client_abort(client, FTX_CANCELLED);
	settle();
	free(memory);
}
END_TEST

/* Content that goes unasked: so much of it, until some is answered. */
START_TEST(test_window_of_many)
{
	static struct v2_put_request many[40];
	static struct asker askers[COUNT(many)];
	size_t size = 256 * 1024, most = 6 * 1024 * 1024 / size;
	void *memory = calloc(1, size);
	uint16_t first = 0, id;
	struct v2_put m;
	unsigned n = 0;

	peer_greet(256, 1048576);
	for (size_t i = 0; i < COUNT(many); i++) {
		many[i] = (struct v2_put_request){ ASKED_BY(&askers[i]), .name = "r/each",
			.memory = memory, .memory_size = size };
		v2_client_put(client, &many[i]);
	}
	for (; n < most; n++) {
		id = take_head(&m);
		first = first == 0 ? id : first;
		ck_assert_uint_eq(peer_takes_data(), size);
		peer_takes(V2_END);
	}
	peer_takes_nothing();
	/* Whatever the answer is. */
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0)
			peer_says_error(first, V2_CODE_EXISTS);
		else
			peer_says_receipt((uint16_t)(first + 1), memory, size);
		take_head(&m);
		ck_assert_uint_eq(peer_takes_data(), size);
		peer_takes(V2_END);
		peer_takes_nothing();
	}
	v2_client_abort(client, FTX_CANCELLED);
	settle();
	for (size_t i = 0; i < COUNT(many); i++)
		v2_put_clear(&many[i]);
	free(memory);
}
END_TEST

/* A chunk of the file is a frame, if the server takes as much. */
START_TEST(test_frame_length)
{
	static const uint32_t most[] = { V2_DATA_MAX, 512 * 1024, 128 * 1024 };
	const size_t frame = _i < 2 ? 512 * 1024 : most[_i], size = 2 * frame + 5000;
	struct v2_put_request large = { ASKED_BY(&asker), .name = "r/large", .store = store,
		.local_name = "large" };
	void *memory = calloc(1, size);
	struct v2_put m;
	uint16_t id;

	unit_write("root/large", memory, size);
	peer_max_data = most[_i];
	peer_greet(32, 65536);
	v2_client_put(client, &large);
	id = take_head(&m);
	say_go(id, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(peer_takes(V2_DATA)->length, i < 2 ? frame : 5000);
	peer_takes(V2_END);
	v2_client_abort(client, FTX_CANCELLED);
	settle();
	v2_put_clear(&large);
	free(memory);
}
END_TEST

void
add_window_cases(Suite *s)
{
	TCase *tc = unit_case(s, "window");

	tcase_add_checked_fixture(tc, put_setup, put_teardown);
	tcase_add_loop_test(tc, test_window, 0, 4);
	tcase_add_test(tc, test_window_of_many);
	tcase_add_loop_test(tc, test_frame_length, 0, 3);
}
