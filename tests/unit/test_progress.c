/* cli/progress: the bar on a terminal. */
#include "unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/progress.h"

static const struct {
	uint64_t bytes;
	const char *text;
} amounts[] = {
	{ 0, "0 B" },
	{ 1, "1 B" },
	{ 1023, "1023 B" },
	{ 1024, "1.0 KiB" },
	{ 1536, "1.5 KiB" },
	{ 1024 * 1024 - 1, "1.0 MiB" }, /* not 1024.0 KiB */
	{ 1024 * 1024, "1.0 MiB" },
	{ 5 * 1024 * 1024, "5.0 MiB" },
	{ UINT64_C(3) << 30, "3.0 GiB" },
	{ (UINT64_C(1) << 40) - 1, "1.0 TiB" },
	{ UINT64_C(1) << 40, "1.0 TiB" },
	{ UINT64_C(1) << 50, "1.0 PiB" },
	{ UINT64_C(1) << 60, "1.0 EiB" },
	{ INT64_MAX, "8.0 EiB" },
	{ UINT64_MAX, "16.0 EiB" },
};

START_TEST(test_bytes)
{
	char buf[17];

	memset(buf, '#', sizeof(buf));
	ck_assert_ptr_eq(progress_bytes(buf, 16, amounts[_i].bytes), buf);
	ck_assert_str_eq(buf, amounts[_i].text);
	ck_assert_int_eq(buf[16], '#');
}
END_TEST

START_TEST(test_bytes_are_never_1024)
{
	uint64_t seed = 8;
	char buf[16];

	for (int i = 0; i < 200000; i++) {
		uint64_t v = unit_random(&seed) >> (unit_random(&seed) % 64);

		progress_bytes(buf, sizeof(buf), v);
		UNIT_CHECK(strncmp(buf, "1024", 4) != 0 && strlen(buf) <= 10);
	}
}
END_TEST

static void
line(char *buf, size_t size, uint64_t moved, uint64_t total, uint64_t elapsed, unsigned columns)
{
	memset(buf, '#', size);
	progress_line(buf, size, "label", moved, total, elapsed, columns);
	ck_assert_uint_lt(strnlen(buf, size), size);
}

START_TEST(test_line)
{
	char buf[400];

	line(buf, sizeof(buf), 512 * 1024, 1024 * 1024, 1000, 100);
	ck_assert_msg(strstr(buf, " 50%") != NULL, "%s", buf);
	ck_assert_msg(strstr(buf, "512.0 KiB") != NULL, "%s", buf);
	ck_assert_msg(strstr(buf, "512.0 KiB/s") != NULL, "%s", buf);
	ck_assert_msg(strstr(buf, "00:01") != NULL, "%s", buf);
	ck_assert_msg(strstr(buf, "label") == buf, "%s", buf);
	ck_assert_msg(strstr(buf, "[##") != NULL && strstr(buf, "--]") != NULL, "%s", buf);
	line(buf, sizeof(buf), 1024, 1024, 1000, 100);
	ck_assert_msg(strstr(buf, "100%") != NULL && strstr(buf, "#]") != NULL, "%s", buf);
	line(buf, sizeof(buf), 0, 1024, 0, 100);
	ck_assert_msg(strstr(buf, " 0%") != NULL && strstr(buf, "[-") != NULL, "%s", buf);
	/* How long it takes is not known at once, nor when it would take for ever. */
	ck_assert_msg(strstr(buf, "--:--") != NULL, "%s", buf);
	line(buf, sizeof(buf), 1, UINT64_MAX, 1000, 100);
	ck_assert_msg(strstr(buf, "--:--") != NULL, "%s", buf);
	line(buf, sizeof(buf), 10, 36010, 1000, 100);
	ck_assert_msg(strstr(buf, "1:00:00") != NULL, "%s", buf);
	/* 100 % is said when it is so. */
	line(buf, sizeof(buf), 999999, 1000000, 1000, 100);
	ck_assert_msg(strstr(buf, " 99%") != NULL, "%s", buf);
}
END_TEST

/* Nothing is wider than the screen: a line that wraps cannot be drawn over. */
/* 80 columns are what a terminal has. */
START_TEST(test_bar_on_an_ordinary_terminal)
{
	char buf[512];

	line(buf, sizeof(buf), 50, 100, 1000, 80);
	ck_assert_msg(strstr(buf, "[####") != NULL, "no bar in \"%s\"", buf);
}
END_TEST

START_TEST(test_line_fits)
{
	static const uint64_t sizes[] = { 0, 1, 1023, 1024 * 1024 - 1, INT64_MAX, UINT64_MAX };
	char buf[400];

	for (unsigned columns = 1; columns <= 300; columns++) {
		for (int m = 0; m < COUNT(sizes); m++) {
			for (int t = 0; t < COUNT(sizes); t++) {
				line(buf, sizeof(buf), sizes[m], sizes[t], 3599000, columns);
				ck_assert_msg(strlen(buf) <= columns,
				    "%u columns, and a line of %zu: \"%s\"", columns, strlen(buf),
				    buf);
			}
		}
	}
}
END_TEST

START_TEST(test_line_in_little_room)
{
	char buf[400];

	for (size_t size = 1; size < 120; size++) {
		memset(buf, '#', sizeof(buf));
		progress_line(buf, size, "label", 1, 2, 3, 80);
		UNIT_CHECK(strnlen(buf, size) < size);
		UNIT_CHECK(buf[size] == '#');
	}
}
END_TEST

/* More than was announced: an odd peer, not the end of the program. */
START_TEST(test_line_beyond_the_end)
{
	static const uint64_t moved[] = { 101, 200, 100000, UINT64_MAX };
	char buf[400];

	for (int i = 0; i < COUNT(moved); i++) {
		for (unsigned columns = 20; columns < 200; columns += 7)
			line(buf, sizeof(buf), moved[i], 100, 1000, columns);
		ck_assert_msg(strstr(buf, "100%") != NULL, "%s", buf);
	}
}
END_TEST

/* A name of letters that take several bytes each is not cut in the middle of one. */
START_TEST(test_label_is_cut_whole)
{
	char label[400] = "", buf[400];

	for (int i = 0; i < 60; i++)
		strcat(label, "\xe2\x82\xac");
	for (unsigned columns = 50; columns < 120; columns++) {
		size_t n = 0;

		progress_line(buf, sizeof(buf), label, 1, 2, 3, columns);
		while (strncmp(buf + n, "\xe2\x82\xac", 3) == 0)
			n += 3;
		ck_assert_msg(
		    ((unsigned char)buf[n] & 0x80) == 0, "%u columns: half a letter", columns);
	}
}
END_TEST

/* On the screen. */
static int terminal;

static void
open_terminal(void)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 70 };
	int fd;

	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
		return;
	fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TIOCSWINSZ, &ws), 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
}

/* What came to the screen since the last time. */
static const char *
screen(void)
{
	static char got[2000];
	ssize_t n = read(terminal, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

START_TEST(test_on_a_terminal)
{
	struct progress p;
	const char *s;

	open_terminal();
	if (terminal < 0)
		return;
	progress_init(&p, "label", false);
	ck_assert(p.enabled && p.colour && !p.shown);
	progress_hide(&p);
	ck_assert_str_eq(screen(), "");
	progress_show(&p, 1, 2);
	ck_assert(p.shown);
	s = screen();
	ck_assert_int_eq(s[0], '\r');
	ck_assert_ptr_null(strchr(s, '\n'));
	ck_assert_ptr_nonnull(strstr(s, "50%"));
	ck_assert_ptr_nonnull(strstr(s, "\x1b[36m"));
	progress_hide(&p);
	ck_assert_str_eq(screen(), "\r\x1b[K");
	progress_hide(&p);
	ck_assert_str_eq(screen(), "");
	/* As the user wishes. */
	setenv("NO_COLOR", "1", 1);
	progress_init(&p, "label", false);
	ck_assert(p.enabled && !p.colour);
	progress_show(&p, 1, 2);
	ck_assert_ptr_null(strstr(screen(), "\x1b[3"));
	setenv("NO_COLOR", "", 1); /* empty: not set (no-color.org) */
	progress_init(&p, "label", false);
	ck_assert(p.colour);
	setenv("TERM", "dumb", 1);
	progress_init(&p, "label", false);
	ck_assert(!p.colour);
	progress_init(&p, "label", true);
	ck_assert(!p.enabled);
	progress_show(&p, 1, 2);
	ck_assert(!p.shown);
	ck_assert_str_eq(screen(), "");
}
END_TEST

START_TEST(test_into_a_file)
{
	struct progress p;
	int fd = open("stderr", O_RDWR | O_CREAT, 0600);

	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	setenv("TERM", "xterm", 1);
	progress_init(&p, "label", false);
	ck_assert(!p.enabled);
	progress_show(&p, 1, 2);
	progress_hide(&p);
	unit_holds("stderr", "", 0);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "text");

	tcase_add_loop_test(tc, test_bytes, 0, COUNT(amounts));
	tcase_add_test(tc, test_bar_on_an_ordinary_terminal);
	tcase_add_test(tc, test_bytes_are_never_1024);
	tcase_add_test(tc, test_line);
	tcase_add_test(tc, test_line_fits);
	tcase_add_test(tc, test_line_in_little_room);
	tcase_add_test(tc, test_line_beyond_the_end);
	tcase_add_test(tc, test_label_is_cut_whole);
	tc = unit_case(s, "screen");
	tcase_add_checked_fixture(tc, unit_enter_dir, NULL);
	tcase_add_test(tc, test_on_a_terminal);
	tcase_add_test(tc, test_into_a_file);
}

int
main(void)
{
	return unit_run("progress", add_cases);
}
