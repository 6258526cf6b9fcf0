#include <stdlib.h>

#include "client/tree.h"
#include "store/store.h"
#include "v2/result.h"

/* What goes, here or there: names, and directories when they are empty. */

static void
on_removed_here(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct item *item = owner;
	struct ftxfer_event e = { .type = FTXFER_EVENT_DONE };

	store_request_close(r);
	item->request = NULL;
	if (rc == FTX_OK || rc == FTX_NOT_FOUND)
		item_done(item, &e);
	else
		item_fail_here(item, FTXFER_LOCAL_ERROR, rc);
}

void
tree_begin_removal(struct item *item)
{
	const struct request_spec spec = { .name = item->leaf, .directory = item->local_is_dir };

	struct ftxfer_event would = { .type = FTXFER_EVENT_DONE, .dry = true };

	if ((item->flags & FTXFER_DRY_RUN) == 0 && !tree_removes_here(item->tree)) {
		item_queue(item);
		return;
	}
	item->phase = ITEM_LOCAL;
	if ((item->flags & FTXFER_DRY_RUN) != 0) {
		item_done(item, &would);
		return;
	}
	if (store_remove(item->place->store, &spec, on_removed_here, item, &item->request) !=
	    FTX_OK)
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
}

bool
tree_remove(struct tree *t, const char *name, bool is_dir)
{
	struct item *item;

	item = tree_child(t, FTXFER_OP_REMOVE, t->flags & FTXFER_DRY_RUN, name);
	if (item == NULL)
		return false;
	item->local_is_dir = is_dir;
	tree_begin_removal(item);
	return true;
}

/* What a removal would be told, as far as that is known. */
static bool
would_not_remove(struct tree *t, const char *name)
{
	static const struct v2_outcome refused = {
		.rc = FTX_NOT_REGULAR,
		.whose = V2_WHOSE_SERVER,
		.code = V2_CODE_NOT_REGULAR,
	};
	struct item *item = tree_child(t, FTXFER_OP_REMOVE, 0, name);

	if (item == NULL)
		return false;
	item->phase = ITEM_LOCAL;
	if (tree_removes_here(t))
		item_fail_here(item, FTXFER_LOCAL_ERROR, FTX_NOT_REGULAR);
	else
		item_fail_outcome(item, &refused);
	return true;
}

bool
tree_doom(struct tree *t, const struct entry *e)
{
	if (e->kind == FTXFER_DIRECTORY)
		return tree_push(t, e->name, (struct dir){ .doomed = true });
	if (e->kind == FTXFER_OTHER && (t->flags & FTXFER_DRY_RUN) != 0)
		return would_not_remove(t, e->name);
	return tree_remove(t, e->name, false);
}

void
tree_remove_emptied(struct tree *t)
{
	unsigned deepest = 0;

	if (t->children > 0 || t->way_count > 0)
		return;
	if (t->emptied_count == 0 || t->failed > 0 || t->cancelled) {
		tree_finish(t);
		return;
	}
	for (size_t i = 0; i < t->emptied_count; i++) {
		if (t->emptied[i].depth > deepest)
			deepest = t->emptied[i].depth;
	}
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
