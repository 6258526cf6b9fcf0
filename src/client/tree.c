#include "client/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

char *
tree_join(const char *base, const char *rel, const char *name)
{
	const char *first = *base != '\0' && (*rel != '\0' || *name != '\0') ? "/" : "";
	const char *second = *rel != '\0' && *name != '\0' ? "/" : "";
	char *made;

	if (*base == '\0' || base[strlen(base) - 1] == '/')
		first = "";
	return asprintf(&made, "%s%s%s%s%s", base, first, rel, second, name) < 0 ? NULL : made;
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
	return t->op == FTXFER_OP_SYNC_DOWN;
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
	item->leaf = here;
	item->place = t->item->place;
	item->tree = t;
	t->children++;
	return item;
}

/* --- The end --- */

static void
clear(struct tree *t)
{
	store_request_close(t->request);
	t->request = NULL;
	entries_clear(t, &t->entries_here);
	entries_clear(t, &t->entries_there);
	while (t->dir_count > 0)
		free(t->dirs[--t->dir_count].name);
	while (t->emptied_count > 0)
		free(t->emptied[--t->emptied_count].name);
	free(t->at.name);
	t->at.name = NULL;
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
	free(t->here);
	free(t->there);
	free(t);
}

static void
finish(struct tree *t)
{
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	t->item->sums_up = t->why[0] == '\0' && !t->cancelled &&
			   (t->item->pattern == NULL || t->matched > 0 || t->failed > 0);
	if (t->cancelled)
		item_fail(t->item, FTXFER_CANCELLED, ftx_rc_text(FTX_CANCELLED));
	else if (t->why[0] != '\0')
		item_fail(t->item, t->status, t->why);
	else if (t->item->pattern != NULL && t->matched == 0 && t->failed == 0)
		item_fail(t->item, FTXFER_REFUSED, "no name on the server matches");
	else if (t->failed > 0)
		item_fail(t->item, t->s->hopeless == FTX_OK ? FTXFER_REFUSED : FTXFER_TRY_AGAIN,
		    "not all of it was done");
	else
		item_done(t->item, &e);
}

/* The tree ends when what it has begun has ended. */
static void
give_up(struct tree *t, enum ftxfer_status status, const char *text)
{
	t->failed++;
	t->status = status;
	snprintf(t->why, sizeof(t->why), "%s", text);
	entries_clear(t, &t->entries_here);
	entries_clear(t, &t->entries_there);
	while (t->dir_count > 0)
		free(t->dirs[--t->dir_count].name);
	t->state = TREE_NEXT;
	session_kick(t->s);
}

void
tree_cancel(struct tree *t)
{
	t->cancelled = true;
	while (t->dir_count > 0)
		free(t->dirs[--t->dir_count].name);
	if (t->request != NULL)
		store_request_cancel(t->request);
	session_kick(t->s);
}

void
tree_child_ended(struct tree *t, bool failed)
{
	t->children--;
	t->failed += failed;
	session_kick(t->s);
}

/* --- One directory --- */

static void
list(struct tree *t)
{
	bool here = t->at.doomed ? tree_removes_here(t) : t->lists_here && !t->at.is_new_here;
	bool there = t->at.doomed ? !tree_removes_here(t) : t->lists_there && !t->at.is_new_there;

	t->state = TREE_LISTING;
	t->broken = false;
	t->listing = (unsigned)here + (unsigned)there;
	if (here)
		tree_list_here(t);
	if (there)
		tree_list_there(t);
	if (!here && !there)
		t->state = TREE_EMITTING;
	session_kick(t->s);
}

void
tree_listed(struct tree *t, enum ftxfer_status status, const char *text)
{
	if (status != FTXFER_OK && !t->cancelled) {
		struct item *at = tree_child(t, t->op, 0, "");

		if (at != NULL) {
			at->phase = ITEM_LOCAL;
			item_fail(at, status, text);
		}
		t->broken = true;
	}
	if (--t->listing > 0)
		return;
	entries_sort(&t->entries_here);
	entries_sort(&t->entries_there);
	if (t->broken || t->cancelled) {
		entries_clear(t, &t->entries_here);
		entries_clear(t, &t->entries_there);
	}
	t->state = TREE_EMITTING;
	session_kick(t->s);
}

static void
on_made_here(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct tree *t = owner;
	bool existed = r->existed;

	store_request_close(r);
	t->request = NULL;
	if (rc != FTX_OK) {
		give_up(t, FTXFER_CANNOT_CREATE, ftx_rc_text(rc));
		return;
	}
	t->at.is_new_here = !existed;
	list(t);
}

/* A directory here that what comes from there goes into. False: there is none to be made. */
static bool
make_here(struct tree *t)
{
	char *name = tree_join(t->here, t->at.name, "");
	const struct request_spec spec = {
		.name = name,
		.has_mode = t->at.mode != 0 && (t->flags & FTXFER_NO_ATTRS) == 0,
		.mode = t->at.mode & 0777,
	};
	bool none = name != NULL && *name == '\0';
	enum ftx_rc rc = name != NULL ? FTX_OK : FTX_NOMEM;

	if (rc == FTX_OK && !none) {
		t->state = TREE_MAKING;
		rc = store_mkdir(t->item->place->store, &spec, on_made_here, t, &t->request);
	}
	free(name);
	if (rc != FTX_OK)
		give_up(t, FTXFER_INTERNAL, ftx_rc_text(rc));
	return !none;
}

/* REMOVE: the deepest directories that are left, all of them side by side. */
static void
remove_emptied(struct tree *t)
{
	unsigned deepest = 0;

	t->state = TREE_REMOVING;
	if (t->children > 0)
		return;
	if (t->emptied_count == 0 || t->failed > 0 || t->cancelled) {
		finish(t);
		return;
	}
	for (size_t i = 0; i < t->emptied_count; i++) {
		if (t->emptied[i].depth > deepest)
			deepest = t->emptied[i].depth;
	}
	free(t->at.name);
	t->at.name = NULL;
	for (size_t i = 0; i < t->emptied_count;) {
		struct dir dir = t->emptied[i];

		if (dir.depth != deepest) {
			i++;
			continue;
		}
		t->emptied[i] = t->emptied[--t->emptied_count];
		t->at = dir;
		t->failed += !tree_remove(t, "", true);
		free(dir.name);
		t->at.name = NULL;
	}
	session_kick(t->s);
}

static void
next_dir(struct tree *t)
{
	free(t->at.name);
	t->at.name = NULL;
	if (t->dir_count == 0) {
		t->state = TREE_REMOVING;
		return;
	}
	t->at = t->dirs[--t->dir_count];
	t->bytes -= strlen(t->at.name);
	if (t->at.doomed && (t->flags & FTXFER_DRY_RUN) == 0) {
		struct dir dir = { .name = strdup(t->at.name), .depth = t->at.depth };

		if (dir.name == NULL ||
		    !push(&t->emptied, &t->emptied_count, &t->emptied_room, dir)) {
			free(dir.name);
			give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
			return;
		}
	}
	if (!t->at.doomed &&
	    ((t->op == FTXFER_OP_GET && t->item->pattern == NULL) ||
		(t->op == FTXFER_OP_SYNC_DOWN && (t->flags & FTXFER_DRY_RUN) == 0))) {
		if (make_here(t))
			return;
	}
	list(t);
}

static void
emit(struct tree *t)
{
	struct entries *a = &t->entries_here, *b = &t->entries_there;

	while (a->next < a->count || b->next < b->count) {
		const struct entry *here = a->next < a->count ? &a->list[a->next] : NULL;
		const struct entry *there = b->next < b->count ? &b->list[b->next] : NULL;
		int order = here == NULL ? 1 : there == NULL ? -1 : strcmp(here->name, there->name);

		if (!ftxfer_session_has_room(t->s) && !t->cancelled)
			return;
		a->next += order <= 0;
		b->next += order >= 0;
		if (t->cancelled)
			continue;
		if (!tree_emit(t, order <= 0 ? here : NULL, order >= 0 ? there : NULL)) {
			give_up(t, FTXFER_INTERNAL, "the tree is too large, or memory is short");
			return;
		}
	}
	entries_clear(t, a);
	entries_clear(t, b);
	t->state = TREE_NEXT;
}

void
tree_kick(struct tree *t)
{
	while (t->state == TREE_NEXT || t->state == TREE_EMITTING) {
		enum tree_state was = t->state;

		if (!ftxfer_session_has_room(t->s) && !t->cancelled)
			return;
		if (was == TREE_NEXT)
			next_dir(t);
		else
			emit(t);
		if (t->state == was && was == TREE_EMITTING)
			return;
	}
	if (t->state == TREE_REMOVING)
		remove_emptied(t);
}

/* What is put keeps its name there, if it has one. False: no memory. */
static bool
add_base(struct tree *t)
{
	char *local = strdup(t->item->local);
	const char *base;
	bool ok;

	if (local == NULL)
		return false;
	for (char *p = local + strlen(local); p > local && p[-1] == '/';)
		*--p = '\0';
	base = name_base(local);
	ok = *base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ||
	     name_add(&t->there, base);
	free(local);
	return ok;
}

/* PUT: the tree itself is a directory there, which the rest needs. */
static void
begin_put(struct tree *t)
{
	struct item *child;

	if (t->op == FTXFER_OP_PUT && !add_base(t)) {
		give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	if (*t->there == '\0')
		return;
	t->at.name = strdup("");
	child = t->at.name != NULL ? tree_child(t, FTXFER_OP_MKDIR, t->flags & FTXFER_PARENTS, "")
				   : NULL;
	free(t->at.name);
	t->at.name = NULL;
	if (child == NULL) {
		t->failed++;
		return;
	}
	child->mode = t->item->mode;
	child->makes_base = true;
	t->state = TREE_MAKING;
	item_queue(child);
}

void
tree_made_base(struct tree *t, bool ok, bool existed)
{
	t->state = TREE_NEXT;
	if (!ok)
		while (t->dir_count > 0)
			free(t->dirs[--t->dir_count].name);
	else if (t->dir_count > 0)
		t->dirs[t->dir_count - 1].is_new_there = !existed;
	session_kick(t->s);
}

/* False: no memory. */
static bool
fill(struct tree *t)
{
	const struct item *item = t->item;

	t->here = strdup(item->leaf != NULL ? item->leaf : "");
	t->there = strdup(item->pattern == NULL ? item->remote : "");
	return t->here != NULL && t->there != NULL &&
	       tree_push(t, "",
		   (struct dir){ .rest = item->pattern, .doomed = item->op == FTXFER_OP_REMOVE });
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
	t->item = item;
	t->s = item->s;
	t->op = item->op;
	t->flags = item->flags;
	t->lists_here = both || item->op == FTXFER_OP_PUT;
	t->lists_there = both || item->op != FTXFER_OP_PUT;
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
