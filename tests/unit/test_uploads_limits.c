/* store/uploads: how long what is kept is kept, and what must go first. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/fake_sys.h"
#include "unit/test_uploads.h"

static void
leave_parked(unsigned number, uint64_t bytes, dev_t dev)
{
	const struct stat st = { .st_size = (off_t)bytes, .st_dev = dev };
	struct upload_claim *c;

	leave_unfinished(number);
	c = claim(number);
	uploads_parked(c, &st);
	uploads_release(c);
}

START_TEST(test_time)
{
	struct upload_record r;
	uint64_t used;

	uploads_set_limits(uploads, 100, UINT64_MAX);
	leave_unfinished(1);
	publish_until(2, 2);
	(void)known_as(1, &r);
	used = r.used;
	uploads_expire(uploads, used - 1000); /* a clock that was set back */
	uploads_expire(uploads, used + 99);
	ck_assert(is_known(1) && uploads_count(uploads) == 2);
	uploads_expire(uploads, used + 200);
	ck_assert(!is_known(1) && !is_there(in_root(stage_of(1))));
	ck_assert_uint_eq(uploads_count(uploads), 0);
	unit_holds("root/file2", "whole", 5); /* only what is known of it goes */
	restart();
	ck_assert_uint_eq(uploads_count(uploads), 0);
}
END_TEST

/* The oldest go first: by when somebody last worked on them. What is published counts nothing. */
START_TEST(test_bytes)
{
	struct upload_claim *c;

	publish_until(9, 2);
	for (unsigned i = 1; i <= 5; i++)
		leave_parked(i, SIZE, 8);
	uploads_release(claim(1)); /* now that is the newest */
	uploads_set_limits(uploads, UINT64_MAX, 2 * SIZE);
	c = claim(3); /* somebody works on it */
	uploads_expire(uploads, NOW);
	ck_assert(!is_known(2) && !is_known(4));
	ck_assert(is_known(1) && is_known(3) && is_known(5));
	ck_assert(!is_there(in_root(stage_of(2))) && is_there(in_root(stage_of(3))));
	uploads_set_limits(uploads, UINT64_MAX, 0);
	uploads_expire(uploads, NOW);
	ck_assert(is_known(3) && !is_known(1) && !is_known(5));
	uploads_release(c);
	ck_assert_uint_eq(uploads_count(uploads), 2);
	restart(); /* it has no limits again */
	ck_assert(is_known(3));
	ck_assert_uint_eq(uploads_count(uploads), 2);
}
END_TEST

/* What is too much by itself goes, and nothing on its account; sums have no end. */
START_TEST(test_too_much_by_itself)
{
	leave_parked(1, 2 * SIZE, 8);
	for (unsigned i = 2; i <= 4; i++)
		leave_parked(i, INT64_MAX, 8);
	leave_parked(5, SIZE, 8);
	leave_parked(6, 0, 8);
	uploads_set_limits(uploads, UINT64_MAX, 3 * SIZE);
	uploads_expire(uploads, NOW);
	ck_assert(is_known(1) && is_known(5) && is_known(6));
	ck_assert(!is_known(2) && !is_known(3) && !is_known(4));
	uploads_set_limits(uploads, UINT64_MAX, 3 * SIZE - 1);
	uploads_expire(uploads, NOW);
	ck_assert(!is_known(1) && is_known(5) && is_known(6));
	/* These are more than 64 bits. */
	uploads_set_limits(uploads, UINT64_MAX, INT64_MAX);
	leave_parked(2, INT64_MAX, 8);
	leave_parked(3, INT64_MAX, 8);
	uploads_expire(uploads, NOW);
	ck_assert(!is_known(5) && !is_known(2) && is_known(3));
}
END_TEST

static bool
make_room(uint64_t share, uint64_t bytes, dev_t dev)
{
	const struct space_lack lack = { .share = share, .bytes = bytes, .dev = dev };

	return uploads_make_room(uploads, &lack);
}

/* All of it, or nothing: who cannot be helped takes nothing away. */
START_TEST(test_makes_room)
{
	struct upload_claim *c;

	publish_until(9, 2);
	for (unsigned i = 1; i <= 5; i++)
		leave_parked(i, SIZE, i == 2 ? 7 : 8);
	c = claim(1);
	ck_assert(!make_room(4 * SIZE + 1, 0, 8) && !make_room(INT64_MAX, 1, 8));
	ck_assert(!make_room(0, 3 * SIZE + 1, 8) && !make_room(0, 1, 9));
	ck_assert_uint_eq(uploads_count(uploads), 6);
	ck_assert(make_room(0, SIZE + 1, 8));
	ck_assert(is_known(1) && is_known(2) && !is_known(3) && !is_known(4) && is_known(5));
	ck_assert(make_room(2 * SIZE, 0, 8));
	ck_assert(is_known(1) && !is_known(2) && !is_known(5));
	ck_assert(!make_room(1, 0, 8));
	ck_assert_int_eq(unit_names_in("root"), 3); /* file9, a stage, the state directory */
	uploads_release(c);
}
END_TEST

/*
 * Of an earlier run: one that goes is gone for good before the mark is, by which it would be found.
 * _i: 1 it cannot be removed, 2 not for good.
 */
START_TEST(test_earlier_one_goes)
{
	struct stat st;

	leave_unfinished(1);
	restart();
	ck_assert(is_there("root/.ftxferd/" ROOT_STATE_MARK));
	ck_assert(!root_needs_sweep(root));
	uploads_set_limits(uploads, 1, UINT64_MAX);
	fake_orders.unlink = _i == 1 ? EIO : 0;
	fake_orders.fsync_dir = _i == 2 ? EIO : 0;
	fake_watch(stage_of(1));
	uploads_expire(uploads, NOW * 2);
	ck_assert_int_eq(stat("root", &st), 0);
	ck_assert(!is_known(1) && is_there(in_root(stage_of(1))) == (_i == 1));
	if (_i == 0)
		ck_assert_int_lt(fake_named(), fake_synced(st.st_ino));
	memset(&fake_orders, 0, sizeof(fake_orders));
	ck_assert_int_eq(unit_log_count("cannot remove stage file"), _i == 1 ? 1 : 0);
	restart();
	ck_assert(!is_known(1) && root_needs_sweep(root) == (_i != 0));
}
END_TEST

/* Nor if its directory is not to be reached. */
START_TEST(test_directory_is_gone)
{
	leave_unfinished(1);
	restart();
	uploads_set_limits(uploads, 1, UINT64_MAX);
	uploads_remove_stage(root, "no/such", stage_of(1));
	restart();
	ck_assert(root_needs_sweep(root));
}
END_TEST

void
add_limits_cases(Suite *s)
{
	TCase *tc = unit_case(s, "limits");

	tcase_add_checked_fixture(tc, uploads_set_up, uploads_tear_down);
	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_bytes);
	tcase_add_test(tc, test_too_much_by_itself);
	tcase_add_test(tc, test_makes_room);
	tcase_add_loop_test(tc, test_earlier_one_goes, 0, 3);
	tcase_add_test(tc, test_directory_is_gone);
}
