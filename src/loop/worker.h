/*
 * worker.h - one thread's event loop: its event_base, timers, mailbox and graveyard.
 * Layer: loop. Threads: everything here belongs to the worker's thread, but worker_post(). That is
 * the one that runs it; until it runs, the one that made it, and after worker_join() the one that
 * called this.
 * Tests: tests/unit/test_loop.c, tests/unit/test_worker_threads.c
 *
 * A base that the worker makes has no locks, and nor has anything on it: what another thread has to
 * say comes by mail.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/rc.h"
#include "loop/timer.h"
#include "loop/work.h"

struct chunk_cache;
struct content_pipe;
struct counters;
struct event_base;
struct worker;

/* Memory that waits for the end of the loop turn; embedded in what is to be freed. */
struct grave {
	STAILQ_ENTRY(grave) link;
	void (*reap)(struct grave *g); /* frees it; called outside any other callback */
};

/* A message from another thread; embedded, so that posting never allocates. */
struct mail {
	STAILQ_ENTRY(mail) link;
	void (*deliver)(struct mail *m); /* on the worker's thread */
};

/* base: borrowed, the caller runs it; NULL: the worker makes and owns one. */
enum ftx_rc worker_new(struct worker **out, struct event_base *base) FTX_MUST_CHECK;
/*
 * Delivers what is still in the mailbox, reaps the graveyard, frees. All timers must have been
 * cleared. NULL is allowed.
 */
void worker_free(struct worker *w);

struct event_base *worker_base(struct worker *w);
/* What the loop has done (loop/counters.h). */
struct counters *worker_counters(struct worker *w);
/*
 * First thing in each callback of an event on the base: the worker is awake. The first one of a
 * turn notes the time, and the turn is as long as from there to its end. So what it counts is the
 * work of callbacks, and what waits in them; not the wait for events, and not what libevent does by
 * itself before it calls anybody.
 */
void worker_begin_turn(struct worker *w);
/* Whether there is a queue for the following: not on a base that the caller runs. */
bool worker_queues(const struct worker *w);
/*
 * The piece of work is done after all callbacks of this turn, or of a later one (loop/work). False:
 * there is no queue, and it is to be done now.
 */
bool worker_later(struct worker *w, struct work *work);
/* Idempotent. */
void worker_not_later(struct worker *w, struct work *work);

/* Runs until worker_stop(). FTX_IO when the base fails. */
enum ftx_rc worker_run(struct worker *w) FTX_MUST_CHECK;
/* One turn: waits for the first event, or not at all. For tests and for draining at the end. */
void worker_turn(struct worker *w, bool wait);
void worker_stop(struct worker *w);
/* Runs until worker_stop(), and then until nothing is held any more. FTX_IO when the base fails. */
enum ftx_rc worker_serve(struct worker *w) FTX_MUST_CHECK;
/* worker_serve() on a thread of its own, which takes no signals. FTX_NOMEM: there is none. */
enum ftx_rc worker_start(struct worker *w) FTX_MUST_CHECK;
/* Waits for its end; the result is worker_serve()'s. FTX_OK at once if there is no thread. */
enum ftx_rc worker_join(struct worker *w) FTX_MUST_CHECK;

/* Now, in ms of base/clock. Asks the clock each time: a callback may have taken long. */
uint64_t worker_now(struct worker *w);

enum ftx_rc worker_timer_init(
    struct worker *w, struct timer *t, void (*fire)(void *), void *arg) FTX_MUST_CHECK;
void worker_timer_clear(struct worker *w, struct timer *t);
/* Due at `deadline` (ms of base/clock); moves a running one. */
void worker_timer_start(struct worker *w, struct timer *t, uint64_t deadline);
void worker_timer_stop(struct worker *w, struct timer *t);
/* Tests, after moving the clock: fires what is due now. */
void worker_run_timers(struct worker *w);

/* Frees g at the end of this turn. */
void worker_bury(struct worker *w, struct grave *g);

/*
 * From any thread: m->deliver runs on w's thread, in the order in which a thread has posted. m is
 * borrowed until then.
 */
void worker_post(struct worker *w, struct mail *m);

/* On w's own thread: m->deliver runs later in this turn, before the loop waits again. */
void worker_soon(struct worker *w, struct mail *m);

/*
 * Memory for content: a piece of a large file (CHUNK_SIZE), or all of a small one
 * (CHUNK_SMALL_SIZE); and a pipe for what needs none. On the worker's thread.
 */
struct chunk_cache *worker_chunks(struct worker *w);
struct chunk_cache *worker_small_chunks(struct worker *w);
struct content_pipe *worker_pipe(struct worker *w);

/*
 * Counts work that was begun elsewhere (jobs in the pool) and has not come back yet: the worker
 * must outlive it. On the worker's thread only.
 */
void worker_hold(struct worker *w);
void worker_release(struct worker *w);
/* The number of holds. */
unsigned worker_held(const struct worker *w);

#endif
