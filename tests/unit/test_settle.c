/* store/settle: a file that is there is taken for one that was to be stored. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/names.h"
#include "store/settle.h"
#include "unit/unit.h"

static struct root *root;

static void
set_up(void)
{
	unit_enter_dir();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
	unit_write("root/f", "content", 7);
}

static void
tear_down(void)
{
	root_close(root);
}

static struct meta
look(void)
{
	struct meta m;

	ck_assert_int_eq(names_stat(root, "f", true, &m), FTX_OK);
	return m;
}

START_TEST(test_as_it_stands)
{
	struct settle_attrs none = { 0 };
	struct meta before = look(), m;

	ck_assert_int_eq(settle_existing(root, "f", &before.version, &none, &m), FTX_OK);
	ck_assert(meta_same_version(&m.version, &before.version));
	ck_assert_int_eq(settle_existing(root, "none", &before.version, &none, &m), FTX_NOT_FOUND);
	ck_assert_int_eq(settle_existing(root, "no/f", &before.version, &none, &m), FTX_NOT_FOUND);
	unit_sleep_ms(20);
	unit_write("root/f", "another", 7);
	ck_assert_int_eq(settle_existing(root, "f", &before.version, &none, &m), FTX_OTHER_VERSION);
}
END_TEST

START_TEST(test_attributes)
{
	struct settle_attrs attrs = {
		.has_mode = true,
		.mode = 0604,
		.has_mtime = true,
		.mtime = { .tv_sec = 1000000000, .tv_nsec = 5000 },
	};
	struct meta before = look(), m, after;

	ck_assert_int_eq(digest_of(DIGEST_XXH128, "content", 7, &attrs.digest), FTX_OK);
	unit_sleep_ms(20);
	ck_assert_int_eq(settle_existing(root, "f", &before.version, &attrs, &m), FTX_OK);
	after = look();
	ck_assert(meta_same_version(&m.version, &after.version));
	ck_assert(!meta_same_version(&m.version, &before.version));
	ck_assert_uint_eq(after.mode, 0604);
	ck_assert_int_eq(after.mtime.tv_sec, 1000000000);
	ck_assert_int_eq(after.mtime.tv_nsec, 5000);
	/* Where the file system has such attributes. */
	ck_assert(after.digest.kind == DIGEST_NONE || digest_equal(&after.digest, &attrs.digest));
	unit_holds("root/f", "content", 7);
	/* Once more: it has all of it, and is not changed. */
	ck_assert_int_eq(settle_existing(root, "f", &after.version, &attrs, &m), FTX_OK);
	ck_assert(meta_same_version(&m.version, &after.version));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "settle");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_as_it_stands);
	tcase_add_test(tc, test_attributes);
}

int
main(void)
{
	return unit_run("settle", add_cases);
}
