/* store/stage: files that come one after the other spare each other some work. */
#include "unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "store/stage.h"
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

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "next");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_link_ways);
}

int
main(void)
{
	return unit_run("stage_next", add_cases);
}
