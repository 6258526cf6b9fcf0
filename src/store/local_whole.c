/* A put on a local directory with all of its content at hand: from its name to its end. */
#include <sys/uio.h>

#include "loop/worker.h"
#include "store/local_private.h"
#include "store/stage_dir.h"

/*
 * Up to that size a file is written by the job that commits it. A larger one has a job of its own
 * for it: so its memory is free again while it waits for the flush of those before it. (That costs
 * a mail, which smaller ones are spared.)
 */
#define WRITE_TOGETHER_MAX ((uint64_t)8 * 1024)
/*
 * More threads than that get into each other's way in a directory, and a longer batch keeps its
 * last one waiting.
 */
#define WRITE_THREADS   2
#define WRITE_BATCH_MIN 2
#define WRITE_BATCH_MAX 16
/* In one turn of the loop: files, of some 20 us each, and bytes. */
#define AT_ONCE_MAX       64
#define AT_ONCE_BYTES_MAX ((uint64_t)256 * 1024)

_Static_assert(AT_ONCE_MAX <= COMMIT_BATCH_MAX, "they are committed together");

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

static enum ftx_rc
write_all(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	struct iovec iov = { put->content.p, (size_t)lt->t.size };
	enum ftx_rc rc = take_space(lt);

	if (rc == FTX_OK)
		rc = stage_write(&put->stage, &iov, 1, 0);
	if (rc == FTX_OK)
		space_written(&put->hold, put->commit.sound ? UINT64_MAX : lt->t.size);
	else
		space_release(&put->hold);
	return rc;
}

void
local_write_content(struct local_transfer *lt, enum local_wait wait)
{
	struct local_put *put = lt->put;
	unsigned tries = 0;

	put->stage.digest = put->content.digest;
	if (lt->t.size == 0)
		return;
	do {
		lt->rc = write_all(lt);
	} while (wait != LOCAL_WAIT_NOTHING && (local_finds_room(lt, lt->rc, lt->t.size, &tries) ||
						   local_make_room(lt, lt->rc, lt->t.size)));
	if (lt->rc != FTX_OK)
		return;
	stage_goes_with_others(&put->stage);
	put_content_drop(&put->content);
}

static void on_committed(struct pool_job *job);

/* With others in any case: where syncfs(2) is not sound they have directories in common. */
static void
submit_commit(struct local_transfer *lt)
{
	local_submit_commit(lt, !lt->put->spec.through, on_committed);
}

static void
on_committed(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (lt->put->again) {
		local_wait_for_claim(lt, submit_commit);
		return;
	}
	if (lt->rc == FTX_OK) {
		lt->t.offset = lt->t.size;
		lt->t.unsynced = lt->put->unsynced;
	}
	local_on_job_done(job);
}

/* Another one may go on with the upload until it is committed. */
static void
write_apart(struct local_transfer *lt)
{
	if (local_bring_to_commit(lt, LOCAL_WAIT_DEVICE))
		uploads_leave(lt->put->claim);
}

static void
run_write_apart(struct pool_job *job)
{
	write_apart(local_transfer_of(job));
}

static void
run_writes_apart(const struct pool_jobs *jobs)
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

static const struct pool_batch writes_apart = {
	.threads = WRITE_THREADS,
	.min = WRITE_BATCH_MIN,
	.max = WRITE_BATCH_MAX,
	.run = run_writes_apart,
};

static void
on_written_apart(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	struct transfer *t = &lt->t;

	if (lt->put->again || lt->rc != FTX_OK || t->published) {
		on_committed(job);
		return;
	}
	put_content_free(&lt->put->content, t->store->worker);
	submit_commit(lt);
	if (t->owner != NULL && t->on_written != NULL)
		t->on_written(t->owner, t);
}

static void
submit(struct local_transfer *lt)
{
	struct local_store *ls = (struct local_store *)lt->t.store;

	/* Who writes to what stands there may wait for somebody to read it. */
	if (lt->t.size <= WRITE_TOGETHER_MAX || lt->put->spec.through) {
		submit_commit(lt);
		return;
	}
	lt->job.run = run_write_apart;
	lt->job.done = on_written_apart;
	lt->job.batch = &writes_apart;
	pool_submit(ls->pool, ls->store.worker, POOL_WRITE, &lt->job);
}

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

/* Not more than a turn of the loop is for: others are waiting, too. */
static void
do_at_once(struct local_store *ls)
{
	struct pool_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct worker *w = ls->store.worker;
	struct pool_job *job;

	take_batch(ls, &jobs);
	if (!STAILQ_EMPTY(&ls->at_once) && !worker_later(w, &ls->at_once_rest))
		worker_soon(w, &ls->at_once_mail);
	local_commit_together(&jobs, LOCAL_WAIT_NOTHING);
	while ((job = STAILQ_FIRST(&jobs)) != NULL) {
		struct local_transfer *lt = local_transfer_of(job);

		STAILQ_REMOVE_HEAD(&jobs, link);
		if (lt->put->moves)
			submit(lt);
		else
			on_committed(job);
		worker_release(w);
	}
}

static void
on_at_once(struct mail *m)
{
	do_at_once((struct local_store *)((char *)m - offsetof(struct local_store, at_once_mail)));
}

static void
run_at_once_rest(struct work *work)
{
	do_at_once(
	    (struct local_store *)((char *)work - offsetof(struct local_store, at_once_rest)));
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
		ls->at_once_rest.run = run_at_once_rest;
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
	lt->put->due = LOCAL_DUE_OPEN;
	lt->t.op = TRANSFER_COMMIT;
	lt->t.size = content->len;
	lt->put->content = *content;
	*content = (struct put_content){ 0 };
	*out = &lt->t;
	/*
	 * A root in memory may have disks mounted in it, which will be seen; and what is written to
	 * as it stands somebody may have to read first.
	 */
	if (lt->root->in_memory && !spec->through)
		add_at_once(lt);
	else
		submit(lt);
	return FTX_OK;
}
