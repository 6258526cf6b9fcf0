#include <stdlib.h>
#include <string.h>

#include "client/tree.h"

/*
 * What is to come where something else stands, which is removed first (DELETE). Each waits for that
 * alone, so that there is as little time as can be in which neither is there.
 */

static void
way_free(struct way *w)
{
	struct tree *t = w->tree;

	TAILQ_REMOVE(&t->ways, w, link);
	t->way_count--;
	t->ways_listed -= w->is_listed;
	free(w->at.name);
	free(w->from.name);
	free(w);
}

/* In the directory at hand. */
static struct way *
way_new(struct tree *t, const struct entry *from)
{
	struct way *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->tree = t;
	w->at = t->at;
	w->at.name = strdup(t->at.name);
	w->from = *from;
	w->from.name = strdup(from->name);
	TAILQ_INSERT_TAIL(&t->ways, w, link);
	t->way_count++;
	if (w->at.name != NULL && w->from.name != NULL)
		return w;
	way_free(w);
	return NULL;
}

bool
tree_clear_way(struct tree *t, const struct entry *from, const struct entry *to)
{
	struct way *w = way_new(t, from);
	struct item *item = w != NULL ? tree_child(t, FTXFER_OP_REMOVE, 0, to->name) : NULL;

	if (item == NULL) {
		if (w != NULL)
			way_free(w);
		return false;
	}
	item->way = w;
	w->is_listed = to->kind == FTXFER_DIRECTORY && !tree_removes_here(t);
	t->ways_listed += w->is_listed;
	if (to->kind == FTXFER_DIRECTORY)
		tree_begin(item);
	else
		tree_begin_removal(item);
	return true;
}

void
tree_way_ended(struct way *w, bool removed)
{
	w->ended = true;
	w->removed = removed;
	session_kick(w->tree->s);
}

void
tree_take_ways(struct tree *t)
{
	struct way *w, *next;

	for (w = TAILQ_FIRST(&t->ways); w != NULL; w = next) {
		bool ok = true;

		next = TAILQ_NEXT(w, link);
		if (!w->ended)
			continue;
		t->at = w->at;
		if (w->removed && !tree_is_stopped(t))
			ok = tree_emit_new(t, &w->from);
		else if (!tree_is_stopped(t))
			ok = tree_fail(t, w->from.name, FTXFER_CANNOT_CREATE,
			    "what is in the way could not be removed");
		t->at.name = NULL;
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
