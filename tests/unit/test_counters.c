/* loop/counters, and what a worker counts of its turns. */
#include <stdio.h>

#include "base/clock.h"
#include "loop/counters.h"
#include "loop/worker.h"
#include "unit/unit.h"

static struct worker *w;

static void
make_worker(void)
{
	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
}

static void
drop_worker(void)
{
	worker_free(w);
}

static uint64_t
counted(enum counter which)
{
	return worker_counters(w)->value[which];
}

static void
on_sleep(void *arg)
{
	unit_sleep_ms(*(unsigned *)arg);
}

START_TEST(test_turns_are_counted)
{
	for (uint64_t i = 1; i < 4; i++) {
		worker_turn(w, false);
		ck_assert_uint_eq(counted(COUNT_TURNS), i);
	}
	ck_assert_uint_eq(counted(COUNT_LONGEST_TURN), 0); /* nobody was called */
}
END_TEST

/* It is what callbacks took, and neither the wait for them nor what is long ago. */
START_TEST(test_longest_turn)
{
	unsigned sleeps[] = { 0, 40, 1 };
	struct timer t;

	for (int i = 0; i < COUNT(sleeps); i++) {
		ck_assert_int_eq(worker_timer_init(w, &t, on_sleep, &sleeps[i]), FTX_OK);
		worker_timer_start(w, &t, clock_now_ms() + (i == 0 ? 400 : 0));
		worker_turn(w, true);
		worker_timer_clear(w, &t);
		if (i == 0)
			ck_assert_uint_lt(counted(COUNT_LONGEST_TURN), 400 * 1000);
		else
			ck_assert_uint_ge(counted(COUNT_LONGEST_TURN), 40 * 1000);
	}
	worker_begin_turn(w); /* as on a base that its lender runs */
	unit_sleep_ms(500);
	worker_turn(w, false);
	ck_assert_uint_lt(counted(COUNT_LONGEST_TURN), 500 * 1000);
}
END_TEST

START_TEST(test_counters_as_text)
{
	struct counters c = { { 0 } };
	char text[64];

	unit_log_keep();
	for (int i = 0; i < COUNTERS; i++) {
		counters_add(&c, (enum counter)i, UINT64_MAX - 1);
		counters_add(&c, (enum counter)i, 1);
		counters_raise(&c, (enum counter)i, 7);
	}
	counters_log(&c, 63);
	for (int i = 0; i < COUNTERS; i++) {
		snprintf(
		    text, sizeof(text), " %s=18446744073709551615", counter_name((enum counter)i));
		ck_assert_int_eq(unit_log_count(text), 1);
	}
	ck_assert_int_eq(unit_log_count("worker 63: turns="), 1);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "counters");

	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_turns_are_counted);
	tcase_add_test(tc, test_longest_turn);
	tcase_add_test(tc, test_counters_as_text);
}

int
main(void)
{
	return unit_run("counters", add_cases);
}
