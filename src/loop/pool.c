#include "loop/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

STAILQ_HEAD(pool_queue, pool_job);

struct pool {
	pthread_mutex_t lock; /* guards all below; held for a few instructions only */
	pthread_cond_t work;
	struct pool_queue lanes[POOL_LANE_COUNT];
	unsigned running[POOL_LANE_COUNT]; /* threads at work for each lane */
	unsigned queued;                   /* jobs in all lanes */
	unsigned threads, idle, max;       /* that there are, that sleep, that there may be */
	unsigned max_long;                 /* threads for LONG */
	bool stopping;
	pthread_t tids[POOL_THREADS_MAX];
};

/*
 * One thread is kept from BULK and LONG together, so that an OPEN job never waits for them; and one
 * from OPEN, less what LONG has, so that content moves however many peers ask for something, or
 * wait for their commit.
 */
static bool
lane_may_run(const struct pool *p, enum pool_lane lane)
{
	const unsigned *n = p->running;

	if (lane == POOL_OPEN)
		return n[POOL_OPEN] == 0 || n[POOL_OPEN] + n[POOL_LONG] < p->max - 1;
	if (lane == POOL_LONG && n[POOL_LONG] >= p->max_long)
		return false;
	return n[POOL_BULK] + n[POOL_LONG] < p->max - 1;
}

/* The next job that its lane's limit allows; the lock is held. */
static struct pool_job *
pool_take(struct pool *p)
{
	for (enum pool_lane lane = 0; lane < POOL_LANE_COUNT; lane++) {
		struct pool_job *job = STAILQ_FIRST(&p->lanes[lane]);

		if (job == NULL || !lane_may_run(p, lane))
			continue;
		STAILQ_REMOVE_HEAD(&p->lanes[lane], link);
		p->queued--;
		p->running[lane]++;
		return job;
	}
	return NULL;
}

static void
on_mail(struct mail *m)
{
	struct pool_job *job = (struct pool_job *)m; /* mail is its first member */
	struct worker *w = job->worker;

	job->done(job);
	worker_release(w);
}

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job *job = pool_take(p);
		enum pool_lane lane;

		if (job == NULL) {
			if (p->stopping && p->queued == 0)
				break;
			p->idle++;
			pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
			continue;
		}
		lane = job->lane;
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		worker_post(job->worker, &job->mail); /* the job is the worker's from here on */
		pthread_mutex_lock(&p->lock);
		p->running[lane]--;
		/*
		 * This thread takes one of the jobs that wait; another may have become free to run,
		 * too.
		 */
		if (p->idle > 0 && p->queued > 1)
			pthread_cond_signal(&p->work);
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

void
pool_submit(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_job *job)
{
	job->worker = w;
	job->lane = lane;
	job->mail.deliver = on_mail;
	worker_hold(w);
	pthread_mutex_lock(&p->lock);
	STAILQ_INSERT_TAIL(&p->lanes[lane], job, link);
	p->queued++;
	if (p->idle > 0)
		pthread_cond_signal(&p->work);
	/*
	 * A thread that was woken for an earlier job still counts as idle: its job is still queued.
	 */
	if (p->queued > p->idle && p->threads < p->max && !pool_grow(p))
		log_warn("cannot start another thread; %u do the work", p->threads);
	pthread_mutex_unlock(&p->lock);
}
