#include "stammer/latency.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum ftx_rc
latency_init(struct latency *l, uint64_t ms)
{
	memset(l, 0, sizeof(*l));
	if (ms == 0)
		return FTX_OK;
	l->ms = ms;
	l->size = (size_t)ms + 2;
	l->marks = calloc(l->size, sizeof(*l->marks));
	return l->marks != NULL ? FTX_OK : FTX_NOMEM;
}

void
latency_clear(struct latency *l)
{
	free(l->marks);
	memset(l, 0, sizeof(*l));
}

static struct latency_mark *
mark_at(struct latency *l, size_t i)
{
	return &l->marks[(l->head + i) % l->size];
}

void
latency_add(struct latency *l, size_t bytes)
{
	uint64_t due = clock_now_ms() + l->ms;

	if (l->ms == 0)
		return;
	latency_ripen(l); /* so that there is room for one more */
	if (l->count == 0 || mark_at(l, l->count - 1)->due != due) {
		*mark_at(l, l->count) = (struct latency_mark){ .due = due };
		l->count++;
	}
	mark_at(l, l->count - 1)->bytes += bytes;
	l->held += bytes;
}

void
latency_end(struct latency *l)
{
	if (l->ms > 0)
		l->end_due = clock_now_ms() + l->ms;
}

void
latency_ripen(struct latency *l)
{
	uint64_t now = clock_now_ms();

	while (l->count > 0 && mark_at(l, 0)->due <= now) {
		l->held -= mark_at(l, 0)->bytes;
		l->head = (l->head + 1) % l->size;
		l->count--;
	}
	if (l->end_due <= now)
		l->end_due = 0;
}

uint64_t
latency_wait(const struct latency *l)
{
	uint64_t now = clock_now_ms();
	uint64_t due = l->count > 0 ? l->marks[l->head].due : l->end_due;

	return due > now ? due - now : 0;
}
