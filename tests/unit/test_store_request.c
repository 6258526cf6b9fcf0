/* store/request: each of them over a real worker and pool; part of the program test_store. */
#include "unit/test_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/request.h"
#include "store/sum.h"

typedef enum ftx_rc begin_call(struct store *s, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out);

/* Who asks, and what was heard. */
struct asker {
	struct store_request *r;
	bool told, closes;
	enum ftx_rc rc;
	int times, claims_back;
};

static void
on_request_done(void *arg, struct store_request *r, enum ftx_rc rc)
{
	struct asker *a = arg;

	UNIT_CHECK(a->r == r && !a->told);
	a->told = true;
	a->rc = rc;
	a->times++;
	if (a->closes) {
		a->r = NULL;
		store_request_close(r);
	}
}

static void
on_claim_back(void *arg)
{
	(*(int *)arg)++;
}

static void
ask(struct asker *a, begin_call *call, const struct request_spec *spec)
{
	*a = (struct asker){ .closes = a->closes };
	ck_assert_int_eq(call(store, spec, on_request_done, a, &a->r), FTX_OK);
	request_add_claim(a->r, &a->claims_back, on_claim_back);
	request_add_claim(a->r, &a->claims_back, on_claim_back);
	ck_assert(!a->told); /* never within the call */
}

static enum ftx_rc
heard(struct asker *a)
{
	UNIT_UNTIL(a->told, worker_turn(worker, false));
	a->told = false;
	return a->rc;
}

static void
let_go(struct asker *a)
{
	int times = a->times;

	ck_assert_int_eq(a->claims_back, 0);
	store_request_close(a->r);
	ck_assert_int_eq(a->claims_back, 2);
	worker_turn(worker, false);
	ck_assert_int_eq(a->times, times);
	store_request_close(NULL);
}

static void
answers(begin_call *call, const struct request_spec *spec, enum ftx_rc want)
{
	struct asker a = { 0 };
	enum ftx_rc rc;

	ask(&a, call, spec);
	rc = heard(&a);
	ck_assert_msg(
	    rc == want, "%s of %s: %s", request_op_name(a.r->op), spec->name, ftx_rc_name(rc));
	let_go(&a);
}

#define SPEC_OF(...) (&(const struct request_spec){ __VA_ARGS__ })

START_TEST(test_changes)
{
	struct asker a = { 0 };
	struct stat st;

	store_start(root_kinds[_i]);
	ask(&a, store_mkdir,
	    SPEC_OF(.name = "a/b", .parents = true, .has_mode = true, .mode = 0711));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert(!a.r->existed);
	let_go(&a);
	ck_assert_int_eq(stat("root/a/b", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0711);
	ask(&a, store_mkdir, SPEC_OF(.name = "a/b"));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert(a.r->existed);
	let_go(&a);
	answers(store_mkdir, SPEC_OF(.name = "x/y"), FTX_NO_PARENT);
	unit_write("root/a/file", "content", 7);
	unit_write("root/other", "other", 5);
	answers(store_rename, SPEC_OF(.name = "a/file", .to = "other"), FTX_EXISTS);
	ask(&a, store_rename, SPEC_OF(.name = "a/file", .to = "other", .replace = true));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert_uint_eq(a.r->meta.size, 7);
	answers(store_remove, SPEC_OF(.name = "other", .if_version = { .len = 8, .bytes = { 1 } }),
	    FTX_OTHER_VERSION);
	answers(store_remove, SPEC_OF(.name = "other", .if_version = a.r->meta.version), FTX_OK);
	let_go(&a);
	answers(store_remove, SPEC_OF(.name = "a/b"), FTX_IS_DIRECTORY);
	answers(store_remove, SPEC_OF(.name = "a", .directory = true), FTX_NOT_EMPTY);
	answers(store_remove, SPEC_OF(.name = "a/b", .directory = true), FTX_OK);
	answers(store_remove, SPEC_OF(.name = "a", .directory = true), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 0);
	store_teardown();
}
END_TEST

START_TEST(test_looks)
{
	struct digest_value v;
	struct asker a = { 0 };

	unit_write("root/file", "content", 7);
	store_start(0);
	ask(&a, store_stat, SPEC_OF(.name = "file", .digests = true));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert_uint_eq(a.r->meta.size, 7);
	let_go(&a);
	answers(store_stat, SPEC_OF(.name = "none"), FTX_NOT_FOUND);
	ask(&a, store_sum,
	    SPEC_OF(.name = "file", .kind = DIGEST_SHA256, .offset = 1, .length = UINT64_MAX));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "ontent", 6, &v), FTX_OK);
	ck_assert(digest_equal(&v, &a.r->digest));
	ck_assert_uint_eq(atomic_load(&a.r->done), 6);
	let_go(&a);
	answers(
	    store_sum, SPEC_OF(.name = "file", .kind = DIGEST_SHA256, .offset = 8), FTX_BAD_RANGE);
	answers(store_list, SPEC_OF(.name = "file", .limits = { .entries = 1 }), FTX_NOT_DIRECTORY);
	store_teardown();
}
END_TEST

/* By the same request, and by one for each page. */
START_TEST(test_pages)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct asker a = { 0 };
	bool more;

	for (int i = 0; i < COUNT(names); i++) {
		char path[16];

		snprintf(path, sizeof(path), "root/%s", names[i]);
		unit_write(path, "x", 1);
	}
	store_start(0);
	ask(&a, store_list, SPEC_OF(.name = "", .limits = { .entries = 2, .bytes = 1000 }));
	for (int i = 0; i < 5; i += 2) {
		char cursor[2] = "";

		ck_assert_int_eq(heard(&a), FTX_OK);
		ck_assert_uint_eq(a.r->page.count, i < 4 ? 2 : 1);
		ck_assert_str_eq(a.r->page.entries[0].name, names[i]);
		ck_assert_str_eq(a.r->cursor, names[i < 4 ? i + 1 : i]);
		memcpy(cursor, a.r->cursor, 2);
		more = a.r->page.more;
		ck_assert(more == (i < 4));
		if (!more)
			break;
		if (_i == 0) {
			store_list_next(a.r);
			continue;
		}
		let_go(&a);
		ask(&a, store_list,
		    SPEC_OF(.name = "", .after = cursor,
			.limits = { .entries = 2, .bytes = 1000 }));
	}
	let_go(&a);
	store_teardown();
}
END_TEST

/* Names that are long gone when the job runs: the request has its own. */
START_TEST(test_spec_need_not_stay)
{
	char name[8] = "from", to[8] = "to";
	struct asker a = { 0 };

	unit_write("root/from", "x", 1);
	store_start(0);
	pool_block();
	ask(&a, store_rename, SPEC_OF(.name = name, .to = to));
	memset(name, 'x', sizeof(name) - 1);
	memset(to, 'x', sizeof(to) - 1);
	pool_unblock();
	ck_assert_int_eq(heard(&a), FTX_OK);
	let_go(&a);
	unit_holds("root/to", "x", 1);
	store_teardown();
}
END_TEST

/* The owner goes before the job has begun. */
START_TEST(test_let_go_early)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 };

	unit_write("root/file", "x", 1);
	store_start(0);
	pool_block();
	ask(&a, store_mkdir, SPEC_OF(.name = "new"));
	ask(&b, store_list, SPEC_OF(.name = "", .limits = { .entries = 2, .bytes = 1000 }));
	ask(&c, store_sum, SPEC_OF(.name = "file", .kind = DIGEST_XXH128, .length = 1));
	store_request_close(a.r);
	store_request_close(b.r);
	store_request_close(c.r);
	/* Until it is over the name is not anybody else's. */
	ck_assert_int_eq(a.claims_back + b.claims_back + c.claims_back, 0);
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(a.claims_back + b.claims_back + c.claims_back, 6);
	ck_assert_int_eq(a.times + b.times + c.times, 0);
	ck_assert_int_eq(access("root/new", F_OK), 0);
	ck_assert_int_eq(unit_log_count("mkdir of \"new\" after its connection had gone: done"), 1);
	store_teardown();
}
END_TEST

START_TEST(test_let_go_when_told)
{
	struct asker a = { .closes = true };

	store_start(0);
	ask(&a, store_stat, SPEC_OF(.name = ""));
	ck_assert_int_eq(heard(&a), FTX_OK);
	ck_assert_int_eq(a.claims_back, 2);
	ask(&a, store_list, SPEC_OF(.name = "", .limits = { .entries = 2, .bytes = 1000 }));
	ck_assert_int_eq(heard(&a), FTX_OK);
	store_teardown();
}
END_TEST

#define HUGE ((off_t)1 << 40) /* a hole: hours to read */

/* What takes long ends soon; what changes names is not stopped. */
START_TEST(test_cancelled)
{
	struct asker a = { 0 };

	unit_write("root/file", "x", 1);
	ck_assert_int_eq(truncate("root/file", HUGE), 0);
	store_start(0);
	ask(&a, store_sum, SPEC_OF(.name = "file", .kind = DIGEST_XXH128, .length = UINT64_MAX));
	UNIT_UNTIL(atomic_load(&a.r->done) > 0, worker_turn(worker, false));
	ck_assert(!a.told);
	if (_i == 0) {
		store_request_cancel(a.r);
		ck_assert_int_eq(heard(&a), FTX_CANCELLED);
		let_go(&a);
	} else {
		store_request_close(a.r);
		UNIT_UNTIL(a.claims_back == 2, worker_turn(worker, false));
	}
	pool_block();
	ask(&a, store_mkdir, SPEC_OF(.name = "new"));
	store_request_cancel(a.r);
	pool_unblock();
	ck_assert_int_eq(heard(&a), FTX_OK);
	let_go(&a);
	store_teardown();
}
END_TEST

/* Others of that lane have their turn while a large file is read. */
START_TEST(test_sums_take_turns)
{
	struct asker a = { 0 }, b = { 0 };

	unit_write("root/file", "x", 1);
	unit_write("root/small", "x", 1);
	ck_assert_int_eq(truncate("root/file", HUGE), 0);
	store_start(0);
	for (int i = 0; i < 4; i++) {
		static struct asker others[4];

		ask(&others[i], store_sum,
		    SPEC_OF(.name = "file", .kind = DIGEST_XXH128, .length = UINT64_MAX));
		if (i == 3) {
			ask(&b, store_sum,
			    SPEC_OF(.name = "small", .kind = DIGEST_XXH128, .length = 1));
			ck_assert_int_eq(heard(&b), FTX_OK);
			let_go(&b);
			for (int j = 0; j < 4; j++)
				store_request_close(others[j].r);
		}
	}
	ask(&a, store_stat, SPEC_OF(.name = "file"));
	ck_assert_int_eq(heard(&a), FTX_OK);
	let_go(&a);
	store_teardown();
}
END_TEST

void
add_request_cases(Suite *s)
{
	TCase *tc = unit_case(s, "request");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_loop_test(tc, test_changes, 0, ROOT_KINDS);
	tcase_add_test(tc, test_looks);
	tcase_add_loop_test(tc, test_pages, 0, 2);
	tcase_add_test(tc, test_spec_need_not_stay);
	tcase_add_test(tc, test_let_go_early);
	tcase_add_test(tc, test_let_go_when_told);
	tcase_add_loop_test(tc, test_cancelled, 0, 2);
	tcase_add_test(tc, test_sums_take_turns);
}
