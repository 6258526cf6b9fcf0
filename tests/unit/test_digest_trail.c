/* store/digest_trail: what is found of what was noted. */
#include "unit/unit.h"

#include <string.h>

#include "store/digest_trail.h"

#define STEP DIGEST_TRAIL_STEP

static struct digest_trail *trail;
static struct digest running;
static uint8_t piece[64 * 1024];

/* Moves on, and notes each piece. */
static void
move(uint64_t from, uint64_t to)
{
	for (; from < to; from += sizeof(piece)) {
		memset(piece, (int)(from / sizeof(piece)), sizeof(piece));
		ck_assert_int_eq(digest_update(&running, piece, sizeof(piece)), FTX_OK);
		digest_trail_note(&trail, &running, from + sizeof(piece));
	}
}

static struct digest_value
sum_of(uint64_t len)
{
	struct digest d = { 0 };
	struct digest_value v;

	ck_assert_int_eq(digest_init(&d, DIGEST_XXH128), FTX_OK);
	for (uint64_t at = 0; at < len; at += sizeof(piece)) {
		memset(piece, (int)(at / sizeof(piece)), sizeof(piece));
		ck_assert_int_eq(digest_update(&d, piece, sizeof(piece)), FTX_OK);
	}
	ck_assert_int_eq(digest_final(&d, &v), FTX_OK);
	return v;
}

/* What is found up to there: that of `at` bytes. */
static void
check(uint64_t upto, uint64_t at)
{
	const struct digest_value want = sum_of(at);
	struct digest_value v;
	struct digest d;

	ck_assert_uint_eq(digest_trail_find(trail, DIGEST_XXH128, upto, &d), at);
	if (at == 0) {
		ck_assert_int_eq(d.kind, DIGEST_NONE);
		return;
	}
	ck_assert_int_eq(digest_final(&d, &v), FTX_OK);
	ck_assert(digest_equal(&v, &want));
}

static void
set_up(void)
{
	ck_assert_int_eq(digest_init(&running, DIGEST_XXH128), FTX_OK);
}

static void
tear_down(void)
{
	digest_trail_clear(&trail);
	digest_trail_clear(&trail);
	digest_clear(&running);
}

START_TEST(test_the_last_one_before)
{
	check(STEP, 0);
	move(0, STEP - sizeof(piece));
	check(STEP, 0);
	move(STEP - sizeof(piece), 3 * STEP + 3 * sizeof(piece));
	check(4 * STEP, 3 * STEP);
	check(3 * STEP, 3 * STEP);
	check(3 * STEP - 1, 2 * STEP);
	check(3 * STEP, 2 * STEP); /* what is behind has been forgotten */
	check(2 * STEP - 1, STEP);
	check(STEP - 1, 0);
}
END_TEST

/* It goes on behind what was found, as if it had been read. */
START_TEST(test_goes_on)
{
	move(0, 5 * STEP);
	digest_clear(&running);
	ck_assert_uint_eq(
	    digest_trail_find(trail, DIGEST_XXH128, 3 * STEP + 1, &running), 3 * STEP);
	move(3 * STEP, 6 * STEP);
	check(6 * STEP, 6 * STEP);
	check(5 * STEP, 5 * STEP);
}
END_TEST

START_TEST(test_the_oldest_go)
{
	move(0, (DIGEST_TRAIL_MARKS + 2) * STEP);
	check((DIGEST_TRAIL_MARKS + 2) * STEP, (DIGEST_TRAIL_MARKS + 2) * STEP);
	check(3 * STEP, 3 * STEP);
	check(3 * STEP - 1, 0);
}
END_TEST

START_TEST(test_another_content)
{
	move(0, 3 * STEP);
	digest_clear(&running);
	set_up();
	move(0, sizeof(piece));
	check(3 * STEP, 0);
	move(sizeof(piece), STEP + sizeof(piece));
	check(3 * STEP, STEP);
}
END_TEST

START_TEST(test_another_kind)
{
	struct digest d;

	move(0, 3 * STEP);
	ck_assert_uint_eq(digest_trail_find(trail, DIGEST_SHA256, 3 * STEP, &d), 0);
	ck_assert_int_eq(d.kind, DIGEST_NONE);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "trail");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_the_last_one_before);
	tcase_add_test(tc, test_goes_on);
	tcase_add_test(tc, test_the_oldest_go);
	tcase_add_test(tc, test_another_content);
	tcase_add_test(tc, test_another_kind);
}

int
main(void)
{
	return unit_run("digest_trail", add_cases);
}
