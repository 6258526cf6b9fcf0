/*
 * space.h - free space is what the file system has, less what is promised to others and not
 * allocated yet.
 * Layer: store. Threads: space_reserve() blocks (pool); the rest any.
 * Tests: tests/unit/test_space.c
 */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdint.h>

#include "base/rc.h"

struct space;
struct space_fs;

/* A promise; embedded in the transfer. All zero: none. */
struct space_hold {
	struct space_fs *fs; /* borrowed from the space */
	uint64_t bytes;      /* promised and not allocated yet */
};

enum ftx_rc space_new(struct space **out) FTX_MUST_CHECK;
void space_free(struct space *s);

/*
 * Promises size bytes on the file system of fd (an empty stage file) and allocates them there and
 * then where it can (fallocate(2)), so that the promise is the file system's own. FTX_NO_SPACE,
 * FTX_TOO_LARGE (no file can be so large), FTX_IO. On failure nothing is held, in the file neither.
 */
enum ftx_rc space_reserve(
    struct space *s, int fd, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/*
 * `bytes` of the promise have been written, or are needed no more; more than is held gives back
 * what is.
 */
void space_release(struct space_hold *hold, uint64_t bytes);

#endif
