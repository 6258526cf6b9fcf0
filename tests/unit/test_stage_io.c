/* store/stage: what is written, and what stands in its place: devices, FIFOs, links. */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/chunk.h"
#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

#define LARGE ((uint64_t)1 << 30)
#define BIG   ((size_t)1024 * 1024 + 4711)

static struct root *root;
static struct stage stage;
static atomic_bool not_cancelled;
static char *content; /* BIG random bytes, with a hole in the middle */

static void
set_up(void)
{
	uint64_t seed = 99;

	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	content = malloc(BIG);
	ck_assert_ptr_nonnull(content);
	for (size_t i = 0; i < BIG; i++)
		content[i] = (char)(i / 65536 % 4 == 2 ? 0 : unit_random(&seed));
}

static void
tear_down(void)
{
	root_close(root);
	free(content);
}

static void
open_root(unsigned flags)
{
	ck_assert_int_eq(root_open(&root, "root", flags, 0640), FTX_OK);
}

static enum ftx_rc
publish(void)
{
	return stage_publish(&stage, &not_cancelled);
}

static enum ftx_rc
write_at(const char *p, size_t len, uint64_t offset)
{
	struct iovec iov = { NULL, len };
	char *copy = malloc(len);
	enum ftx_rc rc;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, len);
	iov.iov_base = copy;
	rc = stage_write(&stage, &iov, 1, offset);
	free(copy);
	return rc;
}

/* Vectors of uneven pieces, among them empty ones, cut wherever the system likes. */
static const size_t io_sizes[] = { 0, 1, 7, 4096, 100000 };

START_TEST(test_vectors_are_written_whole)
{
	static const size_t pieces[] = { 1, 0, 255, 4096, 3, 0, 5000, 1 };
	struct iovec iov[COUNT(pieces)];
	size_t len = io_sizes[_i] == 1 ? 20000 : BIG, offset = 0;

	fake_orders.io_max = io_sizes[_i];
	fake_orders.io_interrupted = true;
	open_root(0);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	while (offset < len) {
		size_t at = offset;
		int n;

		for (n = 0; n < COUNT(pieces); n++) {
			size_t piece = pieces[n] < len - at ? pieces[n] : len - at;

			iov[n] = (struct iovec){ content + at, piece };
			at += piece;
		}
		UNIT_CHECK(stage_write(&stage, iov, n, offset) == FTX_OK);
		offset = at;
	}
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/new", content, len);
}
END_TEST

START_TEST(test_a_failing_write_says_why)
{
	static const struct {
		int err;
		enum ftx_rc rc;
	} cases[] = { { ENOSPC, FTX_NO_SPACE }, { EDQUOT, FTX_NO_SPACE }, { EIO, FTX_IO },
		{ EFBIG, FTX_TOO_LARGE } };

	open_root(ROOT_NAMED_STAGE);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	for (int i = 0; i < COUNT(cases); i++) {
		fake_orders.write = cases[i].err;
		ck_assert_int_eq(write_at("x", 1, 0), cases[i].rc);
	}
	stage_discard(&stage);
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

START_TEST(test_offsets)
{
	open_root(0);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert_int_eq(write_at("cd", 2, 2), FTX_OK);
	ck_assert_int_eq(write_at("ab", 2, 0), FTX_OK);
	ck_assert_int_eq(write_at("C", 1, 2), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/new", "abCd", 4);
}
END_TEST

/* Past the page cache, and the last bytes through it; and where the file system does not do so. */
static const struct {
	bool no_direct;
	size_t io_max;
	unsigned flags;
} direct_cases[] = { { false, 0, 0 }, { true, 0, 0 }, { false, 5000, 0 },
	{ false, 0, ROOT_NO_LINK_UNNAMED }, { true, 0, ROOT_NAMED_STAGE } };

START_TEST(test_direct)
{
	size_t len = _i == 3 ? BIG / CHUNK_ALIGN * CHUNK_ALIGN : BIG;
	char *copy = aligned_alloc(CHUNK_ALIGN, (BIG / CHUNK_ALIGN + 1) * CHUNK_ALIGN);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, content, BIG);
	fake_orders.no_direct = direct_cases[_i].no_direct;
	fake_orders.io_max = direct_cases[_i].io_max;
	open_root(direct_cases[_i].flags);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	if (!stage_prefer_direct(&stage, LARGE)) {
		ck_assert(stage.in_memory); /* or the file system has no such thing */
		stage_discard(&stage);
		free(copy);
		return;
	}
	for (size_t at = 0; at < len; at += 64 * CHUNK_ALIGN) {
		size_t piece = len - at < 64 * CHUNK_ALIGN ? len - at : 64 * CHUNK_ALIGN;
		struct iovec iov = { copy + at, piece };

		ck_assert(stage.direct || _i == 1 || _i == 2 || _i == 4);
		ck_assert_int_eq(stage_write(&stage, &iov, 1, at), FTX_OK);
	}
	ck_assert(stage.direct == (_i == 3)); /* which has no odd bytes at its end */
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/new", content, len);
	free(copy);
}
END_TEST

/* Small files, a client's, and what is no file. */
START_TEST(test_not_direct)
{
	open_root(_i == 1 ? ROOT_MAY_WAIT : _i == 2 ? TEST_THROUGH : 0);
	if (_i == 2)
		ck_assert_int_eq(mkfifo("root/new", 0600), 0);
	if (_i == 2)
		ck_assert_int_ge(open("root/new", O_RDWR), 0);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert(!stage_prefer_direct(&stage, _i == 0 ? 1024 * 1024 : LARGE));
	ck_assert(!stage.direct);
	stage_discard(&stage);
}
END_TEST

/*
 * Where an unnamed file cannot be named: its content is copied once; from then on the file system
 * is known.
 */
static const unsigned fallback_flags[] = { ROOT_NO_LINK_UNNAMED,
	ROOT_NO_LINK_UNNAMED | ROOT_NO_RENAMEAT2, ROOT_NO_LINK_UNNAMED | TEST_REPLACE };

START_TEST(test_fallback_copies)
{
	open_root(fallback_flags[_i]);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "first")), FTX_OK);
	if (stage.kind != STAGE_UNNAMED)
		return; /* this file system has none anyway */
	ck_assert_int_eq(write_at(content, BIG, 0), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/first", content, BIG);
	ck_assert_int_eq(unit_names_in("root"), 1);
	ck_assert_int_eq(unit_log_count("cannot name an unnamed file"), 1);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "second")), FTX_OK);
	ck_assert_int_eq(stage.kind, STAGE_NAMED);
	ck_assert_int_eq(publish(), FTX_OK);
	ck_assert_int_eq(unit_log_count("cannot name an unnamed file"), 1);
	ck_assert_int_eq(unit_names_in("root"), 2);
}
END_TEST

START_TEST(test_fallback_of_nothing)
{
	open_root(ROOT_NO_LINK_UNNAMED);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "empty")), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/empty", "", 0);
}
END_TEST

/* link(2) fails for another reason: that is the answer, and nothing stays. */
START_TEST(test_link_fails)
{
	static const struct {
		int err;
		enum ftx_rc rc;
	} cases[] = { { EIO, FTX_IO }, { ENOSPC, FTX_NO_SPACE }, { EACCES, FTX_ACCESS },
		{ EDQUOT, FTX_NO_SPACE } };

	open_root(_i == 0 ? 0 : ROOT_NAMED_STAGE | ROOT_NO_RENAMEAT2);
	for (int i = 0; i < COUNT(cases); i++) {
		fake_orders.link = cases[i].err;
		ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
		ck_assert_int_eq(publish(), cases[i].rc);
		ck_assert_int_eq(unit_names_in("root"), 0);
	}
	fake_orders.link = 0;
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
}
END_TEST

START_TEST(test_rename_fails)
{
	/* The stage was linked or named; the last step goes wrong. */
	open_root(_i == 0   ? ROOT_NAMED_STAGE
		  : _i == 1 ? TEST_REPLACE
			    : TEST_REPLACE | ROOT_NAMED_STAGE);
	unit_write(_i == 0 ? "root/other" : "root/new", "old", 3);
	fake_orders.rename = EIO;
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert_int_eq(publish(), FTX_IO);
	ck_assert_int_eq(unit_names_in("root"), 1);
}
END_TEST

/* No RENAME_NOREPLACE here, as on some network file systems: link(2) serves. */
START_TEST(test_no_renameat2)
{
	static const int errs[] = { EINVAL, ENOSYS, EOPNOTSUPP };

	open_root(ROOT_NAMED_STAGE);
	for (int i = 0; i < COUNT(errs); i++) {
		fake_orders.rename = errs[i];
		ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
		ck_assert_int_eq(write_at("x", 1, 0), FTX_OK);
		ck_assert_int_eq(publish(), FTX_OK);
		unit_holds("root/new", "x", 1);
		ck_assert_int_eq(unit_names_in("root"), 1);
		ck_assert_int_eq(unlink("root/new"), 0);
	}
}
END_TEST

/* What is no regular file. */
static const unsigned not_through[] = { 0, TEST_REPLACE, ROOT_NAMED_STAGE };

static void
make_others(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "root/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	ck_assert_int_eq(mkdir("root/dir", 0755), 0);
	ck_assert_int_eq(mkfifo("root/fifo", 0600), 0);
	unit_write("root/file", "theirs", 6);
	ck_assert_int_eq(symlink("file", "root/to_file"), 0);
	ck_assert_int_eq(symlink("dir", "root/to_dir"), 0);
	ck_assert_int_eq(symlink("fifo", "root/to_fifo"), 0);
	ck_assert_int_eq(symlink("nowhere", "root/dangling"), 0);
}

START_TEST(test_not_regular)
{
	static const char *const kinds[] = { "socket", "dir", "fifo", "to_file", "to_dir",
		"to_fifo", "dangling" };

	make_others();
	open_root(not_through[_i]);
	for (int i = 0; i < COUNT(kinds); i++) {
		enum ftx_rc rc = stage_open(&stage, root, SPEC(root->flags, kinds[i]));

		ck_assert_msg(rc == FTX_NOT_REGULAR, "%s: %s", kinds[i], ftx_rc_name(rc));
	}
	ck_assert_int_eq(unit_names_in("root"), 8);
	unit_holds("root/file", "theirs", 6);
}
END_TEST

START_TEST(test_through_refuses)
{
	static const char *const kinds[] = { "dir", "to_file", "to_dir", "dangling" };

	make_others();
	open_root(TEST_THROUGH | (_i == 0 ? 0 : TEST_REPLACE));
	for (int i = 0; i < COUNT(kinds); i++)
		ck_assert_int_ne(stage_open(&stage, root, SPEC(root->flags, kinds[i])), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 8);
	unit_holds("root/file", "theirs", 6);
	ck_assert(access("root/nowhere", F_OK) != 0);
}
END_TEST

START_TEST(test_through_fifo)
{
	const char *name = _i == 0 ? "fifo" : "to_fifo";
	struct stat st;
	char got[16];
	int fd;

	make_others();
	ck_assert_int_eq(chmod("root/fifo", 0622), 0);
	open_root(TEST_THROUGH | TEST_REPLACE);
	fd = open("root/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, name)), FTX_OK);
	ck_assert_int_eq(stage.kind, STAGE_THROUGH);
	ck_assert(!stage.replaces);
	/* In order, whatever the offset says: it cannot seek. */
	ck_assert_int_eq(write_at("abc", 3, 0), FTX_OK);
	ck_assert_int_eq(write_at("def", 3, 3), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
	ck_assert_int_eq(read(fd, got, sizeof(got)), 6);
	ck_assert_mem_eq(got, "abcdef", 6);
	ck_assert_int_eq(read(fd, got, sizeof(got)), 0);
	close(fd);
	/* It is as it was. */
	ck_assert_int_eq(stat("root/fifo", &st), 0);
	ck_assert(S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0622);
	ck_assert_int_eq(unit_names_in("root"), 8);
}
END_TEST

/*
 * A device: a terminal of our own, so that code that is wrong can do no harm to one that is
 * everybody's.
 */
START_TEST(test_through_device)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct stat before, after;
	const char *name;
	char got[8];

	if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
		return; /* there are none here */
	name = ptsname(terminal);
	ck_assert_int_eq(stat(name, &before), 0);
	ck_assert_int_eq(root_open(&root, "/dev/pts", TEST_THROUGH | TEST_REPLACE, 0600), FTX_OK);
	ck_assert_int_eq(
	    stage_open(&stage, root, SPEC(root->flags, strrchr(name, '/') + 1)), FTX_OK);
	ck_assert_int_eq(stage.kind, STAGE_THROUGH);
	ck_assert_int_eq(write_at("content", 7, 0), FTX_OK);
	ck_assert_int_eq(publish(), FTX_OK);
	ck_assert_int_eq(read(terminal, got, sizeof(got)), 7);
	ck_assert_mem_eq(got, "content", 7);
	ck_assert_int_eq(
	    stage_open(&stage, root, SPEC(root->flags, strrchr(name, '/') + 1)), FTX_OK);
	stage_discard(&stage);
	ck_assert_int_eq(stat(name, &after), 0);
	ck_assert_uint_eq(before.st_mode, after.st_mode);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	close(terminal);
}
END_TEST

START_TEST(test_through_full_device)
{
	unit_drop_root(); /* for the same reason */
	ck_assert_int_eq(root_open(&root, "/dev", TEST_THROUGH | TEST_REPLACE, 0640), FTX_OK);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "full")), FTX_OK);
	ck_assert_int_eq(write_at("x", 1, 0), FTX_NO_SPACE);
	stage_discard(&stage);
}
END_TEST

START_TEST(test_through_takes_files_as_ever)
{
	unit_write("root/old", "theirs", 6);
	open_root(TEST_THROUGH);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "old")), FTX_EXISTS);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert_int_ne(stage.kind, STAGE_THROUGH);
	ck_assert_int_eq(publish(), FTX_OK);
	unit_holds("root/new", "", 0);
}
END_TEST

START_TEST(test_no_permission)
{
	ck_assert_int_eq(chmod("root", 0555), 0);
	open_root(_i == 0 ? 0 : ROOT_NAMED_STAGE);
	unit_drop_root();
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_ACCESS);
	ck_assert_int_eq(stage.kind, STAGE_NONE);
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

/*
 * A stage whose removal is not durable may come back after a power cut: what it is found by must
 * stay, and only then.
 */
static const unsigned mark_flags[] = { ROOT_NAMED_STAGE, ROOT_NAMED_STAGE | ROOT_NO_RENAMEAT2 };

START_TEST(test_mark_stays_with_a_stage_that_may_come_back)
{
	bool publishes = (_i & 1) != 0, fails = (_i & 2) != 0;

	open_root(ROOT_EXCLUSIVE | mark_flags[_i / 4]);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	fake_orders.fsync_dir = fails ? EIO : 0;
	if (publishes)
		ck_assert_int_eq(publish(), fails ? FTX_NOT_DURABLE : FTX_OK);
	else
		stage_discard(&stage);
	fake_orders.fsync_dir = 0;
	root_close(root);
	ck_assert_int_eq(unit_names_in("root"), publishes + fails);
	open_root(ROOT_EXCLUSIVE);
	ck_assert_int_eq(root_needs_sweep(root), fails);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "write");

	atomic_init(&not_cancelled, false);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_vectors_are_written_whole, 0, COUNT(io_sizes));
	tcase_add_test(tc, test_a_failing_write_says_why);
	tcase_add_test(tc, test_offsets);
	tcase_add_loop_test(tc, test_direct, 0, COUNT(direct_cases));
	tcase_add_loop_test(tc, test_not_direct, 0, 3);
	tc = unit_case(s, "fallback");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_fallback_copies, 0, COUNT(fallback_flags));
	tcase_add_test(tc, test_fallback_of_nothing);
	tcase_add_loop_test(tc, test_link_fails, 0, 2);
	tcase_add_loop_test(tc, test_rename_fails, 0, 3);
	tcase_add_test(tc, test_no_renameat2);
	tc = unit_case(s, "others");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_not_regular, 0, COUNT(not_through));
	tcase_add_loop_test(tc, test_through_refuses, 0, 2);
	tcase_add_loop_test(tc, test_through_fifo, 0, 2);
	tcase_add_test(tc, test_through_device);
	tcase_add_test(tc, test_through_full_device);
	tcase_add_test(tc, test_through_takes_files_as_ever);
	tcase_add_loop_test(tc, test_no_permission, 0, 2);
	tcase_add_loop_test(
	    tc, test_mark_stays_with_a_stage_that_may_come_back, 0, 4 * COUNT(mark_flags));
}

int
main(void)
{
	return unit_run("stage_io", add_cases);
}
