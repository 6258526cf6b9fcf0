/*
 * pool.h - threads for what may block (disks, resolvers), so that no event loop ever waits.
 * Layer: loop. Threads: pool_submit() on any worker; run() on a pool thread; done() on the job's
 * worker.
 * Tests: tests/unit/test_pool.c
 *
 * Three lanes share the threads. OPEN takes what a peer waits for (open, reserve, commit) and goes
 * first; BULK moves content and LONG does what takes seconds; both together never take all threads,
 * and neither does OPEN. Threads start when there is work for them, and sleep without a timer.
 */
#ifndef LOOP_POOL_H
#define LOOP_POOL_H

#include <sys/queue.h>

#include "base/rc.h"
#include "loop/worker.h"

enum pool_lane { POOL_OPEN, POOL_BULK, POOL_LONG, POOL_LANE_COUNT };

#define POOL_THREADS_MIN 2
#define POOL_THREADS_MAX 64

/*
 * Embedded in the operation it carries out. The submitter fills run and done; the job is the pool's
 * from pool_submit() until done() is called, and its memory must stay until then, whatever became
 * of the peer.
 */
struct pool_job {
	struct mail mail; /* how it comes home */
	STAILQ_ENTRY(pool_job) link;
	struct worker *worker; /* borrowed: where done() runs; held until then */
	enum pool_lane lane;
	/* On a pool thread. May block; must use nothing that belongs to the worker's thread. */
	void (*run)(struct pool_job *job);
	/* On the worker's thread, never within pool_submit(). May free or submit the job again. */
	void (*done)(struct pool_job *job);
};

struct pool;

/* threads: how many at most; raised to POOL_THREADS_MIN or cut to POOL_THREADS_MAX. FTX_NOMEM. */
enum ftx_rc pool_new(struct pool **out, unsigned threads) FTX_MUST_CHECK;
/*
 * Runs all jobs that were submitted, joins the threads. Their done() comes by mail afterwards, so
 * the workers are freed later than the pool. NULL is allowed.
 */
void pool_free(struct pool *p);
/* On w's thread. Cannot fail: the job brings its own memory, and one thread is always there. */
void pool_submit(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_job *job);

#endif
