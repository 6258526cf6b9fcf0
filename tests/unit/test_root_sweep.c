/* store/root: the sweep of stage files that a dead daemon left. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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

#define STALE PATH_STAGE_PREFIX "0123456789abcdef-0" /* as of a run that is over */

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
			if (stage_open(&s, r, SPEC(0, name)) != FTX_OK)
				_exit(2);
		}
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

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
	ck_assert_int_eq(stage_open(&own, root, SPEC(0, "d/new")), FTX_OK);
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
	ck_assert_int_eq(stage_publish(&own, &go_on), FTX_OK);
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

static bool
is_f(const FTSENT *e)
{
	return strcmp(e->fts_path, "root/f") == 0;
}

static void
make_anothers(FTSENT *e)
{
	if (is_f(e))
		e->fts_statp->st_uid = geteuid() + 1;
}

static void
make_old(FTSENT *e)
{
	e->fts_statp->st_mtime = e->fts_statp->st_ctime = 0;
}

/* Where we may not look, or not at what it holds, we have made no stage. */
START_TEST(test_sweep_where_we_may_not_look)
{
	unsigned removed;

	unit_drop_root();
	ck_assert_int_eq(rename("root", "other"), 0);
	ck_assert_int_eq(mkdir("root", 0755), 0);
	make_dirs();
	unit_write("root/f/file", "stays", 5);
	die_with_stages(stage_dirs, 1);
	ck_assert_int_eq(chmod("root/f", _i % 2 == 0 ? 0 : 0444), 0);
	open_root("root", 0);
	if (_i >= 2)
		fake_orders.found = _i < 4 ? make_anothers : make_old;
	if (_i < 2) /* our own: somebody has changed it */
		ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_IO);
	else
		ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 1);
	root_close(root);
	ck_assert_int_eq(exists(MARK), _i < 2);
	ck_assert_int_eq(chmod("root/f", 0755), 0);
}
END_TEST

static void
remove_f(FTSENT *e)
{
	if (is_f(e) && e->fts_info == FTS_D)
		ck_assert_int_eq(rmdir("root/f"), 0);
}

/* In the moment between listing and looking. */
static void
lose_f(FTSENT *e)
{
	if (is_f(e)) {
		e->fts_info = FTS_NS;
		e->fts_errno = ENOENT;
	}
}

START_TEST(test_sweep_while_names_go)
{
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, 1);
	open_root("root", 0);
	fake_orders.found = _i == 0 ? remove_f : lose_f;
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 1);
	root_close(root);
	ck_assert(!exists(MARK));
}
END_TEST

/* What the dead run may have changed is made durable; to say when it was is not for others. */
START_TEST(test_sweep_makes_durable)
{
	static const struct timespec old[2];
	struct timespec future[2] = { { 0 }, { .tv_sec = time(NULL) + 3600L * 24 * 365 } };
	struct stat st;
	unsigned removed;

	make_dirs();
	die_with_stages(stage_dirs, 1);
	ck_assert_int_eq(utimensat(AT_FDCWD, "root/d", old, 0), 0);
	ck_assert_int_eq(stat("root/d", &st), 0);
	if (_i > 0)
		fake_orders.found = make_old;
	if (_i > 1)
		ck_assert_int_eq(utimensat(AT_FDCWD, MARK, future, 0), 0);
	open_root("root", 0);
	fake_watch("");
	ck_assert_int_eq(root_sweep(root, "root", &go_on, &removed), FTX_OK);
	if (_i == 1)
		ck_assert_int_eq(fake_synced(st.st_ino), 0); /* nobody has been there */
	else
		ck_assert_int_gt(fake_synced(st.st_ino), 0);
	/* In this one a stage was found. */
	ck_assert_int_eq(stat("root", &st), 0);
	ck_assert_int_gt(fake_synced(st.st_ino), 0);
	root_close(root);
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
	ck_assert_int_eq(stage_open(&own, root, SPEC(0, "new")), FTX_IO);
	fake_orders.fsync_dir = 0;
	ck_assert(exists(MARK));
	ck_assert_int_eq(stage_open(&own, root, SPEC(0, "new")), FTX_OK);
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

void
add_sweep_cases(Suite *s)
{
	TCase *tc = unit_case(s, "sweep");

	tcase_add_checked_fixture(tc, root_set_up, NULL);
	tcase_add_test(tc, test_sweep);
	tcase_add_test(tc, test_sweep_removes_the_mark);
	tcase_add_loop_test(tc, test_sweep_spellings, 0, COUNT(spellings));
	tcase_add_loop_test(tc, test_mark_of_others_stays, 0, 2);
	tcase_add_test(tc, test_sweep_stopped);
	tcase_add_loop_test(tc, test_sweep_that_cannot_look, 0, 2);
	tcase_add_loop_test(tc, test_sweep_where_we_may_not_look, 0, 6);
	tcase_add_loop_test(tc, test_sweep_while_names_go, 0, 2);
	tcase_add_loop_test(tc, test_sweep_makes_durable, 0, 3);
	tcase_add_test(tc, test_sweep_very_deep);
}
