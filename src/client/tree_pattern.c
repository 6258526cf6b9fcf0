#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "client/tree.h"

/* GET: what has a name that matches. */

/* The first component of a pattern; where the next one begins, or NULL. */
static const char *
split_pattern(const char *pattern, char *first, size_t size)
{
	size_t len = strcspn(pattern, "/");

	if (len >= size)
		len = size - 1;
	memcpy(first, pattern, len);
	first[len] = '\0';
	pattern += len;
	pattern += strspn(pattern, "/");
	return *pattern != '\0' ? pattern : NULL;
}

/* Where there is room for one file nothing begins before it is known to be the only one. */
static bool
note_only(struct tree *t, const struct entry *e)
{
	if (t->only.name != NULL) {
		tree_give_up(
		    t, FTXFER_BAD_USAGE, "more than one file matches, and there is room for one");
		return true;
	}
	t->only = *e;
	t->only.name = t->at.name != NULL ? tree_join(t->at.name, e->name, "") : strdup(e->name);
	return t->only.name != NULL;
}

void
tree_emit_only(struct tree *t)
{
	struct entry only = t->only;
	struct item *item;
	char base[] = "";

	t->only.name = NULL;
	t->at = (struct dir){ .name = base };
	item = tree_child(t, FTXFER_OP_GET, t->flags, only.name);
	t->at.name = NULL;
	free(only.name);
	if (item == NULL) {
		tree_give_up(t, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	item->fd = t->item->fd;
	tree_describe(item, &only);
	item_queue(item);
}

bool
tree_match(struct tree *t, const struct entry *e)
{
	char first[2 * PATH_COMPONENT_MAX + 1];
	const char *rest = split_pattern(t->at.rest, first, sizeof(first));
	struct item *item;

	if (fnmatch(first, e->name, FNM_PERIOD) != 0)
		return true;
	if (rest != NULL) {
		return e->kind != FTXFER_DIRECTORY ||
		       tree_push(t, e->name, (struct dir){ .rest = rest });
	}
	if (e->kind == FTXFER_DIRECTORY && (t->flags & FTXFER_RECURSIVE) == 0) {
		t->left_out++;
		return tree_skip(t, e->name, FTXFER_REFUSED,
		    t->item->local != NULL ? "a directory: -r takes it with all that is in it"
					   : "a directory");
	}
	t->matched++;
	if (e->kind != FTXFER_FILE && e->kind != FTXFER_DIRECTORY)
		return tree_skip(t, e->name, FTXFER_OK, tree_why_skipped(e->kind));
	if (t->item->local == NULL)
		return note_only(t, e);
	item = tree_child(t, FTXFER_OP_GET, t->flags, e->name);
	if (item == NULL)
		return false;
	free(item->leaf);
	item->leaf = strdup(e->name);
	item->local = tree_join(t->item->local, e->name, "");
	if (item->leaf == NULL || item->local == NULL) {
		item->phase = ITEM_LOCAL;
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return true;
	}
	if (t->takes_targets) {
		item->phase = ITEM_LOCAL;
		if (!item_take_target(item))
			return true;
	}
	if (e->kind == FTXFER_DIRECTORY)
		item->look = LOOK_KIND;
	else
		tree_describe(item, e);
	item_queue(item);
	return true;
}
