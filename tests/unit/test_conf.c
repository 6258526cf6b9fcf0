/*
 * conf: values and assignment. The command line and what is printed are in test_conf_cmdline.c,
 * what files say in test_conf_file.c, which files in test_conf_include.c: one program.
 */
#include "unit/test_conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/error.h"
#include "conf/value.h"

struct sample sample;
struct option_set set;
struct option_error err;

void
conf_setup(void)
{
	memset(&sample, 0xa5, sizeof(sample)); /* init must not need it to be zero */
	ck_assert_msg(
	    option_set_init(&set, sample_defs, SAMPLE_COUNT, &sample, &err), "%s", err.text);
}

void
conf_teardown(void)
{
	option_set_clear(&set);
	option_set_clear(&set);
}

static const struct {
	enum option_type type;
	const char *text;
	enum value_result result;
	uint64_t value;
} parse_cases[] = {
	{ OPTION_BOOL, "true", VALUE_OK, 1 },
	{ OPTION_BOOL, "YES", VALUE_OK, 1 },
	{ OPTION_BOOL, "on", VALUE_OK, 1 },
	{ OPTION_BOOL, "1", VALUE_OK, 1 },
	{ OPTION_BOOL, "false", VALUE_OK, 0 },
	{ OPTION_BOOL, "no", VALUE_OK, 0 },
	{ OPTION_BOOL, "off", VALUE_OK, 0 },
	{ OPTION_BOOL, "0", VALUE_OK, 0 },
	{ OPTION_BOOL, "", VALUE_BAD, 0 },
	{ OPTION_BOOL, "2", VALUE_BAD, 0 },
	{ OPTION_BOOL, "-1", VALUE_BAD, 0 },
	{ OPTION_BOOL, "truely", VALUE_BAD, 0 },
	{ OPTION_UINT, "0", VALUE_OK, 0 },
	{ OPTION_UINT, "007", VALUE_OK, 7 },
	{ OPTION_UINT, "9223372036854775807", VALUE_OK, INT64_MAX },
	{ OPTION_UINT, "9223372036854775808", VALUE_TOO_LARGE, 0 },
	{ OPTION_UINT, "18446744073709551617", VALUE_TOO_LARGE, 0 },
	{ OPTION_UINT, "99999999999999999999999x", VALUE_BAD, 0 },
	{ OPTION_UINT, "", VALUE_BAD, 0 },
	{ OPTION_UINT, " 1", VALUE_BAD, 0 },
	{ OPTION_UINT, "1 ", VALUE_BAD, 0 },
	{ OPTION_UINT, "+1", VALUE_BAD, 0 },
	{ OPTION_UINT, "0x10", VALUE_BAD, 0 },
	{ OPTION_UINT, "1k", VALUE_BAD, 0 },
	{ OPTION_UINT, "-1", VALUE_NEGATIVE, 0 },
	{ OPTION_UINT, "-x", VALUE_BAD, 0 },
	{ OPTION_UINT, "-1x", VALUE_BAD, 0 },
	{ OPTION_UINT, "--1", VALUE_BAD, 0 },
	{ OPTION_SIZE, "0", VALUE_OK, 0 },
	{ OPTION_SIZE, "512", VALUE_OK, 512 },
	{ OPTION_SIZE, "512B", VALUE_OK, 512 },
	{ OPTION_SIZE, "1k", VALUE_OK, 1024 },
	{ OPTION_SIZE, "1K", VALUE_OK, 1024 },
	{ OPTION_SIZE, "64KiB", VALUE_OK, 65536 },
	{ OPTION_SIZE, "64 KiB", VALUE_OK, 65536 },
	{ OPTION_SIZE, "3kB", VALUE_OK, 3072 },
	{ OPTION_SIZE, "10MB", VALUE_OK, 10485760 },
	{ OPTION_SIZE, "10mib", VALUE_OK, 10485760 },
	{ OPTION_SIZE, "5G", VALUE_OK, 5368709120 },
	{ OPTION_SIZE, "2T", VALUE_OK, 2199023255552 },
	{ OPTION_SIZE, "8388607T", VALUE_OK, 9223370937343148032 },
	{ OPTION_SIZE, "8388608T", VALUE_TOO_LARGE, 0 },
	{ OPTION_SIZE, "9223372036854775807", VALUE_OK, INT64_MAX },
	{ OPTION_SIZE, "9223372036854775808", VALUE_TOO_LARGE, 0 },
	{ OPTION_SIZE, "99999999999999999999G", VALUE_TOO_LARGE, 0 },
	{ OPTION_SIZE, "18014398509481984k", VALUE_TOO_LARGE, 0 }, /* 2^64: nothing, if cut */
	{ OPTION_SIZE, "", VALUE_BAD, 0 },
	{ OPTION_SIZE, "G", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5P", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5Gi", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5iB", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5GG", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5GBs", VALUE_BAD, 0 },
	{ OPTION_SIZE, "5GiBs", VALUE_BAD, 0 },
	{ OPTION_SIZE, "1.5G", VALUE_BAD, 0 },
	{ OPTION_SIZE, "-5G", VALUE_NEGATIVE, 0 },
	{ OPTION_TIME, "0", VALUE_OK, 0 },
	{ OPTION_TIME, "90", VALUE_OK, 90000 },
	{ OPTION_TIME, "90s", VALUE_OK, 90000 },
	{ OPTION_TIME, "90 s", VALUE_OK, 90000 },
	{ OPTION_TIME, "0.5", VALUE_OK, 500 },
	{ OPTION_TIME, "0.5s", VALUE_OK, 500 },
	{ OPTION_TIME, "0.001s", VALUE_OK, 1 },
	{ OPTION_TIME, "0.0010000000000", VALUE_OK, 1 },
	{ OPTION_TIME, "500ms", VALUE_OK, 500 },
	{ OPTION_TIME, "1.5m", VALUE_OK, 90000 },
	{ OPTION_TIME, "2h", VALUE_OK, 7200000 },
	{ OPTION_TIME, "1d", VALUE_OK, 86400000 },
	{ OPTION_TIME, "0.000000025d", VALUE_TOO_FINE, 0 }, /* 2.16 ms */
	{ OPTION_TIME, "0.0005", VALUE_TOO_FINE, 0 },
	{ OPTION_TIME, "0.0000000001", VALUE_TOO_FINE, 0 },
	{ OPTION_TIME, "0.5ms", VALUE_TOO_FINE, 0 },
	{ OPTION_TIME, "9223372036854775807ms", VALUE_OK, INT64_MAX },
	{ OPTION_TIME, "9223372036854775.807", VALUE_OK, INT64_MAX },
	{ OPTION_TIME, "9223372036854775.808", VALUE_TOO_LARGE, 0 },
	{ OPTION_TIME, "9223372036854775808ms", VALUE_TOO_LARGE, 0 },
	{ OPTION_TIME, "18446744073709552", VALUE_TOO_LARGE, 0 }, /* 384 ms, if cut */
	{ OPTION_TIME, "213503982334602d", VALUE_TOO_LARGE, 0 },
	{ OPTION_TIME, "", VALUE_BAD, 0 },
	{ OPTION_TIME, "s", VALUE_BAD, 0 },
	{ OPTION_TIME, ".5s", VALUE_BAD, 0 },
	{ OPTION_TIME, "5.s", VALUE_BAD, 0 },
	{ OPTION_TIME, "5M", VALUE_BAD, 0 },
	{ OPTION_TIME, "1h30m", VALUE_BAD, 0 },
	{ OPTION_TIME, "1.2.3", VALUE_BAD, 0 },
	{ OPTION_TIME, "-0.5s", VALUE_NEGATIVE, 0 },
	{ OPTION_MODE, "0640", VALUE_OK, 0640 },
	{ OPTION_MODE, "640", VALUE_OK, 0640 },
	{ OPTION_MODE, "07777", VALUE_OK, 07777 },
	{ OPTION_MODE, "0", VALUE_OK, 0 },
	{ OPTION_MODE, "10000", VALUE_TOO_LARGE, 0 },
	{ OPTION_MODE, "7777777777777777777777777", VALUE_TOO_LARGE, 0 },
	{ OPTION_MODE, "0680", VALUE_BAD, 0 },
	{ OPTION_MODE, "0x1a0", VALUE_BAD, 0 },
	{ OPTION_MODE, "rw-r--r--", VALUE_BAD, 0 },
	{ OPTION_MODE, "", VALUE_BAD, 0 },
	{ OPTION_MODE, "-640", VALUE_NEGATIVE, 0 },
};

START_TEST(value_parse_table)
{
	uint64_t got = 4711;
	enum value_result res = value_parse(parse_cases[_i].type, parse_cases[_i].text, &got);

	ck_assert_msg(res == parse_cases[_i].result, "\"%s\" as type %d: result %d",
	    parse_cases[_i].text, parse_cases[_i].type, res);
	ck_assert_msg(got == (res == VALUE_OK ? parse_cases[_i].value : 4711), "\"%s\": value %llu",
	    parse_cases[_i].text, (unsigned long long)got);
}
END_TEST

START_TEST(value_format_table)
{
	static const struct {
		enum option_type type;
		uint64_t value;
		const char *text;
	} cases[] = {
		{ OPTION_BOOL, 1, "true" },
		{ OPTION_BOOL, 0, "false" },
		{ OPTION_UINT, INT64_MAX, "9223372036854775807" },
		{ OPTION_SIZE, 0, "0" },
		{ OPTION_SIZE, 1023, "1023" },
		{ OPTION_SIZE, 1024, "1k" },
		{ OPTION_SIZE, 1025, "1025" },
		{ OPTION_SIZE, 5368709120, "5G" },
		{ OPTION_SIZE, 5368709121, "5368709121" },
		{ OPTION_SIZE, 2251799813685248, "2048T" },
		{ OPTION_TIME, 0, "0s" },
		{ OPTION_TIME, 500, "500ms" },
		{ OPTION_TIME, 90000, "90s" },
		{ OPTION_TIME, INT64_MAX, "9223372036854775807ms" },
		{ OPTION_MODE, 0640, "0640" },
		{ OPTION_MODE, 0, "0000" },
		{ OPTION_MODE, 07777, "7777" },
	};
	char buf[VALUE_TEXT_SIZE];

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t back;

		ck_assert_str_eq(value_format(cases[i].type, cases[i].value, buf), cases[i].text);
		ck_assert_int_eq(value_parse(cases[i].type, buf, &back), VALUE_OK);
		ck_assert_uint_eq(back, cases[i].value);
	}
}
END_TEST

static void
check_defaults(void)
{
	ck_assert_uint_eq(sample.port, 50001);
	ck_assert_uint_eq(sample.level, 0);
	ck_assert_str_eq(sample.root, "/var/lib/x");
	ck_assert_ptr_null(sample.log_file);
	ck_assert_uint_eq(sample.listen.count, 2);
	ck_assert_str_eq(sample.listen.items[1], "::1");
	ck_assert_uint_eq(sample.trusted.count, 0);
	ck_assert_uint_eq(sample.buffer, 65536);
	ck_assert_uint_eq(sample.idle_timeout, 60000);
	ck_assert_uint_eq(sample.delay, 100);
	ck_assert_uint_eq(sample.file_mode, 0640);
	ck_assert(!sample.daemonize && sample.color);
	ck_assert_uint_eq(sample.shade, 1);
	ck_assert_uint_eq(sample.tone, 0); /* the first word, where there is no default */
	ck_assert_int_eq(sample.help, 0);
}

START_TEST(init_sets_defaults)
{
	check_defaults();
	ck_assert_int_eq(option_source(&set, "listen_port"), OPTION_FROM_DEFAULT);
	ck_assert_int_eq(option_source(&set, "no_such"), OPTION_FROM_DEFAULT);
	ck_assert_ptr_null(option_find(&set, "listen-port"));
}
END_TEST

START_TEST(init_refuses_a_wrong_table)
{
	static const struct option_def bad_default[] = {
		{ .name = "root", .type = OPTION_STRING, .offset = AT(root), .initial = "/" },
		{ .name = "port",
		    .offset = AT(port),
		    .type = OPTION_UINT,
		    .initial = "9",
		    .max = 5 }
	};
	static const char *const words[] = { "on", "off", NULL };
	static const struct option_def bad_word[] = { { .name = "light",
	    .type = OPTION_CHOICE,
	    .offset = AT(shade),
	    .initial = "of",
	    .words = words } };
	static const struct option_def same_letter[] = {
		{ .name = "a", .letter = 'x', .type = OPTION_UINT, .offset = AT(port) },
		{ .name = "b", .letter = 'x', .type = OPTION_UINT, .offset = AT(level) }
	};
	static const struct option_def same_long[] = {
		{ .name = "a", .type = OPTION_UINT, .offset = AT(port) },
		{ .name = "b", .alias = "a", .type = OPTION_UINT, .offset = AT(level) }
	};
	struct option_set bad;
	struct sample values;

	ck_assert(!option_set_init(&bad, bad_default, 2, &values, &err));
	ck_assert_str_eq(err.text, "the default of port: 9 is not between 0 and 5");
	ck_assert(!option_set_init(&bad, bad_word, 1, &values, &err));
	ck_assert_str_eq(err.text, "the default of light: \"of\" is none of: on, off");
	ck_assert(!option_set_init(&bad, same_letter, 2, &values, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "a and b share"));
	ck_assert(!option_set_init(&bad, same_long, 2, &values, &err));
	option_set_clear(&bad);
}
END_TEST

static const struct {
	const char *name, *text, *error; /* NULL: none */
} assign_cases[] = {
	{ "listen_port", "65535", NULL },
	{ "listen_port", "70000", "70000 is not between 0 and 65535" },
	{ "listen_port", "-1", "-1 is not between 0 and 65535" },
	{ "listen_port", "99999999999999999999",
	    "99999999999999999999 is not between 0 and 65535" },
	{ "listen_port", "http", "\"http\" is not a number" },
	{ "listen_port", "", "\"\" is not a number" },
	{ "listen_port", "1\n2", "\"1\\x0a2\" is not a number" },
	{ "level", "-1", "-1 is negative" },
	{ "level", "9223372036854775808",
	    "9223372036854775808 is too large: at most 9223372036854775807" },
	{ "big", "4", "4 is less than 5" },
	{ "buffer_of_the_receiving_side", "1k", "1k is not between 4k and 1M" },
	{ "buffer_of_the_receiving_side", "2 MB", "\"2 MB\" is not between 4k and 1M" },
	{ "buffer_of_the_receiving_side", "x", "\"x\" is not a size such as 1048576, 64KiB or 5G" },
	{ "max_file_size", "8388608T", "8388608T is too large: at most 9223372036854775807" },
	{ "idle_timeout", "0.5s", "0.5s is not between 1s and 3600s" },
	{ "idle_timeout", "2h", "2h is not between 1s and 3600s" },
	{ "idle_timeout", "soon", "\"soon\" is not a time such as 90, 90s, 500ms or 15m" },
	{ "delay", "0.0001", "0.0001 is finer than a millisecond" },
	{ "file_mode", "1777", "1777 is not between 0000 and 0777" },
	{ "file_mode", "888", "\"888\" is not an octal mode such as 0640" },
	{ "daemonize", "maybe", "\"maybe\" is not true or false" },
	{ "storage_root", "", "0 bytes, but 1 to 20 allowed" },
	{ "storage_root", "123456789012345678901", "21 bytes, but 1 to 20 allowed" },
	{ "storage_root", "12345678901234567890", NULL },
	{ "log_file", "", NULL },
	{ "listen_address", "", "0 items, but 1 to 4 allowed" },
	{ "listen_address", "a,b,c,d,e", "5 items, but 1 to 4 allowed" },
	{ "listen_address", "a,,c", "item 2 is empty" },
	{ "listen_address", "a,", "item 2 is empty" },
	{ "listen_address", "a,b", NULL },
	{ "trusted", "", "0 items, but at least 1 needed" },
	{ "shade", "light", NULL },
	{ "shade", "dark", NULL },
	{ "shade", "none", NULL },
	{ "shade", "dar", "\"dar\" is none of: light, dark, none" },
	{ "shade", "Dark", "\"Dark\" is none of: light, dark, none" },
	{ "shade", "1", "\"1\" is none of: light, dark, none" },
	{ "shade", "", "\"\" is none of: light, dark, none" },
	{ "help", "whatever", NULL },
};

START_TEST(assign_table)
{
	const struct option_def *def = option_find(&set, assign_cases[_i].name);
	bool ok = option_assign(&set, def, assign_cases[_i].text, OPTION_FROM_FILE, &err);

	if (assign_cases[_i].error == NULL) {
		ck_assert_msg(ok, "%s", err.text);
		ck_assert_int_eq(option_source(&set, def->name), OPTION_FROM_FILE);
		return;
	}
	ck_assert(!ok);
	ck_assert_str_eq(err.text, assign_cases[_i].error);
	ck_assert_str_eq(err.file, "");
	ck_assert_uint_eq(err.line, 0);
	ck_assert_int_eq(option_source(&set, def->name), OPTION_FROM_DEFAULT);
	check_defaults(); /* the old values stand */
}
END_TEST

START_TEST(source_ranks)
{
	const struct option_def *port = option_find(&set, "listen_port");
	const struct option_def *root = option_find(&set, "storage_root");
	const struct option_def *list = option_find(&set, "listen_address");
	const struct option_def *shade = option_find(&set, "shade");
	const char *const items[] = { "a", "b,c" };

	ck_assert(option_assign(&set, port, "1", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert(option_assign(&set, port, "2", OPTION_FROM_FILE, &err));
	ck_assert(!option_assign(&set, port, "70000", OPTION_FROM_FILE, &err));
	ck_assert_uint_eq(sample.port, 1);
	ck_assert_int_eq(option_source(&set, "listen_port"), OPTION_FROM_COMMAND_LINE);
	ck_assert(option_assign(&set, port, "3", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert_uint_eq(sample.port, 3);

	ck_assert(option_assign(&set, shade, "none", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert(option_assign(&set, shade, "light", OPTION_FROM_FILE, &err));
	ck_assert(!option_assign(&set, shade, "red", OPTION_FROM_FILE, &err));
	ck_assert_uint_eq(sample.shade, 2);

	ck_assert(option_assign(&set, root, "/c", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert(option_assign(&set, root, "/f", OPTION_FROM_FILE, &err));
	ck_assert_str_eq(sample.root, "/c");

	ck_assert(option_assign_list(&set, list, items, 2, OPTION_FROM_FILE, &err));
	ck_assert_str_eq(sample.listen.items[1], "b,c");
	ck_assert(option_assign(&set, list, "x", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert(option_assign_list(&set, list, items, 2, OPTION_FROM_FILE, &err));
	ck_assert_uint_eq(sample.listen.count, 1);
	ck_assert(!option_assign_list(&set, port, items, 2, OPTION_FROM_FILE, &err));
}
END_TEST

START_TEST(two_spellings_are_one_value)
{
	const struct option_def *old = option_find(&set, "max_size");
	const struct option_def *now = option_find(&set, "max_file_size");

	ck_assert(option_assign(&set, old, "5G", OPTION_FROM_COMMAND_LINE, &err));
	ck_assert(option_assign(&set, now, "1G", OPTION_FROM_FILE, &err));
	ck_assert_uint_eq(sample.max_file_size, 5368709120);
	ck_assert_int_eq(option_source(&set, "max_file_size"), OPTION_FROM_COMMAND_LINE);
}
END_TEST

START_TEST(nearest_names)
{
	static const struct {
		const char *written;
		bool in_file;
		const char *nearest; /* NULL: none */
	} cases[] = {
		{ "listen_prot", true, "listen_port" },
		{ "listen-port", true, "listen_port" },
		{ "storage-rot", false, "storage_root" },
		{ "buffer-of-the-receiving-sidee", false, "buffer_of_the_receiving_side" },
		{ "dely", true, "delay" },
		{ "max_siz", true, NULL }, /* the hidden name is not offered */
		{ "hlp", true, NULL },
		{ "hlp", false, "help" },
		{ "xyzzy", true, NULL },
		{ "", true, NULL },
		{ "a_name_that_is_much_longer_than_any_name_that_an_option_has", true, NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct option_def *def =
		    option_nearest(&set, cases[i].written, cases[i].in_file);

		ck_assert_pstr_eq(def != NULL ? def->name : NULL, cases[i].nearest);
	}
}
END_TEST

static Suite *
conf_suite(void)
{
	Suite *s = suite_create("conf");
	TCase *tc = tcase_create("values");

	tcase_add_loop_test(tc, value_parse_table, 0, COUNT(parse_cases));
	tcase_add_test(tc, value_format_table);
	suite_add_tcase(s, tc);

	tc = tcase_create("options");
	tcase_add_checked_fixture(tc, conf_setup, conf_teardown);
	tcase_add_test(tc, init_sets_defaults);
	tcase_add_test(tc, init_refuses_a_wrong_table);
	tcase_add_loop_test(tc, assign_table, 0, COUNT(assign_cases));
	tcase_add_test(tc, source_ranks);
	tcase_add_test(tc, two_spellings_are_one_value);
	tcase_add_test(tc, nearest_names);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *runner = srunner_create(conf_suite());
	int failed;

	srunner_add_suite(runner, conf_cmdline_suite());
	srunner_add_suite(runner, conf_file_suite());
	srunner_add_suite(runner, conf_include_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
