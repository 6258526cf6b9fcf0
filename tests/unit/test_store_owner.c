/* store: what the tests of one share, see test_store.h. */
#include "unit/test_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/put_spec.h"

#define THREADS POOL_THREADS_APART /* no lane waits for another */

struct worker *worker;
struct store *store;

struct root *root;
static struct pool *pool;
static int descriptors;

void
store_setup(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	descriptors = unit_descriptors();
}

void
store_start(unsigned root_flags)
{
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
	ck_assert_int_eq(pool_new(&pool, THREADS), FTX_OK);
	ck_assert_int_eq(root_open(&root, "root", root_flags, 0640), FTX_OK);
	ck_assert_int_eq(store_local_new(&store, root, worker, pool), FTX_OK);
}

void
store_teardown(void)
{
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_uint_eq(store->transfers, 0);
	ck_assert_uint_eq(store->requests, 0);
	store_free(store);
	pool_free(pool);
	root_close(root);
	worker_free(worker);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

void
owner_hears(void *arg, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct owner *o = arg;

	UNIT_CHECK(o->t == t && !o->told);
	o->told = true;
	o->op = op;
	o->rc = rc;
	o->times++;
	if (o->closes) {
		o->t = NULL;
		store_close(t);
	}
}

static void
on_taken(void *arg, struct transfer *t)
{
	struct owner *o = arg;

	UNIT_CHECK(o->t == t);
	o->taken++;
}

static void
on_claim_back(void *arg)
{
	struct owner *o = arg;

	o->claim_returns++;
}

void
owner_began(struct owner *o)
{
	transfer_set_claim(o->t, o, on_claim_back);
	o->t->on_taken = on_taken;
	ck_assert(!o->told); /* never within the call */
}

void
owner_put_spec(struct owner *o, const struct put_spec *spec)
{
	*o = (struct owner){ .closes = o->closes };
	ck_assert_int_eq(store_put(store, spec, owner_hears, o, &o->t), FTX_OK);
	owner_began(o);
}

void
owner_put(struct owner *o, const char *name)
{
	owner_put_spec(o, SPEC(root->flags, name));
}

void
owner_put_whole(struct owner *o, const struct put_spec *spec, const char *content)
{
	struct put_content c = { .p = (uint8_t *)strdup(content), .len = strlen(content) };

	*o = (struct owner){ 0 };
	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, c.len, &c.digest), FTX_OK);
	ck_assert_int_eq(store_put_whole(store, spec, &c, owner_hears, o, &o->t), FTX_OK);
	ck_assert_ptr_null(c.p);
	owner_began(o);
}

void
owner_get(struct owner *o, const char *name)
{
	*o = (struct owner){ .closes = o->closes };
	ck_assert_int_eq(store_get(store, name, owner_hears, o, &o->t), FTX_OK);
	owner_began(o);
}

void
owner_get_digest(struct owner *o, const char *name)
{
	*o = (struct owner){ .closes = o->closes };
	ck_assert_int_eq(store_get_digest(store, name, owner_hears, o, &o->t), FTX_OK);
	owner_began(o);
}

enum ftx_rc
owner_wait(struct owner *o, enum transfer_op op)
{
	UNIT_UNTIL(o->told, worker_turn(worker, false));
	ck_assert_str_eq(transfer_op_name(o->op), transfer_op_name(op));
	o->told = false;
	return o->rc;
}

enum ftx_rc
owner_reserve(struct owner *o, uint64_t size)
{
	store_reserve(o->t, size);
	ck_assert(!o->told);
	return owner_wait(o, TRANSFER_RESERVE);
}

struct chunk *
owner_chunk(void)
{
	struct chunk *chunk = chunk_get(worker_chunks(worker));

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

enum ftx_rc
owner_write(struct owner *o, const void *p, size_t len)
{
	enum ftx_rc rc = FTX_OK;

	for (size_t done = 0; rc == FTX_OK && done < len;) {
		uint64_t before = o->t->offset;
		struct chunk *chunk = owner_chunk();

		chunk->len = len - done < CHUNK_SIZE ? len - done : CHUNK_SIZE;
		memcpy(chunk->data, (const char *)p + done, chunk->len);
		done += chunk->len;
		store_write(o->t, chunk);
		UNIT_CHECK(!o->told);
		rc = owner_wait(o, TRANSFER_WRITE);
		UNIT_CHECK(transfer_take_chunk(o->t) == chunk);
		UNIT_CHECK(o->t->offset == before + (rc == FTX_OK ? chunk->len : 0));
		chunk_put(worker_chunks(worker), chunk);
	}
	return rc;
}

enum ftx_rc
owner_commit(struct owner *o)
{
	store_commit(o->t);
	ck_assert(!o->told);
	return owner_wait(o, TRANSFER_COMMIT);
}

void
owner_close(struct owner *o)
{
	int times = o->times;

	store_close(o->t);
	o->t = NULL;
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o->claim_returns, 1);
	ck_assert_int_eq(o->times, times);
}

static pthread_mutex_t block = PTHREAD_MUTEX_INITIALIZER;
static struct pool_job blockers[THREADS * POOL_LANE_COUNT];

static void
run_blocked(struct pool_job *job)
{
	(void)job;
	pthread_mutex_lock(&block);
	pthread_mutex_unlock(&block);
}

static void
blocker_done(struct pool_job *job)
{
	(void)job;
}

/* All its threads, those too that are kept for each lane. */
void
pool_block(void)
{
	pthread_mutex_lock(&block);
	for (int i = 0; i < COUNT(blockers); i++) {
		blockers[i] = (struct pool_job){ .run = run_blocked, .done = blocker_done };
		pool_submit(pool, worker, (enum pool_lane)(i % POOL_LANE_COUNT), &blockers[i]);
	}
}

void
pool_unblock(void)
{
	pthread_mutex_unlock(&block);
}
