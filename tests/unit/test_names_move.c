/* store/names: renaming and removing; part of the program test_names. */
#include "unit/test_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fake_sys.h"

/* Into another directory, and within one. */
START_TEST(test_rename)
{
	struct meta m, now;
	ino_t ino = inode("root/file");

	open_root(kinds[_i]);
	fake_watch("moved");
	CHECK_RC(names_rename(root, "file", "dir/moved", false, NULL, &m), FTX_OK);
	ck_assert(!exists("root/file"));
	unit_holds("root/dir/moved", "content", 7);
	ck_assert_uint_eq(inode("root/dir/moved"), ino);
	ck_assert_int_eq(m.kind, META_FILE);
	ck_assert_uint_eq(m.size, 7);
	now = look("dir/moved");
	ck_assert(meta_same_version(&m.version, &now.version));
	synced_after_change("root/dir");
	synced_after_change("root");
	/* First where it will be found. */
	ck_assert_int_lt(fake_synced(inode("root/dir")), fake_synced(inode("root")));
	fake_watch("again");
	CHECK_RC(names_rename(root, "dir/moved", "dir/again", false, NULL, &m), FTX_OK);
	synced_after_change("root/dir");
	/* By link(2) it takes one before the old name goes. */
	ck_assert_uint_eq(fake_count().fsync_dir, kinds[_i] == ROOT_NO_RENAMEAT2 ? 2 : 1);
	ck_assert_int_eq(unit_names_in("root/dir"), 2);
}
END_TEST

START_TEST(test_rename_refused)
{
	static const struct {
		const char *from, *to;
		enum ftx_rc rc;
	} cases[] = { { "none", "new", FTX_NOT_FOUND }, { "none/none", "new", FTX_NOT_FOUND },
		{ "to_dir/inner", "new", FTX_NOT_FOUND }, { "out/secret", "new", FTX_NOT_FOUND },
		{ "dir", "new", FTX_IS_DIRECTORY }, { "fifo", "new", FTX_NOT_REGULAR },
		{ "to_file", "new", FTX_NOT_REGULAR }, { "file", "none/new", FTX_NO_PARENT },
		{ "file", "out/new", FTX_NO_PARENT }, { "file", "to_dir/new", FTX_NO_PARENT },
		{ "file", "dir", FTX_EXISTS }, { "file", "fifo", FTX_EXISTS },
		{ "file", "to_file", FTX_EXISTS }, { "file", "dangling", FTX_EXISTS },
		{ "dir", "dir", FTX_IS_DIRECTORY }, { "none", "none", FTX_NOT_FOUND },
		{ "fifo", "fifo", FTX_NOT_REGULAR } };
	struct meta m;

	open_root(kinds[_i]);
	for (int i = 0; i < COUNT(cases); i++) {
		for (int replace = 0; replace < 2; replace++) {
			enum ftx_rc rc =
			    names_rename(root, cases[i].from, cases[i].to, replace != 0, NULL, &m);

			ck_assert_msg(rc == cases[i].rc, "%s to %s: %s", cases[i].from, cases[i].to,
			    ftx_rc_name(rc));
		}
	}
	CHECK_RC(names_rename(root, "file", "dir/inner", false, NULL, &m), FTX_EXISTS);
	unit_holds("root/file", "content", 7);
	unit_holds("root/dir/inner", "inner", 5);
	ck_assert_int_eq(unit_names_in("root"), 8);
}
END_TEST

START_TEST(test_rename_replaces)
{
	struct meta m;

	open_root(kinds[_i]);
	fake_watch("inner");
	CHECK_RC(names_rename(root, "file", "dir/inner", true, NULL, &m), FTX_OK);
	unit_holds("root/dir/inner", "content", 7);
	ck_assert(!exists("root/file"));
	synced_after_change("root/dir");
	synced_after_change("root");
	/* Another spelling of the same name; and another name of the same file. */
	CHECK_RC(names_rename(root, "dir/inner", "dir/inner", false, NULL, &m), FTX_OK);
	ck_assert_int_eq(link("root/dir/inner", "root/linked"), 0);
	CHECK_RC(names_rename(root, "dir/inner", "linked", true, NULL, &m), FTX_EXISTS);
	unit_holds("root/dir/inner", "content", 7);
	unit_holds("root/linked", "content", 7);
}
END_TEST

static void
make_theirs(void)
{
	if (!exists("root/dir/new"))
		unit_write("root/dir/new", "theirs", 6);
}

/* Whoever comes first has the name. */
START_TEST(test_rename_appears_in_last_moment)
{
	struct meta m;

	open_root(kinds[_i]);
	fake_orders.before_link = make_theirs;
	CHECK_RC(names_rename(root, "file", "dir/new", false, NULL, &m), FTX_EXISTS);
	unit_holds("root/dir/new", "theirs", 6);
	unit_holds("root/file", "content", 7);
}
END_TEST

START_TEST(test_rename_fails)
{
	static const struct {
		int err;
		enum ftx_rc rc;
	} cases[] = { { EXDEV, FTX_OTHER_DEVICE }, { EIO, FTX_IO }, { ENOSPC, FTX_NO_SPACE } };
	struct meta m;

	open_root(kinds[_i]);
	for (int i = 0; i < COUNT(cases); i++) {
		fake_orders.rename = fake_orders.link = cases[i].err;
		CHECK_RC(names_rename(root, "file", "dir/new", false, NULL, &m), cases[i].rc);
		CHECK_RC(names_rename(root, "file", "dir/inner", true, NULL, &m), cases[i].rc);
		unit_holds("root/file", "content", 7);
		unit_holds("root/dir/inner", "inner", 5);
	}
	fake_orders = (struct fake_orders){ .fsync_dir = EIO };
	CHECK_RC(names_rename(root, "file", "dir/new", false, NULL, &m), FTX_IO);
	/* In one step it was done, and may not last; in two it was taken back. */
	ck_assert(exists("root/dir/new") == (kinds[_i] != ROOT_NO_RENAMEAT2));
	if (exists("root/dir/new"))
		CHECK_RC(names_rename(root, "dir/new", "file", false, NULL, &m), FTX_IO);
	unit_holds("root/file", "content", 7);
	/* By link(2) the old name goes last; if it does not, the new one goes. */
	fake_orders = (struct fake_orders){ .rename = EINVAL, .unlink = EIO, .unlink_once = true };
	CHECK_RC(names_rename(root, "file", "dir/new", false, NULL, &m), FTX_IO);
	ck_assert(!exists("root/dir/new"));
	unit_holds("root/file", "content", 7);
}
END_TEST

START_TEST(test_if_version)
{
	struct meta m, other;

	open_root(0);
	m = look("file");
	other = look("dir/inner");
	CHECK_RC(names_rename(root, "file", "new", false, &other.version, &m), FTX_OTHER_VERSION);
	CHECK_RC(names_rename(root, "file", "file", false, &other.version, &m), FTX_OTHER_VERSION);
	CHECK_RC(names_remove(root, "file", false, &other.version), FTX_OTHER_VERSION);
	unit_holds("root/file", "content", 7);
	m = look("file");
	CHECK_RC(names_rename(root, "file", "file", false, &m.version, &m), FTX_OK);
	CHECK_RC(names_rename(root, "file", "new", false, &m.version, &other), FTX_OK);
	/* Its own: the name is part of what a version may depend on. */
	CHECK_RC(names_remove(root, "new", false, &other.version), FTX_OK);
	ck_assert(!exists("root/new"));
}
END_TEST

START_TEST(test_remove)
{
	static const struct {
		const char *name, *dir;
		bool directory;
	} cases[] = { { "file", "root", false }, { "dir/inner", "root/dir", false },
		{ "to_file", "root", false }, { "to_dir", "root", false },
		{ "dangling", "root", false }, { "out", "root", false }, { "empty", "root", true },
		{ "dir", "root", true } };

	open_root(kinds[_i]);
	for (int i = 0; i < COUNT(cases); i++) {
		char path[32];

		snprintf(path, sizeof(path), "root/%s", cases[i].name);
		fake_watch(strrchr(path, '/') + 1);
		CHECK_RC(names_remove(root, cases[i].name, cases[i].directory, NULL), FTX_OK);
		ck_assert_msg(!exists(path), "%s is there", path);
		synced_after_change(cases[i].dir);
	}
	ck_assert_int_eq(unit_names_in("root"), 1);
}
END_TEST

START_TEST(test_remove_refused)
{
	static const struct {
		const char *name;
		enum ftx_rc rc, rc_directory;
	} cases[] = { { "none", FTX_NOT_FOUND, FTX_NOT_FOUND },
		{ "none/none", FTX_NOT_FOUND, FTX_NOT_FOUND },
		{ "out/secret", FTX_NOT_FOUND, FTX_NOT_FOUND },
		{ "to_dir/inner", FTX_NOT_FOUND, FTX_NOT_FOUND },
		{ "dir", FTX_IS_DIRECTORY, FTX_NOT_EMPTY },
		{ "fifo", FTX_NOT_REGULAR, FTX_NOT_DIRECTORY },
		{ "empty", FTX_IS_DIRECTORY, FTX_OK } };

	open_root(kinds[_i]);
	for (int i = 0; i < COUNT(cases); i++) {
		CHECK_RC(names_remove(root, cases[i].name, false, NULL), cases[i].rc);
		CHECK_RC(names_remove(root, cases[i].name, true, NULL), cases[i].rc_directory);
	}
	CHECK_RC(names_remove(root, "file", true, NULL), FTX_NOT_DIRECTORY);
	CHECK_RC(names_remove(root, "to_dir", true, NULL), FTX_NOT_DIRECTORY);
	ck_assert_int_eq(unit_names_in("root"), 7);
	unit_holds("root/dir/inner", "inner", 5);
}
END_TEST

START_TEST(test_remove_fails)
{
	open_root(0);
	fake_orders.unlink = EIO;
	CHECK_RC(names_remove(root, "file", false, NULL), FTX_IO);
	fake_orders.unlink = EBUSY;
	CHECK_RC(names_remove(root, "empty", true, NULL), FTX_BUSY);
	fake_orders = (struct fake_orders){ .fsync_dir = ENOSPC };
	CHECK_RC(names_remove(root, "file", false, NULL), FTX_NO_SPACE);
	fake_orders.fsync_dir = 0;
	ck_assert_int_eq(chmod("root/dir", 0555), 0);
	unit_drop_root();
	CHECK_RC(names_remove(root, "dir/inner", false, NULL), FTX_ACCESS);
}
END_TEST

void
add_move_cases(Suite *s)
{
	TCase *tc = unit_case(s, "move");

	tcase_add_checked_fixture(tc, names_set_up, names_tear_down);
	tcase_add_loop_test(tc, test_rename, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_rename_refused, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_rename_replaces, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_rename_appears_in_last_moment, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_rename_fails, 0, ROOT_KINDS);
	tcase_add_test(tc, test_if_version);
	tcase_add_loop_test(tc, test_remove, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_remove_refused, 0, ROOT_KINDS);
	tcase_add_test(tc, test_remove_fails);
}
