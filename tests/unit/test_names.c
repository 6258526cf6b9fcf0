/*
 * store/names and store/meta: what is said of names, and directories that are made. Renaming and
 * removing are in test_names_move.c: one program.
 */
#include "unit/test_names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stored_digest.h"
#include "unit/fake_sys.h"

const unsigned kinds[ROOT_KINDS] = { 0, ROOT_NO_OPENAT2, ROOT_NO_RENAMEAT2 };
static const struct timespec then[2] = { { .tv_sec = 1000000000, .tv_nsec = 7 },
	{ .tv_sec = 1000000000, .tv_nsec = 7 } };
struct root *root;
static int descriptors;

/* root: file (7 bytes), dir/inner, empty/, and links to each, a FIFO; outside: secret. */
void
names_set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	descriptors = unit_descriptors();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(mkdir("outside", 0755), 0);
	unit_write("outside/secret", "secret", 6);
	unit_write("root/file", "content", 7);
	ck_assert_int_eq(chmod("root/file", 0604), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, "root/file", then, 0), 0);
	ck_assert_int_eq(mkdir("root/dir", 0751), 0);
	unit_write("root/dir/inner", "inner", 5);
	ck_assert_int_eq(mkdir("root/empty", 0755), 0);
	ck_assert_int_eq(mkfifo("root/fifo", 0600), 0);
	ck_assert_int_eq(symlink("file", "root/to_file"), 0);
	ck_assert_int_eq(symlink("dir", "root/to_dir"), 0);
	ck_assert_int_eq(symlink("../outside", "root/out"), 0);
	ck_assert_int_eq(symlink("nowhere", "root/dangling"), 0);
}

void
open_root(unsigned flags)
{
	ck_assert_int_eq(root_open(&root, "root", flags, 0640), FTX_OK);
}

/* Nothing outside was touched, no descriptor is left. */
void
names_tear_down(void)
{
	root_close(root);
	ck_assert_int_eq(unit_descriptors(), descriptors);
	unit_holds("outside/secret", "secret", 6);
	ck_assert_int_eq(unit_names_in("outside"), 1);
}

struct meta
look(const char *name)
{
	struct meta m;

	CHECK_RC(names_stat(root, name, false, &m), FTX_OK);
	return m;
}

bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

ino_t
inode(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s", path);
	return st.st_ino;
}

/* The change of the watched name was made, and what it changed was synced after it. */
void
synced_after_change(const char *dir)
{
	ck_assert_int_gt(fake_named(), 0);
	ck_assert_msg(fake_synced(inode(dir)) > fake_named(), "%s: not synced", dir);
}

START_TEST(test_stat)
{
	static const struct {
		const char *name;
		enum meta_kind kind;
	} others[] = { { "", META_DIRECTORY }, { "dir", META_DIRECTORY }, { "fifo", META_OTHER },
		{ "to_file", META_LINK }, { "to_dir", META_LINK }, { "dangling", META_LINK } };
	static const char *const missing[] = { "none", "none/none", "file/none", "to_dir/inner",
		"out/secret", "dangling/none" };
	struct meta m;

	open_root(kinds[_i]);
	m = look("file");
	ck_assert_int_eq(m.kind, META_FILE);
	ck_assert_uint_eq(m.size, 7);
	ck_assert_uint_eq(m.mode, 0604);
	ck_assert_int_eq(m.mtime.tv_sec, then[1].tv_sec);
	ck_assert_int_eq(m.mtime.tv_nsec, then[1].tv_nsec);
	ck_assert(m.version.len >= 8 && m.version.len <= META_VERSION_MAX);
	ck_assert_int_eq(m.digest.kind, DIGEST_NONE);
	ck_assert_uint_eq(look("dir/inner").size, 5);
	for (int i = 0; i < COUNT(others); i++) {
		m = look(others[i].name);
		ck_assert_int_eq(m.kind, others[i].kind);
		ck_assert(m.size == 0 && m.version.len == 0);
	}
	ck_assert_uint_eq(look("dir").mode, 0751);
	for (int i = 0; i < COUNT(missing); i++)
		CHECK_RC(names_stat(root, missing[i], true, &m), FTX_NOT_FOUND);
}
END_TEST

START_TEST(test_stat_with_digest)
{
	int fd = open("root/file", O_RDWR | O_CLOEXEC);
	struct digest_value v;
	struct meta m;

	open_root(0);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "content", 7, &v), FTX_OK);
	if (stored_digest_write(fd, &v)) {
		CHECK_RC(names_stat(root, "file", true, &m), FTX_OK);
		ck_assert(digest_equal(&m.digest, &v));
		ck_assert_uint_eq(m.size, 7);
		/* Not where nobody asked. */
		ck_assert_int_eq(look("file").digest.kind, DIGEST_NONE);
		ck_assert_int_eq(ftruncate(fd, 3), 0);
	}
	CHECK_RC(names_stat(root, "file", true, &m), FTX_OK);
	ck_assert_int_eq(m.digest.kind, DIGEST_NONE);
	close(fd);
	/* What cannot be read is there all the same. */
	ck_assert_int_eq(chmod("root/file", 0), 0);
	unit_drop_root();
	CHECK_RC(names_stat(root, "file", true, &m), FTX_OK);
	ck_assert_int_eq(m.kind, META_FILE);
	CHECK_RC(names_stat(root, "dir", true, &m), FTX_OK);
}
END_TEST

START_TEST(test_version)
{
	struct meta a, b;

	open_root(0);
	a = look("file");
	unit_sleep_ms(20);
	b = look("file");
	ck_assert(meta_same_version(&a.version, &b.version));
	/* The same size and time, set back by who wrote. */
	unit_write("root/file", "CONTENT", 7);
	ck_assert_int_eq(utimensat(AT_FDCWD, "root/file", then, 0), 0);
	b = look("file");
	ck_assert(b.size == a.size && b.mtime.tv_nsec == a.mtime.tv_nsec);
	ck_assert(!meta_same_version(&a.version, &b.version));
	a = look("dir/inner");
	ck_assert(!meta_same_version(&a.version, &b.version));
	b.version.len = a.version.len = 0;
	ck_assert(!meta_same_version(&a.version, &b.version));
}
END_TEST

START_TEST(test_mkdir)
{
	static const struct {
		bool has;
		mode_t mode, want;
	} modes[] = { { false, 0, 0750 }, { true, 0755, 0755 }, { true, 07077, 0777 },
		{ true, 0, 0700 } };
	mode_t before = umask(077);
	bool existed = true;

	open_root(kinds[_i]);
	for (int i = 0; i < COUNT(modes); i++) {
		char name[16], path[32];
		struct stat st;

		snprintf(name, sizeof(name), "dir/new%d", i);
		snprintf(path, sizeof(path), "root/%s", name);
		fake_watch(name + 4);
		CHECK_RC(
		    names_mkdir(root, name, false, modes[i].has ? &modes[i].mode : NULL, &existed),
		    FTX_OK);
		ck_assert(!existed);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, modes[i].want);
		/* Itself, and then the entry that leads to it. */
		synced_after_change(path);
		synced_after_change("root/dir");
		ck_assert_int_lt(fake_synced(inode(path)), fake_synced(inode("root/dir")));
	}
	umask(before);
}
END_TEST

START_TEST(test_mkdir_existing)
{
	static const char *const taken[] = { "file", "fifo", "to_dir", "dangling", "out" };
	static const char *const orphans[] = { "none/new", "file/new", "to_dir/new", "out/new",
		"none/deep/new" };
	mode_t mode = 0700;
	bool existed = false;

	open_root(kinds[_i]);
	fake_watch("");
	CHECK_RC(names_mkdir(root, "dir", false, &mode, &existed), FTX_OK);
	ck_assert(existed);
	ck_assert_uint_eq(look("dir").mode, 0751);
	/* Who made it may not have lived to sync it. */
	ck_assert_int_gt(fake_synced(inode("root")), 0);
	for (int i = 0; i < COUNT(taken); i++) {
		CHECK_RC(names_mkdir(root, taken[i], false, NULL, &existed), FTX_EXISTS);
		CHECK_RC(names_mkdir(root, taken[i], true, NULL, &existed), FTX_EXISTS);
	}
	for (int i = 0; i < COUNT(orphans); i++)
		CHECK_RC(names_mkdir(root, orphans[i], false, NULL, &existed), FTX_NO_PARENT);
	ck_assert_int_eq(unit_names_in("root"), 8);
}
END_TEST

START_TEST(test_mkdir_parents)
{
	static const char *const orphans[] = { "file/new", "to_dir/new", "out/new/deep",
		"fifo/a/b" };
	mode_t mode = 0711;
	bool existed = true;

	open_root(kinds[_i]);
	fake_watch("");
	CHECK_RC(names_mkdir(root, "dir/a/b/c", true, &mode, &existed), FTX_OK);
	ck_assert(!existed);
	ck_assert_uint_eq(look("dir/a").mode, 0750);
	ck_assert_uint_eq(look("dir/a/b").mode, 0750);
	ck_assert_uint_eq(look("dir/a/b/c").mode, 0711);
	ck_assert_int_gt(fake_synced(inode("root/dir/a/b/c")), 0);
	ck_assert_int_gt(fake_synced(inode("root/dir/a/b")), 0);
	ck_assert_int_gt(fake_synced(inode("root/dir/a")), 0);
	ck_assert_int_gt(fake_synced(inode("root/dir")), 0);
	ck_assert_int_gt(fake_synced(inode("root")), 0);
	CHECK_RC(names_mkdir(root, "dir/a/b", true, &mode, &existed), FTX_OK);
	ck_assert(existed);
	for (int i = 0; i < COUNT(orphans); i++)
		CHECK_RC(names_mkdir(root, orphans[i], true, NULL, &existed), FTX_NO_PARENT);
	ck_assert_int_eq(unit_names_in("root"), 8);
}
END_TEST

/* The requests of a client run side by side: what is within may be made before its own MKDIR. */
START_TEST(test_mkdir_of_a_parent)
{
	mode_t first = 0755, second = 0711;
	bool existed;

	open_root(kinds[_i]);
	fake_watch("");
	CHECK_RC(names_make_parents(root, "dir/a/b/c"), FTX_OK);
	CHECK_RC(names_mkdir(root, "dir/a", true, &first, &existed), FTX_OK);
	ck_assert(existed);
	ck_assert_uint_eq(look("dir/a").mode, 0755);
	ck_assert_int_gt(fake_synced(inode("root/dir/a")), 0);
	ck_assert_uint_eq(look("dir").mode, 0751);
	/* Once; and not what somebody has changed meanwhile. */
	CHECK_RC(names_mkdir(root, "dir/a", false, &second, &existed), FTX_OK);
	ck_assert_uint_eq(look("dir/a").mode, 0755);
	ck_assert_int_eq(chmod("root/dir/a/b", 0770), 0);
	CHECK_RC(names_mkdir(root, "dir/a/b", false, &second, &existed), FTX_OK);
	ck_assert_uint_eq(look("dir/a/b").mode, 0770);
	/* Nor what was made by its name. */
	CHECK_RC(names_mkdir(root, "dir/new", true, NULL, &existed), FTX_OK);
	CHECK_RC(names_mkdir(root, "dir/new", true, &second, &existed), FTX_OK);
	ck_assert_uint_eq(look("dir/new").mode, 0750);
}
END_TEST

/* A file system may give a new directory the number of one that was removed. */
START_TEST(test_mkdir_in_place_of_a_parent)
{
	mode_t mode = 0711;
	bool existed;

	open_root(0);
	CHECK_RC(names_make_parents(root, "dir/a/b"), FTX_OK);
	CHECK_RC(names_remove(root, "dir/a", true, NULL), FTX_OK);
	CHECK_RC(names_mkdir(root, "dir/new", false, NULL, &existed), FTX_OK);
	ck_assert(!existed);
	CHECK_RC(names_mkdir(root, "dir/new", false, &mode, &existed), FTX_OK);
	ck_assert_uint_eq(look("dir/new").mode, 0750);
}
END_TEST

/* More of them than are remembered: the last ones are. */
START_TEST(test_mkdir_of_many_parents)
{
	mode_t mode = 0711;
	char name[32];
	bool existed;

	open_root(0);
	for (int i = 0; i < IMPLIED_MAX + 2; i++) {
		snprintf(name, sizeof(name), "dir/%d/x", i);
		CHECK_RC(names_make_parents(root, name), FTX_OK);
	}
	for (int i = 0; i < IMPLIED_MAX + 2; i++) {
		snprintf(name, sizeof(name), "dir/%d", i);
		CHECK_RC(names_mkdir(root, name, false, &mode, &existed), FTX_OK);
		ck_assert_uint_eq(look(name).mode, i < 2 ? 0750 : 0711);
	}
}
END_TEST

static void
remove_new(void)
{
	ck_assert_int_eq(rmdir("root/new"), 0);
}

/* Somebody removes it as soon as it is made: nobody has to look for it any more. */
START_TEST(test_mkdir_is_gone)
{
	bool existed;

	open_root(0);
	fake_orders.after_mkdir = remove_new;
	CHECK_RC(names_mkdir(root, "new", false, NULL, &existed), FTX_NOT_FOUND);
	ck_assert_uint_eq(atomic_load(&root->making), 0);
	fake_orders.after_mkdir = NULL;
	/* It is there, and not durable. */
	fake_orders.fsync_dir = EIO;
	CHECK_RC(names_mkdir(root, "new", false, NULL, &existed), FTX_IO);
	ck_assert_uint_eq(atomic_load(&root->making), 1);
	fake_orders.fsync_dir = 0;
}
END_TEST

START_TEST(test_mkdir_fails)
{
	bool existed;

	open_root(0);
	fake_orders.mkdir = ENOSPC;
	CHECK_RC(names_mkdir(root, "new", false, NULL, &existed), FTX_NO_SPACE);
	ck_assert(!exists("root/new"));
	fake_orders.mkdir = 0;
	fake_orders.fsync_dir = EIO;
	CHECK_RC(names_mkdir(root, "new", false, NULL, &existed), FTX_IO);
	CHECK_RC(names_mkdir(root, "dir", false, NULL, &existed), FTX_IO);
	CHECK_RC(names_mkdir(root, "dir/deep/er", true, NULL, &existed), FTX_IO);
	fake_orders.fsync_dir = 0;
	ck_assert_int_eq(chmod("root/dir", 0555), 0);
	unit_drop_root();
	CHECK_RC(names_mkdir(root, "dir/x", false, NULL, &existed), FTX_ACCESS);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "names");

	tcase_add_checked_fixture(tc, names_set_up, names_tear_down);
	tcase_add_loop_test(tc, test_stat, 0, ROOT_KINDS);
	tcase_add_test(tc, test_stat_with_digest);
	tcase_add_test(tc, test_version);
	tcase_add_loop_test(tc, test_mkdir, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_mkdir_existing, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_mkdir_parents, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_mkdir_of_a_parent, 0, ROOT_KINDS);
	tcase_add_test(tc, test_mkdir_in_place_of_a_parent);
	tcase_add_test(tc, test_mkdir_of_many_parents);
	tcase_add_test(tc, test_mkdir_is_gone);
	tcase_add_test(tc, test_mkdir_fails);
	add_move_cases(s);
}

int
main(void)
{
	return unit_run("names", add_cases);
}
