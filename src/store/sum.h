/*
 * sum.h - the digest of a file that is there: as it is stored with it, or by reading it.
 * Layer: store. Threads: every call may block (pool), one at a time on a sum.
 * Tests: tests/unit/test_sum.c
 */
#ifndef STORE_SUM_H
#define STORE_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "store/digest.h"
#include "store/meta.h"
#include "store/reader.h"

/* Bytes that are read in one step. */
#define SUM_STEP ((uint64_t)8 * 1024 * 1024)

struct sum {
	struct reader reader;
	struct digest digest;
	uint64_t at, end; /* of the range, what is left of it */
};

void sum_init(struct sum *s);
/*
 * Of `length` bytes from offset on, or to the end of the file if that comes first. *m: the file, as
 * it was opened. v->kind is not DIGEST_NONE if the digest of the whole file was asked for and is
 * stored, and not to be made afresh: then that is all; else sum_step() goes on. FTX_NOT_FOUND,
 * FTX_NOT_REGULAR, FTX_IS_DIRECTORY, FTX_BAD_RANGE: offset is beyond the end. root and name must
 * stay until sum_clear().
 */
enum ftx_rc sum_open(struct sum *s, struct root *r, const char *name, enum digest_kind kind,
    bool fresh, uint64_t offset, uint64_t length, struct meta *m,
    struct digest_value *v) FTX_MUST_CHECK;
/*
 * Reads on, for a step. *again: there is more of it. FTX_CHANGED: the file is not the one any more
 * that was opened, as reader_read() has it.
 */
enum ftx_rc sum_step(struct sum *s, struct digest_value *v, bool *again) FTX_MUST_CHECK;
/* Idempotent. May take long if the file has lost its name. */
void sum_clear(struct sum *s);

#endif
