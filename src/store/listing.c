#include "store/listing.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Entries that are read in one step: milliseconds. */
#define STEP_ENTRIES 8192

void
listing_init(struct listing *l, struct root *r, const char *name, const struct path_rules *rules,
    bool digests, const char *after)
{
	*l = (struct listing){ .root = r, .name = name, .rules = *rules, .digests = digests };
	if (after != NULL && strlen(after) < sizeof(l->after))
		memcpy(l->after, after, strlen(after) + 1);
	l->dropped = true; /* nothing has been read yet */
}

static void
drop_kept(struct listing *l)
{
	for (size_t i = l->next; i < l->count; i++)
		free(l->kept[i]);
	free(l->kept);
	l->kept = NULL;
	l->count = l->room = l->next = l->bytes = 0;
	atomic_fetch_sub(&l->root->listed, l->promised);
	l->promised = 0;
}

/* Before the directory is read. With nothing promised, a page is all that is kept of it. */
static void
find_room(struct listing *l, const struct listing_limits *limits)
{
	l->promised = LISTING_KEEP;
	if (atomic_fetch_add(&l->root->listed, l->promised) + l->promised > LISTING_KEEP_ALL) {
		atomic_fetch_sub(&l->root->listed, l->promised);
		l->promised = 0;
	}
	l->most = l->promised == 0 && limits->bytes < LISTING_KEEP ? limits->bytes : LISTING_KEEP;
}

/* What was found did not need all of it. */
static void
give_room_back(struct listing *l)
{
	if (l->promised <= l->bytes)
		return;
	atomic_fetch_sub(&l->root->listed, l->promised - l->bytes);
	l->promised = l->bytes;
}

static void
close_dir(struct listing *l)
{
	if (l->dir != NULL)
		(void)closedir(l->dir);
	l->dir = NULL;
}

void
listing_clear(struct listing *l)
{
	close_dir(l);
	drop_kept(l);
	l->scanning = false;
}

void
listing_page_clear(struct listing_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->entries[i].name);
	free(page->entries);
	*page = (struct listing_page){ 0 };
}

static enum ftx_rc
open_dir(struct listing *l)
{
	int fd;
	enum ftx_rc rc = path_open_dir(l->root->fd, root_path_flags(l->root), l->name, &fd);

	if (rc != FTX_OK)
		return rc;
	l->dir = fdopendir(fd);
	if (l->dir != NULL)
		return FTX_OK;
	rc = ftx_rc_from_errno(errno);
	close(fd);
	return rc;
}

/* Names in this directory are no names for us: it is too deep. */
static bool
is_too_deep(const struct listing *l)
{
	uint64_t depth = 1; /* the root's own are never too deep */

	for (const char *s = l->name; *s != '\0'; s++)
		depth += *s == '/' ? 1 : 0;
	return l->rules.max_depth > 0 && depth > l->rules.max_depth;
}

/* What the server would refuse, for the user to hear of it. */
static bool
is_reserved_of_user(const char *name, size_t len)
{
	return path_is_reserved(name, len) &&
	       strncmp(name, PATH_PART_PREFIX, strlen(PATH_PART_PREFIX)) != 0;
}

static bool
is_listed(const struct listing *l, const char *name)
{
	size_t len = strlen(name);

	return (path_component_is_allowed(l->rules.alphabet, name, len) ||
		   (l->rules.lists_own && is_reserved_of_user(name, len))) &&
	       strlen(l->name) + 1 + len <= PATH_NAME_MAX && strcmp(name, l->after) > 0;
}

static void
swap(char **a, char **b)
{
	char *other = *a;

	*a = *b;
	*b = other;
}

/* The last one finds its place among those above it. */
static void
heap_up(char **heap, size_t count)
{
	size_t i = count - 1;

	while (i > 0 && strcmp(heap[i], heap[(i - 1) / 2]) > 0) {
		swap(&heap[i], &heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

/* The first one finds its place among those below it. */
static void
heap_down(char **heap, size_t count)
{
	size_t i = 0;

	for (;;) {
		size_t largest = i, left = 2 * i + 1, right = left + 1;

		if (left < count && strcmp(heap[left], heap[largest]) > 0)
			largest = left;
		if (right < count && strcmp(heap[right], heap[largest]) > 0)
			largest = right;
		if (largest == i)
			return;
		swap(&heap[i], &heap[largest]);
		i = largest;
	}
}

/* Takes the largest out. The caller owns it. */
static char *
heap_pop(char **heap, size_t *count)
{
	char *largest = heap[0];

	heap[0] = heap[--*count];
	heap_down(heap, *count);
	return largest;
}

/* A block of malloc(3), and a pointer in a row that is up to twice as long as it need be. */
static size_t
cost_of(const char *name)
{
	size_t block = (sizeof(size_t) + strlen(name) + 1 + 15) / 16 * 16;

	return (block < 32 ? 32 : block) + 2 * sizeof(char *);
}

/* One name more, if it is among the smallest, and others go for it. */
static enum ftx_rc
keep(struct listing *l, const char *name)
{
	char *copy;

	if (l->count > 0 && l->bytes + cost_of(name) > l->most && strcmp(name, l->kept[0]) >= 0) {
		l->dropped = true;
		return FTX_OK;
	}
	if (l->count == l->room) {
		size_t room = l->room > 0 ? 2 * l->room : 64;
		char **more = realloc(l->kept, room * sizeof(*more));

		if (more == NULL)
			return FTX_NOMEM;
		l->kept = more;
		l->room = room;
	}
	copy = strdup(name);
	if (copy == NULL)
		return FTX_NOMEM;
	l->kept[l->count++] = copy;
	l->bytes += cost_of(name);
	heap_up(l->kept, l->count);
	while (l->bytes > l->most && l->count > 1) {
		char *largest = heap_pop(l->kept, &l->count);

		l->bytes -= cost_of(largest);
		free(largest);
		l->dropped = true;
	}
	return FTX_OK;
}

/* All was read: the heap becomes a row. A name that was read twice stands there once. */
static void
finish_scan(struct listing *l)
{
	size_t left = l->count, used = 0;

	while (left > 0) {
		char *largest = heap_pop(l->kept, &left);

		l->kept[left] = largest;
	}
	for (size_t i = 0; i < l->count; i++) {
		if (used > 0 && strcmp(l->kept[used - 1], l->kept[i]) == 0)
			free(l->kept[i]);
		else
			l->kept[used++] = l->kept[i];
	}
	l->count = used;
	l->scanning = false;
	give_room_back(l);
}

/* Some entries of the directory. */
static enum ftx_rc
scan(struct listing *l, const struct listing_limits *limits)
{
	if (!l->scanning) {
		drop_kept(l);
		find_room(l, limits);
		l->dropped = false;
		l->scanning = true;
	}
	for (unsigned n = 0; n < STEP_ENTRIES; n++) {
		const struct dirent *e;
		enum ftx_rc rc;

		errno = 0;
		e = readdir(l->dir); /* NOLINT(concurrency-mt-unsafe): nobody else has it */
		if (e == NULL) {
			if (errno != 0)
				return ftx_rc_from_errno(errno);
			finish_scan(l);
			return FTX_OK;
		}
		if (!is_listed(l, e->d_name))
			continue;
		rc = keep(l, e->d_name);
		if (rc != FTX_OK)
			return rc;
	}
	return FTX_OK;
}

/* As many of those that are kept as the page has room for. */
static enum ftx_rc
fill_page(struct listing *l, const struct listing_limits *limits, struct listing_page *page)
{
	size_t most = l->count - l->next < limits->entries ? l->count - l->next : limits->entries;
	size_t bytes = 0;

	page->entries = calloc(most > 0 ? most : 1, sizeof(page->entries[0]));
	if (page->entries == NULL)
		return FTX_NOMEM;
	for (; most > 0; most--) {
		struct listing_entry *entry = &page->entries[page->count];
		char *name = l->kept[l->next];
		enum ftx_rc rc;

		bytes += strlen(name) + limits->entry_bytes;
		if (bytes > limits->bytes && page->count > 0)
			break;
		rc = meta_look(dirfd(l->dir), name, l->digests, &entry->meta);
		if (rc != FTX_OK && rc != FTX_NOT_FOUND)
			return rc;
		l->next++;
		memcpy(l->after, name, strlen(name) + 1);
		if (rc == FTX_OK) {
			entry->name = name;
			page->count++;
		} else
			free(name); /* it went meanwhile */
	}
	page->more = l->next < l->count || l->dropped;
	return FTX_OK;
}

/* A page is made, and it may be long until the next one is wanted. */
static void
rest(struct listing *l)
{
	if (l->next < l->count && l->promised > 0)
		return;
	l->dropped = l->dropped || l->next < l->count;
	drop_kept(l);
}

/* Of what failed nothing was given out: it begins again where it was. */
static void
go_back(struct listing *l, const char *after, struct listing_page *page)
{
	listing_page_clear(page);
	drop_kept(l);
	memcpy(l->after, after, strlen(after) + 1);
	l->scanning = false;
	l->dropped = true;
}

enum ftx_rc
listing_step(
    struct listing *l, const struct listing_limits *limits, struct listing_page *page, bool *again)
{
	char after[sizeof(l->after)];
	enum ftx_rc rc = FTX_OK;

	memcpy(after, l->after, strlen(l->after) + 1);
	*again = false;
	*page = (struct listing_page){ 0 };
	if (l->dir == NULL)
		rc = open_dir(l);
	if (rc == FTX_OK && is_too_deep(l)) {
		close_dir(l);
		return FTX_OK;
	}
	if (rc == FTX_OK && (l->scanning || (l->next == l->count && l->dropped)))
		rc = scan(l, limits);
	if (rc == FTX_OK && l->scanning) {
		*again = true;
		return FTX_OK;
	}
	if (rc == FTX_OK)
		rc = fill_page(l, limits, page);
	close_dir(l);
	if (rc == FTX_OK)
		rest(l);
	else
		go_back(l, after, page);
	return rc;
}
