/* base/hash: tables in which nobody can choose where his keys stand. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"

#define KEYS  512
#define PLACE 1023U /* keys that stand together have these bits of their values in common */
#define MOST  40    /* in one place: uthash makes more of them from 10 to 20 on */

struct element {
	UT_hash_handle hh;
	char key[16];
	bool unlisted;
};

static struct element elements[KEYS];
static bool no_randomness;

extern ssize_t __real_getrandom(void *p, size_t len, unsigned flags);
extern ssize_t __wrap_getrandom(void *p, size_t len, unsigned flags);

ssize_t
__wrap_getrandom(void *p, size_t len, unsigned flags)
{
	if (!no_randomness)
		return __real_getrandom(p, len, flags);
	errno = EAGAIN;
	return -1;
}

static unsigned
uthash_value(const char *key)
{
	unsigned value;

	HASH_JEN(key, strlen(key), value);
	return value;
}

static unsigned
our_value(const char *key)
{
	return hash_bytes(key, strlen(key));
}

/* Keys that stand in one place, if a table's function is that one. */
static void
choose_keys(char keys[KEYS][16], unsigned (*value)(const char *key))
{
	unsigned found = 0;

	for (unsigned i = 0; found < KEYS; i++) {
		snprintf(keys[found], sizeof(keys[0]), "%u", i);
		if ((value(keys[found]) & PLACE) == 0)
			found++;
	}
}

/* How many stand in one place at most, in a table of these. */
static unsigned
longest_chain(char keys[KEYS][16])
{
	struct element *table = NULL;
	unsigned longest = 0;

	memset(elements, 0, sizeof(elements));
	for (int i = 0; i < KEYS; i++) {
		memcpy(elements[i].key, keys[i], sizeof(elements[i].key));
		HASH_ADD_STR(table, key, &elements[i]);
		UNIT_CHECK(!elements[i].unlisted);
	}
	for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++) {
		if (table->hh.tbl->buckets[i].count > longest)
			longest = table->hh.tbl->buckets[i].count;
	}
	HASH_CLEAR(hh, table);
	return longest;
}

START_TEST(test_table)
{
	struct element *table = NULL, *e;
	char key[16];

	ck_assert_int_eq(hash_start(), FTX_OK);
	for (int i = 0; i < KEYS; i++) {
		snprintf(elements[i].key, sizeof(elements[i].key), "key-%d", i);
		HASH_ADD_STR(table, key, &elements[i]);
	}
	for (int i = 0; i < KEYS; i += 2)
		HASH_DEL(table, &elements[i]);
	ck_assert_uint_eq(HASH_COUNT(table), KEYS / 2);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		HASH_FIND_STR(table, key, e);
		UNIT_CHECK(e == (i % 2 == 0 ? NULL : &elements[i]));
	}
	HASH_CLEAR(hh, table);
}
END_TEST

/* Keys that anybody can choose who has read uthash.h. */
START_TEST(test_keys_against_uthash)
{
	static char keys[KEYS][16];

	ck_assert_int_eq(hash_start(), FTX_OK);
	choose_keys(keys, uthash_value);
	ck_assert_uint_le(longest_chain(keys), MOST);
}
END_TEST

/* And who knows the values of another process, or of this one before it was started again. */
START_TEST(test_keys_of_another_process)
{
	size_t size = KEYS * 16;
	char(*keys)[16];
	int status;
	pid_t pid;

	/* cppcheck-suppress invalidFunctionArg; -1 is no file (MAP_ANONYMOUS) */
	keys = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(keys != MAP_FAILED);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (hash_start() != FTX_OK)
			_exit(1);
		choose_keys(keys, our_value);
		_exit(longest_chain(keys) == KEYS ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(hash_start(), FTX_OK);
	ck_assert_uint_le(longest_chain(keys), MOST);
	munmap(keys, size);
}
END_TEST

/* The secret stays what it is: tables that are there live by it. */
START_TEST(test_drawn_once)
{
	unsigned first;

	no_randomness = true;
	ck_assert_int_ne(hash_start(), FTX_OK);
	no_randomness = false;
	ck_assert_int_eq(hash_start(), FTX_OK);
	first = our_value("a key");
	ck_assert_int_eq(hash_start(), FTX_OK);
	ck_assert_uint_eq(our_value("a key"), first);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "hash");

	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_keys_against_uthash);
	tcase_add_test(tc, test_keys_of_another_process);
	tcase_add_test(tc, test_drawn_once);
}

int
main(void)
{
	return unit_run("hash", add_cases);
}
