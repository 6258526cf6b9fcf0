#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tree.h"

/* What each command does with a name that is here, there, or on both sides. */

void
tree_describe(struct item *item, const struct entry *e)
{
	item->size = item->counted = e->size;
	item->mtime = e->mtime;
	item->mode = e->mode & 0777;
	item->s->totals.bytes_known += e->size;
}

bool
tree_skip(struct tree *t, const char *name, enum ftxfer_status status, const char *why)
{
	struct item *item = tree_child(t, t->op, 0, name);

	if (item == NULL)
		return false;
	item->phase = ITEM_LOCAL;
	item_skip(item, status, why);
	return true;
}

bool
tree_fail(struct tree *t, const char *name, enum ftxfer_status status, const char *why)
{
	struct item *item = tree_child(t, t->op, 0, name);

	if (item == NULL)
		return false;
	item->phase = ITEM_LOCAL;
	item_fail(item, status, why);
	return true;
}

bool
tree_dry(struct tree *t, enum ftxfer_op op, const char *name, uint64_t bytes)
{
	struct item *item = tree_child(t, op, 0, name);
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE, .dry = true, .bytes = bytes };

	if (item == NULL)
		return false;
	item->phase = ITEM_LOCAL;
	item_done(item, &e);
	return true;
}

bool
tree_would_make(struct tree *t)
{
	char base[] = "";
	bool ok;

	t->at = (struct dir){ .name = base };
	ok = tree_dry(t, FTXFER_OP_MKDIR, "", 0);
	t->at.name = NULL;
	return ok;
}

bool
tree_may_lack(struct visit *v)
{
	struct tree *t = v->tree;

	return t->op == FTXFER_OP_SYNC_UP && (t->flags & FTXFER_DRY_RUN) != 0 &&
	       v->dir.depth == 0 && tree_would_make(t);
}

const char *
tree_why_skipped(enum ftxfer_kind kind)
{
	return kind == FTXFER_LINK ? "a symbolic link" : "neither file nor directory";
}

/* Of what is here: the server has no such names. */
static bool
is_reserved(const struct entry *here)
{
	return path_is_reserved(here->name, strlen(here->name));
}

static bool
skip_reserved(struct tree *t, const struct entry *here)
{
	return tree_skip(t, here->name, FTXFER_OK, "that name is the server's own");
}

/* --- Moving --- */

static bool
put(struct tree *t, const struct entry *e, unsigned more)
{
	unsigned keep = t->flags & (FTXFER_REPLACE | FTXFER_NO_ATTRS);
	struct item *item;

	if ((t->flags & FTXFER_DRY_RUN) != 0)
		return tree_dry(t, FTXFER_OP_PUT, e->name, e->size);
	item = tree_child(t, FTXFER_OP_PUT, keep | FTXFER_PARENTS | more, e->name);
	if (item == NULL)
		return false;
	tree_describe(item, e);
	item_queue(item);
	return true;
}

bool
tree_get(struct tree *t, const struct entry *e, struct way *way)
{
	struct item *item;

	if ((t->flags & FTXFER_DRY_RUN) != 0)
		return tree_dry(t, FTXFER_OP_GET, e->name, e->size);
	item = tree_child(t, FTXFER_OP_GET, t->flags & FTXFER_NO_ATTRS, e->name);
	if (item == NULL)
		return false;
	item->behind = way;
	if (way != NULL)
		way->comes = item;
	tree_describe(item, e);
	item_queue(item);
	return true;
}

static bool
make_there(struct tree *t, const struct entry *e)
{
	struct item *item;

	if ((t->flags & FTXFER_DRY_RUN) != 0)
		return tree_dry(t, FTXFER_OP_MKDIR, e->name, 0);
	item = tree_child(t, FTXFER_OP_MKDIR, FTXFER_PARENTS, e->name);
	if (item == NULL)
		return false;
	item->mode = e->mode & 0777;
	item_queue(item);
	return true;
}

/* --- Each command --- */

/* The directory at hand is the tree's own, and other things may go into it, too. */
static bool
takes_target(const struct tree *t)
{
	return t->takes_targets && *t->at.name == '\0';
}

/* One of the tree's first names, beside which other things go. True: it is not to come. */
static bool
goes_elsewhere(struct tree *t, const struct entry *e, bool *ok)
{
	const char *name = e->name;
	bool up = t->op == FTXFER_OP_PUT;
	enum target_is is = TARGET_NO_MEMORY;
	char text[SESSION_TEXT], *there, *here;

	if (e->kind != FTXFER_FILE && e->kind != FTXFER_DIRECTORY)
		return false;
	there = tree_join(t->there, "", name);
	here = tree_join(t->item->local, "", name);
	if (there != NULL && here != NULL)
		is = target_take(t->s, up ? NULL : t->item->place, up ? there : name,
		    up ? here : there, text, sizeof(text));
	free(there);
	free(here);
	*ok = is == TARGET_OURS;
	if (is == TARGET_TAKEN)
		*ok = tree_fail(t, name, FTXFER_CANNOT_CREATE, text);
	else if (is == TARGET_AGAIN)
		*ok = tree_skip(t, name, FTXFER_OK, TARGET_TEXT_AGAIN);
	return is != TARGET_OURS;
}

static bool
emit_put(struct tree *t, const struct entry *here)
{
	bool ok;

	if (is_reserved(here))
		return skip_reserved(t, here);
	if (takes_target(t) && goes_elsewhere(t, here, &ok))
		return ok;
	switch (here->kind) {
	case FTXFER_FILE:
		return put(t, here, 0);
	case FTXFER_DIRECTORY:
		return make_there(t, here) && tree_push(t, here->name, (struct dir){ 0 });
	default:
		return tree_skip(t, here->name, FTXFER_OK, tree_why_skipped(here->kind));
	}
}

static bool
emit_get(struct tree *t, const struct entry *there)
{
	bool ok;

	if (t->at.rest != NULL)
		return tree_match(t, there);
	if (takes_target(t) && goes_elsewhere(t, there, &ok))
		return ok;
	switch (there->kind) {
	case FTXFER_FILE:
		return tree_get(t, there, NULL);
	case FTXFER_DIRECTORY:
		return tree_push(t, there->name, (struct dir){ .mode = there->mode });
	default:
		return tree_skip(t, there->name, FTXFER_OK, tree_why_skipped(there->kind));
	}
}

static bool
emit_list(struct tree *t, const struct entry *there)
{
	char *name = tree_join(t->there, t->at.name, there->name);
	char *asked = t->item->remote;
	struct ftxfer_event e = {
		.type = FTXFER_EVENT_ENTRY,
		.kind = there->kind,
		.bytes = there->size,
		.has_time = true,
		.mtime = there->mtime.tv_sec,
		.mtime_ns = (uint32_t)there->mtime.tv_nsec,
		.mode = there->mode,
	};

	if (name == NULL)
		return false;
	t->item->remote = name;
	session_event(t->item, &e);
	t->item->remote = asked;
	free(name);
	return true;
}

/* Size and time are the same; a file system may have dropped the fraction of a second. */
static bool
looks_same(const struct entry *a, const struct entry *b)
{
	return a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       (a->mtime.tv_nsec == b->mtime.tv_nsec || a->mtime.tv_nsec == 0 ||
		   b->mtime.tv_nsec == 0);
}

/* A pair of files, whose digests say whether there is anything to do. */
static bool
compare(struct tree *t, const struct entry *from, enum ftxfer_op op)
{
	unsigned flags = t->flags & (FTXFER_DRY_RUN | FTXFER_NO_ATTRS);
	struct item *item;

	item = tree_child(t, op, flags | FTXFER_REPLACE | FTXFER_PARENTS, from->name);
	if (item == NULL)
		return false;
	item->size = from->size;
	item->mtime = from->mtime;
	item->mode = from->mode & 0777;
	item->compare = true;
	item_queue(item);
	return true;
}

/* It is only at the side that is copied. */
bool
tree_emit_new(struct tree *t, const struct entry *from)
{
	bool up = t->op == FTXFER_OP_SYNC_UP;

	if (is_reserved(from))
		return skip_reserved(t, from);
	if (from->kind == FTXFER_FILE)
		return up ? put(t, from, 0) : tree_get(t, from, NULL);
	if (from->kind != FTXFER_DIRECTORY)
		return tree_skip(t, from->name, FTXFER_OK, tree_why_skipped(from->kind));
	if (up ? !make_there(t, from)
	       : (t->flags & FTXFER_DRY_RUN) != 0 && !tree_dry(t, FTXFER_OP_MKDIR, from->name, 0))
		return false;
	return tree_push(t, from->name,
	    (struct dir){ .is_new_there = up, .is_new_here = !up, .mode = up ? 0 : from->mode });
}

/* What has the name there is of another kind. */
static bool
replace_other(struct tree *t, const struct entry *from, const struct entry *to)
{
	static const char *const in_the_way[] = {
		[FTXFER_FILE] = "a file of that name is in the way: --delete would remove it",
		[FTXFER_DIRECTORY] = ("a directory of that name is in the way: --delete would "
				      "remove it with all that is in it"),
		[FTXFER_LINK] =
		    "a symbolic link of that name is in the way: --delete would remove it",
		[FTXFER_OTHER] = "what is in the way is neither file nor directory",
	};

	if ((t->flags & FTXFER_DELETE) == 0 || to->kind == FTXFER_OTHER)
		return tree_fail(t, from->name, FTXFER_CANNOT_CREATE, in_the_way[to->kind]);
	return tree_clear_way(t, from, to);
}

/* Both have the name; from is the side that is copied. */
static bool
sync_both(struct tree *t, const struct entry *from, const struct entry *to)
{
	bool up = t->op == FTXFER_OP_SYNC_UP;

	if (from->kind != FTXFER_FILE && from->kind != FTXFER_DIRECTORY)
		return tree_skip(t, from->name, FTXFER_OK, tree_why_skipped(from->kind));
	if (from->kind != to->kind)
		return replace_other(t, from, to);
	if (from->kind == FTXFER_DIRECTORY)
		return tree_push(t, from->name, (struct dir){ 0 });
	if ((t->flags & FTXFER_CHECKSUM) != 0 && from->size == to->size)
		return compare(t, from, up ? FTXFER_OP_PUT : FTXFER_OP_GET);
	if ((t->flags & FTXFER_CHECKSUM) == 0 && looks_same(from, to))
		return tree_skip(t, from->name, FTXFER_OK, "the same");
	return up ? put(t, from, FTXFER_REPLACE) : tree_get(t, from, NULL);
}

static bool
emit_sync(struct tree *t, const struct entry *from, const struct entry *to)
{
	if (to == NULL)
		return tree_emit_new(t, from);
	if (from == NULL)
		return (t->flags & FTXFER_DELETE) == 0 || tree_doom(t, to);
	return sync_both(t, from, to);
}

static bool
is_left_out(const struct entry *e)
{
	return e->kind != FTXFER_FILE && e->kind != FTXFER_DIRECTORY;
}

/* VERIFY: what is left out on both sides, or on the one that has it. */
static bool
both_left_out(const struct entry *here, const struct entry *there)
{
	return (here == NULL || is_left_out(here)) && (there == NULL || is_left_out(there));
}

static bool
fail_kinds(struct tree *t, const struct entry *here, const struct entry *there)
{
	static const char *const words[] = {
		[FTXFER_FILE] = "a file",
		[FTXFER_DIRECTORY] = "a directory",
		[FTXFER_LINK] = "a symbolic link",
		[FTXFER_OTHER] = "neither file nor directory",
	};
	char text[128];

	snprintf(text, sizeof(text), "it is %s here, and %s on the server", words[here->kind],
	    words[there->kind]);
	return tree_fail(t, here->name, FTXFER_BAD_DATA, text);
}

static bool
emit_verify(struct tree *t, const struct entry *here, const struct entry *there)
{
	const char *name = here != NULL ? here->name : there->name;

	if (here != NULL && is_reserved(here))
		return skip_reserved(t, here);
	if (both_left_out(here, there))
		return tree_skip(
		    t, name, FTXFER_OK, tree_why_skipped(here != NULL ? here->kind : there->kind));
	if (here == NULL)
		return tree_fail(t, name, FTXFER_BAD_DATA, "it is on the server only");
	if (there == NULL)
		return tree_fail(t, name, FTXFER_BAD_DATA, "it is not on the server");
	if (here->kind != there->kind)
		return fail_kinds(t, here, there);
	if (here->kind == FTXFER_DIRECTORY)
		return tree_push(t, name, (struct dir){ 0 });
	if (here->size != there->size)
		return tree_fail(t, name, FTXFER_BAD_DATA, "the sizes differ");
	return compare(t, here, FTXFER_OP_VERIFY);
}

bool
tree_emit(struct tree *t, const struct entry *here, const struct entry *there)
{
	if (t->at.doomed)
		return tree_doom(t, tree_removes_here(t) ? here : there);
	switch (t->op) {
	case FTXFER_OP_PUT:
		return emit_put(t, here);
	case FTXFER_OP_GET:
		return emit_get(t, there);
	case FTXFER_OP_LIST:
		return emit_list(t, there);
	case FTXFER_OP_SYNC_UP:
		return emit_sync(t, here, there);
	case FTXFER_OP_SYNC_DOWN:
		return emit_sync(t, there, here);
	case FTXFER_OP_VERIFY:
		return emit_verify(t, here, there);
	default:
		return true;
	}
}
