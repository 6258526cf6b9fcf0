/* Where the content of a PUT comes from: a file of a local store, memory, or a stream. */
#include <stdlib.h>
#include <string.h>

#include "loop/chunk.h"
#include "store/digest_trail.h"
#include "store/store.h"
#include "v2/client_private.h"

static struct chunk_cache *
chunks_of(const struct v2_put_request *put)
{
	return worker_chunks(put->r.client->worker);
}

static void
drop_chunk(struct v2_put_request *put)
{
	chunk_put(chunks_of(put), put->chunk);
	put->chunk = NULL;
}

static void
fail(struct v2_put_request *put, enum ftx_rc rc)
{
	v2_request_fail(&put->r, rc, V2_WHOSE_LOCAL);
}

/* --- What is digested, in order --- */

static enum ftx_rc
digest_bytes(struct v2_put_request *put, const void *p, size_t len)
{
	enum ftx_rc rc = FTX_OK;

	if (put->running.kind == DIGEST_NONE)
		rc = digest_init(&put->running, v2_put_kind(put));
	return rc == FTX_OK ? digest_update(&put->running, p, len) : rc;
}

enum ftx_rc
v2_source_sum(struct v2_put_request *put, struct digest_value *v)
{
	struct digest copy = { 0 };
	enum ftx_rc rc = digest_bytes(put, "", 0);

	if (rc == FTX_OK)
		rc = digest_copy(&copy, &put->running);
	return rc == FTX_OK ? digest_final(&copy, v) : rc;
}

/* The first len bytes of the chunk are the next ones of the content. */
static bool
consume(struct v2_put_request *put, size_t len)
{
	enum ftx_rc rc = digest_bytes(put, put->chunk->data, len);

	if (rc != FTX_OK) {
		drop_chunk(put);
		fail(put, rc);
		return false;
	}
	put->chunk->len = len;
	put->offset += len;
	if (put->has_upload_id && put->transfer != NULL)
		digest_trail_note(&put->trail, &put->running, put->offset);
	if (put->transfer != NULL)
		store_sent(put->transfer, len);
	return true;
}

static uint64_t
left_of(const struct v2_put_request *put, uint64_t end)
{
	return (end < put->size ? end : put->size) - put->offset;
}

static size_t
least(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

/* --- A file --- */

static void digest_on(struct v2_put_request *put);

static void
on_read(struct v2_put_request *put, enum ftx_rc rc)
{
	struct v2_client *c = put->r.client;

	put->reading = false;
	put->chunk = transfer_take_chunk(put->transfer);
	if (rc != FTX_OK) {
		drop_chunk(put);
		fail(put, rc);
		return;
	}
	if (put->r.sent && !consume(put, put->chunk->len))
		return;
	if (put->digesting) {
		drop_chunk(put);
		digest_on(put);
	} else
		v2_client_soon(c);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v2_put_request *put = owner;

	if (op == TRANSFER_READ) {
		on_read(put, rc);
		return;
	}
	put->opening = false;
	if (rc != FTX_OK) {
		fail(put, rc);
		return;
	}
	put->opened = true;
	put->size = t->size;
	/* Of another file, or one that has changed since, nothing is known. */
	if (!meta_same_version(&t->meta.version, &put->trail_version))
		digest_trail_clear(&put->trail);
	put->trail_version = t->meta.version;
	v2_client_soon(put->r.client);
}

/* A job reads into the chunk, which is the transfer's meanwhile. */
static void
read_later(struct v2_put_request *put, size_t len)
{
	struct chunk *chunk = put->chunk;

	put->chunk = NULL;
	put->reading = true;
	store_read(put->transfer, chunk, len);
}

static void
open_source(struct v2_put_request *put)
{
	enum ftx_rc rc;

	if (put->store == NULL) {
		put->size = put->stream != NULL ? UINT64_MAX : put->memory_size;
		put->opened = true;
		return;
	}
	put->opening = true;
	rc = store_get(put->store, put->local_name, on_store_done, put, &put->transfer);
	if (rc != FTX_OK)
		fail(put, rc);
}

/*
 * A small file that is in memory is read whole, and closed again. It goes with NOW: whatever HELLO
 * says, the limit that holds before it is the least.
 */
static bool
take_whole(struct v2_put_request *put, uint64_t small)
{
	size_t len;

	if (put->store == NULL || small == 0 ||
	    !store_get_whole(put->store, put->local_name, (size_t)small, &put->small, &len))
		return false;
	put->is_small = put->opened = true;
	put->size = len;
	return true;
}

void
v2_source_prepare(struct v2_put_request *put, uint64_t small)
{
	if (!put->opened) {
		if (!put->opening && !take_whole(put, small))
			open_source(put);
		return;
	}
	if (put->transfer == NULL || put->reading || put->chunk != NULL || put->size == 0 ||
	    put->size > small || store_resident(put->transfer, (size_t)put->size) == put->size)
		return;
	put->chunk = chunk_get(chunks_of(put));
	if (put->chunk != NULL)
		read_later(put, (size_t)put->size);
}

enum v2_fill
v2_source_whole(struct v2_put_request *put, const void **p)
{
	size_t size = (size_t)put->size;

	*p = put->is_small ? put->small : put->memory;
	if (put->transfer == NULL || size == 0)
		return V2_FILL_SOME;
	if (put->reading)
		return V2_FILL_LATER;
	if (put->chunk == NULL) {
		put->chunk = chunk_get(chunks_of(put));
		if (put->chunk == NULL) {
			fail(put, FTX_NOMEM);
			return V2_FILL_LATER;
		}
		if (store_read_now(put->transfer, put->chunk->data, size) != size) {
			read_later(put, size);
			return V2_FILL_LATER;
		}
	}
	*p = put->chunk->data;
	return V2_FILL_SOME;
}

/* Up to `want` bytes; 0: a job reads them. */
static size_t
read_file(struct v2_put_request *put, size_t want)
{
	size_t n = store_read_now(put->transfer, put->chunk->data, want);

	if (n < want)
		n -= n % V2_BLOCK;
	if (n == 0)
		read_later(put, want);
	return n;
}

/* --- A stream --- */

/* Fills the chunk; how many bytes of it are whole blocks, or the end. */
static size_t
read_stream(struct v2_put_request *put, size_t want)
{
	size_t len = put->part, n;
	enum ftx_rc rc = FTX_OK;

	while (len < want && !put->all_read) {
		n = 0;
		rc = put->stream->read(put->stream->arg, put->chunk->data + len, want - len, &n);
		len += n;
		if (rc == FTX_TRUNCATED)
			put->all_read = true;
		else if (rc != FTX_OK || n == 0)
			break;
	}
	if (rc != FTX_OK && !put->all_read) {
		drop_chunk(put);
		fail(put, rc);
		return 0;
	}
	put->part = put->all_read ? 0 : len % V2_BLOCK;
	if (put->all_read)
		put->size = put->offset + len;
	return len - put->part;
}

/* What makes no block yet goes to a chunk of its own. */
static bool
keep_part(struct v2_put_request *put, size_t len, struct chunk **rest)
{
	*rest = NULL;
	if (put->part == 0)
		return true;
	*rest = chunk_get(chunks_of(put));
	if (*rest == NULL)
		return false;
	memcpy((*rest)->data, put->chunk->data + len, put->part);
	return true;
}

static enum v2_fill
fill_from_stream(struct v2_put_request *put, size_t want)
{
	size_t len = read_stream(put, want);

	if (put->r.settled)
		return V2_FILL_LATER;
	if (len == 0) {
		if (put->part == 0)
			drop_chunk(put);
		return put->all_read ? V2_FILL_END : V2_FILL_LATER;
	}
	if (!keep_part(put, len, &put->rest)) {
		drop_chunk(put);
		fail(put, FTX_NOMEM);
		return V2_FILL_LATER;
	}
	return consume(put, len) ? V2_FILL_SOME : V2_FILL_LATER;
}

/* --- All of them --- */

static enum v2_fill
end_source(struct v2_put_request *put)
{
	enum ftx_rc rc = v2_source_sum(put, &put->own);

	if (rc == FTX_OK)
		return V2_FILL_END;
	fail(put, rc);
	return V2_FILL_LATER;
}

static bool
get_chunk(struct v2_put_request *put)
{
	if (put->chunk == NULL) {
		put->chunk = put->rest;
		put->rest = NULL;
	}
	if (put->chunk == NULL)
		put->chunk = chunk_get(chunks_of(put));
	if (put->chunk == NULL)
		fail(put, FTX_NOMEM);
	return put->chunk != NULL;
}

enum v2_fill
v2_source_fill(struct v2_put_request *put, size_t want)
{
	enum v2_fill fill;
	size_t n;

	if (put->reading)
		return V2_FILL_LATER;
	if (put->chunk != NULL && put->part == 0)
		return V2_FILL_SOME; /* a job has read it */
	if (left_of(put, UINT64_MAX) == 0)
		return end_source(put);
	if (!get_chunk(put))
		return V2_FILL_LATER;
	if (put->stream != NULL) {
		fill = fill_from_stream(put, want);
		return fill == V2_FILL_END ? end_source(put) : fill;
	}
	n = least(want, left_of(put, UINT64_MAX));
	if (put->transfer != NULL)
		n = read_file(put, n);
	else
		memcpy(put->chunk->data, (const uint8_t *)put->memory + put->offset, n);
	return n > 0 && consume(put, n) ? V2_FILL_SOME : V2_FILL_LATER;
}

/* A chunk after the other, each read by a job: so the loop is free in between. */
static void
digest_on(struct v2_put_request *put)
{
	while (left_of(put, put->digest_to) > 0) {
		size_t want = least(left_of(put, put->digest_to), CHUNK_SIZE);

		if (put->transfer != NULL) {
			put->chunk = chunk_get(chunks_of(put));
			if (put->chunk == NULL)
				fail(put, FTX_NOMEM);
			else
				read_later(put, want);
			return;
		}
		switch (v2_source_fill(put, want)) {
		case V2_FILL_SOME:
			drop_chunk(put);
			break;
		case V2_FILL_LATER:
			return;
		case V2_FILL_END:
			break;
		}
	}
	put->digesting = false;
	v2_request_event(&put->r, V2_ON_DIGEST, NULL);
}

/* At the beginning of the file: what was read in an earlier try needs not be read again. */
static void
skip_what_is_known(struct v2_put_request *put, uint64_t upto)
{
	struct digest known;
	uint64_t at = 0;

	if (put->transfer != NULL && put->offset == 0 && !put->reading)
		at = digest_trail_find(put->trail, v2_put_kind(put), upto, &known);
	if (at == 0)
		return;
	digest_clear(&put->running);
	put->running = known;
	put->offset = put->transfer->offset = at;
}

void
v2_source_digest(struct v2_put_request *put, uint64_t upto)
{
	put->digest_to = upto;
	put->digesting = true;
	if (put->reading)
		return;
	if (put->stream == NULL)
		drop_chunk(put); /* read, and not to be sent any more */
	skip_what_is_known(put, upto);
	digest_on(put);
}

void
v2_source_continue(struct v2_put_request *put)
{
	if (put->stream == NULL)
		return; /* a job tells */
	if (put->digesting)
		digest_on(put);
	else
		v2_client_soon(put->r.client);
}

void
v2_source_rewind(struct v2_put_request *put)
{
	digest_clear(&put->running);
	put->offset = 0;
	if (put->transfer != NULL)
		put->transfer->offset = 0;
}

static void
drop_small(struct v2_put_request *put)
{
	free(put->small);
	put->small = NULL;
	put->is_small = false;
}

void
v2_source_let_go(struct v2_put_request *put)
{
	drop_small(put);
	drop_chunk(put);
	chunk_put(chunks_of(put), put->rest);
	put->rest = NULL;
	put->part = 0;
	digest_clear(&put->running);
	store_close(put->transfer);
	put->transfer = NULL;
	put->opening = put->reading = put->digesting = false;
}
