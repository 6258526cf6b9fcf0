/* store/stage: files that come one after the other spare each other some work. */
#include "unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "store/stage.h"
#include "store/stage_dir.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

static struct root *root;
static atomic_bool not_cancelled;

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
}

static void
tear_down(void)
{
	root_close(root);
}

static void
write_text(struct stage *s)
{
	char text[] = "content";
	struct iovec iov = { text, 7 };

	ck_assert_int_eq(stage_write(s, &iov, 1, 0), FTX_OK);
}

/* Unnamed files get their names in either way; one that does not work is not tried again. */
START_TEST(test_link_ways)
{
	static const char *const new[] = { "new1", "new2", "new3" };
	char path[16];
	struct stage s;

	for (int i = 0; i < COUNT(new); i++) {
		bool unnamed;

		fake_orders.no_link_by_fd = i == 1;
		ck_assert_int_eq(stage_open(&s, root, SPEC(0, new[i])), FTX_OK);
		write_text(&s);
		unnamed = s.kind == STAGE_UNNAMED;
		if (i == 1)
			atomic_store(&root->link_way, ROOT_LINK_BY_FD);
		ck_assert_int_eq(stage_publish(&s, &not_cancelled), FTX_OK);
		snprintf(path, sizeof(path), "root/%s", new[i]);
		unit_holds(path, "content", 7);
		if (unnamed && i == 0)
			ck_assert_int_ne(root->link_way, ROOT_LINK_UNKNOWN);
		else if (unnamed)
			ck_assert_int_eq(root->link_way, ROOT_LINK_BY_PROC);
	}
}
END_TEST

/* Both find the directory at once, wherever it goes from then on; and a third another one. */
START_TEST(test_shared_directory)
{
	static const char *const names[] = { "a/one", "a/two", "b/one", "three" };
	static const char *const paths[] = { "root/c/one", "root/c/two", "root/b/one",
		"root/three" };
	struct stage_dir *last = NULL;
	struct stage s[4];
	int before = unit_descriptors();

	ck_assert_int_eq(mkdir("root/a", 0755), 0);
	ck_assert_int_eq(mkdir("root/b", 0755), 0);
	for (int i = 0; i < COUNT(s); i++) {
		ck_assert_int_eq(stage_open_next(&s[i], root, SPEC(0, names[i]), &last), FTX_OK);
		if (i == 0)
			ck_assert_int_eq(rename("root/a", "root/c"), 0);
		write_text(&s[i]);
		ck_assert(i == 0 || (s[i].dir == s[i - 1].dir) == (i == 1));
	}
	stage_dir_release(last);
	for (int i = 0; i < COUNT(s); i++) {
		ck_assert_int_eq(stage_publish(&s[i], &not_cancelled), FTX_OK);
		unit_holds(paths[i], "content", 7);
	}
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* One that is not there leaves the one before in nobody's way. */
START_TEST(test_shared_nothing)
{
	struct put_spec spec = { .name = "d/new" };
	struct stage_dir *last = NULL;
	int before = unit_descriptors();
	struct stage s;

	ck_assert_int_eq(stage_open_next(&s, root, SPEC(0, "new"), &last), FTX_OK);
	stage_discard(&s);
	ck_assert_int_eq(stage_open_next(&s, root, &spec, &last), FTX_NO_PARENT);
	ck_assert_ptr_null(last);
	spec.parents = true;
	ck_assert_int_eq(stage_open_next(&s, root, &spec, &last), FTX_OK);
	write_text(&s);
	ck_assert_int_eq(stage_publish(&s, &not_cancelled), FTX_OK);
	unit_holds("root/d/new", "content", 7);
	stage_dir_release(last);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "next");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_link_ways);
	tcase_add_test(tc, test_shared_directory);
	tcase_add_test(tc, test_shared_nothing);
}

int
main(void)
{
	return unit_run("stage_next", add_cases);
}
