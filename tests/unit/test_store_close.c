/* store: an owner that lets go, at any time. Nothing is left behind but what was committed. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit/fake_sys.h"
#include "unit/test_store.h"

/* Starts one operation of a put that is ready for it, and leaves it under way. */
static const enum transfer_op put_ops[] = { TRANSFER_OPEN, TRANSFER_RESERVE, TRANSFER_WRITE,
	TRANSFER_COMMIT };

static void
begin_put_op(struct owner *o, enum transfer_op op)
{
	struct chunk *chunk = owner_chunk();

	if (op != TRANSFER_OPEN) {
		owner_put(o, "new");
		ck_assert_int_eq(owner_wait(o, TRANSFER_OPEN), FTX_OK);
	}
	if (op == TRANSFER_WRITE || op == TRANSFER_COMMIT)
		ck_assert_int_eq(owner_reserve(o, 10), FTX_OK);
	if (op == TRANSFER_COMMIT)
		ck_assert_int_eq(owner_write(o, "0123456789", 10), FTX_OK);
	pool_block();
	chunk->len = 10;
	memcpy(chunk->data, "0123456789", 10);
	if (op == TRANSFER_OPEN)
		owner_put(o, "new");
	else if (op == TRANSFER_RESERVE)
		store_reserve(o->t, 10);
	else if (op == TRANSFER_COMMIT)
		store_commit(o->t);
	if (op == TRANSFER_WRITE)
		store_write(o->t, chunk);
	else
		chunk_put(worker_chunks(worker), chunk);
}

/* Each root, each operation, each of: promises only, or allocated. */
START_TEST(test_close_in_the_middle)
{
	enum transfer_op op = put_ops[_i % 4];
	unsigned flags = root_kinds[_i / 4 % 3];
	struct owner o = { 0 };
	int published = op == TRANSFER_COMMIT;

	fake_orders.no_fallocate = _i >= 12;
	fake_orders.free_bytes = 15;
	store_start(flags);
	begin_put_op(&o, op);
	store_close(o.t);
	o.t = NULL;
	for (int i = 0; i < 5; i++)
		worker_turn(worker, false);
	/* The name may not be had by another while the operation is under way. */
	ck_assert_int_eq(o.claim_returns, 0);
	o.told = false;
	o.times = 0;
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o.claim_returns, 1);
	ck_assert_int_eq(o.times, 0);
	/* A commit under way goes on to its end, and somebody says so. */
	if (published)
		unit_holds("root/new", "0123456789", 10);
	ck_assert_int_eq(unit_log_count("published \"new\""), published);
	/* What was promised can be promised again. */
	owner_put(&o, "next");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 15), FTX_OK);
	owner_close(&o);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), published);
}
END_TEST

START_TEST(test_close_between)
{
	static const enum transfer_op next[] = { TRANSFER_RESERVE, TRANSFER_WRITE,
		TRANSFER_COMMIT };
	struct owner o = { 0 };

	store_start(root_kinds[_i / 3]);
	begin_put_op(&o, next[_i % 3]);
	pool_unblock();
	ck_assert_int_eq(owner_wait(&o, next[_i % 3]), FTX_OK);
	owner_close(&o);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), next[_i % 3] == TRANSFER_COMMIT);
}
END_TEST

static void
on_share_back(void *arg)
{
	++*(int *)arg;
}

/* The name is free at once; what it has open is only when that is closed: by a job, for a put. */
START_TEST(test_share)
{
	struct owner o = { 0 };
	int shares = 0;

	store_start(root_kinds[_i]);
	owner_put(&o, "new");
	transfer_set_share(o.t, &shares, on_share_back);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	pool_block();
	store_close(o.t);
	for (int i = 0; i < 5; i++)
		worker_turn(worker, false);
	ck_assert_int_eq(o.claim_returns, 1);
	ck_assert_int_eq(shares, 0);
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(shares, 1);
	ck_assert_int_eq(o.claim_returns, 1);
	store_teardown();
}
END_TEST

START_TEST(test_close_when_told)
{
	struct owner o = { 0 };

	store_start(root_kinds[_i / 4]);
	begin_put_op(&o, put_ops[_i % 4]);
	o.closes = true;
	pool_unblock();
	ck_assert_int_eq(owner_wait(&o, put_ops[_i % 4]), FTX_OK);
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o.claim_returns, 1);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), put_ops[_i % 4] == TRANSFER_COMMIT);
}
END_TEST

/* A commit whose owner went, and that fails: it is said, too. */
START_TEST(test_orphan_that_fails)
{
	struct owner o = { 0 };

	store_start(0);
	begin_put_op(&o, TRANSFER_COMMIT);
	unit_write("root/new", "theirs", 6);
	store_close(o.t);
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o.claim_returns, 1);
	ck_assert_int_eq(unit_log_count("could not publish \"new\""), 1);
	unit_holds("root/new", "theirs", 6);
	store_close(NULL);
	store_teardown();
}
END_TEST

/* What another one is told that wants so much. */
static enum ftx_rc
asked_for(uint64_t size)
{
	struct owner o = { 0 };
	enum ftx_rc rc;

	owner_put(&o, "other");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	rc = owner_reserve(&o, size);
	owner_close(&o);
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	return rc;
}

/*
 * The promise stands until the transfer has ended, whether space was allocated for it or not, and
 * whether its content has come or not. Each: published, broken off.
 */
START_TEST(test_promise_lasts)
{
	bool published = _i % 2 == 0;
	struct owner o = { 0 };

	fake_orders.no_fallocate = _i >= 2;
	store_start(ROOT_EXCLUSIVE);
	space_set_max(root->space, 15);
	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(asked_for(15), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 10), FTX_OK);
	ck_assert_int_eq(asked_for(6), FTX_STAGE_FULL);
	ck_assert_int_eq(asked_for(5), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "0123456789", 10), FTX_OK);
	ck_assert_int_eq(asked_for(6), FTX_STAGE_FULL);
	if (published)
		ck_assert_int_eq(owner_commit(&o), FTX_OK);
	ck_assert_int_eq(asked_for(6), FTX_STAGE_FULL);
	owner_close(&o);
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(asked_for(15), FTX_OK);
	ck_assert_int_eq(asked_for(16), FTX_STAGE_FULL);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), published);
}
END_TEST

void
add_close_cases(Suite *s)
{
	TCase *tc = unit_case(s, "close");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_loop_test(tc, test_close_in_the_middle, 0, 24);
	tcase_add_loop_test(tc, test_close_between, 0, 9);
	tcase_add_loop_test(tc, test_share, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_close_when_told, 0, 12);
	tcase_add_test(tc, test_orphan_that_fails);
	tcase_add_loop_test(tc, test_promise_lasts, 0, 4);
}
