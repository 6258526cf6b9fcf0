/* store/stage_part: what is found again by the name that it shall have. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "store/path.h"
#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/unit.h"

#define PART PATH_STAGE_PREFIX "part-"

static struct root *root;
static atomic_bool not_cancelled;

static void
set_up(void)
{
	unit_enter_dir();
	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(root_open(&root, ".", 0, 0640), FTX_OK);
}

static void
tear_down(void)
{
	root_close(root);
}

static enum ftx_rc
open_as(struct stage *s, const char *name, enum put_keep keep, uint64_t *have)
{
	const struct put_spec spec = { .name = name, .policy = PUT_REPLACE, .keep = keep };

	return stage_open_kept(s, root, &spec, NULL, have);
}

static void
write_text(struct stage *s, const char *text, uint64_t offset)
{
	char copy[64];
	struct iovec iov = { copy, strlen(text) };

	snprintf(copy, sizeof(copy), "%s", text);
	ck_assert_int_eq(stage_write(s, &iov, 1, offset), FTX_OK);
}

/* Its name in the directory, after it was left there. */
static void
leave(const char *name, const char *text, char part[64])
{
	struct stage s;
	uint64_t have;

	ck_assert_int_eq(open_as(&s, name, PUT_KEEP, &have), FTX_OK);
	ck_assert(s.part);
	ck_assert_uint_eq(have, 0);
	ck_assert_int_eq(strncmp(s.temp, PART, strlen(PART)), 0);
	snprintf(part, 64, "%s", s.temp);
	write_text(&s, text, 0);
	stage_park(&s);
}

/* There is one, and it is nobody's to go on with: a file is made without it. */
static void
expect_passed_by(const char *name)
{
	struct stage s;
	uint64_t have;

	ck_assert_int_eq(open_as(&s, name, PUT_KEEP_FOUND, &have), FTX_NOT_FOUND);
	ck_assert_int_eq(open_as(&s, name, PUT_KEEP, &have), FTX_OK);
	ck_assert(!s.part);
	ck_assert_uint_eq(have, 0);
	stage_discard(&s);
}

START_TEST(test_found_again)
{
	char part[64];
	struct stage s;
	uint64_t have;

	ck_assert_int_eq(open_as(&s, "d/new", PUT_KEEP_FOUND, &have), FTX_NOT_FOUND);
	ck_assert_int_eq(unit_names_in("d"), 0);
	leave("d/new", "half", part);
	ck_assert_int_eq(open_as(&s, "d/other", PUT_KEEP_FOUND, &have), FTX_NOT_FOUND);
	ck_assert_int_eq(open_as(&s, "d/new", PUT_KEEP_FOUND, &have), FTX_OK);
	ck_assert_uint_eq(have, 4);
	write_text(&s, " and half", 4);
	ck_assert_int_eq(stage_publish(&s, &not_cancelled), FTX_OK);
	unit_holds("d/new", "half and half", 13);
	ck_assert_int_eq(unit_names_in("d"), 1);
}
END_TEST

START_TEST(test_discarded)
{
	char part[64];
	struct stage s;
	uint64_t have;

	leave("new", "half", part);
	ck_assert_int_eq(open_as(&s, "new", PUT_KEEP, &have), FTX_OK);
	ck_assert_uint_eq(have, 4);
	stage_discard(&s);
	ck_assert_int_ne(access(part, F_OK), 0);
}
END_TEST

/* Two at a time: the second one does without. Who has published it has it no more. */
START_TEST(test_taken)
{
	struct stage first, second;
	char part[64];
	uint64_t have;

	leave("new", "half", part);
	ck_assert_int_eq(open_as(&first, "new", PUT_KEEP, &have), FTX_OK);
	expect_passed_by("new");
	ck_assert_int_eq(stage_publish(&first, &not_cancelled), FTX_OK);
	ck_assert_int_eq(open_as(&second, "new", PUT_KEEP, &have), FTX_OK);
	ck_assert(second.part);
	ck_assert_uint_eq(have, 0);
	stage_discard(&second);
	unit_holds("new", "half", 4);
}
END_TEST

/* Somebody else may write to it, or it is no file: it is not gone on with, and stays as it is. */
START_TEST(test_not_ours)
{
	char part[64];

	leave("new", "half", part);
	switch (_i) {
	case 0:
		ck_assert_int_eq(chmod(part, 0620), 0);
		break;
	case 1:
		ck_assert_int_eq(link(part, "again"), 0);
		break;
	case 2:
		ck_assert_int_eq(unlink(part), 0);
		unit_write("other", "other", 5);
		ck_assert_int_eq(symlink("other", part), 0);
		break;
	case 3:
		ck_assert_int_eq(unlink(part), 0);
		ck_assert_int_eq(mkfifo(part, 0600), 0);
		break;
	default:
		if (geteuid() != 0)
			return;
		ck_assert_int_eq(chown(part, 1, (gid_t)-1), 0);
		break;
	}
	expect_passed_by("new");
	ck_assert_int_eq(access(part, F_OK), 0);
}
END_TEST

static void
make_old(const char *part, time_t seconds)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = time(NULL) - seconds } };

	ck_assert_int_eq(utimensat(AT_FDCWD, part, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* What nobody came back for goes with the next one of its directory. */
START_TEST(test_old_ones)
{
	char old[64], fresh[64], held[64], other[64];
	struct stage s, next;
	uint64_t have;

	leave("old", "old", old);
	leave("fresh", "fresh", fresh);
	leave("held", "held", held);
	unit_write(PATH_STAGE_PREFIX "other", "x", 1);
	make_old(PATH_STAGE_PREFIX "other", 10 * 86400L);
	make_old(old, 8 * 86400L);
	make_old(fresh, 6 * 86400L);
	ck_assert_int_eq(open_as(&s, "held", PUT_KEEP_FOUND, &have), FTX_OK);
	make_old(held, 8 * 86400L);
	leave("d/elsewhere", "x", other); /* another directory is nothing to this one */
	ck_assert_int_eq(access(old, F_OK), 0);
	ck_assert_int_eq(open_as(&next, "new", PUT_KEEP, &have), FTX_OK);
	ck_assert_int_ne(access(old, F_OK), 0);
	ck_assert_int_eq(access(fresh, F_OK), 0);
	ck_assert_int_eq(access(held, F_OK), 0);
	ck_assert_int_eq(access(PATH_STAGE_PREFIX "other", F_OK), 0);
	stage_discard(&next);
	stage_discard(&s);
}
END_TEST

/* A device is written to as it stands, and looking for what is kept opens none. */
START_TEST(test_through)
{
	const struct put_spec spec = {
		.name = "fifo", .policy = PUT_REPLACE, .through = true, .keep = PUT_KEEP_FOUND
	};
	struct stage s;
	uint64_t have;

	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(stage_open_kept(&s, root, &spec, NULL, &have), FTX_NOT_FOUND);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "part");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_found_again);
	tcase_add_test(tc, test_discarded);
	tcase_add_test(tc, test_taken);
	tcase_add_loop_test(tc, test_not_ours, 0, 5);
	tcase_add_test(tc, test_old_ones);
	tcase_add_test(tc, test_through);
}

int
main(void)
{
	return unit_run("stage_part", add_cases);
}
