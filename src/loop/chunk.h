/*
 * chunk.h - memory for content under way, in chunks that are used over and over: of two sizes, each
 * with a cache of its own.
 * Layer: loop. Threads: a cache belongs to one worker; a chunk may be lent to a job of the pool.
 * Tests: tests/unit/test_chunk.c
 *
 * Whoever needs memory for content takes a chunk for as long as there are bytes in it, and no
 * longer: a connection that waits for its peer has none. The one given back last is given out
 * first, while its memory is still in the processor's cache.
 */
#ifndef LOOP_CHUNK_H
#define LOOP_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Bytes: less at a time, a disk is not busy with (direct I/O, one write after the other). */
#define CHUNK_SIZE ((size_t)512 * 1024)
/* Bytes: of those that hold a small file each, for as long as its content is not written. */
#define CHUNK_SMALL_SIZE ((size_t)256 * 1024)
/* What direct I/O asks of memory, offset and length, on any device (open(2), O_DIRECT). */
#define CHUNK_ALIGN ((size_t)4096)
/* How many without a user a cache keeps. */
#define CHUNK_KEPT 4

struct chunk {
	SLIST_ENTRY(chunk) link;
	size_t len;    /* bytes in it */
	uint8_t *data; /* owned: as many bytes as its cache says, at a multiple of CHUNK_ALIGN */
};

/* Embedded in the worker. */
struct chunk_cache {
	SLIST_HEAD(chunk_list, chunk) free;
	size_t size;          /* bytes of each: CHUNK_SIZE or CHUNK_SMALL_SIZE */
	unsigned kept, given; /* how many are in it, and out of it */
};

/* Empty. */
void chunk_cache_init(struct chunk_cache *cache, size_t size);

/* Empty (len 0); the caller's until chunk_put(). NULL: no memory. */
struct chunk *chunk_get(struct chunk_cache *cache);
/* The same, but NULL while as many are out of it as it keeps: who asks so has another way. */
struct chunk *chunk_get_kept(struct chunk_cache *cache);
/* NULL is allowed. */
void chunk_put(struct chunk_cache *cache, struct chunk *c);
/* Frees what it keeps. */
void chunk_cache_clear(struct chunk_cache *cache);

#endif
