#include <stdlib.h>
#include <string.h>

#include "client/tree.h"
#include "store/store.h"

/* One directory: made here, if what comes from there goes into it, listed, and handed on. */

bool
tree_is_first(const struct visit *v)
{
	const struct tree *t = v->tree;

	return v == (t->telling != NULL ? t->telling : TAILQ_FIRST(&t->visits));
}

void
tree_visit_free(struct visit *v)
{
	struct tree *t = v->tree;
	struct visit *inner, *next;

	for (inner = TAILQ_FIRST(&v->inner); inner != NULL; inner = next) {
		next = TAILQ_NEXT(inner, link);
		tree_visit_free(inner);
	}
	store_request_close(v->request);
	entries_clear(t, &v->here);
	entries_clear(t, &v->there);
	if (v->above != NULL)
		TAILQ_REMOVE(&v->above->inner, v, link);
	else {
		TAILQ_REMOVE(&t->visits, v, link);
		if (--t->visit_count > 0)
			t->s->ahead--;
	}
	free(v->dir.name);
	free(v);
}

void
tree_visits_clear(struct tree *t)
{
	struct visit *v, *next;

	for (v = TAILQ_FIRST(&t->visits); v != NULL; v = next) {
		next = TAILQ_NEXT(v, link);
		tree_visit_free(v);
	}
}

void
tree_visits_cancel(struct tree *t)
{
	for (struct visit *v = TAILQ_FIRST(&t->visits); v != NULL; v = TAILQ_NEXT(v, link)) {
		if (v->request != NULL && !v->waits_here)
			store_request_cancel(v->request);
	}
}

static void
list(struct visit *v)
{
	struct tree *t = v->tree;
	const struct dir *dir = &v->dir;
	bool here = dir->doomed ? tree_removes_here(t) : t->lists_here && !dir->is_new_here;
	bool there = dir->doomed ? !tree_removes_here(t) : t->lists_there && !dir->is_new_there;

	v->listing = (unsigned)here + (unsigned)there;
	v->listed = v->listing == 0;
	/* Our own pages come in order. A server may have to be asked anew while names go away. */
	v->early = here != there && (here || t->op == FTXFER_OP_GET ||
					(t->op == FTXFER_OP_SYNC_DOWN && !dir->doomed));
	if (here)
		tree_list_here(v);
	if (there)
		tree_list_there(v);
	session_kick(t->s);
}

/* This directory, which is named; not the others. */
static void
leave_out(struct visit *v, enum ftxfer_status status, const char *text)
{
	v->tree->at = v->dir;
	(void)tree_fail(v->tree, "", status, text); /* no memory: it lacks an event */
	v->broken = true;
}

void
tree_listed(struct visit *v, enum ftxfer_status status, const char *text)
{
	struct tree *t = v->tree;

	if (status != FTXFER_OK && !t->cancelled)
		leave_out(v, status, text);
	if (--v->listing > 0)
		return;
	if (!v->early) {
		entries_sort(v->tree, &v->here);
		entries_sort(v->tree, &v->there);
	}
	v->listed = true;
	session_kick(t->s);
}

/* What cannot begin ends the tree. */
static void
fail(struct visit *v, enum ftxfer_status status, enum ftx_rc rc)
{
	char text[SESSION_TEXT];

	v->listed = v->broken = true;
	here_text(v->tree->item, rc, text, sizeof(text));
	tree_give_up(v->tree, status, text);
}

/* Something that has to do with the name: others can be made. */
static bool
is_of_the_name(enum ftx_rc rc)
{
	switch (rc) {
	case FTX_EXISTS:
	case FTX_ACCESS:
	case FTX_NO_PARENT:
	case FTX_NOT_DIRECTORY:
	case FTX_NOT_FOUND:
	case FTX_BAD_NAME:
		return true;
	default:
		return false;
	}
}

static void
on_made_here(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct visit *v = owner;
	bool existed = r->existed;
	char text[SESSION_TEXT];

	store_request_close(r);
	v->request = NULL;
	if (rc != FTX_OK && !is_of_the_name(rc)) {
		fail(v, FTXFER_CANNOT_CREATE, rc);
		return;
	}
	if (rc != FTX_OK) {
		here_text(v->tree->item, rc, text, sizeof(text));
		leave_out(v, FTXFER_CANNOT_CREATE,
		    rc == FTX_EXISTS ? "it is to be a directory, and something else has that name"
				     : text);
		v->listed = true;
		session_kick(v->tree->s);
		return;
	}
	v->dir.is_new_here = !existed;
	list(v);
}

/* A directory here that what comes from there goes into. False: there is none to be made. */
static bool
make_here(struct visit *v)
{
	struct tree *t = v->tree;
	char *name = tree_join(t->here, v->dir.name, "");
	const struct request_spec spec = {
		.name = name,
		.has_mode = v->dir.mode != 0 && (t->flags & FTXFER_NO_ATTRS) == 0,
		.mode = v->dir.mode & 0777,
	};
	bool none = name != NULL && *name == '\0';
	enum ftx_rc rc = name != NULL ? FTX_OK : FTX_NOMEM;

	if (rc == FTX_OK && !none)
		rc = store_mkdir(t->item->place->store, &spec, on_made_here, v, &v->request);
	free(name);
	if (rc != FTX_OK)
		fail(v, FTXFER_INTERNAL, rc);
	return !none;
}

static void
begin(struct visit *v)
{
	struct tree *t = v->tree;
	bool dry = (t->flags & FTXFER_DRY_RUN) != 0;
	bool makes = (t->op == FTXFER_OP_GET && t->item->pattern == NULL) ||
		     (t->op == FTXFER_OP_SYNC_DOWN && !dry);

	if (v->dir.doomed) {
		struct dir dir = { .name = strdup(v->dir.name), .depth = v->dir.depth };

		if (dir.name == NULL || !tree_push_emptied(t, dir)) {
			free(dir.name);
			fail(v, FTXFER_INTERNAL, FTX_NOMEM);
			return;
		}
	}
	if (v->dir.doomed || !makes || !make_here(v))
		list(v);
}

void
tree_visit_next(struct tree *t)
{
	struct visit *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		tree_give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	v->tree = t;
	TAILQ_INIT(&v->inner);
	v->dir = t->dirs[--t->dir_count];
	t->bytes -= strlen(v->dir.name);
	TAILQ_INSERT_TAIL(&t->visits, v, link);
	if (t->visit_count++ > 0)
		t->s->ahead++;
	begin(v);
}

struct visit *
tree_visit_inner(struct visit *above, const char *name)
{
	struct tree *t = above->tree;
	struct visit *v = above->dir.depth < TREE_DEPTH ? calloc(1, sizeof(*v)) : NULL;
	struct dir dir = { .depth = above->dir.depth + 1 };

	if (v == NULL)
		return NULL;
	dir.name = tree_join(above->dir.name, name, "");
	if (dir.name == NULL) {
		free(v);
		return NULL;
	}
	v->tree = t;
	v->dir = dir;
	v->above = above;
	TAILQ_INIT(&v->inner);
	TAILQ_INSERT_TAIL(&above->inner, v, link);
	begin(v);
	return v;
}

/* What was found first comes first. */
static void
reverse(struct dir *dirs, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct dir dir = dirs[i];

		dirs[i] = dirs[count - 1 - i];
		dirs[count - 1 - i] = dir;
	}
}

/* What is removed here is counted by its tree. */
static bool
has_room(const struct tree *t)
{
	return tree_has_queue(t) && t->children < TREE_CHILDREN && t->way_count < TREE_WAYS &&
	       t->ways_listed < TREE_WAYS_LISTED;
}

bool
tree_visit_emit(struct tree *t, struct visit *v)
{
	struct entries *a = &v->here, *b = &v->there;

	t->at = v->dir;
	if (!t->emitting)
		t->pushed = t->dir_count;
	t->emitting = true;
	while (!v->broken && (a->next < a->count || b->next < b->count)) {
		const struct entry *here = a->next < a->count ? &a->list[a->next] : NULL;
		const struct entry *there = b->next < b->count ? &b->list[b->next] : NULL;
		int order = here == NULL ? 1 : there == NULL ? -1 : strcmp(here->name, there->name);

		if (tree_is_stopped(t))
			break;
		if (!has_room(t))
			return false;
		a->next += order <= 0;
		b->next += order >= 0;
		if (!tree_emit(t, order <= 0 ? here : NULL, order >= 0 ? there : NULL))
			tree_give_up(
			    t, FTXFER_INTERNAL, "the tree is too large, or memory is short");
	}
	if (!v->listed) {
		entries_clear(t, a);
		if (v->waits_here) /* there is room now */
			session_kick(t->s);
		return false;
	}
	if (t->dir_count > t->pushed)
		reverse(t->dirs + t->pushed, t->dir_count - t->pushed);
	t->emitting = false;
	tree_visit_free(v);
	return true;
}
