/*
 * reader.h - an existing file on its way out: the version that was opened, or an error.
 * Layer: store. Threads: every call may block (pool), one at a time on a reader.
 * Tests: tests/unit/test_store.c
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include <stdint.h>
#include <time.h>

#include "base/rc.h"
#include "store/root.h"

struct iovec;

struct reader {
	int fd; /* owned; -1: none */
	uint64_t size;
	struct timespec mtime; /* with size, what tells one version from another */
};

void reader_init(struct reader *rd);
/* FTX_NOT_FOUND, FTX_NOT_REGULAR, FTX_NO_PARENT, ... On failure the reader is closed. */
enum ftx_rc reader_open(struct reader *rd, struct root *r, const char *name) FTX_MUST_CHECK;
/*
 * Fills the vector, which it may change, from offset. FTX_CHANGED when the file ends before that,
 * or when it was written to since it was opened and this read reaches its end (so that no mixture
 * of two versions is ever handed out whole). Replacing or removing its name changes nothing.
 */
enum ftx_rc reader_read(
    struct reader *rd, struct iovec *iov, int count, uint64_t offset) FTX_MUST_CHECK;
void reader_close(struct reader *rd);

#endif
