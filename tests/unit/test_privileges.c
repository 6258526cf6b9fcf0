/* daemon/privileges, daemon/landlock: what a process cannot do any more that has given it up. */
#include "unit/test_privileges.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define NOBODY 65534

int root_fd = -1;
struct privileges_needs needs;
struct privileges_left left;
static bool only_pretend; /* to become another user */

void
privileges_set_up(void)
{
	static const char *const dirs[] = { "root", "conf", "run", "outside" };

	unit_enter_dir();
	unit_log_keep();
	umask(022);
	ck_assert_int_eq(chmod(".", 0755), 0);
	for (int i = 0; i < COUNT(dirs); i++) {
		ck_assert_int_eq(mkdir(dirs[i], 0755), 0);
		if (geteuid() == 0)
			ck_assert_int_eq(chown(dirs[i], NOBODY, NOBODY), 0);
	}
	unit_write("outside/file", "x", 1);
	unit_write("conf/file", "x", 1);
	unit_write("run/pid", "1", 1);
	for (int i = 0; i < COUNT(dirs); i++)
		ck_assert_int_eq(chmod(dirs[i], 0777), 0);
	ck_assert_int_eq(chmod("outside/file", 0666), 0);
	ck_assert_int_eq(chmod("conf/file", 0666), 0);
	root_fd = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root_fd, 0);
	needs = (struct privileges_needs){
		.user = "nobody", .root_fd = root_fd, .storage_root = "root", .pid_file = "run/pid"
	};
}

void
give_up(void)
{
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	ck_assert_int_ne(geteuid(), 0);
}

int
open_error(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

int
result(int rc)
{
	return rc < 0 ? errno : 0;
}

int
exit_code(pid_t pid)
{
	int status;

	ck_assert_int_ge(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "status %#x", (unsigned)status);
	return WEXITSTATUS(status);
}

static bool
only_root_can(void)
{
	if (geteuid() == 0)
		return true;
	fprintf(stderr, "not tested: started by an ordinary user\n");
	return false;
}

START_TEST(test_root_is_gone)
{
	gid_t groups[64];

	if (!only_root_can())
		return;
	unit_write("outside/secret", "x", 1);
	ck_assert_int_eq(chmod("outside/secret", 0600), 0);
	ck_assert_int_eq(setgroups(2, (gid_t[]){ 0, 4 }), 0);
	fake_landlock.version = -1; /* permissions alone */
	give_up();
	ck_assert_int_eq(getuid(), NOBODY);
	ck_assert_int_eq(getgid(), NOBODY);
	ck_assert_int_ne(setuid(0), 0);
	ck_assert_int_ne(setgid(0), 0);
	ck_assert_int_ne(setgroups(0, NULL), 0);
	for (int i = 0, n = getgroups(COUNT(groups), groups); i < n; i++)
		ck_assert(groups[i] == NOBODY);
	ck_assert_int_eq(open_error("outside/secret", O_RDONLY), EACCES);
	ck_assert_int_ne(chroot("/"), 0);
}
END_TEST

START_TEST(test_capabilities_of_an_ordinary_user)
{
	if (!only_root_can())
		return;
	ck_assert_int_eq(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	unit_drop_root();
	ck_assert(fake_landlock_capabilities() != 0);
	give_up();
	ck_assert(fake_landlock_capabilities() == 0);
}
END_TEST

START_TEST(test_root_by_wish)
{
	if (!only_root_can())
		return;
	needs.user = "root";
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	ck_assert_int_eq(geteuid(), 0);
	ck_assert_int_eq(unit_log_count("ftxferd stays root"), 0);
	privileges_log(&left);
	ck_assert_int_eq(unit_log_count("ftxferd stays root"), 1);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	if (fake_landlock_version() >= 1)
		ck_assert_int_eq(open_error("outside/file", O_WRONLY), EACCES);
}
END_TEST

/* What others have is root's, to serve it; and nothing else is. */
START_TEST(test_capabilities_of_root)
{
	if (!only_root_can())
		return;
	fake_landlock.version = -1; /* permissions alone */
	unit_write("root/others", "x", 1);
	ck_assert_int_eq(chmod("root/others", 0600), 0);
	ck_assert_int_eq(chown("root/others", NOBODY, NOBODY), 0);
	needs.user = "root";
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	ck_assert_uint_eq(fake_landlock_capabilities(), 1 << CAP_DAC_OVERRIDE);
	ck_assert_int_eq(open_error("root/new", O_WRONLY | O_CREAT | O_EXCL), 0);
	ck_assert_int_eq(open_error("root/others", O_RDWR), 0);
	ck_assert_int_eq(result(chmod("root/others", 0644)), EPERM);
	ck_assert_int_eq(unlink("root/others"), 0);
	ck_assert_int_eq(result(chown("root/new", NOBODY, NOBODY)), EPERM);
	ck_assert_int_eq(result(chroot("/")), EPERM);
	/* Of this thread: setuid(3) asks all of them, and a thread sanitizer's has lost nothing. */
	ck_assert_int_eq(result((int)syscall(SYS_setuid, NOBODY)), EPERM);
}
END_TEST

/* Who is another user only as long as it likes. */
START_TEST(test_root_that_looks_like_another)
{
	static const uid_t ids[][3] = { { 0, NOBODY, NOBODY }, { NOBODY, NOBODY, 0 }, { 1, 2, 0 } };
	uid_t r, e, s;

	if (!only_root_can())
		return;
	ck_assert_int_eq(setresuid(ids[_i][0], ids[_i][1], ids[_i][2]), 0);
	give_up();
	ck_assert_int_eq(getresuid(&r, &e, &s), 0);
	ck_assert(r == NOBODY && e == NOBODY && s == NOBODY);
	ck_assert_int_eq(result(seteuid(0)), EPERM);
	ck_assert(fake_landlock_capabilities() == 0);
}
END_TEST

START_TEST(test_no_such_user)
{
	if (!only_root_can())
		return;
	needs.user = "no-such-user";
	ck_assert_int_eq(privileges_give_up(&needs, &left), EX_NOUSER);
	ck_assert_int_eq(unit_log_count("there is no user no-such-user"), 1);
}
END_TEST

/* A namespace that knows nobody but root: one cannot become somebody else in it. */
START_TEST(test_cannot_become)
{
	FILE *f;

	if (!only_root_can() || unshare(CLONE_NEWUSER) != 0)
		return;
	f = fopen("/proc/self/uid_map", "w");
	ck_assert_ptr_nonnull(f);
	fputs("0 0 1", f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(privileges_give_up(&needs, &left), EX_NOPERM);
	ck_assert_int_eq(unit_log_count("cannot become the user nobody"), 1);
}
END_TEST

/* In place of the C library's. */
int
setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
	int (*real)(uid_t, uid_t, uid_t);

	*(void **)&real = dlsym(RTLD_NEXT, "setresuid");
	return only_pretend ? 0 : real(ruid, euid, suid);
}

static bool read_only;

int
faccessat(int dir, const char *name, int mode, int flags)
{
	int (*real)(int, const char *, int, int);

	*(void **)&real = dlsym(RTLD_NEXT, "faccessat");
	if (!read_only || (mode & W_OK) == 0)
		return real(dir, name, mode, flags);
	errno = EROFS;
	return -1;
}

/* Whether it has become somebody else is not taken on trust. */
START_TEST(test_did_not_become)
{
	if (!only_root_can())
		return;
	only_pretend = true;
	ck_assert_int_eq(privileges_give_up(&needs, &left), EX_OSERR);
	ck_assert_int_eq(unit_log_count("can become root again"), 1);
}
END_TEST

START_TEST(test_ordinary_user_needs_no_account)
{
	unit_drop_root();
	needs.user = "no-such-user";
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	ck_assert_int_eq(unit_log_count("user"), 0);
}
END_TEST

START_TEST(test_storage_is_not_the_new_users)
{
	if (!only_root_can())
		return;
	ck_assert_int_eq(chown("root", 0, 0), 0);
	ck_assert_int_eq(chmod("root", 0755), 0);
	ck_assert_int_eq(privileges_give_up(&needs, &left), EX_NOPERM);
	ck_assert_int_eq(unit_log_count("storage root root: the user nobody may not write"), 1);
}
END_TEST

/* Also of one who has been the same user all along. */
START_TEST(test_storage_cannot_be_written)
{
	ck_assert_int_eq(chmod("root", 0555), 0);
	unit_drop_root();
	ck_assert_int_eq(privileges_give_up(&needs, &left), EX_NOPERM);
	ck_assert_int_eq(unit_log_count("storage root root: files cannot be made there"), 1);
}
END_TEST

START_TEST(test_storage_is_read_only)
{
	unit_drop_root();
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	privileges_log(&left);
	ck_assert_int_eq(unit_log_count("storage root root is on a file system"), 0);
	read_only = true;
	ck_assert_int_eq(privileges_give_up(&needs, &left), 0);
	privileges_log(&left);
	ck_assert_int_eq(unit_log_count("storage root root is on a file system"), 1);
}
END_TEST

START_TEST(test_no_core_and_no_debugger)
{
	struct rlimit core = { 4096, 4096 };
	pid_t pid;

	/* The change from root to another user alone would forbid dumps, as a rule (proc(5)). */
	unit_drop_root();
	give_up();
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	ck_assert_int_eq(result(setrlimit(RLIMIT_CORE, &core)), EPERM);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
	ck_assert(core.rlim_cur == 0 && core.rlim_max == 0);
	if (sanitized)
		return;
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ? 0 : errno);
	ck_assert_int_eq(exit_code(pid), EPERM);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "privileges");

	tcase_add_checked_fixture(tc, privileges_set_up, NULL);
	tcase_add_test(tc, test_root_is_gone);
	tcase_add_test(tc, test_capabilities_of_an_ordinary_user);
	tcase_add_test(tc, test_root_by_wish);
	tcase_add_test(tc, test_capabilities_of_root);
	tcase_add_loop_test(tc, test_root_that_looks_like_another, 0, 3);
	tcase_add_test(tc, test_no_such_user);
	tcase_add_test(tc, test_cannot_become);
	tcase_add_test(tc, test_did_not_become);
	tcase_add_test(tc, test_ordinary_user_needs_no_account);
	tcase_add_test(tc, test_storage_is_not_the_new_users);
	tcase_add_test(tc, test_storage_cannot_be_written);
	tcase_add_test(tc, test_storage_is_read_only);
	tcase_add_test(tc, test_no_core_and_no_debugger);
	add_landlock_cases(s);
}

int
main(void)
{
	return unit_run("privileges", add_cases);
}
