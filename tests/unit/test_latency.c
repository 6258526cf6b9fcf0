/* stammer/latency: when what has been read may be sent on. */
#include "unit/unit.h"

#include "base/clock.h"
#include "stammer/latency.h"

static uint64_t now;
static struct latency l;

static uint64_t
fake_clock(void)
{
	return now;
}

static void
set_up(void)
{
	now = 1000;
	clock_set_hook(fake_clock);
}

static void
tear_down(void)
{
	latency_clear(&l);
}

START_TEST(test_none)
{
	ck_assert_int_eq(latency_init(&l, 0), FTX_OK);
	latency_add(&l, 10);
	latency_end(&l);
	ck_assert_uint_eq(l.held, 0);
	ck_assert_uint_eq(l.end_due, 0);
	ck_assert_uint_eq(latency_wait(&l), 0);
}
END_TEST

START_TEST(test_in_order)
{
	ck_assert_int_eq(latency_init(&l, 50), FTX_OK);
	latency_add(&l, 10);
	latency_add(&l, 5);
	now += 20;
	latency_add(&l, 7);
	now += 10;
	latency_end(&l);
	ck_assert_uint_eq(l.held, 22);
	ck_assert_uint_eq(latency_wait(&l), 20);
	now += 19;
	latency_ripen(&l);
	ck_assert_uint_eq(l.held, 22);
	now += 1;
	latency_ripen(&l);
	ck_assert_uint_eq(l.held, 7);
	ck_assert_uint_eq(latency_wait(&l), 20);
	now += 20;
	latency_ripen(&l);
	ck_assert_uint_eq(l.held, 0);
	/* The end comes behind the last byte, and takes as long. */
	ck_assert_uint_ne(l.end_due, 0);
	ck_assert_uint_eq(latency_wait(&l), 10);
	now += 10;
	latency_ripen(&l);
	ck_assert_uint_eq(l.end_due, 0);
	ck_assert_uint_eq(latency_wait(&l), 0);
}
END_TEST

/* However often something comes, there is room; also when nobody looks for what is due. */
START_TEST(test_always_room)
{
	ck_assert_int_eq(latency_init(&l, 3), FTX_OK);
	for (int i = 0; i < 1000; i++) {
		latency_add(&l, 1);
		latency_add(&l, 1);
		now += (uint64_t)(i % 3);
		ck_assert_uint_le(l.count, l.size);
	}
	now += 3;
	latency_ripen(&l);
	ck_assert_uint_eq(l.held, 0);
	ck_assert_uint_eq(l.count, 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "latency");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_in_order);
	tcase_add_test(tc, test_always_room);
}

int
main(void)
{
	return unit_run("latency", add_cases);
}
