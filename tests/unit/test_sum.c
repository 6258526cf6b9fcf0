/* store/sum: the digest of a file that is there, stored or read, and never of a mixture. */
#include "unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stored_digest.h"
#include "store/sum.h"

#define LARGE ((size_t)(SUM_STEP + SUM_STEP / 2 + 4711)) /* two steps */

static struct root *root;
static struct sum sum;
static struct meta meta;
static struct digest_value value;
static uint8_t *content;
static int descriptors;

static void
set_up(void)
{
	uint64_t seed = 5;

	unit_enter_dir();
	unit_log_keep();
	descriptors = unit_descriptors();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
	content = malloc(LARGE);
	ck_assert_ptr_nonnull(content);
	for (size_t i = 0; i < LARGE; i++)
		content[i] = (uint8_t)unit_random(&seed);
	sum_init(&sum);
}

static void
tear_down(void)
{
	sum_clear(&sum);
	sum_clear(&sum);
	free(content);
	root_close(root);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static enum ftx_rc
open_range(const char *name, enum digest_kind kind, uint64_t offset, uint64_t length)
{
	sum_clear(&sum);
	return sum_open(&sum, root, name, kind, false, offset, length, &meta, &value);
}

/* What is left of it. */
static enum ftx_rc
rest(void)
{
	bool again = true;
	enum ftx_rc rc = FTX_OK;

	while (rc == FTX_OK && again)
		rc = sum_step(&sum, &value, &again);
	return rc;
}

static void
is_value_of(enum digest_kind kind, const void *p, size_t len)
{
	struct digest_value want;

	ck_assert_int_eq(digest_of(kind, p, len, &want), FTX_OK);
	ck_assert(digest_equal(&value, &want));
}

static const uint64_t ranges[][2] = { { 0, UINT64_MAX }, { 0, LARGE }, { 0, 1 }, { 1, UINT64_MAX },
	{ SUM_STEP, 1 }, { SUM_STEP - 1, 2 }, { LARGE - 1, 10 }, { LARGE, 0 },
	{ LARGE, UINT64_MAX }, { 0, 0 }, { 0, SUM_STEP }, { 4095, SUM_STEP + 2 } };

START_TEST(test_ranges)
{
	uint64_t offset = ranges[_i][0], length = ranges[_i][1];
	size_t len = length < LARGE - offset ? (size_t)length : (size_t)(LARGE - offset);

	unit_write("root/file", content, LARGE);
	for (int kind = DIGEST_XXH128; kind < DIGEST_KINDS; kind++) {
		ck_assert_int_eq(
		    open_range("file", (enum digest_kind)kind, offset, length), FTX_OK);
		ck_assert_int_eq(value.kind, DIGEST_NONE);
		ck_assert_uint_eq(meta.size, LARGE);
		ck_assert_uint_gt(meta.version.len, 0);
		ck_assert_int_eq(rest(), FTX_OK);
		is_value_of((enum digest_kind)kind, content + offset, len);
	}
}
END_TEST

START_TEST(test_empty)
{
	unit_write("root/file", "", 0);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, UINT64_MAX), FTX_OK);
	ck_assert_int_eq(rest(), FTX_OK);
	is_value_of(DIGEST_XXH128, "", 0);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 1, 0), FTX_BAD_RANGE);
}
END_TEST

/* What is stored is believed, even if it is a lie, so that we see that nothing was read. */
START_TEST(test_stored)
{
	struct digest_value lie = { .kind = DIGEST_XXH128, .bytes = { 1, 2, 3 } };
	int fd;

	unit_write("root/file", "content", 7);
	fd = open("root/file", O_RDWR | O_CLOEXEC);
	if (!stored_digest_write(fd, &lie)) {
		close(fd);
		return; /* this file system keeps none */
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
		    open_range("file", DIGEST_XXH128, 0, i == 0 ? 7 : UINT64_MAX), FTX_OK);
		ck_assert(digest_equal(&value, &lie));
		ck_assert(digest_equal(&meta.digest, &lie));
	}
	/* Of another kind, or of a part, it says nothing. */
	ck_assert_int_eq(open_range("file", DIGEST_SHA256, 0, UINT64_MAX), FTX_OK);
	ck_assert_int_eq(value.kind, DIGEST_NONE);
	ck_assert_int_eq(rest(), FTX_OK);
	is_value_of(DIGEST_SHA256, "content", 7);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, 6), FTX_OK);
	ck_assert_int_eq(rest(), FTX_OK);
	is_value_of(DIGEST_XXH128, "content", 6);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 1, UINT64_MAX), FTX_OK);
	ck_assert_int_eq(value.kind, DIGEST_NONE);
	ck_assert_int_eq(pwrite(fd, "more", 4, 7), 4);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, UINT64_MAX), FTX_OK);
	ck_assert_int_eq(rest(), FTX_OK);
	is_value_of(DIGEST_XXH128, "contentmore", 11);
	close(fd);
}
END_TEST

/* Between two steps: whatever is done to it, and however little of it is asked for. */
START_TEST(test_changed)
{
	uint64_t length = _i % 2 == 0 ? UINT64_MAX : LARGE - 1;
	bool again;
	int fd;

	unit_write("root/file", content, LARGE);
	fd = open("root/file", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, length), FTX_OK);
	ck_assert_int_eq(sum_step(&sum, &value, &again), FTX_OK);
	ck_assert(again);
	switch (_i / 2) {
	case 0:
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
		break;
	case 1:
		ck_assert_int_eq(ftruncate(fd, SUM_STEP + 1), 0);
		break;
	default:
		ck_assert_int_eq(pwrite(fd, "x", 1, LARGE), 1);
	}
	ck_assert_int_eq(rest(), FTX_CHANGED);
	close(fd);
}
END_TEST

/* The file that was opened is the one that is read. */
START_TEST(test_replaced)
{
	bool again;

	unit_write("root/file", content, LARGE);
	unit_write("root/other", "other", 5);
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, UINT64_MAX), FTX_OK);
	ck_assert_int_eq(sum_step(&sum, &value, &again), FTX_OK);
	ck_assert_int_eq(rename("root/other", "root/file"), 0);
	ck_assert_int_eq(rest(), FTX_OK);
	is_value_of(DIGEST_XXH128, content, LARGE);
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *name;
		enum ftx_rc rc;
	} cases[] = { { "none", FTX_NOT_FOUND }, { "none/none", FTX_NOT_FOUND },
		{ "dir", FTX_IS_DIRECTORY }, { "fifo", FTX_NOT_REGULAR },
		{ "link", FTX_NOT_REGULAR }, { "out/file", FTX_NOT_FOUND } };

	unit_write("root/file", "content", 7);
	ck_assert_int_eq(mkdir("root/dir", 0755), 0);
	ck_assert_int_eq(mkfifo("root/fifo", 0600), 0);
	ck_assert_int_eq(symlink("file", "root/link"), 0);
	ck_assert_int_eq(symlink("../root", "root/out"), 0);
	for (int i = 0; i < COUNT(cases); i++)
		ck_assert_int_eq(
		    open_range(cases[i].name, DIGEST_XXH128, 0, UINT64_MAX), cases[i].rc);
	ck_assert_int_eq(open_range("file", DIGEST_KINDS, 0, UINT64_MAX), FTX_UNSUPPORTED);
	ck_assert_int_eq(chmod("root/file", 0), 0);
	unit_drop_root();
	ck_assert_int_eq(open_range("file", DIGEST_XXH128, 0, UINT64_MAX), FTX_ACCESS);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "sum");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_ranges, 0, COUNT(ranges));
	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_stored);
	tcase_add_loop_test(tc, test_changed, 0, 6);
	tcase_add_test(tc, test_replaced);
	tcase_add_test(tc, test_refused);
}

int
main(void)
{
	return unit_run("sum", add_cases);
}
