/* daemon/landlock: files and sockets that a confined process cannot reach any more. */
#include "unit/test_privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* False: said so; there is nothing to test here. */
static bool
confined(int version)
{
	give_up();
	if (fake_landlock_version() >= version)
		return true;
	fprintf(stderr, "not tested: Landlock here has not got version %d\n", version);
	return false;
}

/* Reading and starting programs is what a sanitizer does. */
static int
expected_for_reading(void)
{
	return sanitized ? 0 : EACCES;
}

START_TEST(test_outside_before)
{
	/* Nothing but Landlock refuses it: an ordinary user may. */
	unit_drop_root();
	ck_assert_int_eq(open_error("/etc/passwd", O_RDONLY), 0);
	ck_assert_int_eq(open_error("outside/file", O_RDWR), 0);
	ck_assert_int_eq(open_error("outside/new", O_WRONLY | O_CREAT), 0);
	ck_assert_int_eq(truncate("outside/file", 0), 0);
	ck_assert_int_eq(mkdir("outside/dir", 0700), 0);
	ck_assert_int_eq(rename("outside/new", "root/new"), 0);
	ck_assert_int_eq(link("root/new", "outside/new"), 0);
	ck_assert_int_eq(unlink("outside/new"), 0);
	ck_assert_int_eq(rmdir("outside/dir"), 0);
}
END_TEST

START_TEST(test_outside)
{
	ck_assert_int_eq(open_error("root/in", O_WRONLY | O_CREAT), 0);
	ck_assert_int_eq(chmod("root/in", 0666), 0);
	if (!confined(3))
		return;
	ck_assert_int_eq(open_error("/etc/passwd", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(open_error("/dev/null", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(open_error("outside/file", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(open_error("outside", O_RDONLY | O_DIRECTORY), expected_for_reading());
	ck_assert_int_eq(open_error("/", O_RDONLY | O_DIRECTORY), expected_for_reading());
	ck_assert_int_eq(open_error("outside/file", O_WRONLY), EACCES);
	ck_assert_int_eq(open_error("outside/new", O_WRONLY | O_CREAT), EACCES);
	ck_assert_int_eq(open_error("outside", O_WRONLY | O_TMPFILE), EACCES);
	ck_assert_int_eq(open_error("/tmp/new", O_WRONLY | O_CREAT | O_EXCL), EACCES);
	ck_assert_int_eq(result(truncate("outside/file", 0)), EACCES);
	ck_assert_int_eq(result(mkdir("outside/dir", 0700)), EACCES);
	ck_assert_int_eq(result(unlink("outside/file")), EACCES);
	ck_assert_int_ne(result(rename("root/in", "outside/in")), 0);
	ck_assert_int_ne(result(link("root/in", "outside/in")), 0);
	ck_assert_int_ne(result(rename("outside/file", "root/file")), 0);
	ck_assert_int_eq(result(symlink("root", "outside/link")), EACCES);
	ck_assert_int_eq(result(symlink("/", "root/link")), EACCES);
	ck_assert_int_eq(result(mkfifo("root/fifo", 0600)), EACCES);
}
END_TEST

START_TEST(test_inside)
{
	char proc[64];
	int fd;

	give_up();
	ck_assert_int_eq(mkdirat(root_fd, "dir", 0700), 0);
	fd = openat(root_fd, "dir/n", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "abc", 3), 3);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(ftruncate(fd, 1), 0);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	close(fd);
	ck_assert_int_eq(renameat(root_fd, "dir/n", root_fd, "dir/m"), 0);
	ck_assert_int_eq(open_error("root/dir", O_RDONLY | O_DIRECTORY), 0);
	ck_assert_int_eq(open_error("root/dir/m", O_RDWR | O_TRUNC), 0);
	/* A name for an unnamed file, which takes /proc, and being the process that it is about. */
	fd = openat(root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ck_assert_int_eq(access("/proc/self/fd", X_OK), 0);
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		ck_assert_int_eq(linkat(AT_FDCWD, proc, root_fd, "named", AT_SYMLINK_FOLLOW), 0);
		ck_assert_int_eq(unlinkat(root_fd, "named", 0), 0);
	}
	ck_assert_int_eq(unlinkat(root_fd, "dir/m", 0), 0);
	ck_assert_int_eq(unlinkat(root_fd, "dir", AT_REMOVEDIR), 0);
}
END_TEST

/* It has been read; and what stands beside it is nobody's business. */
START_TEST(test_configuration)
{
	ck_assert_int_eq(rename("conf/file", "outside/conf"), 0);
	ck_assert_int_eq(rename("outside/conf", "conf/file"), 0);
	if (!confined(1))
		return;
	ck_assert_int_eq(open_error("conf/file", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(open_error("conf", O_RDONLY | O_DIRECTORY), expected_for_reading());
	ck_assert_int_eq(open_error("conf/file", O_WRONLY), EACCES);
	ck_assert_int_eq(open_error("conf/new", O_WRONLY | O_CREAT), EACCES);
	ck_assert_int_eq(result(unlink("conf/file")), EACCES);
}
END_TEST

START_TEST(test_pid_file_in_the_top_directory)
{
	needs.pid_file = "/ftxferd.pid";
	if (!confined(1))
		return;
	ck_assert_int_eq(open_error("/etc/passwd", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(result(unlink("outside/file")), EACCES);
}
END_TEST

START_TEST(test_pid_file)
{
	if (!confined(1))
		return;
	ck_assert_int_eq(open_error("run/pid", O_RDONLY), expected_for_reading());
	ck_assert_int_eq(open_error("run", O_RDONLY | O_DIRECTORY), expected_for_reading());
	ck_assert_int_eq(open_error("run/pid", O_WRONLY), EACCES);
	ck_assert_int_eq(unlink("run/pid"), 0);
	ck_assert_int_eq(open_error("run/pid", O_WRONLY | O_CREAT), EACCES);
}
END_TEST

START_TEST(test_exec)
{
	char name[] = "true", *argv[] = { name, NULL };
	pid_t pid;

	if (!confined(1))
		return;
	pid = fork();
	if (pid == 0) {
		execv("/bin/true", argv);
		_exit(errno);
	}
	ck_assert_int_eq(exit_code(pid), expected_for_reading());
}
END_TEST

static int
listen_on_loopback(struct sockaddr_in *sin)
{
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*sin = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)sin, sizeof(*sin)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)sin, &len), 0);
	return fd;
}

START_TEST(test_network)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "outside/socket" };
	struct sockaddr_in sin, any = { .sin_family = AF_INET };
	int listener = listen_on_loopback(&sin);
	int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	ck_assert_int_eq(bind(local, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(local, 8), 0);
	ck_assert_int_eq(chmod(sun.sun_path, 0666), 0);
	pid = fork();
	if (pid == 0)
		_exit(connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 ? 0 : errno);
	ck_assert_int_eq(exit_code(pid), 0);
	if (!confined(4))
		return;
	/* What listens already goes on; nothing else is bound, and nobody is called. */
	ck_assert_int_ge(accept4(listener, NULL, NULL, SOCK_CLOEXEC), 0);
	ck_assert_int_eq(result(connect(fd, (struct sockaddr *)&sin, sizeof(sin))), EACCES);
	ck_assert_int_eq(result(bind(fd, (struct sockaddr *)&any, sizeof(any))), EACCES);
	/* The log and the service manager are at Unix sockets. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
}
END_TEST

START_TEST(test_signals)
{
	pid_t other = fork();

	if (other == 0) {
		unit_drop_root();
		for (;;)
			pause();
	}
	if (confined(6)) {
		ck_assert_int_eq(result(kill(other, 0)), EPERM);
		ck_assert_int_eq(result(kill(getpid(), 0)), 0);
	}
}
END_TEST

static void *
open_in_thread(void *arg)
{
	*(int *)arg = open_error("outside/file", O_WRONLY);
	return NULL;
}

START_TEST(test_threads_that_are_started_later)
{
	pthread_t thread;
	int err = 0;

	if (!confined(1))
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, open_in_thread, &err), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(err, EACCES);
}
END_TEST

/* It is said once, and everything else holds. */
START_TEST(test_without_landlock)
{
	static const struct {
		int err;
		const char *said;
	} cases[] = {
		{ ENOSYS, "this system has no Landlock" },
		{ EOPNOTSUPP, "this system has no Landlock" },
		{ ENOMEM, "not confined by Landlock: Cannot allocate memory" },
	};

	fake_landlock.version = -cases[_i].err;
	give_up();
	ck_assert_int_eq(unit_log_count("Landlock"), 0);
	privileges_log(&left);
	ck_assert_int_eq(unit_log_count(cases[_i].said), 1);
	ck_assert_int_eq(unit_log_count("Landlock"), 1);
	ck_assert_int_eq(open_error("outside/file", O_WRONLY), 0);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

/* Of an older kernel nothing is asked that it does not know. */
START_TEST(test_older_landlock)
{
	static const struct {
		int version;
		uint64_t files, net, scoped;
	} cases[] = {
		{ 1, 0x1fff, 0, 0 },
		{ 2, 0x3fff, 0, 0 },
		{ 3, 0x7fff, 0, 0 },
		{ 4, 0x7fff, 3, 0 },
		{ 5, 0xffff, 3, 0 },
		{ 6, 0xffff, 3, 2 },
		{ 99, 0xffff, 3, 2 },
	};

	if (fake_landlock_version() < 6)
		return;
	fake_landlock.version = cases[_i].version;
	give_up();
	ck_assert(fake_landlock.asked[0] == cases[_i].files);
	ck_assert(fake_landlock.asked[1] == cases[_i].net);
	ck_assert(fake_landlock.asked[2] == cases[_i].scoped);
	ck_assert_int_eq(open_error("outside/file", O_WRONLY), EACCES);
	ck_assert_int_eq(open_error("root/new", O_WRONLY | O_CREAT), 0);
}
END_TEST

void
add_landlock_cases(Suite *s)
{
	TCase *tc = unit_case(s, "landlock");

	tcase_add_checked_fixture(tc, privileges_set_up, NULL);
	tcase_add_test(tc, test_outside_before);
	tcase_add_test(tc, test_outside);
	tcase_add_test(tc, test_inside);
	tcase_add_test(tc, test_configuration);
	tcase_add_test(tc, test_pid_file_in_the_top_directory);
	tcase_add_test(tc, test_pid_file);
	tcase_add_test(tc, test_exec);
	tcase_add_test(tc, test_network);
	tcase_add_test(tc, test_signals);
	tcase_add_test(tc, test_threads_that_are_started_later);
	tcase_add_loop_test(tc, test_without_landlock, 0, 3);
	tcase_add_loop_test(tc, test_older_landlock, 0, 7);
}
