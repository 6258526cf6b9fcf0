/* Requests on a local directory: each is a job in the pool, or several, one after the other. */
#include <stdlib.h>

#include "loop/pool.h"
#include "store/local_private.h"
#include "store/names.h"
#include "store/request.h"
#include "store/root.h"
#include "store/sum.h"
#include "store/uploads.h"

struct local_request {
	struct store_request r; /* the first member */
	struct pool_job job;
	/* ---- what a job may use while it runs, with what request.h says */
	struct root *root; /* borrowed */
	enum ftx_rc rc;
	bool again;             /* there is more to do: the same job once more */
	bool begun;             /* SUM: the file is open */
	struct listing listing; /* LIST: kept from page to page */
	struct sum sum;         /* SUM */
};

static struct local_request *
request_of_job(struct pool_job *job)
{
	return (struct local_request *)((char *)job - offsetof(struct local_request, job));
}

/* NULL: any version will do. */
static const struct meta_version *
wanted_version(const struct request_spec *spec)
{
	return spec->if_version.len > 0 ? &spec->if_version : NULL;
}

static enum ftx_rc
run_list(struct local_request *lr)
{
	enum ftx_rc rc = listing_step(&lr->listing, &lr->r.spec.limits, &lr->r.page, &lr->again);

	lr->r.cursor = lr->listing.after;
	return rc;
}

/* First what is stored is looked for; the file is read afterwards, among what takes long. */
static enum ftx_rc
run_sum(struct local_request *lr)
{
	const struct request_spec *spec = &lr->r.spec;
	enum ftx_rc rc;

	if (!lr->begun) {
		lr->begun = true;
		rc = sum_open(&lr->sum, lr->root, spec->name, spec->kind, spec->fresh, spec->offset,
		    spec->length, &lr->r.meta, &lr->r.digest);
		lr->again = rc == FTX_OK && lr->r.digest.kind == DIGEST_NONE;
	} else {
		rc = sum_step(&lr->sum, &lr->r.digest, &lr->again);
		atomic_store(&lr->r.done, lr->sum.at - spec->offset);
	}
	return rc;
}

/* Before a name is taken away: after a crash nobody could tell any more that it was published. */
static enum ftx_rc
settle(const struct root *r)
{
	return r->uploads != NULL ? uploads_settle(r->uploads) : FTX_OK;
}

/* What is only kept of uploads into a directory keeps nobody from removing it. */
static enum ftx_rc
remove_name(struct root *r, const struct request_spec *spec)
{
	enum ftx_rc rc = settle(r);

	if (rc == FTX_OK)
		rc = names_remove(r, spec->name, spec->directory, wanted_version(spec));
	if (rc == FTX_NOT_EMPTY && r->uploads != NULL && names_holds_only_stages(r, spec->name) &&
	    uploads_empty_directory(r->uploads, spec->name))
		rc = names_remove(r, spec->name, spec->directory, wanted_version(spec));
	return rc;
}

static enum ftx_rc
run_op(struct local_request *lr)
{
	const struct request_spec *spec = &lr->r.spec;
	enum ftx_rc rc;

	switch (lr->r.op) {
	case REQUEST_STAT:
		return names_stat(lr->root, spec->name, spec->digests, &lr->r.meta);
	case REQUEST_MKDIR:
		return names_mkdir(lr->root, spec->name, spec->parents,
		    spec->has_mode ? &spec->mode : NULL, &lr->r.existed);
	case REQUEST_RENAME:
		rc = settle(lr->root);
		if (rc != FTX_OK)
			return rc;
		return names_rename(lr->root, spec->name, spec->to, spec->replace,
		    wanted_version(spec), &lr->r.meta);
	case REQUEST_REMOVE:
		return remove_name(lr->root, spec);
	case REQUEST_SETTLE:
		return settle_existing(
		    lr->root, spec->name, &spec->if_version, &spec->attrs, &lr->r.meta);
	case REQUEST_LIST:
		return run_list(lr);
	case REQUEST_SUM:
		return run_sum(lr);
	default:
		return FTX_INTERNAL;
	}
}

/* Of what changes something: whether that is durable. */
static bool
is_synced(const struct local_request *lr)
{
	const struct request_spec *spec = &lr->r.spec;

	switch (lr->r.op) {
	case REQUEST_RENAME:
		return names_are_synced(lr->root, spec->name) &&
		       names_are_synced(lr->root, spec->to);
	case REQUEST_MKDIR:
	case REQUEST_REMOVE:
	case REQUEST_SETTLE:
		return names_are_synced(lr->root, spec->name);
	default:
		return true;
	}
}

/* What is open is closed here, on the pool's thread: that may take its time. */
static void
run(struct pool_job *job)
{
	struct local_request *lr = request_of_job(job);
	bool looks = lr->r.op == REQUEST_LIST || lr->r.op == REQUEST_SUM;

	lr->again = false;
	if (looks && atomic_load(&lr->r.cancelled)) {
		lr->rc = FTX_CANCELLED;
		if (lr->r.op == REQUEST_LIST)
			listing_clear(&lr->listing);
	} else
		lr->rc = run_op(lr);
	if (lr->rc == FTX_OK)
		lr->r.unsynced = !is_synced(lr);
	if (lr->r.op == REQUEST_SUM && !lr->again)
		sum_clear(&lr->sum);
}

static void submit(struct local_request *lr, enum pool_lane lane);

static void
done(struct pool_job *job)
{
	struct local_request *lr = request_of_job(job);

	if (lr->again)
		submit(lr, lr->r.op == REQUEST_SUM ? POOL_LONG : POOL_BULK);
	else
		request_op_done(&lr->r, lr->rc);
}

static void
submit(struct local_request *lr, enum pool_lane lane)
{
	struct local_store *s = (struct local_store *)lr->r.store;

	lr->job.run = run;
	lr->job.done = done;
	lr->job.batch = NULL;
	pool_submit(s->pool, s->store.worker, lane, &lr->job);
}

enum ftx_rc
local_request_new(struct store *s, enum request_op op, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out)
{
	struct local_request *lr = calloc(1, sizeof(*lr));

	if (lr == NULL)
		return FTX_NOMEM;
	if (request_init(&lr->r, s, op, spec, on_done, owner) != FTX_OK) {
		free(lr);
		return FTX_NOMEM;
	}
	lr->root = ((struct local_store *)s)->root;
	sum_init(&lr->sum);
	if (op == REQUEST_LIST)
		listing_init(&lr->listing, lr->root, lr->r.spec.name, &lr->r.spec.rules,
		    spec->digests, lr->r.spec.after);
	*out = &lr->r;
	return FTX_OK;
}

/* A receipt waits in the lane of receipts; a large file's blocks may take seconds to be freed. */
void
local_request_start(struct store_request *r)
{
	static const enum pool_lane lanes[] = {
		[REQUEST_STAT] = POOL_OPEN,
		[REQUEST_LIST] = POOL_BULK,
		[REQUEST_MKDIR] = POOL_COMMIT,
		[REQUEST_RENAME] = POOL_COMMIT,
		[REQUEST_REMOVE] = POOL_SYNC,
		[REQUEST_SUM] = POOL_OPEN,
		[REQUEST_SETTLE] = POOL_COMMIT,
	};

	submit((struct local_request *)r, lanes[r->op]);
}

void
local_request_free(struct store_request *r)
{
	struct local_request *lr = (struct local_request *)r;

	if (r->op == REQUEST_LIST)
		listing_clear(&lr->listing);
	request_clear(r);
	free(lr);
}
