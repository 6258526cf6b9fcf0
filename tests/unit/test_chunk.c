/* loop/chunk: memory that is used over and over. */
#include <string.h>

#include "loop/chunk.h"
#include "unit/unit.h"

START_TEST(test_last_in_first_out)
{
	struct chunk_cache cache;
	struct chunk *a, *b;

	chunk_cache_init(&cache, CHUNK_SIZE);
	a = chunk_get(&cache);
	b = chunk_get(&cache);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a->data, b->data);
	a->len = b->len = 5;
	chunk_put(&cache, a);
	chunk_put(&cache, b);
	ck_assert_ptr_eq(chunk_get(&cache), b);
	ck_assert_uint_eq(b->len, 0);
	ck_assert_ptr_eq(chunk_get(&cache), a);
	chunk_put(&cache, a);
	chunk_put(&cache, b);
	chunk_put(&cache, NULL);
	chunk_cache_clear(&cache);
	ck_assert_uint_eq(cache.kept, 0);
}
END_TEST

/* Fit for direct I/O; all of it is there. */
START_TEST(test_memory)
{
	struct chunk_cache cache;
	struct chunk *c[3 * CHUNK_KEPT];
	const size_t size = _i == 0 ? CHUNK_SIZE : CHUNK_SMALL_SIZE;

	chunk_cache_init(&cache, size);
	for (int i = 0; i < COUNT(c); i++) {
		c[i] = chunk_get(&cache);
		ck_assert_ptr_nonnull(c[i]);
		ck_assert_uint_eq((uintptr_t)c[i]->data % CHUNK_ALIGN, 0);
		memset(c[i]->data, i, size);
	}
	for (int i = 0; i < COUNT(c); i++) {
		ck_assert_uint_eq(c[i]->data[0], i);
		ck_assert_uint_eq(c[i]->data[size - 1], i);
		chunk_put(&cache, c[i]);
	}
	ck_assert_uint_eq(cache.kept, CHUNK_KEPT);
	chunk_cache_clear(&cache);
	ck_assert_ptr_null(SLIST_FIRST(&cache.free));
}
END_TEST

/* Who can do without is given none where that would not be kept. */
START_TEST(test_kept)
{
	struct chunk_cache cache;
	struct chunk *c[CHUNK_KEPT];

	chunk_cache_init(&cache, CHUNK_SIZE);
	for (int i = 0; i < COUNT(c); i++) {
		c[i] = i % 2 == 0 ? chunk_get_kept(&cache) : chunk_get(&cache);
		ck_assert_ptr_nonnull(c[i]);
	}
	ck_assert_ptr_null(chunk_get_kept(&cache));
	chunk_put(&cache, c[0]);
	ck_assert_ptr_eq(chunk_get_kept(&cache), c[0]);
	for (int i = 0; i < COUNT(c); i++)
		chunk_put(&cache, c[i]);
	ck_assert_uint_eq(cache.given, 0);
	chunk_cache_clear(&cache);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "chunk");

	tcase_add_test(tc, test_last_in_first_out);
	tcase_add_loop_test(tc, test_memory, 0, 2);
	tcase_add_test(tc, test_kept);
}

int
main(void)
{
	return unit_run("chunk", add_cases);
}
