/*
 * store.h - THE interface to storage: files come in by put, go out by get, and every call completes
 * later.
 * Layer: store. Threads: a store belongs to one worker; all calls and callbacks are on its thread.
 * Tests: tests/unit/test_store.c
 *
 * The calls on a transfer, and with which operation each completes:
 *
 *	put	store_put	OPEN
 *		store_reserve	RESERVE
 *		store_write	WRITE, as often as it takes
 *		store_commit	COMMIT
 *	get	store_get	OPEN
 *		store_read	READ, as often as it takes
 *	both	store_close	nothing; at any time, exactly once
 *
 * A transfer has one operation at a time. Each ends with one call of on_done, never within the call
 * that started it, and never after store_close(). The local directory (store/local.h) is the first
 * implementation.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "store/transfer.h"

struct evbuffer;
struct store;
struct worker;

/* The most that one read or write moves, bytes: what a transfer may hold in memory at a time. */
#define STORE_CHUNK_MAX ((size_t)256 * 1024)

/*
 * What an implementation provides; each starts the operation and ends it, later, by
 * transfer_op_done(). store.c has checked the order of calls and the bounds, and has set t->op; put
 * and get set it themselves.
 */
struct store_ops {
	enum ftx_rc (*put)(struct store *s, const char *name, transfer_done_cb *on_done,
	    void *owner, struct transfer **out);
	enum ftx_rc (*get)(struct store *s, const char *name, transfer_done_cb *on_done,
	    void *owner, struct transfer **out);
	void (*reserve)(struct transfer *t);
	/* len bytes wait in t->buffer; it drains them. 0: there was no memory for any. */
	void (*write)(struct transfer *t, size_t len);
	void (*read)(struct transfer *t, size_t len);
	void (*commit)(struct transfer *t);
	/* Drops what was not committed and frees t, now or later. Tells nobody. */
	void (*discard)(struct transfer *t);
	void (*free)(struct store *s);
};

/* The first member of every implementation's store. */
struct store {
	const struct store_ops *ops; /* static */
	struct worker *worker;       /* borrowed; outlives the store */
	unsigned transfers;          /* not freed yet */
};

/*
 * A new file under `name` (normalised by path_normalize(), or a single component). OPEN ends with
 * FTX_OK, FTX_EXISTS, FTX_NOT_REGULAR, FTX_NO_PARENT, ... FTX_NOMEM at once: no transfer came to
 * be, no callback follows.
 */
enum ftx_rc store_put(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;
/*
 * An existing regular file. OPEN ends with FTX_OK and t->size, FTX_NOT_FOUND, FTX_NOT_REGULAR, ...
 */
enum ftx_rc store_get(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;

/* Promises `size` bytes until the transfer ends. FTX_NO_SPACE, FTX_TOO_LARGE. */
void store_reserve(struct transfer *t, uint64_t size);
/*
 * Writes up to len bytes (1 to STORE_CHUNK_MAX) from the front of `from`, which is drained at once,
 * at t->offset. Never beyond t->size. Returns how many bytes it took; t->offset has moved when
 * WRITE ends with FTX_OK.
 */
size_t store_write(struct transfer *t, struct evbuffer *from, size_t len);
/*
 * Reads up to len bytes at t->offset. READ ends with FTX_OK and the bytes in t->buffer, which the
 * owner empties; FTX_CHANGED when the file is no longer what OPEN found.
 */
void store_read(struct transfer *t, size_t len);
/*
 * After all t->size bytes were written: makes them durable and publishes them whole under their
 * name. FTX_EXISTS: the name has appeared meanwhile. FTX_CANCELLED: store_cancel() came in time.
 */
void store_commit(struct transfer *t);
/* A commit that has not published yet will not: it ends with FTX_CANCELLED. May come too late. */
void store_cancel(struct transfer *t);
/*
 * The owner lets go. NULL is allowed. What was not committed is dropped; a commit under way goes
 * on.
 */
void store_close(struct transfer *t);

/* All its transfers must be gone (worker_held() tells). */
void store_free(struct store *s);

#endif
