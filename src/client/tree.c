#include "client/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

char *
tree_join(const char *base, const char *rel, const char *name)
{
	const char *const parts[] = { base, rel, name };
	size_t lens[3], size = 1, at = 0;
	char *made;

	for (int i = 0; i < 3; i++) {
		lens[i] = strlen(parts[i]);
		size += lens[i] + 1;
	}
	made = malloc(size);
	if (made == NULL)
		return NULL;
	for (int i = 0; i < 3; i++) {
		if (lens[i] > 0 && at > 0 && made[at - 1] != '/')
			made[at++] = '/';
		memcpy(made + at, parts[i], lens[i]);
		at += lens[i];
	}
	made[at] = '\0';
	return made;
}

static bool
push(struct dir **list, size_t *count, size_t *room, struct dir dir)
{
	if (*count == *room) {
		size_t more = *room > 0 ? 2 * *room : 16;
		struct dir *made = realloc(*list, more * sizeof(*made));

		if (made == NULL)
			return false;
		*list = made;
		*room = more;
	}
	(*list)[(*count)++] = dir;
	return true;
}

bool
tree_push(struct tree *t, const char *name, struct dir dir)
{
	dir.name = t->at.name != NULL ? tree_join(t->at.name, name, "") : strdup(name);
	dir.depth = t->at.name != NULL ? t->at.depth + 1 : 0;
	if (dir.name == NULL)
		return false;
	if (dir.depth > TREE_DEPTH || t->bytes + strlen(dir.name) > TREE_BYTES ||
	    !push(&t->dirs, &t->dir_count, &t->dir_room, dir)) {
		free(dir.name);
		return false;
	}
	t->bytes += strlen(dir.name);
	return true;
}

bool
tree_removes_here(const struct tree *t)
{
	/* In what is in the way of a download nothing has a name on the server, either. */
	return t->op == FTXFER_OP_SYNC_DOWN ||
	       (t->op == FTXFER_OP_REMOVE && t->item->remote == NULL);
}

bool
tree_has_queue(const struct tree *t)
{
	return (t->op == FTXFER_OP_REMOVE && tree_removes_here(t)) || ftxfer_session_has_room(t->s);
}

struct item *
tree_child(struct tree *t, enum ftxfer_op op, unsigned flags, const char *name)
{
	char *there = tree_join(t->there, t->at.name, name);
	char *here = tree_join(t->here, t->at.name, name);
	char *shown = t->item->local != NULL && t->item->pattern == NULL
			  ? tree_join(t->item->local, t->at.name, name)
			  : NULL;
	struct item *item =
	    there != NULL && here != NULL ? item_new(t->s, op, flags, there, shown) : NULL;

	free(there);
	free(shown);
	if (item == NULL) {
		free(here);
		return NULL;
	}
	if (tree_removes_here(t) && (op == FTXFER_OP_MKDIR || op == FTXFER_OP_REMOVE)) {
		free(item->remote); /* nothing of the server's is meant */
		item->remote = NULL;
	}
	item->leaf = here;
	item->place = t->item->place;
	item->tree = t;
	t->children++;
	return item;
}

bool
tree_push_emptied(struct tree *t, struct dir dir)
{
	return push(&t->emptied, &t->emptied_count, &t->emptied_room, dir);
}

/* --- The end --- */

static void
drop_dirs(struct tree *t)
{
	while (t->dir_count > 0)
		free(t->dirs[--t->dir_count].name);
}

static void
clear(struct tree *t)
{
	tree_visits_clear(t);
	tree_drop_ways(t);
	drop_dirs(t);
	while (t->emptied_count > 0)
		free(t->emptied[--t->emptied_count].name);
}

void
tree_free(struct tree *t)
{
	if (t == NULL)
		return;
	clear(t);
	TAILQ_REMOVE(&t->s->trees, t, link);
	free(t->dirs);
	free(t->emptied);
	free(t->only.name);
	free(t->here);
	free(t->there);
	free(t);
}

void
tree_finish(struct tree *t)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	/* What a listing found were no items, unless they failed. */
	t->item->sums_up = t->why[0] == '\0' && !t->cancelled &&
			   (t->op != FTXFER_OP_LIST || t->failed > 0) &&
			   (t->item->pattern == NULL || t->matched > 0 || t->failed > 0);
	if (t->cancelled)
		item_fail(t->item, FTXFER_CANCELLED, ftx_rc_text(FTX_CANCELLED));
	else if (t->why[0] != '\0')
		item_fail(t->item, t->status, t->why);
	else if (t->item->pattern != NULL && t->matched == 0 && t->failed == 0)
		item_fail(t->item, FTXFER_REFUSED,
		    t->left_out > 0 && t->item->local == NULL
			? "only directories match, and one file goes to standard output"
		    : t->left_out > 0
			? "only directories match, and -r was not given"
			: "no name on the server matches (a backslash before a wildcard "
			  "makes it part of a name)");
	else if (t->failed > 0)
		item_fail(t->item, t->s->hopeless == FTX_OK ? FTXFER_REFUSED : FTXFER_TRY_AGAIN,
		    "not all of it was done");
	else
		item_done(t->item, &e);
}

bool
tree_is_stopped(const struct tree *t)
{
	return t->cancelled || t->why[0] != '\0';
}

void
tree_give_up(struct tree *t, enum ftxfer_status status, const char *text)
{
	t->failed++;
	t->status = status;
	snprintf(t->why, sizeof(t->why), "%s", text);
	drop_dirs(t);
	session_kick(t->s);
}

void
tree_cancel(struct tree *t)
{
	t->cancelled = true;
	drop_dirs(t);
	tree_visits_cancel(t);
	session_kick(t->s);
}

void
tree_child_ended(struct tree *t, bool failed)
{
	t->children--;
	t->failed += failed;
	session_kick(t->s);
}

/* --- All of it --- */

static bool
may_begin(const struct tree *t)
{
	/* Each directory is handed on before others begin: so the order is the same each time. */
	return t->dir_count > 0 && !t->emitting &&
	       (t->visit_count == 0 || t->s->ahead < TREE_AHEAD) &&
	       (tree_has_queue(t) || t->cancelled);
}

void
tree_kick(struct tree *t)
{
	struct visit *v;

	if (t->op == FTXFER_OP_LIST && !tree_tell(t))
		return;
	tree_take_ways(t);
	while (!t->making_base) {
		while (may_begin(t))
			tree_visit_next(t);
		v = TAILQ_FIRST(&t->visits);
		if (v == NULL)
			break;
		if (!v->listed) {
			tree_list_on(v);
			if (!v->listed && !v->early)
				return;
		}
		if (!tree_visit_emit(t, v))
			return;
	}
	if (t->making_base || t->dir_count > 0 || t->telling != NULL)
		return;
	if (t->only.name != NULL && !tree_is_stopped(t))
		tree_emit_only(t);
	else
		tree_remove_emptied(t);
}

/* PUT: the tree itself is a directory there, which the rest needs. */
static void
begin_put(struct tree *t)
{
	struct item *child;
	char base[] = "";

	if (*t->there == '\0')
		return;
	t->at.name = base;
	child = tree_child(t, FTXFER_OP_MKDIR, t->flags & FTXFER_PARENTS, "");
	t->at.name = NULL;
	if (child == NULL) {
		t->failed++;
		return;
	}
	child->mode = t->item->mode;
	child->makes_base = true;
	t->making_base = true;
	item_queue(child);
}

void
tree_made_base(struct tree *t, bool ok, bool existed)
{
	t->making_base = false;
	if (!ok)
		drop_dirs(t);
	else if (t->dir_count > 0)
		t->dirs[t->dir_count - 1].is_new_there = !existed;
	session_kick(t->s);
}

/* False: no memory. */
static bool
fill(struct tree *t)
{
	const struct item *item = t->item;
	const struct dir dir = { .rest = item->pattern,
		.doomed = item->op == FTXFER_OP_REMOVE,
		.is_new_here = item->op == FTXFER_OP_SYNC_DOWN && item->place == NULL };

	t->here = strdup(item->leaf != NULL ? item->leaf : "");
	t->there = strdup(item->pattern == NULL && item->remote != NULL ? item->remote : "");
	return t->here != NULL && t->there != NULL && tree_push(t, "", dir) &&
	       (!dir.is_new_here || tree_would_make(t));
}

/* What matches may be in more than one directory. */
static bool
is_spread(const char *pattern)
{
	const char *slash = strrchr(pattern, '/');

	return slash != NULL && pattern + strcspn(pattern, "*?[\\") < slash;
}

void
tree_begin(struct item *item)
{
	struct tree *t = calloc(1, sizeof(*t));
	bool both = item->op == FTXFER_OP_SYNC_UP || item->op == FTXFER_OP_SYNC_DOWN ||
		    item->op == FTXFER_OP_VERIFY;

	item->phase = ITEM_TREE;
	if (t == NULL) {
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	TAILQ_INIT(&t->visits);
	TAILQ_INIT(&t->ways);
	t->item = item;
	t->s = item->s;
	t->op = item->op;
	t->flags = item->flags;
	t->lists_here = both || item->op == FTXFER_OP_PUT;
	t->lists_there = both || item->op != FTXFER_OP_PUT;
	t->takes_targets = item->pattern != NULL ? item->s->added > 1 || is_spread(item->pattern)
						 : item->covers && item->s->added > 1;
	TAILQ_INSERT_TAIL(&item->s->trees, t, link);
	item->own = t;
	if (!fill(t)) {
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	if (t->op == FTXFER_OP_PUT ||
	    (t->op == FTXFER_OP_SYNC_UP && (t->flags & FTXFER_DRY_RUN) == 0))
		begin_put(t);
	session_kick(t->s);
}
