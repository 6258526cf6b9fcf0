/* store: what is not durable, and says so: ROOT_NO_SYNC, file systems in memory, failures. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/commit.h"
#include "store/names.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"
#include "unit/test_resume.h"

/* No file and no directory could be synced, and none is: but the mark, once for all. */
static void
forbid_syncing(void)
{
	ck_assert_int_eq(root_mark(root), FTX_OK);
	root->flags |= ROOT_NO_SYNC;
	fake_orders.fsync_file = fake_orders.fsync_dir = fake_orders.syncfs = EIO;
	fake_watch("");
}

static void
nothing_was_synced(void)
{
	struct fake_counts c = fake_count();

	ck_assert_uint_eq(c.fsync_file + c.fsync_dir + c.syncfs, 0);
	fake_orders.fsync_file = fake_orders.fsync_dir = fake_orders.syncfs = 0;
}

static void
is_there(const char *name, enum digest_kind stored)
{
	struct meta m;

	ck_assert_int_eq(names_stat(root, name, true, &m), FTX_OK);
	ck_assert_int_eq(m.digest.kind, stored);
}

static void
put_whole(struct owner *o, const struct put_spec *s, size_t len)
{
	struct put_content c = { .len = len };

	*o = (struct owner){ 0 };
	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, len, &c.digest), FTX_OK);
	c.p = malloc(len);
	ck_assert_ptr_nonnull(c.p);
	memcpy(c.p, content, len);
	ck_assert_int_eq(store_put_whole(store, s, &c, owner_hears, o, &o->t), FTX_OK);
	owner_began(o);
}

static void
ends_unsynced(struct owner *o)
{
	ck_assert_int_eq(owner_wait(o, TRANSFER_COMMIT), FTX_OK);
	ck_assert(o->t->unsynced);
	owner_close(o);
}

/* Small files, as many as go together, and a larger one; none has a digest that may be wrong. */
START_TEST(test_puts_without_sync)
{
	static struct owner owners[2 * COMMIT_BATCH_MIN];
	char names[COUNT(owners)][8];
	struct digest_value v;
	struct owner o = { 0 };

	store_start(root_kinds[_i]);
	fake_orders.fs_type = 0xef53; /* ext4 */
	forbid_syncing();
	pool_block();
	for (int i = 0; i < COUNT(owners); i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		put_whole(&owners[i], SPEC(0, names[i]), 100);
	}
	pool_unblock();
	for (int i = 0; i < COUNT(owners); i++) {
		ends_unsynced(&owners[i]);
		is_there(names[i], DIGEST_NONE);
	}
	owner_put(&o, "large");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert(o.t->unsynced);
	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, LEN, &v), FTX_OK);
	store_set_digest(o.t, &v);
	ck_assert_int_eq(owner_reserve(&o, LEN), FTX_OK);
	ck_assert_int_eq(owner_write(&o, content, LEN), FTX_OK);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/large", content, LEN);
	is_there("large", DIGEST_NONE);
	nothing_was_synced();
	fake_orders.fs_type = 0;
	store_teardown();
}
END_TEST

/* In memory a digest is as good as the content, and a stage of this run is not found later. */
START_TEST(test_memory_without_sync)
{
	struct owner o;

	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	forbid_syncing();
	put_whole(&o, SPEC(0, "new"), 100);
	ends_unsynced(&o);
	is_there("new", DIGEST_XXH128);
	nothing_was_synced();
	store_teardown();
}
END_TEST

/* A receipt that was none does not become one later; one that was, stays one. */
START_TEST(test_asked_again_without_sync)
{
	bool synced = _i != 0;
	struct owner o = { 0 };

	start();
	leave_behind(0); /* the first record makes the file durable that it is in */
	if (!synced)
		forbid_syncing();
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	ck_assert(o.t->unsynced == !synced);
	owner_close(&o);
	if (!synced)
		nothing_was_synced();
	restart();
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && !o.t->superseded);
	ck_assert(o.t->unsynced == !synced);
	owner_close(&o);
	store_teardown();
}
END_TEST

/* It has its name, and its directory cannot be synced; keep: in more than one piece. */
static void
lose_directory(struct owner *o, bool keep)
{

	start();
	leave_behind(0); /* the mark, and the file that the record is in */
	terms.keep = keep;
	fake_orders.fsync_dir = EIO;
	if (keep) {
		ck_assert_int_eq(begin(o), FTX_OK);
		ck_assert_int_eq(put_rest(o, 0), FTX_NOT_DURABLE);
	} else {
		put_whole(o, &spec, LEN);
		ck_assert_int_eq(owner_wait(o, TRANSFER_COMMIT), FTX_NOT_DURABLE);
	}
	store_drop(o->t);
	owner_close(o);
	unit_holds("root/new", content, LEN);
}

/* Who asks again hears that, and the receipt as soon as it is synced: never that it exists. */
START_TEST(test_directory_not_synced)
{
	struct owner o = { 0 };
	struct meta m;

	lose_directory(&o, _i % 2 == 0);
	ck_assert_int_eq(begin(&o), FTX_NOT_DURABLE);
	owner_close(&o);
	if (_i / 2 != 0)
		restart(); /* who comes after us finds it out, and can do no better */
	ck_assert_int_eq(begin(&o), FTX_NOT_DURABLE);
	owner_close(&o);
	fake_orders.fsync_dir = 0;
	fake_watch("");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(begin(&o), FTX_OK);
		ck_assert(o.t->published && !o.t->superseded && !o.t->unsynced);
		ck_assert_int_eq(names_stat(root, "new", false, &m), FTX_OK);
		ck_assert(meta_same_version(&o.t->meta.version, &m.version));
		owner_close(&o);
		if (i == 0)
			ck_assert_uint_eq(fake_count().fsync_dir, 1);
		if (i == 1)
			restart();
	}
	unit_holds("root/new", content, LEN);
	ck_assert_int_eq(files_in_root(), 1);
	store_teardown();
}
END_TEST

/* It was replaced (0) or removed by the time that it could be: never again. */
START_TEST(test_directory_not_synced_and_superseded)
{
	struct owner o = { 0 };

	lose_directory(&o, true);
	fake_orders.fsync_dir = 0;
	ck_assert_int_eq(remove("root/new"), 0);
	if (_i == 0)
		unit_write("root/new", "other", 5);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(begin(&o), FTX_OK);
		ck_assert(o.t->published && o.t->superseded && o.t->unsynced);
		owner_close(&o);
	}
	ck_assert_int_eq(files_in_root(), 1 - _i);
	store_teardown();
}
END_TEST

static void
on_done(void *arg, struct store_request *r, enum ftx_rc rc)
{
	(void)r;
	ck_assert_int_eq(rc, FTX_OK);
	*(bool *)arg = true;
}

typedef enum ftx_rc begin_call(struct store *s, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out);

static void
changes(begin_call *call, const struct request_spec *s, bool unsynced)
{
	struct store_request *r;
	bool told = false;

	ck_assert_int_eq(call(store, s, on_done, &told, &r), FTX_OK);
	UNIT_UNTIL(told, worker_turn(worker, false));
	ck_assert_msg(r->unsynced == unsynced, "%s of %s", request_op_name(r->op), s->name);
	store_request_close(r);
}

#define SPEC_OF(...) (&(const struct request_spec){ __VA_ARGS__ })

/*
 * 0: on a disk; 1: without sync; 2: in memory; 3: on a disk that is mounted in a root in memory; 4:
 * the other way round. What counts is where the names stand.
 */
START_TEST(test_changes)
{
	bool unsynced = _i == 1 || _i == 2 || _i == 4;
	struct meta m;

	store_start(ROOT_EXCLUSIVE);
	fake_orders.fs_type = _i == 4 ? 0x01021994 /* tmpfs */ : 0xef53 /* ext4 */;
	root->in_memory = _i == 2 || _i == 3;
	root->dev += _i >= 3 ? 1 : 0;
	if (_i == 1)
		forbid_syncing();
	changes(store_mkdir, SPEC_OF(.name = "a/b", .parents = true), unsynced);
	changes(store_mkdir, SPEC_OF(.name = "a/b"), unsynced);
	unit_write("root/a/f", "content", 7);
	changes(store_rename, SPEC_OF(.name = "a/f", .to = "a/b/f"), unsynced);
	ck_assert_int_eq(names_stat(root, "a/b/f", false, &m), FTX_OK);
	changes(store_settle, SPEC_OF(.name = "a/b/f", .if_version = m.version), unsynced);
	changes(store_remove, SPEC_OF(.name = "a/b/f"), unsynced);
	changes(store_remove, SPEC_OF(.name = "a/b", .directory = true), unsynced);
	if (_i == 1)
		nothing_was_synced();
	fake_orders.fs_type = 0;
	store_teardown();
}
END_TEST

void
add_unsynced_cases(Suite *s)
{
	TCase *tc = tcase_create("unsynced");

	tcase_add_checked_fixture(tc, resume_set_up, NULL);
	tcase_add_loop_test(tc, test_puts_without_sync, 0, ROOT_KINDS);
	tcase_add_test(tc, test_memory_without_sync);
	tcase_add_loop_test(tc, test_asked_again_without_sync, 0, 2);
	tcase_add_loop_test(tc, test_directory_not_synced, 0, 4);
	tcase_add_loop_test(tc, test_directory_not_synced_and_superseded, 0, 2);
	tcase_add_loop_test(tc, test_changes, 0, 5);
	suite_add_tcase(s, tc);
}
