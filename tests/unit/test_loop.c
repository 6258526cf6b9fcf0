/* loop: the worker. Its timers' heap is in test_timer.c, the pool in test_pool.c. */
#include "unit/unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/worker.h"

static int count_fired;

static void
on_count(void *arg)
{
	(void)arg;
	count_fired++;
}

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

static int
events_added(void)
{
	return event_base_get_num_events(worker_base(w), EVENT_BASE_COUNT_ADDED);
}

START_TEST(test_worker_timer_with_moved_clock)
{
	uint64_t now = unit_clock_stop();
	struct timer t;

	ck_assert_uint_eq(worker_now(w), now);
	ck_assert_int_eq(worker_timer_init(w, &t, on_count, NULL), FTX_OK);
	worker_timer_start(w, &t, now + 1000);
	unit_clock_add(999);
	worker_run_timers(w);
	ck_assert_int_eq(count_fired, 0);
	worker_timer_start(w, &t, now + 2000); /* later: as a connection does at each read */
	unit_clock_add(1);
	worker_run_timers(w);
	ck_assert_int_eq(count_fired, 0);
	unit_clock_add(1000);
	worker_run_timers(w);
	ck_assert_int_eq(count_fired, 1);
	worker_run_timers(w);
	ck_assert_int_eq(count_fired, 1);
	worker_timer_clear(w, &t);
}
END_TEST

static uint64_t fired_at;

static void
on_time(void *arg)
{
	(void)arg;
	fired_at = clock_now_ms();
}

START_TEST(test_worker_timer_in_real_time)
{
	struct timer t, far;
	uint64_t due;

	ck_assert_int_eq(worker_timer_init(w, &t, on_time, NULL), FTX_OK);
	ck_assert_int_eq(worker_timer_init(w, &far, on_time, NULL), FTX_OK);
	worker_timer_start(w, &far, clock_now_ms() + 3600 * 1000);
	/* Started before a timer that runs, then moved later, then sooner again. */
	worker_timer_start(w, &t, clock_now_ms() + 10);
	worker_timer_start(w, &t, clock_now_ms() + 3000);
	due = clock_now_ms() + 40;
	worker_timer_start(w, &t, due);
	while (fired_at == 0)
		worker_turn(w, true);
	ck_assert_uint_ge(fired_at, due);
	ck_assert_uint_le(fired_at, due + 1000);
	/* Overdue already: at once, but not within the call. */
	fired_at = 0;
	worker_timer_start(w, &t, clock_now_ms() - 10);
	ck_assert_uint_eq(fired_at, 0);
	worker_turn(w, true);
	ck_assert_uint_ne(fired_at, 0);
	worker_timer_clear(w, &t);
	worker_timer_clear(w, &far);
}
END_TEST

/* Starts another timer, sooner than all that run: it must be heard of, too. */
static struct timer started_while_firing;

static void
on_start_another(void *arg)
{
	(void)arg;
	worker_timer_start(w, &started_while_firing, clock_now_ms() + 20);
}

START_TEST(test_worker_timer_started_by_a_timer)
{
	struct timer t, far;

	ck_assert_int_eq(worker_timer_init(w, &t, on_start_another, NULL), FTX_OK);
	ck_assert_int_eq(worker_timer_init(w, &started_while_firing, on_time, NULL), FTX_OK);
	ck_assert_int_eq(worker_timer_init(w, &far, on_time, NULL), FTX_OK);
	worker_timer_start(w, &far, clock_now_ms() + 3600 * 1000);
	worker_timer_start(w, &t, clock_now_ms() + 5);
	UNIT_UNTIL(fired_at != 0, worker_turn(w, false));
	worker_timer_clear(w, &t);
	worker_timer_clear(w, &far);
	worker_timer_clear(w, &started_while_firing);
}
END_TEST

START_TEST(test_worker_at_rest)
{
	int idle = events_added();
	struct timer t;

	/* However the last timer goes, nothing is left that would wake the process. */
	ck_assert_int_eq(worker_timer_init(w, &t, on_count, NULL), FTX_OK);
	worker_timer_start(w, &t, clock_now_ms() + 50);
	ck_assert_int_eq(events_added(), idle + 1);
	worker_timer_stop(w, &t);
	ck_assert_int_eq(events_added(), idle);
	worker_timer_start(w, &t, clock_now_ms());
	worker_turn(w, true);
	ck_assert_int_eq(count_fired, 1);
	ck_assert_int_eq(events_added(), idle);
	worker_timer_start(w, &t, clock_now_ms() + 50);
	worker_timer_clear(w, &t);
	ck_assert_int_eq(events_added(), idle);
}
END_TEST

/* Mail. */
#define POSTERS 8
#define MAILS   500

struct letter {
	struct mail mail;
	int poster, number;
};

static struct letter letters[POSTERS][MAILS];
static int next_number[POSTERS], delivered;
static pthread_t loop_thread;

static void
on_letter(struct mail *m)
{
	struct letter *l = (struct letter *)m;

	UNIT_CHECK(pthread_equal(pthread_self(), loop_thread));
	UNIT_CHECK(l->number == next_number[l->poster]++); /* in the order they were posted */
	if (++delivered == POSTERS * MAILS)
		worker_stop(w);
}

static void *
post_letters(void *arg)
{
	int poster = *(int *)arg;

	for (int i = 0; i < MAILS; i++) {
		struct letter *l = &letters[poster][i];

		*l = (struct letter){ { .deliver = on_letter }, poster, i };
		worker_post(w, &l->mail);
		if (i % 64 == 0)
			unit_sleep_ms(1); /* so that the worker sleeps now and then */
	}
	return NULL;
}

START_TEST(test_mail_from_threads)
{
	pthread_t tids[POSTERS];
	int numbers[POSTERS];

	loop_thread = pthread_self();
	for (int i = 0; i < POSTERS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&tids[i], NULL, post_letters, &numbers[i]), 0);
	}
	ck_assert_int_eq(worker_run(w), FTX_OK);
	ck_assert_int_eq(delivered, POSTERS * MAILS);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(tids[i], NULL);
}
END_TEST

static struct mail again;
static int again_count;

static void
on_again(struct mail *m)
{
	if (++again_count < 1000)
		worker_post(w, m);
}

START_TEST(test_mail_that_posts_itself)
{
	again.deliver = on_again;
	worker_post(w, &again);
	ck_assert_int_eq(again_count, 0); /* never within the call */
	worker_turn(w, true);
	/* Others have their turn in between. */
	ck_assert_int_eq(again_count, 1);
	worker_turn(w, true);
	ck_assert_int_eq(again_count, 2);
	for (int i = 2; i < 1000; i++)
		worker_turn(w, true);
	ck_assert_int_eq(again_count, 1000);
}
END_TEST

static struct mail second_mail;
static int second_delivered;

static void
on_second_mail(struct mail *m)
{
	(void)m;
	second_delivered++;
}

static void
on_first_mail(struct mail *m)
{
	(void)m;
	second_mail.deliver = on_second_mail;
	worker_post(w, &second_mail);
}

START_TEST(test_mail_at_the_end)
{
	struct mail first = { .deliver = on_first_mail };

	worker_post(w, &first);
	worker_free(w);
	w = NULL;
	ck_assert_int_eq(second_delivered, 1);
}
END_TEST

/* The graveyard. */
struct body {
	struct grave grave;
	int number;
	bool reaped;
};

static struct body bodies[4];
static int reaped, callbacks;
static bool in_callback;

static void
on_reap(struct grave *g)
{
	struct body *b = (struct body *)g;

	ck_assert(!in_callback);
	ck_assert_int_eq(b->number, reaped++);
	b->reaped = true;
}

static void
bury(int number)
{
	bodies[number] = (struct body){ .grave = { .reap = on_reap }, .number = number };
	worker_bury(w, &bodies[number].grave);
}

/* Two of these are due in one turn: what one buries, the other may still look at. */
static void
on_pipe(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	(void)what;
	(void)arg;
	in_callback = true;
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	if (callbacks++ == 0) {
		bury(0);
		bury(1);
	} else {
		ck_assert(!bodies[0].reaped);
		bury(2);
	}
	in_callback = false;
}

START_TEST(test_graveyard)
{
	struct event *events[2];
	int pipes[2][2];

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
		ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
		events[i] = event_new(worker_base(w), pipes[i][0], EV_READ, on_pipe, NULL);
		ck_assert_int_eq(event_add(events[i], NULL), 0);
	}
	worker_turn(w, true);
	ck_assert_int_eq(callbacks, 2);
	ck_assert_int_eq(reaped, 3); /* with this turn, not one that may never come */
	for (int i = 0; i < 2; i++)
		event_free(events[i]);
}
END_TEST

/* What is reaped may bury what it held. */
static void
on_reap_and_bury(struct grave *g)
{
	(void)g;
	bury(0);
}

START_TEST(test_graveyard_buries_on)
{
	struct grave g = { .reap = on_reap_and_bury };

	worker_bury(w, &g);
	ck_assert_int_eq(reaped, 0);
	worker_turn(w, false);
	worker_turn(w, false);
	ck_assert_int_eq(reaped, 1);
}
END_TEST

START_TEST(test_graveyard_at_the_end)
{
	struct grave g = { .reap = on_reap_and_bury };

	worker_bury(w, &g);
	worker_free(w);
	w = NULL;
	ck_assert_int_eq(reaped, 1);
}
END_TEST

/* Running and stopping. */
static void
on_stop(void *arg)
{
	(void)arg;
	worker_stop(w);
}

START_TEST(test_run_and_stop)
{
	struct timer t;

	worker_stop(w); /* before it runs: it will not */
	ck_assert_int_eq(worker_run(w), FTX_OK);
	/* The next run starts afresh, and lasts until it is stopped, though no event is due. */
	ck_assert_int_eq(worker_timer_init(w, &t, on_stop, NULL), FTX_OK);
	fired_at = clock_now_ms();
	worker_timer_start(w, &t, fired_at + 30);
	ck_assert_int_eq(worker_run(w), FTX_OK);
	ck_assert_uint_ge(clock_now_ms(), fired_at + 30);
	worker_timer_clear(w, &t);
}
END_TEST

START_TEST(test_borrowed_base)
{
	struct event_base *base = event_base_new();
	struct worker *guest;

	ck_assert_int_eq(worker_new(&guest, base), FTX_OK);
	ck_assert_ptr_eq(worker_base(guest), base);
	worker_free(guest);
	/* It is the lender's still, and nothing of the worker is in it. */
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	event_base_free(base);
}
END_TEST

static int soon_delivered;

static void
deliver_soon(struct mail *m)
{
	if (++soon_delivered == 1)
		worker_soon(w, m);
}

/* Not within the call, and before the loop waits; also what one of them asks for. */
START_TEST(test_soon)
{
	struct mail m = { .deliver = deliver_soon };

	soon_delivered = 0;
	worker_soon(w, &m);
	ck_assert_int_eq(soon_delivered, 0);
	worker_turn(w, true);
	ck_assert_int_eq(soon_delivered, 2);
	worker_turn(w, false);
	ck_assert_int_eq(soon_delivered, 2);
}
END_TEST

START_TEST(test_holds)
{
	ck_assert_uint_eq(worker_held(w), 0);
	worker_hold(w);
	worker_hold(w);
	ck_assert_uint_eq(worker_held(w), 2);
	worker_release(w);
	ck_assert_uint_eq(worker_held(w), 1);
	worker_release(w);
	worker_free(NULL);
}
END_TEST

START_TEST(test_no_descriptor_is_left)
{
	int before = unit_descriptors();

	for (int i = 0; i < 3; i++) {
		struct worker *other;

		ck_assert_int_eq(worker_new(&other, NULL), FTX_OK);
		worker_free(other);
	}
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "timers");

	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_worker_timer_with_moved_clock);
	tcase_add_test(tc, test_worker_timer_in_real_time);
	tcase_add_test(tc, test_worker_timer_started_by_a_timer);
	tcase_add_test(tc, test_worker_at_rest);
	tc = unit_case(s, "mail");
	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_mail_from_threads);
	tcase_add_test(tc, test_mail_that_posts_itself);
	tcase_add_test(tc, test_mail_at_the_end);
	tc = unit_case(s, "graveyard");
	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_graveyard);
	tcase_add_test(tc, test_graveyard_buries_on);
	tcase_add_test(tc, test_graveyard_at_the_end);
	tc = unit_case(s, "run");
	tcase_add_checked_fixture(tc, make_worker, drop_worker);
	tcase_add_test(tc, test_run_and_stop);
	tcase_add_test(tc, test_borrowed_base);
	tcase_add_test(tc, test_holds);
	tcase_add_test(tc, test_soon);
	tcase_add_test(tc, test_no_descriptor_is_left);
}

int
main(void)
{
	return unit_run("loop", add_cases);
}
