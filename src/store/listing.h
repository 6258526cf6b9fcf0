/*
 * listing.h - a directory, page by page, in the order of its names' bytes.
 * Layer: store. Threads: listing_step() may block (pool), one at a time on a listing; the rest any.
 * Tests: tests/unit/test_listing.c
 *
 * A directory has no order of its own and no place in it to go on from that would outlive a change
 * or a restart. So it is read from its beginning to its end, and of the names behind the last one
 * that was given out the smallest are kept, as many as fit in LISTING_KEEP; pages come from these,
 * and when they are used up the directory is read again. Memory is bounded so, and what is there
 * all the time is given out once, whatever else comes and goes. The price: a directory whose names
 * need N times LISTING_KEEP is read N times: one with a million names of 20 bytes, of which 5,461
 * are kept, 184 times. Who makes a listing of its own for each page, by `after`, has it read once a
 * page. Nothing stays open between two pages.
 *
 * Between two pages somebody waits for a peer, who may have thousands of listings. So what all of a
 * root keep then is bounded, too, by LISTING_KEEP_ALL. One that finds no room there keeps as much
 * as its page takes, and nothing but its place afterwards: it goes on as if by `after`.
 */
#ifndef STORE_LISTING_H
#define STORE_LISTING_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"
#include "store/meta.h"
#include "store/path.h"
#include "store/root.h"

/* Bytes of names that are kept, with what it costs to keep them: by one listing, and by all. */
#define LISTING_KEEP     ((size_t)256 * 1024)
#define LISTING_KEEP_ALL ((size_t)64 * 1024 * 1024)

/* Of one page. */
struct listing_limits {
	size_t entries;     /* at least 1 */
	size_t bytes;       /* of names, each counted with entry_bytes more; one always fits */
	size_t entry_bytes; /* what an entry takes besides its name */
};

struct listing_entry {
	char *name; /* owned: one component */
	struct meta meta;
};

struct listing_page {
	struct listing_entry *entries; /* owned */
	size_t count;                  /* may be 0 though there are more: they went meanwhile */
	bool more;
};

struct listing {
	struct root *root; /* borrowed, as the name: both outlive the listing */
	const char *name;
	struct path_rules rules;
	bool digests;
	char after[PATH_COMPONENT_MAX + 1]; /* the last one given out: a cursor */
	DIR *dir;                           /* owned: while a page is made */
	bool scanning;                      /* the directory is being read */
	/* The names behind `after`: while scanning a heap, the largest first; then in order. */
	char **kept; /* owned, as each of them from `next` on */
	size_t count, room, bytes;
	size_t next;     /* the next one to be given out */
	bool dropped;    /* there are more than these */
	size_t most;     /* bytes of them */
	size_t promised; /* bytes for them, of the root's; 0: none are kept between two pages */
};

/*
 * Of the directory `name`, beginning behind `after` (NULL: at the first). Names that the rules
 * refuse are not listed, nor those below a directory that they find too deep. digests: with those
 * that are stored.
 */
void listing_init(struct listing *l, struct root *r, const char *name,
    const struct path_rules *rules, bool digests, const char *after);
/*
 * Works towards the next page for a few milliseconds. *again: it is not ready, to be called again;
 * else the page is the caller's. FTX_NOT_FOUND, FTX_NOT_DIRECTORY, FTX_ACCESS, FTX_NOMEM, ...: the
 * listing can be continued later all the same.
 */
enum ftx_rc listing_step(struct listing *l, const struct listing_limits *limits,
    struct listing_page *page, bool *again) FTX_MUST_CHECK;
/* Gives all back; idempotent. */
void listing_clear(struct listing *l);
void listing_page_clear(struct listing_page *page);

#endif
