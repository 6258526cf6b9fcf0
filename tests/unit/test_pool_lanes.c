/* loop: which of the pool's lanes get a thread, and when. */
#include "unit/test_pool.h"

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

static const unsigned pool_sizes[] = { 2, 3, 4, 8 };

START_TEST(test_bulk_leaves_a_thread)
{
	unsigned threads = pool_sizes[_i];
	struct task tasks[16] = { 0 }, open = { 0 }, after = { 0 };

	make_pool(threads);
	ck_assert_int_eq(fill_lane(tasks, 16, POOL_BULK, (int)threads - 1), (int)threads - 1);
	/* What a peer waits for goes on meanwhile. */
	submit(&open, POOL_OPEN, false);
	submit(&after, POOL_OPEN, false);
	UNIT_UNTIL(open.done && after.done, worker_turn(w, false));
	ck_assert_int_eq(atomic_load(&started[POOL_BULK]), (int)threads - 1);
	open_gate(16);
	UNIT_UNTIL(done_count == 18, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

START_TEST(test_long_leaves_half)
{
	unsigned threads = pool_sizes[_i];
	int most = threads > 2 ? (int)threads / 2 : 1;
	struct task tasks[16] = { 0 }, open = { 0 };

	make_pool(threads);
	ck_assert_int_eq(fill_lane(tasks, 16, POOL_LONG, most), most);
	submit(&open, POOL_OPEN, false);
	UNIT_UNTIL(open.done, worker_turn(w, false));
	open_gate(16);
	UNIT_UNTIL(done_count == 17, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

START_TEST(test_bulk_and_long_leave_a_thread)
{
	unsigned threads = pool_sizes[_i];
	struct task longs[16] = { 0 }, bulks[16] = { 0 }, open = { 0 };
	bool opened = false;
	int taken;

	make_pool(threads);
	(void)fill_lane(longs, 16, POOL_LONG, 1);
	(void)fill_lane(bulks, 16, POOL_BULK, threads > 2 ? 1 : 0);
	taken = atomic_load(&started[POOL_BULK]) + atomic_load(&started[POOL_LONG]);
	submit(&open, POOL_OPEN, false);
	for (int i = 0; i < 200 && !opened; i++) {
		worker_turn(w, false);
		unit_sleep_ms(1);
		opened = open.done;
	}
	open_gate(32);
	ck_assert_msg(
	    opened, "BULK and LONG have %d of %u threads: an OPEN job waits", taken, threads);
	UNIT_UNTIL(done_count == 33, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* Requests and commits, however many, leave a thread to content; a walk through a tree as well. */
START_TEST(test_open_leaves_a_thread)
{
	unsigned threads = pool_sizes[_i];
	struct task opens[16] = { 0 }, bulk = { 0 }, after = { 0 };

	make_pool(threads);
	ck_assert_int_eq(fill_lane(opens, 16, POOL_OPEN, (int)threads - 1), (int)threads - 1);
	submit(&bulk, POOL_BULK, false);
	submit(&after, POOL_BULK, false);
	UNIT_UNTIL(bulk.done && after.done, worker_turn(w, false));
	ck_assert_int_eq(atomic_load(&started[POOL_OPEN]), (int)threads - 1);
	open_gate(16);
	UNIT_UNTIL(done_count == 18, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

START_TEST(test_open_and_long_leave_a_thread)
{
	unsigned threads = pool_sizes[_i];
	struct task longs[16] = { 0 }, opens[16] = { 0 }, bulk = { 0 };
	int most = threads > 2 ? (int)threads / 2 : 1, left = (int)threads - 1 - most;

	make_pool(threads);
	ck_assert_int_eq(fill_lane(longs, 16, POOL_LONG, most), most);
	/* One at the least: with two threads there is none left for content. */
	left = left > 0 ? left : 1;
	ck_assert_int_eq(fill_lane(opens, 16, POOL_OPEN, left), left);
	submit(&bulk, POOL_BULK, false);
	if (threads > 2)
		UNIT_UNTIL(bulk.done, worker_turn(w, false));
	open_gate(32);
	UNIT_UNTIL(done_count == 33, worker_turn(w, false));
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

/* All three threads are taken; then one of them takes what waits, in its order. */
START_TEST(test_open_goes_first)
{
	struct task block[3] = { 0 }, tasks[6] = { 0 };
	static const enum pool_lane lanes[] = { POOL_LONG, POOL_BULK, POOL_OPEN, POOL_LONG,
		POOL_BULK, POOL_OPEN };
	static const int turn[] = { 6, 4, 2, 7, 5, 3 };

	make_pool(3);
	atomic_store(&held, true);
	block[2].job.run = run_held;
	block[2].job.done = task_done;
	pool_submit(pool, w, POOL_BULK, &block[2].job);
	submit(&block[0], POOL_OPEN, true);
	submit(&block[1], POOL_OPEN, true);
	UNIT_UNTIL(atomic_load(&started[POOL_OPEN]) == 2, worker_turn(w, false));
	for (int i = 0; i < COUNT(tasks); i++)
		submit(&tasks[i], lanes[i], false);
	open_gate(1);
	UNIT_UNTIL(done_count == 1 + COUNT(tasks), worker_turn(w, false));
	for (int i = 0; i < COUNT(tasks); i++)
		ck_assert_int_eq(tasks[i].turn, turn[i]);
	open_gate(1);
	atomic_store(&held, false);
	UNIT_UNTIL(done_count == 3 + COUNT(tasks), worker_turn(w, false));
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
		make_pool(4);
		unit_sleep_ms(2); /* its first thread sleeps */
		submit(&slow, POOL_OPEN, true);
		submit(&next, POOL_OPEN, false);
		for (int i = 0; i < 300 && !next.done; i++) {
			worker_turn(w, false);
			unit_sleep_ms(1);
		}
		ck_assert_msg(
		    next.done, "a job waits for the one before it, with 1 of 4 threads started");
		open_gate(1);
		UNIT_UNTIL(done_count == 2, worker_turn(w, false));
		pool_free(pool);
	}
}
END_TEST

START_TEST(test_as_many_at_once_as_may_be)
{
	struct task tasks[16] = { 0 };

	make_pool(6);
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
	tcase_add_loop_test(tc, test_bulk_leaves_a_thread, 0, COUNT(pool_sizes));
	tcase_add_loop_test(tc, test_long_leaves_half, 0, COUNT(pool_sizes));
	tcase_add_loop_test(tc, test_bulk_and_long_leave_a_thread, 0, COUNT(pool_sizes));
	tcase_add_loop_test(tc, test_open_leaves_a_thread, 0, COUNT(pool_sizes));
	tcase_add_loop_test(tc, test_open_and_long_leave_a_thread, 0, COUNT(pool_sizes));
	tcase_add_test(tc, test_open_goes_first);
	tcase_add_test(tc, test_two_jobs_at_once_have_two_threads);
	tcase_add_test(tc, test_as_many_at_once_as_may_be);
}
