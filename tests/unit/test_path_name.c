/* store/path: what is a name, and its one spelling. Part of test_path. */
#include "unit/test_path.h"

#include <string.h>

#include "store/path.h"

static const struct path_rules as_bytes = { .alphabet = PATH_BYTES };
static const struct path_rules as_utf8 = { .alphabet = PATH_UTF8 };
static const struct path_rules *const alphabets[] = { &as_utf8, &as_bytes };

static const struct {
	const char *in, *out;
} good[] = {
	{ "a", "a" },
	{ "a/b", "a/b" },
	{ "a//b", "a/b" },
	{ "a///////b", "a/b" },
	{ "./a", "a" },
	{ "././//./a", "a" },
	{ "a/./b", "a/b" },
	{ "a/.", "a" },
	{ "a/././.", "a" },
	{ "...", "..." },
	{ "..a", "..a" },
	{ "a..", "a.." },
	{ ".a", ".a" },
	{ "a/.../b", "a/.../b" },
	{ " a", " a" },
	{ "a ", "a " },
	{ "a\\b", "a\\b" },
	{ "C:", "C:" },
	{ "-rf", "-rf" },
	{ "*?[", "*?[" },
	{ "~root", "~root" },
	{ ".ftxfer", ".ftxfer" },
	{ ".ftxferdx", ".ftxferdx" },
	{ ".ftxferd.", ".ftxferd." },
	{ "x.ftxferd", "x.ftxferd" },
	{ "..ftxferd", "..ftxferd" },
	{ ".FTXFERDX", ".FTXFERDX" },
	{ "ftxferd-", "ftxferd-" },
};

START_TEST(test_normalize_good)
{
	size_t len = strlen(good[_i].in);
	char out[64];

	/* As much room as is promised to suffice, and not a byte more is used. */
	memset(out, '#', sizeof(out));
	for (int i = 0; i < COUNT(alphabets); i++) {
		ck_assert_int_eq(
		    path_normalize(alphabets[i], good[_i].in, len, out, len + 1), FTX_OK);
		ck_assert_str_eq(out, good[_i].out);
		ck_assert_int_eq(out[len + 1], '#');
	}
}
END_TEST

static const struct {
	const char *in;
	size_t len;
} bad[] = {
#define BAD(s)                   \
	{                        \
		s, sizeof(s) - 1 \
	}
	BAD(""),
	BAD("."),
	BAD("./."),
	BAD(".//."),
	BAD("/"),
	BAD("//"),
	BAD("/a"),
	BAD("//a"),
	BAD("a/"),
	BAD("a//"),
	BAD("./"),
	BAD("a/./"),
	BAD(".."),
	BAD("../a"),
	BAD("a/.."),
	BAD("a/../b"),
	BAD("./../a"),
	BAD("a/b/../../.."),
	BAD("a\0"),
	BAD("a\0b"),
	BAD("\0"),
	BAD(".ftxferd"),
	BAD(".ftxferd/a"),
	BAD("a/.ftxferd"),
	BAD("a/.ftxferd/b"),
	BAD(".ftxferd-"),
	BAD(".ftxferd-0123"),
	BAD("a/.ftxferd-0123"),
	BAD("./.ftxferd"),
	BAD(".ftxferd/."),
	BAD(".FTXFERD"),
	BAD("a/.ftXferd/b"),
	BAD("a/.Ftxferd-0123"),
};

START_TEST(test_normalize_bad)
{
	char out[64];

	for (int i = 0; i < COUNT(alphabets); i++)
		ck_assert_int_eq(
		    path_normalize(alphabets[i], bad[_i].in, bad[_i].len, out, sizeof(out)),
		    FTX_BAD_NAME);
}
END_TEST

/* Which rule it is; the first one that is not kept. */
static const struct {
	const char *in;
	enum path_fault utf8, bytes;
} faults[] = {
	{ "a/./b", PATH_GOOD, PATH_GOOD },
	{ "", PATH_EMPTY, PATH_EMPTY },
	{ "./.", PATH_EMPTY, PATH_EMPTY },
	{ "/a", PATH_SLASH, PATH_SLASH },
	{ "a/", PATH_SLASH, PATH_SLASH },
	{ "a/../.ftxferd", PATH_DOTS, PATH_DOTS },
	{ "a/.ftxferd-x/..", PATH_RESERVED, PATH_RESERVED },
	{ "a/\t", PATH_CONTROL, PATH_GOOD },
	{ "a\xff/b", PATH_NO_UTF8, PATH_GOOD },
	{ "a\xff/..", PATH_NO_UTF8, PATH_DOTS },
};

START_TEST(test_faults)
{
	static char name[PATH_NAME_MAX + 2];

	for (int i = 0; i < COUNT(faults); i++) {
		size_t len = strlen(faults[i].in);

		ck_assert_int_eq(path_fault(PATH_UTF8, faults[i].in, len), faults[i].utf8);
		ck_assert_int_eq(path_fault(PATH_BYTES, faults[i].in, len), faults[i].bytes);
	}
	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(path_fault(PATH_UTF8, name, PATH_COMPONENT_MAX), PATH_GOOD);
	ck_assert_int_eq(path_fault(PATH_UTF8, name, PATH_NAME_MAX), PATH_LONG_COMPONENT);
	ck_assert_int_eq(path_fault(PATH_UTF8, name, PATH_NAME_MAX + 1), PATH_LONG);
	ck_assert_int_eq(path_fault(PATH_BYTES, "a\0b", 3), PATH_CONTROL);
	ck_assert_int_eq(path_component_fault(PATH_BYTES, "", 0), PATH_EMPTY);
	ck_assert_int_eq(path_component_fault(PATH_BYTES, ".", 1), PATH_DOTS);
}
END_TEST

/* Each byte between two others, and alone: a slash and a dot mean something else there. */
START_TEST(test_normalize_all_bytes)
{
	for (int byte = 0; byte < 256; byte++) {
		bool ascii = byte >= 0x20 && byte < 0x7f, allowed = _i == 0 ? ascii : byte != 0;
		char in[] = { 'a', (char)byte, 'b', '\0' }, out[4];

		UNIT_CHECK(path_normalize(alphabets[_i], in, 3, out, 4) ==
			   (allowed ? FTX_OK : FTX_BAD_NAME));
		UNIT_CHECK(!allowed || memcmp(in, out, 4) == 0);
		allowed = allowed && byte != '/' && byte != '.';
		UNIT_CHECK(path_normalize(alphabets[_i], in + 1, 1, out, 4) ==
			   (allowed ? FTX_OK : FTX_BAD_NAME));
	}
}
END_TEST

/* What only one of the alphabets has. */
static const struct {
	const char *in;
	bool utf8;
} texts[] = {
	{ "na\xc3\xafve", true },
	{ "\xe6\x96\x87/\xe4\xbb\xb6", true },
	{ "\xf0\x9f\x93\x81", true },
	{ "\xc2\xa0", true },             /* the first behind C1 */
	{ "a\xe2\x80\xaegnp.exe", true }, /* reorders on a terminal, but is no control character */
	{ "\xef\xbb\xbf", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "\xff\xfe", false },
	{ "caf\xe9", false }, /* Latin-1 */
	{ "\xc0\xaf", false },
	{ "\xc0\xae\xc0\xae/a", false }, /* two dots, overlong */
	{ "\xed\xa0\x80", false },
	{ "\xf4\x90\x80\x80", false },
	{ "\xe6\x96", false },
	{ "\xe6\x96/\x87", false }, /* no character goes on behind a slash */
	{ "\xc2\x85", false },      /* C1: next line */
	{ "\xc2\x9b", false },      /* C1: what an escape sequence begins with */
	{ "\xc2\x80", false },
	{ "\xc2\x9f", false },
	{ "a\n", false },
	{ "\x1b[2J", false },
	{ "a/\x7f/b", false },
	{ "a\x1f", false },
	{ "\r", false },
};

START_TEST(test_alphabets)
{
	size_t len = strlen(texts[_i].in);
	char out[64];

	ck_assert_int_eq(path_normalize(&as_utf8, texts[_i].in, len, out, sizeof(out)),
	    texts[_i].utf8 ? FTX_OK : FTX_BAD_NAME);
	ck_assert_int_eq(path_normalize(&as_bytes, texts[_i].in, len, out, sizeof(out)), FTX_OK);
	ck_assert_str_eq(out, texts[_i].in);
}
END_TEST

/* Of the name as it is looked up: what is dropped from it is no directory. */
START_TEST(test_depth)
{
	static const struct {
		uint64_t max;
		const char *in;
		enum ftx_rc rc;
	} cases[] = {
		{ 1, "a", FTX_OK },
		{ 1, "a/b", FTX_OK },
		{ 1, "a/b/c", FTX_TOO_DEEP },
		{ 1, "a//b", FTX_OK },
		{ 1, "././a/././b", FTX_OK },
		{ 1, "./a/./b/./c", FTX_TOO_DEEP },
		{ 2, "a/b/c", FTX_OK },
		{ 2, "a/b/c/d", FTX_TOO_DEEP },
		{ 0, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z", FTX_OK },
		{ 25, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z", FTX_OK },
		{ 24, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z", FTX_TOO_DEEP },
		{ UINT64_MAX, "a/b", FTX_OK },
		/* What is not a name at all is said first. */
		{ 1, "a/b/c/../d", FTX_BAD_NAME },
		{ 1, "a/b/c/d/", FTX_BAD_NAME },
	};

	for (int i = 0; i < COUNT(cases); i++) {
		struct path_rules rules = { .alphabet = PATH_UTF8, .max_depth = cases[i].max };
		char out[64];

		ck_assert_int_eq(
		    path_normalize(&rules, cases[i].in, strlen(cases[i].in), out, sizeof(out)),
		    cases[i].rc);
	}
}
END_TEST

void
make_long(char *name, size_t len, size_t component)
{
	for (size_t i = 0; i < len; i++)
		name[i] = i % (component + 1) == component ? '/' : 'n';
	name[len] = '\0';
}

START_TEST(test_normalize_lengths)
{
	static const struct {
		size_t len, component;
		enum ftx_rc rc;
	} cases[] = {
		{ 255, 255, FTX_OK },
		{ 256, 256, FTX_BAD_NAME },
		{ 255 + 1 + 255, 255, FTX_OK },
		{ 4095, 255, FTX_OK },
		{ 4096, 254, FTX_OK },
		{ 4097, 254, FTX_BAD_NAME },
		{ 4096, 4096, FTX_BAD_NAME },
		{ 4096, 1, FTX_BAD_NAME }, /* ends in a slash */
		{ 4095, 1, FTX_OK },
		{ 5000, 1, FTX_BAD_NAME },
	};
	char in[5001], out[5002];

	for (int i = 0; i < COUNT(cases); i++) {
		make_long(in, cases[i].len, cases[i].component);
		memset(out, '#', sizeof(out));
		ck_assert_int_eq(path_normalize(&as_bytes, in, cases[i].len, out, cases[i].len + 1),
		    cases[i].rc);
		ck_assert_int_eq(out[cases[i].len + 1], '#');
		if (cases[i].rc == FTX_OK)
			ck_assert_str_eq(out, in);
	}
	/* A peer's field is not terminated: nothing behind its length is looked at. */
	ck_assert_int_eq(path_normalize(&as_bytes, "a/../..", 1, out, 2), FTX_OK);
	ck_assert_str_eq(out, "a");
	/* No room: refused, and nothing is written beyond it. */
	memset(out, '#', sizeof(out));
	ck_assert_int_eq(path_normalize(&as_bytes, "abc", 3, out, 3), FTX_BAD_NAME);
	ck_assert_int_eq(out[3], '#');
	ck_assert_int_eq(path_normalize(&as_bytes, "abc", 3, out, 0), FTX_BAD_NAME);
}
END_TEST

START_TEST(test_normalize_random)
{
	static const char *const pieces[] = { "/", "/", ".", "..", "a", "b.c", ".ftxferd", "\x01" };
	uint64_t seed = 7;
	int allowed = 0;

	for (int round = 0; round < 100000; round++) {
		char in[64] = "", out[64], again[64];

		for (uint64_t n = unit_random(&seed) % 7; n > 0; n--)
			strcat(in, pieces[unit_random(&seed) % COUNT(pieces)]);
		if (path_normalize(&as_utf8, in, strlen(in), out, sizeof(out)) != FTX_OK)
			continue;
		allowed++;
		UNIT_CHECK(
		    path_normalize(&as_utf8, out, strlen(out), again, sizeof(again)) == FTX_OK);
		UNIT_CHECK(strcmp(out, again) == 0);
		UNIT_CHECK(out[0] != '/' && strstr(out, "//") == NULL);
		for (const char *c = out; c != NULL;) {
			UNIT_CHECK(strcmp(c, "..") != 0 && strncmp(c, "../", 3) != 0);
			UNIT_CHECK(strcmp(c, ".") != 0 && strncmp(c, "./", 2) != 0);
			c = strchr(c, '/');
			c = c != NULL ? c + 1 : NULL;
		}
	}
	ck_assert_int_gt(allowed, 1000);
}
END_TEST

START_TEST(test_is_reserved)
{
	ck_assert(path_is_reserved(".ftxferd", 8));
	ck_assert(path_is_reserved(".ftxferd-", 9));
	ck_assert(path_is_reserved(".ftxferd-x", 10));
	ck_assert(!path_is_reserved(".ftxferd", 7));
	ck_assert(!path_is_reserved(".ftxferdx", 9));
	ck_assert(!path_is_reserved("ftxferd", 7));
	ck_assert(!path_is_reserved("", 0));
	/* As a file system may compare them that knows no case; but no other bytes than letters. */
	ck_assert(path_is_reserved(".FTXFERD", 8));
	ck_assert(path_is_reserved(".fTxFeRd-", 9));
	ck_assert(path_is_reserved(".FTXFERD-x", 10));
	ck_assert(!path_is_reserved("\x0e"
				    "ftxferd",
	    8));
	ck_assert(!path_is_reserved(".ftxferd\x0d", 9));
	ck_assert(!path_is_reserved(".FTXFERDX", 9));
}
END_TEST

void
add_name_cases(Suite *s)
{
	TCase *tc = unit_case(s, "normalize");

	tcase_add_loop_test(tc, test_normalize_good, 0, COUNT(good));
	tcase_add_loop_test(tc, test_normalize_bad, 0, COUNT(bad));
	tcase_add_test(tc, test_faults);
	tcase_add_loop_test(tc, test_normalize_all_bytes, 0, COUNT(alphabets));
	tcase_add_loop_test(tc, test_alphabets, 0, COUNT(texts));
	tcase_add_test(tc, test_depth);
	tcase_add_test(tc, test_normalize_lengths);
	tcase_add_test(tc, test_normalize_random);
	tcase_add_test(tc, test_is_reserved);
}
