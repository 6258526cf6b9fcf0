/* store/commit: files that are published together are no less durable for it. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/commit.h"
#include "store/path.h"
#include "store/root.h"
#include "store/stage.h"
#include "store/upload_log.h"
#include "store/uploads.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

#define FILES 6 /* those with an even number in the root, the others in d */

static const unsigned root_flags[] = { ROOT_EXCLUSIVE, ROOT_EXCLUSIVE | ROOT_NAMED_STAGE,
	ROOT_EXCLUSIVE | ROOT_NAMED_STAGE | ROOT_NO_RENAMEAT2, TEST_REPLACE };
static struct root *root;
static struct stage stages[FILES];
static struct commit commits[FILES];
static atomic_bool cancelled[FILES];
static char names[FILES][16];
static ino_t inodes[FILES];
static int descriptors;

#define EXT4 0xef53
static long fs_type = EXT4;

static ino_t
inode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_ino;
}

static void
open_files(unsigned flags)
{
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(mkdir("root/d", 0755), 0);
	fake_orders.fs_type = fs_type;
	ck_assert_int_eq(root_open(&root, "root", flags, 0640), FTX_OK);
	for (int i = 0; i < FILES; i++) {
		char text[16];
		struct iovec iov = { text, 0 };
		struct stat st;

		snprintf(names[i], sizeof(names[i]), "%sf%d", i % 2 == 0 ? "" : "d/", i);
		snprintf(text, sizeof(text), "content %d", i);
		iov.iov_len = strlen(text);
		ck_assert_int_eq(stage_open(&stages[i], root, SPEC(root->flags, names[i])), FTX_OK);
		ck_assert_int_eq(stage_write(&stages[i], &iov, 1, 0), FTX_OK);
		ck_assert_int_eq(fstat(stages[i].fd, &st), 0);
		inodes[i] = st.st_ino;
		commits[i].stage = &stages[i];
		commits[i].cancelled = &cancelled[i];
		commits[i].sound = commit_is_sound(stages[i].fd);
	}
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	descriptors = unit_descriptors();
}

/* All is closed, and nothing counts as unsynced any more. */
static void
tear_down(void)
{
	fake_orders = (struct fake_orders){ 0 };
	for (int i = 0; i < FILES; i++) {
		ck_assert_int_eq(stages[i].kind, STAGE_NONE);
		ck_assert_int_eq(stages[i].fd, -1);
	}
	ck_assert_uint_eq(atomic_load(&root->unsynced), 0);
	root_close(root);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
commit_first(int count)
{
	struct commit_list list = STAILQ_HEAD_INITIALIZER(list);

	for (int i = 0; i < count; i++)
		STAILQ_INSERT_TAIL(&list, &commits[i], link);
	commit_all(&list);
}

static void
ended(int i, enum ftx_rc rc)
{
	ck_assert_msg(commits[i].rc == rc, "%s: %s instead of %s", names[i],
	    ftx_rc_name(commits[i].rc), ftx_rc_name(rc));
}

/* It stands there whole, with its mode; or is not there. */
static void
there(int i, bool is_there)
{
	char path[32], text[32];
	struct stat st;

	snprintf(path, sizeof(path), "root/%s", names[i]);
	if (!is_there) {
		ck_assert_int_ne(stat(path, &st), 0);
		return;
	}
	snprintf(text, sizeof(text), "content %d", i);
	unit_holds(path, text, strlen(text));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
}

static void
all_ended(enum ftx_rc rc, bool are_there)
{
	for (int i = 0; i < FILES; i++) {
		ended(i, rc);
		there(i, are_there);
	}
}

static void
counts_are(unsigned syncfs, unsigned files, unsigned dirs)
{
	struct fake_counts c = fake_count();

	ck_assert_uint_eq(c.syncfs, syncfs);
	ck_assert_uint_eq(c.fsync_file, files);
	ck_assert_uint_eq(c.fsync_dir, dirs);
}

/* When a name is given all contents are durable; no directory is synced before the last. */
static void
contents_are_durable(void)
{
	struct fake_counts c = fake_count();

	UNIT_CHECK(fake_syncfs() > 0 || c.fsync_file == FILES);
	UNIT_CHECK(c.fsync_dir == 0);
}

START_TEST(test_together)
{
	open_files(root_flags[_i]);
	fake_watch("f4");
	fake_orders.before_link = contents_are_durable;
	commit_first(FILES);
	all_ended(FTX_OK, true);
	counts_are(1, 0, 2);
	ck_assert_int_lt(fake_syncfs(), fake_named());
	ck_assert_int_lt(fake_named(), fake_synced(inode_of("root")));
	ck_assert_int_lt(fake_named(), fake_synced(inode_of("root/d")));
}
END_TEST

static struct upload_claim *claims[FILES];
static struct uploads_patience nobody; /* has one of them yet */
static struct meta metas[FILES];

/* The file of what is known of uploads is there, and is added to from here on. */
static void
make_log(void)
{
	const struct upload_terms t = { .key = { .id = { 99 } } };
	const struct meta m = { .size = 1 };

	ck_assert_int_eq(uploads_open(&root->uploads, root), FTX_OK);
	ck_assert_int_eq(uploads_claim(root->uploads, &t, "other", &nobody, &claims[0]), FTX_OK);
	ck_assert(uploads_enter(claims[0]));
	ck_assert_int_eq(uploads_ready(claims[0], &m, 1), FTX_OK);
	ck_assert_int_eq(uploads_settle(root->uploads), FTX_OK);
	uploads_leave(claims[0]);
	uploads_release(claims[0]);
}

/* Each is of an upload that is known. */
static void
claim_all(void)
{
	for (int i = 0; i < FILES; i++) {
		struct upload_terms t = { .size = 9 };

		ck_assert(
		    upload_key_set(&t.key, "user", (const uint8_t[UPLOAD_ID_SIZE]){ (uint8_t)i }));
		ck_assert_int_eq(
		    uploads_claim(root->uploads, &t, names[i], &nobody, &claims[i]), FTX_OK);
		ck_assert(uploads_enter(claims[i]));
		stages[i].upload = claims[i];
		stages[i].meta = &metas[i];
	}
}

static void
release_all(void)
{
	for (int i = 0; i < FILES; i++) {
		uploads_leave(claims[i]);
		uploads_release(claims[i]);
	}
}

static off_t written_at_syncfs;

static void
look_at_log(void)
{
	struct stat st;

	written_at_syncfs =
	    stat("root/" PATH_STATE_DIR "/" UPLOAD_LOG_NAME, &st) == 0 ? st.st_size : 0;
}

/* All know of all uploads when the first name is given. */
static void
records_are_durable(void)
{
	struct fake_counts c = fake_count();
	struct stat st;

	if (access("root/" PATH_STATE_DIR "/" UPLOAD_LOG_NEW_NAME, F_OK) == 0)
		return; /* it is this one that gets its name */
	ck_assert_int_eq(stat("root/" PATH_STATE_DIR "/" UPLOAD_LOG_NAME, &st), 0);
	UNIT_CHECK(fake_synced(st.st_ino) > 0 ||
		   (fake_syncfs() > 0 && written_at_syncfs == st.st_size && c.fsync_file == 0));
}

/*
 * One syncfs(2) is for the records of uploads, too; where it fails, or is none, they are synced,
 * and where they could not be written back, written anew.
 */
START_TEST(test_records)
{
	struct stat st;

	fs_type = _i == 2 ? 1 : EXT4;
	open_files(ROOT_EXCLUSIVE);
	make_log();
	claim_all();
	ck_assert_int_eq(stat("root/" PATH_STATE_DIR "/" UPLOAD_LOG_NAME, &st), 0);
	fake_watch("");
	fake_orders.bad_file = _i == 3 ? st.st_ino : 0;
	fake_orders.syncfs = _i == 1 ? EIO : 0;
	fake_orders.before_syncfs = look_at_log;
	fake_orders.before_link = records_are_durable;
	commit_first(FILES);
	all_ended(FTX_OK, true);
	counts_are(_i != 2, _i == 0 ? 0 : _i == 3 ? 1 : FILES + 1, _i == 3 ? 3 : 2);
	ck_assert_int_ge(written_at_syncfs, _i == 2 ? 0 : FILES * 64);
	release_all();
}
END_TEST

/* Few are synced one by one; and all where syncfs() is no good: it fails, or means less. */
START_TEST(test_one_by_one)
{
	int count = _i == 0 ? COMMIT_BATCH_MIN - 1 : FILES;

	fs_type = _i == 2 ? 1 : EXT4;
	open_files(0);
	fake_watch("");
	fake_orders.syncfs = _i == 1 ? EIO : 0;
	fake_orders.before_link = _i == 0 ? NULL : contents_are_durable;
	commit_first(count);
	for (int i = 0; i < count; i++) {
		ended(i, FTX_OK);
		there(i, true);
		ck_assert_int_gt(fake_synced(inodes[i]), 0);
	}
	counts_are(_i == 1, (unsigned)count, 2);
	for (int i = count; i < FILES; i++)
		stage_discard(&stages[i]);
}
END_TEST

/* What was not made durable gets no name, whichever call says so. */
START_TEST(test_content_that_cannot_be_synced)
{
	open_files(root_flags[_i]);
	fake_watch("");
	fake_orders.syncfs = EIO;
	fake_orders.fsync_file = ENOSPC;
	commit_first(FILES);
	all_ended(FTX_NO_SPACE, false);
	counts_are(1, FILES, fake_count().fsync_dir);
}
END_TEST

START_TEST(test_error_of_one_file)
{
	open_files(root_flags[_i % COUNT(root_flags)]);
	fake_watch("");
	fake_orders.bad_file = inodes[_i];
	commit_first(FILES);
	for (int i = 0; i < FILES; i++) {
		ended(i, i == _i ? FTX_IO : FTX_OK);
		there(i, i != _i);
	}
}
END_TEST

static ino_t bad_dir;

/* Fails from here on: all directories, but those that were synced before. */
static void
fail_next_directory(void)
{
	if (fake_count().fsync_dir == 1)
		fake_orders.fsync_dir = EIO;
}

/* It fails all that were published in it, and only those. */
START_TEST(test_directory_that_cannot_be_synced)
{
	bool daemons = (root_flags[_i] & ROOT_EXCLUSIVE) != 0;

	open_files(root_flags[_i]);
	fake_watch("");
	fake_orders.before_fsync = fail_next_directory;
	commit_first(FILES);
	bad_dir = inode_of("root/d");
	ck_assert_int_eq(fake_synced(bad_dir), 0);
	for (int i = 0; i < FILES; i++) {
		ended(i, i % 2 == 0 ? FTX_OK : daemons ? FTX_NOT_DURABLE : FTX_IO);
		there(i, true);
	}
	counts_are(1, 0, 2);
	/* A power cut may bring a stage's own name back. */
	ck_assert(root->left == ((root_flags[_i] & ROOT_NAMED_STAGE) != 0));
}
END_TEST

static void
cancel_the_rest(void)
{
	for (int i = 3; i < FILES; i++)
		atomic_store(&cancelled[i], true);
}

/* Looked at just before each name is given. */
START_TEST(test_cancelled)
{
	open_files(root_flags[_i]);
	atomic_store(&cancelled[1], true);
	fake_orders.before_link = cancel_the_rest;
	commit_first(FILES);
	for (int i = 0; i < FILES; i++) {
		ended(i, i == 1 || i >= 3 ? FTX_CANCELLED : FTX_OK);
		there(i, i != 1 && i < 3);
	}
}
END_TEST

START_TEST(test_name_that_has_appeared)
{
	open_files(root_flags[_i]);
	unit_write("root/f2", "other", 5);
	commit_first(FILES);
	for (int i = 0; i < FILES; i++)
		ended(i, i == 2 ? FTX_EXISTS : FTX_OK);
	unit_holds("root/f2", "other", 5);
}
END_TEST

/* Nothing was published: no directory need be synced. */
START_TEST(test_no_directory_for_nothing)
{
	open_files(0);
	fake_watch("");
	for (int i = 0; i < FILES; i++)
		atomic_store(&cancelled[i], true);
	commit_first(FILES);
	all_ended(FTX_CANCELLED, false);
	counts_are(1, 0, 0);
}
END_TEST

static uint64_t syncfs_takes;

static void
take_time(void)
{
	unit_clock_add(syncfs_takes);
}

static void
commit_again(unsigned syncfs)
{
	for (int i = 0; i < FILES; i++)
		ck_assert_int_eq(unlinkat(root->fd, names[i], 0), 0);
	for (int i = 0; i < FILES; i++)
		ck_assert_int_eq(stage_open(&stages[i], root, SPEC(root->flags, names[i])), FTX_OK);
	ck_assert(commit_may_join(root, commits[0].sound, 1) == (syncfs > 0));
	fake_watch("");
	commit_first(FILES);
	for (int i = 0; i < FILES; i++)
		ended(i, FTX_OK);
	counts_are(syncfs, syncfs > 0 ? 0 : FILES, 2);
}

/* Somebody else writes much: it is left alone for 50 times as long as it took. */
START_TEST(test_slow_file_system)
{
	(void)unit_clock_stop();
	open_files(0);
	fake_orders.before_syncfs = take_time;
	syncfs_takes = 300;
	commit_first(FILES);
	all_ended(FTX_OK, true);
	commit_again(0);
	unit_clock_add(50 * 300 - 1);
	commit_again(0);
	unit_clock_add(1);
	syncfs_takes = 100;
	commit_again(1);
	commit_again(1);
}
END_TEST

/* What waited was much, and took its time: that is nobody else's. */
START_TEST(test_much_is_not_slow)
{
	(void)unit_clock_stop();
	open_files(0);
	fake_orders.before_syncfs = take_time;
	atomic_store(&root->together, 16384 * 1000);
	syncfs_takes = _i == 0 ? 1200 : 1201;
	commit_first(FILES);
	commit_again(_i == 0 ? 1 : 0);
}
END_TEST

/* Content of large uploads waits to be written: it would be, too. */
START_TEST(test_much_is_unsynced)
{
	uint64_t much = (uint64_t)33 * 1024 * 1024;

	open_files(0);
	ck_assert(commit_may_join(root, commits[0].sound, COMMIT_SMALL_MAX));
	ck_assert(!commit_may_join(root, commits[0].sound, COMMIT_SMALL_MAX + 1));
	atomic_fetch_add(&root->unsynced, much);
	ck_assert(!commit_may_join(root, commits[0].sound, 1));
	fake_watch("");
	commit_first(FILES);
	all_ended(FTX_OK, true);
	counts_are(0, FILES, 2);
	ck_assert_uint_eq(atomic_load(&root->unsynced), much);
	atomic_fetch_sub(&root->unsynced, much);
}
END_TEST

START_TEST(test_unsound_may_not_join)
{
	fs_type = 1;
	open_files(0);
	ck_assert(!commit_may_join(root, commits[0].sound, 1));
	ck_assert_uint_gt(atomic_load(&root->unsynced), 0);
	for (int i = 0; i < FILES; i++)
		stage_discard(&stages[i]);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "commit");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_together, 0, COUNT(root_flags));
	tcase_add_loop_test(tc, test_records, 0, 4);
	tcase_add_loop_test(tc, test_one_by_one, 0, 3);
	tcase_add_loop_test(tc, test_content_that_cannot_be_synced, 0, COUNT(root_flags));
	tcase_add_loop_test(tc, test_error_of_one_file, 0, FILES);
	tcase_add_loop_test(tc, test_directory_that_cannot_be_synced, 0, COUNT(root_flags));
	tcase_add_loop_test(tc, test_cancelled, 0, COUNT(root_flags));
	tcase_add_loop_test(tc, test_name_that_has_appeared, 0, 3);
	tcase_add_test(tc, test_no_directory_for_nothing);
	tcase_add_test(tc, test_slow_file_system);
	tcase_add_loop_test(tc, test_much_is_not_slow, 0, 2);
	tcase_add_test(tc, test_much_is_unsynced);
	tcase_add_test(tc, test_unsound_may_not_join);
}

int
main(void)
{
	return unit_run("commit", add_cases);
}
