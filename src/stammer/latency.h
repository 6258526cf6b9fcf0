/*
 * latency.h - when what has been read may be sent on: a time after it came, in the order in which
 * it came.
 * Layer: stammer. Pure, but for memory. Threads: the loop's. Tests: tests/unit/test_latency.c
 */
#ifndef STAMMER_LATENCY_H
#define STAMMER_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

/* Bytes that came in the same millisecond. */
struct latency_mark {
	uint64_t due; /* ms of base/clock */
	size_t bytes;
};

/* Embedded in a direction; latency_init() to latency_clear(). All zero is legal to clear. */
struct latency {
	uint64_t ms; /* 0: everything may go at once, and nothing is kept */
	/* Owned, a ring of `size`: one for each millisecond of those that have not passed. */
	struct latency_mark *marks;
	size_t size, head, count;
	size_t held; /* bytes of all marks */
	uint64_t end_due;
};

#define LATENCY_MAX_MS 10000

/* ms: at most LATENCY_MAX_MS. FTX_NOMEM. */
enum ftx_rc latency_init(struct latency *l, uint64_t ms) FTX_MUST_CHECK;
void latency_clear(struct latency *l);

/* So many bytes have come; the source's end has. */
void latency_add(struct latency *l, size_t bytes);
void latency_end(struct latency *l);
/* Lets go of what is due. What is still held: l->held. */
void latency_ripen(struct latency *l);
/* ms until the next bytes are due, or the end once nothing else is held; 0: nothing to wait for. */
uint64_t latency_wait(const struct latency *l);

#endif
