/* v2/client: downloads that are published when their owner says so (on_whole). */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test_v2_client_get.h"

static unsigned whole;

static void
on_whole(void *arg, struct v2_get_request *g)
{
	ck_assert_ptr_eq(arg, &asker);
	ck_assert_ptr_eq(g, &get);
	ck_assert_uint_eq(g->moved, g->size);
	whole++;
}

/* All of it has come, and a directory stands where it is to go; _i & 1: it is a small one. */
static void
come_whole(int i)
{
	size_t size = (i & 1) != 0 ? 5000 : BIG;
	uint16_t id;

	whole = 0;
	ck_assert_int_eq(mkdir("root/file", 0700), 0);
	get.spec.policy = PUT_REPLACE;
	get.spec.unlooked = true;
	get.on_whole = on_whole;
	peer_greet(32, 65536);
	id = begin_get(size);
	say_content(id, 0, size);
	settle();
	ck_assert_uint_eq(whole, 0);
	say_end(id, content, size);
	settle();
	ck_assert_uint_eq(whole, 1);
	ck_assert_int_eq(asker.times, 0);
	ck_assert_int_eq(unit_names_in("root"), 1);
}

/* _i & 2: the connection breaks meanwhile, which is of no importance any more. */
START_TEST(test_published)
{
	come_whole(_i);
	if ((_i & 2) != 0) {
		close(peer);
		peer = -1;
		settle();
		ck_assert_int_eq(asker.times, 0);
	}
	ck_assert_int_eq(rmdir("root/file"), 0);
	v2_get_publish(&get);
	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	unit_holds("root/file", content, (_i & 1) != 0 ? 5000 : BIG);
}
END_TEST

/* What was to go has stayed: it is said by the end, or the owner knows. */
START_TEST(test_stays)
{
	struct stat st;

	come_whole(_i);
	if ((_i & 2) != 0)
		v2_get_publish(&get);
	else
		v2_client_cancel(&get.r);
	settle();
	ck_assert_int_eq(asker.times, 1);
	ck_assert_int_ne(asker.o.rc, FTX_OK);
	ck_assert_int_eq(stat("root/file", &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	v2_get_clear(&get);
	settle();
	ck_assert_int_eq(unit_names_in("root"), 1);
}
END_TEST

void
add_whole_cases(Suite *s)
{
	TCase *tc = unit_case(s, "whole");

	tcase_add_checked_fixture(tc, get_setup, get_teardown);
	tcase_add_loop_test(tc, test_published, 0, 4);
	tcase_add_loop_test(tc, test_stays, 0, 4);
}
