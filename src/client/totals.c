#include <string.h>

#include "client/session.h"

/* How far a session is, and what it is doing: for people, who wait. */

/* *done and *of: DIGESTING. */
static enum ftxfer_stage
stage_of(const struct item *item, uint64_t *done, uint64_t *of)
{
	static const enum ftxfer_stage stages[] = {
		[V2_DOING_WAIT] = FTXFER_STAGE_NONE,
		[V2_DOING_DIGEST] = FTXFER_STAGE_DIGESTING,
		[V2_DOING_MOVE] = FTXFER_STAGE_MOVING,
		[V2_DOING_STORE] = FTXFER_STAGE_STORING,
	};
	struct v2_doing doing;

	*done = *of = 0;
	if (item->on != NULL && item->look == LOOK_NONE) {
		doing = v2_request_doing(&item->req.ask.r); /* the first member of each */
		*done = doing.done;
		*of = doing.of > 0 || item->op == FTXFER_OP_SUM ? doing.of : item->size;
		return stages[doing.what];
	}
	if (item->request == NULL || item->request->op != REQUEST_SUM)
		return FTXFER_STAGE_NONE;
	*done = atomic_load(&item->request->done);
	*of = item->size;
	return FTXFER_STAGE_DIGESTING;
}

/* The largest of those that are under way. */
static void
find_current(const struct item *item, uint64_t moved, struct ftxfer_totals *t)
{
	uint64_t done, of, size = item->counted > 0 ? item->counted : item->size;
	enum ftxfer_stage stage = stage_of(item, &done, &of);
	bool local = item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_VERIFY;

	if (stage == FTXFER_STAGE_NONE || item->lists != NULL ||
	    (t->current_stage != FTXFER_STAGE_NONE && size < t->current_size))
		return;
	t->current = local ? item->local : item->remote;
	t->current_moved = moved;
	t->current_size = size;
	t->current_stage = stage;
	t->current_digested = stage == FTXFER_STAGE_DIGESTING ? done : 0;
	t->current_to_digest = stage == FTXFER_STAGE_DIGESTING ? of : 0;
}

void
ftxfer_session_totals(const struct ftxfer_session *s, struct ftxfer_totals *totals)
{
	struct ftxfer_totals t = s->totals;
	const struct item *item;

	t.items_waiting = s->queued;
	t.counting = !TAILQ_EMPTY(&s->trees);
	TAILQ_FOREACH (item, &s->all, all) {
		uint64_t resumed, moved = item_moved(item, &resumed);

		t.bytes_done += moved;
		t.bytes_moved += moved - resumed;
		find_current(item, moved, &t);
	}
	t.size = totals->size;
	memcpy(totals, &t, totals->size < sizeof(t) ? totals->size : sizeof(t));
}
