/*
 * Unit tests of stammer: fault script, dice, one direction. The whole proxy:
 * tests/system/test_stammer.py.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/option.h"
#include "stammer/fault.h"
#include "stammer/forward.h"
#include "stammer/options.h"
#include "stammer/random.h"

static const struct {
	const char *text;
	bool up, down;
	uint64_t at;
} good_faults[] = {
	{ "0", true, true, 0 },
	{ "1000", true, true, 1000 },
	{ "up:0", true, false, 0 },
	{ "up:255", true, false, 255 },
	{ "down:256", false, true, 256 },
	{ "18446744073709551615", true, true, UINT64_MAX },
};

START_TEST(test_fault_good)
{
	struct fault_script script = { 0 };
	const struct fault *fault = &script.of[FAULT_CUT];

	ck_assert_int_eq(fault_parse(&script, FAULT_CUT, good_faults[_i].text), FTX_OK);
	ck_assert_int_eq(fault->on[WAY_UP], good_faults[_i].up);
	ck_assert_int_eq(fault->on[WAY_DOWN], good_faults[_i].down);
	ck_assert_uint_eq(fault->at, good_faults[_i].at);
	ck_assert(!script.of[FAULT_RESET].on[WAY_UP] && !script.of[FAULT_STALL].on[WAY_UP]);
}
END_TEST

static const char *const bad_faults[] = { "", "up:", "down:", ":5", "5:up", "left:5", "up:down:5",
	"up: 5", " 5", "5 ", "-5", "+5", "0x5", "5k", "1.5", "UP:5", "up5", "18446744073709551616",
	"99999999999999999999" };

START_TEST(test_fault_bad)
{
	struct fault_script script = { 0 };

	ck_assert_int_eq(fault_parse(&script, FAULT_CUT, "up:77"), FTX_OK);
	ck_assert_int_eq(fault_parse(&script, FAULT_CUT, bad_faults[_i]), FTX_USAGE);
	ck_assert(script.of[FAULT_CUT].on[WAY_UP] && !script.of[FAULT_CUT].on[WAY_DOWN]);
	ck_assert_uint_eq(script.of[FAULT_CUT].at, 77);
}
END_TEST

START_TEST(test_fault_none)
{
	struct fault_script script = { 0 };

	ck_assert_int_eq(fault_due(&script, WAY_UP, 0), FAULT_NONE);
	ck_assert_uint_eq(fault_limit(&script, WAY_DOWN, 0), UINT64_MAX);
}
END_TEST

START_TEST(test_fault_points)
{
	struct fault_script script = { 0 };

	ck_assert_int_eq(fault_parse(&script, FAULT_CUT, "up:100"), FTX_OK);
	ck_assert_int_eq(fault_parse(&script, FAULT_STALL, "300"), FTX_OK);
	ck_assert_int_eq(fault_parse(&script, FAULT_RESET, "down:200"), FTX_OK);
	ck_assert_uint_eq(fault_limit(&script, WAY_UP, 0), 100);
	ck_assert_uint_eq(fault_limit(&script, WAY_UP, 99), 1);
	ck_assert_uint_eq(fault_limit(&script, WAY_DOWN, 0), 200);
	ck_assert_uint_eq(fault_limit(&script, WAY_DOWN, 150), 50);
	ck_assert_int_eq(fault_due(&script, WAY_UP, 99), FAULT_NONE);
	ck_assert_int_eq(fault_due(&script, WAY_UP, 100), FAULT_CUT);
	ck_assert_int_eq(fault_due(&script, WAY_DOWN, 100), FAULT_NONE);
	ck_assert_int_eq(fault_due(&script, WAY_DOWN, 200), FAULT_RESET);
	ck_assert_int_eq(fault_due(&script, WAY_DOWN, 300), FAULT_STALL);
	/* At the same byte: reset before cut before stall. */
	ck_assert_int_eq(fault_parse(&script, FAULT_STALL, "up:100"), FTX_OK);
	ck_assert_int_eq(fault_due(&script, WAY_UP, 100), FAULT_CUT);
	ck_assert_int_eq(fault_parse(&script, FAULT_RESET, "100"), FTX_OK);
	ck_assert_int_eq(fault_due(&script, WAY_UP, 100), FAULT_RESET);
}
END_TEST

START_TEST(test_fault_names)
{
	ck_assert_str_eq(fault_name(FAULT_CUT), "cut");
	ck_assert_str_eq(fault_name(FAULT_RESET), "reset");
	ck_assert_str_eq(fault_name(FAULT_STALL), "stall");
	ck_assert_str_eq(way_name(WAY_UP), "up");
	ck_assert_str_eq(way_name(WAY_DOWN), "down");
}
END_TEST

START_TEST(test_random_repeats)
{
	struct random a, b, other_seed, other_stream;
	int differ_seed = 0, differ_stream = 0;

	random_init(&a, 7, 3);
	random_init(&b, 7, 3);
	random_init(&other_seed, 8, 3);
	random_init(&other_stream, 7, 4);
	for (int i = 0; i < 1000; i++) {
		size_t n = random_length(&a, 1000);

		ck_assert_uint_eq(n, random_length(&b, 1000));
		differ_seed += n != random_length(&other_seed, 1000);
		differ_stream += n != random_length(&other_stream, 1000);
	}
	ck_assert_int_gt(differ_seed, 900);
	ck_assert_int_gt(differ_stream, 900);
}
END_TEST

START_TEST(test_random_range)
{
	struct random r;
	unsigned seen[10] = { 0 };

	random_init(&r, 1, 1);
	for (int i = 0; i < 10000; i++) {
		size_t n = random_length(&r, 10);

		ck_assert(n >= 1 && n <= 10);
		seen[n - 1]++;
	}
	for (int i = 0; i < 10; i++)
		ck_assert(seen[i] > 800 && seen[i] < 1200);
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(random_length(&r, 1), 1);
		ck_assert_uint_le(random_length(&r, UINT32_MAX), UINT32_MAX);
	}
}
END_TEST

/* in[1] -> forward -> out[1]: what a test writes into in[0] it reads from out[0]. */
static int in[2], out[2];

static void
open_sockets(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, in), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
	ck_assert_int_eq(fcntl(in[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
}

static void
close_sockets(void)
{
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/*
 * Sends `size` bytes through a buffer of `buffer`; checks each step, and the bytes. Returns a sum
 * over the fragments.
 */
static uint64_t
forward_all(size_t size, size_t buffer, uint64_t seed, uint64_t fault)
{
	unsigned char *data = malloc(size + 1), *got = malloc(size + 1);
	size_t sent = 0, received = 0;
	uint64_t sum = 0;
	struct forward f;

	ck_assert(data != NULL && got != NULL);
	ck_assert_int_eq(forward_init(&f, buffer, 0, seed, 5), FTX_OK);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 7 + i / 256);
	while (f.forwarded < (fault < size ? fault : size)) {
		ssize_t n;

		if (sent < size) {
			size_t part = size - sent < 4096 ? size - sent : 4096;

			n = send(in[0], data + sent, part, MSG_DONTWAIT);
			sent += n > 0 ? (size_t)n : 0;
		}
		while (forward_room(&f) > 0 && forward_read(&f, in[1]) == FORWARD_MOVED)
			ck_assert_uint_le(f.used, buffer);
		ck_assert_int_eq(forward_send(&f, out[1], fault - f.forwarded), FORWARD_MOVED);
		n = read(out[0], got + received, size - received + 1);
		ck_assert_int_gt(n, 0);
		ck_assert_uint_le((size_t)n, buffer);
		received += (size_t)n;
		ck_assert_uint_eq(received, f.forwarded);
		sum = sum * 31 + (uint64_t)n;
	}
	ck_assert_uint_eq(received, fault < size ? fault : size);
	ck_assert_mem_eq(got, data, received);
	forward_clear(&f);
	free(data);
	free(got);
	return sum;
}

static const size_t forward_sizes[] = { 1, 2, 7, 1000, 65536 };

START_TEST(test_forward_bytes)
{
	size_t buffer = forward_sizes[_i];
	uint64_t one = forward_all(50000, buffer, 1, UINT64_MAX);

	ck_assert_uint_eq(one, forward_all(50000, buffer, 1, UINT64_MAX));
	if (buffer > 7)
		ck_assert_uint_ne(one, forward_all(50000, buffer, 2, UINT64_MAX));
}
END_TEST

START_TEST(test_forward_limit)
{
	size_t buffer = forward_sizes[_i];

	forward_all(5000, buffer, 1, 1);
	close_sockets();
	open_sockets();
	forward_all(5000, buffer, 1, 2999);
}
END_TEST

START_TEST(test_forward_end)
{
	struct forward f;

	ck_assert_int_eq(forward_init(&f, 10, 0, 1, 1), FTX_OK);
	ck_assert_int_eq(forward_read(&f, in[1]), FORWARD_BLOCKED);
	ck_assert_int_eq(write(in[0], "abc", 3), 3);
	shutdown(in[0], SHUT_WR);
	ck_assert_int_eq(forward_read(&f, in[1]), FORWARD_MOVED);
	ck_assert(!f.ended);
	ck_assert_int_eq(forward_read(&f, in[1]), FORWARD_END);
	ck_assert(f.ended);
	ck_assert_uint_eq(f.used, 3);
	forward_clear(&f);
}
END_TEST

/* A fragment that the socket does not take whole is not drawn anew. */
START_TEST(test_forward_blocked)
{
	unsigned char waste[4096];
	struct forward f;
	size_t before;

	memset(waste, 'x', sizeof(waste));
	while (write(out[1], waste, sizeof(waste)) > 0)
		continue;
	ck_assert_int_eq(forward_init(&f, 1000, 0, 1, 1), FTX_OK);
	ck_assert_int_eq(write(in[0], waste, 1000), 1000);
	ck_assert_int_eq(forward_read(&f, in[1]), FORWARD_MOVED);
	ck_assert_int_eq(forward_send(&f, out[1], UINT64_MAX), FORWARD_BLOCKED);
	before = f.fragment;
	ck_assert_uint_gt(before, 1);
	ck_assert_int_eq(forward_send(&f, out[1], UINT64_MAX), FORWARD_BLOCKED);
	ck_assert_uint_eq(f.fragment, before);
	ck_assert_uint_eq(f.used, 1000);
	while (read(out[0], waste, sizeof(waste)) > 0)
		continue;
	ck_assert_int_eq(forward_send(&f, out[1], 1), FORWARD_MOVED);
	ck_assert_uint_eq(f.fragment, before - 1);
	ck_assert_int_eq(forward_send(&f, out[1], UINT64_MAX), FORWARD_MOVED);
	ck_assert_uint_eq(f.fragment, 0);
	ck_assert_uint_eq(f.used, 1000 - before);
	forward_clear(&f);
}
END_TEST

START_TEST(test_forward_error)
{
	struct forward f;

	ck_assert_int_eq(forward_init(&f, 10, 0, 1, 1), FTX_OK);
	ck_assert_int_eq(write(in[0], "abc", 3), 3);
	ck_assert_int_eq(forward_read(&f, in[1]), FORWARD_MOVED);
	close(out[0]);
	ck_assert_int_eq(forward_send(&f, out[1], UINT64_MAX), FORWARD_ERROR);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(forward_read(&f, -1), FORWARD_ERROR);
	forward_clear(&f);
	out[0] = dup(out[1]);
}
END_TEST

/* Each row of the table takes its own default, and the defaults are the seed's. */
START_TEST(test_options)
{
	struct stammer_options o;
	struct option_error err;

	memset(&o, 0, sizeof(o));
	ck_assert_msg(option_set_init(&o.set, stammer_option_defs, stammer_option_count, &o, &err),
	    "%s", err.text);
	ck_assert_uint_eq(o.listen_port, 50000);
	ck_assert_str_eq(o.listen_address, "127.0.0.1");
	ck_assert_str_eq(o.server, "127.0.0.1:50001");
	ck_assert_uint_eq(o.delay, 100);
	ck_assert_uint_eq(o.buffer, 1000);
	stammer_options_clear(&o);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("stammer");
	TCase *tc = tcase_create("fault");
	const int sizes = (int)(sizeof(forward_sizes) / sizeof(forward_sizes[0]));
	SRunner *sr;
	int failed;

	tcase_add_loop_test(
	    tc, test_fault_good, 0, (int)(sizeof(good_faults) / sizeof(good_faults[0])));
	tcase_add_loop_test(
	    tc, test_fault_bad, 0, (int)(sizeof(bad_faults) / sizeof(bad_faults[0])));
	tcase_add_test(tc, test_fault_none);
	tcase_add_test(tc, test_fault_points);
	tcase_add_test(tc, test_fault_names);
	suite_add_tcase(s, tc);
	tc = tcase_create("random");
	tcase_add_test(tc, test_random_repeats);
	tcase_add_test(tc, test_random_range);
	suite_add_tcase(s, tc);
	tc = tcase_create("forward");
	tcase_add_checked_fixture(tc, open_sockets, close_sockets);
	tcase_add_loop_test(tc, test_forward_bytes, 0, sizes);
	tcase_add_loop_test(tc, test_forward_limit, 0, sizes);
	tcase_add_test(tc, test_forward_end);
	tcase_add_test(tc, test_forward_blocked);
	tcase_add_test(tc, test_forward_error);
	suite_add_tcase(s, tc);
	tc = tcase_create("options");
	tcase_add_test(tc, test_options);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
