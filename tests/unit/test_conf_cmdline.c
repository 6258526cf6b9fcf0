/* conf: the command line, and what is printed for people. Part of test_conf. */
#include "unit/test_conf.h"

#include <stdlib.h>
#include <string.h>

/* The words of a command line, split at blanks; a word may be empty ("''"). Returns argc. */
static int
split(char *line, char **argv)
{
	int argc = 0;
	char *word;

	argv[argc++] = "prog";
	while ((word = strsep(&line, " ")) != NULL)
		argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
	argv[argc] = NULL;
	return argc;
}

static bool
parse(const char *words, int *first)
{
	char *argv[16], *line = strdup(words); /* leaks on a failed assertion only */
	bool ok = cmdline_parse(&set, split(line, argv), argv, first, &err);

	free(line);
	return ok;
}

START_TEST(cmdline_takes)
{
	int first;

	ck_assert_msg(parse("-l 80 --storage-root=/srv --listen-address a,b -c --daemonize "
			    "--shade none",
			  &first),
	    "%s", err.text);
	ck_assert_int_eq(first, 10);
	ck_assert_uint_eq(sample.shade, 2);
	ck_assert_uint_eq(sample.port, 80);
	ck_assert_str_eq(sample.root, "/srv");
	ck_assert_uint_eq(sample.listen.count, 2);
	ck_assert(sample.daemonize && sample.color);
	ck_assert_int_eq(option_source(&set, "listen_port"), OPTION_FROM_COMMAND_LINE);
	ck_assert_int_eq(option_source(&set, "idle_timeout"), OPTION_FROM_DEFAULT);

	ck_assert(parse("--color=off --daemonize=false --listenPort 81 -l82", &first));
	ck_assert(!sample.color && !sample.daemonize);
	ck_assert_uint_eq(sample.port, 82);                  /* the last one stands */
	ck_assert(parse("--idle 5m --max-size 1k", &first)); /* short for idle-timeout */
	ck_assert_uint_eq(sample.idle_timeout, 300000);
	ck_assert_uint_eq(sample.max_file_size, 1024);
}
END_TEST

START_TEST(cmdline_stops_and_permutes)
{
	char line[] = "one -l 1 two -- -l 2", *argv[16];
	int first, argc = split(line, argv);

	ck_assert(cmdline_parse(&set, argc, argv, &first, &err));
	ck_assert_uint_eq(sample.port, 1);
	ck_assert_int_eq(first, 4);
	ck_assert_str_eq(argv[4], "one");
	ck_assert_str_eq(argv[5], "two");
	ck_assert_str_eq(argv[6], "-l");
	ck_assert(parse("", &first)); /* one empty word is an argument */
	ck_assert_int_eq(first, 1);
}
END_TEST

START_TEST(cmdline_question_mark)
{
	int first;

	ck_assert_msg(parse("-?", &first), "%s", err.text);
	ck_assert_int_eq(sample.help, 1);
	sample.help = 0;
	ck_assert(parse("-c?V", &first));
	ck_assert_int_eq(sample.help, 1);
	ck_assert_int_eq(sample.version, 1);
	sample.help = 0;
	ck_assert(parse("--usage", &first));
	ck_assert_int_eq(sample.help, 1);
	ck_assert(!parse("-?x", &first));
	ck_assert_str_eq(err.text, "unknown option -x");
}
END_TEST

START_TEST(cmdline_starts_anew)
{
	static char prog[] = "prog", broken[] = "-xV", fine[] = "one";
	char *argv[] = { prog, broken, NULL };
	int first;

	ck_assert(!cmdline_parse(&set, 2, argv, &first, &err)); /* left in the middle of a word */
	argv[1] = fine;
	ck_assert(cmdline_parse(&set, 2, argv, &first, &err));
	ck_assert_int_eq(first, 1);
	ck_assert_int_eq(sample.version, 0);
}
END_TEST

static const struct {
	const char *words, *error;
} cmdline_cases[] = {
	{ "--foo", "unknown option --foo" },
	{ "--foo=bar", "unknown option --foo" },
	{ "-l 1 --foo 2", "unknown option --foo" },
	{ "one --foo two", "unknown option --foo" },
	{ "--listen-prot 5", "unknown option --listen-prot (did you mean --listen-port?)" },
	{ "--hepl", "unknown option --hepl (did you mean --help?)" },
	{ "--listen_port 5", "unknown option --listen_port (did you mean --listen-port?)" },
	{ "-x", "unknown option -x" },
	{ "-cx", "unknown option -x" },
	{ "-\xff", "unknown option -\\xFF" },
	{ "--listen-port", "option --listen-port needs a value" },
	{ "-l", "option --listen-port needs a value" },
	{ "--listenPort", "option --listen-port needs a value" },
	{ "--help=yes", "option --help takes no value" },
	{ "--listen 5", "option --listen is ambiguous" },
	{ "--d", "option --d is ambiguous" }, /* by two */
	{ "--listen=5", "option --listen is ambiguous" },
	{ "--listen-port 70000", "option --listen-port: 70000 is not between 0 and 65535" },
	{ "-l 70000", "option --listen-port: 70000 is not between 0 and 65535" },
	{ "--listen-port=", "option --listen-port: \"\" is not a number" },
	{ "-l -5", "option --listen-port: -5 is not between 0 and 65535" },
	{ "--shade", "option --shade needs a value" },
	{ "--shade red", "option --shade: \"red\" is none of: light, dark, none" },
	{ "-s ''", "option --shade: \"\" is none of: light, dark, none" },
	{ "--color=maybe", "option --color: \"maybe\" is not true or false" },
	{ "--listen-address ''", "option --listen-address: 0 items, but 1 to 4 allowed" },
};

START_TEST(cmdline_refuses)
{
	int first;

	ck_assert(!parse(cmdline_cases[_i].words, &first));
	ck_assert_str_eq(err.text, cmdline_cases[_i].error);
	ck_assert_str_eq(err.file, "");
}
END_TEST

/* What a function printed; to be freed. */
static char *
printed(void (*print)(const struct option_set *s, FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	print(&set, out);
	fclose(out);
	return text;
}

static void
print_help(const struct option_set *s, FILE *out)
{
	option_help(s, out, "prog [OPTION]... FILE", "The end.");
}

START_TEST(help_is_readable)
{
	static const char *const parts[] = {
		"usage: prog [OPTION]... FILE\n\n",
		"\n  -l, --listen-port PORT      TCP port to listen on; 0 lets the system choose\n",
		" choose\n                              (default: 50001)\n",
		"\n      --buffer-of-the-receiving-side SIZE\n          ",
		"buffer (default: 64KiB)\n",
		"\n  -s, --shade light|dark|none\n",
		"none\n                              how bright the paint is (default: dark)\n",
		"\n  -?, --help                  show this and exit\n",
		"\n      --daemonize             go to the background\n",
		"\n  -c, --color                 paint (default: true)\n",
		"\n\nThe end.\n",
	};
	char *text = printed(print_help), *rest = text, *line;

	for (size_t i = 0; i < COUNT(parts); i++)
		ck_assert_msg(strstr(text, parts[i]) != NULL, "%s is not in:\n%s", parts[i], text);
	ck_assert_ptr_null(strstr(text, "max-size"));
	while ((line = strsep(&rest, "\n")) != NULL)
		ck_assert_msg(strlen(line) <= 80, "too long: %s", line);
	free(text);
}
END_TEST

START_TEST(names_for_the_lint)
{
	char *text = printed(option_print_names);

	ck_assert_ptr_eq(strstr(text, "listen_port file\nlevel file\n"), text);
	ck_assert_ptr_nonnull(strstr(text, "\nhelp cli\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nmax_size file hidden\n"));
	free(text);
}
END_TEST

START_TEST(print_shows_all)
{
	static const char *const parts[] = {
		"# TCP port to listen on; 0 lets the system choose\nlisten_port = 80;\n",
		"\nlevel = 3000000000L;\n",
		"\nmax_file_size = 5368709121L;\n",
		"sentence is long enough to be\n# wrapped\n",
		"\nbuffer_of_the_receiving_side = \"64k\"; # default\n",
		"\nidle_timeout = \"60s\"; # default\n",
		"\ndelay = \"100ms\"; # default\n",
		"\nfile_mode = \"0640\"; # default\n",
		"\ndaemonize = false; # default\n",
		"\nshade = \"light\";\n",
		"\ntone = \"light\"; # default\n",
		"\n# log_file = \"\"; # default\n",
		"\n# trusted = ( ); # default\n",
		"\nlisten_address = ( \"127.0.0.1\", \"::1\" ); # default\n",
	};
	int first;
	char *text;

	ck_assert(parse("-l 80 --max-size 5368709121 --level 3000000000 -s light", &first));
	text = printed(option_print);
	for (size_t i = 0; i < COUNT(parts); i++)
		ck_assert_msg(strstr(text, parts[i]) != NULL, "%s is not in:\n%s", parts[i], text);
	ck_assert_ptr_null(strstr(text, "max_size"));
	ck_assert_ptr_null(strstr(text, "help ="));
	free(text);
}
END_TEST

START_TEST(print_escapes)
{
	char *text;

	ck_assert(option_assign(&set, option_find(&set, "log_file"),
	    "\"\\\n\t\r\x1b\x1f\x7f\xc3\xa4", OPTION_FROM_FILE, &err));
	text = printed(option_print);
	ck_assert_ptr_nonnull(
	    strstr(text, "\nlog_file = \"\\\"\\\\\\n\\t\\x0D\\x1B\\x1F\\x7F\xc3\xa4\";\n"));
	free(text);
}
END_TEST

Suite *
conf_cmdline_suite(void)
{
	Suite *s = suite_create("conf/cmdline");
	TCase *tc = tcase_create("cmdline");

	tcase_add_checked_fixture(tc, conf_setup, conf_teardown);
	tcase_add_test(tc, cmdline_takes);
	tcase_add_test(tc, cmdline_stops_and_permutes);
	tcase_add_test(tc, cmdline_question_mark);
	tcase_add_test(tc, cmdline_starts_anew);
	tcase_add_loop_test(tc, cmdline_refuses, 0, COUNT(cmdline_cases));
	tcase_add_test(tc, help_is_readable);
	tcase_add_test(tc, names_for_the_lint);
	tcase_add_test(tc, print_shows_all);
	tcase_add_test(tc, print_escapes);
	suite_add_tcase(s, tc);
	return s;
}
