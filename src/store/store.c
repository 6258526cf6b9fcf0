#include "store/store.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "loop/chunk.h"
#include "store/digest_trail.h"

enum ftx_rc
store_put(struct store *s, const struct put_spec *spec, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	return s->ops->put(s, spec, on_done, owner, out);
}

enum ftx_rc
store_get(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	return s->ops->get(s, name, false, on_done, owner, out);
}

enum ftx_rc
store_get_digest(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out)
{
	return s->ops->get(s, name, true, on_done, owner, out);
}

bool
store_get_now(struct store *s, const char *name, void *p, size_t room, struct meta *m)
{
	return s->ops->get_now(s, name, p, room, m);
}

enum ftx_rc
store_put_whole(struct store *s, const struct put_spec *spec, struct put_content *content,
    transfer_done_cb *on_done, void *owner, struct transfer **out)
{
	return s->ops->put_whole(s, spec, content, on_done, owner, out);
}

bool
store_get_whole(struct store *s, const char *name, size_t most, uint8_t **content, size_t *len)
{
	return s->ops->get_whole(s, name, most, content, len);
}

void
store_set_range(struct transfer *t, uint64_t from, uint64_t end)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_GET && from <= end && end <= t->size);
	t->offset = from;
	t->store->ops->set_end(t, end);
}

void
store_reserve(struct transfer *t, uint64_t size)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && !t->published);
	t->op = TRANSFER_RESERVE;
	t->size = size;
	t->store->ops->reserve(t);
}

void
store_end_here(struct transfer *t)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT);
	t->size = t->offset;
}

void
store_reserve_at(struct transfer *t, uint64_t size, uint64_t offset)
{
	assert(t->offset == 0 && (offset == 0 || (offset == t->have && offset <= size)));
	t->offset = offset;
	store_reserve(t, size);
}

enum ftx_rc
store_prefix(struct transfer *t, enum digest_kind kind, uint64_t len)
{
	enum ftx_rc rc;

	assert(t->op == TRANSFER_IDLE && !t->published);
	assert(len <= (t->kind == TRANSFER_PUT ? t->have : t->size));
	digest_clear(&t->prefix);
	rc = digest_init(&t->prefix, kind);
	if (rc != FTX_OK)
		return rc;
	t->op = TRANSFER_PREFIX;
	t->prefix_len = len;
	atomic_store(&t->prefix_done, 0);
	t->store->ops->prefix(t);
	return FTX_OK;
}

void
store_rewind(struct transfer *t)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && t->kept);
	t->have = t->offset;
	t->offset = 0;
}

void
store_mark(struct transfer *t, const struct digest *d, uint64_t at)
{
	if (at < t->mark_due)
		return;
	t->mark_due = at + DIGEST_TRAIL_STEP;
	t->store->ops->mark(t, d, at);
}

void
store_drop(struct transfer *t)
{
	t->dropped = true;
}

static uint64_t
rest_of(const struct transfer *t)
{
	return t->size - t->offset;
}

void
store_write(struct transfer *t, struct chunk *chunk)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && t->chunk == NULL);
	assert(chunk->len > 0 && chunk->len <= rest_of(t));
	t->op = TRANSFER_WRITE;
	t->chunk = chunk;
	t->store->ops->write(t);
}

enum ftx_rc
store_write_now(struct transfer *t, const void *p, size_t len)
{
	enum ftx_rc rc;

	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && t->writes_now);
	assert(len <= rest_of(t));
	rc = t->store->ops->write_now(t, p, len);
	if (rc == FTX_OK)
		t->offset += len;
	return rc;
}

enum ftx_rc
store_write_pipe(struct transfer *t, int pipe, size_t len)
{
	enum ftx_rc rc;

	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT && t->writes_now);
	assert(len <= rest_of(t));
	rc = t->store->ops->write_pipe(t, pipe, len);
	if (rc == FTX_OK)
		t->offset += len;
	return rc;
}

void
store_read(struct transfer *t, struct chunk *chunk, size_t len)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_GET && t->chunk == NULL);
	if (len > CHUNK_SIZE)
		len = CHUNK_SIZE;
	if (len > rest_of(t))
		len = (size_t)rest_of(t);
	t->op = TRANSFER_READ;
	t->chunk = chunk;
	t->store->ops->read(t, len);
}

size_t
store_read_now(struct transfer *t, void *p, size_t len)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_GET);
	if (len > rest_of(t))
		len = (size_t)rest_of(t);
	return t->store->ops->read_now(t, p, len);
}

int
store_file(const struct transfer *t)
{
	return t->store->ops->file(t);
}

size_t
store_resident(const struct transfer *t, size_t len)
{
	return t->store->ops->resident(t, len < rest_of(t) ? len : (size_t)rest_of(t));
}

void
store_sent(struct transfer *t, size_t len)
{
	assert(len <= rest_of(t));
	t->offset += len;
}

void
store_set_digest(struct transfer *t, const struct digest_value *v)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT);
	t->digest = *v;
}

void
store_set_attrs(struct transfer *t, const struct put_spec *spec)
{
	assert(t->op == TRANSFER_IDLE && t->kind == TRANSFER_PUT);
	t->store->ops->set_attrs(t, spec);
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
	assert(s->transfers == 0 && s->requests == 0);
	s->ops->free(s);
}
