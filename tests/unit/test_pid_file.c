/* daemon/pid_file: what it does to files that are not its own; write(2) may fail. */
#include "daemon/pid_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/unit.h"

static struct pid_file file;
static int write_error; /* what it fails with; 0: it does not */
static bool write_short;

ssize_t
write(int fd, const void *p, size_t len)
{
	ssize_t (*real)(int, const void *, size_t);

	*(void **)&real = dlsym(RTLD_NEXT, "write");
	if (write_error != 0) {
		errno = write_error;
		return -1;
	}
	return real(fd, p, write_short ? 1 : len);
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
}

/* What the file holds; NULL: there is none. */
static const char *
read_text(const char *path)
{
	static char text[64];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int
number_in(const char *name)
{
	const char *text = read_text(name);

	return text != NULL ? atoi(text) : -1;
}

static void
write_it(void)
{
	struct stat st;

	ck_assert_int_eq(pid_file_write(&file, "pid"), 0);
	ck_assert_int_eq(lstat("pid", &st), 0);
	ck_assert(S_ISREG(st.st_mode) && st.st_nlink == 1);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert_int_eq(number_in("pid"), getpid());
}

START_TEST(test_from_another_directory)
{
	umask(022);
	write_it();
	ck_assert_int_eq(chdir("/"), 0);
	pid_file_remove(&file);
	ck_assert_int_eq(unit_log_count("pid_file"), 0);
	ck_assert_ptr_null(file.path);
	pid_file_remove(&file);
}
END_TEST

/* Another number, also a longer one: that of a daemon that has crashed. */
START_TEST(test_a_file_is_there)
{
	unit_write("pid", "123456789012345678", 18);
	ck_assert_int_eq(chmod("pid", 0444), 0);
	umask(0);
	write_it();
	pid_file_remove(&file);
	ck_assert_ptr_null(read_text("pid"));
}
END_TEST

/* A link to a file, one to nothing, a directory, a FIFO, another name: none of them is touched. */
START_TEST(test_no_file_is_there)
{
	struct stat before, after;

	unit_write("precious", "x", 1);
	if (_i < 2)
		ck_assert_int_eq(symlink(_i == 0 ? "precious" : "nothing", "pid"), 0);
	else if (_i < 4)
		ck_assert_int_eq(_i == 2 ? mkdir("pid", 0700) : mkfifo("pid", 0600), 0);
	else
		ck_assert_int_eq(link("precious", "pid"), 0);
	ck_assert_int_eq(lstat("pid", &before), 0);
	ck_assert_int_eq(pid_file_write(&file, "pid"), -1);
	ck_assert_int_eq(unit_log_count("pid_file pid: what is there is no regular file"), 1);
	pid_file_remove(&file);
	ck_assert_int_eq(lstat("pid", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_str_eq(read_text("precious"), "x");
	ck_assert_ptr_null(read_text("nothing"));
}
END_TEST

/* Of two daemons with one pid_file, the first to end leaves it to the second. */
START_TEST(test_another_daemons)
{
	struct pid_file first;

	umask(022);
	write_it();
	first = file;
	write_it();
	pid_file_remove(&first);
	ck_assert_int_eq(unit_log_count("pid is not this daemon's any more"), 1);
	ck_assert_int_eq(number_in("pid"), getpid());
	pid_file_remove(&file);
	ck_assert_ptr_null(read_text("pid"));
}
END_TEST

START_TEST(test_somebody_removed_it)
{
	umask(022);
	write_it();
	ck_assert_int_eq(unlink("pid"), 0);
	pid_file_remove(&file);
	ck_assert_int_eq(unit_log_count("pid_file"), 0);
}
END_TEST

/* Half a number would be another process's. */
START_TEST(test_cannot_write)
{
	write_error = _i == 0 ? EIO : 0;
	write_short = _i == 1;
	ck_assert_int_eq(pid_file_write(&file, "pid"), -1);
	write_error = 0;
	write_short = false;
	ck_assert_int_eq(unit_log_count(_i == 1 ? "No space" : "Input/output error"), 1);
	ck_assert_ptr_null(file.path);
	ck_assert_ptr_null(read_text("pid"));
}
END_TEST

/* A number that stays behind will be another process's. */
START_TEST(test_cannot_remove)
{
	struct stat st;

	ck_assert_int_eq(mkdir("dir", 0700), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(pid_file_write(&file, "dir/pid"), 0);
	ck_assert_int_eq(chmod("dir", 0555), 0);
	unit_drop_root();
	pid_file_remove(&file);
	ck_assert_int_eq(unit_log_count("dir/pid stays behind: Permission denied"), 1);
	ck_assert_int_eq(stat("dir/pid", &st), 0);
	ck_assert_int_eq(st.st_size, 0);
}
END_TEST

START_TEST(test_no_directory)
{
	ck_assert_int_eq(pid_file_write(&file, "no/pid"), -1);
	ck_assert_int_eq(unit_log_count("pid_file no/pid: No such file"), 1);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "pid_file");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_from_another_directory);
	tcase_add_test(tc, test_a_file_is_there);
	tcase_add_loop_test(tc, test_no_file_is_there, 0, 5);
	tcase_add_test(tc, test_another_daemons);
	tcase_add_test(tc, test_somebody_removed_it);
	tcase_add_loop_test(tc, test_cannot_write, 0, 2);
	tcase_add_test(tc, test_cannot_remove);
	tcase_add_test(tc, test_no_directory);
}

int
main(void)
{
	return unit_run("pid_file", add_cases);
}
