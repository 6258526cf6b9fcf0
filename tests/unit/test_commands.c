/* cli/commands, cli/settings: the tables of options, and where their values come from. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"

static struct command_options o;
static struct option_set set;
static struct option_def *defs;
static struct option_error err;

static void
set_up(void)
{
	size_t count;

	unit_enter_dir();
	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", unit_dir(), 1), 0);
	ck_assert_int_eq(mkdir("ftxfer", 0700), 0);
	defs = command_defs(COMMAND_PUT, &count);
	ck_assert_ptr_nonnull(defs);
	ck_assert_msg(option_set_init(&set, defs, count, &o, &err), "%s", err.text);
}

static void
tear_down(void)
{
	option_set_clear(&set);
	free(defs);
}

static void
user_says(const char *text)
{
	unit_write("ftxfer/config", text, strlen(text));
}

START_TEST(test_tables)
{
	const struct command *command = command_at((size_t)_i);
	struct command_options values;
	struct option_set one;
	size_t count;
	struct option_def *own;

	ck_assert_ptr_nonnull(command);
	ck_assert_ptr_eq(command_find(command->name), command);
	own = command_defs(command->word, &count);
	ck_assert_msg(
	    option_set_init(&one, own, count, &values, &err), "%s: %s", command->name, err.text);
	ck_assert_ptr_nonnull(option_find(&one, "retry_time"));
	ck_assert(values.jobs == 1 && values.retry_time == 300000);
	/* What not all commands have stands in no file. */
	for (size_t i = 0; i < count; i++) {
		if (own[i].offset < offsetof(struct command_options, jobs))
			ck_assert_msg((own[i].flags & OPTION_CLI_ONLY) != 0, "%s", own[i].name);
	}
	option_set_clear(&one);
	free(own);
}
END_TEST

START_TEST(test_no_command)
{
	static const char *const words[] = { "", "-m", "upload", "Put", "put ", "help" };

	for (int i = 0; i < COUNT(words); i++)
		ck_assert_ptr_null(command_find(words[i]));
	ck_assert_ptr_null(command_at(COMMAND_COUNT));
}
END_TEST

START_TEST(test_no_file)
{
	ck_assert_msg(command_settings(&set, "system.conf", &err), "%s", err.text);
	ck_assert_uint_eq(o.jobs, 1);
}
END_TEST

START_TEST(test_order)
{
	char *argv[] = { (char[]){ "put" }, (char[]){ "-j7" }, NULL };
	int first;

	user_says("jobs = 3; retry_time = \"9s\"; digest = \"sha256\";");
	ck_assert_int_eq(setenv("FTXFER_JOBS", "5", 1), 0);
	ck_assert_int_eq(setenv("FTXFER_RETRY_TIME", "8s", 1), 0);
	ck_assert(cmdline_parse(&set, 2, argv, &first, &err));
	ck_assert_msg(command_settings(&set, "system.conf", &err), "%s", err.text);
	ck_assert_uint_eq(o.jobs, 7);          /* the command line */
	ck_assert_uint_eq(o.retry_time, 8000); /* the environment */
	ck_assert_uint_eq(o.digest, 1);        /* the file */
}
END_TEST

/* The system's file is what counts least; a list of the user's takes the place of its own. */
START_TEST(test_system)
{
	static const char text[] =
	    "jobs = 2; retry_time = \"7s\"; quiet = true; aliases = [ \"a=ftx://a/\" ];";

	unit_write("system.conf", text, sizeof(text) - 1);
	user_says("jobs = 3; aliases = [ \"b=ftx://b/\", \"c=ftx://c/\" ];");
	ck_assert_int_eq(setenv("FTXFER_QUIET", "false", 1), 0);
	ck_assert_msg(command_settings(&set, "system.conf", &err), "%s", err.text);
	ck_assert_uint_eq(o.jobs, 3);
	ck_assert_uint_eq(o.retry_time, 7000);
	ck_assert(!o.quiet);
	ck_assert_uint_eq(o.aliases.count, 2);
	ck_assert_str_eq(o.aliases.items[0], "b=ftx://b/");
}
END_TEST

/* Of the two whoever speaks last, or ranks higher, is heard, and not the one who said the other. */
START_TEST(test_quiet_or_verbose)
{
	static const struct {
		const char *flag, *variable, *file;
		bool quiet, verbose;
	} cases[] = {
		{ "-v", NULL, "quiet = true;", false, true },
		{ "-q", NULL, "verbose = true;", true, false },
		{ "-v", "FTXFER_QUIET", "", false, true },
		{ "-q", "FTXFER_VERBOSE", "quiet = false;", true, false },
		{ "-d", "FTXFER_VERBOSE", "quiet = true;", false, true },
		{ "-d", "FTXFER_QUIET", "verbose = true;", true, false },
		{ "-d", NULL, "quiet = true; verbose = true;", false, true },
		{ "-vq", NULL, "", true, false },
		{ "-qv", NULL, "", false, true },
		{ "-d", NULL, "quiet = true; verbose = false;", true, false },
	};
	char flag[8], *argv[] = { (char[]){ "put" }, flag, NULL };
	int first;

	snprintf(flag, sizeof(flag), "%s", cases[_i].flag);
	user_says(cases[_i].file);
	if (cases[_i].variable != NULL)
		ck_assert_int_eq(setenv(cases[_i].variable, "1", 1), 0);
	ck_assert(cmdline_parse(&set, 2, argv, &first, &err));
	ck_assert_msg(command_settings(&set, "system.conf", &err), "%s", err.text);
	ck_assert(o.quiet == cases[_i].quiet);
	ck_assert(o.verbose == cases[_i].verbose);
}
END_TEST

/* What is wrong with it is said with its name. */
START_TEST(test_wrong_system)
{
	unit_write("system.conf", "\njobs = 0;", 10);
	ck_assert(!command_settings(&set, "system.conf", &err));
	ck_assert_str_eq(err.file, "system.conf");
	ck_assert_uint_eq(err.line, 2);
}
END_TEST

START_TEST(test_wrong_settings)
{
	user_says("jobz = 3;");
	ck_assert(!command_settings(&set, "system.conf", &err));
	ck_assert_uint_eq(err.line, 1);
	user_says("replace = true;"); /* one command's */
	ck_assert(!command_settings(&set, "system.conf", &err));
	user_says("jobs = 3;");
	ck_assert_int_eq(setenv("FTXFER_JOBS", "many", 1), 0);
	ck_assert(!command_settings(&set, "system.conf", &err));
	ck_assert_ptr_nonnull(strstr(err.text, "FTXFER_JOBS"));
}
END_TEST

START_TEST(test_aliases)
{
	struct ftxfer_alias aliases[2];

	user_says("aliases = [ \" a = ftx://h/x \", \"b=[::1]:/\" ];");
	ck_assert_msg(command_settings(&set, "system.conf", &err), "%s", err.text);
	ck_assert_uint_eq(o.aliases.count, 2);
	ck_assert_msg(command_aliases(&o.aliases, aliases, &err), "%s", err.text);
	ck_assert_str_eq(aliases[0].name, "a");
	ck_assert_str_eq(aliases[0].target, "ftx://h/x");
	ck_assert_str_eq(aliases[1].name, "b");
	ck_assert_str_eq(aliases[1].target, "[::1]:/");
}
END_TEST

START_TEST(test_wrong_aliases)
{
	static const char *const texts[] = { "a", "=ftx://h/" };
	struct ftxfer_alias alias;

	for (int i = 0; i < COUNT(texts); i++) {
		ck_assert(option_assign(
		    &set, option_find(&set, "aliases"), texts[i], OPTION_FROM_COMMAND_LINE, &err));
		ck_assert_msg(!command_aliases(&o.aliases, &alias, &err), "%s", texts[i]);
	}
}
END_TEST

START_TEST(test_user_file)
{
	char *path = command_user_file("XDG_CONFIG_HOME", ".config", "x");

	ck_assert_uint_eq(strlen(path), strlen(unit_dir()) + strlen("/ftxfer/x"));
	free(path);
	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "relative", 1), 0);
	ck_assert_int_eq(setenv("HOME", "/home/me", 1), 0);
	path = command_user_file("XDG_CONFIG_HOME", ".config", "x");
	ck_assert_str_eq(path, "/home/me/.config/ftxfer/x");
	free(path);
	ck_assert_int_eq(unsetenv("HOME"), 0);
	ck_assert_ptr_null(command_user_file("XDG_CONFIG_HOME", ".config", "x"));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "commands");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_tables, 0, COMMAND_COUNT);
	tcase_add_test(tc, test_no_command);
	tcase_add_test(tc, test_no_file);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_system);
	tcase_add_loop_test(tc, test_quiet_or_verbose, 0, 10);
	tcase_add_test(tc, test_wrong_system);
	tcase_add_test(tc, test_wrong_settings);
	tcase_add_test(tc, test_aliases);
	tcase_add_test(tc, test_wrong_aliases);
	tcase_add_test(tc, test_user_file);
}

int
main(void)
{
	return unit_run("commands", add_cases);
}
