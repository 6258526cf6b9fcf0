/* client/explain: what an end means to a person, and to a script (it becomes the exit code). */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "client/explain.h"

static struct ftxfer_spec spec = {
	.server = "example.net:50000",
	.remote_name = "there.txt",
	.local_name = "here.txt",
};

static char text[2048];

static enum ftxfer_status
ask(enum ftxfer_mode mode, enum ftx_rc rc, enum v1_side side)
{
	spec.mode = mode;
	memset(text, '#', sizeof(text));
	return explain(&spec, rc, side, text, sizeof(text));
}

#define UP    FTXFER_UPLOAD
#define DOWN  FTXFER_DOWNLOAD
#define THERE V1_SIDE_REMOTE
#define HERE  V1_SIDE_LOCAL

/* What the text must hold: the name that is meant, a word of what to do. */
static const struct {
	enum ftxfer_mode mode;
	enum ftx_rc rc;
	enum v1_side side;
	enum ftxfer_status status;
	const char *holds, *also;
} ends[] = {
	{ UP, FTX_OK, V1_SIDE_NONE, FTXFER_OK, "complete", "" },
	{ DOWN, FTX_OK, V1_SIDE_NONE, FTXFER_OK, "complete", "" },
	/* What the server says. */
	{ UP, FTX_EXISTS, THERE, FTXFER_CANNOT_CREATE, "there.txt", "another name" },
	{ DOWN, FTX_NOT_FOUND, THERE, FTXFER_REFUSED, "there.txt", "not found" },
	{ UP, FTX_REMOTE_REFUSED, THERE, FTXFER_REFUSED, "there.txt", "space" },
	{ UP, FTX_REMOTE_ERROR, THERE, FTXFER_REFUSED, "there.txt", "error" },
	{ DOWN, FTX_REMOTE_ERROR, THERE, FTXFER_REFUSED, "there.txt", "error" },
	/* What is wrong here. */
	{ UP, FTX_NOT_FOUND, HERE, FTXFER_NO_INPUT, "here.txt", "cannot read" },
	{ UP, FTX_NO_PARENT, HERE, FTXFER_NO_INPUT, "here.txt", "cannot read" },
	{ UP, FTX_NOT_REGULAR, HERE, FTXFER_NO_INPUT, "here.txt", "regular" },
	{ UP, FTX_ACCESS, HERE, FTXFER_NO_INPUT, "here.txt", "permission" },
	{ UP, FTX_CHANGED, HERE, FTXFER_LOCAL_ERROR, "here.txt", "changed" },
	{ UP, FTX_IO, HERE, FTXFER_LOCAL_ERROR, "here.txt", "reading" },
	{ DOWN, FTX_NO_PARENT, HERE, FTXFER_CANNOT_CREATE, "here.txt", "directory" },
	{ DOWN, FTX_NOT_REGULAR, HERE, FTXFER_CANNOT_CREATE, "here.txt", "regular" },
	{ DOWN, FTX_ACCESS, HERE, FTXFER_CANNOT_CREATE, "here.txt", "permission" },
	{ DOWN, FTX_NO_SPACE, HERE, FTXFER_LOCAL_ERROR, "here.txt", "space" },
	{ DOWN, FTX_TOO_LARGE, HERE, FTXFER_LOCAL_ERROR, "here.txt", "larger" },
	{ DOWN, FTX_IO, HERE, FTXFER_LOCAL_ERROR, "here.txt", "writing" },
	{ DOWN, FTX_NOMEM, HERE, FTXFER_INTERNAL, "memory", "" },
	/* The way between. */
	{ UP, FTX_CONNECT, THERE, FTXFER_TRY_AGAIN, "example.net", "connect" },
	{ DOWN, FTX_CONNECT, THERE, FTXFER_TRY_AGAIN, "example.net", "try again" },
	{ UP, FTX_RESET, THERE, FTXFER_TRY_AGAIN, "reset", "not known to be stored" },
	{ DOWN, FTX_RESET, THERE, FTXFER_TRY_AGAIN, "reset", "try again" },
	{ UP, FTX_TRUNCATED, THERE, FTXFER_TRY_AGAIN, "closed", "not known to be stored" },
	{ DOWN, FTX_TRUNCATED, THERE, FTXFER_TRY_AGAIN, "closed", "try again" },
	{ UP, FTX_IDLE_TIMEOUT, THERE, FTXFER_TRY_AGAIN, "example.net", "not known to be stored" },
	{ DOWN, FTX_IDLE_TIMEOUT, THERE, FTXFER_TRY_AGAIN, "example.net", "try again" },
	{ UP, FTX_HOST_UNKNOWN, THERE, FTXFER_UNKNOWN_HOST, "example.net", "host" },
	{ UP, FTX_USAGE, THERE, FTXFER_BAD_USAGE, "example.net", "HOST or HOST:PORT" },
	{ UP, FTX_BAD_NAME, V1_SIDE_NONE, FTXFER_BAD_USAGE, "255", "name" },
	{ UP, FTX_PROTOCOL, THERE, FTXFER_BAD_PEER, "example.net", "protocol" },
	{ DOWN, FTX_PROTOCOL, THERE, FTXFER_BAD_PEER, "example.net", "protocol" },
	{ DOWN, FTX_EXCESS, THERE, FTXFER_BAD_PEER, "example.net", "more bytes" },
	{ UP, FTX_CANCELLED, THERE, FTXFER_CANCELLED, "cancelled", "" },
	{ DOWN, FTX_CANCELLED, V1_SIDE_NONE, FTXFER_CANCELLED, "cancelled", "" },
	{ DOWN, FTX_DESCRIPTORS, THERE, FTXFER_INTERNAL, "descriptors", "" },
};

START_TEST(test_ends)
{
	enum ftxfer_status got = ask(ends[_i].mode, ends[_i].rc, ends[_i].side);

	ck_assert_msg(got == ends[_i].status, "%s: status %d", ftx_rc_name(ends[_i].rc), (int)got);
	ck_assert_msg(strstr(text, ends[_i].holds) != NULL, "%s", text);
	ck_assert_msg(strstr(text, ends[_i].also) != NULL, "%s", text);
}
END_TEST

/* Each code, from each side: a sentence, and success for nothing but success. */
START_TEST(test_all_codes)
{
	for (int rc = 0; rc < FTX_RC_COUNT; rc++) {
		for (int side = V1_SIDE_NONE; side <= V1_SIDE_REMOTE; side++) {
			for (int mode = 0; mode < 2; mode++) {
				enum ftxfer_status s =
				    ask(mode == 0 ? UP : DOWN, (enum ftx_rc)rc, (enum v1_side)side);
				size_t len = strnlen(text, sizeof(text));

				ck_assert_int_eq(s == FTXFER_OK, rc == FTX_OK);
				ck_assert_uint_gt(len, 0);
				ck_assert_uint_lt(len, sizeof(text));
				ck_assert_int_ne(text[len - 1], '.');
				ck_assert_int_ne(text[len - 1], ' ');
			}
		}
	}
}
END_TEST

/* A file that was stored after all must not be denied, nor one that was not be claimed. */
START_TEST(test_nothing_is_promised)
{
	for (int rc = FTX_OK + 1; rc < FTX_RC_COUNT; rc++) {
		(void)ask(UP, (enum ftx_rc)rc, THERE);
		ck_assert_msg(strstr(text, "complete") == NULL, "%s", text);
		ck_assert_msg(strstr(text, "nothing was stored") == NULL, "%s", text);
	}
}
END_TEST

START_TEST(test_names_are_harmless)
{
	static const enum v1_side sides[] = { V1_SIDE_NONE, V1_SIDE_LOCAL, V1_SIDE_REMOTE };
	char name[256];

	memset(name, 0x1b, 255);
	name[255] = '\0';
	spec.remote_name = spec.local_name = name;
	for (int rc = 0; rc < FTX_RC_COUNT; rc++) {
		for (int i = 0; i < 2 * COUNT(sides); i++) {
			(void)ask(i % 2 == 0 ? UP : DOWN, (enum ftx_rc)rc, sides[i / 2]);
			ck_assert_ptr_null(strchr(text, 0x1b));
		}
	}
}
END_TEST

START_TEST(test_little_room)
{
	for (size_t size = 1; size < 300; size += size < 20 ? 1 : 31) {
		for (int i = 0; i < COUNT(ends); i++) {
			memset(text, '#', sizeof(text));
			spec.mode = ends[i].mode;
			(void)explain(&spec, ends[i].rc, ends[i].side, text, size);
			UNIT_CHECK(strnlen(text, size) < size);
			UNIT_CHECK(text[size] == '#');
		}
	}
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "explain");

	tcase_add_loop_test(tc, test_ends, 0, COUNT(ends));
	tcase_add_test(tc, test_all_codes);
	tcase_add_test(tc, test_nothing_is_promised);
	tcase_add_test(tc, test_names_are_harmless);
	tcase_add_test(tc, test_little_room);
}

int
main(void)
{
	return unit_run("explain", add_cases);
}
