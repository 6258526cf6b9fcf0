/*
 * counters.h - what one worker's loop has done, for tests and for whoever asks where time goes.
 * Layer: loop. Threads: the worker's own; others may read them once its thread has been joined.
 * Tests: tests/unit/test_counters.c, tests/system/test_workers.py
 *
 * A byte of content is counted once, when it has moved, by the way that it took.
 */
#ifndef LOOP_COUNTERS_H
#define LOOP_COUNTERS_H

#include <stdint.h>

enum counter {
	COUNT_TURNS,         /* of the loop */
	COUNT_LONGEST_TURN,  /* microseconds, see worker_begin_turn() */
	COUNT_CONNECTIONS,   /* that this worker has served */
	COUNT_HANDED_OVER,   /* that it accepted, and another one served */
	COUNT_SENDFILE,      /* bytes sent from the page cache: sendfile(2) */
	COUNT_COPY_SENT,     /* bytes sent through our memory */
	COUNT_COPY_RECEIVED, /* bytes received, and written through the page cache */
	COUNT_SPLICE,        /* bytes received, and written without a copy: splice(2) */
	COUNT_DIRECT,        /* bytes received, and written past the page cache: O_DIRECT */
	COUNTERS
};

struct counters {
	uint64_t value[COUNTERS];
};

static inline void
counters_add(struct counters *c, enum counter which, uint64_t n)
{
	c->value[which] += n;
}

/* For one that keeps the largest of what it is told. */
static inline void
counters_raise(struct counters *c, enum counter which, uint64_t n)
{
	if (n > c->value[which])
		c->value[which] = n;
}

/* The name that a line of the log has for it. */
const char *counter_name(enum counter which);
/* One debug line, `worker N: NAME=VALUE ...`, of all of them. */
void counters_log(const struct counters *c, unsigned worker);

#endif
