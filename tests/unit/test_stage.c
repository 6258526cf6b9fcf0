/* store/stage: a file is whole and durable under its name, or is not there at all. */
#include "unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "store/path.h"
#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

static struct root *root;
static unsigned flags; /* it has; a name for each follows, for what a failing test says */
static atomic_bool not_cancelled;

static const unsigned all_flags[] = { ROOT_NAMED_STAGE, ROOT_NO_RENAMEAT2, ROOT_NO_LINK_UNNAMED,
	TEST_REPLACE, TEST_THROUGH, ROOT_EXCLUSIVE };

/* Each combination of flags has its own empty directory, which is the working directory. */
static void
with_all_flags(void (*check)(void))
{
	unit_enter_dir();
	unit_log_keep();
	for (unsigned set = 0; set < 1U << COUNT(all_flags); set++) {
		char dir[16];
		int before = unit_descriptors();

		flags = 0;
		for (int i = 0; i < COUNT(all_flags); i++)
			flags |= (set >> i & 1) != 0 ? all_flags[i] : 0;
		snprintf(dir, sizeof(dir), "root%u", set);
		ck_assert_int_eq(mkdir(dir, 0755), 0);
		ck_assert_int_eq(root_open(&root, dir, flags, 0640), FTX_OK);
		ck_assert_int_eq(chdir(dir), 0);
		fake_orders = (struct fake_orders){ 0 };
		check();
		fake_orders = (struct fake_orders){ 0 };
		root_close(root);
		/* Whatever happened: no stage file, no mark, no descriptor is left. */
		ck_assert_msg(access(PATH_STATE_DIR, F_OK) != 0, "flags %#x: a mark", flags);
		ck_assert_msg(unit_descriptors() == before, "flags %#x: a descriptor", flags);
		ck_assert_int_eq(chdir(".."), 0);
	}
}

#define CHECK_FLAGS(cond) ck_assert_msg(cond, "flags %#x: %s", flags, #cond)

static void
rc_is(enum ftx_rc got, enum ftx_rc want, const char *what)
{
	ck_assert_msg(got == want, "flags %#x: %s: %s instead of %s", flags, what, ftx_rc_name(got),
	    ftx_rc_name(want));
}

/* How many names there are here but for the daemon's state directory. */
static int
names(void)
{
	return unit_names_in(".") - (access(PATH_STATE_DIR, F_OK) == 0);
}

static void
write_text(struct stage *s, const char *text)
{
	char copy[64];
	struct iovec iov = { copy, strlen(text) };

	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): content, not a string */
	memcpy(copy, text, strlen(text));
	rc_is(stage_write(s, &iov, 1, 0), FTX_OK, "write");
}

static void
open_with(struct stage *s, const char *name, const char *text)
{
	rc_is(stage_open(s, root, SPEC(flags, name)), FTX_OK, "open");
	write_text(s, text);
}

static enum ftx_rc
publish(struct stage *s)
{
	enum ftx_rc rc = stage_publish(s, &not_cancelled);

	/* Closed whatever happens. */
	CHECK_FLAGS(s->kind == STAGE_NONE && s->fd == -1 && s->dir_fd == -1);
	return rc;
}

static void
check_publish(void)
{
	struct stat st, dir;
	struct stage s;

	open_with(&s, "new", "content");
	CHECK_FLAGS(!s.replaces);
	CHECK_FLAGS(access("new", F_OK) != 0);
	fake_watch("new");
	rc_is(publish(&s), FTX_OK, "publish");
	unit_holds("new", "content", 7);
	CHECK_FLAGS(names() == 1);
	ck_assert_int_eq(stat("new", &st), 0);
	CHECK_FLAGS(st.st_nlink == 1 && S_ISREG(st.st_mode));
	/* In this order: the file is durable, has its name, the name is durable. */
	ck_assert_int_eq(stat(".", &dir), 0);
	CHECK_FLAGS(fake_synced(st.st_ino) > 0 && fake_synced(st.st_ino) < fake_named());
	CHECK_FLAGS(fake_named() < fake_synced(dir.st_ino));
}

START_TEST(test_publish)
{
	with_all_flags(check_publish);
}
END_TEST

static void
check_subdirectory(void)
{
	struct stage s;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(mkdir("d/e", 0755), 0);
	open_with(&s, "d/e/new", "content");
	CHECK_FLAGS(names() == 1);
	rc_is(publish(&s), FTX_OK, "publish");
	unit_holds("d/e/new", "content", 7);
	CHECK_FLAGS(names() == 1 && unit_names_in("d/e") == 1);
}

START_TEST(test_subdirectory)
{
	with_all_flags(check_subdirectory);
}
END_TEST

static const mode_t umasks[] = { 0, 022, 077, 0777 };

static void
check_modes(void)
{
	char name[16];

	for (int i = 0; i < COUNT(umasks); i++) {
		mode_t old = umask(umasks[i]);
		struct stage s;
		struct stat st;

		snprintf(name, sizeof(name), "new%d", i);
		rc_is(stage_open(&s, root, SPEC(flags, name)), FTX_OK, "open");
		/* Nobody else reads what is not published: it has no name, or is ours alone. */
		CHECK_FLAGS(fstat(s.fd, &st) == 0);
		if (st.st_nlink == 0) /* nothing is left to be changed later */
			CHECK_FLAGS((st.st_mode & 07777) == (0640 & ~umasks[i]));
		else
			CHECK_FLAGS((st.st_mode & 077) == 0);
		rc_is(publish(&s), FTX_OK, "publish");
		CHECK_FLAGS(stat(name, &st) == 0 && (st.st_mode & 07777) == 0640);
		umask(old);
	}
}

START_TEST(test_modes)
{
	with_all_flags(check_modes);
}
END_TEST

static void
check_existing(void)
{
	struct stage s;
	char old[8];
	int fd;

	unit_write("there", "theirs", 6);
	if ((flags & TEST_REPLACE) == 0) {
		rc_is(stage_open(&s, root, SPEC(flags, "there")), FTX_EXISTS, "open");
		CHECK_FLAGS(s.kind == STAGE_NONE && s.fd == -1 && s.dir_fd == -1);
		unit_holds("there", "theirs", 6);
		CHECK_FLAGS(names() == 1);
		return;
	}
	open_with(&s, "there", "mine");
	CHECK_FLAGS(s.replaces);
	/* Until the moment it is replaced the old one stands; who has it open keeps it. */
	unit_holds("there", "theirs", 6);
	fd = open("there", O_RDONLY);
	rc_is(publish(&s), FTX_OK, "publish");
	unit_holds("there", "mine", 4);
	CHECK_FLAGS(read(fd, old, sizeof(old)) == 6 && memcmp(old, "theirs", 6) == 0);
	close(fd);
	CHECK_FLAGS(names() == 1);
}

START_TEST(test_existing)
{
	with_all_flags(check_existing);
}
END_TEST

/* What appears under the name while the stage is being filled. */
static void
make_theirs(void)
{
	if (access("new", F_OK) != 0)
		unit_write("new", "theirs", 6);
}

static void
appears_at(bool in_last_moment)
{
	bool replace = (flags & TEST_REPLACE) != 0;
	struct stage s;

	open_with(&s, "new", "mine");
	if (in_last_moment)
		fake_orders.before_link = make_theirs;
	else
		make_theirs();
	rc_is(publish(&s), replace ? FTX_OK : FTX_EXISTS, "publish");
	unit_holds("new", replace ? "mine" : "theirs", replace ? 4 : 6);
	CHECK_FLAGS(names() == 1);
}

static void
check_appears(void)
{
	appears_at(false);
}

static void
check_appears_in_last_moment(void)
{
	appears_at(true);
}

START_TEST(test_appears_meanwhile)
{
	with_all_flags(check_appears);
	with_all_flags(check_appears_in_last_moment);
}
END_TEST

static void
check_other_appears(void)
{
	struct stat before, after;
	struct stage s;

	/* A directory is never replaced; nothing but a file is, when replacing is not wanted. */
	open_with(&s, "dir", "mine");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	unit_write("dir/in", "theirs", 6);
	CHECK_FLAGS(publish(&s) != FTX_OK);
	unit_holds("dir/in", "theirs", 6);
	CHECK_FLAGS(names() == 1);
	if ((flags & TEST_REPLACE) != 0)
		return;
	for (int i = 0; i < 3; i++) {
		static const char *const kinds[] = { "dangling", "link", "fifo" };

		open_with(&s, kinds[i], "mine");
		if (i < 2)
			ck_assert_int_eq(symlink(i == 0 ? "nowhere" : "dir/in", kinds[i]), 0);
		else
			ck_assert_int_eq(mkfifo(kinds[i], 0600), 0);
		ck_assert_int_eq(lstat(kinds[i], &before), 0);
		rc_is(publish(&s), FTX_EXISTS, kinds[i]);
		ck_assert_int_eq(lstat(kinds[i], &after), 0);
		CHECK_FLAGS(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
	}
	unit_holds("dir/in", "theirs", 6);
	CHECK_FLAGS(access("nowhere", F_OK) != 0 && names() == 4);
}

START_TEST(test_other_things_appear)
{
	with_all_flags(check_other_appears);
}
END_TEST

static void
check_two_of_one_name(void)
{
	bool replace = (flags & TEST_REPLACE) != 0;
	struct stage a, b;

	open_with(&a, "new", "first");
	open_with(&b, "new", "second");
	rc_is(publish(&a), FTX_OK, "the first");
	rc_is(publish(&b), replace ? FTX_OK : FTX_EXISTS, "the second");
	unit_holds("new", replace ? "second" : "first", replace ? 6 : 5);
	CHECK_FLAGS(names() == 1);
}

START_TEST(test_two_of_one_name)
{
	with_all_flags(check_two_of_one_name);
}
END_TEST

static atomic_bool cancelled_late;

static void
cancel_late(void)
{
	atomic_store(&cancelled_late, true);
}

static void
check_cancelled(void)
{
	struct stage s;

	open_with(&s, "new", "content");
	atomic_store(&cancelled_late, true);
	rc_is(stage_publish(&s, &cancelled_late), FTX_CANCELLED, "publish");
	CHECK_FLAGS(names() == 0);
	/* While the content is being made durable, which takes the longest: in time, too. */
	atomic_store(&cancelled_late, false);
	open_with(&s, "new", "content");
	fake_orders.before_fsync = cancel_late;
	rc_is(stage_publish(&s, &cancelled_late), FTX_CANCELLED, "publish");
	fake_orders.before_fsync = NULL;
	CHECK_FLAGS(names() == 0);
}

START_TEST(test_cancelled)
{
	with_all_flags(check_cancelled);
}
END_TEST

static void
check_discarded(void)
{
	struct stage s;

	stage_init(&s);
	stage_discard(&s);
	open_with(&s, "new", "content");
	CHECK_FLAGS(s.kind == STAGE_NAMED || names() == 0);
	stage_discard(&s);
	CHECK_FLAGS(s.kind == STAGE_NONE && names() == 0);
	stage_discard(&s);
	rc_is(stage_open(&s, root, SPEC(flags, "new")), FTX_OK, "open again");
	stage_discard(&s);
	CHECK_FLAGS(names() == 0);
}

START_TEST(test_discarded)
{
	with_all_flags(check_discarded);
}
END_TEST

/* EROFS: ext4 after an error. EINVAL: a directory that needs no such call; a file always does. */
static const struct {
	int err;
	enum ftx_rc content, dir;
} sync_errors[] = { { EIO, FTX_IO, FTX_IO }, { EROFS, FTX_IO, FTX_IO }, { EINVAL, FTX_IO, FTX_OK },
	{ ENOSPC, FTX_NO_SPACE, FTX_NO_SPACE }, { EDQUOT, FTX_NO_SPACE, FTX_NO_SPACE } };

static void
check_sync_error(int err, enum ftx_rc content_rc, enum ftx_rc dir_rc)
{
	struct stage s;

	/* The content is not: nothing is published, nothing stays. */
	open_with(&s, "new", "content");
	fake_orders.fsync_file = err;
	rc_is(publish(&s), content_rc, "publish");
	CHECK_FLAGS(names() == 0);
	fake_orders.fsync_file = 0;
	/* The name is not: it stands there whole, but nothing is promised. */
	open_with(&s, "new", "content");
	fake_orders.fsync_dir = err;
	if (dir_rc != FTX_OK && (flags & ROOT_EXCLUSIVE) != 0)
		dir_rc = FTX_NOT_DURABLE; /* who asks a daemon is to know that it has its name */
	rc_is(publish(&s), dir_rc, "publish");
	fake_orders.fsync_dir = 0;
	if (access("new", F_OK) == 0) {
		unit_holds("new", "content", 7);
		ck_assert_int_eq(unlink("new"), 0);
	}
	CHECK_FLAGS(names() == 0);
}

static void
check_not_durable(void)
{
	struct stage s;

	/* One that is, so that all that a root makes once is made. */
	open_with(&s, "first", "content");
	rc_is(publish(&s), FTX_OK, "publish");
	ck_assert_int_eq(unlink("first"), 0);
	for (int i = 0; i < COUNT(sync_errors); i++)
		check_sync_error(sync_errors[i].err, sync_errors[i].content, sync_errors[i].dir);
	root->left = false; /* that the mark stays is seen in test_stage_io */
}

START_TEST(test_not_durable)
{
	with_all_flags(check_not_durable);
}
END_TEST

/* 255 bytes are a legal name: a stage's is not made of it. */
static void
check_long_name(void)
{
	char name[257];
	struct stage s;

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	open_with(&s, name, "content");
	rc_is(publish(&s), FTX_OK, "publish");
	unit_holds(name, "content", 7);
	CHECK_FLAGS(names() == 1);
	name[255] = 'n';
	name[256] = '\0';
	rc_is(stage_open(&s, root, SPEC(flags, name)), FTX_BAD_NAME, "256 bytes");
}

START_TEST(test_long_name)
{
	with_all_flags(check_long_name);
}
END_TEST

static void
check_no_parent(void)
{
	struct stage s;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(symlink("d", "link"), 0);
	unit_write("file", "", 0);
	rc_is(stage_open(&s, root, SPEC(flags, "missing/new")), FTX_NO_PARENT, "missing");
	rc_is(stage_open(&s, root, SPEC(flags, "link/new")), FTX_NO_PARENT, "link");
	rc_is(stage_open(&s, root, SPEC(flags, "file/new")), FTX_NO_PARENT, "file");
	CHECK_FLAGS(names() == 3 && unit_names_in("d") == 0);
}

START_TEST(test_no_parent)
{
	with_all_flags(check_no_parent);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "publish");

	atomic_init(&not_cancelled, false);
	tcase_add_test(tc, test_publish);
	tcase_add_test(tc, test_subdirectory);
	tcase_add_test(tc, test_modes);
	tcase_add_test(tc, test_existing);
	tcase_add_test(tc, test_appears_meanwhile);
	tcase_add_test(tc, test_other_things_appear);
	tcase_add_test(tc, test_two_of_one_name);
	tcase_add_test(tc, test_cancelled);
	tcase_add_test(tc, test_discarded);
	tcase_add_test(tc, test_not_durable);
	tcase_add_test(tc, test_long_name);
	tcase_add_test(tc, test_no_parent);
}

int
main(void)
{
	return unit_run("stage", add_cases);
}
