/* store/uploads: who works on one, and passes it on. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "loop/worker.h"
#include "unit/test_uploads.h"

START_TEST(test_other_terms)
{
	struct upload_terms t = terms_of(1);
	const char *name = "file1";
	struct upload_claim *c;

	leave_unfinished(1);
	if (_i == 0)
		t.size++;
	if (_i == 1)
		t.policy++;
	if (_i == 2)
		name = "file";
	ck_assert_int_eq(claim_by_and_by(&t, name, &c), FTX_OK);
	ck_assert_ptr_null(c);
	ck_assert(is_known(1));
}
END_TEST

static int told;

static void
on_taken(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

#define BUSY_TURNS 30

static bool ends;

/* An owner who has more in his hands; c: where its claim is. */
static void *
go_on(void *c)
{
	for (int i = 0; i < BUSY_TURNS; i++) {
		if (!uploads_enter(c))
			return NULL;
		uploads_leave(c);
		unit_sleep_ms(10);
	}
	if (!ends)
		unit_sleep_ms(3000);
	uploads_release(c);
	return c;
}

/* As long as it gets on it is waited for; _i: then it does nothing more, or it is at its end. */
START_TEST(test_goes_on_meanwhile)
{
	uint64_t from = unit_real_ms();
	struct upload_claim *c;
	pthread_t thread;
	void *finished;

	ends = _i != 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, go_on, claim(1)), 0);
	unit_sleep_ms(20);
	c = claim(1);
	ck_assert_uint_ge(unit_real_ms() - from, (BUSY_TURNS - 1) * 10);
	ck_assert_uint_lt(unit_real_ms() - from, 3000);
	ck_assert_int_eq(pthread_join(thread, &finished), 0);
	ck_assert_ptr_nonnull(finished);
	uploads_release(c);
}
END_TEST

/* _i: 1 the owner hears of it only after it has lost it; 2 it has let go by then. */
START_TEST(test_takeover)
{
	struct upload_claim *old = claim(1), *c;
	struct upload_record r;
	struct worker *w;

	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
	ck_assert(uploads_enter(old));
	unit_write(in_root(stage_of(1)), "part", 4);
	ck_assert_int_eq(uploads_staged(old, stage_of(1)), FTX_OK);
	uploads_leave(old);
	if (_i != 1)
		uploads_on_taken(old, w, on_taken, &told);
	c = claim(1);
	if (_i == 1)
		uploads_on_taken(old, w, on_taken, &told);
	/* It can do nothing any more. */
	ck_assert(!uploads_enter(old) && !uploads_look(old, &r));
	ck_assert_int_eq(uploads_staged(old, "another"), FTX_TAKEN_OVER);
	ck_assert(!uploads_forget(old));
	if (_i == 2)
		uploads_release(old);
	worker_turn(w, false);
	worker_turn(w, false);
	ck_assert_int_eq(told, _i == 2 ? 0 : 1);
	if (_i != 2)
		uploads_release(old);
	/* Nor is it anything to the new one. */
	ck_assert(uploads_look(c, &r) && uploads_enter(c));
	ck_assert_str_eq(r.stage, stage_of(1));
	uploads_leave(c);
	uploads_release(c);
	ck_assert(is_known(1));
	worker_free(w);
}
END_TEST

static atomic_bool has_it;

static void *
wait_for_it(void *arg)
{
	struct upload_terms t = terms_of(1);
	struct upload_claim **c = arg;

	if (claim_by_and_by(&t, "file1", c) == FTX_OK)
		atomic_store(&has_it, true);
	return NULL;
}

/* Who is in the middle of something is waited for; and what it published is found. */
START_TEST(test_takeover_waits)
{
	struct upload_claim *old = claim(1), *c;
	struct uploads_patience patience = { 0 };
	struct upload_terms t = terms_of(1);
	struct upload_record r;
	struct meta m;
	pthread_t thread;
	ino_t ino;

	ck_assert(uploads_enter(old));
	unit_write("root/file1", "whole", 5);
	m = meta_at("root/file1", &ino);
	ck_assert_int_eq(uploads_ready(old, &m, ino), FTX_OK);
	ck_assert_int_eq(uploads_claim(uploads, &t, "file1", &patience, &c), FTX_BUSY);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_it, &c), 0);
	unit_sleep_ms(50);
	ck_assert(!atomic_load(&has_it));
	uploads_expire(uploads, NOW * 2); /* nor does that take it away */
	uploads_published(old, &m);
	if (_i == 0)
		uploads_leave(old);
	else {
		uploads_leave(old);
		uploads_release(old);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(atomic_load(&has_it));
	ck_assert(uploads_look(c, &r));
	ck_assert_int_eq(r.state, UPLOAD_PUBLISHED);
	ck_assert(!uploads_forget(c)); /* that is not to be undone */
	if (_i == 0)
		uploads_release(old);
	uploads_release(c);
	ck_assert_int_eq(known_as(1, &r), UPLOAD_PUBLISHED);
}
END_TEST

/* Of one that has left nothing nothing is known, and nothing was written. */
START_TEST(test_nothing_of_it)
{
	uploads_release(claim(1));
	ck_assert_uint_eq(uploads_count(uploads), 0);
	uploads_note(uploads);
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert(uploads_enter(NULL));
	uploads_leave(NULL);
	uploads_release(NULL);
}
END_TEST

/* Once each time that it is asked for, and only while there is something. */
START_TEST(test_watch)
{
	struct upload_claim *c;
	struct worker *w;

	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
	uploads_watch(uploads, w, on_taken, &told);
	worker_turn(w, false);
	ck_assert_int_eq(told, 0);
	c = claim(1);
	uploads_release(claim(2));
	worker_turn(w, false);
	ck_assert_int_eq(told, 1);
	uploads_watch(uploads, w, on_taken, &told);
	worker_turn(w, false);
	ck_assert_int_eq(told, 2);
	uploads_release(c);
	uploads_watch(uploads, w, on_taken, &told);
	worker_turn(w, false);
	ck_assert_int_eq(told, 2);
	uploads_watch(uploads, NULL, NULL, NULL);
	uploads_release(claim(1));
	worker_free(w);
}
END_TEST

START_TEST(test_key)
{
	const uint8_t id[UPLOAD_ID_SIZE] = "0123456789abcdef";
	struct upload_terms a = { .size = 5, .policy = 1 }, b;
	uint8_t mark[UPLOAD_MARK_SIZE], other[UPLOAD_MARK_SIZE];
	char name[UPLOAD_USER_MAX + 1] = "";
	struct upload_key key;

	memset(name, 'n', UPLOAD_USER_MAX);
	ck_assert(!upload_key_set(&key, name, id));
	ck_assert(upload_key_set(&key, name + 1, id));
	memset(&a.key, 0xff, sizeof(a.key));
	ck_assert(upload_key_set(&a.key, "me", id));
	b = a;
	memset(&b.key, 0, sizeof(b.key));
	ck_assert(upload_key_set(&b.key, "me", id));
	ck_assert_mem_eq(&a.key, &b.key, sizeof(a.key));
	upload_terms_mark(&a, mark);
	b.keep = true;
	upload_terms_mark(&b, other);
	ck_assert_mem_eq(mark, other, sizeof(mark));
	for (int i = 0; i < 4; i++) {
		b = a;
		b.size += i == 0;
		b.policy ^= i == 1;
		if (i == 2)
			b.key.user[1] = 'x';
		b.key.id[15] ^= i == 3;
		upload_terms_mark(&b, other);
		ck_assert_mem_ne(mark, other, sizeof(mark));
	}
}
END_TEST

void
add_claims_cases(Suite *s)
{
	TCase *tc = unit_case(s, "claims");

	tcase_add_checked_fixture(tc, uploads_set_up, uploads_tear_down);
	tcase_add_loop_test(tc, test_other_terms, 0, 3);
	tcase_add_loop_test(tc, test_takeover, 0, 3);
	tcase_add_loop_test(tc, test_goes_on_meanwhile, 0, 2);
	tcase_add_loop_test(tc, test_takeover_waits, 0, 2);
	tcase_add_test(tc, test_nothing_of_it);
	tcase_add_test(tc, test_watch);
	tcase_add_test(tc, test_key);
}
