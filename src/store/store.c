#include "store/store.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdatomic.h>
#include <stdbool.h>

enum ftx_rc
store_put(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	return s->ops->put(s, name, on_done, owner, out);
}

enum ftx_rc
store_get(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	return s->ops->get(s, name, on_done, owner, out);
}

void
store_reserve(struct transfer *t, uint64_t size)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT);
	t->op = TRANSFER_RESERVE;
	t->size = size;
	t->store->ops->reserve(t);
}

size_t
store_write(struct transfer *t, struct evbuffer *from, size_t len)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT);
	assert(evbuffer_get_length(t->buffer) == 0);
	if (len > STORE_CHUNK_MAX)
		len = STORE_CHUNK_MAX;
	if (len > t->size - t->offset)
		len = (size_t)(t->size - t->offset);
	t->op = TRANSFER_WRITE;
	/* Moves the memory itself where it can; a failed malloc moves fewer bytes, perhaps none. */
	evbuffer_remove_buffer(from, t->buffer, len);
	len = evbuffer_get_length(t->buffer);
	t->store->ops->write(t, len);
	return len;
}

void
store_read(struct transfer *t, size_t len)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_GET);
	assert(evbuffer_get_length(t->buffer) == 0);
	if (len > STORE_CHUNK_MAX)
		len = STORE_CHUNK_MAX;
	if (len > t->size - t->offset)
		len = (size_t)(t->size - t->offset);
	t->op = TRANSFER_READ;
	t->store->ops->read(t, len);
}

void
store_commit(struct transfer *t)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && t->offset == t->size);
	t->op = TRANSFER_COMMIT;
	t->store->ops->commit(t);
}

void
store_cancel(struct transfer *t)
{
	atomic_store(&t->cancelled, true);
}

void
store_close(struct transfer *t)
{
	if (t == NULL)
		return;
	assert(t->owner != NULL);
	t->owner = NULL;
	if (t->op != TRANSFER_IDLE)
		return; /* its end goes on from there */
	transfer_discard(t);
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	assert(s->transfers == 0);
	s->ops->free(s);
}
