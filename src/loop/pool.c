#include "loop/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

/*
 * Each share of the threads has one that is kept for it. Where there are fewer threads than lanes,
 * lanes have a share in common: LONG has one without those whose end a peer waits for, as soon as
 * there are three.
 */
static const unsigned char shares[POOL_LANE_COUNT + 1][POOL_LANE_COUNT] = {
	/* OPEN, WRITE, COMMIT, BULK, SYNC, LONG */
	[2] = { 0, 0, 0, 1, 0, 1 },
	[3] = { 0, 0, 0, 1, 0, 2 },
	[4] = { 0, 0, 1, 2, 1, 3 },
	[5] = { 0, 0, 1, 2, 3, 4 },
	[6] = { 0, 1, 2, 3, 4, 5 },
};

struct pool {
	pthread_mutex_t lock; /* guards all below; held for a few instructions only */
	pthread_cond_t work;
	struct pool_jobs lanes[POOL_LANE_COUNT];
	unsigned queued;                   /* jobs in all lanes */
	unsigned running[POOL_LANE_COUNT]; /* threads at work for each lane */
	unsigned sharing[POOL_LANE_COUNT]; /* and for each share */
	unsigned busy;                     /* and for any */
	unsigned threads, max;             /* that there are, and may be */
	unsigned idle, woken;              /* that sleep; of these, were told to get up */
	unsigned max_long;                 /* threads for LONG */
	unsigned share_count;
	const unsigned char *share_of; /* static: a row of shares */
	bool stopping;
	pthread_t tids[POOL_THREADS_MAX];
};

/*
 * Whether the first job of a lane may have a thread: as long as one is left for each other share
 * that has none at work.
 */
static bool
lane_may_run(const struct pool *p, enum pool_lane lane)
{
	const struct pool_job *job = STAILQ_FIRST(&p->lanes[lane]);
	unsigned kept = 0;

	if (job == NULL || (job->batch != NULL && p->running[lane] >= job->batch->threads))
		return false;
	if (lane == POOL_LONG && p->running[POOL_LONG] >= p->max_long)
		return false;
	for (unsigned share = 0; share < p->share_count; share++) {
		if (share != p->share_of[lane] && p->sharing[share] == 0)
			kept++;
	}
	return p->busy + kept < p->max;
}

/* The first lane with a job that may run; POOL_LANE_COUNT: there is none. The lock is held. */
static enum pool_lane
find_lane(const struct pool *p)
{
	enum pool_lane lane = 0;

	while (lane < POOL_LANE_COUNT && (STAILQ_EMPTY(&p->lanes[lane]) || !lane_may_run(p, lane)))
		lane++;
	return lane;
}

/* How many jobs of the lane can go with its first one. */
static unsigned
count_together(const struct pool_jobs *lane)
{
	const struct pool_job *job = STAILQ_FIRST(lane);
	const struct pool_batch *batch = job->batch;
	unsigned n = 0;

	if (batch == NULL)
		return 1;
	for (; job != NULL && n < batch->max; job = STAILQ_NEXT(job, link))
		n += job->batch == batch ? 1 : 0;
	return n >= batch->min ? n : 1;
}

/*
 * Moves the first job of the lane to `taken`, with those that go with it; the lock is held. True:
 * it has a batch.
 */
static bool
take_jobs(struct pool *p, enum pool_lane lane, struct pool_jobs *taken)
{
	struct pool_jobs left = STAILQ_HEAD_INITIALIZER(left);
	unsigned n = count_together(&p->lanes[lane]);
	const struct pool_batch *batch = STAILQ_FIRST(&p->lanes[lane])->batch;

	p->queued -= n;
	while (n > 0) {
		struct pool_job *job = STAILQ_FIRST(&p->lanes[lane]);

		STAILQ_REMOVE_HEAD(&p->lanes[lane], link);
		if (job->batch == batch) {
			STAILQ_INSERT_TAIL(taken, job, link);
			n--;
		} else
			STAILQ_INSERT_TAIL(&left, job, link);
	}
	STAILQ_CONCAT(&left, &p->lanes[lane]);
	STAILQ_CONCAT(&p->lanes[lane], &left);
	return batch != NULL;
}

static void
count_running(struct pool *p, enum pool_lane lane, int by)
{
	p->running[lane] += (unsigned)by;
	p->sharing[p->share_of[lane]] += (unsigned)by;
	p->busy += (unsigned)by;
}

static void
on_mail(struct mail *m)
{
	struct pool_job *job = (struct pool_job *)m; /* mail is its first member */
	struct worker *w = job->worker;

	job->done(job);
	worker_release(w);
}

static void
run_jobs(struct pool_jobs *jobs)
{
	struct pool_job *job = STAILQ_FIRST(jobs);

	assert(job != NULL);
	if (STAILQ_NEXT(job, link) == NULL)
		job->run(job);
	else
		job->batch->run(jobs);
	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, link);
		worker_post(job->worker, &job->mail); /* the job is the worker's from here on */
	}
}

static bool pool_wake(struct pool *p);

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
		enum pool_lane lane = find_lane(p);
		bool more;

		if (lane == POOL_LANE_COUNT) {
			if (p->stopping && p->queued == 0)
				break;
			p->idle++;
			pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
			p->woken -= p->woken > 0 ? 1 : 0;
			continue;
		}
		more = take_jobs(p, lane, &jobs);
		count_running(p, lane, 1);
		/*
		 * Nobody is woken for what may not run yet when it comes: what stands behind a
		 * batch that is at work. Now it may.
		 */
		more = more && find_lane(p) != POOL_LANE_COUNT && pool_wake(p);
		pthread_mutex_unlock(&p->lock);
		if (more)
			pthread_cond_signal(&p->work);
		run_jobs(&jobs);
		pthread_mutex_lock(&p->lock);
		count_running(p, lane, -1);
	}
	/* At the end others may sleep because the last jobs were not for them: they end, too. */
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* One more thread, which takes no signals: those are the loop's. The lock is held. */
static bool
pool_grow(struct pool *p)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&p->tids[p->threads], NULL, pool_thread, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		return false;
	p->threads++;
	return true;
}

enum ftx_rc
pool_new(struct pool **out, unsigned threads)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return FTX_NOMEM;
	if (threads < POOL_THREADS_MIN)
		threads = POOL_THREADS_MIN;
	if (threads > POOL_THREADS_MAX)
		threads = POOL_THREADS_MAX;
	p->max = threads;
	p->max_long = threads > 2 ? threads / 2 : 1;
	p->share_count = threads < POOL_LANE_COUNT ? threads : POOL_LANE_COUNT;
	p->share_of = shares[p->share_count];
	for (int lane = 0; lane < POOL_LANE_COUNT; lane++)
		STAILQ_INIT(&p->lanes[lane]);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	/* One thread from the start: with none, a job could never run. */
	pthread_mutex_lock(&p->lock);
	if (!pool_grow(p)) {
		pthread_mutex_unlock(&p->lock);
		pool_free(p);
		return FTX_NOMEM;
	}
	pthread_mutex_unlock(&p->lock);
	*out = p;
	return FTX_OK;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->tids[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/*
 * A thread for a job that may run: one that sleeps, or a new one; if there is neither, all are at
 * work or about to look for some. True: it sleeps, and the caller is to signal, without the lock,
 * which it needs to get up.
 */
static bool
pool_wake(struct pool *p)
{
	if (p->idle > p->woken) {
		p->woken++;
		return true;
	}
	if (p->threads < p->max && !pool_grow(p))
		log_warn("cannot start another thread; %u do the work", p->threads);
	return false;
}

/*
 * The lock is held. A thread for each job, but one for as many as will go together. Returns how
 * many are to be signalled.
 */
static unsigned
queue_jobs(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_jobs *jobs)
{
	unsigned wakes = 0, batched = 0, seen = 0;
	struct pool_job *job;

	STAILQ_FOREACH (job, jobs, link) {
		/* cppcheck-suppress uninitvar; STAILQ_FOREACH sets it */
		batched += job->batch != NULL ? 1 : 0;
	}
	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, link);
		job->worker = w;
		job->lane = lane;
		job->mail.deliver = on_mail;
		worker_hold(w);
		STAILQ_INSERT_TAIL(&p->lanes[lane], job, link);
		p->queued++;
		if (job->batch != NULL && batched >= job->batch->min &&
		    seen++ % job->batch->max != 0)
			continue;
		/*
		 * What may not run yet waits for a thread to come back, and that one looks for
		 * work, for itself and for another one.
		 */
		wakes += lane_may_run(p, lane) && pool_wake(p) ? 1 : 0;
	}
	return wakes;
}

void
pool_submit_all(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_jobs *jobs)
{
	unsigned wakes;

	pthread_mutex_lock(&p->lock);
	wakes = queue_jobs(p, w, lane, jobs);
	pthread_mutex_unlock(&p->lock);
	for (; wakes > 0; wakes--)
		pthread_cond_signal(&p->work);
}

void
pool_submit(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_job *job)
{
	struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);

	STAILQ_INSERT_TAIL(&jobs, job, link);
	pool_submit_all(p, w, lane, &jobs);
}
