/*
 * local_private.h - what the files of the store on a local directory share; nobody else includes
 * it.
 * Layer: store. Threads: the store's worker.
 */
#ifndef STORE_LOCAL_PRIVATE_H
#define STORE_LOCAL_PRIVATE_H

#include "store/store.h"

struct pool;
struct root;

struct local_store {
	struct store store; /* the first member */
	struct root *root;  /* borrowed */
	struct pool *pool;  /* borrowed */
};

/* local_request.c: as in struct store_ops. */
enum ftx_rc local_request_new(struct store *s, enum request_op op, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out) FTX_MUST_CHECK;
void local_request_start(struct store_request *r);
void local_request_free(struct store_request *r);

#endif
