/*
 * iov.h - what is left of a vector of memory after a part of it was read or written (readv(2)).
 * Layer: store. Pure. Threads: any.
 * Tests: tests/unit/test_stage.c
 */
#ifndef STORE_IOV_H
#define STORE_IOV_H

#include <stddef.h>

struct iovec;

/*
 * Moves *iov and *count past the first n bytes, which must be there; the piece in which they end is
 * changed. *count is 0 when nothing is left.
 */
void iov_advance(struct iovec **iov, int *count, size_t n);

#endif
