/* loop/pipe: the pipe that content passes through. */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "loop/pipe.h"

static int pipe_error;     /* of the next pipe2() */
static bool small_pipes;   /* none can be made larger */
static unsigned asked_for; /* calls of pipe2() */

extern int __real_pipe2(int ends[2], int flags);
extern int __wrap_pipe2(int ends[2], int flags);
extern int __real_fcntl64(int fd, int cmd, ...);
extern int __wrap_fcntl64(int fd, int cmd, int arg);
extern int __real_fcntl(int fd, int cmd, ...);
extern int __wrap_fcntl(int fd, int cmd, int arg);

int
__wrap_pipe2(int ends[2], int flags)
{
	asked_for++;
	if (pipe_error == 0)
		return __real_pipe2(ends, flags);
	errno = pipe_error;
	return -1;
}

static bool
is_refused(int cmd)
{
	if (cmd != F_SETPIPE_SZ || !small_pipes)
		return false;
	errno = EPERM;
	return true;
}

int
__wrap_fcntl(int fd, int cmd, int arg)
{
	return is_refused(cmd) ? -1 : __real_fcntl(fd, cmd, arg);
}

int
__wrap_fcntl64(int fd, int cmd, int arg)
{
	return is_refused(cmd) ? -1 : __real_fcntl64(fd, cmd, arg);
}

START_TEST(test_made_once)
{
	struct content_pipe p = { 0 };
	int out;

	pipe_close(&p);
	ck_assert(pipe_open(&p));
	out = p.out;
	ck_assert_int_ge(fcntl(p.in, F_GETPIPE_SZ), (int)PIPE_SIZE);
	ck_assert(pipe_open(&p));
	ck_assert_int_eq(p.out, out);
	ck_assert_uint_eq(asked_for, 1);
	pipe_close(&p);
	pipe_close(&p);
	ck_assert_int_eq(fcntl(out, F_GETFD), -1);
	ck_assert(pipe_open(&p));
	pipe_close(&p);
}
END_TEST

/* Nobody waits for what is not there. */
START_TEST(test_taken)
{
	struct content_pipe p = { 0 };
	char got[8] = "";

	ck_assert(pipe_open(&p));
	ck_assert_int_eq(write(p.in, "abcdef", 6), 6);
	ck_assert(pipe_take(&p, got, 4));
	ck_assert_str_eq(got, "abcd");
	ck_assert(!pipe_take(&p, got, 4));
	pipe_close(&p);
}
END_TEST

/* A lack of descriptors passes; a kernel or a limit that allows none does not. */
START_TEST(test_none_to_be_had)
{
	struct content_pipe p = { 0 };

	pipe_error = EMFILE;
	ck_assert(!pipe_open(&p));
	pipe_error = 0;
	ck_assert(pipe_open(&p));
	pipe_close(&p);
	small_pipes = true;
	ck_assert(!pipe_open(&p));
	ck_assert(!p.open);
	small_pipes = false;
	asked_for = 0;
	ck_assert(!pipe_open(&p));
	ck_assert_uint_eq(asked_for, 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "pipe");

	tcase_add_test(tc, test_made_once);
	tcase_add_test(tc, test_taken);
	tcase_add_test(tc, test_none_to_be_had);
}

int
main(void)
{
	return unit_run("pipe", add_cases);
}
