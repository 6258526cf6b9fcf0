/* loop/worker: workers on threads of their own; see test_loop.c for what one does. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "loop/worker.h"
#include "unit/unit.h"

#define WORKERS 4
#define TURNS   2000

struct letter {
	struct mail mail; /* the first member */
	int at, left;
};

static struct worker *workers[WORKERS];
static pthread_t threads[WORKERS];
static struct letter letters[WORKERS], stops[WORKERS];
static atomic_int arrived;

static void
set_up(void)
{
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(worker_new(&workers[i], NULL), FTX_OK);
}

static void
tear_down(void)
{
	for (int i = 0; i < WORKERS; i++)
		worker_free(workers[i]);
}

static void
post(struct letter *l, int at, void (*deliver)(struct mail *m))
{
	l->at = at;
	l->mail.deliver = deliver;
	worker_post(workers[at], &l->mail);
}

static void
on_stop(struct mail *m)
{
	worker_stop(workers[((struct letter *)m)->at]);
}

static void
start_all(void)
{
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(worker_start(workers[i]), FTX_OK);
}

static void
stop_all(void)
{
	for (int i = 0; i < WORKERS; i++)
		post(&stops[i], i, on_stop);
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(worker_join(workers[i]), FTX_OK);
}

/* On the thread of its worker, and always the same one. */
static void
on_round(struct mail *m)
{
	struct letter *l = (struct letter *)m;

	if (l->left > TURNS - WORKERS && l->at == (int)(l - letters))
		threads[l->at] = pthread_self();
	else if (l->at == (int)(l - letters))
		UNIT_CHECK(pthread_equal(threads[l->at], pthread_self()));
	if (--l->left > 0)
		post(l, (l->at + 1) % WORKERS, on_round);
	else
		atomic_fetch_add(&arrived, 1);
}

START_TEST(test_mail_goes_round)
{
	for (int i = 0; i < WORKERS; i++) {
		letters[i].left = TURNS;
		post(&letters[i], i, on_round); /* it may wait for the thread */
	}
	start_all();
	UNIT_UNTIL(atomic_load(&arrived) == WORKERS, {});
	stop_all();
	for (int i = 0; i < WORKERS; i++) {
		for (int k = 0; k < i; k++)
			ck_assert(!pthread_equal(threads[i], threads[k]));
	}
}
END_TEST

static void
on_look_at_signals(struct mail *m)
{
	sigset_t blocked;

	(void)m;
	UNIT_CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
	for (int signo = 1; signo < 32; signo++)
		UNIT_CHECK(signo == SIGKILL || signo == SIGSTOP || sigismember(&blocked, signo));
	atomic_fetch_add(&arrived, 1);
}

START_TEST(test_it_takes_no_signals)
{
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	start_all();
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	for (int signo = 1; signo < 32; signo++)
		ck_assert_int_eq(sigismember(&before, signo), sigismember(&after, signo));
	post(&letters[0], 0, on_look_at_signals);
	UNIT_UNTIL(atomic_load(&arrived) == 1, {});
	stop_all();
}
END_TEST

static void
on_hold(struct mail *m)
{
	worker_hold(workers[((struct letter *)m)->at]);
}

static void
on_release(struct mail *m)
{
	atomic_fetch_add(&arrived, 1);
	worker_release(workers[((struct letter *)m)->at]);
}

/* What it is stopped in the midst of comes home. */
START_TEST(test_what_is_held_is_waited_for)
{
	static struct letter release;

	ck_assert_int_eq(worker_join(workers[0]), FTX_OK); /* it has no thread yet */
	ck_assert_int_eq(worker_start(workers[0]), FTX_OK);
	post(&letters[0], 0, on_hold);
	post(&stops[0], 0, on_stop);
	unit_sleep_ms(100);
	post(&release, 0, on_release);
	ck_assert_int_eq(worker_join(workers[0]), FTX_OK);
	ck_assert_int_eq(atomic_load(&arrived), 1);
	ck_assert_uint_eq(worker_held(workers[0]), 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "threads");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_mail_goes_round);
	tcase_add_test(tc, test_it_takes_no_signals);
	tcase_add_test(tc, test_what_is_held_is_waited_for);
}

int
main(void)
{
	return unit_run("worker_threads", add_cases);
}
