/* base/log: what may stand in a line, where lines go, names in quotes. */
#include "unit/unit.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static char line[4096]; /* the last one that the hook got */
static enum log_level line_level;
static int lines;

static void
take_line(enum log_level level, const char *text)
{
	line_level = level;
	snprintf(line, sizeof(line), "%s", text);
	lines++;
}

/* The bytes of a string are well-formed UTF-8 without any control character (C0, DEL, C1). */
static bool
is_clean(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	for (; *p != '\0'; p++) {
		int more = *p < 0x80 ? 0 : *p < 0xc2 ? -1 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;

		if (*p < 0x20 || *p == 0x7f || more < 0 || *p > 0xf4)
			return false;
		if (*p == 0xc2 && p[1] < 0xa0)
			return false;
		while (more-- > 0) {
			if ((*++p & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

START_TEST(test_levels)
{
	log_set_hook(take_line);
	log_set_level(LOG_LEVEL_WARN);
	log_debug("d");
	log_info("i");
	ck_assert_int_eq(lines, 0);
	ck_assert(!log_is_debug());
	log_warn("w %d", 7);
	ck_assert_int_eq(lines, 1);
	ck_assert_int_eq(line_level, LOG_LEVEL_WARN);
	ck_assert_str_eq(line, "w 7");
	log_error("e");
	ck_assert_int_eq(lines, 2);
	ck_assert_int_eq(line_level, LOG_LEVEL_ERROR);
	log_set_level(LOG_LEVEL_DEBUG);
	ck_assert(log_is_debug());
	log_debug("d");
	log_info("i");
	ck_assert_int_eq(lines, 4);
	ck_assert_int_eq(line_level, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(test_line_has_no_control_characters)
{
	char text[4] = { 'a', 0, 'b', '\0' };

	log_set_hook(take_line);
	for (int byte = 1; byte < 256; byte++) {
		text[1] = (char)byte;
		log_info("%s", text);
		ck_assert_uint_eq(strlen(line), 3);
		ck_assert(line[0] == 'a' && line[2] == 'b');
		ck_assert_msg(is_clean(line), "byte 0x%02x went through as it was", byte);
		if (byte >= 0x20 && byte < 0x7f)
			ck_assert_int_eq(line[1], byte);
	}
}
END_TEST

START_TEST(test_line_keeps_utf8)
{
	static const char text[] = "Gr\xc3\xbc\xc3\x9f"
				   "e \xe2\x82\xac \xf0\x9f\x98\x80";

	log_set_hook(take_line);
	log_info("%s", text);
	ck_assert_str_eq(line, text);
	/* A control character of two bytes (C1: U+009B, what ESC [ is on some terminals). */
	log_info("a\xc2\x9b"
		 "b");
	ck_assert_msg(is_clean(line), "U+009B went through");
}
END_TEST

START_TEST(test_line_is_cut_clean)
{
	char text[6000];

	log_set_hook(take_line);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	ck_assert_uint_gt(strlen(line), 1000);
	ck_assert_uint_lt(strlen(line), 3000);
	/* Wherever the cut is, it leaves no half of a character. */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 4);
		text[sizeof(text) - 4] = '\0';
		log_info("%s", text);
		ck_assert_msg(is_clean(line), "the cut line ends in half a character");
	}
}
END_TEST

/* Standard error is a file from here on. */
static void
catch_stderr(void)
{
	int fd = open("stderr", O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

START_TEST(test_style_tool)
{
	static const char want[] = "prog: info\nprog: warning: warned\nprog: wrong\n";

	catch_stderr();
	log_open("prog", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	log_info("info");
	log_warn("warned");
	log_error("wrong");
	log_debug("nobody wants to know");
	unit_holds("stderr", want, sizeof(want) - 1);
}
END_TEST

START_TEST(test_style_journal)
{
	static const char want[] = "<3>e\n<4>w\n<6>i\n<7>d\n";

	catch_stderr();
	log_open("prog", LOG_STYLE_JOURNAL, LOG_LEVEL_DEBUG);
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	unit_holds("stderr", want, sizeof(want) - 1);
}
END_TEST

START_TEST(test_style_daemon)
{
	static const char form[] = "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6]"
				   "[0-9]\\.[0-9]{3}Z prog\\[[0-9]+\\] warning: it is late\n$";
	char text[200];
	regex_t re;
	ssize_t n;
	int fd;

	catch_stderr();
	unsetenv("JOURNAL_STREAM");
	log_open("prog", LOG_STYLE_DAEMON, LOG_LEVEL_WARN);
	log_warn("it is %s", "late");
	fd = open("stderr", O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_int_eq(regcomp(&re, form, REG_EXTENDED | REG_NOSUB), 0);
	ck_assert_msg(regexec(&re, text, 0, NULL, 0) == 0, "%s", text);
	regfree(&re);
}
END_TEST

START_TEST(test_daemon_finds_the_journal)
{
	struct stat st;
	char id[64];

	catch_stderr();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(id, sizeof(id), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", id, 1);
	log_open("prog", LOG_STYLE_DAEMON, LOG_LEVEL_INFO);
	log_info("i");
	unit_holds("stderr", "<6>i\n", 5);
	/* That of another service, inherited by accident. */
	snprintf(id, sizeof(id), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", id, 1);
	catch_stderr();
	log_open("prog", LOG_STYLE_DAEMON, LOG_LEVEL_INFO);
	log_info("i");
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	ck_assert_int_gt(st.st_size, 20);
}
END_TEST

static off_t
written(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	return st.st_size;
}

START_TEST(test_held_lines_come_together)
{
	static const char want[] = "p: a\np: b\np: c\np: d\n";

	catch_stderr();
	log_open("p", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	log_hold();
	log_info("a");
	log_hold();
	log_info("b");
	log_release();
	ck_assert_int_eq(written(), 0);
	log_flush();
	ck_assert_int_eq(written(), 10);
	log_info("c");
	ck_assert_int_eq(written(), 10);
	log_release();
	ck_assert_int_eq(written(), 15);
	log_info("d");
	unit_holds("stderr", want, sizeof(want) - 1);
}
END_TEST

START_TEST(test_held_lines_do_not_wait_behind_an_error)
{
	static const char want[] = "p: a\np: warning: b\np: c\n";

	catch_stderr();
	log_open("p", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	log_hold();
	log_info("a");
	log_warn("b");
	ck_assert_int_eq(written(), 19);
	log_info("c");
	log_release();
	unit_holds("stderr", want, sizeof(want) - 1);
}
END_TEST

/* On a pipe lines of several processes would mix in a write of more (pipe(7)). */
START_TEST(test_held_lines_are_written_within_4096_bytes)
{
	char text[1000], got[8192];
	int fds[2];
	ssize_t n;

	/* Of each write a packet of its own: pipe(2). */
	ck_assert_int_eq(pipe2(fds, O_DIRECT | O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	log_open("p", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 4] = '\0'; /* with "p: " and its end 1000 bytes */
	log_hold();
	for (int i = 0; i < 9; i++)
		log_info("%s", text);
	log_release();
	for (int i = 0; i < 3; i++) {
		n = read(fds[0], got, sizeof(got));
		ck_assert_int_eq(n, i < 2 ? 4000 : 1000);
		ck_assert(memcmp(got, "p: x", 4) == 0 && got[n - 1] == '\n');
	}
	ck_assert_int_eq(read(fds[0], got, sizeof(got)), -1);
}
END_TEST

START_TEST(test_fatal)
{
	log_set_hook(take_line);
	log_fatal(78, "no such file");
}
END_TEST

/* log_quote(). */
static const struct {
	const char *in;
	size_t len;
	const char *out;
} quotes[] = {
	{ "", 0, "\"\"" },
	{ "a b", 3, "\"a b\"" },
	{ "a\0b", 3, "\"a\\x00b\"" },
	{ "\"\\", 2, "\"\\x22\\x5c\"" },
	{ "\r\n\x1b[2J\x7f", 7, "\"\\x0d\\x0a\\x1b[2J\\x7f\"" },
	{ "\xc3\xa9", 2, "\"\xc3\xa9\"" },
	{ "\xc3", 1, "\"\\xc3\"" },
	{ "\xc3(", 2, "\"\\xc3(\"" },
	{ "\xa9", 1, "\"\\xa9\"" },
	{ "\xc2\x9b", 2, "\"\\xc2\\x9b\"" },          /* C1 */
	{ "\xc0\xaf", 2, "\"\\xc0\\xaf\"" },          /* overlong / */
	{ "\xe0\x80\xaf", 3, "\"\\xe0\\x80\\xaf\"" }, /* overlong / */
	{ "\xe0\x9f\xbf", 3, "\"\\xe0\\x9f\\xbf\"" }, /* the last overlong of three */
	{ "\xf0\x8f\xbf\xbf", 4, "\"\\xf0\\x8f\\xbf\\xbf\"" },
	{ "\xf4\x90\x80\x80", 4, "\"\\xf4\\x90\\x80\\x80\"" }, /* beyond U+10FFFF */
	{ "\xf5\x80\x80\x80", 4, "\"\\xf5\\x80\\x80\\x80\"" },
	{ "\xfe\xff", 2, "\"\\xfe\\xff\"" },
	{ "\xed\xa0\x80", 3, "\"\\xed\\xa0\\x80\"" }, /* a surrogate */
	{ "\xe2\x82", 2, "\"\\xe2\\x82\"" },          /* cut */
	{ "\xe2\x82x", 3, "\"\\xe2\\x82x\"" },
	{ "\xf0\x9f\x98", 3, "\"\\xf0\\x9f\\x98\"" },
	{ "\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"" },
};

START_TEST(test_quote_table)
{
	char buf[LOG_QUOTE_SIZE];

	ck_assert_ptr_eq(log_quote(buf, sizeof(buf), quotes[_i].in, quotes[_i].len), buf);
	ck_assert_str_eq(buf, quotes[_i].out);
}
END_TEST

static size_t
encode(uint32_t cp, char *out)
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (char)(lead[n] | cp);
	return n;
}

/* What moves or turns text on a terminal: Bidi_Control of the Unicode data, and line separators. */
static bool
moves_text(uint32_t cp)
{
	return cp == 0x61c || cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

/* What log_quote() may also hide, as it sees fit: characters without width. */
static bool
has_no_width(uint32_t cp)
{
	return (cp >= 0x200b && cp <= 0x200d) || (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff;
}

START_TEST(test_quote_all_characters)
{
	char buf[32], in[4];

	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		size_t n = encode(cp, in);
		bool hidden = cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '"' || cp == '\\' ||
			      (cp >= 0xd800 && cp <= 0xdfff) || moves_text(cp);

		log_quote(buf, sizeof(buf), in, n);
		if (has_no_width(cp))
			continue;
		if (strlen(buf) != (hidden ? 4 * n : n) + 2)
			ck_abort_msg("U+%04X: %s", cp, buf);
		UNIT_CHECK(hidden || memcmp(buf + 1, in, n) == 0);
	}
}
END_TEST

START_TEST(test_quote_all_sizes)
{
	char in[300], buf[LOG_QUOTE_SIZE + 1];
	uint64_t seed = 42;

	for (size_t size = 16; size <= LOG_QUOTE_SIZE; size += size < 64 ? 1 : 13) {
		for (int round = 0; round < 50; round++) {
			size_t len = unit_random(&seed) % sizeof(in), used;

			for (size_t i = 0; i < len; i++)
				in[i] = (char)(round % 2 ? 'a' + i % 26 : unit_random(&seed));
			memset(buf, '#', sizeof(buf));
			log_quote(buf, size, in, len);
			UNIT_CHECK(buf[size] == '#');
			used = strnlen(buf, size);
			UNIT_CHECK(used < size);
			UNIT_CHECK(buf[0] == '"' && buf[used - 1] == '"' && is_clean(buf));
			/* All is there, or what is left out is marked. */
			UNIT_CHECK(round % 2 == 0 || used == len + 2 ||
				   strcmp(buf + used - 4, "...\"") == 0);
		}
	}
}
END_TEST

static uint64_t now_ms = 5;

static uint64_t
moved_time(void)
{
	return now_ms;
}

START_TEST(test_due_once_a_minute)
{
	_Atomic uint64_t one = 0, other = 0;

	clock_set_hook(moved_time);
	UNIT_CHECK(log_is_due(&one));
	UNIT_CHECK(!log_is_due(&one));
	now_ms += 59999;
	UNIT_CHECK(!log_is_due(&one));
	UNIT_CHECK(log_is_due(&other));
	now_ms++;
	UNIT_CHECK(log_is_due(&one));
	UNIT_CHECK(!log_is_due(&one));
	clock_set_hook(NULL);
}
END_TEST

START_TEST(test_quote_holds_the_longest_name)
{
	char in[255], buf[LOG_QUOTE_SIZE];

	memset(in, 0x01, sizeof(in));
	log_quote(buf, sizeof(buf), in, sizeof(in));
	ck_assert_uint_eq(strlen(buf), 255 * 4 + 2);
	ck_assert_ptr_null(strstr(buf, "..."));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "lines");

	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_line_has_no_control_characters);
	tcase_add_test(tc, test_line_keeps_utf8);
	tcase_add_test(tc, test_line_is_cut_clean);
	tcase_add_test(tc, test_due_once_a_minute);
	tc = unit_case(s, "styles");
	tcase_add_checked_fixture(tc, unit_enter_dir, NULL);
	tcase_add_test(tc, test_style_tool);
	tcase_add_test(tc, test_style_journal);
	tcase_add_test(tc, test_style_daemon);
	tcase_add_test(tc, test_daemon_finds_the_journal);
	tcase_add_test(tc, test_held_lines_come_together);
	tcase_add_test(tc, test_held_lines_do_not_wait_behind_an_error);
	tcase_add_test(tc, test_held_lines_are_written_within_4096_bytes);
	tcase_add_exit_test(tc, test_fatal, 78);
	tc = unit_case(s, "quote");
	tcase_add_loop_test(tc, test_quote_table, 0, COUNT(quotes));
	tcase_add_test(tc, test_quote_all_characters);
	tcase_add_test(tc, test_quote_all_sizes);
	tcase_add_test(tc, test_quote_holds_the_longest_name);
}

int
main(void)
{
	return unit_run("log", add_cases);
}
