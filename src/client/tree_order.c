#include <stdlib.h>
#include <string.h>

#include "client/tree.h"

/*
 * LIST, as people read it: the names of a directory, then those of each directory in it with all
 * that is below, by their names. What comes next in that order is listed side by side, as far as it
 * is known by then: the directories between are a tree of visits, and what has been told of is gone
 * but for those directories.
 */

#define AHEAD_BYTES ((size_t)4 * 1024 * 1024) /* of names that are listed, and not told of yet */
#define AHEAD_COUNT 4096U                     /* directories, likewise */

/* What there is already, of a visit and all that are in it. */
struct ahead {
	unsigned asked; /* listings under way */
	unsigned count;
	size_t bytes;
};

static void
count(const struct visit *v, struct ahead *a)
{
	const struct visit *inner;

	a->count++;
	a->asked += !v->listed && !v->anew_there;
	if (!v->told)
		a->bytes += v->there.bytes;
	TAILQ_FOREACH (inner, &v->inner, link) {
		/* cppcheck-suppress uninitvar; TAILQ_FOREACH sets it */
		count(inner, a);
	}
}

/* The next directory in it is asked for. NULL: there is none. */
static struct visit *
open_inner(struct visit *v)
{
	struct tree *t = v->tree;
	struct visit *inner;

	if ((t->flags & FTXFER_RECURSIVE) == 0 || v->broken)
		return NULL;
	while (
	    v->next_inner < v->there.count && v->there.list[v->next_inner].kind != FTXFER_DIRECTORY)
		v->next_inner++;
	if (v->next_inner == v->there.count || tree_is_stopped(t))
		return NULL;
	inner = tree_visit_inner(v, v->there.list[v->next_inner++].name);
	if (inner == NULL)
		tree_give_up(t, FTXFER_INTERNAL, "the tree is too large, or memory is short");
	return inner;
}

/* False: that is enough for now. */
static bool
ask_ahead(struct visit *v, struct ahead *a)
{
	struct visit *inner;

	if (!v->listed)
		return true;
	TAILQ_FOREACH (inner, &v->inner, link) {
		/* cppcheck-suppress uninitvar; likewise */
		if (!ask_ahead(inner, a))
			return false;
	}
	while (a->asked < TREE_AHEAD && a->count < AHEAD_COUNT && a->bytes < AHEAD_BYTES) {
		if (open_inner(v) == NULL)
			return true;
		a->asked++;
		a->count++;
	}
	return false;
}

static void
tell(struct visit *v)
{
	struct tree *t = v->tree;

	t->at = v->dir;
	for (size_t i = 0; !v->broken && i < v->there.count && !tree_is_stopped(t); i++) {
		if (!tree_emit(t, NULL, &v->there.list[i]))
			tree_give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
	}
	v->told = true;
	v->next_inner = entries_keep_directories(t, &v->there, v->next_inner);
}

/* Whose turn is after v, of which all is told but what is in it. NULL: that was the last one. */
static struct visit *
next_of(struct visit *v)
{
	while (v != NULL) {
		struct visit *above = v->above;
		struct visit *inner = TAILQ_FIRST(&v->inner);

		if (inner == NULL)
			inner = open_inner(v);
		if (inner != NULL)
			return inner;
		tree_visit_free(v);
		v = above;
	}
	return NULL;
}

bool
tree_tell(struct tree *t)
{
	if (t->telling == NULL && t->dir_count > 0) {
		tree_visit_next(t);
		t->telling = TAILQ_FIRST(&t->visits);
	}
	while (t->telling != NULL) {
		struct visit *v = t->telling;

		if (!v->listed)
			tree_list_on(v);
		if (!v->listed) {
			struct ahead a = { 0 };

			count(TAILQ_FIRST(&t->visits), &a);
			(void)ask_ahead(TAILQ_FIRST(&t->visits), &a);
			return false;
		}
		tell(v);
		t->telling = next_of(v);
	}
	return true;
}
