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
 *		store_write	WRITE, as often as it takes; store_write_now and
 *				store_write_pipe none, where they are the way
 *		store_commit	COMMIT
 *		store_prefix	PREFIX, between OPEN and RESERVE
 *		store_put_whole	COMMIT, and is all of these
 *	get	store_get	OPEN
 *		store_read	READ, as often as it takes
 *		store_prefix	PREFIX, before the first READ
 *	both	store_close	nothing; at any time, exactly once
 *
 * And those that move no content, each of which completes once, or once a page:
 *
 *	looking		store_stat, store_list (store_list_next), store_sum
 *	changing	store_mkdir, store_rename, store_remove, store_settle
 *	all		store_request_cancel, store_request_close
 *
 * store_get_now() does all of a small get in one call, where it can.
 *
 * A transfer has one operation at a time. Each ends with one call of on_done, never within the call
 * that started it, and never after store_close() or store_request_close(). The local directory
 * (store/local.h) is the first implementation.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "store/put_content.h"
#include "store/put_spec.h"
#include "store/request.h"
#include "store/transfer.h"

struct chunk;
struct store;
struct worker;

/*
 * What an implementation provides; each starts the operation and ends it, later, by
 * transfer_op_done(). store.c has checked the order of calls and the bounds, and has set t->op and
 * t->chunk; put, put_whole and get set the former themselves. What ends with _now or _pipe, file,
 * resident and get_whole start nothing.
 */
struct store_ops {
	enum ftx_rc (*put)(struct store *s, const struct put_spec *spec, transfer_done_cb *on_done,
	    void *owner, struct transfer **out);
	enum ftx_rc (*get)(struct store *s, const char *name, bool digests,
	    transfer_done_cb *on_done, void *owner, struct transfer **out);
	bool (*get_whole)(
	    struct store *s, const char *name, size_t most, uint8_t **content, size_t *len);
	bool (*get_now)(struct store *s, const char *name, void *p, size_t room, struct meta *m);
	void (*set_end)(struct transfer *t, uint64_t end);
	void (*set_attrs)(struct transfer *t, const struct put_spec *spec);
	enum ftx_rc (*put_whole)(struct store *s, const struct put_spec *spec,
	    struct put_content *content, transfer_done_cb *on_done, void *owner,
	    struct transfer **out);
	void (*reserve)(struct transfer *t);
	void (*write)(struct transfer *t);
	void (*read)(struct transfer *t, size_t len);
	int (*file)(const struct transfer *t);
	size_t (*resident)(const struct transfer *t, size_t len);
	enum ftx_rc (*write_now)(struct transfer *t, const void *p, size_t len);
	enum ftx_rc (*write_pipe)(struct transfer *t, int pipe, size_t len);
	size_t (*read_now)(struct transfer *t, void *p, size_t len);
	void (*prefix)(struct transfer *t);
	void (*mark)(struct transfer *t, const struct digest *d, uint64_t at);
	void (*commit)(struct transfer *t);
	/* Drops what was not committed and frees t, now or later. Tells nobody. */
	void (*discard)(struct transfer *t);
	/* A request that is not begun yet. FTX_NOMEM. */
	enum ftx_rc (*request_new)(struct store *s, enum request_op op,
	    const struct request_spec *spec, request_done_cb *on_done, void *owner,
	    struct store_request **out);
	/* Begins it, or its next page; it ends, later, by request_op_done(). */
	void (*request_start)(struct store_request *r);
	/* One that is not under way. */
	void (*request_free)(struct store_request *r);
	void (*free)(struct store *s);
};

/* The first member of every implementation's store. */
struct store {
	const struct store_ops *ops; /* static */
	struct worker *worker;       /* borrowed; outlives the store */
	unsigned transfers;          /* not freed yet */
	unsigned requests;           /* likewise */
};

/*
 * A new file, as spec says (which need not stay). OPEN ends with FTX_OK, FTX_EXISTS,
 * FTX_NOT_REGULAR, FTX_NO_PARENT, FTX_OTHER_VERSION, ... FTX_NOMEM at once: no transfer came to be,
 * no callback follows. With spec->upload: t->published and t->have say what is known of it; if
 * another transfer has it, that one is stopped (FTX_TAKEN_OVER, t->on_taken), its last operation is
 * waited for, and this one goes on. With spec->keep: t->kept and t->have, which is 0 where another
 * process is at it.
 */
enum ftx_rc store_put(struct store *s, const struct put_spec *spec, transfer_done_cb *on_done,
    void *owner, struct transfer **out) FTX_MUST_CHECK;
/*
 * The same with all of its content at hand, and to the end: put, reserve, write and commit are one
 * operation, which COMMIT ends. What has the name already may be FTX_EXISTS, whatever it is.
 * content is the transfer's from here on, and empty, but not after FTX_NOMEM.
 */
enum ftx_rc store_put_whole(struct store *s, const struct put_spec *spec,
    struct put_content *content, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;
/*
 * An existing regular file. OPEN ends with FTX_OK, t->size and t->meta, FTX_NOT_FOUND,
 * FTX_NOT_REGULAR, ...
 */
enum ftx_rc store_get(struct store *s, const char *name, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;
/* The same, with the stored digest; where that is on a device, OPEN takes a job for it. */
enum ftx_rc store_get_digest(struct store *s, const char *name, transfer_done_cb *on_done,
    void *owner, struct transfer **out) FTX_MUST_CHECK;
/*
 * All of a file of at most `room` bytes, there and then; *m with the digest that it has, of
 * XXH3-128. False: that takes a device, it has no such digest stored, or whatever else: the calls
 * above tell.
 */
bool store_get_now(struct store *s, const char *name, void *p, size_t room, struct meta *m);

/*
 * A regular file, as its owner has seen it to be, of at most `most` bytes: whole, and of one
 * version, if it can be had without waiting for a device. For a client, whose loop may wait for
 * somebody who is writing to it. *content (malloc(3)) is the caller's; NULL of a file that is
 * empty. False, whatever the reason: store_get() is the way, and will tell.
 */
bool store_get_whole(
    struct store *s, const char *name, size_t most, uint8_t **content, size_t *len) FTX_MUST_CHECK;

/* Before the first read: only what stands between these offsets is read, and t->offset is from. */
void store_set_range(struct transfer *t, uint64_t from, uint64_t end);

/*
 * Promises `size` bytes until the transfer ends. FTX_NO_SPACE, FTX_TOO_LARGE. Who does not know the
 * size promises some, and more (in all) before they are used up; and says at the end what it was.
 */
void store_reserve(struct transfer *t, uint64_t size);
/* There are no more bytes to come than were written. */
void store_end_here(struct transfer *t);
/*
 * The same for a put that goes on at `offset`, which is 0 or t->have: what is behind it is written
 * anew.
 */
void store_reserve_at(struct transfer *t, uint64_t size, uint64_t offset);
/*
 * A put with t->kept begins anew: with store_reserve_at(), where there is what was written so far
 * (t->have), or with its digest.
 */
void store_rewind(struct transfer *t);
/*
 * The digest of the first len bytes: of a put those that are kept (at most t->have), of a get those
 * of the file. PREFIX ends with FTX_OK, and t->prefix is that digest under way: it may be finished,
 * copied, or taken out and gone on with. It takes long, by steps; store_cancel() ends it with
 * FTX_CANCELLED, and nothing that comes after it. At once: FTX_NOMEM, FTX_UNSUPPORTED; then no
 * callback follows.
 */
enum ftx_rc store_prefix(struct transfer *t, enum digest_kind kind, uint64_t len) FTX_MUST_CHECK;
/*
 * Of a put with spec.upload: d is the digest of the first `at` bytes, which are written, or will be
 * next. It may spare store_prefix() some reading, if the upload is gone on with later.
 */
void store_mark(struct transfer *t, const struct digest *d, uint64_t at);
/*
 * Of a put with spec.upload or spec.keep: when it is closed nothing of it is kept. (Without this it
 * can be gone on with by the same key later, if spec.upload->keep said so, or by the same name; not
 * after a commit that failed.)
 */
void store_drop(struct transfer *t);
/*
 * Writes the chunk's bytes at t->offset, not beyond t->size. The chunk is the transfer's until
 * WRITE has ended: the owner takes it back then (transfer_take_chunk()). With FTX_OK t->offset has
 * moved.
 */
void store_write(struct transfer *t, struct chunk *chunk);
/*
 * Where t->writes_now says that this is the way: writes there and then. t->offset has
 * moved with FTX_OK; FTX_NO_SPACE, ...
 */
enum ftx_rc store_write_now(struct transfer *t, const void *p, size_t len) FTX_MUST_CHECK;
/*
 * The same with len bytes that are in a pipe, without a copy (splice(2)). FTX_UNSUPPORTED: not to
 * this file; they are in the pipe still. After another failure some of them may be.
 */
enum ftx_rc store_write_pipe(struct transfer *t, int pipe, size_t len) FTX_MUST_CHECK;
/*
 * Reads up to len bytes at t->offset into the chunk, which is the transfer's meanwhile, as with
 * store_write(). READ ends with FTX_OK and chunk->len bytes in it; FTX_CHANGED when the file is no
 * longer what OPEN found. t->offset moves by store_sent() alone.
 */
void store_read(struct transfer *t, struct chunk *chunk, size_t len);
/*
 * The same there and then, without waiting for a device, into any memory. Returns how many bytes it
 * found, perhaps fewer than there are; 0: store_read() is the way, and tells what is wrong.
 */
size_t store_read_now(struct transfer *t, void *p, size_t len);
/*
 * For sendfile(2): the file itself, borrowed from the transfer; -1: there is none. Nobody looks
 * whether what is sent so is still the version that was found: that is store_read_now()'s and
 * store_read()'s, so the first bytes and the last are to be theirs, and the others must have
 * arrived before the last are read.
 */
int store_file(const struct transfer *t);
/* How many of the next len bytes are in memory, so that sending them waits for no device. */
size_t store_resident(const struct transfer *t, size_t len);
/* So many of the bytes that were read have been handed on. */
void store_sent(struct transfer *t, size_t len);
/*
 * Before store_commit(): that is the digest of the content. It is stored with the file where the
 * file system can (store/stored_digest.h); that it cannot is no error. Of a client's small file in
 * memory it is not: there it is made as fast as it is found.
 */
void store_set_digest(struct transfer *t, const struct digest_value *v);
/* Likewise: its time and mode are to be those of spec, which came to be known since. */
void store_set_attrs(struct transfer *t, const struct put_spec *spec);
/*
 * After all t->size bytes were written: makes them durable and publishes them whole under their
 * name. FTX_EXISTS: the name has appeared meanwhile. FTX_OTHER_VERSION: what was to be replaced has
 * changed. FTX_CANCELLED: store_cancel() came in time. With FTX_OK t->meta says what was published.
 */
void store_commit(struct transfer *t);
/* A commit that has not published yet will not: it ends with FTX_CANCELLED. May come too late. */
void store_cancel(struct transfer *t);
/*
 * The owner lets go. NULL is allowed. What was not committed is dropped; a commit under way goes
 * on.
 */
void store_close(struct transfer *t);

/*
 * What follows takes and changes names (store/request.h). spec need not stay. FTX_NOMEM at once: no
 * request came to be, no callback follows. No link is followed anywhere.
 */

/* r->meta: what has spec.name; with its stored digest, if spec.digests. FTX_NOT_FOUND. */
enum ftx_rc store_stat(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
/*
 * r->page: the first page of the directory spec.name, in the order of the names' bytes (what that
 * costs: store/listing.h). The daemon's own names are left out, and those that spec.rules refuse.
 * While r->page.more is true, store_list_next() begins the next one; or another request does, with
 * spec.after as r->cursor is now. FTX_NOT_FOUND, FTX_NOT_DIRECTORY.
 */
enum ftx_rc store_list(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
void store_list_next(struct store_request *r);
/* Nobody needs the entries of the page any more, and the next one may be long in coming. */
void store_list_rest(struct store_request *r);
/*
 * These answer when the change is durable. What each result means: store/names.h. MKDIR says in
 * r->existed whether the directory was there; FTX_EXISTS is for anything else of that name.
 */
enum ftx_rc store_mkdir(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
enum ftx_rc store_rename(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
enum ftx_rc store_remove(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
/*
 * r->digest: of spec.length bytes of a file from spec.offset on, or to its end (UINT64_MAX: so in
 * any case). As it is stored with the file, or by reading it, a step at a time; r->done says how
 * far it is. FTX_CHANGED, FTX_BAD_RANGE, FTX_IS_DIRECTORY, FTX_NOT_REGULAR, FTX_UNSUPPORTED: no
 * such kind.
 */
enum ftx_rc store_sum(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
/*
 * The file spec.name of the version spec.if_version is to count as stored: it gets spec.attrs, and
 * is made durable (store/settle.h). r->meta: what it is like then.
 */
enum ftx_rc store_settle(struct store *s, const struct request_spec *spec, request_done_cb *on_done,
    void *owner, struct store_request **out) FTX_MUST_CHECK;
/*
 * LIST and SUM end soon, with FTX_CANCELLED if it comes in time; what changes names is not stopped.
 */
void store_request_cancel(struct store_request *r);
/* The owner lets go. NULL is allowed. A change that is under way goes on. */
void store_request_close(struct store_request *r);

/* All its transfers and requests must be gone (worker_held() tells). */
void store_free(struct store *s);

#endif
