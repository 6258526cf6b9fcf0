#include "store/local.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "loop/chunk.h"
#include "loop/worker.h"
#include "store/local_private.h"
#include "store/root.h"
#include "store/store.h"

/*
 * Every operation is a job in the pool, but for what can be done without waiting. The job makes the
 * system calls; it uses the fields below the line, and of the transfer only what transfer.h allows
 * it. Back on the worker transfer_op_done() tells the owner.
 */

void
local_submit(struct local_transfer *lt, enum pool_lane lane, void (*run)(struct pool_job *),
    void (*done)(struct pool_job *))
{
	struct local_store *s = (struct local_store *)lt->t.store;

	lt->job.run = run;
	lt->job.done = done;
	lt->job.batch = NULL;
	pool_submit(s->pool, s->store.worker, lane, &lt->job);
}

void
local_on_job_done(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	transfer_op_done(&lt->t, lt->rc);
}

enum ftx_rc
local_transfer_new(struct store *s, enum transfer_kind kind, const char *name,
    transfer_done_cb *on_done, void *owner, struct local_transfer **out)
{
	struct local_transfer *lt =
	    calloc(1, sizeof(*lt) + (kind == TRANSFER_PUT ? sizeof(lt->put[0]) : 0));

	if (lt == NULL)
		return FTX_NOMEM;
	lt->root = ((struct local_store *)s)->root;
	if (kind == TRANSFER_PUT)
		stage_init(&lt->put->stage);
	reader_init(&lt->reader);
	if (transfer_init(&lt->t, s, kind, name, on_done, owner) != FTX_OK) {
		free(lt);
		return FTX_NOMEM;
	}
	lt->t.op = TRANSFER_OPEN;
	*out = lt;
	return FTX_OK;
}

/* get: OPEN */
static void
look_at_file(struct local_transfer *lt)
{
	lt->t.meta = lt->reader.meta;
	if (lt->digests)
		reader_stored_digest(&lt->reader, &lt->t.meta.digest);
}

static void
run_get_open(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	if (lt->reader.fd < 0)
		lt->rc = reader_open(&lt->reader, lt->root, lt->t.name);
	if (lt->rc == FTX_OK)
		look_at_file(lt);
}

static void
on_get_opened(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	lt->t.size = lt->reader.size;
	local_on_job_done(job);
}

static void
on_opened_at_once(struct mail *m)
{
	struct local_transfer *lt = local_transfer_of((struct pool_job *)m); /* its first member */
	struct worker *w = lt->t.store->worker;

	look_at_file(lt);
	on_get_opened(&lt->job);
	worker_release(w);
}

static enum ftx_rc
local_get(struct store *s, const char *name, bool digests, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	struct local_transfer *lt;
	enum ftx_rc rc = local_transfer_new(s, TRANSFER_GET, name, on_done, owner, &lt);

	if (rc != FTX_OK)
		return rc;
	*out = &lt->t;
	lt->digests = digests;
	/* An attribute has no call that would not wait for its device. */
	if (reader_open_now(&lt->reader, lt->root, lt->t.name) &&
	    (!digests || lt->reader.in_memory)) {
		lt->job.mail.deliver = on_opened_at_once;
		worker_hold(s->worker);
		worker_soon(s->worker, &lt->job.mail);
	} else
		local_submit(lt, POOL_OPEN, run_get_open, on_get_opened);
	return FTX_OK;
}

static bool
local_get_whole(struct store *s, const char *name, size_t most, uint8_t **content, size_t *len)
{
	return reader_take_whole(((struct local_store *)s)->root, name, most, content, len);
}

/* READ */
static void
run_read(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);
	struct iovec iov = { lt->t.chunk->data, lt->io_len };

	lt->rc = reader_read(&lt->reader, &iov, 1, lt->t.offset);
	lt->t.chunk->len = lt->rc == FTX_OK ? lt->io_len : 0;
}

static void
local_read(struct transfer *t, size_t len)
{
	struct local_transfer *lt = (struct local_transfer *)t;

	lt->io_len = len;
	local_submit(lt, POOL_BULK, run_read, local_on_job_done);
}

static size_t
local_read_now(struct transfer *t, void *p, size_t len)
{
	struct local_transfer *lt = (struct local_transfer *)t;

	return reader_read_now(&lt->reader, p, len, t->offset);
}

static int
local_file(const struct transfer *t)
{
	return ((const struct local_transfer *)t)->reader.fd;
}

static void
local_set_end(struct transfer *t, uint64_t end)
{
	((struct local_transfer *)t)->reader.end = end;
}

static size_t
local_resident(const struct transfer *t, size_t len)
{
	return reader_resident(&((const struct local_transfer *)t)->reader, t->offset, len);
}

/* DISCARD */
static void
local_transfer_free(struct local_transfer *lt)
{
	if (lt->t.kind == TRANSFER_PUT)
		local_put_clear(lt);
	digest_clear(&lt->t.prefix);
	transfer_clear(&lt->t);
	free(lt);
}

static void
run_discard(struct pool_job *job)
{
	struct local_transfer *lt = local_transfer_of(job);

	reader_close(&lt->reader);
	if (lt->t.kind == TRANSFER_PUT)
		local_put_discard(lt);
}

static void
on_discarded(struct pool_job *job)
{
	local_transfer_free(local_transfer_of(job));
}

static void
local_discard(struct transfer *t)
{
	struct local_transfer *lt = (struct local_transfer *)t;
	bool staged = t->kind == TRANSFER_PUT && local_put_needs_discard(lt);

	if (reader_close_is_quick(&lt->reader))
		reader_close(&lt->reader);
	/*
	 * A job, too: closing a file of many gigabytes that has no name (any more) takes its time.
	 * There are never many: each waits in the same lane as the next transfer's beginning.
	 */
	if (staged || lt->reader.fd >= 0)
		local_submit(lt, POOL_OPEN, run_discard, on_discarded);
	else
		local_transfer_free(lt);
}

static void
local_free(struct store *s)
{
	worker_timer_clear(s->worker, &((struct local_store *)s)->look);
	free(s);
}

static const struct store_ops local_ops = {
	.put = local_put,
	.get = local_get,
	.get_whole = local_get_whole,
	.get_now = local_get_now,
	.set_end = local_set_end,
	.set_attrs = local_set_attrs,
	.put_whole = local_put_whole,
	.reserve = local_reserve,
	.write = local_write,
	.read = local_read,
	.write_now = local_write_now,
	.write_pipe = local_write_pipe,
	.prefix = local_prefix,
	.mark = local_mark,
	.read_now = local_read_now,
	.file = local_file,
	.resident = local_resident,
	.commit = local_commit,
	.discard = local_discard,
	.request_new = local_request_new,
	.request_start = local_request_start,
	.request_free = local_request_free,
	.free = local_free,
};

enum ftx_rc
store_local_new(struct store **out, struct root *r, struct worker *w, struct pool *pool)
{
	struct local_store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return FTX_NOMEM;
	if (worker_timer_init(w, &s->look, local_look_for_claims, s) != FTX_OK) {
		free(s);
		return FTX_NOMEM;
	}
	s->store.ops = &local_ops;
	s->store.worker = w;
	s->root = r;
	s->pool = pool;
	STAILQ_INIT(&s->at_once);
	STAILQ_INIT(&s->to_claim);
	STAILQ_INIT(&s->to_commit);
	*out = &s->store;
	return FTX_OK;
}
