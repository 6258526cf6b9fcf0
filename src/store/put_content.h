/*
 * put_content.h - the memory of a whole file that is at hand (store_put_whole()).
 * Layer: store. Threads: the worker's, but for put_content_drop().
 * Tests: tests/unit/test_put_content.c
 *
 * What is large is no memory of malloc(3)'s: that would be mapped anew for each file (daemon/main),
 * and its pages cost more than the content does.
 */
#ifndef STORE_PUT_CONTENT_H
#define STORE_PUT_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/digest.h"

struct chunk;
struct worker;

/* All zero: empty. */
struct put_content {
	uint8_t *p;                 /* owned: by malloc(3), or in the chunk; NULL: there is none */
	size_t len;                 /* bytes in it */
	struct chunk *chunk;        /* owned: of worker_small_chunks(); NULL: none */
	struct digest_value digest; /* what is stored with the file: the caller's, too */
};

/* How many bytes of memory room for `size` bytes takes, CHUNK_SMALL_SIZE at most. */
size_t put_content_room(size_t size);
/* That room, CHUNK_SMALL_SIZE at most, of what is empty; the caller fills it. False: no memory. */
bool put_content_alloc(struct put_content *c, struct worker *w, size_t size);
/*
 * On any thread: nobody reads it any more. What is malloc(3)'s is given back; a chunk only with
 * put_content_free().
 */
void put_content_drop(struct put_content *c);
/* Gives back what there is, and is empty afterwards. */
void put_content_free(struct put_content *c, struct worker *w);

#endif
