/* loop: which of the pool's lanes get a thread, and when. */
#include "unit/test_pool.h"

#include <unistd.h>

/* Fills a lane with jobs that wait, and says how many of them have a thread. */
static int
fill_lane(struct task *tasks, int count, enum pool_lane lane, int expected)
{
	for (int i = 0; i < count; i++)
		submit(&tasks[i], lane, true);
	UNIT_UNTIL(atomic_load(&started[lane]) >= expected, worker_turn(w, false));
	for (int i = 0; i < 20; i++) {
		worker_turn(w, false);
		unit_sleep_ms(1);
	}
	return atomic_load(&started[lane]);
}

#define MANY 20

static const unsigned pool_sizes[] = { 2, 3, 4, 5, 6, 8 };

/* Lanes of one letter have a kept thread in common: OPEN, WRITE, COMMIT, BULK, SYNC, LONG. */
static const char *const shares[] = { "aaabab", "aaabac", "aabcbd", "aabcde", "abcdef", "abcdef" };

static int
share_count(int size)
{
	int last = 'a';

	for (const char *p = shares[size]; *p != '\0'; p++)
		last = *p > last ? *p : last;
	return last - 'a' + 1;
}

/* What a lane may have when nothing else is to be done: all but one for each other share. */
static int
most_threads(int size, enum pool_lane lane)
{
	int threads = (int)pool_sizes[size], most = threads - share_count(size) + 1;

	return lane == POOL_LONG && threads > 2 && most > threads / 2 ? threads / 2 : most;
}

START_TEST(test_one_lane_leaves_threads)
{
	int size = _i / POOL_LANE_COUNT;
	enum pool_lane lane = (enum pool_lane)(_i % POOL_LANE_COUNT);
	int most = most_threads(size, lane), others = 0;
	struct task tasks[MANY] = { 0 }, other[2 * POOL_LANE_COUNT] = { 0 };

	make_pool(pool_sizes[size]);
	ck_assert_int_eq(fill_lane(tasks, MANY, lane, most), most);
	for (enum pool_lane k = 0; k < POOL_LANE_COUNT; k++) {
		if (shares[size][k] == shares[size][lane])
			continue;
		submit(&other[others++], k, false);
		submit(&other[others++], k, false);
	}
	UNIT_UNTIL(done_count == others, worker_turn(w, false));
	ck_assert_int_eq(atomic_load(&started[lane]), most);
	open_gate(MANY);
	UNIT_UNTIL(done_count == MANY + others, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* All other shares have more to do than there are threads: this lane goes on all the same. */
START_TEST(test_all_others_leave_a_thread)
{
	int size = _i / POOL_LANE_COUNT, filled = 0;
	enum pool_lane lane = (enum pool_lane)(_i % POOL_LANE_COUNT);
	struct task tasks[POOL_LANE_COUNT][MANY] = { 0 }, one = { 0 }, two = { 0 };
	bool done = false;

	make_pool(pool_sizes[size]);
	for (enum pool_lane k = POOL_LANE_COUNT; k-- > 0;) {
		if (shares[size][k] == shares[size][lane])
			continue;
		(void)fill_lane(tasks[k], MANY, k, 0);
		filled += MANY;
	}
	submit(&one, lane, false);
	submit(&two, lane, false);
	for (int i = 0; i < 400 && !done; i++) {
		worker_turn(w, false);
		unit_sleep_ms(1);
		done = one.done && two.done;
	}
	open_gate(filled);
	ck_assert_msg(done, "lane %d waits for others, with %u threads", lane, pool_sizes[size]);
	UNIT_UNTIL(done_count == filled + 2, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

START_TEST(test_long_leaves_half)
{
	struct task tasks[MANY] = { 0 };

	make_pool(12);
	ck_assert_int_eq(fill_lane(tasks, MANY, POOL_LONG, 6), 6);
	open_gate(MANY);
	UNIT_UNTIL(done_count == MANY, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* For what may not run yet no thread is started. */
START_TEST(test_no_thread_in_vain)
{
	struct task tasks[MANY] = { 0 };
	int before;

	if (access("/proc/self/task", R_OK) != 0)
		return; /* this system does not say */
	make_pool(9);
	unit_sleep_ms(20); /* its first thread sleeps, and a sanitizer's has started */
	before = unit_names_in("/proc/self/task");
	ck_assert_int_eq(fill_lane(tasks, 4, POOL_BULK, 4), 4);
	ck_assert_int_eq(fill_lane(tasks + 4, MANY - 4, POOL_BULK, 4), 4);
	ck_assert_int_eq(unit_names_in("/proc/self/task"), before + 3);
	open_gate(MANY);
	UNIT_UNTIL(done_count == MANY, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

static atomic_bool held;

static void
run_held(struct pool_job *job)
{
	while (atomic_load(&held))
		unit_sleep_ms(1);
	run_task(job);
}

/* Each lane has its thread, and one is to spare: that one takes what waits, in the lanes' order. */
START_TEST(test_the_order_of_lanes)
{
	struct task block[POOL_LANE_COUNT] = { 0 }, spare = { 0 },
		    tasks[2 * POOL_LANE_COUNT] = { 0 };

	make_pool(POOL_LANE_COUNT + 1);
	atomic_store(&held, true);
	spare.job.run = run_held;
	spare.job.done = task_done;
	pool_submit(pool, w, POOL_BULK, &spare.job);
	for (enum pool_lane lane = 0; lane < POOL_LANE_COUNT; lane++) {
		submit(&block[lane], lane, true);
		UNIT_UNTIL(atomic_load(&block[lane].started), worker_turn(w, false));
	}
	for (int i = 0; i < COUNT(tasks); i++)
		submit(
		    &tasks[i], POOL_LANE_COUNT - 1 - (enum pool_lane)(i % POOL_LANE_COUNT), false);
	atomic_store(&held, false);
	UNIT_UNTIL(done_count == 1 + COUNT(tasks), worker_turn(w, false));
	for (int i = 0; i < COUNT(tasks); i++) {
		int before = POOL_LANE_COUNT + 1 + 2 * (int)tasks[i].job.lane;

		ck_assert_int_eq(tasks[i].turn, before + i / POOL_LANE_COUNT);
	}
	open_gate(POOL_LANE_COUNT);
	UNIT_UNTIL(done_count == 1 + POOL_LANE_COUNT + COUNT(tasks), worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/*
 * A thread that has been woken for one job is not there for the next: there are others to be
 * started.
 */
START_TEST(test_two_jobs_at_once_have_two_threads)
{
	for (int round = 0; round < 20; round++) {
		struct task slow = { 0 }, next = { 0 };

		done_count = 0;
		make_pool(8);
		unit_sleep_ms(2); /* its first thread sleeps */
		submit(&slow, POOL_OPEN, true);
		submit(&next, POOL_OPEN, false);
		for (int i = 0; i < 300 && !next.done; i++) {
			worker_turn(w, false);
			unit_sleep_ms(1);
		}
		ck_assert_msg(
		    next.done, "a job waits for the one before it, with 1 of 8 threads started");
		open_gate(1);
		UNIT_UNTIL(done_count == 2, worker_turn(w, false));
		pool_free(pool);
	}
}
END_TEST

START_TEST(test_as_many_at_once_as_may_be)
{
	struct task tasks[16] = { 0 };

	make_pool(10);
	unit_sleep_ms(5);
	ck_assert_int_eq(fill_lane(tasks, 16, POOL_OPEN, 5), 5);
	open_gate(16);
	UNIT_UNTIL(done_count == 16, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

void
add_lane_cases(Suite *s)
{
	TCase *tc = unit_case(s, "lanes");

	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_loop_test(
	    tc, test_one_lane_leaves_threads, 0, COUNT(pool_sizes) * POOL_LANE_COUNT);
	tcase_add_loop_test(
	    tc, test_all_others_leave_a_thread, 0, COUNT(pool_sizes) * POOL_LANE_COUNT);
	tcase_add_test(tc, test_long_leaves_half);
	tcase_add_test(tc, test_no_thread_in_vain);
	tcase_add_test(tc, test_the_order_of_lanes);
	tcase_add_test(tc, test_two_jobs_at_once_have_two_threads);
	tcase_add_test(tc, test_as_many_at_once_as_may_be);
}
