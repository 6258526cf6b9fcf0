/*
 * conf: configuration files, what they include, and what libconfig would get wrong. Part of
 * test_conf.
 */
#include "unit/test_conf.h"

#include <stdlib.h>
#include <string.h>

START_TEST(every_type)
{
	conf_write("main.conf",
	    "# a comment\n"
	    "listen_port = 080; // not octal\n"
	    "level: 0x7FFFFFFFFFFFFFFFL /* 5G @include \"x\" */ big = 2147483647,\n"
	    "storage_root = \"/srv/\" \"data\";\n"
	    "log_file = \"a\\\"b\\\\c\\x41 # 5G @ /* \";\n"
	    "listen_address = ( \"10.0.0.1\",\n   \"::\" );\n"
	    "trusted = \"one,word\";\n"
	    "max_file_size = \"5G\";\n"
	    "buffer_of_the_receiving_side = 8192;\n"
	    "idle_timeout = 1.5;\n"
	    "delay = \"250ms\";\n"
	    "file_mode = 0600;\n"
	    "shade = \"none\"; tone = \"dark\";\n"
	    "daemonize = True; color = false");
	conf_accepted();
	ck_assert_uint_eq(sample.port, 80);
	ck_assert_uint_eq(sample.level, INT64_MAX);
	ck_assert_uint_eq(sample.big, INT32_MAX);
	ck_assert_str_eq(sample.root, "/srv/data");
	ck_assert_str_eq(sample.log_file, "a\"b\\cA # 5G @ /* ");
	ck_assert_uint_eq(sample.listen.count, 2);
	ck_assert_str_eq(sample.listen.items[1], "::");
	ck_assert_uint_eq(sample.trusted.count, 1);
	ck_assert_str_eq(sample.trusted.items[0], "one,word");
	ck_assert_uint_eq(sample.max_file_size, 5368709120);
	ck_assert_uint_eq(sample.buffer, 8192);
	ck_assert_uint_eq(sample.idle_timeout, 1500);
	ck_assert_uint_eq(sample.delay, 250);
	ck_assert_uint_eq(sample.file_mode, 0600);
	ck_assert_uint_eq(sample.shade, 2);
	ck_assert_uint_eq(sample.tone, 1);
	ck_assert(sample.daemonize && !sample.color);
	ck_assert_int_eq(option_source(&set, "color"), OPTION_FROM_FILE);
}
END_TEST

START_TEST(other_forms)
{
	conf_write("main.conf", "max_file_size = 5368709120L\nidle_timeout = 30;"
				"file_mode = \"0755\"\nlisten_address = [ \"a\" ];"
				"delay = 0.5e1 big = +6;\r\n#");
	conf_accepted();
	ck_assert_uint_eq(sample.max_file_size, 5368709120);
	ck_assert_uint_eq(sample.idle_timeout, 30000);
	ck_assert_uint_eq(sample.file_mode, 0755);
	ck_assert_uint_eq(sample.listen.count, 1);
	ck_assert_uint_eq(sample.delay, 5000);
	conf_write("main.conf", "file_mode = 644");
	conf_accepted();
	ck_assert_uint_eq(sample.file_mode, 0644);
	conf_write("main.conf", "");
	conf_accepted();
	conf_write("main.conf", "// nothing");
	conf_accepted();
}
END_TEST

static const struct {
	const char *text;
	unsigned line;
	const char *error;
} refused_cases[] = {
	/* names */
	{ "level = 1;\nlisten_prot = 1;", 2,
	    "unknown option \"listen_prot\" (did you mean listen_port?)" },
	{ "listen-port = 1", 1, "unknown option \"listen-port\" (did you mean listen_port?)" },
	{ "\n\nxyzzy = 1", 3, "unknown option \"xyzzy\"" },
	{ "server = {\n listen_port = 1;\n};", 1, "unknown option \"server\"" },
	{ "help = 1;", 1, "option \"help\" is for the command line, not for a file" },
	{ "level = 1;\nlevel = 2;", 2, "duplicate setting name: level" },
	{ "color /* = */ = true; delay # :\n = 1 level = ( 2, \"big = 1\" )\ncolor : true; level = "
	  "1",
	    3, "duplicate setting name: color" },
	{ "a = { level = 1;\nlevel = 2; };", 2, "duplicate setting name" },
	/* types */
	{ "level = \"1\";", 1, "level: expected a number, not a string" },
	{ "level = true;", 1, "level: expected a number, not true or false" },
	{ "level = 1.5;", 1, "level: expected a number, not a number with a fraction" },
	{ "level = 1.0;", 1, "level: expected a number, not a number with a fraction" },
	{ "level = ( 1 );", 1, "level: expected a number, not a list" },
	{ "\nlevel = {\n};", 2, "level: expected a number, not a group" },
	{ "color = \"true\";", 1, "color: expected true or false, not a string" },
	{ "color = 1;", 1, "color: expected true or false, not a whole number" },
	{ "log_file = 1;", 1, "log_file: expected a string, not a whole number" },
	{ "log_file = [ \"a\" ];", 1, "log_file: expected a string, not a list" },
	{ "shade = 1;", 1, "shade: expected a string, not a whole number" },
	{ "\nshade = \"pink\";", 2, "shade: \"pink\" is none of: light, dark, none" },
	{ "trusted = 1;", 1,
	    "trusted: expected a string or a list of strings, not a whole number" },
	{ "trusted = ( \"a\",\n1 );", 1, "trusted: item 2 is a whole number, not a string" },
	{ "trusted = ( ( \"a\" ) );", 1, "trusted: item 1 is a list, not a string" },
	{ "max_file_size = 1.5;", 1,
	    "max_file_size: expected a number of bytes or a string such as \"5G\", not a number "
	    "with a fraction" },
	{ "file_mode = 0x1A0;", 1,
	    "file_mode: expected octal digits such as \"0640\", not a hexadecimal number" },
	{ "file_mode = 0680;", 1, "file_mode: \"680\" is not an octal mode such as 0640" },
	{ "file_mode = 06400L;", 1, "file_mode: 6400 is not between 0000 and 0777" },
	{ "file_mode = -640;", 1, "file_mode: -640 is not between 0000 and 0777" },
	/* ranges */
	{ "listen_port = 70000;", 1, "listen_port: 70000 is not between 0 and 65535" },
	{ "listen_port = -1;", 1, "listen_port: -1 is not between 0 and 65535" },
	{ "level = -1;", 1, "level: -1 is negative" },
	{ "level = -9223372036854775808L;", 1, "level: -9223372036854775808 is negative" },
	{ "max_file_size = -5L;", 1, "max_file_size: -5 is negative" },
	{ "\nbuffer_of_the_receiving_side = \"2M\";", 2,
	    "buffer_of_the_receiving_side: 2M is not between 4k and 1M" },
	{ "idle_timeout = 3601;", 1, "idle_timeout: 3601 is not between 1s and 3600s" },
	{ "idle_timeout = 0.25;", 1, "idle_timeout: 0.25 is not between 1s and 3600s" },
	{ "delay = -0.5;", 1, "delay: -0.5 is negative" },
	{ "delay = 0.0005;", 1, "delay: 0.0005 is finer than a millisecond" },
	{ "delay = 1e-9;", 1, "delay: 0.000001 is finer than a millisecond" },
	{ "delay = 1e999;", 1, "delay: the time is too large" },
	{ "delay = 9223372036854776L;", 1,
	    "delay: 9223372036854776 is too large: at most 9223372036854775807ms" },
	{ "storage_root = \"\";", 1, "storage_root: 0 bytes, but 1 to 20 allowed" },
	{ "listen_address = ();", 1, "listen_address: 0 items, but 1 to 4 allowed" },
	{ "listen_address = ( \"a\", \"\" );", 1, "listen_address: item 2 is empty" },
	/* what libconfig would cut */
	{ "\nmax_file_size = 5368709120;", 2,
	    "5368709120 does not fit in 32 bits and would be cut: write 5368709120L, or \"5G\" for "
	    "a size" },
	{ "level = 2147483648;", 1,
	    "2147483648 does not fit in 32 bits and would be cut: write 2147483648L, or \"2G\" for "
	    "a size" },
	{ "level = 3000000001;", 1,
	    "3000000001 does not fit in 32 bits and would be cut: write 3000000001L" },
	{ "level = -2147483649;", 1,
	    "-2147483649 does not fit in 32 bits and would be cut: write -2147483649L" },
	{ "level = 0x80000001;", 1,
	    "0x80000001 does not fit in 32 bits and would be cut: write 0x80000001L" },
	{ "level = 9223372036854775808L;", 1, "9223372036854775808L does not fit in 64 bits" },
	{ "level = 0x8000000000000000L;", 1, "0x8000000000000000L does not fit in 64 bits" },
	{ "level = 99999999999999999999999;", 1,
	    "99999999999999999999999 does not fit in 64 bits" },
	{ "level = 0x1FFFFFFFFFFFFFFFFFF;", 1, "0x1FFFFFFFFFFFFFFFFFF does not fit in 64 bits" },
	{ "log_file = \"/* \\\\\"; level = 3000000001; # \" */", 1,
	    "3000000001 does not fit in 32 bits and would be cut: write 3000000001L" },
	{ "trusted = [ \"a\\\"\", \"\n\" ];\n/* 1\n2 */ level = 3000000001;", 4,
	    "3000000001 does not fit in 32 bits and would be cut: write 3000000001L" },
	/* what libconfig says too little about, or nothing */
	{ "level = 1\nmax_file_size = 5G;", 2, "5G is not a number: a text needs quotes, \"5G\"" },
	{ "listen_address = 127.0.0.1;", 1,
	    "127.0.0.1 is not a number: a text needs quotes, \"127.0.0.1\"" },
	{ "delay = .;", 1, ". is not a number: a text needs quotes, \".\"" },
	{ "level = 1;\n/* open\n\n", 2, "a comment starts here and does not end" },
	{ "level = 1;\n log_file = \"open;\n\n", 2, "a string starts here and does not end" },
	{ "log_file = \"a\\x00b\";", 1, "a string cannot hold a NUL (\\x00)" },
	{ "level = 1; @include \"x\"", 1,
	    "@ is only for a line of the form @include \"FILE\", at its beginning" },
	{ "@include x", 1, "@ is only for a line of the form @include \"FILE\", at its beginning" },
	{ "level = 1;\n@include \"x\ny\"", 2,
	    "the name of the include file does not end on its line" },
	{ "@include \"x", 1, "the name of the include file does not end on its line" },
	/* syntax */
	{ "level = ;", 1, SYNTAX_ERROR },
	{ "level = 1;\n\nbig", 3, SYNTAX_ERROR },
	{ "level = -;", 1, SYNTAX_ERROR },
	{ "a = {\n b = 1;\n", 2, SYNTAX_ERROR },
	{ "= 1", 1, SYNTAX_ERROR },
	{ "trusted = [ \"a\", 1 ];", 1, "mismatched element type in array" },
};

START_TEST(refused_table)
{
	conf_write("main.conf", refused_cases[_i].text);
	conf_refused("main.conf", refused_cases[_i].line, refused_cases[_i].error);
}
END_TEST

START_TEST(command_line_stands)
{
	const struct option_def *port = option_find(&set, "listen_port");

	ck_assert(option_assign(&set, port, "80", OPTION_FROM_COMMAND_LINE, &err));
	conf_write("main.conf", "listen_port = 81; level = 5;");
	conf_accepted();
	ck_assert_uint_eq(sample.port, 80);
	ck_assert_uint_eq(sample.level, 5);
	conf_write("main.conf", "listen_port = 70000;");
	conf_refused("main.conf", 1, "listen_port: 70000 is not between 0 and 65535");
}
END_TEST

/* Prints the set, loads that into a fresh one and asserts that all is equal and prints the same. */
static void
check_round_trip(void)
{
	struct sample other;
	struct option_set copy;
	FILE *f = fopen(conf_path("main.conf"), "w");

	ck_assert_ptr_nonnull(f);
	option_print(&set, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert(option_set_init(&copy, sample_defs, SAMPLE_COUNT, &other, &err));
	ck_assert_msg(conf_load(&copy, conf_path("main.conf"), NULL, &err), "%s:%u: %s", err.file,
	    err.line, err.text);
	ck_assert_uint_eq(other.port, sample.port);
	ck_assert_uint_eq(other.level, sample.level);
	ck_assert_uint_eq(other.big, sample.big);
	ck_assert_uint_eq(other.max_file_size, sample.max_file_size);
	ck_assert_uint_eq(other.buffer, sample.buffer);
	ck_assert_uint_eq(other.idle_timeout, sample.idle_timeout);
	ck_assert_uint_eq(other.delay, sample.delay);
	ck_assert_uint_eq(other.file_mode, sample.file_mode);
	ck_assert_uint_eq(other.shade, sample.shade);
	ck_assert_uint_eq(other.tone, sample.tone);
	ck_assert_str_eq(other.root, sample.root);
	ck_assert_pstr_eq(other.log_file, sample.log_file);
	ck_assert(other.color == sample.color && other.daemonize == sample.daemonize);
	ck_assert_uint_eq(other.listen.count, sample.listen.count);
	for (size_t i = 0; i < sample.listen.count; i++)
		ck_assert_str_eq(other.listen.items[i], sample.listen.items[i]);
	ck_assert_uint_eq(other.trusted.count, sample.trusted.count);
	option_set_clear(&copy);
}

static void
assign(const char *name, const char *text)
{
	ck_assert_msg(option_assign(&set, option_find(&set, name), text, OPTION_FROM_FILE, &err),
	    "%s", err.text);
}

START_TEST(print_reads_back)
{
	static const char *const items[] = { "\"", "a,b", "\\\n\t\r\f\x01\x7f", "\xc3\xa4\xff" };
	static const char *const numbers[] = { "5", "2147483647", "2147483648", "4294967296",
		"9223372036854775807" };
	char all[256] = { 0 };

	check_round_trip();
	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	assign("log_file", all);
	assign("storage_root", "\\x41\\n\\\"#//* @");
	assign("trusted", "x");
	assign("daemonize", "yes");
	assign("color", "no");
	assign("file_mode", "0007");
	assign("shade", "light");
	assign("tone", "none");
	ck_assert(option_assign_list(
	    &set, option_find(&set, "listen_address"), items, 4, OPTION_FROM_FILE, &err));
	for (size_t i = 0; i < COUNT(numbers); i++) {
		assign("level", numbers[i]);
		assign("big", numbers[i]);
		assign("max_file_size", numbers[i]);
		check_round_trip();
	}
	assign("delay", "9223372036854775807ms");
	assign("log_file", "");
	assign("max_file_size", "8388607T");
	assign("idle_timeout", "1.001s");
	check_round_trip();
}
END_TEST

Suite *
conf_file_suite(void)
{
	Suite *s = suite_create("conf/file");
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, conf_setup_dir, conf_teardown_dir);
	tcase_add_test(tc, every_type);
	tcase_add_test(tc, other_forms);
	tcase_add_loop_test(tc, refused_table, 0, COUNT(refused_cases));
	tcase_add_test(tc, command_line_stands);
	tcase_add_test(tc, print_reads_back);
	suite_add_tcase(s, tc);
	return s;
}
