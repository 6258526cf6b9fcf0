/* client/local_file: which file a user means. */
#include "unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/local_file.h"

static struct local_file f;

static void
set_up(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unit_enter_dir();
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(mkdir("d/e", 0755), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	unit_write("file", "x", 1);
	unit_write("d/file", "x", 1);
	ck_assert_int_eq(symlink("file", "to_file"), 0);
	ck_assert_int_eq(symlink("d/file", "to_d_file"), 0);
	ck_assert_int_eq(symlink("../file", "d/up_to_file"), 0);
	ck_assert_int_eq(symlink("d/up_to_file", "twice"), 0);
	ck_assert_int_eq(symlink("d", "to_d"), 0);
	ck_assert_int_eq(symlink("new", "dangling"), 0);
	ck_assert_int_eq(symlink("d/new", "dangling_in_d"), 0);
	ck_assert_int_eq(symlink("../e/new", "d/e/odd"), 0);
	ck_assert_int_eq(symlink("missing/new", "dangling_far"), 0);
	ck_assert_int_eq(symlink("fifo", "to_fifo"), 0);
	ck_assert_int_eq(symlink("loop_b", "loop_a"), 0);
	ck_assert_int_eq(symlink("loop_a", "loop_b"), 0);
}

static void
tear_down(void)
{
	local_file_clear(&f);
	ck_assert_ptr_null(f.dir);
	ck_assert_ptr_null(f.leaf);
	local_file_clear(&f);
}

/* The directory and name that f says are those of path. */
static void
means(const char *path)
{
	char want_dir[4096], got[4096];
	const char *slash = strrchr(path, '/');
	struct stat a, b;

	snprintf(want_dir, sizeof(want_dir), "%.*s", slash != NULL ? (int)(slash - path) : 1,
	    slash != NULL ? path : ".");
	ck_assert_str_eq(f.leaf, slash != NULL ? slash + 1 : path);
	ck_assert_ptr_null(strchr(f.leaf, '/'));
	ck_assert_int_eq(stat(want_dir, &a), 0);
	ck_assert_msg(stat(f.dir, &b) == 0, "there is no %s", f.dir);
	ck_assert_msg(
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino, "%s is not %s", f.dir, want_dir);
	snprintf(got, sizeof(got), "%s/%s", f.dir, f.leaf);
	if (lstat(path, &a) != 0)
		return;
	ck_assert_int_eq(lstat(got, &b), 0);
	ck_assert(a.st_ino == b.st_ino);
}

static const struct {
	const char *path, *meant;
	enum ftx_rc rc;
} sources[] = {
	{ "file", "file", FTX_OK },
	{ "./file", "file", FTX_OK },
	{ "d/file", "d/file", FTX_OK },
	{ "d//e/..//file", "d/file", FTX_OK },
	{ "to_file", "file", FTX_OK },
	{ "to_d_file", "d/file", FTX_OK },
	{ "d/up_to_file", "file", FTX_OK },
	{ "twice", "file", FTX_OK },
	{ "to_d/file", "d/file", FTX_OK },
	{ "to_d/up_to_file", "file", FTX_OK },
	{ "", NULL, FTX_NOT_FOUND },
	{ "missing", NULL, FTX_NOT_FOUND },
	{ "missing/file", NULL, FTX_NOT_FOUND },
	{ "dangling", NULL, FTX_NOT_FOUND },
	{ "d", NULL, FTX_NOT_REGULAR },
	{ "d/", NULL, FTX_NOT_REGULAR },
	{ ".", NULL, FTX_NOT_REGULAR },
	{ "/", NULL, FTX_NOT_REGULAR },
	{ "to_d", NULL, FTX_NOT_REGULAR },
	{ "fifo", NULL, FTX_NOT_REGULAR },
	{ "to_fifo", NULL, FTX_NOT_REGULAR },
	{ "socket", NULL, FTX_NOT_REGULAR },
	{ "/dev/null", NULL, FTX_NOT_REGULAR },
};

START_TEST(test_source)
{
	ck_assert_int_eq(local_file_source(&f, sources[_i].path), sources[_i].rc);
	if (sources[_i].rc == FTX_OK)
		means(sources[_i].meant);
}
END_TEST

START_TEST(test_source_that_is_none)
{
	/* Whatever the code: not OK, and nothing is held. */
	ck_assert_int_ne(local_file_source(&f, "loop_a"), FTX_OK);
	ck_assert_int_ne(local_file_source(&f, "file/"), FTX_OK);
	ck_assert_int_ne(local_file_source(&f, "file/x"), FTX_OK);
}
END_TEST

static const struct {
	const char *path, *meant;
	enum ftx_rc rc;
} targets[] = {
	{ "new", "new", FTX_OK },
	{ "./new", "new", FTX_OK },
	{ "d/new", "d/new", FTX_OK },
	{ "d/../new", "new", FTX_OK },
	{ "file", "file", FTX_OK },
	/* A link's target is what is meant, there or not yet. */
	{ "to_file", "file", FTX_OK },
	{ "to_d_file", "d/file", FTX_OK },
	{ "d/up_to_file", "file", FTX_OK },
	{ "twice", "file", FTX_OK },
	{ "to_d/file", "d/file", FTX_OK },
	{ "to_d/new", "d/new", FTX_OK },
	{ "to_d/up_to_file", "file", FTX_OK },
	{ "dangling", "new", FTX_OK },
	{ "dangling_in_d", "d/new", FTX_OK },
	{ "to_d/e/odd", "d/e/new", FTX_OK },
	/* What is neither file nor directory is meant itself. */
	{ "fifo", "fifo", FTX_OK },
	{ "to_fifo", "to_fifo", FTX_OK },
	{ "socket", "socket", FTX_OK },
	{ "/dev/null", "/dev/null", FTX_OK },
	{ "", NULL, FTX_NOT_REGULAR },
	{ "d", NULL, FTX_NOT_REGULAR },
	{ "d/", NULL, FTX_NOT_REGULAR },
	{ "to_d", NULL, FTX_NOT_REGULAR },
	{ "to_d/", NULL, FTX_NOT_REGULAR },
	{ ".", NULL, FTX_NOT_REGULAR },
	{ "..", NULL, FTX_NOT_REGULAR },
	{ "/", NULL, FTX_NOT_REGULAR },
	{ "new/", NULL, FTX_NOT_REGULAR },
	{ "file/", NULL, FTX_NOT_REGULAR },
	{ "missing/..", NULL, FTX_NOT_REGULAR },
	{ "missing/.", NULL, FTX_NOT_REGULAR },
};

START_TEST(test_target)
{
	ck_assert_int_eq(local_file_target(&f, targets[_i].path), targets[_i].rc);
	if (targets[_i].rc == FTX_OK)
		means(targets[_i].meant);
	/* Looking makes nothing. */
	ck_assert_int_eq(access("new", F_OK), -1);
	ck_assert_int_eq(access("d/new", F_OK), -1);
}
END_TEST

START_TEST(test_target_absolute)
{
	char path[600], link[600];

	snprintf(path, sizeof(path), "%s/d/file", unit_dir());
	ck_assert_int_eq(symlink(path, "absolute"), 0);
	ck_assert_int_eq(symlink(path, "d/absolute"), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(local_file_target(&f, i == 0 ? "absolute" : "d/absolute"), FTX_OK);
		means("d/file");
		local_file_clear(&f);
	}
	/* Seen from elsewhere. */
	snprintf(link, sizeof(link), "%s/d/up_to_file", unit_dir());
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(local_file_target(&f, link), FTX_OK);
	snprintf(path, sizeof(path), "%s/file", unit_dir());
	means(path);
	local_file_clear(&f);
	ck_assert_int_eq(local_file_target(&f, "/new-in-the-top-directory"), FTX_OK);
	ck_assert_str_eq(f.dir, "/");
	ck_assert_str_eq(f.leaf, "new-in-the-top-directory");
}
END_TEST

/* A directory on the way that is not there: one without the other is no use. */
START_TEST(test_target_without_directory)
{
	static const char *const paths[] = { "missing/new", "missing/d/new", "dangling_far" };
	struct stat st;

	if (local_file_target(&f, paths[_i]) == FTX_OK)
		ck_assert_int_ne(stat(f.dir, &st), 0); /* root_open() will say so */
}
END_TEST

START_TEST(test_chains_of_links)
{
	char name[16], to[16] = "file";

	for (int i = 0; i < 45; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		ck_assert_int_eq(symlink(to, name), 0);
		snprintf(to, sizeof(to), "%s", name);
	}
	ck_assert_int_eq(local_file_target(&f, "link38"), FTX_OK); /* 39 of them */
	means("file");
	local_file_clear(&f);
	ck_assert_int_ne(
	    local_file_target(&f, "link44"), FTX_OK); /* the kernel would not, either */
	ck_assert_int_ne(local_file_target(&f, "loop_a"), FTX_OK);
	ck_assert_int_ne(local_file_source(&f, "link44"), FTX_OK);
	ck_assert_int_eq(local_file_source(&f, "link38"), FTX_OK);
	means("file");
}
END_TEST

/* A stranger's link in a directory like /tmp may be there for others to write to what is theirs. */
START_TEST(test_link_of_a_stranger)
{
	static const struct {
		mode_t mode;
		uid_t dir, link;
		enum ftx_rc rc;
	} cases[] = {
		{ 01777, 0, 12345, FTX_ACCESS },
		{ 01777, 0, 0, FTX_OK },
		{ 01777, 12345, 12345, FTX_OK },
		{ 01777, 54321, 12345, FTX_ACCESS },
		{ 0777, 0, 12345, FTX_OK },
		{ 01775, 0, 12345, FTX_OK },
	};

	if (geteuid() != 0)
		return; /* nobody else makes a stranger's link */
	ck_assert_int_eq(mkdir("shared", 0700), 0);
	ck_assert_int_eq(symlink("../new", "shared/link"), 0);
	ck_assert_int_eq(symlink("shared/link", "to"), 0);
	for (int i = 0; i < COUNT(cases); i++) {
		ck_assert_int_eq(chmod("shared", cases[i].mode), 0);
		ck_assert_int_eq(chown("shared", cases[i].dir, 0), 0);
		ck_assert_int_eq(lchown("shared/link", cases[i].link, 0), 0);
		ck_assert_int_eq(local_file_target(&f, "shared/link"), cases[i].rc);
		if (cases[i].rc == FTX_OK)
			means("new");
		local_file_clear(&f);
		ck_assert_int_eq(local_file_target(&f, "to"), cases[i].rc);
		local_file_clear(&f);
		ck_assert_int_eq(chdir("shared"), 0);
		ck_assert_int_eq(local_file_target(&f, "link"), cases[i].rc);
		local_file_clear(&f);
		ck_assert_int_eq(chdir(".."), 0);
	}
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "local_file");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_source, 0, COUNT(sources));
	tcase_add_test(tc, test_source_that_is_none);
	tcase_add_loop_test(tc, test_target, 0, COUNT(targets));
	tcase_add_test(tc, test_target_absolute);
	tcase_add_loop_test(tc, test_target_without_directory, 0, 3);
	tcase_add_test(tc, test_chains_of_links);
	tcase_add_test(tc, test_link_of_a_stranger);
}

int
main(void)
{
	return unit_run("local_file", add_cases);
}
