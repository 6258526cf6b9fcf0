#include "fuzz/step_pool.h"

#include <stdlib.h>

#include "loop/pool.h"

struct pool {
	STAILQ_HEAD(step_queue, pool_job) jobs;
};

enum ftx_rc
pool_new(struct pool **out, unsigned threads)
{
	struct pool *p = calloc(1, sizeof(*p));

	(void)threads;
	if (p == NULL)
		return FTX_NOMEM;
	STAILQ_INIT(&p->jobs);
	*out = p;
	return FTX_OK;
}

void
pool_free(struct pool *p)
{
	while (p != NULL && step_pool_run(p))
		;
	free(p);
}

static void
on_mail(struct mail *m)
{
	struct pool_job *job = (struct pool_job *)m; /* mail is its first member */
	struct worker *w = job->worker;

	job->done(job);
	worker_release(w);
}

void
pool_submit(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_job *job)
{
	job->worker = w;
	job->lane = lane;
	job->mail.deliver = on_mail;
	worker_hold(w);
	STAILQ_INSERT_TAIL(&p->jobs, job, link);
}

void
pool_submit_all(struct pool *p, struct worker *w, enum pool_lane lane, struct pool_jobs *jobs)
{
	struct pool_job *job;

	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, link);
		pool_submit(p, w, lane, job);
	}
}

bool
step_pool_run(struct pool *p)
{
	struct pool_job *job = STAILQ_FIRST(&p->jobs);

	if (job == NULL)
		return false;
	STAILQ_REMOVE_HEAD(&p->jobs, link);
	job->run(job);
	worker_post(job->worker, &job->mail);
	return true;
}
