/* loop: the heap of timers. The worker is in test_loop.c. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "loop/timer.h"

/* A timer and what a test knows of it. */
struct alarm {
	struct timer timer;
	struct timer_heap *heap;
	uint64_t deadline; /* UINT64_MAX: it does not run */
	unsigned fired;
	bool exists;
};

/* The heap's own rules: parents are not later than children, each timer knows its place. */
static void
check_heap(const struct timer_heap *h)
{
	UNIT_CHECK(h->used <= h->reserved);
	UNIT_CHECK(h->reserved <= h->size);
	for (size_t i = 0; i < h->used; i++) {
		UNIT_CHECK(h->slots[i]->slot == i + 1);
		UNIT_CHECK(h->slots[i]->key <= h->slots[i]->deadline);
		UNIT_CHECK(h->slots[(i - (i > 0)) / 2]->key <= h->slots[i]->key);
	}
}

#define ALARMS 100

static struct alarm alarms[ALARMS];
static struct timer_heap heap;
static uint64_t heap_now, seed;

static void on_alarm(void *arg);

/* One random thing to one random timer, done to the model, too. */
static void
random_step(void)
{
	struct alarm *a = &alarms[unit_random(&seed) % ALARMS];

	if (!a->exists) {
		UNIT_CHECK(timer_init(&a->timer, &heap, on_alarm, a) == FTX_OK);
		a->exists = true;
		a->deadline = UINT64_MAX;
		return;
	}
	UNIT_CHECK(timer_running(&a->timer) == (a->deadline != UINT64_MAX));
	switch (unit_random(&seed) % 10) {
	case 0:
		timer_clear(&a->timer, &heap);
		a->exists = false;
		a->deadline = UINT64_MAX;
		break;
	case 1:
	case 2:
		timer_stop(&a->timer, &heap);
		a->deadline = UINT64_MAX;
		break;
	default:
		a->deadline = heap_now + 1 + unit_random(&seed) % 200;
		timer_start(&a->timer, &heap, a->deadline);
	}
}

/* Must be running and due; then does things to the others, and to itself. */
static void
on_alarm(void *arg)
{
	struct alarm *a = arg;

	UNIT_CHECK(a->exists);
	UNIT_CHECK(a->deadline <= heap_now);
	UNIT_CHECK(!timer_running(&a->timer));
	a->deadline = UINT64_MAX;
	a->fired++;
	for (int i = 0; i < 3; i++)
		random_step();
	check_heap(&heap);
}

static uint64_t
first_deadline(void)
{
	uint64_t first = UINT64_MAX;

	for (int i = 0; i < ALARMS; i++) {
		if (alarms[i].deadline < first)
			first = alarms[i].deadline;
	}
	return first;
}

START_TEST(test_heap_against_model)
{
	unsigned fired = 0;
	int64_t next;

	seed = (uint64_t)_i + 1;
	timer_heap_init(&heap);
	for (int i = 0; i < ALARMS; i++)
		alarms[i].deadline = UINT64_MAX;
	for (int round = 0; round < 4000; round++) {
		for (int i = 0; i < 3; i++)
			random_step();
		check_heap(&heap);
		heap_now += unit_random(&seed) % 8;
		next = timer_heap_run(&heap, heap_now);
		check_heap(&heap);
		/* Nothing that was due is left, and who waits is not told too late. */
		UNIT_CHECK(first_deadline() > heap_now);
		if (first_deadline() == UINT64_MAX)
			UNIT_CHECK(next == -1);
		else {
			UNIT_CHECK(next > 0);
			UNIT_CHECK(next <= (int64_t)(first_deadline() - heap_now));
		}
	}
	for (int i = 0; i < ALARMS; i++) {
		fired += alarms[i].fired;
		if (alarms[i].exists)
			timer_clear(&alarms[i].timer, &heap);
	}
	UNIT_CHECK(fired > 1000);
	UNIT_CHECK(heap.reserved == 0);
	timer_heap_clear(&heap);
}
END_TEST

static int order[16], order_used;

static void
on_order(void *arg)
{
	order[order_used++] = (int)(((struct timer *)arg)->deadline);
}

START_TEST(test_heap_order)
{
	static const int deadlines[] = { 50, 10, 70, 10, 30, 60, 20 };
	struct timer t[COUNT(deadlines)];

	timer_heap_init(&heap);
	for (int i = 0; i < COUNT(deadlines); i++)
		ck_assert_int_eq(timer_init(&t[i], &heap, on_order, &t[i]), FTX_OK);
	for (int i = 0; i < COUNT(deadlines); i++)
		timer_start(&t[i], &heap, (uint64_t)deadlines[i]);
	ck_assert_int_eq(timer_heap_run(&heap, 9), 1);
	ck_assert_int_eq(order_used, 0);
	ck_assert_int_eq(timer_heap_run(&heap, 10), 10);
	ck_assert_int_eq(order_used, 2);
	ck_assert_int_eq(timer_heap_run(&heap, 1000), -1);
	ck_assert_int_eq(order_used, COUNT(deadlines));
	for (int i = 1; i < order_used; i++)
		ck_assert_int_le(order[i - 1], order[i]);
	timer_heap_clear(&heap);
}
END_TEST

static int count_fired;

static void
on_count(void *arg)
{
	(void)arg;
	count_fired++;
}

START_TEST(test_heap_rearm_later_and_sooner)
{
	struct timer t, other;

	timer_heap_init(&heap);
	ck_assert_int_eq(timer_init(&t, &heap, on_count, NULL), FTX_OK);
	ck_assert_int_eq(timer_init(&other, &heap, on_count, NULL), FTX_OK);
	timer_start(&t, &heap, 100);
	timer_start(&other, &heap, 120);
	/* Later: it keeps its place (that is what makes it cheap), but not its time. */
	for (uint64_t at = 101; at <= 500; at++)
		timer_start(&t, &heap, at);
	ck_assert_uint_eq(t.key, 100);
	ck_assert_int_eq(timer_heap_run(&heap, 110), 10);
	ck_assert_int_eq(count_fired, 0);
	ck_assert_int_eq(timer_heap_run(&heap, 120), 380);
	ck_assert_int_eq(count_fired, 1); /* the other */
	ck_assert_int_eq(timer_heap_run(&heap, 499), 1);
	ck_assert_int_eq(count_fired, 1);
	/* Sooner counts at once, also than a place that it kept. */
	timer_start(&t, &heap, 900);
	timer_start(&t, &heap, 600);
	timer_start(&t, &heap, 550);
	ck_assert_int_eq(timer_heap_run(&heap, 549), 1);
	ck_assert_int_eq(timer_heap_run(&heap, 550), -1);
	ck_assert_int_eq(count_fired, 2);
	/* A stop takes it out for good. */
	timer_start(&t, &heap, 600);
	timer_stop(&t, &heap);
	timer_stop(&t, &heap);
	ck_assert_int_eq(timer_heap_run(&heap, 10000), -1);
	ck_assert_int_eq(count_fired, 2);
	timer_clear(&t, &heap);
	timer_clear(&t, &heap);
	timer_heap_clear(&heap);
}
END_TEST

START_TEST(test_heap_zeroed_timer_can_be_cleared)
{
	struct timer t;

	memset(&t, 0, sizeof(t));
	timer_heap_init(&heap);
	timer_clear(&t, &heap);
	ck_assert_uint_eq(heap.reserved, 0);
	timer_heap_clear(&heap);
}
END_TEST

/* On the heap, to be freed while it fires: so that a sanitizer sees who looks at it later. */
struct mortal {
	struct timer timer;
	struct mortal *victim;
};

static int deaths;

static void
on_mortal(void *arg)
{
	struct mortal *m = arg;

	if (m->victim != NULL) {
		timer_clear(&m->victim->timer, &heap);
		free(m->victim);
		deaths++;
	}
	timer_clear(&m->timer, &heap);
	free(m);
	deaths++;
}

START_TEST(test_heap_freed_while_firing)
{
	struct mortal *m[8];

	timer_heap_init(&heap);
	for (int i = 0; i < COUNT(m); i++) {
		m[i] = calloc(1, sizeof(*m[i]));
		ck_assert_ptr_nonnull(m[i]);
		ck_assert_int_eq(timer_init(&m[i]->timer, &heap, on_mortal, m[i]), FTX_OK);
		timer_start(&m[i]->timer, &heap, 10 + (uint64_t)i % 2);
	}
	/* Each of the first takes one with it that is due now, or a moment later. */
	for (int i = 0; i < 4; i++)
		m[2 * i]->victim = m[2 * i + 1];
	ck_assert_int_eq(timer_heap_run(&heap, 20), -1);
	ck_assert_int_eq(deaths, 8);
	ck_assert_uint_eq(heap.reserved, 0);
	timer_heap_clear(&heap);
}
END_TEST

/* So far away that the wait for it does not fit: a long wait, not none and not an end of it. */
START_TEST(test_heap_far_away)
{
	static const struct {
		uint64_t deadline, now;
		int64_t wait;
	} cases[] = {
		{ 10, 3, 7 },
		{ 3, 10, 0 },
		{ INT64_MAX, 0, INT64_MAX },
		{ (uint64_t)INT64_MAX + 1, 1, INT64_MAX },
		{ (uint64_t)INT64_MAX + 1, 0, INT64_MAX },
		{ UINT64_MAX, 1000, INT64_MAX },
		{ UINT64_MAX, UINT64_MAX - 5, 5 },
	};
	struct alarm a = { 0 };

	for (int i = 0; i < COUNT(cases); i++)
		ck_assert_int_eq(timer_wait(cases[i].deadline, cases[i].now), cases[i].wait);
	timer_heap_init(&heap);
	ck_assert_int_eq(timer_init(&a.timer, &heap, on_alarm, &a), FTX_OK);
	timer_start(&a.timer, &heap, UINT64_MAX);
	ck_assert_int_eq(timer_heap_run(&heap, 1000), INT64_MAX);
	ck_assert_uint_eq(a.fired, 0);
	timer_clear(&a.timer, &heap);
	timer_heap_clear(&heap);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "heap");

	tcase_add_loop_test(tc, test_heap_against_model, 0, 8);
	tcase_add_test(tc, test_heap_order);
	tcase_add_test(tc, test_heap_rearm_later_and_sooner);
	tcase_add_test(tc, test_heap_zeroed_timer_can_be_cleared);
	tcase_add_test(tc, test_heap_freed_while_firing);
	tcase_add_test(tc, test_heap_far_away);
}

int
main(void)
{
	return unit_run("timer", add_cases);
}
