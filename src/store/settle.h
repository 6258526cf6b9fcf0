/*
 * settle.h - a file that is there already is taken for one that was to be stored: it gets the
 * attributes, and is made durable as it stands.
 * Layer: store. Threads: every call may block (pool).
 * Tests: tests/unit/test_settle.c
 */
#ifndef STORE_SETTLE_H
#define STORE_SETTLE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/rc.h"
#include "store/digest.h"
#include "store/meta.h"
#include "store/root.h"

/* What it is to have; all zero: what it has. */
struct settle_attrs {
	bool has_mode, has_mtime;
	mode_t mode; /* permission bits */
	struct timespec mtime;
	/* Of its content: stored with it again where its time changes. None: that one is lost. */
	struct digest_value digest;
};

/*
 * version: the one that was looked at; FTX_OTHER_VERSION: it is not the one any more. With FTX_OK
 * content, attributes and name are durable, and *m says what the file is like from then on.
 * FTX_NOT_FOUND, FTX_ACCESS: the attributes are not ours to change. FTX_IO, ...
 */
enum ftx_rc settle_existing(struct root *r, const char *name, const struct meta_version *version,
    const struct settle_attrs *attrs, struct meta *m) FTX_MUST_CHECK;

#endif
