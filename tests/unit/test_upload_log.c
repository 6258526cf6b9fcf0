/* store/upload_log: what a reader makes of a file that is whole, torn, damaged, strange. */
#include "store/upload_log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"
#include "store/root.h"
#include "unit/fake_sys.h"
#include "unit/unit.h"

#define MAGIC   "ftxferd uploads 1\n"
#define FILE_AT "root/.ftxferd/uploads"
#define NEW_AT  "root/.ftxferd/uploads.new"
#define RECORDS 4

static struct root *root;
static struct upload_log uplog;
static struct upload_record some[RECORDS]; /* one of each state */
static char longest[PATH_NAME_MAX + 1];
static size_t ends[RECORDS + 1]; /* where each of them ends in a file; the first: the line's */
static uint8_t file[32768];
static size_t file_len;

static struct upload_record taken[8];
static char taken_names[8][PATH_NAME_MAX];
static unsigned count;
static enum ftx_rc take_ends;

static enum ftx_rc
take(void *arg, const struct upload_record *r)
{
	ck_assert_ptr_eq(arg, &count);
	ck_assert_uint_lt(count, 8);
	taken[count] = *r;
	memcpy(taken_names[count], r->name, r->name_len);
	taken[count].name = taken_names[count];
	count++;
	return take_ends;
}

static void
make_records(void)
{
	static const char *const names[RECORDS] = { "file", "dir/other file", longest, "" };

	memset(longest, 'n', sizeof(longest) - 1);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct upload_record *r = &some[i];

		memset(r->key.id, (int)i + 1, sizeof(r->key.id));
		snprintf(r->key.user, sizeof(r->key.user), "user%u", i);
		r->state = UPLOAD_UNFINISHED + i;
		r->terms = (uint8_t)(7 + i);
		r->announced = i == 1 ? UPLOAD_NO_SIZE : 1000000 + i;
		r->name = names[i];
		r->name_len = strlen(names[i]);
		if (i == 0)
			memset(r->stage, 's', sizeof(r->stage) - 1);
		r->ino = ((uint64_t)1 << 40) + i;
		r->meta.size = ((uint64_t)1 << 50) + i;
		r->meta.mode = 0640 + i;
		r->meta.mtime = (struct timespec){ -5 - (time_t)i, 999999999 };
		r->meta.version.len = i * 8;
		memset(r->meta.version.bytes, 'v', i * 8);
		r->meta.digest.kind = (enum digest_kind)(i % DIGEST_KINDS);
		memset(r->meta.digest.bytes, 'd', digest_size(r->meta.digest.kind));
		r->time = (struct timespec){ 1700000000 + (time_t)i, 5 };
		r->used = ((uint64_t)1 << 33) + i;
		r->unsynced = i % 2 == 0;
	}
}

/* A file with all of them, in memory. */
static void
make_file(void)
{
	struct buf b = { 0 };

	ck_assert(buf_add(&b, MAGIC, strlen(MAGIC)));
	ends[0] = b.len;
	for (unsigned i = 0; i < RECORDS; i++) {
		ck_assert(upload_record_encode(&some[i], &b));
		ends[i + 1] = b.len;
	}
	ck_assert_uint_le(b.len, sizeof(file));
	memcpy(file, buf_data(&b), b.len);
	file_len = b.len;
	buf_clear(&b);
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	upload_log_init(&uplog, root);
	make_records();
	make_file();
}

static void
tear_down(void)
{
	upload_log_close(&uplog);
	root_close(root);
}

/* Another process reads what is there. */
static enum ftx_rc
read_again(void)
{
	upload_log_close(&uplog);
	upload_log_init(&uplog, root);
	count = 0;
	return upload_log_read(&uplog, take, &count);
}

static enum ftx_rc
read_file(const void *p, size_t len)
{
	(void)mkdir("root/.ftxferd", 0700);
	unit_write(FILE_AT, p, len);
	return read_again();
}

static void
check_taken(unsigned n)
{
	ck_assert_uint_eq(count, n);
	for (unsigned i = 0; i < n; i++) {
		const struct upload_record *a = &taken[i], *b = &some[i];

		UNIT_CHECK(memcmp(&a->key, &b->key, sizeof(a->key)) == 0);
		UNIT_CHECK(a->state == b->state && a->terms == b->terms);
		UNIT_CHECK(a->announced == b->announced && a->ino == b->ino && a->used == b->used);
		UNIT_CHECK(a->unsynced == b->unsynced);
		UNIT_CHECK(a->name_len == b->name_len);
		UNIT_CHECK(memcmp(a->name, b->name, a->name_len) == 0);
		UNIT_CHECK(memcmp(a->stage, b->stage, sizeof(a->stage)) == 0);
		UNIT_CHECK(a->meta.size == b->meta.size && a->meta.mode == b->meta.mode);
		UNIT_CHECK(a->meta.mtime.tv_sec == b->meta.mtime.tv_sec);
		UNIT_CHECK(a->meta.mtime.tv_nsec == b->meta.mtime.tv_nsec);
		UNIT_CHECK(a->meta.version.len == b->meta.version.len);
		UNIT_CHECK(
		    memcmp(a->meta.version.bytes, b->meta.version.bytes, a->meta.version.len) == 0);
		UNIT_CHECK(a->meta.digest.kind == b->meta.digest.kind);
		UNIT_CHECK(memcmp(a->meta.digest.bytes, b->meta.digest.bytes,
			       digest_size(a->meta.digest.kind)) == 0);
		UNIT_CHECK(memcmp(&a->time, &b->time, sizeof(a->time)) == 0);
	}
}

START_TEST(test_none)
{
	ck_assert_int_eq(read_again(), FTX_OK);
	ck_assert(count == 0 && uplog.fd < 0 && !uplog.damaged);
	ck_assert_int_eq(mkdir("root/.ftxferd", 0700), 0);
	ck_assert_int_eq(read_again(), FTX_OK);
	ck_assert(count == 0 && uplog.fd < 0 && !uplog.damaged);
	ck_assert_int_eq(unit_names_in("root/.ftxferd"), 0);
}
END_TEST

START_TEST(test_all_fields)
{
	ck_assert_int_eq(read_file(file, file_len), FTX_OK);
	check_taken(RECORDS);
	ck_assert(!uplog.damaged);
	ck_assert_uint_eq(uplog.size, file_len);
}
END_TEST

/* Cut off anywhere: what was whole before counts, nothing else; the next one is written anew. */
START_TEST(test_torn_at_each_byte)
{
	for (size_t len = 0; len < file_len; len++) {
		unsigned whole = 0;
		bool at_end = len == ends[0];

		while (whole < RECORDS && ends[whole + 1] <= len)
			at_end = ends[++whole] == len;
		ck_assert_int_eq(read_file(file, len), FTX_OK);
		check_taken(whole);
		UNIT_CHECK(uplog.damaged == !at_end);
		if (uplog.damaged)
			UNIT_CHECK(upload_log_append(&uplog, file, 1, true) == FTX_IO);
	}
	ck_assert_int_gt(unit_log_count("is damaged and was left out"), 100);
}
END_TEST

/* A power cut leaves zeros, or what stood there before, where it likes. */
START_TEST(test_damaged_at_each_byte)
{
	for (size_t at = 0; at < file_len; at++) {
		uint8_t was = file[at];
		unsigned before = 0;

		while (ends[before + 1] <= at)
			before++;
		file[at] = _i == 0 ? (uint8_t)(was ^ 0x40) : (uint8_t)(was + 1);
		ck_assert_int_eq(read_file(file, file_len), FTX_OK);
		check_taken(before);
		UNIT_CHECK(uplog.damaged);
		file[at] = was;
	}
}
END_TEST

START_TEST(test_zeros_at_the_end)
{
	memset(file + file_len, 0, 4096);
	ck_assert_int_eq(read_file(file, file_len + 4096), FTX_OK);
	check_taken(RECORDS);
	ck_assert(uplog.damaged);
}
END_TEST

/* A record whose checksum is right: what follows the length and the checksum is changed. */
static size_t
forge(size_t at, const void *bytes, size_t n, size_t longer)
{
	struct digest_value v;
	struct buf b = { 0 };
	uint8_t *p;
	size_t len;

	ck_assert(upload_record_encode(&some[0], &b));
	len = b.len + longer;
	p = file + ends[1];
	memset(p, 0, len);
	memcpy(p, buf_data(&b), b.len);
	buf_clear(&b);
	memcpy(p + 12 + at, bytes, n);
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(len >> (24 - 8 * i));
	ck_assert_int_eq(digest_of(DIGEST_XXH128, p + 12, len - 12, &v), FTX_OK);
	memcpy(p + 4, v.bytes, 8);
	return ends[1] + len;
}

/* Whole, but nothing that this program writes. */
START_TEST(test_strange_records)
{
	struct upload_record r;
	static const struct {
		size_t at; /* state 0, id 1, user 17, terms 49, announced 50, ino 58, size 66,
			      mode 74, mtime 76, version's length 88, digest's kind 89 */
		const char *bytes;
		size_t n, longer;
	} cases[] = {
		{ 0, "\0", 1, 0 }, /* no such state */
		{ 0, "\5", 1, 0 }, { 0, "\xff", 1, 0 },
		{ 88, "\x21", 1, 0 },                     /* a version that is too long */
		{ 88, "\xff", 1, 0 }, { 89, "\3", 1, 0 }, /* no such digest */
		{ 0, "\1", 1, 1 },                        /* more than there should be */
		/* Kind 0; time, use, unsynced (21); then the stage, then the name's length. */
		{ 111 + UPLOAD_STAGE_SIZE - 1, "s", 1, 0 },     /* that does not end */
		{ 111 + UPLOAD_STAGE_SIZE, "\x10\1", 2, 4093 }, /* too long, and all there */
		{ 111 + UPLOAD_STAGE_SIZE, "\0\5", 2, 0 },      /* not all there */
	};
	size_t len = forge(0, "\1", 1, 0);

	ck_assert_uint_eq(upload_record_decode(file + ends[1], len - ends[1], &r), len - ends[1]);
	for (int i = 0; i < COUNT(cases); i++) {
		len = forge(cases[i].at, cases[i].bytes, cases[i].n, cases[i].longer);
		ck_assert_int_eq(read_file(file, len), FTX_OK);
		ck_assert_msg(count == 1 && uplog.damaged, "case %d", i);
	}
}
END_TEST

START_TEST(test_no_regular_file)
{
	int before;

	ck_assert_int_eq(mkdir("root/.ftxferd", 0700), 0);
	before = unit_descriptors();
	ck_assert_int_eq(mkfifo(FILE_AT, 0600), 0);
	ck_assert_int_ne(read_again(), FTX_OK);
	ck_assert_int_eq(unlink(FILE_AT), 0);
	unit_write("elsewhere", file, file_len);
	ck_assert_int_eq(symlink("../../elsewhere", FILE_AT), 0);
	ck_assert_int_ne(read_again(), FTX_OK);
	ck_assert_uint_eq(count, 0);
	upload_log_close(&uplog);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* Who takes them has no memory: that is said, and nothing is written over what was not read. */
START_TEST(test_not_taken)
{
	take_ends = FTX_NOMEM;
	ck_assert_int_eq(read_file(file, file_len), FTX_NOMEM);
	ck_assert_uint_eq(count, 1);
	unit_holds(FILE_AT, file, file_len);
}
END_TEST

START_TEST(test_append)
{
	const uint8_t *rest = file + ends[2];

	ck_assert_int_eq(upload_log_append(&uplog, rest, 1, false), FTX_IO); /* there is no file */
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], ends[2] - ends[0]), FTX_OK);
	unit_holds(FILE_AT, file, ends[2]);
	fake_watch("");
	ck_assert_int_eq(upload_log_append(&uplog, rest, ends[3] - ends[2], false), FTX_OK);
	ck_assert_uint_eq(fake_count().fsync_file, 0);
	ck_assert_int_eq(
	    upload_log_append(&uplog, file + ends[3], ends[4] - ends[3], true), FTX_OK);
	ck_assert_uint_eq(fake_count().fsync_file, 1);
	unit_holds(FILE_AT, file, file_len);
	ck_assert_int_eq(read_again(), FTX_OK);
	check_taken(RECORDS);
	/* Behind what counts, wherever that ends. */
	ck_assert_int_eq(upload_log_append(&uplog, "", 0, true), FTX_OK);
	unit_holds(FILE_AT, file, file_len);
}
END_TEST

/* What all of the file system was made durable with: if it was that one, and there was no error. */
START_TEST(test_is_synced)
{
	struct stat st;

	ck_assert(!upload_log_is_synced(&uplog, root->dev)); /* there is no file */
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], ends[2] - ends[0]), FTX_OK);
	ck_assert(upload_log_is_synced(&uplog, root->dev) && !uplog.damaged);
	ck_assert(!upload_log_is_synced(&uplog, root->dev + 1) && stat(FILE_AT, &st) == 0);
	fake_orders.bad_file = st.st_ino;
	ck_assert(!upload_log_is_synced(&uplog, root->dev) && uplog.damaged);
	fake_orders.bad_file = 0;
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], ends[2] - ends[0]), FTX_OK);
	ck_assert(!uplog.damaged);
}
END_TEST

/* It is durable before it has the name, and the name after that; only then the old one is gone. */
START_TEST(test_rewrite_order)
{
	struct stat st, dir;

	ck_assert_int_eq(read_file("rubbish", 7), FTX_OK);
	unit_write(NEW_AT, "left by a crash", 15);
	fake_watch(UPLOAD_LOG_NAME);
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]), FTX_OK);
	ck_assert(stat(FILE_AT, &st) == 0 && stat("root/.ftxferd", &dir) == 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_gt(fake_synced(st.st_ino), 0);
	ck_assert_int_lt(fake_synced(st.st_ino), fake_named());
	ck_assert_int_lt(fake_named(), fake_synced(dir.st_ino));
	ck_assert(!uplog.damaged);
	ck_assert_int_eq(unit_names_in("root/.ftxferd"), 1);
	unit_holds(FILE_AT, file, file_len);
}
END_TEST

/* A failure at any place leaves the old file, or one that is known not to be durable. */
START_TEST(test_rewrite_fails)
{
	int before;

	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], ends[1] - ends[0]), FTX_OK);
	before = unit_descriptors();
	if (_i == 0)
		fake_orders.fsync_file = ENOSPC;
	if (_i == 1)
		fake_orders.rename = EIO;
	if (_i == 2)
		fake_orders.fsync_dir = EIO;
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]),
	    _i == 0 ? FTX_NO_SPACE : FTX_IO);
	ck_assert_int_eq(unit_descriptors(), before);
	memset(&fake_orders, 0, sizeof(fake_orders));
	ck_assert_int_eq(unit_names_in("root/.ftxferd"), 1);
	ck_assert(uplog.damaged == (_i == 2));
	unit_holds(FILE_AT, file, _i == 2 ? file_len : ends[1]);
	if (_i != 2) {
		ck_assert_int_eq(
		    upload_log_append(&uplog, file + ends[1], ends[2] - ends[1], true), FTX_OK);
		unit_holds(FILE_AT, file, ends[2]);
	}
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]), FTX_OK);
	ck_assert(!uplog.damaged);
}
END_TEST

static void
limit_size(rlim_t most)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = most == 0 ? limit.rlim_max : most;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full in the middle of a record: nothing is added any more, and none is lost. */
START_TEST(test_full)
{
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], ends[2] - ends[0]), FTX_OK);
	limit_size(ends[2] + 100);
	ck_assert_int_ne(
	    upload_log_append(&uplog, file + ends[2], file_len - ends[2], false), FTX_OK);
	ck_assert(uplog.damaged);
	ck_assert_int_eq(upload_log_append(&uplog, "", 0, true), FTX_IO);
	ck_assert_int_ne(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]), FTX_OK);
	ck_assert_int_eq(unit_names_in("root/.ftxferd"), 1);
	limit_size(0);
	ck_assert_int_eq(read_again(), FTX_OK);
	check_taken(2);
	ck_assert(uplog.damaged);
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]), FTX_OK);
	ck_assert_int_eq(read_again(), FTX_OK);
	check_taken(RECORDS);
}
END_TEST

START_TEST(test_remove)
{
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], 0), FTX_OK);
	if (_i == 0) {
		upload_log_remove(&uplog);
		ck_assert_int_eq(unit_names_in("root"), 0);
	} else { /* others have something there, too */
		unit_write("root/.ftxferd/" ROOT_STATE_MARK, "", 0);
		upload_log_remove(&uplog);
		ck_assert_int_eq(unit_names_in("root/.ftxferd"), 1);
	}
}
END_TEST

/* The state directory may go while nothing is in it. */
START_TEST(test_directory_is_removed)
{
	int before = unit_descriptors();

	ck_assert_int_eq(mkdir("root/.ftxferd", 0700), 0);
	ck_assert_int_eq(read_again(), FTX_OK);
	ck_assert_int_eq(rmdir("root/.ftxferd"), 0);
	ck_assert_int_eq(upload_log_rewrite(&uplog, file + ends[0], file_len - ends[0]), FTX_OK);
	unit_holds(FILE_AT, file, file_len);
	upload_log_close(&uplog);
	upload_log_close(&uplog);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* One that was being written when its process died is no use to anybody. */
START_TEST(test_new_one_is_left)
{
	ck_assert_int_eq(mkdir("root/.ftxferd", 0700), 0);
	unit_write(NEW_AT, file, file_len);
	ck_assert_int_eq(read_file(file, ends[1]), FTX_OK);
	check_taken(1);
	ck_assert_int_eq(unit_names_in("root/.ftxferd"), 1);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "upload_log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_all_fields);
	tcase_add_test(tc, test_torn_at_each_byte);
	tcase_add_loop_test(tc, test_damaged_at_each_byte, 0, 2);
	tcase_add_test(tc, test_zeros_at_the_end);
	tcase_add_test(tc, test_strange_records);
	tcase_add_test(tc, test_no_regular_file);
	tcase_add_test(tc, test_not_taken);
	tcase_add_test(tc, test_append);
	tcase_add_test(tc, test_is_synced);
	tcase_add_test(tc, test_rewrite_order);
	tcase_add_loop_test(tc, test_rewrite_fails, 0, 3);
	tcase_add_test(tc, test_full);
	tcase_add_loop_test(tc, test_remove, 0, 2);
	tcase_add_test(tc, test_directory_is_removed);
	tcase_add_test(tc, test_new_one_is_left);
}

int
main(void)
{
	return unit_run("upload_log", add_cases);
}
