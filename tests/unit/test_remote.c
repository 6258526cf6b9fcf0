/* client/remote: which names are remote, and what they mean. */
#include "unit/unit.h"

#include <string.h>

#include "client/ftxfer.h"

static const struct ftxfer_alias aliases[] = {
	{ "work", "ftx://files.example:7000/home/me" },
	{ "root", "[::1]:/" },
	{ "odd", "files.example" },
	{ "wild", "files.example:/*" },
	{ "a-b.c", "h:1/x" },
	{ "star", "ftx://h/a%2A%5Bb%5D\\" },
};

static const struct {
	const char *text, *host;
	unsigned port;
	const char *path, *pattern;
	bool is_dir;
} remote[] = {
	{ "ftx://h", "h", 50001, "", NULL, true },
	{ "ftx://h/", "h", 50001, "", NULL, true },
	{ "ftx://h/a", "h", 50001, "a", NULL, false },
	{ "ftx://h:1/a/b", "h", 1, "a/b", NULL, false },
	{ "ftx://h:65535", "h", 65535, "", NULL, true },
	{ "ftx://h:/a", "h", 50001, "a", NULL, false },
	{ "ftx://h//a//", "h", 50001, "a", NULL, true },
	/* What an alias brings is no pattern. */
	{ "star:", "h", 50001, "a*[b]\\", NULL, false },
	{ "star:x", "h", 50001, "a*[b]\\/x", NULL, false },
	{ "star:*.x", "h", 50001, "a*[b]\\/*.x", "a\\*\\[b\\]\\\\/*.x", false },
	{ "ftx://192.0.2.1/a", "192.0.2.1", 50001, "a", NULL, false },
	{ "ftx://[2001:db8::1]:7/a", "2001:db8::1", 7, "a", NULL, false },
	{ "ftx://[::1]/a", "::1", 50001, "a", NULL, false },
	{ "ftx://[fe80::1%eth0]/a", "fe80::1%eth0", 50001, "a", NULL, false },
	{ "ftx://h/a%20b%C3%A4", "h", 50001, "a b\xc3\xa4", NULL, false },
	{ "ftx://h/%2a%3F%5b%25", "h", 50001, "*?[%", NULL, false },
	{ "ftx://h/%2a*", "h", 50001, "**", "\\**", false },
	{ "ftx://h/a\\b*", "h", 50001, "a\\b*", "a\\\\b*", false },
	{ "ftx://h/a#b&c=d:e", "h", 50001, "a#b&c=d:e", NULL, false },
	{ "h:/", "h", 50001, "", NULL, true },
	{ "h:/a", "h", 50001, "a", NULL, false },
	{ "h:/a/", "h", 50001, "a", NULL, true },
	{ "h:7/a", "h", 7, "a", NULL, false },
	{ "[::1]:/a", "::1", 50001, "a", NULL, false },
	{ "[::1]:7/a", "::1", 7, "a", NULL, false },
	{ "files.example:/a:b", "files.example", 50001, "a:b", NULL, false },
	{ "h:/a%20b", "h", 50001, "a%20b", NULL, false },
	{ "h:/*.t?t", "h", 50001, "*.t?t", "*.t?t", false },
	{ "h:/[a-c]*", "h", 50001, "[a-c]*", "[a-c]*", false },
	{ "h:/a\\*b", "h", 50001, "a*b", NULL, false },
	{ "h:/a\\\\b", "h", 50001, "a\\b", NULL, false },
	{ "h:/a\\b", "h", 50001, "a\\b", NULL, false },
	{ "work:", "files.example", 7000, "home/me", NULL, false },
	{ "work:a", "files.example", 7000, "home/me/a", NULL, false },
	{ "work:/a/", "files.example", 7000, "home/me/a", NULL, true },
	{ "work:*.c", "files.example", 7000, "home/me/*.c", "home/me/*.c", false },
	{ "work:1/a", "files.example", 7000, "home/me/1/a", NULL, false },
	{ "root:", "::1", 50001, "", NULL, true },
	{ "root:a", "::1", 50001, "a", NULL, false },
	{ "a-b.c:y", "h", 1, "x/y", NULL, false },
};

START_TEST(test_remote)
{
	struct ftxfer_remote *r;
	char why[512];

	ck_assert_msg(ftxfer_remote_parse(remote[_i].text, aliases, (size_t)COUNT(aliases), &r, why,
			  sizeof(why)) == FTXFER_NAME_REMOTE,
	    "%s is not remote", remote[_i].text);
	ck_assert_str_eq(r->host, remote[_i].host);
	ck_assert_uint_eq(r->port, remote[_i].port);
	ck_assert_str_eq(r->path, remote[_i].path);
	if (remote[_i].pattern == NULL)
		ck_assert_ptr_null(r->pattern);
	else
		ck_assert_str_eq(r->pattern, remote[_i].pattern);
	ck_assert(r->is_dir == remote[_i].is_dir);
	ftxfer_remote_free(r);
}
END_TEST

/* The parser's own fault, or the local file that somebody has. */
static const char *const local[] = { "", "a", "/a", "a/b", "./h:/a", "a/b:/c", "a:b", "none:a",
	"a:1", "a:1x/b", "a b:/c", ":/a", "[x:/a", "-", "a:", "[1]:/a", "[::1:/a" };

START_TEST(test_local)
{
	struct ftxfer_remote *r;
	char why[512];

	ck_assert_msg(ftxfer_remote_parse(local[_i], aliases, (size_t)COUNT(aliases), &r, why,
			  sizeof(why)) == FTXFER_NAME_LOCAL,
	    "%s is not local", local[_i]);
	ck_assert_ptr_null(r);
}
END_TEST

static const struct {
	const char *text, *why;
} bad[] = {
	{ "ftx://", "host" },
	{ "ftx:///a", "host" },
	{ "ftx://[1]/a", "host" },
	{ "ftx://[::1/a", "host" },
	{ "ftx://me@h/a", "users" },
	{ "me@h:/a", "users" },
	{ "ftx://h:0/a", "65535" },
	{ "ftx://h:65536/a", "65535" },
	{ "ftx://h:99999999999999999999/a", "65535" },
	{ "h:0/a", "65535" },
	{ "h:65536/a", "65535" },
	{ "ftx://h:x/a", "form" },
	{ "ftx://h x/a", "form" },
	{ "ftx://h/%2F", "%2F" },
	{ "ftx://h/%00", "%00" },
	{ "ftx://h/%", "hexadecimal" },
	{ "ftx://h/%2", "hexadecimal" },
	{ "ftx://h/%zz", "hexadecimal" },
	{ "odd:a", "alias" },
	{ "wild:a", "alias" },
};

START_TEST(test_wrong)
{
	struct ftxfer_remote *r;
	char why[512] = "";

	ck_assert_msg(ftxfer_remote_parse(bad[_i].text, aliases, (size_t)COUNT(aliases), &r, why,
			  sizeof(why)) == FTXFER_NAME_WRONG,
	    "%s is not wrong", bad[_i].text);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(why, bad[_i].why) != NULL, "%s: %s", bad[_i].text, why);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "remote");

	tcase_add_loop_test(tc, test_remote, 0, COUNT(remote));
	tcase_add_loop_test(tc, test_local, 0, COUNT(local));
	tcase_add_loop_test(tc, test_wrong, 0, COUNT(bad));
}

int
main(void)
{
	return unit_run("remote", add_cases);
}
