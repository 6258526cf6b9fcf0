/* A put on a local directory: its end, and one that is begun with it. */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/worker.h"
#include "store/local_private.h"
#include "store/stage_dir.h"

/*
 * Larger ones are written by a job of their own: so their memory is free again while they wait for
 * the flush of those before them. (That costs a mail, which smaller ones are spared.) More threads
 * than that get into each other's way in a directory, and a long batch keeps its last one waiting.
 */
#define WRITE_APART_MIN ((uint64_t)8 * 1024)
#define WRITE_THREADS   2
#define WRITE_BATCH_MAX 16
/* In one turn of the loop: files, of some 20 us each, and bytes. */
#define AT_ONCE_MAX       64
#define AT_ONCE_BYTES_MAX ((uint64_t)256 * 1024)

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
 * In memory the write tells whether there is room, and nothing is promised but by files. ext4 and
 * XFS set aside what they will allocate later, in half the time; and what is promised to others
 * stays theirs.
 */
static enum ftx_rc
take_space(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	struct space *space = lt->root->space;

	if (put->stage.in_memory || put->stage.kind == STAGE_THROUGH)
		return FTX_OK;
	return put->commit.sound ? space_promise(space, put->stage.fd, lt->t.size, &put->hold)
				 : space_reserve(space, put->stage.fd, lt->t.size, &put->hold);
}

static void
write_content(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	struct iovec iov = { lt->t.content.p, (size_t)lt->t.size };

	put->unsynced = put->stage.in_memory || !root_syncs(lt->root);
	put->stage.digest = lt->t.digest;
	if (lt->t.size == 0)
		return;
	lt->rc = take_space(lt);
	if (lt->rc != FTX_OK)
		return;
	lt->rc = stage_write(&put->stage, &iov, 1, 0);
	if (put->commit.sound)
		space_written(&put->hold, UINT64_MAX); /* it is the file system's now, or gone */
	stage_goes_with_others(&put->stage);
	(void)put_content_drop(&lt->t.content);
}

/*
 * It has entered (uploads_enter()). What could not be published is gone, and nothing is known of it
 * from here on.
 */
static void
end_commit(struct local_transfer *lt)
{
	struct upload_claim *claim = lt->put->claim;
	struct upload_record r;

	if (claim != NULL && lt->rc == FTX_NOT_DURABLE)
		uploads_named(claim);
	else if (claim != NULL && lt->rc != FTX_OK) {
		if (uploads_forget(claim))
			stage_discard(&lt->put->stage);
	} else if (claim != NULL && uploads_look(claim, &r))
		lt->t.published_at = r.time;
	uploads_leave(claim);
}

/*
 * All that comes before a commit: of a put_whole(), everything. False: it has failed, or there is
 * nothing to be done; else end_commit() is owed.
 */
static bool
prepare(struct local_transfer *lt, bool wait)
{
	struct local_put *put = lt->put;
	bool whole = put->whole;

	if (whole) {
		lt->rc = local_put_open(lt, wait);
		if (put->again)
			return false;
		put->whole = false;
		if (lt->rc != FTX_OK || lt->t.published)
			return false;
	}
	if (!uploads_enter(put->claim)) {
		lt->rc = FTX_TAKEN_OVER;
		return false;
	}
	lt->rc = FTX_OK;
	if (whole)
		write_content(lt);
	else
		(void)cut_to_size(lt);
	if (lt->rc != FTX_OK)
		end_commit(lt);
	return lt->rc == FTX_OK;
}

static void
publish(struct local_transfer *lt)
{
	lt->rc = stage_publish(&lt->put->stage, &lt->t.cancelled);
	end_commit(lt);
}

static void
run_commit(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (prepare(lt, lt->put->again))
		publish(lt);
}

/* On the loop only what needs no device. False: a job has to go on with it. */
static bool
may_go_on(struct local_transfer *lt, bool on_loop)
{
	lt->put->moves = on_loop && !lt->put->stage.in_memory;
	if (lt->put->moves)
		uploads_leave(lt->put->claim);
	return !lt->put->moves;
}

/* Nobody waits here for an upload that is in another one's hands: that may be one of these. */
static void
run_together(const struct pool_jobs *jobs, bool on_loop)
{
	struct commit_list list = STAILQ_HEAD_INITIALIZER(list);
	struct stage_dir *last_dir = NULL;
	struct pool_job *job;

	for (job = STAILQ_FIRST(jobs); job != NULL; job = STAILQ_NEXT(job, link)) {
		struct local_transfer *lt = local_transfer_of(job);

		lt->put->commit.stage = &lt->put->stage;
		lt->put->commit.cancelled = &lt->t.cancelled;
		lt->put->last_dir = &last_dir;
		lt->put->joins = prepare(lt, false) && may_go_on(lt, on_loop);
		lt->put->last_dir = NULL;
		if (lt->put->joins)
			STAILQ_INSERT_TAIL(&list, &lt->put->commit, link);
	}
	commit_all(&list);
	stage_dir_release(last_dir);
	for (job = STAILQ_FIRST(jobs); job != NULL; job = STAILQ_NEXT(job, link)) {
		struct local_transfer *lt = local_transfer_of(job);

		if (!lt->put->joins)
			continue;
		lt->rc = lt->put->commit.rc;
		end_commit(lt);
	}
}

static void
run_commits(const struct pool_jobs *jobs)
{
	run_together(jobs, false);
}

/* Another one may go on with the upload until it is committed. */
static void
write_apart(struct local_transfer *lt)
{
	if (prepare(lt, false))
		uploads_leave(lt->put->claim);
}

static void
run_write(struct pool_job *job)
{
	write_apart(local_transfer_of(job));
}

static void
run_writes(const struct pool_jobs *jobs)
{
	struct stage_dir *last_dir = NULL;
	struct pool_job *job;

	for (job = STAILQ_FIRST(jobs); job != NULL; job = STAILQ_NEXT(job, link)) {
		struct local_transfer *lt = local_transfer_of(job);

		lt->put->last_dir = &last_dir;
		write_apart(lt);
		lt->put->last_dir = NULL;
	}
	stage_dir_release(last_dir);
}

static const struct pool_batch commits = {
	.threads = COMMIT_THREADS,
	.min = COMMIT_BATCH_MIN,
	.max = COMMIT_BATCH_MAX,
	.run = run_commits,
};

static const struct pool_batch writes = {
	.threads = WRITE_THREADS,
	.min = 2,
	.max = WRITE_BATCH_MAX,
	.run = run_writes,
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
local_commit(struct transfer *t)
{
	struct local_transfer *lt = (struct local_transfer *)t;
	struct local_store *s = (struct local_store *)t->store;

	lt->put->stage.digest = t->digest;
	lt->job.run = run_commit;
	lt->job.done = local_on_job_done;
	lt->job.batch =
	    commit_may_join(&lt->put->commit, &lt->put->stage, t->size) ? &commits : NULL;
	if (t->size <= COMMIT_SMALL_MAX)
		submit_small(s, &lt->job);
	else
		pool_submit(s->pool, s->store.worker, POOL_SYNC, &lt->job);
}

static void
on_whole_committed(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (lt->put->again) {
		local_submit(lt, POOL_LONG, run_commit, on_whole_committed);
		return;
	}
	if (lt->rc == FTX_OK) {
		lt->t.offset = lt->t.size;
		lt->t.unsynced = lt->put->unsynced;
		space_written(&lt->put->hold, lt->t.size);
	}
	local_on_job_done(job);
}

static void
submit_whole(struct local_transfer *lt)
{
	struct local_store *ls = (struct local_store *)lt->t.store;
	/* With others in any case: where syncfs(2) is not sound they have directories in common. */
	const struct commit c = { .sound = !lt->put->spec.through };

	lt->job.run = run_commit;
	lt->job.done = on_whole_committed;
	lt->job.batch = commit_may_join(&c, &lt->put->stage, lt->t.size) ? &commits : NULL;
	submit_small(ls, &lt->job);
}

static void
on_whole_written(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	struct transfer *t = &lt->t;

	if (lt->put->again || lt->rc != FTX_OK || t->published) {
		on_whole_committed(job);
		return;
	}
	put_content_free(&t->content, t->store->worker);
	space_written(&lt->put->hold, t->size);
	submit_whole(lt);
	if (t->owner != NULL && t->on_written != NULL)
		t->on_written(t->owner, t);
}

static void
begin_whole(struct local_transfer *lt)
{
	struct local_store *ls = (struct local_store *)lt->t.store;

	/* Who writes to what stands there may wait for somebody to read it. */
	if (lt->t.size <= WRITE_APART_MIN || lt->put->spec.through) {
		submit_whole(lt);
		return;
	}
	lt->job.run = run_write;
	lt->job.done = on_whole_written;
	lt->job.batch = &writes;
	pool_submit(ls->pool, ls->store.worker, POOL_WRITE, &lt->job);
}

/* Not more than a turn of the loop is for: others are waiting, too. */
static void
take_batch(struct local_store *ls, struct pool_jobs *jobs)
{
	struct pool_job *job;
	uint64_t bytes = 0;

	for (int n = 0; n < AT_ONCE_MAX && (job = STAILQ_FIRST(&ls->at_once)) != NULL; n++) {
		bytes += local_transfer_of(job)->t.size;
		if (n > 0 && bytes > AT_ONCE_BYTES_MAX)
			break;
		STAILQ_REMOVE_HEAD(&ls->at_once, link);
		STAILQ_INSERT_TAIL(jobs, job, link);
	}
}

static void
on_at_once(struct mail *m)
{
	struct local_store *ls =
	    (struct local_store *)((char *)m - offsetof(struct local_store, at_once_mail));
	struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct worker *w = ls->store.worker;
	struct pool_job *job;

	take_batch(ls, &jobs);
	if (!STAILQ_EMPTY(&ls->at_once))
		worker_soon(w, m);
	run_together(&jobs, true);
	while ((job = STAILQ_FIRST(&jobs)) != NULL) {
		struct local_transfer *lt = local_transfer_of(job);

		STAILQ_REMOVE_HEAD(&jobs, link);
		if (lt->put->moves)
			submit_whole(lt);
		else
			on_whole_committed(job);
		worker_release(w);
	}
}

/* In memory nothing waits. */
static void
add_at_once(struct local_transfer *lt)
{
	struct local_store *ls = (struct local_store *)lt->t.store;
	struct worker *w = ls->store.worker;

	worker_hold(w);
	if (STAILQ_EMPTY(&ls->at_once)) {
		ls->at_once_mail.deliver = on_at_once;
		worker_soon(w, &ls->at_once_mail);
	}
	STAILQ_INSERT_TAIL(&ls->at_once, &lt->job, link);
}

enum ftx_rc
local_put_whole(struct store *s, const struct put_spec *spec, struct put_content *content,
    transfer_done_cb *on_done, void *owner, struct transfer **out)
{
	struct local_transfer *lt;
	enum ftx_rc rc = local_transfer_new(s, TRANSFER_PUT, spec->name, on_done, owner, &lt);

	if (rc != FTX_OK)
		return rc;
	local_put_set_spec(lt, spec);
	lt->put->terms.keep = false; /* there is no middle to end in */
	lt->put->whole = true;
	/* It will be looked at; but what is written to as it stands joins nobody. */
	lt->put->commit.sound = !spec->through;
	lt->put->stage.root = lt->root;
	lt->t.op = TRANSFER_COMMIT;
	lt->t.size = content->len;
	lt->t.content = *content;
	lt->t.digest = content->digest;
	*content = (struct put_content){ 0 };
	*out = &lt->t;
	/*
	 * A root in memory may have disks mounted in it, which will be seen; and what is written to
	 * as it stands somebody may have to read first.
	 */
	if (lt->root->in_memory && !spec->through)
		add_at_once(lt);
	else
		begin_whole(lt);
	return FTX_OK;
}
