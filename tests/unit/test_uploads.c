/* store/uploads: what is known, for how long, by whom; what a start makes of what an end left. */
#include "unit/test_uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fake_sys.h"

#define FILE_AT "root/.ftxferd/uploads"

struct root *root;
struct uploads *uploads;

static void
open_root(void)
{
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(root_keep_uploads(root), FTX_OK);
	uploads = root->uploads;
}

void
uploads_set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	open_root();
}

void
uploads_tear_down(void)
{
	root_close(root);
}

void
restart(void)
{
	root_close(root);
	open_root();
}

struct upload_terms
terms_of(unsigned number)
{
	struct upload_terms t = { .size = SIZE, .keep = true };
	uint8_t id[UPLOAD_ID_SIZE] = { 0 };

	memcpy(id, &number, sizeof(number));
	ck_assert(upload_key_set(&t.key, UPLOAD_ANONYMOUS, id));
	return t;
}

const char *
name_of(unsigned number, const char *before)
{
	static char names[4][64];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%s%u", before, number);
	return name;
}

enum ftx_rc
claim_by_and_by(const struct upload_terms *t, const char *name, struct upload_claim **out)
{
	struct uploads_patience p = { 0 };
	enum ftx_rc rc;

	while ((rc = uploads_claim(uploads, t, name, &p, out)) == FTX_BUSY)
		unit_sleep_ms(UPLOADS_LOOK_MS);
	return rc;
}

struct upload_claim *
claim(unsigned number)
{
	struct upload_terms t = terms_of(number);
	struct upload_claim *c;

	ck_assert_int_eq(claim_by_and_by(&t, name_of(number, "file"), &c), FTX_OK);
	ck_assert_ptr_nonnull(c);
	return c;
}

const char *
stage_of(unsigned number)
{
	return name_of(number, ".ftxferd-00000000000000aa-");
}

const char *
in_root(const char *name)
{
	static char paths[4][96];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "root/%s", name);
	return path;
}

bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void
leave_unfinished(unsigned number)
{
	struct upload_claim *c = claim(number);

	ck_assert(uploads_enter(c));
	unit_write(in_root(stage_of(number)), "part", 4);
	ck_assert_int_eq(uploads_staged(c, stage_of(number)), FTX_OK);
	uploads_leave(c);
	uploads_release(c);
}

struct meta
meta_at(const char *path, ino_t *ino)
{
	struct stat st;
	struct meta m;

	ck_assert_int_eq(stat(path, &st), 0);
	meta_of(&st, &m);
	*ino = st.st_ino;
	return m;
}

void
publish_until(unsigned number, int step)
{
	struct upload_claim *c = claim(number);
	struct meta m;
	ino_t ino;

	ck_assert(uploads_enter(c));
	unit_write(in_root(stage_of(number)), "whole", 5);
	ck_assert_int_eq(uploads_staged(c, stage_of(number)), FTX_OK);
	m = meta_at(in_root(stage_of(number)), &ino);
	ck_assert_int_eq(uploads_ready(c, &m, ino), FTX_OK);
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	if (step > 0)
		ck_assert_int_eq(
		    rename(in_root(stage_of(number)), in_root(name_of(number, "file"))), 0);
	if (step > 1) {
		m = meta_at(in_root(name_of(number, "file")), &ino);
		uploads_published(c, &m);
	}
	uploads_leave(c);
	uploads_release(c);
}

enum upload_state
known_as(unsigned number, struct upload_record *r)
{
	struct upload_claim *c = claim(number);
	enum upload_state state;

	ck_assert(uploads_look(c, r));
	state = r->state == UPLOAD_UNFINISHED && r->stage[0] == '\0' ? 0 : r->state;
	uploads_release(c);
	return state;
}

bool
is_known(unsigned number)
{
	return uploads_keep(uploads, stage_of(number));
}

static off_t
log_size(void)
{
	struct stat st;

	return stat(FILE_AT, &st) == 0 ? st.st_size : -1;
}

/* _i: how far its commit had come when the process ended. */
START_TEST(test_restart)
{
	struct upload_record r;
	struct meta m;
	ino_t ino;

	publish_until(1, _i);
	leave_unfinished(2);
	restart();
	if (_i == 0) {
		ck_assert_int_eq(known_as(1, &r), UPLOAD_UNFINISHED);
		ck_assert_str_eq(r.stage, stage_of(1));
	} else {
		m = meta_at("root/file1", &ino);
		ck_assert_int_eq(known_as(1, &r), UPLOAD_PUBLISHED);
		ck_assert(meta_same_version(&r.meta.version, &m.version));
		ck_assert_int_gt(r.time.tv_sec, 0);
		ck_assert(!is_known(1));
	}
	ck_assert_int_eq(known_as(2, &r), UPLOAD_UNFINISHED);
	ck_assert_uint_eq(r.announced, SIZE);
	/* Once more: what the start found out is written down, too. */
	if (_i != 0)
		ck_assert_int_eq(remove("root/file1"), 0);
	restart();
	ck_assert_int_eq(known_as(1, &r), _i == 0 ? UPLOAD_UNFINISHED : UPLOAD_PUBLISHED);
}
END_TEST

/* READY, and the name leads to something else: it was not published. */
START_TEST(test_restart_name_is_taken)
{
	struct upload_record r;
	struct stat st;

	publish_until(1, _i == 3 ? 1 : 0);
	if (_i == 0) { /* of the same bytes and time */
		unit_write("root/file1", "whole", 5);
		ck_assert_int_eq(stat(in_root(stage_of(1)), &st), 0);
		ck_assert_int_eq(utimensat(AT_FDCWD, "root/file1",
				     (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
		    0);
	}
	if (_i == 1)
		ck_assert_int_eq(symlink(stage_of(1), "root/file1"), 0);
	if (_i == 2)
		ck_assert_int_eq(mkdir("root/file1", 0755), 0);
	if (_i == 3) { /* somebody wrote to it: what we gave the name to is not there any more */
		unit_sleep_ms(20);
		unit_write("root/file1", "other", 5);
	}
	restart();
	ck_assert_int_eq(known_as(1, &r), _i == 3 ? 0 : UPLOAD_UNFINISHED);
	ck_assert(is_there("root/file1"));
	ck_assert_int_eq(is_there(in_root(stage_of(1))), _i != 3);
}
END_TEST

/* By link(2) it had two names for a moment. _i: whether it is known that the other is its stage. */
START_TEST(test_restart_two_names)
{
	struct upload_record r;
	struct meta m;
	ino_t ino;

	publish_until(1, 0);
	ck_assert_int_eq(link(in_root(stage_of(1)), "root/file1"), 0);
	ck_assert_int_eq(link("root/file1", "root/users"), 0);
	if (_i == 1)
		ck_assert_int_eq(rename(in_root(stage_of(1)), in_root(stage_of(2))), 0);
	unit_sleep_ms(20); /* a tick of the clock that times come from */
	restart();
	ck_assert_int_eq(known_as(1, &r), UPLOAD_PUBLISHED);
	ck_assert(!is_there(in_root(stage_of(1))) && !is_there(in_root(stage_of(2))));
	unit_holds("root/file1", "whole", 5);
	unit_holds("root/users", "whole", 5);
	/* As STAT says it: else its owner would be told that it was changed since. */
	m = meta_at("root/file1", &ino);
	ck_assert(meta_same_version(&r.meta.version, &m.version));
}
END_TEST

/* There is nothing of it any more: nothing is known, and nothing of it stays in the file. */
START_TEST(test_restart_stage_is_gone)
{
	struct upload_record r;

	leave_unfinished(1);
	leave_unfinished(2);
	ck_assert_int_eq(remove(in_root(stage_of(1))), 0);
	if (_i == 1)
		ck_assert_int_eq(mkdir(in_root(stage_of(1)), 0755), 0);
	restart();
	ck_assert_int_eq(known_as(1, &r), 0);
	ck_assert_int_eq(known_as(2, &r), UPLOAD_UNFINISHED);
	ck_assert(root_needs_sweep(root) && !is_known(1) && is_known(2));
	if (_i == 1)
		return;
	ck_assert_int_eq(remove(in_root(stage_of(2))), 0);
	restart();
	ck_assert_uint_eq(uploads_count(uploads), 0);
	root_close(root);
	ck_assert(!is_there(FILE_AT));
	open_root();
}
END_TEST

/* Of many records of one only the last counts, and one that is forgotten is. */
START_TEST(test_last_record_counts)
{
	struct upload_record r = { .key = terms_of(1).key,
		.announced = SIZE,
		.name = "file1",
		.name_len = 5,
		.used = NOW };
	struct buf b = { 0 };
	struct upload_log log;

	root_close(root);
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	for (unsigned i = 0; i < 5; i++) {
		r.state = UPLOAD_UNFINISHED;
		memset(r.stage, 0, sizeof(r.stage));
		snprintf(r.stage, sizeof(r.stage), "%s", stage_of(i));
		unit_write(in_root(stage_of(i)), "part", 4);
		ck_assert(upload_record_encode(&r, &b));
	}
	if (_i == 1) {
		r.state = UPLOAD_FORGOTTEN;
		ck_assert(upload_record_encode(&r, &b));
	}
	upload_log_init(&log, root);
	ck_assert_int_eq(upload_log_rewrite(&log, buf_data(&b), b.len), FTX_OK);
	buf_clear(&b);
	upload_log_close(&log);
	root_close(root);
	open_root();
	ck_assert_uint_eq(uploads_count(uploads), _i == 1 ? 0 : 1);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(is_known(i), i == 4 && _i == 0);
}
END_TEST

/* The end of the file was torn: what it said of stages is not known, so they are looked for. */
START_TEST(test_torn)
{
	struct upload_record r;

	leave_unfinished(1);
	leave_unfinished(2);
	root_close(root);
	ck_assert_int_eq(truncate(FILE_AT, log_size() - 1), 0);
	open_root();
	ck_assert(is_known(1) && !is_known(2) && root_needs_sweep(root));
	leave_unfinished(3);
	restart();
	ck_assert(is_known(1) && is_known(3));
	ck_assert_int_eq(known_as(2, &r), 0);
}
END_TEST

/* It does not grow without end, and what counts stays in it. */
START_TEST(test_written_anew)
{
	off_t most = 0;

	leave_unfinished(1);
	for (unsigned i = 0; i < 6000; i++) {
		struct upload_claim *c = claim(2);

		ck_assert_int_eq(uploads_staged(c, stage_of(2)), FTX_OK);
		ck_assert(uploads_forget(c));
		uploads_release(c);
		if (log_size() > most)
			most = log_size();
	}
	/* Twice what counts and 1 MiB, and what is added before it is looked at. */
	UNIT_CHECK(most > 1024 * 1024 && most < 1024 * 1024 + 4096);
	UNIT_CHECK(log_size() < most);
	restart();
	ck_assert(is_known(1) && !is_known(2));
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

/* The disk is full: it is not said to be durable. Once there is room, all of it is. */
START_TEST(test_full)
{
	struct upload_claim *c;
	struct upload_record r;

	leave_unfinished(1);
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	limit_size((rlim_t)log_size() + 10);
	leave_unfinished(2);
	ck_assert_int_ne(uploads_settle(uploads), FTX_OK);
	ck_assert_int_ne(uploads_settle(uploads), FTX_OK);
	c = claim(1);
	ck_assert(uploads_forget(c));
	uploads_release(c);
	limit_size(0);
	if (_i == 0)
		ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	/* Else the end of the process does it. */
	restart();
	ck_assert_int_eq(known_as(1, &r), 0);
	ck_assert_int_eq(known_as(2, &r), UPLOAD_UNFINISHED);
}
END_TEST

/* What could not be written is not taken for written because nothing new has come since. */
START_TEST(test_not_written)
{
	fake_orders.fsync_file = EIO;
	leave_unfinished(1); /* its record would make the file */
	fake_orders.fsync_file = 0;
	fake_orders.rename = EIO;
	ck_assert_int_ne(uploads_settle(uploads), FTX_OK);
	ck_assert_int_ne(uploads_write(uploads), FTX_OK);
	ck_assert_int_ne(uploads_write(uploads), FTX_OK);
	fake_orders.rename = 0;
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	ck_assert_int_eq(uploads_write(uploads), FTX_OK);
	restart();
	ck_assert(is_known(1));
}
END_TEST

START_TEST(test_not_durable)
{
	leave_unfinished(1); /* it makes the file, which is durable at once */
	leave_unfinished(3);
	fake_watch("");
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	ck_assert_uint_eq(fake_count().fsync_file, 1);
	fake_watch("");
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK); /* it is already */
	ck_assert_uint_eq(fake_count().fsync_file, 0);
	leave_unfinished(2);
	fake_orders.fsync_file = EIO;
	ck_assert_int_eq(uploads_settle(uploads), FTX_IO);
	ck_assert_int_eq(uploads_settle(uploads), FTX_IO);
	fake_orders.fsync_file = 0;
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	restart();
	ck_assert(is_known(1) && is_known(2));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "uploads");

	tcase_add_checked_fixture(tc, uploads_set_up, uploads_tear_down);
	tcase_add_loop_test(tc, test_restart, 0, 3);
	tcase_add_loop_test(tc, test_restart_name_is_taken, 0, 4);
	tcase_add_loop_test(tc, test_restart_two_names, 0, 2);
	tcase_add_loop_test(tc, test_restart_stage_is_gone, 0, 2);
	tcase_add_loop_test(tc, test_last_record_counts, 0, 2);
	tcase_add_test(tc, test_torn);
	tcase_add_test(tc, test_written_anew);
	tcase_add_loop_test(tc, test_full, 0, 2);
	tcase_add_test(tc, test_not_written);
	tcase_add_test(tc, test_not_durable);
	add_limits_cases(s);
	add_claims_cases(s);
}

int
main(void)
{
	return unit_run("uploads", add_cases);
}
