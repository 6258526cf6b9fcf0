/*
 * A put on a local directory whose upload is another one's yet: when that one has had its time. It
 * waits in its store, on no thread of the pool: who wants to may keep as many waiting as he likes.
 */
#include "base/clock.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/local_private.h"

/* In one turn of the loop; of each some 200 ns. */
#define LOOKS_MAX 256

enum ftx_rc
local_claim(struct local_transfer *lt)
{
	struct local_put *put = lt->put;
	struct uploads *uploads = put->keyed ? lt->root->uploads : NULL;
	enum ftx_rc rc = FTX_OK;

	if (uploads != NULL && !put->claimed)
		rc = uploads_claim(uploads, &put->terms, lt->t.name, &put->patience, &put->claim);
	put->again = rc == FTX_BUSY;
	put->claimed = rc == FTX_OK;
	return rc;
}

/* False: it is to wait on. */
static bool
look(struct local_transfer *lt)
{
	/* Nobody loses an upload to one who has gone, and whose client may be he himself. */
	if (lt->t.owner == NULL) {
		lt->rc = FTX_CANCELLED;
		local_on_job_done(&lt->job);
		return true;
	}
	lt->rc = local_claim(lt);
	if (lt->put->again)
		return false;
	lt->put->go_on(lt); /* what else was wrong comes up there once more */
	return true;
}

static void
look_later(struct local_store *ls)
{
	struct worker *w = ls->store.worker;

	worker_timer_start(w, &ls->look, clock_after(worker_now(w), UPLOADS_LOOK_MS));
}

void
local_look_for_claims(void *store)
{
	struct pool_jobs left = STAILQ_HEAD_INITIALIZER(left);
	struct local_store *ls = store;
	struct pool_job *job;

	for (int n = 0; n < LOOKS_MAX && (job = STAILQ_FIRST(&ls->to_claim)) != NULL; n++) {
		STAILQ_REMOVE_HEAD(&ls->to_claim, link);
		if (look(local_transfer_of(job))) {
			ls->waiting--;
			worker_release(ls->store.worker);
		} else
			STAILQ_INSERT_TAIL(&left, job, link);
	}
	STAILQ_CONCAT(&ls->to_claim, &left); /* behind those that were not looked at */
	if (!STAILQ_EMPTY(&ls->to_claim))
		look_later(ls);
}

void
local_wait_for_claim(struct local_transfer *lt, void (*go_on)(struct local_transfer *lt))
{
	struct local_store *ls = (struct local_store *)lt->t.store;

	lt->put->go_on = go_on;
	ls->waiting++;
	worker_hold(ls->store.worker);
	if (STAILQ_EMPTY(&ls->to_claim))
		look_later(ls);
	STAILQ_INSERT_TAIL(&ls->to_claim, &lt->job, link);
}

unsigned
store_local_waiting(const struct store *s)
{
	return ((const struct local_store *)s)->waiting;
}
