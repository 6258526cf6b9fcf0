/*
 * request.h - one question about a name, or one change of it, on its way through a store.
 * Layer: store. Threads: its worker's. While it runs its job may use the results, read the spec,
 * which nobody changes then, and cancelled and done, which are atomic.
 * Tests: tests/unit/test_store_request.c
 *
 * It is begun by one of the calls in store/store.h and ends with one call of on_done; a LIST can be
 * begun again for the next page. Then the owner finds what it asked for in the request, and lets go
 * of it (store_request_close()). It may do so at any time: what changes names still ends in peace,
 * what only looks ends soon; then the request is freed, in one place, on its worker. Like a
 * transfer it may own the claims on its names.
 */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rc.h"
#include "store/digest.h"
#include "store/listing.h"
#include "store/meta.h"
#include "store/path.h"
#include "store/settle.h"

struct store;
struct store_request;

enum request_op {
	REQUEST_STAT,
	REQUEST_LIST,
	REQUEST_MKDIR,
	REQUEST_RENAME,
	REQUEST_REMOVE,
	REQUEST_SUM,
	REQUEST_SETTLE
};

/* What is asked. Which members an operation looks at is said in store/store.h; the rest are 0. */
struct request_spec {
	const char *name;               /* normalised; STAT and LIST: empty for the root */
	const char *to;                 /* RENAME: the new name */
	bool replace;                   /* RENAME: a regular file that has it */
	bool parents;                   /* MKDIR: those above it, too */
	bool directory;                 /* REMOVE: a directory, and nothing else */
	bool digests;                   /* STAT, LIST: with those that are stored */
	bool has_mode;                  /* MKDIR: */
	mode_t mode;                    /* its permission bits; else the store's own */
	struct meta_version if_version; /* RENAME, REMOVE: of this version only; none: of any.
					   SETTLE: the one that was looked at */
	struct settle_attrs attrs;      /* SETTLE: what the file is to have */
	const char *after;              /* LIST: begins behind this name; NULL: at the first */
	struct path_rules rules;        /* LIST: names that they refuse are left out */
	struct listing_limits limits;   /* LIST: of a page */
	enum digest_kind kind;          /* SUM */
	bool fresh;                     /* SUM: by reading it, also if one is stored */
	uint64_t offset, length;        /* SUM: of this range, or what there is of it */
};

/* Never called within the call that began it. */
typedef void request_done_cb(void *owner, struct store_request *r, enum ftx_rc rc);

struct store_request {
	struct store *store; /* borrowed; outlives its requests */
	enum request_op op;
	struct request_spec spec;  /* its strings are owned */
	bool busy;                 /* begun, and not ended yet */
	atomic_bool cancelled;     /* what takes long looks at it */
	atomic_uint_fast64_t done; /* SUM: bytes that were read so far */

	request_done_cb *on_done;
	void *owner; /* borrowed; NULL once it let go */

	void *share; /* owned: given back when nothing of it is open any more */
	void (*release_share)(void *share);
	void *claims[2]; /* owned: given back with the request */
	unsigned claim_count;
	void (*release_claim)(void *claim);

	/* How it ended, after FTX_OK. */
	struct meta meta; /* STAT, SETTLE; RENAME: under the new name; SUM: of what was read */
	bool existed;     /* MKDIR: it was there already */
	bool unsynced;    /* MKDIR, RENAME, REMOVE, SETTLE: nobody can promise that it is durable */
	struct listing_page page; /* LIST: owned; the entries may be taken out of it */
	const char *cursor; /* LIST: borrowed, until the next page: `after` to go on from here */
	struct digest_value digest; /* SUM */
};

/* "stat", "list", ... Never NULL. */
const char *request_op_name(enum request_op op);

/* The claim is the request's from here on. At most one for each of its names. */
void request_add_claim(struct store_request *r, void *claim, void (*release)(void *claim));

/* Likewise, of the open files that there may be. */
void request_set_share(struct store_request *r, void *share, void (*release)(void *share));

/*
 * What a store's implementation calls: fills the common part (zeroed memory); FTX_NOMEM leaves
 * nothing behind.
 */
enum ftx_rc request_init(struct store_request *r, struct store *store, enum request_op op,
    const struct request_spec *spec, request_done_cb *on_done, void *owner) FTX_MUST_CHECK;
/* On the worker: it ended. Tells the owner, or frees it where there is none any more. */
void request_op_done(struct store_request *r, enum ftx_rc rc);
/* The last step of an implementation's free: gives the common part back. */
void request_clear(struct store_request *r);

#endif
