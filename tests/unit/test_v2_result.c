/* v2/result: the codes of protocol 2. tests/lint/protocol holds them against the manual page. */
#include "unit/unit.h"

#include <string.h>

#include "v2/result.h"

/* Each code there and back is the same; which are known; the ranges. */
START_TEST(test_all_codes)
{
	int known = 0;

	for (int code = 0; code <= UINT16_MAX; code++) {
		uint16_t c = (uint16_t)code;
		enum ftx_rc rc = v2_code_rc(c);
		bool retry = code >= 200 && code <= 299;

		UNIT_CHECK(rc != FTX_OK);
		UNIT_CHECK(v2_code_is_retryable(c) == retry);
		UNIT_CHECK(!retry || v2_code_keeps_upload(c));
		UNIT_CHECK(strcmp(v2_code_text(c), ftx_rc_text(rc)) == 0);
		if (strcmp(v2_code_name(c), "unknown") == 0) {
			UNIT_CHECK(rc == (retry ? FTX_REMOTE_ERROR : FTX_REMOTE_REFUSED));
			UNIT_CHECK(v2_code_where(c) == V2_OF_EITHER);
			continue;
		}
		known++;
		UNIT_CHECK(code >= 100 && code <= 299);
		UNIT_CHECK((int)v2_code_from_rc(rc) == code);
	}
	ck_assert_int_eq(known, 37);
}
END_TEST

static const struct {
	enum ftx_rc rc;
	enum v2_code code;
} ours[] = {
	{ FTX_BAD_MESSAGE, V2_CODE_MALFORMED },
	{ FTX_NOT_OFFERED, V2_CODE_UNSUPPORTED },
	{ FTX_UNSUPPORTED, V2_CODE_UNSUPPORTED },
	{ FTX_ACCESS, V2_CODE_FORBIDDEN },
	{ FTX_FORBIDDEN, V2_CODE_FORBIDDEN },
	{ FTX_OTHER_VERSION, V2_CODE_CHANGED },
	{ FTX_CHANGED, V2_CODE_UNSTABLE },
	{ FTX_EXCESS, V2_CODE_SIZE_MISMATCH },
	{ FTX_IO, V2_CODE_INTERNAL },
	{ FTX_REQUEST_TIMEOUT, V2_CODE_TIMED_OUT },
	{ FTX_IDLE_TIMEOUT, V2_CODE_TIMED_OUT },
	{ FTX_TOO_SLOW, V2_CODE_TIMED_OUT },
	{ FTX_SHUTDOWN, V2_CODE_SHUTTING_DOWN },
	/* What is lacking for a moment only must not cost the upload. */
	{ FTX_NOMEM, V2_CODE_OVERLOADED },
	{ FTX_DESCRIPTORS, V2_CODE_OVERLOADED },
	{ FTX_LIMIT, V2_CODE_OVERLOADED },
};

START_TEST(test_ours)
{
	ck_assert_str_eq(
	    v2_code_name((uint16_t)v2_code_from_rc(ours[_i].rc)), v2_code_name(ours[_i].code));
}
END_TEST

/* Whatever ends a request, there is a known code for it. */
START_TEST(test_every_end)
{
	for (int rc = FTX_OK + 1; rc < FTX_RC_COUNT + 2; rc++) {
		uint16_t code = (uint16_t)v2_code_from_rc((enum ftx_rc)rc);

		ck_assert_str_ne(v2_code_name(code), "unknown");
	}
}
END_TEST

START_TEST(test_kept)
{
	static const uint16_t kept[] = { V2_CODE_TAKEN_OVER, V2_CODE_NO_SPACE, V2_CODE_QUOTA };

	for (int code = 0; code < 200; code++) {
		bool keep = false;

		for (int i = 0; i < COUNT(kept); i++)
			keep = keep || kept[i] == code;
		ck_assert_int_eq(v2_code_keeps_upload((uint16_t)code), keep);
	}
}
END_TEST

START_TEST(test_names)
{
	ck_assert_str_eq(v2_code_name(134), "NO_SPACE");
	ck_assert_str_eq(v2_code_of_name(V2_OF_CONNECTION), "connection");
	ck_assert_str_eq(v2_code_of_name((enum v2_code_of)0), "unknown");
	ck_assert_str_eq(v2_code_of_name((enum v2_code_of)4), "unknown");
	ck_assert_uint_eq(v2_code_where(101), V2_OF_CONNECTION);
	ck_assert_uint_eq(v2_code_where(122), V2_OF_REQUEST);
	ck_assert_uint_eq(v2_code_where(140), V2_OF_EITHER);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "result");

	tcase_add_test(tc, test_all_codes);
	tcase_add_loop_test(tc, test_ours, 0, COUNT(ours));
	tcase_add_test(tc, test_every_end);
	tcase_add_test(tc, test_kept);
	tcase_add_test(tc, test_names);
}

int
main(void)
{
	return unit_run("v2_result", add_cases);
}
