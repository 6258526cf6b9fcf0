/* store/root: one daemon on a directory, and the stage files that a dead one left. */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/path.h"
#include "store/root.h"
#include "store/stage.h"
#include "unit/fake_sys.h"

#define STATE "root/" PATH_STATE_DIR
#define MARK  STATE "/" ROOT_STATE_MARK
#define STALE PATH_STAGE_PREFIX "0123456789abcdef-0" /* as of a run that is over */

static atomic_bool go_on; /* false: "do not stop", and "not cancelled" */
static struct root *root;

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
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
		ck_assert_int_eq(stage_open(&s, root, "new"), FTX_ACCESS);
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

/* A daemon that dies with a stage open in each of these directories. */
static void
die_with_stages(const char *const *dirs, int count)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct root *r;
		char name[600];

		if (root_open(&r, "root", ROOT_EXCLUSIVE | ROOT_NAMED_STAGE, 0640) != FTX_OK)
			_exit(1);
		for (int i = 0; i < count; i++) {
			static struct stage s;

			snprintf(name, sizeof(name), "%supload", dirs[i]);
			if (stage_open(&s, r, name) != FTX_OK)
				_exit(2);
		}
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
open_root(const char *path, unsigned flags)
{
	ck_assert_int_eq(root_open(&root, path, flags | ROOT_EXCLUSIVE, 0640), FTX_OK);
}

START_TEST(test_mark)
{
	struct stage s;

	open_root("root", ROOT_NAMED_STAGE);
	ck_assert(!root_needs_sweep(root));
	ck_assert(!exists(STATE));
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_OK);
	ck_assert(exists(MARK));
	stage_discard(&s);
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), 0);
	/* What else is in the state directory stays. */
	ck_assert_int_eq(mkdir(STATE, 0700), 0);
	unit_write(STATE "/keep", "x", 1);
	open_root("root", ROOT_NAMED_STAGE);
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_OK);
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

START_TEST(test_no_mark_without_named_stages)
{
	struct stage s;

	open_root("root", 0);
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_OK);
	if (s.kind == STAGE_UNNAMED)
		ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert_int_eq(stage_publish(&s, root, &go_on), FTX_OK);
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), 1);
	/* A client's root has no state at all. */
	ck_assert_int_eq(root_open(&root, "root", ROOT_NAMED_STAGE, 0640), FTX_OK);
	ck_assert_int_eq(stage_open(&s, root, "more"), FTX_OK);
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
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_IO);
	fake_orders.fsync_dir = 0;
	fake_orders.fsync_file = EIO;
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_IO);
	fake_orders.fsync_file = 0;
	ck_assert_int_eq(unit_names_in("root"), 0);
	fake_watch("new");
	ck_assert_int_eq(stage_open(&s, root, "new"), FTX_OK);
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
		root_set_unlinkable(root, dev);
		root_set_unlinkable(root, dev);
	}
	for (dev_t dev = 100; dev < 120; dev++)
		ck_assert_int_eq(root_knows_unlinkable(root, dev), dev < 108);
	root_close(root);
}
END_TEST

/* Sweeping. */
static const char *const stage_dirs[] = { "", "d/", "d/e/", "d/e/", "f/" };

static void
make_dirs(void)
{
	static const char *const dirs[] = { "root/d", "root/d/e", "root/f", "outside" };

	for (int i = 0; i < COUNT(dirs); i++)
		ck_assert_int_eq(mkdir(dirs[i], 0755), 0);
}

START_TEST(test_sweep)
{
	struct stage own;
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, COUNT(stage_dirs));
	/* What is like it and must stay, and what is unlike it and must go. */
	unit_write("root/d/.ftxferdx", "stays", 5);
	unit_write("root/d/file", "stays", 5);
	unit_write("root/.ftxfer-1-1", "stays", 5);
	unit_write("outside/" STALE, "stays", 5);
	ck_assert_int_eq(symlink("../outside", "root/to_outside"), 0);
	ck_assert_int_eq(symlink("d/file", "root/" STALE), 0);
	ck_assert_int_eq(mkdir("root/.ftxferd-dir", 0755), 0);
	unit_write("root/.ftxferd-dir/file", "stays", 5);

	open_root("root", ROOT_NAMED_STAGE);
	ck_assert(root_needs_sweep(root));
	ck_assert_int_eq(stage_open(&own, root, "d/new"), FTX_OK);
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, COUNT(stage_dirs) + 1);
	unit_holds("root/d/.ftxferdx", "stays", 5);
	unit_holds("root/d/file", "stays", 5);
	unit_holds("root/.ftxfer-1-1", "stays", 5);
	unit_holds("outside/" STALE, "stays", 5);
	unit_holds("root/.ftxferd-dir/file", "stays", 5);
	ck_assert(!exists("root/" STALE));
	ck_assert_int_eq(unit_names_in("root/d/e") + unit_names_in("root/f"), 0);
	/* Our own upload goes on, and its mark stands for as long. */
	ck_assert(exists(MARK));
	ck_assert_int_eq(stage_publish(&own, root, &go_on), FTX_OK);
	unit_holds("root/d/new", "", 0);
	root_close(root);
	ck_assert(!exists(STATE));
}
END_TEST

START_TEST(test_sweep_removes_the_mark)
{
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, 1);
	open_root("root", 0);
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 1);
	ck_assert(!root_needs_sweep(root));
	ck_assert(!exists(STATE));
	/* Nothing to do does no harm. */
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 0);
	root_close(root);
}
END_TEST

/* However the operator writes the root's path. */
static const char *const spellings[] = { "root", "root/", "root//", "./root", "root/.",
	"root/../root", "link", "link/", "absolute", "." };

START_TEST(test_sweep_spellings)
{
	const char *path = spellings[_i];
	char absolute[500];
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, COUNT(stage_dirs));
	ck_assert_int_eq(symlink("root", "link"), 0);
	if (strcmp(path, "absolute") == 0) {
		snprintf(absolute, sizeof(absolute), "%s/root", unit_dir());
		path = absolute;
	}
	if (strcmp(path, ".") == 0)
		ck_assert_int_eq(chdir("root"), 0);
	open_root(path, 0);
	ck_assert_int_eq(root_sweep(root, path, &go_on, &removed), FTX_OK);
	ck_assert_msg(
	    removed == COUNT(stage_dirs), "\"%s\": %u of them are gone", spellings[_i], removed);
	root_close(root);
}
END_TEST

START_TEST(test_sweep_stopped)
{
	atomic_bool stop = true;
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, COUNT(stage_dirs));
	open_root("root", 0);
	ck_assert_int_ne(root_sweep(root, "root", &stop, &removed), FTX_OK);
	ck_assert_uint_lt(removed, COUNT(stage_dirs));
	ck_assert(root_needs_sweep(root));
	root_close(root);
	ck_assert(exists(MARK));
}
END_TEST

START_TEST(test_sweep_that_cannot_look)
{
	unsigned removed;

	ck_assert_int_eq(rmdir("root"), 0);
	unit_drop_root();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	make_dirs();
	die_with_stages(stage_dirs + 4, 1); /* in f/ */
	if (_i == 0)
		ck_assert_int_eq(chmod("root/f", 0), 0); /* cannot be entered */
	else
		ck_assert_int_eq(chmod("root/f", 0555), 0); /* its names cannot be removed */
	open_root("root", 0);
	ck_assert_int_ne(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert(root_needs_sweep(root));
	root_close(root);
	/* The next start finds it. */
	ck_assert_int_eq(chmod("root/f", 0755), 0);
	open_root("root", 0);
	ck_assert(root_needs_sweep(root));
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 1);
	root_close(root);
	ck_assert(!exists(MARK));
}
END_TEST

/* A daemon that has not swept, or not to the end, must not say that nothing is left. */
START_TEST(test_mark_of_others_stays)
{
	atomic_bool stop = true;
	struct stage own;
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, COUNT(stage_dirs));
	open_root("root", ROOT_NAMED_STAGE);
	fake_orders.fsync_dir = EIO;
	ck_assert_int_eq(stage_open(&own, root, "new"), FTX_IO);
	fake_orders.fsync_dir = 0;
	ck_assert(exists(MARK));
	ck_assert_int_eq(stage_open(&own, root, "new"), FTX_OK);
	if (_i == 1)
		ck_assert_int_ne(root_sweep(root, "root", &stop, &removed), FTX_OK);
	stage_discard(&own);
	root_close(root);
	ck_assert_msg(
	    exists(MARK), "%d stage files lie about, and their mark is gone", COUNT(stage_dirs));
}
END_TEST

/* Deeper than a path can say: swept, or not said to be. */
START_TEST(test_sweep_very_deep)
{
	char name[256];
	unsigned removed;
	int top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ftx_rc rc;

	memset(name, 'n', 255);
	name[255] = '\0';
	die_with_stages(stage_dirs, 1);
	ck_assert_int_eq(chdir("root"), 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(mkdir(name, 0755), 0);
		ck_assert_int_eq(chdir(name), 0);
	}
	unit_write(STALE, "", 0);
	ck_assert_int_eq(fchdir(top), 0);
	open_root("root", 0);
	rc = root_sweep(root, "root", &go_on, &removed);
	ck_assert_msg(
	    rc != FTX_OK || removed == 2, "said to be done, but %u of 2 are gone", removed);
	ck_assert(rc == FTX_OK || root_needs_sweep(root));
	root_close(root);
	close(top);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "open");

	atomic_init(&go_on, false);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_open_bad);
	tcase_add_test(tc, test_open_without_permission);
	tcase_add_test(tc, test_lock);
	tcase_add_test(tc, test_stage_names);
	tcase_add_test(tc, test_unlinkable);
	tc = unit_case(s, "mark");
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_mark);
	tcase_add_test(tc, test_no_mark_without_named_stages);
	tcase_add_test(tc, test_mark_is_durable_first);
	tcase_add_loop_test(tc, test_mark_of_others_stays, 0, 2);
	tc = unit_case(s, "sweep");
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_sweep);
	tcase_add_test(tc, test_sweep_removes_the_mark);
	tcase_add_loop_test(tc, test_sweep_spellings, 0, COUNT(spellings));
	tcase_add_test(tc, test_sweep_stopped);
	tcase_add_loop_test(tc, test_sweep_that_cannot_look, 0, 2);
	tcase_add_test(tc, test_sweep_very_deep);
}

int
main(void)
{
	return unit_run("root", add_cases);
}
