/*
 * transfer.h - one file on its way into a store or out of it.
 * Layer: store. Threads: its worker's. While an operation runs, its job may read name, size and
 * offset, which nobody changes then, and cancelled, which is atomic; and it may write meta.
 * Tests: tests/unit/test_store.c
 *
 * A transfer owns all that its file costs: the claim on its name, the promised space, the stage.
 * Its owner (a half-conversation) starts one operation at a time and hears how it ended. When the
 * owner lets go (store_close()), an operation that is under way still ends in peace, a commit
 * included; then the transfer gives everything back, in one place, on its worker, and is freed.
 */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "store/digest.h"
#include "store/meta.h"

struct chunk;
struct store;
struct transfer;

enum transfer_op {
	TRANSFER_IDLE,
	TRANSFER_OPEN,    /* find the name; a put has its stage, a get its size */
	TRANSFER_RESERVE, /* promise the space */
	TRANSFER_WRITE,
	TRANSFER_READ,
	TRANSFER_PREFIX, /* the digest of its first bytes */
	TRANSFER_COMMIT, /* durable and under its name */
	TRANSFER_DISCARD /* the last one: drop what was not committed */
};

enum transfer_kind { TRANSFER_PUT, TRANSFER_GET };

/* Never called within the call that started the operation. */
typedef void transfer_done_cb(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc);

struct transfer {
	struct store *store; /* borrowed; outlives its transfers */
	enum transfer_kind kind;
	char *name;      /* owned: normalised, as in the registry */
	uint64_t size;   /* bytes: announced (put, after reserve) or found (get, after open) */
	uint64_t offset; /* bytes done so far, without a gap */
	bool replaces;   /* put, after open: there is a file that the commit will replace */
	/* put, after open: store_write_now() is the way. No device, or nobody to keep waiting. */
	bool writes_now;
	/*
	 * put, after OPEN, or the COMMIT of a store_put_whole(): what is published, or was, may not
	 * be durable (root_syncs(), or it is in memory).
	 */
	bool unsynced;
	/* put, after reserve: past the page cache, so chunks should be full, but the last. */
	bool direct;

	struct digest_value digest; /* put: what the commit stores with the file */
	/*
	 * get, after open: of the file; with the stored digest, if that was asked for. put, after a
	 * commit with FTX_OK: of the published file, as STAT gives it from then on (a daemon's:
	 * ROOT_MAY_WAIT tells nothing).
	 */
	struct meta meta;

	/*
	 * put with spec.upload, after open. Published before: meta and published_at say what and
	 * when (the latter after a commit as well), superseded that it does not stand under its
	 * name any more as it did; nothing is to be done but to close it. Else `have` bytes are
	 * kept of it: its size, or a multiple of 4,096. What they are only their digest can tell
	 * (store_prefix()).
	 */
	bool published, superseded;
	struct timespec published_at;
	uint64_t have;
	bool kept; /* put with spec.keep: what there is of it is; `have` tells how much there was */
	bool dropped;      /* store_drop() */
	uint64_t mark_due; /* bytes: the next of store_mark() that counts */
	/*
	 * Optional, but of a store_put_whole(): another one goes on with the upload; every
	 * operation fails from here on.
	 */
	void (*on_taken)(void *owner, struct transfer *t);

	struct digest prefix;             /* owned: of the first prefix_len bytes, after PREFIX */
	uint64_t prefix_len;              /* bytes */
	atomic_uint_fast64_t prefix_done; /* of them, so far */

	/*
	 * Optional, of a store_put_whole(), to be set in the turn in which it was begun: its
	 * content is written and its memory given back, but its commit goes on and takes a while.
	 * Not called where all of it is one step: of a tiny file, without a disk, or of what is
	 * written to as it stands (put_spec.through).
	 */
	void (*on_written)(void *owner, struct transfer *t);

	enum transfer_op op;   /* under way, or TRANSFER_IDLE */
	struct chunk *chunk;   /* owned: the content of a read or write under way, or just ended */
	atomic_bool cancelled; /* read by the commit's job just before it publishes */
	bool committed;

	transfer_done_cb *on_done;
	void *owner; /* borrowed; NULL once it let go */

	void *claim; /* owned: given back when the name matters no more */
	void (*release_claim)(void *claim);
	void *share; /* owned: given back when nothing of it is open any more */
	void (*release_share)(void *share);
};

/* "open", "reserve", ... Never NULL. */
const char *transfer_op_name(enum transfer_op op);

/* The claim is the transfer's from here on. At most one. */
void transfer_set_claim(struct transfer *t, void *claim, void (*release)(void *claim));

/* Likewise, of the open files that there may be. */
void transfer_set_share(struct transfer *t, void *share, void (*release)(void *share));

/* It is given back now: nothing will be published any more. */
void transfer_release_claim(struct transfer *t);

/* The chunk of the read or write that has ended is the caller's now. NULL: there is none. */
struct chunk *transfer_take_chunk(struct transfer *t);

/*
 * What a store's implementation calls: fills the common part (zeroed memory); FTX_NOMEM leaves
 * nothing behind.
 */
enum ftx_rc transfer_init(struct transfer *t, struct store *store, enum transfer_kind kind,
    const char *name, transfer_done_cb *on_done, void *owner) FTX_MUST_CHECK;
/* With no operation under way and no owner left: gives everything back and frees t. */
void transfer_discard(struct transfer *t);
/* The last step of an implementation's discard: gives the common part back. */
void transfer_clear(struct transfer *t);
/*
 * On the worker: the operation ended. Tells the owner, or goes on to the end where there is none
 * any more.
 */
void transfer_op_done(struct transfer *t, enum ftx_rc rc);

#endif
