/* A put on a local directory: its end. */
#include <errno.h>
#include <unistd.h>

#include "loop/worker.h"
#include "store/local_private.h"
#include "store/stage_dir.h"

/* More was promised than has come: the file is cut. */
static bool
cut_to_size(struct local_transfer *lt)
{
	if (lt->put->stage.kind == STAGE_THROUGH || lt->put->reserved <= lt->t.size)
		return true;
	lt->rc = ftruncate(lt->put->stage.fd, (off_t)lt->t.size) == 0 ? FTX_OK
								      : ftx_rc_from_errno(errno);
	return lt->rc == FTX_OK;
}

/*
 * It has entered (uploads_enter()). What could not be published is gone, and nothing is known of it
 * from here on. What was published takes no room that was promised any more.
 */
static void
end_commit(struct local_transfer *lt)
{
	struct upload_claim *claim = lt->put->claim;
	struct upload_record r;

	if (local_put_is_kept(lt->put))
		uploads_take_hold(claim, &lt->put->hold);
	if (claim != NULL && lt->rc == FTX_NOT_DURABLE)
		uploads_named(claim);
	else if (claim != NULL && lt->rc != FTX_OK) {
		if (uploads_forget(claim))
			stage_discard(&lt->put->stage);
	} else if (claim != NULL && uploads_look(claim, &r))
		lt->t.published_at = r.time;
	uploads_leave(claim);
}

/* False: it has failed, is published, or is to wait; lt->rc and put->again say which. */
static bool
open_it(struct local_transfer *lt)
{
	struct local_put *put = lt->put;

	lt->rc = local_put_open(lt);
	if (put->again)
		return false;
	put->due = LOCAL_DUE_CONTENT;
	return lt->rc == FTX_OK && !lt->t.published;
}

bool
local_bring_to_commit(struct local_transfer *lt, enum local_wait wait)
{
	struct local_put *put = lt->put;

	if (put->due == LOCAL_DUE_OPEN && !open_it(lt))
		return false;
	put->moves = wait == LOCAL_WAIT_NOTHING && !put->stage.in_memory;
	if (put->moves)
		return false;
	if (!uploads_enter(put->claim)) {
		lt->rc = FTX_TAKEN_OVER;
		return false;
	}
	lt->rc = FTX_OK;
	if (put->due == LOCAL_DUE_CONTENT)
		local_write_content(lt, wait);
	else
		(void)cut_to_size(lt);
	put->moves = wait == LOCAL_WAIT_NOTHING && lt->rc == FTX_NO_SPACE;
	if (put->moves) {
		uploads_leave(put->claim);
		return false;
	}
	put->due = LOCAL_DUE_COMMIT;
	if (lt->rc != FTX_OK)
		end_commit(lt);
	return lt->rc == FTX_OK;
}

static void
run_commit(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (!local_bring_to_commit(lt, LOCAL_WAIT_DEVICE))
		return;
	lt->rc = stage_publish(&lt->put->stage, &lt->t.cancelled);
	end_commit(lt);
}

void
local_commit_together(const struct pool_jobs *jobs, enum local_wait wait)
{
	struct commit_list list = STAILQ_HEAD_INITIALIZER(list);
	struct stage_dir *last_dir = NULL;
	struct pool_job *job;
	struct commit *c;

	for (job = STAILQ_FIRST(jobs); job != NULL; job = STAILQ_NEXT(job, link)) {
		struct local_put *put = local_transfer_of(job)->put;

		put->last_dir = &last_dir;
		if (local_bring_to_commit(local_transfer_of(job), wait))
			STAILQ_INSERT_TAIL(&list, &put->commit, link);
		put->last_dir = NULL;
	}
	commit_all(&list);
	stage_dir_release(last_dir);
	for (c = STAILQ_FIRST(&list); c != NULL; c = STAILQ_NEXT(c, link)) {
		struct local_transfer *lt = local_transfer_of_commit(c);

		lt->rc = c->rc;
		end_commit(lt);
	}
}

static void
run_commits(const struct pool_jobs *jobs)
{
	local_commit_together(jobs, LOCAL_WAIT_DEVICE);
}

static const struct pool_batch commits = {
	.threads = COMMIT_THREADS,
	.min = COMMIT_BATCH_MIN,
	.max = COMMIT_BATCH_MAX,
	.run = run_commits,
};

static void
on_to_commit(struct mail *m)
{
	struct local_store *ls =
	    (struct local_store *)((char *)m - offsetof(struct local_store, to_commit_mail));

	pool_submit_all(ls->pool, ls->store.worker, POOL_COMMIT, &ls->to_commit);
	worker_release(ls->store.worker);
}

/* What comes in one turn is told at its end, so that it goes together even if nobody is at work. */
static void
submit_small(struct local_store *ls, struct pool_job *job)
{
	if (STAILQ_EMPTY(&ls->to_commit)) {
		ls->to_commit_mail.deliver = on_to_commit;
		worker_hold(ls->store.worker);
		worker_soon(ls->store.worker, &ls->to_commit_mail);
	}
	STAILQ_INSERT_TAIL(&ls->to_commit, job, link);
}

void
local_submit_commit(struct local_transfer *lt, bool sound, void (*done)(struct pool_job *))
{
	struct local_store *ls = (struct local_store *)lt->t.store;

	lt->job.run = run_commit;
	lt->job.done = done;
	lt->job.batch = commit_may_join(lt->root, sound, lt->t.size) ? &commits : NULL;
	if (lt->t.size <= COMMIT_SMALL_MAX)
		submit_small(ls, &lt->job);
	else
		pool_submit(ls->pool, ls->store.worker, POOL_SYNC, &lt->job);
}

void
local_commit(struct transfer *t)
{
	struct local_transfer *lt = (struct local_transfer *)t;

	lt->put->stage.digest = t->digest;
	local_submit_commit(lt, lt->put->commit.sound, local_on_job_done);
}
