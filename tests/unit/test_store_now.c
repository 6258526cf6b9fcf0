/* store: small files in one call, there and then. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/names.h"
#include "unit/fake_sys.h"
#include "unit/test_store.h"

#define ROOM 100

static char got[ROOM];
static struct meta meta;

static bool
get_now(const char *name)
{
	return store_get_now(store, name, got, ROOM, &meta);
}

static void
put_stored(const char *name, const char *text, enum digest_kind kind)
{
	const struct put_spec spec = { .name = name };
	struct put_content c = { .p = (uint8_t *)strdup(text), .len = strlen(text) };
	struct owner o = { 0 };

	ck_assert_int_eq(digest_of(kind, text, c.len, &c.digest), FTX_OK);
	ck_assert_int_eq(store_put_whole(store, &spec, &c, owner_hears, &o, &o.t), FTX_OK);
	owner_began(&o);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	owner_close(&o);
}

/* This file system has no place for digests: then nothing is found at once. */
static bool
has_place(void)
{
	struct meta m;

	ck_assert_int_eq(names_stat(root, "new", true, &m), FTX_OK);
	return m.digest.kind != DIGEST_NONE;
}

/* All of it, as everything else tells it, too. */
START_TEST(test_found)
{
	int before;
	struct meta m;

	ck_assert_int_eq(mkdir("root/d", 0755), 0);
	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	put_stored("new", "content", DIGEST_XXH128);
	put_stored("empty", "", DIGEST_XXH128);
	put_stored("d/other", "other", DIGEST_XXH128);
	before = unit_descriptors();
	if (has_place()) {
		ck_assert(get_now("new"));
		ck_assert_mem_eq(got, "content", 7);
		ck_assert_int_eq(names_stat(root, "new", true, &m), FTX_OK);
		ck_assert(meta.size == 7 && meta.mode == m.mode && meta.kind == META_FILE);
		ck_assert(meta_same_version(&meta.version, &m.version));
		ck_assert(digest_equal(&meta.digest, &m.digest));
		ck_assert(get_now("empty") && meta.size == 0);
		ck_assert(!get_now("none/other")); /* which does not spoil what follows */
		ck_assert(get_now("d/other") && memcmp(got, "other", 5) == 0);
		ck_assert(get_now("d/other"));
		ck_assert(!store_get_now(store, "new", got, 6, &meta));
		ck_assert(store_get_now(store, "new", got, 7, &meta));
	}
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(unit_descriptors(), before);
	store_teardown();
}
END_TEST

/* A mixture of two versions, whose size and time are as they were, is none of them. */
START_TEST(test_changed)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;
	int fd;

	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	put_stored("new", "content", DIGEST_XXH128);
	ck_assert(get_now("new") == has_place());
	fd = open("root/new", O_WRONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pwrite(fd, "X", 1, 3), 1);
	ck_assert(!get_now("new"));
	times[1] = st.st_mtim;
	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
	ck_assert(!get_now("new"));
	store_teardown();
}
END_TEST

/* Whatever it is, the way that is longer tells. */
START_TEST(test_not_found)
{
	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	put_stored("sha", "content", DIGEST_SHA256);
	put_stored("new", "content", DIGEST_XXH128);
	ck_assert_int_eq(mkfifo("root/fifo", 0644), 0);
	ck_assert_int_eq(symlink("new", "root/link"), 0);
	unit_write("root/plain", "content", 7);
	ck_assert(!get_now("sha"));
	ck_assert(!get_now("fifo"));
	ck_assert(!get_now("link"));
	ck_assert(!get_now("plain"));
	ck_assert(!get_now("none"));
	ck_assert(!get_now(".."));
	root->in_memory = false;
	ck_assert(!get_now("new"));
	root->in_memory = true;
	root->dev++; /* something is mounted there */
	ck_assert(!get_now("new"));
	store_teardown();
}
END_TEST

void
add_now_cases(Suite *s)
{
	TCase *tc = unit_case(s, "now");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_test(tc, test_found);
	tcase_add_test(tc, test_changed);
	tcase_add_test(tc, test_not_found);
}
