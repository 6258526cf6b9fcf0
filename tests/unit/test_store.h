/*
 * test_store.h - what the parts of the program test_store share: a store on the directory `root`
 * with a real worker and pool, and an owner who hears of ends.
 */
#ifndef UNIT_TEST_STORE_H
#define UNIT_TEST_STORE_H

#include "loop/chunk.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/root.h"
#include "store/space.h"
#include "store/store.h"
#include "unit/unit.h"

extern struct worker *worker;
extern struct store *store;
extern struct root *root;

/* An owner of one transfer, and what it was told last. */
struct owner {
	struct transfer *t;
	bool told;
	enum transfer_op op;
	enum ftx_rc rc;
	int times;         /* that it was told anything */
	bool closes;       /* closes its transfer as soon as it is told */
	int taken;         /* how often it was told that it is another one's */
	int claim_returns; /* how often the claim was given back */
};

void store_setup(void); /* makes the directory `root`; store_start() comes after it */
void store_start(unsigned root_flags);
/* All that was begun comes to its end; nothing may be left of it but files. */
void store_teardown(void);

/* What a store is to call, and to be called when it was asked for a transfer. */
void owner_hears(void *arg, struct transfer *t, enum transfer_op op, enum ftx_rc rc);
void owner_began(struct owner *o);
void owner_put(struct owner *o, const char *name);
void owner_put_spec(struct owner *o, const struct put_spec *spec);
void owner_put_whole(struct owner *o, const struct put_spec *spec, const char *content);
void owner_get(struct owner *o, const char *name);
void owner_get_digest(struct owner *o, const char *name);
/* Until the operation under way has ended; how. */
enum ftx_rc owner_wait(struct owner *o, enum transfer_op op);
/* The next operation, and its end. owner_write() writes all of it, in as many steps as it takes. */
enum ftx_rc owner_reserve(struct owner *o, uint64_t size);
enum ftx_rc owner_write(struct owner *o, const void *p, size_t len);
enum ftx_rc owner_commit(struct owner *o);
/* An empty chunk of the worker's. */
struct chunk *owner_chunk(void);
/* Lets go, and looks that nothing is told any more and the claim comes back once. */
void owner_close(struct owner *o);

/* All threads of the pool are busy from here on: what is submitted waits. */
void pool_block(void);
void pool_unblock(void);

/* With unnamed stages, with named ones, and the daemon's own root. */
#define ROOT_KINDS 3
extern const unsigned root_kinds[ROOT_KINDS];

void add_at_once_cases(Suite *s);
void add_close_cases(Suite *s);
void add_get_cases(Suite *s);
void add_meta_cases(Suite *s);
void add_now_cases(Suite *s);
void add_resume_cases(Suite *s);
void add_takeover_cases(Suite *s);
void add_reader_cases(Suite *s);
void add_request_cases(Suite *s);
void add_unsynced_cases(Suite *s);
void add_whole_cases(Suite *s);

#endif
