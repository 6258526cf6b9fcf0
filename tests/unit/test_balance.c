/* daemon/balance: that it evens out what stays, and costs little where nothing does. */
#include "daemon/balance.h"
#include "unit/unit.h"

#define NOW UINT64_C(1000000)

static struct balance b;

static void
set_up(void)
{
	b = (struct balance){ 0 };
}

START_TEST(test_only_who_has_more)
{
	ck_assert(!balance_hand_over(&b, 0, 0, NOW));
	ck_assert(!balance_hand_over(&b, 5, 5, NOW));
	ck_assert(!balance_hand_over(&b, 4, 5, NOW));
	ck_assert(balance_hand_over(&b, 1, 0, NOW));
	ck_assert(balance_hand_over(&b, 6, 5, NOW));
}
END_TEST

/* How many go over in so many ms of such difference, at one a ms. */
static int
handed_over(uint64_t from, uint64_t ms, size_t own, size_t least)
{
	int count = 0;

	for (uint64_t t = 0; t < ms; t++) {
		for (int i = 0; i < 10; i++)
			count += balance_hand_over(&b, own, least, from + t);
	}
	return count;
}

START_TEST(test_so_many_in_a_row_and_then_so_many_a_second)
{
	ck_assert_int_eq(handed_over(NOW, 1, 6, 5), 10);
	ck_assert_int_eq(handed_over(NOW, 1000, 6, 5), BALANCE_BURST - 10 + BALANCE_RATE - 1);
	ck_assert_int_eq(handed_over(NOW + 1000, 2000, 6, 5), 2 * BALANCE_RATE);
	/* A rest gives the burst back, and no more than that. */
	ck_assert_int_eq(handed_over(NOW + 3600 * 1000, 1, 6, 5), 10);
	ck_assert_int_eq(
	    handed_over(NOW + UINT64_MAX / 2, 1000, 6, 5), BALANCE_BURST + BALANCE_RATE - 1);
}
END_TEST

START_TEST(test_a_gross_difference_is_always_mended)
{
	(void)handed_over(NOW, 1000, 6, 5);
	ck_assert_int_eq(handed_over(NOW + 999, 1, 2 * 100 + 7, 100), 0);
	ck_assert_int_eq(handed_over(NOW + 999, 1, 2 * 100 + 8, 100), 10);
	ck_assert_int_eq(handed_over(NOW + 999, 1, 7, 0), 0);
	ck_assert_int_eq(handed_over(NOW + 999, 1, 8, 0), 10);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "balance");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_only_who_has_more);
	tcase_add_test(tc, test_so_many_in_a_row_and_then_so_many_a_second);
	tcase_add_test(tc, test_a_gross_difference_is_always_mended);
}

int
main(void)
{
	return unit_run("balance", add_cases);
}
