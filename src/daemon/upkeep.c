#include "daemon/upkeep.h"

#include <time.h>

#include "loop/worker.h"
#include "store/root.h"
#include "store/uploads.h"

static void
run(struct pool_job *job)
{
	const struct upkeep *k = (struct upkeep *)job; /* its first member */
	time_t now = time(NULL);

	uploads_expire(k->root->uploads, now > 0 ? (uint64_t)now : 0);
}

static void
look_later(void *arg)
{
	struct upkeep *k = arg;

	if (!k->stopped)
		worker_timer_start(k->worker, &k->timer, worker_now(k->worker) + UPKEEP_MS);
}

/* Nobody is woken while there is nothing to look at. */
static void
done(struct pool_job *job)
{
	struct upkeep *k = (struct upkeep *)job;

	if (!k->stopped)
		uploads_watch(k->root->uploads, k->worker, look_later, k);
}

static void
look(void *arg)
{
	struct upkeep *k = arg;

	k->job.run = run;
	k->job.done = done;
	pool_submit(k->pool, k->worker, POOL_LONG, &k->job);
}

enum ftx_rc
upkeep_start(struct upkeep *k, struct root *r, struct worker *w, struct pool *pool)
{
	enum ftx_rc rc = worker_timer_init(w, &k->timer, look, k);

	if (rc != FTX_OK)
		return rc;
	k->root = r;
	k->worker = w;
	k->pool = pool;
	if (uploads_count(r->uploads) > 0)
		look(k);
	else
		uploads_watch(r->uploads, w, look_later, k);
	return FTX_OK;
}

void
upkeep_stop(struct upkeep *k)
{
	k->stopped = true;
	if (k->worker != NULL)
		worker_timer_stop(k->worker, &k->timer);
}

void
upkeep_clear(struct upkeep *k)
{
	k->stopped = true;
	if (k->worker != NULL)
		worker_timer_clear(k->worker, &k->timer);
	k->worker = NULL;
}
