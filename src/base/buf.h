/*
 * buf.h - bytes in one piece of memory, added at the end and taken from the front.
 * Layer: base. Threads: any, one at a time.
 * Tests: tests/unit/test_buf.c
 *
 * An empty one holds no memory: what a thousand peers that rest may cost is the struct.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded; all zero: empty. */
struct buf {
	uint8_t *mem; /* owned, unless it is lent; NULL while it is empty */
	size_t from;  /* where the first byte is */
	size_t len;   /* bytes in it */
	size_t size;  /* of mem */
	bool lent;    /* buf_lend() */
};

/* A copy of len bytes. False, and nothing was added: no memory. */
bool buf_add(struct buf *b, const void *p, size_t len);
/*
 * Into an empty one: memory of size bytes, with len of them, is used until it is empty again, does
 * not suffice, or buf_take_over(), one of which is to come before that memory goes.
 */
void buf_lend(struct buf *b, uint8_t *p, size_t len, size_t size);
/* What is left in what was lent, if anything, is copied. False: no memory, it is empty now. */
bool buf_take_over(struct buf *b);
/* The bytes, as long as nothing is added or taken. */
const uint8_t *buf_data(const struct buf *b);
/* The first len bytes go; at most as many as there are. */
void buf_drain(struct buf *b, size_t len);
/* All go. */
void buf_clear(struct buf *b);

#endif
