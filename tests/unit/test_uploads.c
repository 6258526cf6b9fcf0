/* store/uploads: what is known, for how long, by whom; what a start makes of what an end left. */
#include "store/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/worker.h"
#include "store/path.h"
#include "store/root.h"
#include "unit/fake_sys.h"
#include "unit/unit.h"

#define FILE_AT "root/.ftxferd/uploads"
#define NOW     ((uint64_t)2000000000)
#define SIZE    ((uint64_t)1000)

static struct root *root;
static struct uploads *uploads;

static void
open_root(void)
{
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(root_keep_uploads(root), FTX_OK);
	uploads = root->uploads;
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	open_root();
}

static void
tear_down(void)
{
	root_close(root);
}

static void
restart(void)
{
	root_close(root);
	open_root();
}

static struct upload_terms
terms_of(unsigned number)
{
	struct upload_terms t = { .size = SIZE, .keep = true };
	uint8_t id[UPLOAD_ID_SIZE] = { 0 };

	memcpy(id, &number, sizeof(number));
	ck_assert(upload_key_set(&t.key, UPLOAD_ANONYMOUS, id));
	return t;
}

static const char *
name_of(unsigned number, const char *before)
{
	static char names[4][64];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%s%u", before, number);
	return name;
}

static struct upload_claim *
claim(unsigned number)
{
	struct upload_terms t = terms_of(number);
	struct upload_claim *c;

	ck_assert_int_eq(uploads_claim(uploads, &t, name_of(number, "file"), false, &c), FTX_OK);
	ck_assert_ptr_nonnull(c);
	return c;
}

static const char *
stage_of(unsigned number)
{
	return name_of(number, ".ftxferd-00000000000000aa-");
}

static const char *
in_root(const char *name)
{
	static char paths[4][96];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "root/%s", name);
	return path;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* One with a stage on the disk, that nobody works on. */
static void
leave_unfinished(unsigned number)
{
	struct upload_claim *c = claim(number);

	ck_assert(uploads_enter(c));
	unit_write(in_root(stage_of(number)), "part", 4);
	ck_assert_int_eq(uploads_staged(c, stage_of(number)), FTX_OK);
	uploads_leave(c);
	uploads_release(c);
}

static struct meta
meta_at(const char *path, ino_t *ino)
{
	struct stat st;
	struct meta m;

	ck_assert_int_eq(stat(path, &st), 0);
	meta_of(&st, &m);
	*ino = st.st_ino;
	return m;
}

/* As a commit does it, as far as: 0 it is ready, 1 and has its name, 2 and is published. */
static void
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

/* What is known of it: 0 nothing. A look by itself leaves nothing behind. */
static enum upload_state
known_as(unsigned number, struct upload_record *r)
{
	struct upload_claim *c = claim(number);
	enum upload_state state;

	ck_assert(uploads_look(c, r));
	state = r->state == UPLOAD_UNFINISHED && r->stage[0] == '\0' ? 0 : r->state;
	uploads_release(c);
	return state;
}

static bool
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

	publish_until(1, _i == 3 ? 1 : 0);
	if (_i == 0) /* of the same bytes */
		unit_write("root/file1", "whole", 5);
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

/* By link(2) it had two names for a moment. */
START_TEST(test_restart_two_names)
{
	struct upload_record r;
	struct meta m;
	ino_t ino;

	publish_until(1, 0);
	ck_assert_int_eq(link(in_root(stage_of(1)), "root/file1"), 0);
	unit_sleep_ms(20); /* a tick of the clock that times come from */
	restart();
	ck_assert_int_eq(known_as(1, &r), UPLOAD_PUBLISHED);
	ck_assert(!is_there(in_root(stage_of(1))));
	unit_holds("root/file1", "whole", 5);
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

/* ---- how long */

START_TEST(test_time)
{
	struct upload_record r;
	uint64_t used;

	uploads_set_limits(uploads, 100, UINT64_MAX);
	leave_unfinished(1);
	publish_until(2, 2);
	(void)known_as(1, &r);
	used = r.used;
	uploads_expire(uploads, used - 1000); /* a clock that was set back */
	uploads_expire(uploads, used + 99);
	ck_assert(is_known(1) && uploads_count(uploads) == 2);
	uploads_expire(uploads, used + 200);
	ck_assert(!is_known(1) && !is_there(in_root(stage_of(1))));
	ck_assert_uint_eq(uploads_count(uploads), 0);
	unit_holds("root/file2", "whole", 5); /* only what is known of it goes */
	restart();
	ck_assert_uint_eq(uploads_count(uploads), 0);
}
END_TEST

/* The oldest go first: by when somebody last worked on them. What is published counts nothing. */
START_TEST(test_bytes)
{
	struct upload_claim *c;

	publish_until(9, 2);
	for (unsigned i = 1; i <= 5; i++)
		leave_unfinished(i);
	uploads_release(claim(1)); /* now that is the newest */
	uploads_set_limits(uploads, UINT64_MAX, 3 * SIZE);
	c = claim(3); /* somebody works on it */
	uploads_expire(uploads, NOW);
	ck_assert(!is_known(2) && !is_known(4));
	ck_assert(is_known(1) && is_known(3) && is_known(5));
	ck_assert(!is_there(in_root(stage_of(2))) && is_there(in_root(stage_of(3))));
	uploads_set_limits(uploads, UINT64_MAX, 0);
	uploads_expire(uploads, NOW);
	ck_assert(is_known(3) && !is_known(1) && !is_known(5));
	uploads_release(c);
	ck_assert_uint_eq(uploads_count(uploads), 2);
	restart(); /* it has no limits again */
	ck_assert(is_known(3));
	ck_assert_uint_eq(uploads_count(uploads), 2);
}
END_TEST

START_TEST(test_makes_room)
{
	struct upload_claim *c;

	publish_until(9, 2);
	for (unsigned i = 1; i <= 5; i++)
		leave_unfinished(i);
	c = claim(1);
	ck_assert(uploads_make_room(uploads, SIZE + 1));
	ck_assert(is_known(1) && !is_known(2) && !is_known(3) && is_known(4) && is_known(5));
	ck_assert(uploads_make_room(uploads, 100 * SIZE));
	ck_assert(is_known(1) && !is_known(4) && !is_known(5));
	ck_assert(!uploads_make_room(uploads, 1));
	ck_assert_int_eq(unit_names_in("root"), 3); /* file9, a stage, the state directory */
	uploads_release(c);
}
END_TEST

/*
 * Of an earlier run: one that goes is gone for good before the mark is, by which it would be found.
 * _i: 1 it cannot be removed, 2 not for good.
 */
START_TEST(test_earlier_one_goes)
{
	struct stat st;

	leave_unfinished(1);
	restart();
	ck_assert(is_there("root/.ftxferd/" ROOT_STATE_MARK));
	ck_assert(!root_needs_sweep(root));
	uploads_set_limits(uploads, 1, UINT64_MAX);
	fake_orders.unlink = _i == 1 ? EIO : 0;
	fake_orders.fsync_dir = _i == 2 ? EIO : 0;
	fake_watch(stage_of(1));
	uploads_expire(uploads, NOW * 2);
	ck_assert_int_eq(stat("root", &st), 0);
	ck_assert(!is_known(1) && is_there(in_root(stage_of(1))) == (_i == 1));
	if (_i == 0)
		ck_assert_int_lt(fake_named(), fake_synced(st.st_ino));
	memset(&fake_orders, 0, sizeof(fake_orders));
	ck_assert_int_eq(unit_log_count("cannot remove stage file"), _i == 1 ? 1 : 0);
	restart();
	ck_assert(!is_known(1) && root_needs_sweep(root) == (_i != 0));
}
END_TEST

/* Nor if its directory is not to be reached. */
START_TEST(test_directory_is_gone)
{
	leave_unfinished(1);
	restart();
	uploads_set_limits(uploads, 1, UINT64_MAX);
	uploads_remove_stage(root, "no/such", stage_of(1));
	restart();
	ck_assert(root_needs_sweep(root));
}
END_TEST

/* ---- by whom */

START_TEST(test_other_terms)
{
	struct upload_terms t = terms_of(1);
	const char *name = "file1";
	struct upload_claim *c;

	leave_unfinished(1);
	if (_i == 0)
		t.size++;
	if (_i == 1)
		t.policy++;
	if (_i == 2)
		name = "file";
	ck_assert_int_eq(uploads_claim(uploads, &t, name, true, &c), FTX_OK);
	ck_assert_ptr_null(c);
	ck_assert(is_known(1));
}
END_TEST

static int told;

static void
on_taken(void *arg)
{
	ck_assert_ptr_eq(arg, &told);
	told++;
}

/* _i: 1 the owner hears of it only after it has lost it; 2 it has let go by then. */
START_TEST(test_takeover)
{
	struct upload_claim *old = claim(1), *c;
	struct upload_record r;
	struct worker *w;

	ck_assert_int_eq(worker_new(&w, NULL), FTX_OK);
	ck_assert(uploads_enter(old));
	unit_write(in_root(stage_of(1)), "part", 4);
	ck_assert_int_eq(uploads_staged(old, stage_of(1)), FTX_OK);
	uploads_leave(old);
	if (_i != 1)
		uploads_on_taken(old, w, on_taken, &told);
	c = claim(1);
	if (_i == 1)
		uploads_on_taken(old, w, on_taken, &told);
	/* It can do nothing any more. */
	ck_assert(!uploads_enter(old) && !uploads_look(old, &r));
	ck_assert_int_eq(uploads_staged(old, "another"), FTX_TAKEN_OVER);
	ck_assert(!uploads_forget(old));
	if (_i == 2)
		uploads_release(old);
	worker_turn(w, false);
	worker_turn(w, false);
	ck_assert_int_eq(told, _i == 2 ? 0 : 1);
	if (_i != 2)
		uploads_release(old);
	/* Nor is it anything to the new one. */
	ck_assert(uploads_look(c, &r) && uploads_enter(c));
	ck_assert_str_eq(r.stage, stage_of(1));
	uploads_leave(c);
	uploads_release(c);
	ck_assert(is_known(1));
	worker_free(w);
}
END_TEST

static atomic_bool has_it;

static void *
wait_for_it(void *arg)
{
	struct upload_terms t = terms_of(1);
	struct upload_claim **c = arg;

	if (uploads_claim(uploads, &t, "file1", true, c) == FTX_OK)
		atomic_store(&has_it, true);
	return NULL;
}

/* Who is in the middle of something is waited for; and what it published is found. */
START_TEST(test_takeover_waits)
{
	struct upload_claim *old = claim(1), *c;
	struct upload_terms t = terms_of(1);
	struct upload_record r;
	struct meta m;
	pthread_t thread;
	ino_t ino;

	ck_assert(uploads_enter(old));
	unit_write("root/file1", "whole", 5);
	m = meta_at("root/file1", &ino);
	ck_assert_int_eq(uploads_ready(old, &m, ino), FTX_OK);
	ck_assert_int_eq(uploads_claim(uploads, &t, "file1", false, &c), FTX_BUSY);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_it, &c), 0);
	unit_sleep_ms(50);
	ck_assert(!atomic_load(&has_it));
	uploads_expire(uploads, NOW * 2); /* nor does that take it away */
	uploads_published(old, &m);
	if (_i == 0)
		uploads_leave(old);
	else {
		uploads_leave(old);
		uploads_release(old);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(atomic_load(&has_it));
	ck_assert(uploads_look(c, &r));
	ck_assert_int_eq(r.state, UPLOAD_PUBLISHED);
	ck_assert(!uploads_forget(c)); /* that is not to be undone */
	if (_i == 0)
		uploads_release(old);
	uploads_release(c);
	ck_assert_int_eq(known_as(1, &r), UPLOAD_PUBLISHED);
}
END_TEST

/* Of one that has left nothing nothing is known, and nothing was written. */
START_TEST(test_nothing_of_it)
{
	uploads_release(claim(1));
	ck_assert_uint_eq(uploads_count(uploads), 0);
	uploads_note(uploads);
	ck_assert_int_eq(uploads_settle(uploads), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert(uploads_enter(NULL));
	uploads_leave(NULL);
	uploads_release(NULL);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "uploads");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_restart, 0, 3);
	tcase_add_loop_test(tc, test_restart_name_is_taken, 0, 4);
	tcase_add_test(tc, test_restart_two_names);
	tcase_add_loop_test(tc, test_restart_stage_is_gone, 0, 2);
	tcase_add_loop_test(tc, test_last_record_counts, 0, 2);
	tcase_add_test(tc, test_torn);
	tcase_add_test(tc, test_written_anew);
	tcase_add_loop_test(tc, test_full, 0, 2);
	tcase_add_test(tc, test_not_durable);
	tc = unit_case(s, "limits");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_bytes);
	tcase_add_test(tc, test_makes_room);
	tcase_add_loop_test(tc, test_earlier_one_goes, 0, 3);
	tcase_add_test(tc, test_directory_is_gone);
	tc = unit_case(s, "claims");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_other_terms, 0, 3);
	tcase_add_loop_test(tc, test_takeover, 0, 3);
	tcase_add_loop_test(tc, test_takeover_waits, 0, 2);
	tcase_add_test(tc, test_nothing_of_it);
}

int
main(void)
{
	return unit_run("uploads", add_cases);
}
