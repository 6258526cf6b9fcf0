/* loop: jobs of the pool that are done together. */
#include "unit/test_pool.h"

#define JOBS 40

/* What ran together: first and number of each call, in tasks[]. */
static struct task tasks[JOBS];
static struct {
	int first, count;
} calls[JOBS];
static atomic_int call_count;

static void
see_call(const struct pool_job *first, int count)
{
	int i = atomic_fetch_add(&call_count, 1);

	calls[i].first = (int)((const struct task *)first - tasks);
	calls[i].count = count;
}

static void
run_one(struct pool_job *job)
{
	see_call(job, 1);
	run_task(job);
}

static void
run_together(const struct pool_jobs *jobs)
{
	struct pool_job *job;
	int n = 0;

	for (job = STAILQ_FIRST(jobs); job != NULL; job = STAILQ_NEXT(job, link)) {
		UNIT_CHECK(job->run == run_one); /* none that is to be by itself */
		run_task(job);
		n++;
	}
	see_call(STAILQ_FIRST(jobs), n);
}

static const struct pool_batch batch = { .threads = 2, .min = 4, .max = 10, .run = run_together };
static const struct pool_batch other = { .threads = 2, .min = 2, .max = 10, .run = run_together };

static void
submit_to(struct worker *to, int i, const struct pool_batch *b)
{
	tasks[i].job.run = run_one;
	tasks[i].job.done = task_done;
	tasks[i].job.batch = b;
	pool_submit(pool, to, POOL_COMMIT, &tasks[i].job);
}

/* The lane's only thread is at work, until let_go(). */
static struct task block;

static void
make_busy_pool(void)
{
	make_pool(POOL_THREADS_APART);
	submit(&block, POOL_COMMIT, true);
	UNIT_UNTIL(atomic_load(&block.started), worker_turn(w, false));
}

static void
let_go(int expected)
{
	open_gate(1);
	UNIT_UNTIL(done_count == expected + 1, worker_turn(w, false));
	pool_free(pool);
}

static void
call_is(int i, int first, int count)
{
	ck_assert_int_eq(calls[i].first, first);
	ck_assert_int_eq(calls[i].count, count);
}

START_TEST(test_few_run_one_by_one)
{
	make_busy_pool();
	for (int i = 0; i < 3; i++)
		submit_to(w, i, &batch);
	let_go(3);
	ck_assert_int_eq(call_count, 3);
	for (int i = 0; i < 3; i++)
		call_is(i, i, 1);
}
END_TEST

START_TEST(test_enough_run_together)
{
	make_busy_pool();
	for (int i = 0; i < 4; i++)
		submit_to(w, i, &batch);
	let_go(4);
	ck_assert_int_eq(call_count, 1);
	call_is(0, 0, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(tasks[i].turn, 1 + i); /* in their order */
}
END_TEST

/* No more at a time than may be; the last ones are too few. */
START_TEST(test_many_run_in_turns)
{
	make_busy_pool();
	for (int i = 0; i < 23; i++)
		submit_to(w, i, &batch);
	let_go(23);
	ck_assert_int_eq(call_count, 5);
	call_is(0, 0, 10);
	call_is(1, 10, 10);
	for (int i = 0; i < 3; i++)
		call_is(2 + i, 20 + i, 1);
}
END_TEST

/* What does not belong to them keeps its place; what has another batch has its own call. */
START_TEST(test_batches_do_not_mix)
{
	static const struct pool_batch *const of[] = { &batch, NULL, &other, &batch, NULL, &batch,
		&other, &batch, &batch };

	make_busy_pool();
	for (int i = 0; i < COUNT(of); i++) {
		submit_to(w, i, of[i]);
	}
	let_go(COUNT(of));
	ck_assert_int_eq(call_count, 4);
	call_is(0, 0, 5);
	call_is(1, 1, 1);
	call_is(2, 2, 2);
	call_is(3, 4, 1);
}
END_TEST

/* What stands behind a batch that may not begin is begun with it, by a thread that sleeps. */
START_TEST(test_behind_a_batch)
{
	struct task blocks[2] = { 0 }, behind = { 0 };

	make_pool(12);
	for (int i = 0; i < COUNT(blocks); i++) {
		submit(&blocks[i], POOL_COMMIT, true);
		UNIT_UNTIL(atomic_load(&blocks[i].started), worker_turn(w, false));
	}
	tasks[0].job.run = run_task;
	tasks[0].job.done = task_done;
	tasks[0].job.batch = &batch;
	tasks[0].gated = true;
	pool_submit(pool, w, POOL_COMMIT, &tasks[0].job);
	submit(&behind, POOL_COMMIT, false);
	open_gate(1);
	UNIT_UNTIL(behind.done, worker_turn(w, false));
	ck_assert(!tasks[0].done);
	open_gate(2);
	UNIT_UNTIL(done_count == 4, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* Others are free, but so many are at work for the lane; what is none of the batch may use them. */
START_TEST(test_no_more_threads_than_may_be)
{
	struct task blocks[2] = { 0 }, alone = { 0 };

	make_pool(12);
	for (int i = 0; i < COUNT(blocks); i++) {
		submit(&blocks[i], POOL_COMMIT, true);
		UNIT_UNTIL(atomic_load(&blocks[i].started), worker_turn(w, false));
	}
	submit(&alone, POOL_COMMIT, false);
	UNIT_UNTIL(done_count == 1, worker_turn(w, false));
	for (int i = 0; i < 5; i++)
		submit_to(w, i, &batch);
	for (int i = 0; i < 20; i++) {
		worker_turn(w, false);
		unit_sleep_ms(1);
	}
	ck_assert_int_eq(call_count, 0);
	open_gate(1);
	UNIT_UNTIL(done_count == 7, worker_turn(w, false));
	call_is(0, 0, 5);
	open_gate(1);
	UNIT_UNTIL(done_count == 8, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* With a thread that is free, the first goes at once. */
START_TEST(test_nothing_waits_for_more)
{
	make_pool(POOL_THREADS_APART);
	submit_to(w, 0, &batch);
	UNIT_UNTIL(done_count == 1, worker_turn(w, false));
	call_is(0, 0, 1);
	pool_free(pool);
}
END_TEST

/* Those that come in one go are together, though a thread is free; and each is run. */
START_TEST(test_in_one_go)
{
	struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);

	make_pool(POOL_THREADS_APART);
	for (int i = 0; i < 26; i++) {
		tasks[i].job.run = run_one;
		tasks[i].job.done = task_done;
		tasks[i].job.batch = i < 24 ? &batch : NULL;
		STAILQ_INSERT_TAIL(&jobs, &tasks[i].job, link);
	}
	pool_submit_all(pool, w, POOL_COMMIT, &jobs);
	ck_assert(STAILQ_EMPTY(&jobs));
	UNIT_UNTIL(done_count == 26, worker_turn(w, false));
	ck_assert_int_eq(call_count, 5);
	for (int i = 0; i < call_count; i++) {
		int first = calls[i].first;

		ck_assert_int_eq(calls[i].count, first < 20 ? 10 : first < 24 ? 4 : 1);
	}
	ck_assert_uint_eq(worker_held(w), 0);
	pool_free(pool);
}
END_TEST

/* Too few to go together: each has a thread of its own, where there are any. */
START_TEST(test_few_in_one_go)
{
	struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);

	make_pool(12);
	submit(&block, POOL_COMMIT, false);
	UNIT_UNTIL(done_count == 1, worker_turn(w, false));
	unit_sleep_ms(20); /* its thread is the only one, and sleeps */
	for (int i = 0; i < 2; i++) {
		tasks[i].job.run = run_one;
		tasks[i].job.done = task_done;
		tasks[i].job.batch = &batch;
		tasks[i].gated = true;
		STAILQ_INSERT_TAIL(&jobs, &tasks[i].job, link);
	}
	pool_submit_all(pool, w, POOL_COMMIT, &jobs);
	UNIT_UNTIL(atomic_load(&tasks[0].started) && atomic_load(&tasks[1].started),
	    worker_turn(w, false));
	open_gate(2);
	UNIT_UNTIL(done_count == 3, worker_turn(w, false));
	pool_free(pool);
}
END_TEST

/* Each job of a batch comes home to its own worker. */
START_TEST(test_jobs_of_two_workers)
{
	struct worker *second;

	ck_assert_int_eq(worker_new(&second, NULL), FTX_OK);
	make_busy_pool();
	for (int i = 0; i < 8; i++)
		submit_to(i % 2 == 0 ? w : second, i, &batch);
	open_gate(1);
	UNIT_UNTIL(done_count == 1 + 4, worker_turn(w, false));
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(tasks[i].done, i % 2 == 0);
	ck_assert_uint_eq(worker_held(w), 0);
	ck_assert_uint_eq(worker_held(second), 4);
	UNIT_UNTIL(done_count == 1 + 8, worker_turn(second, false));
	ck_assert_uint_eq(worker_held(second), 0);
	ck_assert_int_eq(call_count, 1);
	pool_free(pool);
	worker_free(second);
}
END_TEST

void
add_batch_cases(Suite *s)
{
	TCase *tc = unit_case(s, "batches");

	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_few_run_one_by_one);
	tcase_add_test(tc, test_enough_run_together);
	tcase_add_test(tc, test_many_run_in_turns);
	tcase_add_test(tc, test_batches_do_not_mix);
	tcase_add_test(tc, test_behind_a_batch);
	tcase_add_test(tc, test_no_more_threads_than_may_be);
	tcase_add_test(tc, test_nothing_waits_for_more);
	tcase_add_test(tc, test_in_one_go);
	tcase_add_test(tc, test_few_in_one_go);
	tcase_add_test(tc, test_jobs_of_two_workers);
}
