/* base/utf8: every character, and every way to be none. */
#include "unit/unit.h"

#include "base/utf8.h"

static const struct {
	const char *in;
	size_t len, used; /* used 0: not well-formed */
	uint32_t cp;
} cases[] = {
	/* the first and the last of each length */
	{ "\0", 1, 1, 0 },
	{ "a", 1, 1, 'a' },
	{ "\x7f", 1, 1, 0x7f },
	{ "\xc2\x80", 2, 2, 0x80 },
	{ "\xdf\xbf", 2, 2, 0x7ff },
	{ "\xe0\xa0\x80", 3, 3, 0x800 },
	{ "\xed\x9f\xbf", 3, 3, 0xd7ff },
	{ "\xee\x80\x80", 3, 3, 0xe000 },
	{ "\xef\xbf\xbf", 3, 3, 0xffff },
	{ "\xf0\x90\x80\x80", 4, 4, 0x10000 },
	{ "\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff },
	/* what follows is not looked at */
	{ "\xc3\xa9\xff", 3, 2, 0xe9 },
	{ "a\x80", 2, 1, 'a' },
	/* overlong */
	{ "\xc0\x80", 2, 0, 0 },
	{ "\xc0\xaf", 2, 0, 0 }, /* a slash */
	{ "\xc1\xbf", 2, 0, 0 },
	{ "\xe0\x80\xaf", 3, 0, 0 },
	{ "\xe0\x9f\xbf", 3, 0, 0 },
	{ "\xf0\x80\x80\xaf", 4, 0, 0 },
	{ "\xf0\x8f\xbf\xbf", 4, 0, 0 },
	/* surrogates, and pairs of them */
	{ "\xed\xa0\x80", 3, 0, 0 },
	{ "\xed\xbf\xbf", 3, 0, 0 },
	{ "\xed\xa0\xbd\xed\xb8\x80", 6, 0, 0 },
	/* above U+10FFFF */
	{ "\xf4\x90\x80\x80", 4, 0, 0 },
	{ "\xf5\x80\x80\x80", 4, 0, 0 },
	{ "\xf7\xbf\xbf\xbf", 4, 0, 0 },
	{ "\xf8\x88\x80\x80\x80", 5, 0, 0 },
	{ "\xfc\x84\x80\x80\x80\x80", 6, 0, 0 },
	{ "\xfe", 1, 0, 0 },
	{ "\xff", 1, 0, 0 },
	/* cut off, or gone on with by something else */
	{ "\xc3", 1, 0, 0 },
	{ "\xe2\x82", 2, 0, 0 },
	{ "\xf0\x9f\x98", 3, 0, 0 },
	{ "\xc3\x28", 2, 0, 0 },
	{ "\xe2\x82\x28", 3, 0, 0 },
	{ "\xe2\x28\xac", 3, 0, 0 },
	{ "\xf0\x9f\x98\x41", 4, 0, 0 },
	{ "\xf0\xc2\x98\x80", 4, 0, 0 },
	/* a continuation by itself */
	{ "\x80", 1, 0, 0 },
	{ "\xbf\xbf", 2, 0, 0 },
};

START_TEST(test_decode)
{
	uint32_t cp = 0;

	ck_assert_uint_eq(utf8_decode(cases[_i].in, cases[_i].len, &cp), cases[_i].used);
	if (cases[_i].used > 0)
		ck_assert_uint_eq(cp, cases[_i].cp);
}
END_TEST

static size_t
encode(uint32_t cp, uint8_t out[4])
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, cp >>= 6)
		out[i] = (uint8_t)(0x80 | (cp & 0x3f));
	out[0] = (uint8_t)(n == 1 ? cp : (0xf00u >> n & 0xff) | cp);
	return n;
}

/* All there are, and each of them cut short. */
START_TEST(test_all_characters)
{
	for (uint32_t want = 0; want <= 0x10ffff; want++) {
		bool surrogate = want >= 0xd800 && want <= 0xdfff;
		uint32_t got = UINT32_MAX;
		uint8_t bytes[4];
		size_t len = encode(want, bytes);

		UNIT_CHECK(utf8_decode(bytes, len, &got) == (surrogate ? 0 : len));
		UNIT_CHECK(surrogate || got == want);
		for (size_t cut = 1; cut < len; cut++)
			UNIT_CHECK(utf8_decode(bytes, cut, &got) == 0);
	}
}
END_TEST

/* Of all pairs of bytes only those that RFC 3629 has are taken whole. */
START_TEST(test_all_pairs)
{
	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			uint8_t bytes[] = { (uint8_t)a, (uint8_t)b };
			bool two = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
			uint32_t cp;

			UNIT_CHECK(utf8_decode(bytes, 2, &cp) == (a < 0x80 ? 1u : two ? 2u : 0u));
		}
	}
}
END_TEST

START_TEST(test_control_characters)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++)
		UNIT_CHECK(utf8_is_control(cp) == (cp <= 0x1f || (cp >= 0x7f && cp <= 0x9f)));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "utf8");

	tcase_add_loop_test(tc, test_decode, 0, COUNT(cases));
	tcase_add_test(tc, test_all_characters);
	tcase_add_test(tc, test_all_pairs);
	tcase_add_test(tc, test_control_characters);
}

int
main(void)
{
	return unit_run("utf8", add_cases);
}
