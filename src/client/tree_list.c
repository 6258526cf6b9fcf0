#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "client/tree.h"
#include "store/store.h"

#define PAGE_ENTRIES 1024
#define PAGE_BYTES   ((size_t)64 * 1024)
#define ENTRIES_HIGH ((size_t)4 * PAGE_ENTRIES) /* that wait for room, and no more are asked for */

static size_t
bytes_of(const struct entry *entry)
{
	return strlen(entry->name) + 1 + sizeof(*entry);
}

static bool
add_entry(struct tree *t, struct entries *e, const struct entry *entry)
{
	size_t bytes = bytes_of(entry);

	if (t->bytes + bytes > TREE_BYTES)
		return false;
	if (e->count == e->room) {
		size_t room = e->room > 0 ? 2 * e->room : 64;
		struct entry *list;

		assert(room > e->room); /* no more than TREE_BYTES allow */
		list = realloc(e->list, room * sizeof(*list));
		if (list == NULL)
			return false;
		e->list = list;
		e->room = room;
	}
	e->list[e->count] = *entry;
	e->list[e->count].name = strdup(entry->name);
	if (e->list[e->count].name == NULL)
		return false;
	e->count++;
	t->bytes += bytes;
	e->bytes += bytes;
	return true;
}

/* Where the name stands in the table, or would. */
static uint32_t *
slot_of(const struct entries *e, const char *name)
{
	size_t at = hash_bytes(name, strlen(name)) % e->slot_count;

	while (e->slots[at] != 0 && strcmp(e->list[e->slots[at] - 1].name, name) != 0)
		at = (at + 1) % e->slot_count;
	return &e->slots[at];
}

static bool
make_slots(struct entries *e)
{
	size_t count = 2 * e->room;

	assert(count > e->room);
	free(e->slots);
	e->slot_count = 0;
	e->slots = calloc(count, sizeof(*e->slots));
	if (e->slots == NULL)
		return false;
	e->slot_count = count;
	for (size_t i = 0; i < e->count; i++)
		*slot_of(e, e->list[i].name) = (uint32_t)i + 1;
	return true;
}

/* The same, unless its name is there: for what is handed on before the end, where it is sorted. */
static bool
add_entry_once(struct tree *t, struct entries *e, const struct entry *entry)
{
	if (e->room > 0 && e->slot_count != 2 * e->room && !make_slots(e))
		return false;
	if (e->slot_count > 0 && *slot_of(e, entry->name) != 0)
		return true;
	if (!add_entry(t, e, entry))
		return false;
	if (e->slot_count > 0 && e->slot_count == 2 * e->room) /* else with the next one */
		*slot_of(e, entry->name) = (uint32_t)e->count;
	return true;
}

static void
drop(struct tree *t, struct entries *e, const struct entry *entry)
{
	t->bytes -= bytes_of(entry);
	e->bytes -= bytes_of(entry);
	free(entry->name);
}

size_t
entries_keep_directories(struct tree *t, struct entries *e, size_t at)
{
	size_t kept = 0, then = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (i == at)
			then = kept;
		if (e->list[i].kind == FTXFER_DIRECTORY)
			e->list[kept++] = e->list[i];
		else
			drop(t, e, &e->list[i]);
	}
	if (at >= e->count)
		then = kept;
	e->count = kept;
	return then;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void
entries_sort(struct tree *t, struct entries *e)
{
	size_t kept = 0;

	if (e->count == 0)
		return;
	qsort(e->list, e->count, sizeof(*e->list), by_name);
	/* A server may name what it has named before. */
	for (size_t i = 1; i < e->count; i++) {
		if (strcmp(e->list[i].name, e->list[kept].name) == 0)
			drop(t, e, &e->list[i]);
		else
			e->list[++kept] = e->list[i];
	}
	e->count = kept + 1;
}

/* Drops what was not handed on; the rest stays, and is not added again. */
static void
begin_entries_again(struct tree *t, struct entries *e)
{
	while (e->count > e->next)
		drop(t, e, &e->list[--e->count]);
	e->slot_count = 0; /* what is left stands elsewhere without the others */
}

void
entries_clear(struct tree *t, struct entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		drop(t, e, &e->list[i]);
	free(e->list);
	free(e->slots);
	memset(e, 0, sizeof(*e));
}

/* --- Here --- */

/* The next page is not asked for yet: others come first, or there is enough to do. */
static bool
should_wait(const struct visit *v)
{
	return !tree_is_first(v) || (v->early && v->here.count - v->here.next >= ENTRIES_HIGH);
}

static void
on_page_here(void *owner, struct store_request *r, enum ftx_rc rc)
{
	static const enum ftxfer_kind kinds[] = {
		[META_FILE] = FTXFER_FILE,
		[META_DIRECTORY] = FTXFER_DIRECTORY,
		[META_LINK] = FTXFER_LINK,
		[META_OTHER] = FTXFER_OTHER,
	};
	struct visit *v = owner;
	struct tree *t = v->tree;
	char text[SESSION_TEXT];

	for (size_t i = 0; rc == FTX_OK && i < r->page.count; i++) {
		const struct listing_entry *found = &r->page.entries[i];
		const struct entry entry = {
			.name = found->name,
			.kind = kinds[found->meta.kind],
			.size = found->meta.size,
			.mtime = found->meta.mtime,
			.mode = found->meta.mode,
		};

		if (!add_entry(t, &v->here, &entry))
			rc = FTX_NOMEM;
	}
	if (rc == FTX_OK && r->page.more && !t->cancelled) {
		v->waits_here = should_wait(v);
		if (!v->waits_here)
			store_list_next(r);
		if (v->early)
			session_kick(t->s);
		return;
	}
	store_request_close(r);
	v->request = NULL;
	here_text(t->item, rc, text, sizeof(text));
	tree_listed(v, rc == FTX_OK ? FTXFER_OK : FTXFER_NO_INPUT, text);
}

void
tree_list_here(struct visit *v)
{
	struct tree *t = v->tree;
	char *name = tree_join(t->here, v->dir.name, "");
	/* Of what would go to the server; the rest stays where it is, whatever it is. */
	bool own = !v->dir.doomed && t->op != FTXFER_OP_SYNC_DOWN;
	const struct request_spec spec = {
		.name = name,
		.rules = { .alphabet = PATH_BYTES, .lists_own = own },
		.limits = { PAGE_ENTRIES, PAGE_BYTES, sizeof(struct entry) },
	};

	if (name == NULL ||
	    store_list(t->item->place->store, &spec, on_page_here, v, &v->request) != FTX_OK)
		tree_listed(v, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
	free(name);
}

/* --- There --- */

bool
tree_take_page(struct visit *v, struct v2_ask *ask)
{
	static const enum ftxfer_kind kinds[] = {
		[V2_REGULAR] = FTXFER_FILE,
		[V2_DIRECTORY] = FTXFER_DIRECTORY,
		[V2_SYMLINK] = FTXFER_LINK,
		[V2_OTHER] = FTXFER_OTHER,
	};
	struct v2_entry e;

	while (v2_ask_next_entry(ask, &e)) {
		char name[PATH_COMPONENT_MAX + 1];
		struct entry entry = {
			.name = name,
			.kind = kinds[e.kind],
			.size = V2_HAS(&e, SIZE) ? e.size : 0,
			.mtime = { .tv_sec = (time_t)e.mtime.sec, .tv_nsec = e.mtime.nsec },
			.mode = e.mode,
		};

		/* Of names that come from a server this is the one that becomes a local one. */
		if (e.name.len > PATH_COMPONENT_MAX ||
		    !path_component_is_allowed(PATH_BYTES, (const char *)e.name.p, e.name.len))
			continue;
		memcpy(name, e.name.p, e.name.len);
		name[e.name.len] = '\0';
		if (v->early ? !add_entry_once(v->tree, &v->there, &entry)
			     : !add_entry(v->tree, &v->there, &entry))
			return false;
	}
	if (v->early)
		session_kick(v->tree->s);
	return true;
}

void
tree_list_again(struct visit *v)
{
	begin_entries_again(v->tree, &v->there);
}

bool
tree_wants_more(struct visit *v)
{
	if (tree_is_first(v))
		return true;
	/* A server keeps few listings that may go on: only one at a time needs that. */
	entries_clear(v->tree, &v->there);
	v->anew_there = true;
	session_kick(v->tree->s);
	return false;
}

void
tree_list_there(struct visit *v)
{
	struct tree *t = v->tree;
	char *name = tree_join(t->there, v->dir.name, "");
	struct item *item = name != NULL ? item_new(t->s, FTXFER_OP_LIST, 0, name, NULL) : NULL;

	free(name);
	if (item == NULL) {
		tree_listed(v, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		return;
	}
	item->tree = t;
	item->lists = v;
	item_queue_listing(item);
}

void
tree_list_on(struct visit *v)
{
	bool stopped = tree_is_stopped(v->tree);
	bool here = v->waits_here && (stopped || !should_wait(v)), there = v->anew_there;

	v->waits_here = v->waits_here && !here;
	v->anew_there = false;
	if (here && !stopped)
		store_list_next(v->request);
	else if (here)
		tree_listed(v, FTXFER_OK, NULL);
	if (there && !stopped)
		tree_list_there(v);
	else if (there)
		tree_listed(v, FTXFER_OK, NULL);
}
