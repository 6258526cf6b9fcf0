#include "loop/timer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
timer_heap_init(struct timer_heap *h)
{
	memset(h, 0, sizeof(*h));
}

void
timer_heap_clear(struct timer_heap *h)
{
	free(h->slots);
	memset(h, 0, sizeof(*h));
}

static void
heap_place(struct timer_heap *h, size_t i, struct timer *t)
{
	h->slots[i] = t;
	t->slot = i + 1;
}

static void
heap_up(struct timer_heap *h, size_t i)
{
	struct timer *t = h->slots[i];

	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (h->slots[parent]->key <= t->key)
			break;
		heap_place(h, i, h->slots[parent]);
		i = parent;
	}
	heap_place(h, i, t);
}

static void
heap_down(struct timer_heap *h, size_t i)
{
	struct timer *t = h->slots[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->used)
			break;
		if (child + 1 < h->used && h->slots[child + 1]->key < h->slots[child]->key)
			child++;
		if (t->key <= h->slots[child]->key)
			break;
		heap_place(h, i, h->slots[child]);
		i = child;
	}
	heap_place(h, i, t);
}

static void
heap_remove(struct timer_heap *h, struct timer *t)
{
	size_t i = t->slot - 1;
	struct timer *last = h->slots[--h->used];

	t->slot = 0;
	if (last == t)
		return;
	heap_place(h, i, last);
	heap_up(h, i);
	heap_down(h, last->slot - 1);
}

enum ftx_rc
timer_init(struct timer *t, struct timer_heap *h, void (*fire)(void *), void *arg)
{
	if (h->reserved == h->size) {
		size_t size = h->size == 0 ? 16 : h->size * 2;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
		struct timer **slots = realloc(h->slots, size * sizeof(*slots));

		if (slots == NULL)
			return FTX_NOMEM;
		h->slots = slots;
		h->size = size;
	}
	h->reserved++;
	*t = (struct timer){ .fire = fire, .arg = arg };
	return FTX_OK;
}

void
timer_clear(struct timer *t, struct timer_heap *h)
{
	if (t->fire == NULL)
		return;
	timer_stop(t, h);
	t->fire = NULL;
	h->reserved--;
}

void
timer_start(struct timer *t, struct timer_heap *h, uint64_t deadline)
{
	assert(t->fire != NULL); /* between init and clear only: else it would outlive its memory */
	t->deadline = deadline;
	if (t->slot == 0) {
		t->key = deadline;
		h->slots[h->used] = t;
		heap_up(h, h->used++);
	} else if (deadline < t->key) {
		t->key = deadline;
		heap_up(h, t->slot - 1);
	}
	/* Later than its key: it keeps its place until that comes up. */
}

void
timer_stop(struct timer *t, struct timer_heap *h)
{
	if (t->slot != 0)
		heap_remove(h, t);
}

bool
timer_running(const struct timer *t)
{
	return t->slot != 0;
}

int64_t
timer_wait(uint64_t deadline, uint64_t now)
{
	uint64_t ms = deadline > now ? deadline - now : 0;

	return ms < INT64_MAX ? (int64_t)ms : INT64_MAX;
}

int64_t
timer_heap_run(struct timer_heap *h, uint64_t now)
{
	while (h->used > 0 && h->slots[0]->key <= now) {
		struct timer *t = h->slots[0];

		if (t->deadline > now) {
			t->key = t->deadline;
			heap_down(h, 0);
			continue;
		}
		heap_remove(h, t);
		t->fire(t->arg);
	}
	if (h->used == 0)
		return -1;
	return timer_wait(h->slots[0]->key, now);
}
