/* base: result codes, clock, cursor. The log is in test_log.c. */
#include "unit/unit.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/rc.h"

/* Result codes. */
START_TEST(test_rc_names)
{
	const char *name = ftx_rc_name((enum ftx_rc)_i), *text = ftx_rc_text((enum ftx_rc)_i);

	ck_assert_uint_gt(strlen(name), 0);
	ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
	ck_assert_uint_gt(strlen(text), 0);
	ck_assert_int_ne(text[strlen(text) - 1], '.');
	for (int j = 0; j < _i; j++) {
		ck_assert_str_ne(name, ftx_rc_name((enum ftx_rc)j));
		ck_assert_str_ne(text, ftx_rc_text((enum ftx_rc)j));
	}
}
END_TEST

START_TEST(test_rc_out_of_range)
{
	static const int bad[] = { -1, FTX_RC_COUNT, FTX_RC_COUNT + 1, 0x7fffffff };

	ck_assert_int_eq(FTX_OK, 0);
	for (int i = 0; i < COUNT(bad); i++) {
		enum ftx_rc rc;

		/* As memory that something else wrote to: the compiler may not reason about it. */
		memcpy(&rc, &bad[i], sizeof(rc));
		ck_assert_str_eq(ftx_rc_name(rc), "unknown");
		ck_assert_ptr_nonnull(ftx_rc_text(rc));
	}
}
END_TEST

static const struct {
	int err;
	enum ftx_rc rc;
} errnos[] = {
	{ 0, FTX_OK },
	{ ENOENT, FTX_NOT_FOUND },
	{ ENOTDIR, FTX_NO_PARENT },
	{ EEXIST, FTX_EXISTS },
	{ ELOOP, FTX_NOT_REGULAR },
	{ EISDIR, FTX_NOT_REGULAR },
	{ ENXIO, FTX_NOT_REGULAR },
	{ ENAMETOOLONG, FTX_BAD_NAME },
	{ EXDEV, FTX_BAD_NAME },
	{ EACCES, FTX_ACCESS },
	{ EPERM, FTX_ACCESS },
	{ EROFS, FTX_ACCESS },
	{ ENOSPC, FTX_NO_SPACE },
	{ EDQUOT, FTX_NO_SPACE },
	{ EFBIG, FTX_TOO_LARGE },
	{ EMFILE, FTX_DESCRIPTORS },
	{ ENFILE, FTX_DESCRIPTORS },
	{ ENOMEM, FTX_NOMEM },
	{ ECONNRESET, FTX_RESET },
	{ EPIPE, FTX_RESET },
	{ ETIMEDOUT, FTX_UNANSWERED },
	{ ECONNREFUSED, FTX_CONNECT_REFUSED },
	{ EHOSTUNREACH, FTX_UNREACHABLE },
	{ ENETUNREACH, FTX_UNREACHABLE },
	{ EOPNOTSUPP, FTX_UNSUPPORTED },
	{ ENOSYS, FTX_UNSUPPORTED },
	{ EIO, FTX_IO },
	{ ESTALE, FTX_IO },
	{ 99999, FTX_IO },
	{ -1, FTX_IO },
};

START_TEST(test_rc_from_errno)
{
	ck_assert_int_eq(ftx_rc_from_errno(errnos[_i].err), errnos[_i].rc);
}
END_TEST

START_TEST(test_rc_no_error_is_ok)
{
	for (int err = 1; err < 4096; err++)
		ck_assert_int_ne(ftx_rc_from_errno(err), FTX_OK);
}
END_TEST

/* Clock. */
static uint64_t
fixed_time(void)
{
	return 4711;
}

START_TEST(test_clock_hook)
{
	clock_set_hook(fixed_time);
	ck_assert_uint_eq(clock_now_ms(), 4711);
	clock_set_hook(NULL);
	ck_assert_uint_ne(clock_now_ms(), 4711);
}
END_TEST

START_TEST(test_clock_is_monotonic)
{
	uint64_t before = unit_real_ms(), last = 0;

	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_now_ms();

		ck_assert_uint_ge(now, last);
		last = now;
	}
	ck_assert_uint_ge(last, before);
	ck_assert_uint_le(last, unit_real_ms());
	unit_sleep_ms(20);
	ck_assert_uint_ge(clock_now_ms(), last + 20);
}
END_TEST

/* Cursor. */
static const uint8_t wire[] = { 0x01, 0x82, 0x03, 0x04, 0x85, 0xf6, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0xfd };

START_TEST(test_cursor_reads_big_endian)
{
	struct cursor c = cursor_init(wire, sizeof(wire));

	ck_assert_uint_eq(cursor_get_u8(&c), 0x01);
	ck_assert_uint_eq(cursor_get_u32(&c), 0x82030485);
	ck_assert(cursor_ok(&c));
	ck_assert(!cursor_done(&c));
	ck_assert_uint_eq(cursor_get_u64(&c), UINT64_C(0xf60708090a0b0cfd));
	ck_assert(cursor_ok(&c));
	ck_assert(cursor_done(&c));
	/* No bytes may be asked for at the end. */
	ck_assert_ptr_eq(cursor_get_bytes(&c, 0), wire + sizeof(wire));
	ck_assert(cursor_done(&c));
}
END_TEST

START_TEST(test_cursor_u16)
{
	uint8_t buf[3];
	struct cursor_out out = cursor_out_init(buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf));

	cursor_put_u16(&out, 0xfe80);
	cursor_put_u16(&out, 0x0102); /* 1 is left */
	ck_assert(!cursor_out_ok(&out));
	ck_assert_uint_eq(out.used, 2);
	ck_assert_mem_eq(buf, "\xfe\x80", 2);
	ck_assert_uint_eq(cursor_get_u16(&c), 0xfe80);
	ck_assert(cursor_ok(&c));
	ck_assert_uint_eq(cursor_get_u16(&c), 0);
	ck_assert(!cursor_ok(&c));
}
END_TEST

START_TEST(test_cursor_never_reads_beyond)
{
	/* Each length, each kind of integer: whole or not at all. */
	for (size_t len = 0; len <= 9; len++) {
		struct cursor c1 = cursor_init(wire, len), c4 = c1, c8 = c1;

		ck_assert_uint_eq(cursor_get_u8(&c1), len >= 1 ? 0x01 : 0);
		ck_assert_int_eq(cursor_ok(&c1), len >= 1);
		ck_assert_int_eq(cursor_done(&c1), len == 1);
		ck_assert_uint_eq(cursor_get_u32(&c4), len >= 4 ? 0x01820304 : 0);
		ck_assert_int_eq(cursor_ok(&c4), len >= 4);
		ck_assert_int_eq(cursor_done(&c4), len == 4);
		ck_assert_uint_eq(cursor_get_u64(&c8), len >= 8 ? UINT64_C(0x0182030485f60708) : 0);
		ck_assert_int_eq(cursor_ok(&c8), len >= 8);
		ck_assert_int_eq(cursor_done(&c8), len == 8);
	}
}
END_TEST

START_TEST(test_cursor_fails_sticky)
{
	struct cursor c = cursor_init(wire, 7);

	ck_assert_uint_eq(cursor_get_u32(&c), 0x01820304);
	ck_assert_uint_eq(cursor_get_u32(&c), 0); /* 3 are left */
	ck_assert(!cursor_ok(&c));
	/* What would fit is not given any more. */
	ck_assert_uint_eq(cursor_get_u8(&c), 0);
	ck_assert_ptr_null(cursor_get_bytes(&c, 1));
	ck_assert_ptr_null(cursor_get_bytes(&c, 0));
	ck_assert_uint_eq(cursor_get_u64(&c), 0);
	ck_assert(!cursor_ok(&c));
	ck_assert(!cursor_done(&c));
}
END_TEST

START_TEST(test_cursor_huge_lengths)
{
	static const size_t huge[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, sizeof(wire) + 1 };

	for (int i = 0; i < COUNT(huge); i++) {
		struct cursor c = cursor_init(wire, sizeof(wire));

		ck_assert_uint_eq(cursor_get_u8(&c), 0x01);
		ck_assert_ptr_null(cursor_get_bytes(&c, huge[i]));
		ck_assert(!cursor_ok(&c));
	}
}
END_TEST

START_TEST(test_cursor_of_nothing)
{
	struct cursor c = cursor_init(NULL, 0);

	ck_assert(cursor_ok(&c));
	ck_assert(cursor_done(&c));
	(void)cursor_get_bytes(&c, 0);
	ck_assert(cursor_done(&c));
	ck_assert_uint_eq(cursor_get_u8(&c), 0);
	ck_assert(!cursor_done(&c));
}
END_TEST

START_TEST(test_cursor_out)
{
	uint8_t buf[sizeof(wire) + 2];
	struct cursor_out c = cursor_out_init(buf, sizeof(buf));

	memset(buf, 0x55, sizeof(buf));
	cursor_put_u8(&c, 0x01);
	cursor_put_u32(&c, 0x82030485);
	cursor_put_u64(&c, UINT64_C(0xf60708090a0b0cfd));
	ck_assert_uint_eq(c.used, sizeof(wire));
	ck_assert_mem_eq(buf, wire, sizeof(wire));
	ck_assert_uint_eq(buf[sizeof(wire)], 0x55);
	cursor_put_bytes(&c, "x", 1);
	cursor_put_zero(&c, 1);
	ck_assert(cursor_out_ok(&c));
	ck_assert_mem_eq(buf + sizeof(wire), "x", 2);
	/* Nothing may be written at the end. */
	cursor_put_zero(&c, 0);
	cursor_put_bytes(&c, NULL, 0);
	ck_assert(cursor_out_ok(&c));
	ck_assert_uint_eq(c.used, sizeof(buf));
}
END_TEST

START_TEST(test_cursor_out_fails_sticky)
{
	uint8_t buf[8];
	struct cursor_out c = cursor_out_init(buf, 6);

	memset(buf, 0x55, sizeof(buf));
	cursor_put_u32(&c, 0);
	cursor_put_u32(&c, 0x01010101); /* 2 are left: nothing is written */
	ck_assert(!cursor_out_ok(&c));
	cursor_put_u8(&c, 1);
	cursor_put_zero(&c, 1);
	cursor_put_bytes(&c, "x", 1);
	cursor_put_u64(&c, 1);
	ck_assert(!cursor_out_ok(&c));
	ck_assert_uint_eq(c.used, 4);
	ck_assert_mem_eq(buf, "\0\0\0\0\x55\x55\x55\x55", 8);
}
END_TEST

START_TEST(test_cursor_out_huge_lengths)
{
	uint8_t buf[4];
	struct cursor_out c = cursor_out_init(buf, sizeof(buf));

	cursor_put_u8(&c, 7);
	cursor_put_zero(&c, SIZE_MAX);
	ck_assert(!cursor_out_ok(&c));
	c = cursor_out_init(buf, sizeof(buf));
	cursor_put_bytes(&c, buf, SIZE_MAX - 1);
	ck_assert(!cursor_out_ok(&c));
	ck_assert_uint_eq(c.used, 0);
}
END_TEST

START_TEST(test_clock_after)
{
	ck_assert_uint_eq(clock_after(5, 7), 12);
	ck_assert_uint_eq(clock_after(0, UINT64_MAX), UINT64_MAX);
	ck_assert_uint_eq(clock_after(1, UINT64_MAX), UINT64_MAX);
	ck_assert_uint_eq(clock_after(UINT64_MAX - 7, 7), UINT64_MAX);
	ck_assert_uint_eq(clock_after(UINT64_MAX - 7, 6), UINT64_MAX - 1);
	ck_assert_uint_eq(clock_after((uint64_t)1 << 63, (uint64_t)1 << 63), UINT64_MAX);
	ck_assert_uint_eq(clock_after((uint64_t)1 << 63, INT64_MAX), UINT64_MAX);
	ck_assert_uint_eq(clock_after(UINT64_MAX, 0), UINT64_MAX);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "rc");

	tcase_add_loop_test(tc, test_rc_names, 0, FTX_RC_COUNT);
	tcase_add_test(tc, test_rc_out_of_range);
	tcase_add_loop_test(tc, test_rc_from_errno, 0, COUNT(errnos));
	tcase_add_test(tc, test_rc_no_error_is_ok);
	tc = unit_case(s, "clock");
	tcase_add_test(tc, test_clock_hook);
	tcase_add_test(tc, test_clock_is_monotonic);
	tcase_add_test(tc, test_clock_after);
	tc = unit_case(s, "cursor");
	tcase_add_test(tc, test_cursor_reads_big_endian);
	tcase_add_test(tc, test_cursor_u16);
	tcase_add_test(tc, test_cursor_never_reads_beyond);
	tcase_add_test(tc, test_cursor_fails_sticky);
	tcase_add_test(tc, test_cursor_huge_lengths);
	tcase_add_test(tc, test_cursor_of_nothing);
	tcase_add_test(tc, test_cursor_out);
	tcase_add_test(tc, test_cursor_out_fails_sticky);
	tcase_add_test(tc, test_cursor_out_huge_lengths);
}

int
main(void)
{
	return unit_run("base", add_cases);
}
