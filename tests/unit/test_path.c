/* store/path: the jail that names are resolved in. Names: test_path_name.c, one program. */
#include "unit/test_path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/path.h"

static int root_fd;

static const unsigned ways[] = { 0, PATH_NO_OPENAT2, PATH_SEARCH_ONLY,
	PATH_NO_OPENAT2 | PATH_SEARCH_ONLY };

/* root/ with all that can stand in the way, and a secret beside it. */
static void
make_tree(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "root/socket" };
	int fd;

	unit_enter_dir();
	ck_assert_int_eq(mkdir("outside", 0755), 0);
	unit_write("outside/secret", "secret", 6);
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(mkdir("root/d", 0755), 0);
	ck_assert_int_eq(mkdir("root/d/e", 0755), 0);
	unit_write("root/file", "content", 7);
	unit_write("root/d/e/file", "deep", 4);
	ck_assert_int_eq(symlink("/", "root/to_top"), 0);
	ck_assert_int_eq(symlink("../outside", "root/to_outside"), 0);
	ck_assert_int_eq(symlink("d", "root/to_d"), 0);
	ck_assert_int_eq(symlink("..", "root/d/up"), 0);
	ck_assert_int_eq(symlink(".", "root/d/here"), 0);
	ck_assert_int_eq(symlink("nowhere", "root/broken"), 0);
	ck_assert_int_eq(symlink("loop", "root/loop"), 0);
	ck_assert_int_eq(symlink("file", "root/to_file"), 0);
	ck_assert_int_eq(symlink("/proc/self/cwd", "root/magic"), 0);
	ck_assert_int_eq(mkfifo("root/fifo", 0644), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	root_fd = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root_fd, 0);
}

static void
same_directory(int fd, const char *path)
{
	struct stat a, b;

	ck_assert_int_eq(fstat(fd, &a), 0);
	ck_assert_int_eq(stat(path, &b), 0);
	ck_assert(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

START_TEST(test_parent_good)
{
	static const char *const names[][3] = {
		{ "x", "root", "x" }, { "d/x", "root/d", "x" }, { "d/e/x", "root/d/e", "x" },
		{ "d/e/file", "root/d/e", "file" },
		{ "to_file", "root", "to_file" }, /* what the leaf is comes later */
	};
	unsigned flags = ways[_i];
	const char *leaf;
	int fd;

	for (int i = 0; i < COUNT(names); i++) {
		ck_assert_int_eq(path_open_parent(root_fd, flags, names[i][0], &fd, &leaf), FTX_OK);
		same_directory(fd, names[i][1]);
		ck_assert_str_eq(leaf, names[i][2]);
		ck_assert_ptr_eq(leaf, names[i][0] + strlen(names[i][0]) - strlen(leaf));
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		/* It is to be made durable. */
		if ((flags & PATH_SEARCH_ONLY) == 0)
			ck_assert_int_eq(fsync(fd), 0);
		close(fd);
	}
}
END_TEST

START_TEST(test_parent_bad)
{
	static const char *const names[] = { "to_top/x", "to_top/etc/x", "to_outside/secret",
		"to_d/x", "to_d/e/x", "d/up/x", "d/up/d/x", "d/here/x", "d/here/e/x", "d/up/up/x",
		"broken/x", "loop/x", "magic/x", "to_file/x", "missing/x", "d/missing/x",
		"d/missing/more/x", "file/x", "d/e/file/x", "fifo/x", "fifo/d/x", "socket/x",
		"/etc/x" };
	unsigned flags = ways[_i];
	int before = unit_descriptors();
	const char *leaf;
	int fd;

	for (int i = 0; i < COUNT(names); i++) {
		enum ftx_rc rc = path_open_parent(root_fd, flags, names[i], &fd, &leaf);

		ck_assert_msg(rc == FTX_NO_PARENT, "%s: %s", names[i], ftx_rc_name(rc));
	}
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* No peer's name comes so far, but the kernel keeps the jail by itself. */
START_TEST(test_parent_dots_with_openat2)
{
	static const char *const names[] = { "../x", "../outside/secret", "d/../../outside/secret",
		"d/../../../../../etc/x" };
	const char *leaf;
	int fd;

	for (int i = 0; i < COUNT(names); i++) {
		ck_assert_int_eq(path_open_parent(root_fd, 0, names[i], &fd, &leaf), FTX_NO_PARENT);
	}
}
END_TEST

START_TEST(test_parent_permissions)
{
	unsigned flags = ways[_i];
	enum ftx_rc unreadable = (flags & PATH_SEARCH_ONLY) != 0 ? FTX_OK : FTX_ACCESS;
	const char *leaf;
	int fd;

	ck_assert_int_eq(mkdir("root/shut", 0755), 0);
	ck_assert_int_eq(mkdir("root/shut/in", 0755), 0);
	ck_assert_int_eq(chmod("root/shut", 0), 0);
	ck_assert_int_eq(mkdir("root/blind", 0755), 0);
	ck_assert_int_eq(mkdir("root/blind/in", 0755), 0);
	ck_assert_int_eq(chmod("root/blind", 0111), 0);
	unit_drop_root();
	ck_assert_int_eq(path_open_parent(root_fd, flags, "shut/in/x", &fd, &leaf), FTX_ACCESS);
	/* A directory that may be searched but not listed. */
	ck_assert_int_eq(path_open_parent(root_fd, flags, "blind/x", &fd, &leaf), unreadable);
	if (unreadable == FTX_OK)
		close(fd);
}
END_TEST

/* On the way through it, searching is enough, whichever way is taken. */
START_TEST(test_parent_beyond_an_unreadable_one)
{
	const char *leaf;
	int fd;

	ck_assert_int_eq(mkdir("root/blind", 0755), 0);
	ck_assert_int_eq(mkdir("root/blind/in", 0755), 0);
	ck_assert_int_eq(chmod("root/blind", 0111), 0);
	unit_drop_root();
	ck_assert_int_eq(path_open_parent(root_fd, ways[_i], "blind/in/x", &fd, &leaf), FTX_OK);
	same_directory(fd, "root/blind/in");
	close(fd);
}
END_TEST

/* The longest names that path_normalize() lets through. */
START_TEST(test_parent_long)
{
	static const struct path_rules any = { .alphabet = PATH_BYTES };
	char name[PATH_NAME_MAX + 1], out[PATH_NAME_MAX + 1];
	int fd = dup(root_fd);
	const char *leaf;

	make_long(name, PATH_NAME_MAX, 254);
	ck_assert_int_eq(path_normalize(&any, name, PATH_NAME_MAX, out, sizeof(out)), FTX_OK);
	for (char *c = name, *end; (end = strchr(c, '/')) != NULL; c = end + 1) {
		int next;

		*end = '\0';
		ck_assert_int_eq(mkdirat(fd, c, 0755), 0);
		next = openat(fd, c, O_RDONLY | O_DIRECTORY);
		ck_assert_int_ge(next, 0);
		close(fd);
		fd = next;
	}
	close(fd);
	ck_assert_int_eq(path_open_parent(root_fd, ways[_i], out, &fd, &leaf), FTX_OK);
	ck_assert_str_eq(leaf, strrchr(out, '/') + 1);
	close(fd);
}
END_TEST

START_TEST(test_file_good)
{
	char got[16];
	int fd = -1;

	ck_assert_int_eq(path_open_file(root_fd, "file", &fd), FTX_OK);
	ck_assert_int_eq(read(fd, got, sizeof(got)), 7);
	ck_assert_mem_eq(got, "content", 7);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

START_TEST(test_file_bad)
{
	static const struct {
		const char *leaf;
		enum ftx_rc rc;
	} cases[] = {
		{ "missing", FTX_NOT_FOUND },
		{ "d", FTX_NOT_REGULAR },
		{ ".", FTX_NOT_REGULAR },
		{ "..", FTX_NOT_REGULAR },
		{ "fifo", FTX_NOT_REGULAR },
		{ "socket", FTX_NOT_REGULAR },
		{ "to_file", FTX_NOT_REGULAR },
		{ "broken", FTX_NOT_REGULAR },
		{ "loop", FTX_NOT_REGULAR },
		{ "to_top", FTX_NOT_REGULAR },
		{ "magic", FTX_NOT_REGULAR },
	};
	int before = unit_descriptors(), fd;
	char name[300];

	for (int i = 0; i < COUNT(cases); i++) {
		enum ftx_rc rc = path_open_file(root_fd, cases[i].leaf, &fd);

		ck_assert_msg(rc == cases[i].rc, "%s: %s", cases[i].leaf, ftx_rc_name(rc));
	}
	make_long(name, 256, 256);
	ck_assert_int_eq(path_open_file(root_fd, name, &fd), FTX_BAD_NAME);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* Opening a FIFO or a device does things: they are looked at only. */
START_TEST(test_file_does_not_touch_others)
{
	char got[sizeof(struct inotify_event) + 256];
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), dev = open("/dev", O_RDONLY), fd;

	ck_assert_int_ge(inotify_add_watch(watch, "root/fifo", IN_OPEN), 0);
	ck_assert_int_eq(path_open_file(root_fd, "fifo", &fd), FTX_NOT_REGULAR);
	ck_assert_int_eq(path_open_file(dev, "null", &fd), FTX_NOT_REGULAR);
	ck_assert_int_eq(read(watch, got, sizeof(got)), -1);
	/* It would have been seen. */
	fd = open("root/fifo", O_RDONLY | O_NONBLOCK);
	ck_assert_int_gt(read(watch, got, sizeof(got)), 0);
	close(fd);
	close(dev);
	close(watch);
}
END_TEST

START_TEST(test_file_permissions)
{
	int fd;

	ck_assert_int_eq(chmod("root/file", 0200), 0);
	unit_drop_root();
	ck_assert_int_eq(path_open_file(root_fd, "file", &fd), FTX_ACCESS);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "jail");

	add_name_cases(s);
	tcase_add_checked_fixture(tc, make_tree, NULL);
	tcase_add_loop_test(tc, test_parent_good, 0, COUNT(ways));
	tcase_add_loop_test(tc, test_parent_bad, 0, COUNT(ways));
	tcase_add_test(tc, test_parent_dots_with_openat2);
	tcase_add_loop_test(tc, test_parent_permissions, 0, COUNT(ways));
	tcase_add_loop_test(tc, test_parent_beyond_an_unreadable_one, 0, COUNT(ways));
	tcase_add_loop_test(tc, test_parent_long, 0, COUNT(ways));
	tcase_add_test(tc, test_file_good);
	tcase_add_test(tc, test_file_bad);
	tcase_add_test(tc, test_file_does_not_touch_others);
	tcase_add_test(tc, test_file_permissions);
}

int
main(void)
{
	return unit_run("path", add_cases);
}
