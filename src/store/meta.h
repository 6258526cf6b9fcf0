/*
 * meta.h - what there is to know of a name without reading what it names.
 * Layer: store. Threads: any; meta_look() may block (pool).
 * Tests: tests/unit/test_names.c
 */
#ifndef STORE_META_H
#define STORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/rc.h"
#include "store/digest.h"

struct stat;

enum meta_kind {
	META_FILE, /* regular */
	META_DIRECTORY,
	META_LINK, /* symbolic; never followed */
	META_OTHER
};

#define META_VERSION_MAX 32

/*
 * Of a regular file: two that are equal mean the same content under that name. Nothing else can be
 * made of it. It is made of inode, size and times, of change, too: so another owner, mode or name
 * gives another version, and writing does, but for what is written in the same tick of the clock
 * (10 ms) as the change before. All zero: none.
 */
struct meta_version {
	size_t len;
	uint8_t bytes[META_VERSION_MAX];
};

struct meta {
	enum meta_kind kind;
	uint64_t size; /* META_FILE only, as what follows */
	struct meta_version version;
	struct digest_value digest; /* where one is stored, and was asked for */
	struct timespec mtime;      /* of any kind */
	mode_t mode;                /* permission bits */
};

void meta_of(const struct stat *st, struct meta *m);
/* Neither is `none`. */
bool meta_same_version(const struct meta_version *a, const struct meta_version *b);

/*
 * What leaf is in dir_fd; no link is followed. digests: with that which is stored, where we may
 * read the file. FTX_NOT_FOUND, ...
 */
enum ftx_rc meta_look(int dir_fd, const char *leaf, bool digests, struct meta *m) FTX_MUST_CHECK;

#endif
