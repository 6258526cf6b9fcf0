/* loop/work: pieces in their turn, for a bounded time. */
#include "unit/unit.h"

#include <event2/event.h>

#include "base/clock.h"
#include "loop/work.h"
#include "loop/worker.h"

struct task {
	struct work work; /* the first member */
	int left;         /* pieces that it still has after this one */
	uint64_t takes;   /* ms */
	char name;
};

static struct work_queue queue;
static char done[32];
static int done_count;
static uint64_t now;

static uint64_t
fake_clock(void)
{
	return now;
}

static void
do_task(struct work *work)
{
	struct task *t = (struct task *)work;

	done[done_count++] = t->name;
	now += t->takes;
	if (t->left-- > 0)
		work_add(&queue, work);
}

static void
set_up(void)
{
	clock_set_hook(fake_clock);
	work_queue_init(&queue);
}

START_TEST(test_in_turn)
{
	struct task a = { { .run = do_task }, 2, 0, 'a' }, b = { { .run = do_task }, 1, 0, 'b' },
		    c = { { .run = do_task }, 0, 0, 'c' };

	ck_assert(!work_queue_run(&queue, 1000));
	work_add(&queue, &a.work);
	work_add(&queue, &b.work);
	work_add(&queue, &a.work);
	work_add(&queue, &c.work);
	ck_assert(!work_queue_run(&queue, 1000));
	ck_assert_str_eq(done, "abcaba");
}
END_TEST

START_TEST(test_bounded)
{
	struct task a = { { .run = do_task }, 9, 1, 'a' }, b = { { .run = do_task }, 9, 1, 'b' };

	work_add(&queue, &a.work);
	work_add(&queue, &b.work);
	ck_assert(work_queue_run(&queue, 3000));
	ck_assert_str_eq(done, "aba");
	/* One is always done, however little time there is. */
	ck_assert(work_queue_run(&queue, 0));
	ck_assert_str_eq(done, "abab");
	work_remove(&queue, &a.work);
	work_remove(&queue, &a.work);
	ck_assert(work_queue_run(&queue, 2000));
	ck_assert_str_eq(done, "ababbb");
}
END_TEST

static struct work piece;
static int pieces;
static struct worker *w;

static void
do_piece(struct work *work)
{
	pieces++;
	if (pieces < 3)
		(void)worker_later(w, work);
	else
		worker_stop(w);
}

/* After all callbacks; the loop does not wait while something is left. */
START_TEST(test_later)
{
	struct event_base *base = event_base_new();
	struct worker *guest;

	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
	piece.run = do_piece;
	ck_assert(worker_later(w, &piece));
	ck_assert(worker_later(w, &piece));
	ck_assert_int_eq(pieces, 0);
	ck_assert_int_eq(worker_run(w), FTX_OK);
	ck_assert_int_eq(pieces, 3);
	ck_assert(worker_later(w, &piece));
	worker_not_later(w, &piece);
	worker_not_later(w, &piece);
	worker_turn(w, false);
	ck_assert_int_eq(pieces, 3);
	/* Whoever runs a base of his own knows of no queue. */
	ck_assert_int_eq(worker_new(&guest, base), FTX_OK);
	ck_assert(!worker_queues(guest));
	ck_assert(!worker_later(guest, &piece));
	ck_assert(!piece.queued);
	worker_free(guest);
	worker_free(w);
	event_base_free(base);
}
END_TEST

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

static void
ignore(void *arg)
{
	(void)arg;
}

/* Also while another one runs, that is due much later. */
START_TEST(test_a_stopped_timer_wakes_nobody)
{
	static const struct timeval then = { .tv_usec = 150 * 1000 };
	struct timer near, far;
	struct event *tick;
	bool over = false;
	int turns = 0;

	clock_set_hook(NULL);
	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
	ck_assert_int_eq(worker_timer_init(w, &near, ignore, NULL), FTX_OK);
	ck_assert_int_eq(worker_timer_init(w, &far, ignore, NULL), FTX_OK);
	tick = event_new(worker_base(w), -1, 0, on_tick, &over);
	ck_assert_int_eq(event_add(tick, &then), 0);
	worker_timer_start(w, &far, clock_now_ms() + 3600 * 1000);
	worker_timer_start(w, &near, clock_now_ms() + 20);
	worker_timer_stop(w, &near);
	while (!over) {
		worker_turn(w, true);
		turns++;
	}
	ck_assert_int_eq(turns, 1);
	event_free(tick);
	worker_timer_clear(w, &near);
	worker_timer_clear(w, &far);
	worker_free(w);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "work");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_in_turn);
	tcase_add_test(tc, test_bounded);
	tc = unit_case(s, "worker");
	tcase_add_test(tc, test_later);
	tcase_add_test(tc, test_a_stopped_timer_wakes_nobody);
}

int
main(void)
{
	return unit_run("work", add_cases);
}
