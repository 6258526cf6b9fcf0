/* store/stage: what a published file has besides its content. */
#include "unit/unit.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

static const unsigned all_flags[] = { 0, ROOT_NAMED_STAGE, ROOT_NO_LINK_UNNAMED, TEST_REPLACE,
	TEST_REPLACE | ROOT_NO_LINK_UNNAMED };
static const struct timespec old = { .tv_sec = 1000000000, .tv_nsec = 123456789 };
static struct root *root;
static struct stage stage;
static atomic_bool not_cancelled;

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
}

static void
tear_down(void)
{
	root_close(root);
}

static void
open_root(unsigned flags)
{
	ck_assert_int_eq(root_open(&root, "root", flags, 0640), FTX_OK);
}

/* A stage with a few bytes in it. */
static void
open_stage(const struct put_spec *spec)
{
	char text[] = "content";
	struct iovec iov = { text, 7 };

	ck_assert_int_eq(stage_open(&stage, root, spec), FTX_OK);
	ck_assert_int_eq(stage_write(&stage, &iov, 1, 0), FTX_OK);
}

static struct stat
published(void)
{
	struct stat st;

	ck_assert_int_eq(stage_publish(&stage, &not_cancelled), FTX_OK);
	ck_assert_int_eq(stat("root/new", &st), 0); /* before reading it sets a time */
	unit_holds("root/new", "content", 7);
	return st;
}

START_TEST(test_mode)
{
	struct put_spec spec = { .name = "new", .policy = PUT_REPLACE };
	mode_t before = umask(_i == 0 ? 0777 : 0);

	open_root(all_flags[_i]);
	open_stage(&spec);
	ck_assert_uint_eq(published().st_mode & 07777, 0640);
	/* Permissions only: nobody gets a file that runs as its owner. */
	spec.has_mode = true;
	spec.mode = 07511;
	open_stage(&spec);
	ck_assert_uint_eq(published().st_mode & 07777, 0511);
	spec.mode = 0;
	open_stage(&spec);
	ck_assert_int_eq(stage_publish(&stage, &not_cancelled), FTX_OK);
	umask(before);
}
END_TEST

/* Where nothing is to be replaced, no name but that one is ever there. */
START_TEST(test_free_name)
{
	open_root(TEST_REPLACE);
	open_stage(SPEC(TEST_REPLACE, "new"));
	ck_assert_int_eq(stage.kind, STAGE_UNNAMED);
	published();
	ck_assert_uint_eq(root->serial, 0);
	open_stage(SPEC(TEST_REPLACE, "new"));
	published();
	ck_assert_uint_eq(root->serial, 1);
}
END_TEST

START_TEST(test_time)
{
	struct put_spec spec = { .name = "new", .policy = SPEC(all_flags[_i], "")->policy };
	struct stat st;

	spec.has_mtime = true;
	spec.mtime = old;
	open_root(all_flags[_i]);
	open_stage(&spec);
	fake_watch("new");
	st = published();
	ck_assert_int_eq(st.st_mtim.tv_sec, old.tv_sec);
	ck_assert_int_eq(st.st_mtim.tv_nsec, old.tv_nsec);
	ck_assert_int_gt(st.st_atim.tv_sec, old.tv_sec); /* nobody's business */
	/* The time is durable before the file has its name. */
	ck_assert_int_gt(fake_attrs(), 0);
	ck_assert_int_lt(fake_attrs(), fake_synced(st.st_ino));
	ck_assert_int_lt(fake_synced(st.st_ino), fake_named());
}
END_TEST

START_TEST(test_time_is_the_last_write_without_one)
{
	struct stat before, after;

	open_root(0);
	open_stage(SPEC(0, "new"));
	ck_assert_int_eq(fstat(stage.fd, &before), 0);
	unit_sleep_ms(20);
	fake_watch("new");
	after = published();
	ck_assert_int_eq(fake_attrs(), 0);
	ck_assert_int_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}
END_TEST

/* A file system without times is no reason to lose a file; a broken one is. */
START_TEST(test_time_fails)
{
	static const struct {
		int err;
		enum ftx_rc rc;
	} cases[] = { { EPERM, FTX_OK }, { EOPNOTSUPP, FTX_OK }, { EIO, FTX_IO } };
	const struct put_spec spec = {
		.name = "new", .policy = PUT_CREATE, .has_mtime = true, .mtime = old
	};

	open_root(0);
	fake_orders.futimens = cases[_i].err;
	open_stage(&spec);
	ck_assert_int_eq(stage_publish(&stage, &not_cancelled), cases[_i].rc);
	ck_assert_int_eq(unit_names_in("root"), cases[_i].rc == FTX_OK ? 1 : 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "attributes");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_mode, 0, COUNT(all_flags));
	tcase_add_test(tc, test_free_name);
	tcase_add_loop_test(tc, test_time, 0, COUNT(all_flags));
	tcase_add_test(tc, test_time_is_the_last_write_without_one);
	tcase_add_loop_test(tc, test_time_fails, 0, 3);
}

int
main(void)
{
	return unit_run("stage_attrs", add_cases);
}
