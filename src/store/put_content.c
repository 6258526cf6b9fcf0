#include "store/put_content.h"

#include <assert.h>
#include <stdlib.h>

#include "loop/chunk.h"
#include "loop/worker.h"

/* Beyond that it is mapped: mallopt(3), M_MMAP_THRESHOLD, as daemon/main sets it. */
#define HEAP_MAX ((size_t)64 * 1024 - 64)

size_t
put_content_room(size_t size)
{
	return size <= HEAP_MAX ? size : CHUNK_SMALL_SIZE;
}

bool
put_content_alloc(struct put_content *c, struct worker *w, size_t size)
{
	assert(c->p == NULL && size <= CHUNK_SMALL_SIZE);
	c->len = 0;
	if (size <= HEAP_MAX) {
		c->p = malloc(size > 0 ? size : 1);
		return c->p != NULL;
	}
	c->chunk = chunk_get(worker_small_chunks(w));
	c->p = c->chunk != NULL ? c->chunk->data : NULL;
	return c->p != NULL;
}

void
put_content_drop(struct put_content *c)
{
	if (c->chunk == NULL)
		free(c->p);
	c->p = NULL;
}

void
put_content_free(struct put_content *c, struct worker *w)
{
	put_content_drop(c);
	chunk_put(worker_small_chunks(w), c->chunk);
	c->chunk = NULL;
	c->len = 0;
}
