/*
 * put_spec.h - what is asked of a new file, beside its content.
 * Layer: store. Threads: any.
 * Tests: tests/unit/test_stage.c, test_stage_attrs.c
 */
#ifndef STORE_PUT_SPEC_H
#define STORE_PUT_SPEC_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "store/meta.h"
#include "store/upload_key.h"

enum put_policy {
	PUT_CREATE, /* a name that exists is refused */
	PUT_REPLACE /* a regular file of that name is replaced by the commit */
};

/* Whether what there is of it outlives this process. */
enum put_keep {
	PUT_KEEP_NONE,
	/* By the name that it shall have (store/stage_part.c), where that can be. */
	PUT_KEEP,
	PUT_KEEP_FOUND /* the same, but only if there is some: else FTX_NOT_FOUND */
};

/* All zero but for the name: a new file, with the root's mode and the time of its last write. */
struct put_spec {
	const char *name; /* borrowed: normalised by path_normalize(), or a single component */
	enum put_policy policy;
	bool parents; /* missing directories of the name are made, with the root's mode */
	/* A client's: a name that is a device, a FIFO or the like is written to as it stands. */
	bool through;
	/* PUT_REPLACE: whatever has the name is not looked at: its owner removes it meanwhile. */
	bool unlooked;
	/* PUT_REPLACE: only what has this version; none: whatever there is, or nothing */
	struct meta_version if_version;
	const struct upload_terms
	    *upload;        /* borrowed: it is known again by that; NULL: by nothing */
	enum put_keep keep; /* a client's: it has no upload to be known by */
	bool has_mode, has_mtime;
	mode_t mode;           /* permission bits; others are dropped. Else: the root's mode */
	struct timespec mtime; /* tv_nsec < 1,000,000,000 */
};

#endif
