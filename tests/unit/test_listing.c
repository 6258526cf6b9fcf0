/* store/listing: all names, once each, in order, whatever comes and goes; and little memory. */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/listing.h"
#include "store/stored_digest.h"
#include "unit/fake_sys.h"

static const struct path_rules utf8 = { .alphabet = PATH_UTF8 };
static const struct path_rules bytes = { .alphabet = PATH_BYTES };
static const struct listing_limits no_limits = { .entries = 100000, .bytes = SIZE_MAX / 2 };
static struct root *root;
static int descriptors;

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	descriptors = unit_descriptors();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(mkdir("root/d", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
}

static void
tear_down(void)
{
	ck_assert_uint_eq(root->listed, 0);
	root_close(root);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
make(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "root/d/%s", name);
	unit_write(path, name, strlen(name));
}

static enum ftx_rc
next_page(struct listing *l, const struct listing_limits *limits, struct listing_page *page)
{
	bool again = true;
	enum ftx_rc rc = FTX_OK;

	while (again && rc == FTX_OK)
		rc = listing_step(l, limits, page, &again);
	return rc;
}

/* The names of d, each with a blank, as one text; pages of so many entries. */
static const char *
listed(const struct path_rules *rules, size_t entries, const char *after)
{
	const struct listing_limits limits = { .entries = entries, .bytes = SIZE_MAX / 2 };
	static char text[4096];
	struct listing_page page;
	struct listing l;
	bool more;

	text[0] = '\0';
	listing_init(&l, root, "d", rules, false, after);
	do {
		ck_assert_int_eq(next_page(&l, &limits, &page), FTX_OK);
		ck_assert_uint_le(page.count, entries);
		for (size_t i = 0; i < page.count; i++) {
			strcat(text, page.entries[i].name);
			strcat(text, " ");
			ck_assert_str_le(page.entries[i].name, l.after);
		}
		more = page.more;
		listing_page_clear(&page);
	} while (more);
	listing_clear(&l);
	listing_clear(&l);
	return text;
}

START_TEST(test_order)
{
	static const char *const names[] = { "b", "a", "aa", "B", "-", "\xc3\xa9", "z", "a b", "~",
		".hidden" };
	static const char all[] = "- .hidden B a a b aa b z ~ \xc3\xa9 ";

	for (int i = 0; i < COUNT(names); i++)
		make(names[i]);
	for (size_t entries = 1; entries < 13; entries++)
		ck_assert_str_eq(listed(&utf8, entries, NULL), all);
	ck_assert_str_eq(listed(&utf8, 3, "a b"), "aa b z ~ \xc3\xa9 ");
	ck_assert_str_eq(listed(&utf8, 3, "ab"), "b z ~ \xc3\xa9 ");
	ck_assert_str_eq(listed(&utf8, 3, "\xff"), "");
}
END_TEST

/* What is the daemon's own, and what nobody could ask for. */
START_TEST(test_left_out)
{
	static const char *const names[] = { "file", ".ftxferd-0123456789abcdef-0", ".FtxFerd-x",
		"new\nline", "bad\xff", ".ftxfer", ".ftxferdx" };

	for (int i = 0; i < COUNT(names); i++)
		make(names[i]);
	ck_assert_int_eq(mkdir("root/d/.ftxferd", 0700), 0);
	ck_assert_str_eq(listed(&utf8, 10, NULL), ".ftxfer .ftxferdx file ");
	ck_assert_str_eq(listed(&bytes, 10, NULL), ".ftxfer .ftxferdx bad\xff file new\nline ");
}
END_TEST

START_TEST(test_too_deep)
{
	static const struct path_rules flat = { .alphabet = PATH_UTF8, .max_depth = 1 };
	static const char *const dirs[] = { "", "d", "d/e" };
	static const size_t counts[] = { 1, 2, 0 };

	make("file");
	ck_assert_int_eq(mkdir("root/d/e", 0755), 0);
	unit_write("root/d/e/file", "x", 1);
	for (int i = 0; i < COUNT(dirs); i++) {
		struct listing_page page;
		struct listing l;

		listing_init(&l, root, dirs[i], &flat, false, NULL);
		ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
		ck_assert_uint_eq(page.count, counts[i]);
		ck_assert(!page.more);
		listing_page_clear(&page);
		listing_clear(&l);
	}
}
END_TEST

START_TEST(test_entries)
{
	static const char *const names[] = { "dir", "fifo", "file", "link" };
	static const enum meta_kind kinds[] = { META_DIRECTORY, META_OTHER, META_FILE, META_LINK };
	struct digest_value v;
	struct listing_page page;
	struct listing l;
	bool stored;
	int fd;

	make("file");
	fd = open("root/d/file", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(digest_of(DIGEST_XXH128, "file", 4, &v), FTX_OK);
	stored = stored_digest_write(fd, &v);
	close(fd);
	ck_assert_int_eq(mkdir("root/d/dir", 0711), 0);
	ck_assert_int_eq(mkfifo("root/d/fifo", 0600), 0);
	ck_assert_int_eq(symlink("file", "root/d/link"), 0);
	listing_init(&l, root, "d", &utf8, _i == 1, NULL);
	ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
	ck_assert_uint_eq(page.count, 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_str_eq(page.entries[i].name, names[i]);
		ck_assert_int_eq(page.entries[i].meta.kind, kinds[i]);
	}
	ck_assert_uint_eq(page.entries[0].meta.mode, 0711);
	ck_assert_uint_eq(page.entries[2].meta.size, 4);
	ck_assert(digest_equal(&page.entries[2].meta.digest, &v) == (stored && _i == 1));
	listing_page_clear(&page);
	listing_clear(&l);
}
END_TEST

START_TEST(test_page_of_bytes)
{
	const struct listing_limits limits = { .entries = 100, .bytes = 50, .entry_bytes = 10 };
	struct listing_page page;
	struct listing l;
	size_t seen = 0;

	make("a");
	make("bb");
	make("ccc");
	make("dddd"); /* 11 + 12 + 13 + 14 is 50 */
	make("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
	make("f");
	listing_init(&l, root, "d", &utf8, false, NULL);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(next_page(&l, &limits, &page), FTX_OK);
		ck_assert_uint_eq(page.count, i == 0 ? 4 : 1);
		seen += page.count;
		ck_assert(page.more == (i < 2));
		listing_page_clear(&page);
	}
	ck_assert_uint_eq(seen, 6);
	listing_clear(&l);
}
END_TEST

static void
is_refused(const char *name, enum ftx_rc want)
{
	struct listing_page page;
	struct listing l;
	enum ftx_rc rc;
	bool again;

	listing_init(&l, root, name, &utf8, false, NULL);
	rc = listing_step(&l, &no_limits, &page, &again);
	ck_assert_msg(rc == want && !again, "%s: %s", name, ftx_rc_name(rc));
	ck_assert_uint_eq(page.count, 0);
	listing_clear(&l);
}

START_TEST(test_refused)
{
	static const struct {
		const char *name;
		enum ftx_rc rc;
	} cases[] = { { "none", FTX_NOT_FOUND }, { "none/none", FTX_NOT_FOUND },
		{ "d/file", FTX_NOT_DIRECTORY }, { "link", FTX_NOT_DIRECTORY },
		{ "out", FTX_NOT_DIRECTORY }, { "link/d", FTX_NOT_DIRECTORY } };
	static const unsigned flags[] = { 0, ROOT_NO_OPENAT2 };

	make("file");
	ck_assert_int_eq(symlink("d", "root/link"), 0);
	ck_assert_int_eq(symlink("../..", "root/out"), 0);
	for (int i = 0; i < COUNT(cases) * COUNT(flags); i++) {
		root->flags = flags[i % 2];
		is_refused(cases[i / 2].name, cases[i / 2].rc);
	}
	ck_assert_int_eq(chmod("root/d", 0), 0);
	unit_drop_root();
	is_refused("d", FTX_ACCESS);
}
END_TEST

/* What fails is tried again from where it was. */
START_TEST(test_fails)
{
	const struct listing_limits two = { .entries = 2, .bytes = SIZE_MAX / 2 };
	struct listing_page page;
	struct listing l;

	make("a");
	make("b");
	make("c");
	make("e");
	listing_init(&l, root, "d", &utf8, false, "b");
	fake_orders.readdir = EIO;
	ck_assert_int_eq(next_page(&l, &two, &page), FTX_IO);
	fake_orders.readdir = 0;
	fake_orders.fstatat_skip = 1;
	fake_orders.fstatat = EIO;
	ck_assert_int_eq(next_page(&l, &two, &page), FTX_IO);
	ck_assert_uint_eq(page.count, 0);
	ck_assert_str_eq(l.after, "b");
	fake_orders.fstatat = 0;
	ck_assert_int_eq(next_page(&l, &two, &page), FTX_OK);
	ck_assert_uint_eq(page.count, 2);
	ck_assert_str_eq(page.entries[0].name, "c");
	ck_assert(!page.more);
	listing_page_clear(&page);
	listing_clear(&l);
}
END_TEST

#define MANY 30000 /* more than are kept, and than are read in one step */

static void
many_name(char name[64], unsigned i)
{
	/* In no order: 7919 has no divisor in common with MANY. */
	snprintf(name, 64, "%05u-and-some-more-to-make-it-long", i * 7919U % MANY);
}

static void
make_many(void)
{
	char path[128], name[64];

	for (unsigned i = 0; i < MANY; i++) {
		int fd;

		many_name(name, i);
		snprintf(path, sizeof(path), "root/d/%s", name);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		UNIT_CHECK(fd >= 0);
		close(fd);
	}
}

/* Others come and go between the pages: those that stay are listed once, in order. */
START_TEST(test_many)
{
	const struct listing_limits limits = { .entries = 1000, .bytes = SIZE_MAX / 2 };
	unsigned next = 0, gone = 0, pages = 0;
	char name[64], path[128];
	struct listing_page page;
	struct listing l;
	bool more;

	make_many();
	listing_init(&l, root, "d", &utf8, false, NULL);
	do {
		ck_assert_int_eq(next_page(&l, &limits, &page), FTX_OK);
		ck_assert_uint_le(l.bytes, LISTING_KEEP);
		ck_assert_uint_le(l.count, LISTING_KEEP / 32);
		ck_assert_ptr_null(l.dir);
		for (size_t i = 0; i < page.count; i++) {
			unsigned number = (unsigned)strtoul(page.entries[i].name, NULL, 10);

			if (strchr(page.entries[i].name, '+') != NULL)
				continue; /* it came meanwhile */
			while (next != number && gone > 0 && next % 100 == 50)
				next++;
			UNIT_CHECK(number == next);
			next++;
		}
		pages++;
		more = page.more;
		listing_page_clear(&page);
		/* One goes that was not listed yet, and one comes. */
		snprintf(path, sizeof(path), "root/d/%05u-and-some-more-to-make-it-long",
		    next / 100 * 100 + 1050);
		if (unlink(path) == 0)
			gone++;
		snprintf(name, sizeof(name), "%05u+", next + 20);
		make(name);
	} while (more);
	if (next % 100 == 50)
		next++;
	ck_assert_uint_eq(next, MANY);
	ck_assert_uint_ge(gone, 20);
	ck_assert_uint_ge(pages, MANY / 1000);
	listing_clear(&l);
}
END_TEST

/* What is kept between two pages is counted, for all listings of the root. */
START_TEST(test_counted)
{
	const struct listing_limits one = { .entries = 1, .bytes = SIZE_MAX / 2 };
	const struct listing_limits limits = { .entries = 1000, .bytes = SIZE_MAX / 2 };
	struct listing_page page;
	struct listing l;
	bool again;

	make("a");
	make("b");
	listing_init(&l, root, "d", &utf8, false, NULL);
	ck_assert_int_eq(next_page(&l, &one, &page), FTX_OK);
	listing_page_clear(&page);
	ck_assert(root->listed > 0 && root->listed < 200);
	listing_clear(&l);
	make_many();
	listing_init(&l, root, "d", &utf8, false, NULL);
	ck_assert_int_eq(listing_step(&l, &limits, &page, &again), FTX_OK);
	ck_assert(again);
	ck_assert_uint_eq(root->listed, LISTING_KEEP);
	ck_assert_int_eq(next_page(&l, &limits, &page), FTX_OK);
	listing_page_clear(&page);
	ck_assert_uint_eq(root->listed, l.bytes);
	ck_assert_uint_gt(l.bytes, LISTING_KEEP / 2);
	fake_orders.fstatat = EIO;
	ck_assert_int_eq(next_page(&l, &limits, &page), FTX_IO);
	fake_orders.fstatat = 0;
	ck_assert_uint_eq(root->listed, 0);
	ck_assert_int_eq(listing_step(&l, &limits, &page, &again), FTX_OK);
	ck_assert_uint_eq(root->listed, LISTING_KEEP);
	listing_clear(&l);
	ck_assert_uint_eq(root->listed, 0);
	/* One that has given out all keeps nothing, though there is more in the directory. */
	ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
	ck_assert(page.more);
	listing_page_clear(&page);
	ck_assert_uint_eq(root->listed, 0);
	ck_assert_ptr_null(l.kept);
	listing_clear(&l);
}
END_TEST

/* Others keep all that may be kept: it goes on from where it was, and keeps nothing but that. */
START_TEST(test_no_room)
{
	/* A page takes 1,150 names, and its bytes keep 1,347: so of the last 1,250 some wait. */
	const struct listing_limits limits = {
		.entries = 10000, .bytes = (size_t)1150 * (35 + 40), .entry_bytes = 40
	};
	unsigned next = 0, pages = 0;
	struct listing_page page;
	struct listing l;
	bool more = true, again;

	make_many();
	root->listed = LISTING_KEEP_ALL - LISTING_KEEP + 1;
	listing_init(&l, root, "d", &utf8, false, NULL);
	for (; more; pages++) {
		do {
			ck_assert_int_eq(listing_step(&l, &limits, &page, &again), FTX_OK);
			ck_assert_uint_le(l.bytes, limits.bytes);
		} while (again);
		for (size_t i = 0; i < page.count; i++)
			UNIT_CHECK(strtoul(page.entries[i].name, NULL, 10) == next++);
		ck_assert_ptr_null(l.kept);
		more = page.more;
		listing_page_clear(&page);
	}
	ck_assert_uint_eq(next, MANY);
	ck_assert_uint_eq(pages, MANY / 1150 + 1); /* as full as ever */
	listing_clear(&l);
	ck_assert_uint_eq(root->listed, LISTING_KEEP_ALL - LISTING_KEEP + 1);
	root->listed = 0;
}
END_TEST

#define LONG      1000 /* more than are kept: 250 bytes each, and some */
#define LONG_SIZE 251

/* A directory that happens to be in order, so that the last one is read last. */
START_TEST(test_one_too_many)
{
	static char texts[LONG][LONG_SIZE], *names[LONG + 1];
	struct listing_page page;
	struct listing l;
	size_t kept;

	for (int i = 0; i < LONG; i++)
		snprintf(texts[i], LONG_SIZE, "%0250d", i);
	/* All of them; then as many as are kept; then one more. */
	listing_init(&l, root, "d", &utf8, false, NULL);
	for (int i = 0; i < LONG; i++)
		names[i] = texts[i];
	fake_orders.found_names = names;
	ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
	listing_page_clear(&page);
	kept = strtoul(l.after, NULL, 10) + 1; /* all have been given out */
	ck_assert(kept > 100 && kept < LONG - 1);
	listing_clear(&l);
	for (size_t more = 0; more < 2; more++) {
		names[kept + more] = NULL;
		listing_init(&l, root, "d", &utf8, false, NULL);
		fake_orders.found_names = names;
		ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
		ck_assert(page.more == (more > 0));
		listing_page_clear(&page);
		listing_clear(&l);
		names[kept + more] = texts[kept + more];
	}
	fake_orders.found_names = NULL;
}
END_TEST

/* Some file systems show a name twice when it is renamed meanwhile. */
START_TEST(test_shown_twice)
{
	char *const names[] = { "b", "a", "b", "a", "b", NULL };
	struct listing_page page;
	struct listing l;

	make("a");
	make("b");
	listing_init(&l, root, "d", &utf8, false, NULL);
	fake_orders.found_names = names;
	ck_assert_int_eq(next_page(&l, &no_limits, &page), FTX_OK);
	fake_orders.found_names = NULL;
	ck_assert_uint_eq(page.count, 2);
	ck_assert_str_eq(page.entries[0].name, "a");
	listing_page_clear(&page);
	listing_clear(&l);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "listing");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_left_out);
	tcase_add_test(tc, test_too_deep);
	tcase_add_loop_test(tc, test_entries, 0, 2);
	tcase_add_test(tc, test_page_of_bytes);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_fails);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_counted);
	tcase_add_test(tc, test_no_room);
	tcase_add_test(tc, test_one_too_many);
	tcase_add_test(tc, test_shown_twice);
}

int
main(void)
{
	return unit_run("listing", add_cases);
}
