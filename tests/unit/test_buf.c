/* base/buf, held against a plain array. */
#include <string.h>

#include "base/buf.h"
#include "unit/unit.h"

START_TEST(test_empty)
{
	struct buf b = { 0 };

	ck_assert(buf_add(&b, NULL, 0));
	ck_assert_ptr_null(b.mem);
	ck_assert(buf_add(&b, "abc", 3));
	ck_assert_mem_eq(buf_data(&b), "abc", 3);
	buf_drain(&b, 3);
	/* What is empty holds nothing. */
	ck_assert_ptr_null(b.mem);
	ck_assert_uint_eq(b.len, 0);
	ck_assert(buf_add(&b, "d", 1));
	buf_clear(&b);
	ck_assert_ptr_null(b.mem);
}
END_TEST

/* A queue of random pieces: nothing is lost or changes its place, and it does not grow for ever. */
START_TEST(test_queue)
{
	struct buf b = { 0 };
	uint64_t seed = 3;
	uint8_t put = 0, got = 0, piece[3000];

	for (int i = 0; i < 20000; i++) {
		size_t add = unit_random(&seed) % (i % 100 == 0 ? 3000 : 50);
		size_t take = unit_random(&seed) % 60;

		for (size_t k = 0; k < add; k++)
			piece[k] = put++;
		UNIT_CHECK(buf_add(&b, piece, add));
		if (take > b.len)
			take = b.len;
		for (size_t k = 0; k < take; k++)
			UNIT_CHECK(buf_data(&b)[k] == got++);
		buf_drain(&b, take);
		UNIT_CHECK(b.size <= 4 * (b.len + 4096));
	}
	buf_clear(&b);
}
END_TEST

/* Memory that is lent is not freed; what is left in it in the end is copied. */
START_TEST(test_lent)
{
	uint8_t bytes[12];
	struct buf b = { 0 };

	for (int i = 0; i < 4; i++) {
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it is no string */
		memcpy(bytes, "abcdefgh", 8);
		buf_lend(&b, bytes, 8, i == 2 ? 12 : 8);
		ck_assert_ptr_eq(buf_data(&b), bytes);
		buf_drain(&b, i == 0 ? 8 : 5);
		if (i > 0)
			ck_assert(buf_add(&b, "i", i > 1 ? 1 : 0));
		ck_assert(i != 2 || buf_data(&b) == bytes + 5);
		ck_assert(buf_take_over(&b));
		memset(bytes, 'x', sizeof(bytes));
		ck_assert_uint_eq(b.len, i == 0 ? 0 : i == 1 ? 3 : 4);
		if (b.len > 0)
			ck_assert_mem_eq(buf_data(&b), "fghi", b.len);
		ck_assert(buf_add(&b, "rest", 4));
		buf_clear(&b);
	}
}
END_TEST

START_TEST(test_too_much)
{
	struct buf b = { 0 };

	ck_assert(buf_add(&b, "abc", 3));
	ck_assert(!buf_add(&b, "abc", SIZE_MAX));
	ck_assert(!buf_add(&b, "abc", SIZE_MAX / 2 + 1));
	ck_assert_uint_eq(b.len, 3);
	ck_assert_mem_eq(buf_data(&b), "abc", 3);
	buf_clear(&b);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "buf");

	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_queue);
	tcase_add_test(tc, test_lent);
	tcase_add_test(tc, test_too_much);
}

int
main(void)
{
	return unit_run("buf", add_cases);
}
