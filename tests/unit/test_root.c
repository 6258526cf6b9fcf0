/* store/root: one daemon on a directory, and the stage files that a dead one left. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/path.h"
#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"
#include "unit/test_root.h"

struct root *root;
atomic_bool go_on;

void
root_set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
}

bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void
open_root(const char *path, unsigned flags)
{
	ck_assert_int_eq(root_open(&root, path, flags | ROOT_EXCLUSIVE, 0640), FTX_OK);
}

START_TEST(test_open_bad)
{
	static const unsigned flags[] = { 0, ROOT_EXCLUSIVE };

	ck_assert_int_eq(symlink("root", "link"), 0);
	ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	unit_write("file", "", 0);
	for (int i = 0; i < COUNT(flags); i++) {
		int before = unit_descriptors();

		ck_assert_int_eq(root_open(&root, "missing", flags[i], 0640), FTX_NOT_FOUND);
		ck_assert_int_eq(root_open(&root, "dangling", flags[i], 0640), FTX_NOT_FOUND);
		ck_assert_int_eq(root_open(&root, "file", flags[i], 0640), FTX_NOT_REGULAR);
		ck_assert_int_eq(root_open(&root, "fifo", flags[i], 0640), FTX_NOT_REGULAR);
		ck_assert_int_eq(root_open(&root, "", flags[i], 0640), FTX_NOT_FOUND);
		ck_assert_int_eq(unit_descriptors(), before);
		ck_assert_int_eq(root_open(&root, "link", flags[i], 0640), FTX_OK);
		root_close(root);
		ck_assert_int_eq(unit_descriptors(), before);
	}
	root_close(NULL);
	/* Nothing was created. */
	ck_assert_int_eq(unit_names_in("."), 5);
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

START_TEST(test_open_without_permission)
{
	struct stage s;

	ck_assert_int_eq(chmod("root", 0), 0);
	unit_drop_root();
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_ACCESS);
	/* A client may get as far as its first file. */
	if (root_open(&root, "root", 0, 0640) == FTX_OK) {
		ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_ACCESS);
		root_close(root);
	}
}
END_TEST

/* What another process gets when it opens the root; it leaves at once, by closing or not. */
static enum ftx_rc
open_in_child(const char *path, unsigned flags, bool close_it)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct root *r;
		enum ftx_rc rc = root_open(&r, path, flags, 0640);

		if (rc == FTX_OK && close_it)
			root_close(r);
		_exit((int)rc);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return (enum ftx_rc)WEXITSTATUS(status);
}

START_TEST(test_lock)
{
	struct root *second;

	ck_assert_int_eq(symlink("root", "link"), 0);
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(open_in_child("root", ROOT_EXCLUSIVE, true), FTX_LOCKED);
	ck_assert_int_eq(open_in_child("link", ROOT_EXCLUSIVE, true), FTX_LOCKED);
	ck_assert_int_eq(root_open(&second, "root", ROOT_EXCLUSIVE, 0640), FTX_LOCKED);
	/* Who does not ask for it is not concerned. */
	ck_assert_int_eq(open_in_child("root", 0, true), FTX_OK);
	root_close(root);
	ck_assert_int_eq(open_in_child("root", ROOT_EXCLUSIVE, true), FTX_OK);
	/* It ends with the process, however that ends. */
	ck_assert_int_eq(open_in_child("root", ROOT_EXCLUSIVE, false), FTX_OK);
	ck_assert_int_eq(open_in_child("root", ROOT_EXCLUSIVE, true), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

START_TEST(test_mark)
{
	struct stage s;

	open_root("root", ROOT_NAMED_STAGE);
	ck_assert(!root_needs_sweep(root));
	ck_assert(!exists(STATE));
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_OK);
	ck_assert(exists(MARK));
	stage_discard(&s);
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), 0);
	/* What else is in the state directory stays. */
	ck_assert_int_eq(mkdir(STATE, 0700), 0);
	unit_write(STATE "/keep", "x", 1);
	open_root("root", ROOT_NAMED_STAGE);
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_OK);
	stage_discard(&s);
	root_close(root);
	ck_assert(!exists(MARK));
	ck_assert_int_eq(unit_names_in(STATE), 1);
	/* Not so the directory alone: that is of a run that died before its mark was made. */
	ck_assert_int_eq(unlink(STATE "/keep"), 0);
	open_root("root", 0);
	ck_assert(!exists(STATE));
	root_close(root);
}
END_TEST

/* Whatever else has its name, nobody waits for it. */
START_TEST(test_mark_that_is_no_file)
{
	struct stage s;

	ck_assert_int_eq(mkdir(STATE, 0700), 0);
	ck_assert_int_eq(mkfifo(MARK, 0600), 0);
	open_root("root", ROOT_NAMED_STAGE);
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_IO);
	root_close(root);
	ck_assert(exists(MARK));
}
END_TEST

START_TEST(test_no_mark_without_named_stages)
{
	struct stage s;

	open_root("root", 0);
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_OK);
	if (s.kind == STAGE_UNNAMED)
		ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert_int_eq(stage_publish(&s, &go_on), FTX_OK);
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), 1);
	/* A client's root has no state at all. */
	ck_assert_int_eq(root_open(&root, "root", ROOT_NAMED_STAGE, 0640), FTX_OK);
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "more")), FTX_OK);
	ck_assert(!exists(STATE));
	ck_assert(!path_is_reserved(s.temp, strlen(s.temp)));
	stage_discard(&s);
	root_close(root);
}
END_TEST

START_TEST(test_mark_is_durable_first)
{
	struct stat mark, state, top;
	struct stage s;

	/* What cannot be found again after a crash must not be made. */
	open_root("root", ROOT_NAMED_STAGE);
	fake_orders.fsync_dir = EIO;
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_IO);
	fake_orders.fsync_dir = ENOSPC;
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_NO_SPACE);
	fake_orders.fsync_dir = 0;
	fake_orders.fsync_file = EIO;
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_IO);
	fake_orders.fsync_file = EDQUOT;
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_NO_SPACE);
	fake_orders.fsync_file = 0;
	ck_assert_int_eq(unit_names_in("root"), 0);
	/* Each upload finds that out anew. */
	ck_assert_int_eq(unit_log_count("cannot mark the storage root"), 1);
	fake_watch("new");
	ck_assert_int_eq(stage_open(&s, root, SPEC(0, "new")), FTX_OK);
	ck_assert_int_eq(stat(MARK, &mark), 0);
	ck_assert_int_eq(stat(STATE, &state), 0);
	ck_assert_int_eq(stat("root", &top), 0);
	ck_assert_int_gt(fake_synced(mark.st_ino), 0);
	ck_assert_int_gt(fake_synced(state.st_ino), 0);
	ck_assert_int_gt(fake_synced(top.st_ino), 0);
	stage_discard(&s);
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

START_TEST(test_stage_names)
{
	char names[2][500][64];
	struct root *roots[2];

	ck_assert_int_eq(mkdir("other", 0755), 0);
	ck_assert_int_eq(root_open(&roots[0], "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(root_open(&roots[1], "other", ROOT_EXCLUSIVE, 0640), FTX_OK);
	for (int i = 0; i < 500; i++) {
		for (int r = 0; r < 2; r++) {
			UNIT_CHECK(root_stage_name(roots[r], names[r][i], 64) == FTX_OK);
			UNIT_CHECK(path_is_reserved(names[r][i], strlen(names[r][i])));
			UNIT_CHECK(strlen(names[r][i]) < 60);
		}
		for (int j = 0; j < i; j++)
			UNIT_CHECK(strcmp(names[0][i], names[0][j]) != 0);
		for (int j = 0; j < 500; j++)
			UNIT_CHECK(j > i || strcmp(names[0][i], names[1][j]) != 0);
	}
	root_close(roots[0]);
	root_close(roots[1]);
}
END_TEST

START_TEST(test_unlinkable)
{
	open_root("root", 0);
	for (dev_t dev = 100; dev < 120; dev++) {
		ck_assert(!root_knows_unlinkable(root, dev));
		root_set_unlinkable(root, dev, EPERM);
		root_set_unlinkable(root, dev, EPERM);
	}
	for (dev_t dev = 100; dev < 120; dev++)
		ck_assert_int_eq(root_knows_unlinkable(root, dev), dev < 108);
	ck_assert_int_eq(unit_log_count("cannot name an unnamed file"), 1);
	root_close(root);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "open");

	atomic_init(&go_on, false);
	tcase_add_checked_fixture(tc, root_set_up, NULL);
	tcase_add_test(tc, test_open_bad);
	tcase_add_test(tc, test_open_without_permission);
	tcase_add_test(tc, test_lock);
	tcase_add_test(tc, test_stage_names);
	tcase_add_test(tc, test_unlinkable);
	tc = unit_case(s, "mark");
	tcase_add_checked_fixture(tc, root_set_up, NULL);
	tcase_add_test(tc, test_mark);
	tcase_add_test(tc, test_mark_that_is_no_file);
	tcase_add_test(tc, test_no_mark_without_named_stages);
	tcase_add_test(tc, test_mark_is_durable_first);
	add_sweep_cases(s);
}

int
main(void)
{
	return unit_run("root", add_cases);
}
