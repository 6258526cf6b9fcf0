/* core/registry: who is transferring which name. */
#include "unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"

static struct registry *r;

static void
set_up(void)
{
	ck_assert_int_eq(registry_new(&r), FTX_OK);
}

/* All claims were released, or it says so (assert). */
static void
tear_down(void)
{
	registry_free(r);
}

static struct registry_claim *
claim(const char *name, enum registry_use use)
{
	struct registry_claim *c = NULL;

	ck_assert_int_eq(registry_claim(r, name, use, &c), FTX_OK);
	ck_assert_ptr_nonnull(c);
	return c;
}

static void
busy(const char *name, enum registry_use use)
{
	struct registry_claim *c = NULL;

	ck_assert_int_eq(registry_claim(r, name, use, &c), FTX_BUSY);
	ck_assert_ptr_null(c);
}

static void
begin(struct registry_claim *c, enum ftx_rc want)
{
	ck_assert_int_eq(registry_begin_upload(c), want);
}

START_TEST(test_uploads_exclude_each_other)
{
	struct registry_claim *c = claim("a", REGISTRY_UPLOAD);

	busy("a", REGISTRY_UPLOAD);
	begin(c, FTX_OK);
	busy("a", REGISTRY_UPLOAD);
	registry_release(c);
	/* What was refused has left nothing behind. */
	registry_release(claim("a", REGISTRY_UPLOAD));
	registry_release(claim("a", REGISTRY_DOWNLOAD));
}
END_TEST

/* Who only asks for a name disturbs nobody; from its beginning on an upload is alone. */
START_TEST(test_an_upload_begins)
{
	struct registry_claim *up = claim("a", REGISTRY_UPLOAD);
	struct registry_claim *down = claim("a", REGISTRY_DOWNLOAD);

	begin(up, FTX_BUSY);
	/* It has not begun, then. */
	registry_release(claim("a", REGISTRY_DOWNLOAD));
	begin(up, FTX_BUSY);
	registry_release(down);
	begin(up, FTX_OK);
	busy("a", REGISTRY_DOWNLOAD);
	begin(up, FTX_OK);
	busy("a", REGISTRY_DOWNLOAD);
	registry_release(up);
	/* The next upload of that name has not begun by that. */
	up = claim("a", REGISTRY_UPLOAD);
	registry_release(claim("a", REGISTRY_DOWNLOAD));
	registry_release(up);
}
END_TEST

/* The one goes while the other stays, either way. */
START_TEST(test_releases_in_any_order)
{
	struct registry_claim *up = claim("a", REGISTRY_UPLOAD);
	struct registry_claim *down = claim("a", REGISTRY_DOWNLOAD);

	registry_release(up);
	up = claim("a", REGISTRY_UPLOAD);
	busy("a", REGISTRY_UPLOAD);
	begin(up, FTX_BUSY);
	registry_release(down);
	busy("a", REGISTRY_UPLOAD);
	begin(up, FTX_OK);
	registry_release(up);
	registry_release(claim("a", REGISTRY_UPLOAD));
}
END_TEST

START_TEST(test_downloads_share)
{
	struct registry_claim *c[5], *up;

	for (int i = 0; i < COUNT(c); i++)
		c[i] = claim("a", REGISTRY_DOWNLOAD);
	up = claim("a", REGISTRY_UPLOAD);
	/* In any order; until the last one has gone. */
	for (int i = 0; i < COUNT(c); i++) {
		begin(up, FTX_BUSY);
		registry_release(c[(i * 2 + 1) % COUNT(c)]);
	}
	begin(up, FTX_OK);
	registry_release(up);
}
END_TEST

START_TEST(test_names_are_apart)
{
	static const char *const names[] = { "a", "A", "aa", "a/a", "a/", "b", "", " ", "a ",
		"\xc3\xa9", "e\xcc\x81" };
	struct registry_claim *c[COUNT(names)];

	for (int i = 0; i < COUNT(names); i++)
		c[i] = claim(names[i], REGISTRY_UPLOAD);
	for (int i = 0; i < COUNT(names); i++) {
		begin(c[i], FTX_OK);
		busy(names[i], REGISTRY_DOWNLOAD);
	}
	for (int i = 0; i < COUNT(names); i++)
		registry_release(c[i]);
	registry_release(NULL);
	registry_free(NULL);
}
END_TEST

START_TEST(test_the_name_is_copied)
{
	struct registry_claim *c;
	char name[] = "name";

	c = claim(name, REGISTRY_UPLOAD);
	strcpy(name, "else");
	busy("name", REGISTRY_UPLOAD);
	registry_release(claim("else", REGISTRY_UPLOAD));
	registry_release(c);
}
END_TEST

START_TEST(test_many_names)
{
	enum { MANY = 5000 };
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	struct registry_claim **c = calloc(MANY, sizeof(*c));
	char name[4000];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%0*d", 1 + i % 50 * 70, i);
		UNIT_CHECK(registry_claim(r, name, REGISTRY_UPLOAD, &c[i]) == FTX_OK);
	}
	for (int i = 0; i < MANY; i++) {
		struct registry_claim *again;

		snprintf(name, sizeof(name), "%0*d", 1 + i % 50 * 70, i);
		UNIT_CHECK(registry_claim(r, name, REGISTRY_UPLOAD, &again) == FTX_BUSY);
	}
	for (int i = 0; i < MANY; i++)
		registry_release(c[(i * 7919) % MANY]);
	free(c);
}
END_TEST

/* Threads on a few names: never an upload beside anything else. */
#define THREADS 8
#define NAMES   4

static atomic_int uploads[NAMES], downloads[NAMES], violations, claims[2];

static void *
claim_at_random(void *arg)
{
	uint64_t seed = 1 + (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < 5000; i++) {
		int n = (int)(unit_random(&seed) % NAMES);
		bool upload = unit_random(&seed) % 2 == 0;
		char name[] = { 'n', (char)('0' + n), '\0' };
		struct registry_claim *c;

		if (registry_claim(r, name, upload ? REGISTRY_UPLOAD : REGISTRY_DOWNLOAD, &c) !=
		    FTX_OK)
			continue;
		if (upload && registry_begin_upload(c) != FTX_OK) {
			registry_release(c);
			continue;
		}
		atomic_fetch_add(&claims[upload], 1);
		atomic_fetch_add(upload ? &uploads[n] : &downloads[n], 1);
		if (atomic_load(&uploads[n]) > (upload ? 1 : 0) ||
		    (upload && atomic_load(&downloads[n]) > 0))
			atomic_fetch_add(&violations, 1);
		sched_yield();
		atomic_fetch_sub(upload ? &uploads[n] : &downloads[n], 1);
		registry_release(c);
	}
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t tids[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&tids[i], NULL, claim_at_random, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(tids[i], NULL);
	ck_assert_int_eq(atomic_load(&violations), 0);
	ck_assert_int_gt(atomic_load(&claims[0]), 100);
	ck_assert_int_gt(atomic_load(&claims[1]), 100);
}
END_TEST

/* A directory that is being removed, and uploads into it, exclude each other. */
START_TEST(test_removals)
{
	struct registry_claim *up = claim("d/e/f", REGISTRY_UPLOAD), *removal;

	busy("d", REGISTRY_REMOVAL);
	busy("d/e", REGISTRY_REMOVAL);
	registry_release(claim("d/e/f/g", REGISTRY_REMOVAL));
	registry_release(claim("dd", REGISTRY_REMOVAL));
	registry_release(up);
	removal = claim("d/e", REGISTRY_REMOVAL);
	busy("d/e", REGISTRY_REMOVAL);
	busy("d/e", REGISTRY_UPLOAD);
	busy("d/e/f", REGISTRY_UPLOAD);
	busy("d/e/f/g", REGISTRY_UPLOAD);
	registry_release(claim("d/f", REGISTRY_UPLOAD));
	registry_release(claim("d/e/f", REGISTRY_DOWNLOAD));
	registry_release(removal);
	registry_release(claim("d/e/f", REGISTRY_UPLOAD));
}
END_TEST

/* An upload that comes again has the name of its predecessor, which has nothing any more. */
START_TEST(test_passes_on)
{
	const uint8_t mark[REGISTRY_MARK_SIZE] = "sixteen letters", other[REGISTRY_MARK_SIZE] = "";
	struct registry_claim *old, *new, *none;

	ck_assert_int_eq(registry_claim_marked(r, "a", mark, &old), FTX_OK);
	ck_assert_int_eq(registry_begin_upload(old), FTX_OK);
	ck_assert_int_eq(registry_claim_marked(r, "a", other, &none), FTX_BUSY);
	busy("a", REGISTRY_UPLOAD);
	ck_assert_int_eq(registry_claim_marked(r, "a", mark, &new), FTX_OK);
	ck_assert_int_eq(registry_begin_upload(old), FTX_TAKEN_OVER);
	registry_release(old);
	busy("a", REGISTRY_UPLOAD);
	busy("a", REGISTRY_DOWNLOAD);
	ck_assert_int_eq(registry_begin_upload(new), FTX_OK);
	/* Once more, and what is passed on is released last. */
	ck_assert_int_eq(registry_claim_marked(r, "a", mark, &old), FTX_OK);
	registry_release(old);
	registry_release(new);
	/* One without a mark passes to nobody. */
	new = claim("a", REGISTRY_UPLOAD);
	ck_assert_int_eq(registry_claim_marked(r, "a", mark, &none), FTX_BUSY);
	registry_release(new);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "registry");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_uploads_exclude_each_other);
	tcase_add_test(tc, test_an_upload_begins);
	tcase_add_test(tc, test_releases_in_any_order);
	tcase_add_test(tc, test_downloads_share);
	tcase_add_test(tc, test_names_are_apart);
	tcase_add_test(tc, test_the_name_is_copied);
	tcase_add_test(tc, test_many_names);
	tcase_add_test(tc, test_removals);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_passes_on);
}

int
main(void)
{
	return unit_run("registry", add_cases);
}
