/* store/put_content: the memory of small files. */
#include <string.h>

#include "loop/chunk.h"
#include "loop/worker.h"
#include "store/put_content.h"
#include "unit/unit.h"

static struct worker *worker;

#define LARGE (64 * 1024)

static const size_t sizes[] = { 0, 1, 4096, LARGE - 64, LARGE, CHUNK_SMALL_SIZE };

static void
set_up(void)
{
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
}

static void
tear_down(void)
{
	worker_free(worker);
}

/* It is there, as large as is said, and gone afterwards, however often. */
START_TEST(test_sizes)
{
	struct put_content c = { 0 };

	for (int i = 0; i < 3; i++) {
		ck_assert(put_content_alloc(&c, worker, sizes[_i]));
		ck_assert_ptr_nonnull(c.p);
		ck_assert_uint_eq(c.len, 0);
		ck_assert_uint_ge(put_content_room(sizes[_i]), sizes[_i]);
		memset(c.p, i, put_content_room(sizes[_i]));
		put_content_free(&c, worker);
		ck_assert_ptr_null(c.p);
		put_content_free(&c, worker);
	}
	ck_assert_uint_eq(worker_small_chunks(worker)->given, 0);
}
END_TEST

/* A large one has memory that was used before; a small one has its own. */
START_TEST(test_used_again)
{
	struct put_content c = { 0 };
	uint8_t *before;

	ck_assert(put_content_alloc(&c, worker, CHUNK_SMALL_SIZE));
	before = c.p;
	put_content_free(&c, worker);
	ck_assert(put_content_alloc(&c, worker, 100 * 1000));
	ck_assert_ptr_eq(c.p, before);
	put_content_free(&c, worker);
	ck_assert_uint_eq(worker_small_chunks(worker)->kept, 1);
	ck_assert(put_content_alloc(&c, worker, 4096));
	ck_assert_uint_eq(worker_small_chunks(worker)->kept, 1);
	put_content_free(&c, worker);
}
END_TEST

/* On another thread what can be given back there is, and the rest on the worker's. */
START_TEST(test_dropped)
{
	bool large = sizes[_i] >= LARGE;
	struct put_content c = { 0 };

	ck_assert(put_content_alloc(&c, worker, sizes[_i]));
	put_content_drop(&c);
	ck_assert_ptr_null(c.p);
	ck_assert_uint_eq(worker_small_chunks(worker)->given, large ? 1 : 0);
	put_content_free(&c, worker);
	ck_assert_uint_eq(worker_small_chunks(worker)->given, 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "put_content");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_sizes, 0, COUNT(sizes));
	tcase_add_test(tc, test_used_again);
	tcase_add_loop_test(tc, test_dropped, 0, COUNT(sizes));
}

int
main(void)
{
	return unit_run("put_content", add_cases);
}
