/*
 * upkeep.h - what is kept of uploads goes when its time is over: looked at from time to time, while
 * anything is.
 * Layer: daemon. Threads: the worker's.
 * Tests: tests/unit/test_upkeep.c
 */
#ifndef DAEMON_UPKEEP_H
#define DAEMON_UPKEEP_H

#include <stdbool.h>

#include "base/rc.h"
#include "loop/pool.h"
#include "loop/timer.h"

struct root;
struct worker;

/* How often. */
#define UPKEEP_MS ((uint64_t)60 * 1000)

/* Embedded; all zero: not begun. */
struct upkeep {
	struct pool_job job;   /* the first member */
	struct root *root;     /* borrowed, as what follows; all outlive it */
	struct worker *worker; /* NULL: not begun */
	struct pool *pool;
	struct timer timer;
	bool stopped;
};

/* Begins at once if there is anything. FTX_NOMEM. */
enum ftx_rc upkeep_start(
    struct upkeep *k, struct root *r, struct worker *w, struct pool *pool) FTX_MUST_CHECK;
/* A look that is under way ends by itself. */
void upkeep_stop(struct upkeep *k);
/* After that, and when the pool is gone. Idempotent. */
void upkeep_clear(struct upkeep *k);

#endif
