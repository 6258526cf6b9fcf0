/* loop: the pool of threads. */
#include "unit/test_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct worker *w;
struct pool *pool;
atomic_int started[POOL_LANE_COUNT];
int done_count;
static pthread_t loop_thread;
static atomic_int turns;

/* Gated jobs go on when it opens. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static int gate_passes;

static void
pass_gate(void)
{
	pthread_mutex_lock(&gate_lock);
	while (gate_passes == 0)
		pthread_cond_wait(&gate_opened, &gate_lock);
	gate_passes--;
	pthread_mutex_unlock(&gate_lock);
}

void
open_gate(int passes)
{
	pthread_mutex_lock(&gate_lock);
	gate_passes += passes;
	pthread_cond_broadcast(&gate_opened);
	pthread_mutex_unlock(&gate_lock);
}

void
run_task(struct pool_job *job)
{
	struct task *t = (struct task *)job;

	UNIT_CHECK(!pthread_equal(pthread_self(), loop_thread));
	t->turn = atomic_fetch_add(&turns, 1);
	atomic_fetch_add(&started[job->lane], 1);
	atomic_store(&t->started, true);
	if (t->gated)
		pass_gate();
	atomic_store(&t->ran, true);
}

void
task_done(struct pool_job *job)
{
	struct task *t = (struct task *)job;

	UNIT_CHECK(pthread_equal(pthread_self(), loop_thread));
	UNIT_CHECK(atomic_load(&t->ran));
	UNIT_CHECK(!t->done);
	t->done = true;
	done_count++;
}

void
submit(struct task *t, enum pool_lane lane, bool gated)
{
	t->job.run = run_task;
	t->job.done = task_done;
	t->gated = gated;
	pool_submit(pool, w, lane, &t->job);
	UNIT_CHECK(!t->done); /* never within the call */
}

void
make_worker(void)
{
	loop_thread = pthread_self();
	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
}

void
drop_worker(void)
{
	worker_free(w);
}

void
make_pool(unsigned threads)
{
	ck_assert_int_eq(pool_new(&pool, threads), FTX_OK);
}

START_TEST(test_all_are_done_on_the_worker)
{
	enum { TASKS = 2000 };
	struct task *tasks = calloc(TASKS, sizeof(*tasks));

	ck_assert_ptr_nonnull(tasks);
	make_pool((unsigned)_i);
	for (int i = 0; i < TASKS; i++)
		submit(&tasks[i], (enum pool_lane)(i % POOL_LANE_COUNT), false);
	ck_assert_uint_gt(worker_held(w), 0);
	UNIT_UNTIL(done_count == TASKS, worker_turn(w, false));
	ck_assert_uint_eq(worker_held(w), 0);
	pool_free(pool);
	free(tasks);
}
END_TEST

/* Submits itself again from its own end, as an operation does that has a next step. */
static void
chain_done(struct pool_job *job)
{
	if (++done_count < 200)
		pool_submit(pool, w, (enum pool_lane)(done_count % POOL_LANE_COUNT), job);
	else
		free(job);
}

START_TEST(test_chain_that_frees_itself)
{
	struct task *t = calloc(1, sizeof(*t));

	make_pool(2);
	t->job.run = run_task;
	t->job.done = chain_done;
	pool_submit(pool, w, POOL_OPEN, &t->job);
	UNIT_UNTIL(done_count == 200, worker_turn(w, false));
	ck_assert_uint_eq(worker_held(w), 0);
	pool_free(pool);
}
END_TEST

START_TEST(test_free_finishes_jobs)
{
	struct task tasks[90] = { 0 };

	make_pool(3);
	for (int i = 0; i < COUNT(tasks); i++)
		submit(&tasks[i], (enum pool_lane)(i % POOL_LANE_COUNT), i < 6);
	open_gate(6);
	pool_free(pool);
	for (int i = 0; i < COUNT(tasks); i++)
		ck_assert(atomic_load(&tasks[i].ran));
	/* Told by mail. */
	ck_assert_int_eq(done_count, 0);
	ck_assert_uint_eq(worker_held(w), COUNT(tasks));
	worker_turn(w, false);
	ck_assert_int_eq(done_count, COUNT(tasks));
	ck_assert_uint_eq(worker_held(w), 0);
}
END_TEST

/* Lets the first job go on when pool_free() has had time to begin. */
static void *
open_gate_later(void *arg)
{
	unit_sleep_ms(50);
	open_gate(1);
	return arg;
}

/* The second job is not for the second thread, which sleeps, and must be told of the end. */
START_TEST(test_free_wakes_who_may_not_run)
{
	struct task first = { 0 }, second = { 0 };
	pthread_t opener;

	make_pool(2);
	submit(&first, POOL_BULK, true);
	UNIT_UNTIL(atomic_load(&first.started), (void)0);
	submit(&second, POOL_BULK, false);
	ck_assert_int_eq(pthread_create(&opener, NULL, open_gate_later, NULL), 0);
	pool_free(pool);
	pthread_join(opener, NULL);
	ck_assert(atomic_load(&second.ran));
	worker_turn(w, false);
	ck_assert_int_eq(done_count, 2);
}
END_TEST

START_TEST(test_free_of_an_idle_pool)
{
	for (unsigned n = 0; n <= POOL_THREADS_MAX + 1; n += 5) {
		struct task t = { 0 };

		make_pool(n); /* out of range is put right */
		if (n % 2 == 1) {
			submit(&t, POOL_OPEN, false);
			UNIT_UNTIL(t.done, worker_turn(w, false));
		}
		pool_free(pool);
	}
	pool_free(NULL);
}
END_TEST

static sigset_t thread_mask;

static void
run_look_at_signals(struct pool_job *job)
{
	(void)job;
	pthread_sigmask(SIG_SETMASK, NULL, &thread_mask);
}

static void
look_done(struct pool_job *job)
{
	(void)job;
	done_count++;
}

START_TEST(test_threads_take_no_signals)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE };
	struct pool_job job = { .run = run_look_at_signals, .done = look_done };
	sigset_t own;

	make_pool(2);
	pool_submit(pool, w, POOL_OPEN, &job);
	UNIT_UNTIL(done_count == 1, worker_turn(w, false));
	pthread_sigmask(SIG_SETMASK, NULL, &own);
	for (int i = 0; i < COUNT(signals); i++) {
		ck_assert_int_eq(sigismember(&thread_mask, signals[i]), 1);
		ck_assert_int_eq(sigismember(&own, signals[i]), 0);
	}
	pool_free(pool);
}
END_TEST

/* Two workers share a pool: each hears of its own, on its own thread. */
#define SHARED_JOBS 300

struct side {
	struct worker *worker;
	pthread_t tid;
	struct side_job {
		struct pool_job job;
		struct side *side;
	} jobs[SHARED_JOBS];
	int done;
};

static void
run_nothing(struct pool_job *job)
{
	(void)job;
}

static void
side_done(struct pool_job *job)
{
	struct side *s = ((struct side_job *)job)->side;

	UNIT_CHECK(pthread_equal(pthread_self(), s->tid));
	if (++s->done == SHARED_JOBS)
		worker_stop(s->worker);
}

static void *
side_thread(void *arg)
{
	struct side *s = arg;

	s->tid = pthread_self();
	for (int i = 0; i < SHARED_JOBS; i++) {
		s->jobs[i].side = s;
		s->jobs[i].job.run = run_nothing;
		s->jobs[i].job.done = side_done;
		pool_submit(
		    pool, s->worker, (enum pool_lane)(i % POOL_LANE_COUNT), &s->jobs[i].job);
	}
	UNIT_CHECK(worker_run(s->worker) == FTX_OK);
	return NULL;
}

START_TEST(test_two_workers)
{
	static struct side sides[2];
	pthread_t tids[2];

	make_pool(4);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(worker_new(&sides[i].worker, NULL), FTX_OK);
		ck_assert_int_eq(pthread_create(&tids[i], NULL, side_thread, &sides[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(tids[i], NULL);
		ck_assert_int_eq(sides[i].done, SHARED_JOBS);
		ck_assert_uint_eq(worker_held(sides[i].worker), 0);
		worker_free(sides[i].worker);
	}
	pool_free(pool);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "jobs");

	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_loop_test(tc, test_all_are_done_on_the_worker, 1, 6);
	tcase_add_test(tc, test_chain_that_frees_itself);
	tcase_add_test(tc, test_free_finishes_jobs);
	tcase_add_test(tc, test_free_wakes_who_may_not_run);
	tcase_add_test(tc, test_free_of_an_idle_pool);
	tcase_add_test(tc, test_threads_take_no_signals);
	tcase_add_test(tc, test_two_workers);
	add_lane_cases(s);
	add_batch_cases(s);
}

int
main(void)
{
	return unit_run("pool", add_cases);
}
