/*
 * stage_dir.h - the directory of a stage, which those that are opened next to each other share.
 * Layer: store. Threads: stage_dir_open() may block (pool); holding and releasing any.
 * Tests: tests/unit/test_stage_next.c
 *
 * It is found by its name once for all of them. So they are to be opened one after the other
 * without a pause: between them somebody may rename it, and then it is as if they had all been
 * opened before that.
 */
#ifndef STORE_STAGE_DIR_H
#define STORE_STAGE_DIR_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/rc.h"

struct root;

struct stage_dir {
	int fd;            /* owned */
	dev_t dev;         /* what follows says which one it is */
	ino_t ino;         /* 0: nobody knows */
	atomic_uint holds; /* it is freed with the last one */
	size_t len;        /* of its name, relative to the root */
	char name[];       /* not terminated */
};

/*
 * Of that name (path_open_parent()), whose last component is *leaf. *last: the one of the name
 * before, or NULL; if it is another one, *last is released, and is the new one from here on. *out
 * is the caller's hold on it.
 */
enum ftx_rc stage_dir_open(struct root *r, const char *name, struct stage_dir **last,
    struct stage_dir **out, const char **leaf) FTX_MUST_CHECK;
struct stage_dir *stage_dir_hold(struct stage_dir *d);
/* NULL is allowed. */
void stage_dir_release(struct stage_dir *d);

#endif
