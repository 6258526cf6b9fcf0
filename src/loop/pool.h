/*
 * pool.h - threads for what may block (disks, resolvers), so that no event loop ever waits.
 * Layer: loop. Threads: pool_submit() on any worker; run() on a pool thread; done() on the job's
 * worker.
 * Tests: tests/unit/test_pool.c, test_pool_lanes.c, test_pool_batch.c
 *
 * Six lanes share the threads, in this order: OPEN is what a peer waits for (open, reserve); WRITE
 * makes small files; COMMIT gives receipts; BULK moves content; SYNC makes a large file durable;
 * LONG does what takes seconds. With POOL_THREADS_APART threads or more, each always has one, so
 * that none waits for another; the rest is for whoever comes first. With 5, OPEN and WRITE have one
 * in common; with 4, COMMIT and SYNC another; with 3, these four have one; with 2, BULK and LONG
 * have the other. Threads start when there is work for them, and sleep without a timer.
 */
#ifndef LOOP_POOL_H
#define LOOP_POOL_H

#include <sys/queue.h>

#include "base/rc.h"
#include "loop/worker.h"

enum pool_lane {
	POOL_OPEN,
	POOL_WRITE,
	POOL_COMMIT,
	POOL_BULK,
	POOL_SYNC,
	POOL_LONG,
	POOL_LANE_COUNT
};

#define POOL_THREADS_MIN   2
#define POOL_THREADS_MAX   64
#define POOL_THREADS_APART POOL_LANE_COUNT

STAILQ_HEAD(pool_jobs, pool_job);

/*
 * Jobs that are done together where enough of them wait in a lane: so what comes while all threads
 * that it may have are at work is done at once afterwards. Nothing ever waits for more to come.
 */
struct pool_batch {
	unsigned threads;  /* that the lane may have at work when another of these begins */
	unsigned min, max; /* fewer run by themselves; more wait for the next time */
	/* On a pool thread, instead of each one's run(), in their order. The list is the pool's. */
	void (*run)(const struct pool_jobs *jobs);
};

/*
 * Embedded in the operation it carries out. The submitter fills run, done and batch; the job is the
 * pool's from pool_submit() until done() is called, and its memory must stay until then, whatever
 * became of the peer.
 */
struct pool_job {
	struct mail mail; /* how it comes home */
	STAILQ_ENTRY(pool_job) link;
	struct worker *worker; /* borrowed: where done() runs; held until then */
	enum pool_lane lane;
	const struct pool_batch *batch; /* static; NULL: it always runs by itself */
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
/*
 * All of the list, which is empty afterwards, before a thread takes the first of them. Those that
 * have a batch have the same one.
 */
void pool_submit_all(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_jobs *jobs);

#endif
