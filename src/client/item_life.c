#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "client/tree.h"
#include "store/local.h"
#include "store/root.h"
#include "store/store.h"

#define BACKOFF_FIRST 250U   /* ms */
#define BACKOFF_MOST  15000U /* ms */

uint64_t
session_backoff(unsigned tries)
{
	uint64_t most = BACKOFF_FIRST;
	uint32_t random = 0;

	while (tries-- > 0 && most < BACKOFF_MOST)
		most *= 2;
	if (most > BACKOFF_MOST)
		most = BACKOFF_MOST;
	/* From a half to the whole: so that not all clients of a server come back at once. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint32_t)clock_now_us();
	return most / 2 + random % (most / 2 + 1);
}

/* --- Items --- */

char *
session_copy(const char *s, bool *ok)
{
	char *made = s != NULL ? strdup(s) : NULL;

	if (s != NULL && made == NULL)
		*ok = false;
	return made;
}

void
item_free(struct item *item)
{
	struct ftxfer_session *s = item->s;

	TAILQ_REMOVE(&s->all, item, all);
	if (item->moving && item->op == FTXFER_OP_PUT)
		v2_put_clear(&item->req.put);
	else if (item->moving)
		v2_get_clear(&item->req.get);
	store_request_close(item->request);
	if (item->stream_event != NULL)
		event_free(item->stream_event);
	tree_free(item->own);
	root_close(item->root);
	local_file_clear(&item->file);
	free(item->remote);
	free(item->to);
	free(item->local);
	free(item->pattern);
	free(item->leaf);
	free(item->asked);
	free(item);
}

struct item *
item_new(struct ftxfer_session *s, enum ftxfer_op op, unsigned flags, const char *remote,
    const char *local)
{
	struct item *item = calloc(1, sizeof(*item));
	bool ok = true;

	if (item == NULL)
		return NULL;
	item->s = s;
	item->op = op;
	item->flags = flags;
	item->fd = -1;
	item->remote = session_copy(remote, &ok);
	item->local = session_copy(local, &ok);
	TAILQ_INSERT_TAIL(&s->all, item, all);
	if (!ok) {
		item_free(item);
		return NULL;
	}
	item->number = ++s->numbers;
	s->idle_told = false;
	return item;
}

void
item_queue(struct item *item)
{
	item->phase = ITEM_READY;
	item->s->queued++;
	TAILQ_INSERT_TAIL(&item->s->ready, item, link);
	session_kick(item->s);
}

void
item_queue_listing(struct item *item)
{
	struct item *other = TAILQ_FIRST(&item->s->ready);

	while (other != NULL && other->lists != NULL)
		other = TAILQ_NEXT(other, link);
	item->phase = ITEM_READY;
	item->s->queued++;
	if (other != NULL)
		TAILQ_INSERT_BEFORE(other, item, link);
	else
		TAILQ_INSERT_TAIL(&item->s->ready, item, link);
	session_kick(item->s);
}

struct place *
place_new(struct ftxfer_session *s, struct root *root)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return NULL;
	if (store_local_new(&place->store, root, s->worker, s->pool) != FTX_OK) {
		free(place);
		return NULL;
	}
	place->root = root;
	SLIST_INSERT_HEAD(&s->places, place, link);
	return place;
}

void
session_event(struct item *item, struct ftxfer_event *e)
{
	e->size = sizeof(*e);
	e->sums_up = item->sums_up;
	e->op = item->op;
	e->item = item->number;
	e->local = item->local;
	e->remote = item->remote;
	e->to = item->to;
	item->s->callbacks.on_event(item->s->arg, e);
}

static void
count_end(struct ftxfer_session *s, const struct item *item, const struct ftxfer_event *e)
{
	if (item->sums_up)
		return;
	switch (e->type) {
	case FTXFER_EVENT_DONE:
		s->totals.items_done++;
		s->totals.items_removed += item->op == FTXFER_OP_REMOVE;
		break;
	case FTXFER_EVENT_SKIPPED:
		s->totals.items_skipped++;
		break;
	default:
		s->totals.items_failed++;
		s->totals.bytes_known -= item->counted;
		break;
	}
}

bool
item_only_asks(const struct item *item)
{
	return item->op == FTXFER_OP_LIST && item->behind != NULL;
}

/* It is in nobody's list any more. */
static void
unqueue(struct item *item)
{
	struct ftxfer_session *s = item->s;

	if (item->phase == ITEM_READY)
		TAILQ_REMOVE(&s->ready, item, link);
	else if (item->phase == ITEM_WAITING)
		TAILQ_REMOVE(&s->waiting, item, link);
	if (item->phase != ITEM_LOCAL && item->phase != ITEM_TREE)
		s->queued--;
}

void
item_drop(struct item *item)
{
	struct ftxfer_session *s = item->s;

	unqueue(item);
	item_free(item);
	session_kick(s);
}

void
item_done(struct item *item, struct ftxfer_event *e)
{
	struct ftxfer_session *s = item->s;
	struct tree *tree = item->tree;
	struct way *way = item->way, *behind = item->behind;
	bool makes_base = item->makes_base;

	unqueue(item);
	count_end(s, item, e);
	session_event(item, e);
	item_free(item);
	if (makes_base)
		tree_made_base(tree, e->type == FTXFER_EVENT_DONE, e->existed);
	if (behind != NULL)
		tree_way_lost(behind);
	if (way != NULL)
		tree_way_ended(way, e->type == FTXFER_EVENT_DONE);
	if (tree != NULL)
		tree_child_ended(tree, e->type == FTXFER_EVENT_FAILED);
	session_kick(s);
}

static void
item_fail_now(struct item *item, enum ftxfer_status status, const char *text)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_FAILED, .status = status, .text = text };

	item_done(item, &e);
}

void
item_fail(struct item *item, enum ftxfer_status status, const char *text)
{
	struct visit *visit = item->lists;
	struct way *way = item->behind;

	if (item_only_asks(item)) {
		item_drop(item);
		tree_way_source(way, status, text);
		return;
	}
	if (visit != NULL) {
		item_drop(item);
		tree_listed(visit, status, text);
		return;
	}
	item_fail_now(item, status, text);
}

void
item_skip(struct item *item, enum ftxfer_status status, const char *text)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_SKIPPED, .status = status, .text = text };

	item_done(item, &e);
}

void
item_fail_here(struct item *item, enum ftxfer_status status, enum ftx_rc rc)
{
	char text[SESSION_TEXT];

	here_text(item, rc, text, sizeof(text));
	item_fail(item, status, text);
}

void
item_fail_outcome(struct item *item, const struct v2_outcome *o)
{
	char text[SESSION_TEXT];

	outcome_text(item, o, text, sizeof(text));
	item_fail(item, outcome_status(o), text);
}

void
item_retry(struct item *item, const struct v2_outcome *o)
{
	struct ftxfer_session *s = item->s;
	uint64_t now = worker_now(s->worker), delay = session_backoff(item->tries);
	char text[SESSION_TEXT];
	struct ftxfer_event e = { .type = FTXFER_EVENT_RETRYING, .text = text };

	if (item->moved > item->best || item->failing_since == 0) {
		item->failing_since = now;
		item->best = item->moved;
		item->tries = 0;
	}
	if (s->cancelled || s->hopeless != FTX_OK || item->stream_begun ||
	    now - item->failing_since >= s->retry_time) {
		item_fail_outcome(item, o);
		return;
	}
	item->tries++;
	if (o->whose == V2_WHOSE_CONNECTION)
		delay = 0; /* it is the connection that is waited for */
	else if (o->retry_after * UINT64_C(1000) > delay)
		delay = o->retry_after < 60 ? o->retry_after * UINT64_C(1000) : 60000;
	outcome_text(item, o, text, sizeof(text));
	e.status = outcome_status(o);
	e.delay = delay;
	session_event(item, &e);
	item->due = now + delay;
	item->phase = delay > 0 ? ITEM_WAITING : ITEM_READY;
	if (delay > 0)
		TAILQ_INSERT_TAIL(&s->waiting, item, link);
	else
		TAILQ_INSERT_HEAD(&s->ready, item, link);
	session_kick(s);
}
