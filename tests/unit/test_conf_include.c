/* conf: which files are read: missing ones, odd ones, what they include. Part of test_conf. */
#include "unit/test_conf.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/source.h"

#define PATH_SIZE 512

static char dir[PATH_SIZE];

void
conf_setup_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	conf_setup();
	snprintf(dir, sizeof(dir), "%s/test_conf.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

/* "DIR/name"; one of two buffers, in turn. */
const char *
conf_path(const char *name)
{
	static char paths[2][PATH_SIZE * 2];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, PATH_SIZE * 2, "%s/%s", dir, name);
	return path;
}

void
conf_teardown_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ck_assert_int_eq(remove(conf_path(e->d_name)), 0);
	}
	closedir(d);
	ck_assert_int_eq(rmdir(dir), 0);
	conf_teardown();
}

static void
write_bytes(const char *name, const char *p, size_t len)
{
	FILE *f = fopen(conf_path(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

void
conf_write(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/*
 * Loads DIR/main.conf and asserts that it is refused with that text at name:line (name NULL:
 * nowhere).
 */
void
conf_refused(const char *name, unsigned line, const char *text)
{
	ck_assert_msg(
	    !conf_load(&set, conf_path("main.conf"), NULL, &err), "not refused: %s", text);
	ck_assert_str_eq(err.text, text);
	ck_assert_str_eq(err.file, name == NULL ? "" : conf_path(name));
	ck_assert_uint_eq(err.line, line);
}

void
conf_accepted(void)
{
	ck_assert_msg(conf_load(&set, conf_path("main.conf"), NULL, &err), "%s:%u: %s", err.file,
	    err.line, err.text);
}

START_TEST(no_such_file)
{
	char want[PATH_SIZE * 3];
	bool missing = false;

	snprintf(want, sizeof(want), "cannot read \"%s/none\": No such file or directory", dir);
	ck_assert(!conf_load(&set, conf_path("none"), &missing, &err));
	ck_assert(missing);
	ck_assert_str_eq(err.text, want);
	ck_assert_str_eq(err.file, "");

	snprintf(want, sizeof(want), "cannot read \"%s\": Is a directory", dir);
	ck_assert(!conf_load(&set, dir, &missing, &err));
	ck_assert(!missing);
	ck_assert_str_eq(err.text, want);

	conf_write("main.conf", "@include \"none\"");
	snprintf(want, sizeof(want), "cannot include \"%s/none\": No such file or directory", dir);
	ck_assert(!conf_load(&set, conf_path("main.conf"), &missing, &err));
	ck_assert(!missing); /* the main file is there */
	ck_assert_str_eq(err.text, want);
}
END_TEST

START_TEST(unreadable_file)
{
	conf_write("main.conf", "");
	ck_assert_int_eq(chmod(conf_path("main.conf"), 0), 0);
	if (access(conf_path("main.conf"), R_OK) == 0)
		return; /* root reads everything */
	ck_assert(!conf_load(&set, conf_path("main.conf"), NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "main.conf\": Permission denied"));
}
END_TEST

START_TEST(nul_bytes)
{
	write_bytes("main.conf", "level = 1;\nbig\0= 9;", 19);
	conf_refused("main.conf", 2, "there is a NUL byte here: this is not a text");
	conf_write("main.conf", "\n@include \"inc.conf\"");
	write_bytes("inc.conf", "\n\n\0", 3);
	conf_refused("inc.conf", 3, "there is a NUL byte here: this is not a text");
}
END_TEST

START_TEST(too_much)
{
	char *text = malloc(SOURCE_SIZE_MAX + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', SOURCE_SIZE_MAX + 1);
	write_bytes("main.conf", text, SOURCE_SIZE_MAX);
	conf_accepted();
	write_bytes("main.conf", text, SOURCE_SIZE_MAX + 1);
	ck_assert(!conf_load(&set, conf_path("main.conf"), NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "main.conf\": a configuration of over 1 MiB"));
	write_bytes("inc.conf", text, SOURCE_SIZE_MAX / 2);
	conf_write("main.conf", "@include \"inc.conf\"\n@include \"inc.conf\"\n");
	ck_assert(!conf_load(&set, conf_path("main.conf"), NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "inc.conf\": a configuration of over 1 MiB"));
	ck_assert_uint_eq(err.line, 2);
	free(text);
}
END_TEST

START_TEST(deeply_nested_groups)
{
	char text[30001];

	memset(text, '(', sizeof(text) - 1);
	memcpy(text, "a = ", 4);
	text[sizeof(text) - 1] = '\0';
	conf_write("main.conf", text);
	ck_assert(!conf_load(&set, conf_path("main.conf"), NULL, &err));
	ck_assert_uint_eq(err.line, 1);
}
END_TEST

START_TEST(include_beside_the_main_file)
{
	ck_assert_int_eq(mkdir(conf_path("sub"), 0700), 0);
	conf_write("main.conf", "level = 1;\n"
				"  @include\t\"sub/a.conf\" color = false;\n"
				"delay = 9;\n"
				"@include \"b.conf\"\n");
	conf_write(
	    "sub/a.conf", "big = 7;\n@include \"b\\\"2.conf\"\nmax_file_size = \"1k\" # end");
	conf_write("b\"2.conf", "listen_port = 5;");
	conf_write("b.conf", "");
	conf_accepted();
	ck_assert_uint_eq(sample.level, 1);
	ck_assert_uint_eq(sample.big, 7);
	ck_assert_uint_eq(sample.port, 5);
	ck_assert_uint_eq(sample.max_file_size, 1024);
	ck_assert_uint_eq(sample.delay, 9000);
	ck_assert(!sample.color);

	/* the lines, after the includes and in them */
	conf_write("main.conf", "level = 1;\n@include \"b.conf\"\n\nlistn = 9;\n");
	conf_refused("main.conf", 4, "unknown option \"listn\"");
	conf_write("main.conf", "@include \"b.conf\" level = 1 listn = 9;\n");
	conf_refused("main.conf", 1, "unknown option \"listn\"");
	conf_write("b.conf", "\nlevel = \"x\";");
	conf_write("main.conf", "\n\n@include \"b.conf\"\n");
	conf_refused("b.conf", 2, "level: expected a number, not a string");
	conf_write("b.conf", "\n\nlevel = 3000000001;");
	conf_refused(
	    "b.conf", 3, "3000000001 does not fit in 32 bits and would be cut: write 3000000001L");
	conf_write("b.conf", "\nlevel = 1;;;");
	conf_refused("b.conf", 2, SYNTAX_ERROR);
	conf_write("b.conf", "log_file = \"\n");
	conf_refused("b.conf", 1, "a string starts here and does not end");
	conf_write("b.conf", "level = 5;");
	conf_write("main.conf", "level = 1;\n@include \"b.conf\"\n");
	conf_refused("b.conf", 1, "duplicate setting name: level");
	ck_assert_int_eq(remove(conf_path("sub/a.conf")), 0);
}
END_TEST

START_TEST(text_for_libconfig)
{
	struct source src;
	bool missing;

	/* newer versions of libconfig take 010 for 8: none gets to see it */
	conf_write(
	    "main.conf", "a = 0640; // 007\n@include \"b.conf\" d = [ 00, 0x0F, 0.50, +07 ]");
	conf_write("b.conf", "b = -010L; c = \"007\"");
	ck_assert(source_read(&src, conf_path("main.conf"), &missing, &err));
	ck_assert_str_eq(src.text, "a = 640; // 007\n"
				   "b = -10L; c = \"007\"\n"
				   " d = [ 0, 0x0F, 0.50, +7 ]\n");
	source_clear(&src);
}
END_TEST

START_TEST(include_from_elsewhere)
{
	char text[PATH_SIZE * 2];

	conf_write("b.conf", "level = 42;");
	snprintf(text, sizeof(text), "@include \"%s/b.conf\"", dir); /* absolute */
	conf_write("main.conf", text);
	conf_accepted();
	ck_assert_uint_eq(sample.level, 42);

	ck_assert_int_eq(chdir(dir), 0); /* no directory in the name: the current one */
	conf_write("main.conf", "@include \"b.conf\" level = 6");
	ck_assert(!conf_load(&set, "main.conf", NULL, &err));
	ck_assert_str_eq(err.file, "main.conf");
	conf_write("b.conf", "levle = 42;");
	ck_assert(!conf_load(&set, "main.conf", NULL, &err));
	ck_assert_str_eq(err.file, "b.conf");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Asserts that main.conf fails at name:line with "cannot include "DIR/what": why". */
static void
include_refused(const char *name, unsigned line, const char *what, const char *why)
{
	char text[PATH_SIZE * 3];

	snprintf(text, sizeof(text), "cannot include \"%s/%s\": %s", dir, what, why);
	conf_refused(name, line, text);
}

START_TEST(include_of_what_is_no_file)
{
	ck_assert_int_eq(mkdir(conf_path("sub"), 0700), 0);
	ck_assert_int_eq(mkfifo(conf_path("fifo"), 0600), 0);
	conf_write("main.conf", "\n@include \"sub\"\n"); /* libconfig 1.5 would exit */
	include_refused("main.conf", 2, "sub", "Is a directory");
	conf_write("main.conf", "\n@include \"\"\n");
	include_refused("main.conf", 2, "", "Is a directory");
	conf_write("main.conf", "@include \"fifo\"\n"); /* and here wait */
	include_refused("main.conf", 1, "fifo", "it is not a regular file");
	conf_write("main.conf", "\n\n@include \"b.conf\"\n");
	conf_write("b.conf", "level = 1;\n@include \"none\"\n");
	include_refused("b.conf", 2, "none", "No such file or directory");
}
END_TEST

START_TEST(include_loops_and_depth)
{
	char name[16], text[64];

	conf_write("main.conf", "level = 1;\n@include \"b.conf\"\n");
	conf_write("b.conf", "\n\n@include \"main.conf\"\n");
	include_refused("b.conf", 3, "main.conf", "it includes itself");
	conf_write("b.conf", "@include \"b.conf\"\n");
	include_refused("b.conf", 1, "b.conf", "it includes itself");

	conf_write("main.conf", "@include \"1\"\n");
	for (int i = 1; i < SOURCE_DEPTH_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(text, sizeof(text), "@include \"%d\"\n", i + 1);
		conf_write(name, text);
	}
	conf_write("10", "level = 10;");
	conf_write("11", "level = 11;");
	conf_accepted();
	ck_assert_uint_eq(sample.level, 10);
	conf_write("10", "\n@include \"11\"\n");
	include_refused("10", 2, "11", "includes are nested too deep");
}
END_TEST

START_TEST(long_path_keeps_its_end)
{
	char path[PATH_SIZE * 2];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s", dir);

	while (len < 400)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/.");
	snprintf(path + len, sizeof(path) - len, "/main.conf");
	conf_write("main.conf", "levle = 1");
	ck_assert(!conf_load(&set, path, NULL, &err));
	ck_assert_uint_eq(strlen(err.file), sizeof(err.file) - 1);
	ck_assert_str_eq(err.file + sizeof(err.file) - sizeof("/main.conf"), "/main.conf");
	ck_assert_int_eq(strncmp(err.file, "...", 3), 0);
}
END_TEST

Suite *
conf_include_suite(void)
{
	Suite *s = suite_create("conf/include");
	TCase *tc = tcase_create("include");

	tcase_add_checked_fixture(tc, conf_setup_dir, conf_teardown_dir);
	tcase_add_test(tc, no_such_file);
	tcase_add_test(tc, unreadable_file);
	tcase_add_test(tc, nul_bytes);
	tcase_add_test(tc, too_much);
	tcase_add_test(tc, deeply_nested_groups);
	tcase_add_test(tc, include_beside_the_main_file);
	tcase_add_test(tc, text_for_libconfig);
	tcase_add_test(tc, include_from_elsewhere);
	tcase_add_test(tc, include_of_what_is_no_file);
	tcase_add_test(tc, include_loops_and_depth);
	tcase_add_test(tc, long_path_keeps_its_end);
	suite_add_tcase(s, tc);
	return s;
}
