/* store/stage: what is written from a pipe. */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/root.h"
#include "store/stage.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

/* From a pipe, at an offset; what the file does not take is in the pipe still. */
START_TEST(test_from_a_pipe)
{
	struct root *root;
	struct stage stage;
	int ends[2];
	char left[8] = "", abcd[] = "abcd";
	struct iovec iov = { abcd, 4 };
	atomic_bool not_cancelled = false;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	unit_enter_dir();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
	ck_assert_int_eq(stage_open(&stage, root, SPEC(root->flags, "new")), FTX_OK);
	ck_assert_int_eq(stage_write(&stage, &iov, 1, 0), FTX_OK);
	ck_assert_int_eq(write(ends[1], "CDEFgh", 6), 6);
	ck_assert_int_eq(stage_write_pipe(&stage, ends[0], 4, 2), FTX_OK);
	fake_orders.splice = EINVAL;
	ck_assert_int_eq(stage_write_pipe(&stage, ends[0], 2, 6), FTX_UNSUPPORTED);
	ck_assert_int_eq(read(ends[0], left, sizeof(left)), 2);
	ck_assert_str_eq(left, "gh");
	fake_orders.splice = ENOSPC;
	ck_assert_int_eq(stage_write_pipe(&stage, ends[0], 2, 6), FTX_NO_SPACE);
	fake_orders.splice = 0;
	ck_assert_int_eq(write(ends[1], "gh", 2), 2);
	ck_assert_int_eq(stage_write_pipe(&stage, ends[0], 2, 6), FTX_OK);
	ck_assert_int_eq(stage_publish(&stage, &not_cancelled), FTX_OK);
	unit_holds("root/new", "abCDEFgh", 8);
	root_close(root);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "stage_pipe");

	tcase_add_test(tc, test_from_a_pipe);
}

int
main(void)
{
	return unit_run("stage_pipe", add_cases);
}
