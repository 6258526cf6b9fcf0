#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tree.h"
#include "store/store.h"

/*
 * What is to come where something else stands, which is removed first (DELETE). Before that it has
 * to be seen that it can come, as far as can be known: a file here is opened, and held against the
 * size that the server takes; a directory is listed, here or there; and a file there is fetched,
 * but for its name. Then each waits for its own place alone, so that there is as little time as can
 * be in which neither is there.
 */

static void
way_free(struct way *w)
{
	struct tree *t = w->tree;

	TAILQ_REMOVE(&t->ways, w, link);
	t->way_count--;
	t->ways_listed -= w->is_listed;
	if (w->comes != NULL)
		w->comes->behind = NULL;
	if (w->asks != NULL)
		w->asks->behind = NULL;
	store_close(w->source);
	store_request_close(w->in);
	free(w->at.name);
	free(w->from.name);
	free(w);
}

/* In the directory at hand. */
static struct way *
way_new(struct tree *t, const struct entry *from, const struct entry *to)
{
	struct way *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->tree = t;
	w->at = t->at;
	w->at.name = strdup(t->at.name);
	w->from = *from;
	w->from.name = strdup(from->name);
	w->kind = to->kind;
	w->is_listed = to->kind == FTXFER_DIRECTORY && !tree_removes_here(t);
	t->ways_listed += w->is_listed;
	TAILQ_INSERT_TAIL(&t->ways, w, link);
	t->way_count++;
	if (w->at.name != NULL && w->from.name != NULL)
		return w;
	way_free(w);
	return NULL;
}

/* --- Whether it can come --- */

void
tree_way_source(struct way *w, enum ftxfer_status status, const char *text)
{
	w->asks = NULL;
	if (w->state != WAY_LOOKING) /* it has come once more */
		return;
	w->state = status == FTXFER_OK ? WAY_FOUND : WAY_ENDED;
	w->status = status;
	if (status != FTXFER_OK)
		snprintf(w->why, sizeof(w->why), "%s", text);
	session_kick(w->tree->s);
}

void
tree_way_lost(struct way *w)
{
	w->comes = NULL;
	if (w->state != WAY_REMOVING)
		w->state = WAY_ENDED;
	session_kick(w->tree->s);
}

static void
on_opened(void *owner, struct transfer *source, enum transfer_op op, enum ftx_rc rc)
{
	struct way *w = owner;
	bool too_large = rc == FTX_OK && source->size > w->tree->s->max_file;
	char text[sizeof(w->why)];

	(void)op;
	here_text(w->tree->item, rc, text, sizeof(text));
	if (too_large)
		snprintf(text, sizeof(text), "%s on the server", ftx_rc_text(FTX_TOO_LARGE));
	store_close(w->source);
	w->source = NULL;
	tree_way_source(w,
	    rc != FTX_OK ? FTXFER_NO_INPUT
	    : too_large  ? FTXFER_REFUSED
			 : FTXFER_OK,
	    text);
}

static void
on_listed(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct way *w = owner;
	char text[sizeof(w->why)];

	(void)r;
	here_text(w->tree->item, rc, text, sizeof(text));
	store_request_close(w->in);
	w->in = NULL;
	tree_way_source(w, rc == FTX_OK ? FTXFER_OK : FTXFER_NO_INPUT, text);
}

static enum ftx_rc
look_here(struct way *w)
{
	struct store *store = w->tree->item->place->store;
	char *name = tree_join(w->tree->here, w->at.name, w->from.name);
	const struct request_spec spec = {
		.name = name,
		.rules = { .alphabet = PATH_BYTES },
		.limits = { 1, PATH_COMPONENT_MAX, 0 },
	};
	enum ftx_rc rc = FTX_NOMEM;

	if (name != NULL && w->from.kind == FTXFER_FILE)
		rc = store_get(store, name, on_opened, w, &w->source);
	else if (name != NULL)
		rc = store_list(store, &spec, on_listed, w, &w->in);
	free(name);
	return rc;
}

/* A directory. */
static enum ftx_rc
look_there(struct way *w)
{
	struct tree *t = w->tree;
	char *name = tree_join(t->there, w->at.name, w->from.name);

	w->asks = name != NULL ? item_new(t->s, FTXFER_OP_LIST, 0, name, NULL) : NULL;
	free(name);
	if (w->asks == NULL)
		return FTX_NOMEM;
	w->asks->tree = t;
	w->asks->behind = w;
	item_queue_listing(w->asks);
	return FTX_OK;
}

bool
tree_clear_way(struct tree *t, const struct entry *from, const struct entry *to)
{
	bool dry = (t->flags & FTXFER_DRY_RUN) != 0;
	struct way *w = way_new(t, from, to);
	enum ftx_rc rc = FTX_OK;

	if (w == NULL)
		return false;
	w->comes_behind = !dry && t->op == FTXFER_OP_SYNC_DOWN && from->kind == FTXFER_FILE;
	if (t->op == FTXFER_OP_SYNC_UP)
		rc = look_here(w);
	else if (from->kind == FTXFER_DIRECTORY)
		rc = look_there(w);
	else if (!w->comes_behind)
		w->state = WAY_FOUND;
	else if (!tree_get(t, from, w))
		rc = FTX_NOMEM;
	if (rc == FTX_OK)
		return true;
	way_free(w);
	return false;
}

/* --- The way --- */

void
tree_way_ended(struct way *w, bool removed)
{
	w->state = WAY_ENDED;
	w->removed = removed;
	session_kick(w->tree->s);
}

/* False: no memory. */
static bool
remove_it(struct way *w)
{
	struct tree *t = w->tree;
	struct item *item;

	item = tree_child(t, FTXFER_OP_REMOVE, t->flags & FTXFER_DRY_RUN, w->from.name);
	if (item == NULL)
		return false;
	item->way = w;
	w->state = WAY_REMOVING;
	if (w->kind == FTXFER_DIRECTORY)
		tree_begin(item);
	else
		tree_begin_removal(item);
	return true;
}

/* What waited begins, or is named; false: no memory. */
static bool
end_way(struct way *w)
{
	struct tree *t = w->tree;
	struct item *comes = w->comes;

	w->comes = NULL;
	if (w->status != FTXFER_OK)
		return tree_fail(t, w->from.name, w->status, w->why);
	if (comes != NULL)
		item_come_behind(comes, w->removed);
	if (w->comes_behind) /* else it has ended, and said why */
		return true;
	if (w->removed)
		return tree_emit_new(t, &w->from);
	return tree_fail(t, w->from.name, FTXFER_CANNOT_CREATE, WAY_TEXT_STAYED);
}

/* Nothing more is begun: what has waited for its name does without. */
static void
stop_way(struct way *w)
{
	struct item *comes = w->comes;

	w->comes = NULL;
	if (comes != NULL)
		item_come_behind(comes, false);
}

void
tree_take_ways(struct tree *t)
{
	struct way *w, *next;

	for (w = TAILQ_FIRST(&t->ways); w != NULL; w = next) {
		bool ok = true, ends = w->state == WAY_ENDED;

		next = TAILQ_NEXT(w, link);
		if (w->state == WAY_LOOKING || w->state == WAY_REMOVING)
			continue;
		t->at = w->at;
		if (tree_is_stopped(t)) {
			stop_way(w);
			ends = true;
		} else
			ok = ends ? end_way(w) : remove_it(w);
		t->at.name = NULL;
		if (!ok)
			stop_way(w);
		if (ends || !ok)
			way_free(w);
		if (!ok)
			tree_give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
	}
}

void
tree_drop_ways(struct tree *t)
{
	struct way *w, *next;

	for (w = TAILQ_FIRST(&t->ways); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		way_free(w);
	}
}
