/* Where the content of a GET goes: a new file of a local store, or a stream. */
#include <string.h>

#include "loop/chunk.h"
#include "store/store.h"
#include "v2/client_private.h"

/* Bytes of one piece that is written there and then. */
#define NOW_PIECE ((size_t)256 * 1024)
/* A file that is worth another thread, where there is a processor for it. */
#define APART_MIN ((uint64_t)8 * 1024 * 1024)

static void
fail(struct v2_get_request *get, enum ftx_rc rc)
{
	struct v2_client *c = get->r.client;

	get->stalled = false;
	v2_request_fail(&get->r, rc, V2_WHOSE_LOCAL);
	if (c->conn != NULL && c->data_left > 0)
		v2_client_soon_input(c); /* the rest is thrown away */
}

/* --- Memory that waits for the disk --- */

static bool
take_chunk(struct v2_get_request *get)
{
	struct v2_client *c = get->r.client;

	if (get->chunk != NULL)
		return true;
	if (c->writing >= WRITING_MAX) {
		get->stalled = true;
		return false;
	}
	get->chunk = chunk_get(worker_chunks(c->worker));
	if (get->chunk == NULL) {
		fail(get, FTX_NOMEM);
		return false;
	}
	get->written = 0;
	c->writing++;
	return true;
}

/* One is given back: somebody may have waited for it. */
static void
note_given(struct v2_client *c)
{
	c->writing--;
	if (v2_client_is_stalled(c))
		v2_client_soon_input(c);
}

static void
give_chunk(struct v2_get_request *get, struct chunk *chunk)
{
	struct v2_client *c = get->r.client;

	if (chunk == NULL)
		return;
	chunk_put(worker_chunks(c->worker), chunk);
	note_given(c);
}

static void
give_own_chunk(struct v2_get_request *get)
{
	struct chunk *chunk = get->chunk;

	get->chunk = NULL;
	give_chunk(get, chunk);
}

/* --- The store --- */

static void write_on(struct v2_get_request *get);

/* Nothing is kept. */
static void
drop(struct v2_get_request *get)
{
	give_own_chunk(get);
	v2_small_drop(get);
	if (get->writing)
		note_given(get->r.client); /* the transfer's, which frees it */
	if (get->transfer != NULL)
		store_cancel(get->transfer);
	store_close(get->transfer);
	get->transfer = NULL;
	get->opening = get->opened = get->writing = get->finishing = get->stalled = false;
	get->looking = get->reserved = false;
	digest_clear(&get->running);
	digest_clear(&get->sent);
}

static void
on_written(struct v2_get_request *get, enum ftx_rc rc)
{
	get->writing = false;
	give_chunk(get, transfer_take_chunk(get->transfer));
	if (get->r.settled && get->r.id == 0) { /* it only waited for this */
		if (rc != FTX_OK)
			drop(get);
		else if (get->chunk != NULL)
			get->r.client->writing--; /* kept with the rest */
		v2_request_done(&get->r);
	} else if (rc != FTX_OK)
		fail(get, rc);
	else
		write_on(get);
}

void
v2_target_on_store(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v2_get_request *get = owner;

	if (op == TRANSFER_WRITE) {
		on_written(get, rc);
		return;
	}
	if (get->looking) {
		v2_part_on_looked(get, op, rc);
		return;
	}
	if (rc != FTX_OK) {
		get->opening = false;
		fail(get, rc);
	} else if (op == TRANSFER_OPEN)
		store_reserve_at(t, get->size, 0);
	else if (op == TRANSFER_COMMIT)
		v2_request_succeed(&get->r);
	else { /* RESERVE */
		get->opening = false;
		get->opened = get->reserved = true;
		get->stalled = false;
		v2_client_soon_input(get->r.client);
		write_on(get);
	}
}

/* As it was asked for, with what the server says of the file. */
static struct put_spec
spec_of(const struct v2_get_request *get)
{
	struct put_spec spec = get->spec;

	if (get->keeps_part && get->size > V2_PART_MIN)
		spec.keep = PUT_KEEP;
	if (get->keep_mode) {
		spec.has_mode = true;
		spec.mode = get->file.mode;
	}
	if (get->keep_mtime) {
		spec.has_mtime = true;
		spec.mtime.tv_sec = get->file.mtime.sec;
		spec.mtime.tv_nsec = get->file.mtime.nsec;
	}
	return spec;
}

void
v2_target_open(struct v2_get_request *get)
{
	struct put_spec spec;
	enum ftx_rc rc;

	if (get->is_small) {
		rc = v2_small_open(get);
		if (rc != FTX_OK)
			fail(get, rc);
		return;
	}
	if (get->stream != NULL || (get->transfer != NULL && get->reserved)) {
		get->opened = true;
		return;
	}
	get->opening = true;
	if (get->transfer != NULL) {
		store_reserve_at(get->transfer, get->size, get->resumed);
		return;
	}
	spec = spec_of(get);
	rc = store_put(get->store, &spec, v2_target_on_store, get, &get->transfer);
	if (rc != FTX_OK) {
		get->opening = false;
		fail(get, rc);
	}
}

/* The chunk is worth a job. */
static bool
is_chunk_due(const struct v2_get_request *get)
{
	if (get->chunk == NULL || get->chunk->len == 0)
		return false;
	return get->chunk->len == CHUNK_SIZE || get->left == 0 || !get->transfer->direct;
}

/*
 * Whether it is written there and then. What is large is written by a job, though it need not wait:
 * with what is made of its digest here, one processor is slower than the line.
 */
static bool
writes_now(const struct v2_get_request *get)
{
	return get->transfer->writes_now && get->size < APART_MIN;
}

/* All that is at hand, there and then. */
static bool
write_now(struct v2_get_request *get)
{
	enum ftx_rc rc = store_write_now(get->transfer, get->chunk->data, get->chunk->len);

	give_own_chunk(get);
	if (rc != FTX_OK)
		fail(get, rc);
	return rc == FTX_OK;
}

/* What is at hand goes on; at the end of all, that is told. */
static void
write_on(struct v2_get_request *get)
{
	struct chunk *chunk = get->chunk;

	if (!get->opened || get->writing)
		return;
	if (get->transfer != NULL && writes_now(get) && chunk != NULL && !write_now(get))
		return;
	if (get->transfer != NULL && is_chunk_due(get)) {
		get->chunk = NULL;
		get->writing = true;
		store_write(get->transfer, chunk);
	} else if (get->finishing && get->chunk == NULL) {
		get->finishing = false;
		v2_request_event(&get->r, V2_ON_STORED, NULL);
	}
}

enum ftx_rc
v2_target_publish(struct v2_get_request *get)
{
	if (get->is_small) {
		const struct put_spec spec = spec_of(get);

		return v2_small_publish(get, &spec);
	}
	if (get->transfer == NULL) {
		v2_request_succeed(&get->r);
		return FTX_OK;
	}
	if (get->transfer->kept) { /* it may have been opened before they were known */
		const struct put_spec spec = spec_of(get);

		store_set_attrs(get->transfer, &spec);
	}
	store_set_digest(get->transfer, &get->digest);
	store_commit(get->transfer);
	return FTX_OK;
}

/* --- Content --- */

static enum ftx_rc
note_bytes(struct v2_get_request *get, const void *p, size_t len)
{
	enum ftx_rc rc = digest_update(&get->running, p, len);

	if (rc == FTX_OK && get->sent.kind != DIGEST_NONE)
		rc = digest_update(&get->sent, p, len);
	get->left -= len;
	get->moved += len;
	return rc;
}

/* What the stream takes of the chunk; true: all of it. */
static bool
write_stream(struct v2_get_request *get)
{
	enum ftx_rc rc = FTX_OK;

	while (get->chunk != NULL && get->written < get->chunk->len) {
		size_t n = 0;

		rc = get->stream->write(get->stream->arg, get->chunk->data + get->written,
		    get->chunk->len - get->written, &n);
		if (rc != FTX_OK || n == 0)
			break;
		get->written += n;
	}
	if (rc != FTX_OK) {
		fail(get, rc);
		return false;
	}
	get->stalled = get->chunk != NULL && get->written < get->chunk->len;
	if (!get->stalled)
		give_own_chunk(get);
	return !get->stalled;
}

/* Received is what the chunk ends in. */
static enum ftx_rc
pass_on(struct v2_get_request *get, size_t len)
{
	struct chunk *chunk = get->chunk;
	enum ftx_rc rc = note_bytes(get, chunk->data + chunk->len, len);

	chunk->len += len;
	if (rc != FTX_OK)
		return rc;
	if (get->stream != NULL) {
		(void)write_stream(get);
		return FTX_OK;
	}
	write_on(get);
	return FTX_OK;
}

static size_t
throw_away(struct v2_get_request *get, size_t len)
{
	struct v2_client *c = get->r.client;
	struct chunk *chunk;
	size_t n = 0;

	if (!c->bulk)
		return v2_small_skip(get, len);
	chunk = chunk_get(worker_chunks(c->worker));
	if (chunk == NULL) {
		v2_client_fail(c, FTX_NOMEM, V2_WHOSE_LOCAL, false);
		return 0;
	}
	n = conn_receive(c->conn, chunk->data, len < CHUNK_SIZE ? len : CHUNK_SIZE);
	chunk_put(worker_chunks(c->worker), chunk);
	get->left -= n;
	return n;
}

/* How much the chunk has room for, of so many bytes; 0: none, or there is no chunk. */
static size_t
room_for(struct v2_get_request *get, size_t len)
{
	bool now = get->opened && (get->stream != NULL || writes_now(get));
	size_t most = now ? NOW_PIECE : CHUNK_SIZE;
	size_t room;

	if (!take_chunk(get))
		return 0;
	room = get->chunk->len < most ? most - get->chunk->len : 0;
	get->stalled = room == 0;
	return room < len ? room : len;
}

size_t
v2_target_receive(struct v2_get_request *get, size_t len)
{
	struct v2_client *c = get->r.client;
	enum ftx_rc rc;
	size_t n;

	if (get->r.settled || get->r.cancelled)
		return throw_away(get, len);
	if (get->is_small)
		return v2_small_receive(get, len);
	/* A small one is taken before there is a place for it, so that others come meanwhile. */
	get->stalled = !get->opened && get->size > CHUNK_SIZE;
	if (get->stalled || (get->stream != NULL && !write_stream(get)))
		return 0;
	len = room_for(get, len);
	if (len == 0)
		return 0;
	n = conn_receive(c->conn, get->chunk->data + get->chunk->len, len);
	if (n > 0) {
		rc = pass_on(get, n);
		if (rc != FTX_OK)
			fail(get, rc);
	} else if (get->chunk->len == 0)
		give_own_chunk(get);
	return n;
}

void
v2_target_finish(struct v2_get_request *get)
{
	if (get->is_small) {
		v2_request_event(&get->r, V2_ON_STORED, NULL);
		return;
	}
	get->finishing = true;
	if (get->stream == NULL || write_stream(get))
		write_on(get);
}

void
v2_target_continue(struct v2_get_request *get)
{
	if (get->stream == NULL || !get->stalled)
		return;
	get->stalled = false;
	if (get->finishing)
		v2_target_finish(get);
	else
		v2_client_soon_input(get->r.client);
}

/* --- The end --- */

/* A file with a name of its own stays, so that nobody else comes between. */
void
v2_target_rewind(struct v2_get_request *get)
{
	if (get->transfer == NULL || !get->transfer->kept) {
		drop(get);
		return;
	}
	give_own_chunk(get);
	if (get->reserved)
		store_rewind(get->transfer);
	get->reserved = false;
}

bool
v2_target_let_go(struct v2_get_request *get)
{
	bool of_use = v2_part_is_of_use(&get->r.outcome);
	bool keeps = of_use && get->r.outcome.retryable && get->transfer != NULL &&
		     get->moved > 0 && !get->looking && !get->opening && !get->is_small;

	get->stalled = get->finishing = false;
	digest_clear(&get->sent);
	if (!keeps) {
		if (!of_use && get->transfer != NULL)
			store_drop(get->transfer);
		drop(get);
		return true;
	}
	if (get->writing)
		return false;
	if (get->chunk != NULL)
		get->r.client->writing--;
	return true;
}

void
v2_get_clear(struct v2_get_request *get)
{
	if (get->chunk != NULL)
		chunk_put(worker_chunks(get->store->worker), get->chunk);
	get->chunk = NULL;
	store_close(get->transfer);
	get->transfer = NULL;
	get->reserved = get->vouched = false;
	digest_clear(&get->running);
}
