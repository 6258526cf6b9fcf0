/*
 * space.h - free space is what the file system has, less what is promised to others and not
 * allocated yet; and what all unfinished uploads may have together.
 * Layer: store. Threads: space_reserve() blocks (pool); the rest any.
 * Tests: tests/unit/test_space.c
 */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rc.h"

struct space;
struct space_fs;

/* A promise, until its upload ends; embedded in the transfer. All zero: none. */
struct space_hold {
	struct space *space; /* borrowed; NULL: there is no most to have a share of */
	uint64_t share;      /* of the most: all that was promised, however it is kept */
	struct space_fs *fs; /* borrowed from the space; NULL: the file system keeps the promise */
	uint64_t bytes;      /* promised and not allocated yet */
};

enum ftx_rc space_new(struct space **out) FTX_MUST_CHECK;
/* The most that may be promised at a time, all file systems together; 0: no limit. At the start. */
void space_set_max(struct space *s, uint64_t bytes);
void space_free(struct space *s);

/*
 * Promises size bytes on the file system of fd (an empty stage file) and allocates them there and
 * then where it can (fallocate(2)), so that the promise is the file system's own. FTX_NO_SPACE,
 * FTX_STAGE_FULL (the most would be exceeded), FTX_TOO_LARGE (no file can be so large), FTX_IO. On
 * failure nothing is held, in the file neither.
 */
enum ftx_rc space_reserve(
    struct space *s, int fd, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/*
 * The same, but allocates nothing: for what is written at once, and to a file system that sets
 * aside then what it will allocate. The promise holds until then; space_written() ends it.
 */
enum ftx_rc space_promise(
    struct space *s, int fd, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/*
 * The same for a file that was allocated by an earlier run: only its share of the most.
 * FTX_STAGE_FULL.
 */
enum ftx_rc space_keep(struct space *s, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/*
 * So many more, behind the first `from` of them, which were promised before: they stay whatever
 * happens.
 */
enum ftx_rc space_extend(
    struct space *s, int fd, uint64_t from, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/* The same, but the file's size stays what was written to it. */
enum ftx_rc space_extend_beyond(
    struct space *s, int fd, uint64_t from, uint64_t size, struct space_hold *hold) FTX_MUST_CHECK;
/*
 * What hindered the last promise of so many bytes on the file system of fd: what is lacking there,
 * and of the most. Where none of both can be seen (a quota), it is all of them there.
 */
struct space_lack {
	uint64_t share; /* bytes, of the most */
	uint64_t bytes; /* bytes, on the file system: */
	dev_t dev;
};
enum ftx_rc space_lacks(
    struct space *s, int fd, uint64_t size, struct space_lack *lack) FTX_MUST_CHECK;
/* Whether there is room for so many bytes more on the file system of fd, as it says itself. */
bool space_has(int fd, uint64_t size);
/* So many bytes of it have been written: the file system knows of them now. */
void space_written(struct space_hold *hold, uint64_t bytes);
/* What is behind the first `bytes` of it, all of which are written, is not promised any more. */
void space_keep_only(struct space_hold *hold, uint64_t bytes);
/* The upload has ended: published, or dropped and its file gone. Idempotent. */
void space_release(struct space_hold *hold);

#endif
