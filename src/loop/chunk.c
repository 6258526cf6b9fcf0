#include "loop/chunk.h"

#include <stdlib.h>

static void
chunk_free(struct chunk *c)
{
	free(c->data);
	free(c);
}

void
chunk_cache_init(struct chunk_cache *cache, size_t size)
{
	SLIST_INIT(&cache->free);
	cache->size = size;
	cache->kept = cache->given = 0;
}

struct chunk *
chunk_get(struct chunk_cache *cache)
{
	struct chunk *c = SLIST_FIRST(&cache->free);

	if (c != NULL) {
		SLIST_REMOVE_HEAD(&cache->free, link);
		cache->kept--;
		cache->given++;
		c->len = 0;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->data = aligned_alloc(CHUNK_ALIGN, cache->size);
	if (c->data == NULL) {
		free(c);
		return NULL;
	}
	cache->given++;
	return c;
}

struct chunk *
chunk_get_kept(struct chunk_cache *cache)
{
	return cache->given < CHUNK_KEPT ? chunk_get(cache) : NULL;
}

void
chunk_put(struct chunk_cache *cache, struct chunk *c)
{
	if (c == NULL)
		return;
	cache->given--;
	if (cache->kept >= CHUNK_KEPT) {
		chunk_free(c);
		return;
	}
	SLIST_INSERT_HEAD(&cache->free, c, link);
	cache->kept++;
}

void
chunk_cache_clear(struct chunk_cache *cache)
{
	struct chunk *c;

	while ((c = SLIST_FIRST(&cache->free)) != NULL) {
		SLIST_REMOVE_HEAD(&cache->free, link);
		chunk_free(c);
	}
	cache->kept = 0;
}
