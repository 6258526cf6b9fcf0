/*
 * timer.h - deadlines in our own clock (base/clock), so that a test can move time.
 * Layer: loop. Threads: the worker's own.
 * Tests: tests/unit/test_timer.c
 *
 * A binary heap of embedded timers. Moving a deadline later costs nothing: the timer keeps its
 * place and is put right when it comes up (connections re-arm theirs at every read).
 */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

/* Embedded in what it wakes; timer_init() before use, timer_clear() before its memory goes. */
struct timer {
	void (*fire)(void *arg); /* may start, stop or free any timer, this one included */
	void *arg;               /* borrowed */
	uint64_t deadline;       /* ms of base/clock: when it is due */
	uint64_t key;            /* ms: what it is sorted by, never later than deadline */
	size_t slot;             /* 1-based place in the heap; 0: not running */
};

struct timer_heap {
	struct timer **slots; /* owned array of borrowed timers; slots[0] is the first due */
	size_t used, size;
	size_t reserved; /* timers between init and clear; size is never less */
};

void timer_heap_init(struct timer_heap *h);
void timer_heap_clear(struct timer_heap *h);
/* Runs what is due at `now`. Returns the ms until the next one, or -1 when none runs. */
int64_t timer_heap_run(struct timer_heap *h, uint64_t now);

/* How long to wait for that time, ms, from 0 to INT64_MAX. */
int64_t timer_wait(uint64_t deadline, uint64_t now);

/* Takes a place in the heap for the timer's whole life, so that starting it can never fail. */
enum ftx_rc timer_init(
    struct timer *t, struct timer_heap *h, void (*fire)(void *), void *arg) FTX_MUST_CHECK;
/* Gives the place back; stops it first. Tolerates a timer that is all zero. */
void timer_clear(struct timer *t, struct timer_heap *h);
/* deadline: ms of base/clock. A timer that runs already is moved. */
void timer_start(struct timer *t, struct timer_heap *h, uint64_t deadline);
void timer_stop(struct timer *t, struct timer_heap *h);
bool timer_running(const struct timer *t);

#endif
