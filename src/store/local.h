/*
 * local.h - the store on a local directory.
 * Layer: store. Threads: the store's worker.
 * Tests: tests/unit/test_store.c
 */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include "base/rc.h"

struct pool;
struct root;
struct store;
struct worker;

/* A worker's store on r; r, w and pool are borrowed and outlive it. Ends with store_free(). */
enum ftx_rc store_local_new(
    struct store **out, struct root *r, struct worker *w, struct pool *pool) FTX_MUST_CHECK;
/*
 * Puts that wait until another one has had its time for their upload. Each holds the worker; only
 * the clock gets them on.
 */
unsigned store_local_waiting(const struct store *s);

#endif
