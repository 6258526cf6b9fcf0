/* store: get. A file that changes on the way out is never handed out as a mixture. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/fake_sys.h"
#include "unit/test_store.h"

#define LEN (3 * CHUNK_SIZE + 100)

static char *content; /* LEN bytes, which root/file holds */

static void
set_up(void)
{
	uint64_t seed = 5;

	store_setup();
	content = malloc(LEN);
	for (size_t i = 0; i < LEN; i++)
		content[i] = (char)unit_random(&seed);
	unit_write("root/file", content, LEN);
	/* Its time is told in ticks: what comes next is later than that. */
	unit_sleep_ms(20);
}

static void
tear_down(void)
{
	free(content);
}

/* One read of the bytes that are next, which must be those of the content. */
static enum ftx_rc
read_next(struct owner *o, size_t len)
{
	uint64_t at = o->t->offset;
	struct chunk *chunk;
	enum ftx_rc rc;

	if (len > o->t->size - at)
		len = o->t->size - at;
	if (len > CHUNK_SIZE)
		len = CHUNK_SIZE;
	store_read(o->t, owner_chunk(), len);
	UNIT_CHECK(!o->told);
	rc = owner_wait(o, TRANSFER_READ);
	chunk = transfer_take_chunk(o->t);
	ck_assert_uint_eq(chunk->len, rc == FTX_OK ? len : 0);
	if (rc == FTX_OK)
		ck_assert_mem_eq(chunk->data, content + at, len);
	chunk_put(worker_chunks(worker), chunk);
	ck_assert_uint_eq(o->t->offset, at);
	if (rc == FTX_OK)
		store_sent(o->t, len);
	return rc;
}

/* Reads to the end, by chunks; what the last read said. */
static enum ftx_rc
read_all(struct owner *o)
{
	enum ftx_rc rc = FTX_OK;

	while (rc == FTX_OK && o->t->offset < o->t->size)
		rc = read_next(o, SIZE_MAX);
	return rc;
}

static void
begin(struct owner *o)
{
	store_start(0);
	owner_get(o, "file");
	ck_assert_int_eq(owner_wait(o, TRANSFER_OPEN), FTX_OK);
	ck_assert_uint_eq(o->t->size, LEN);
}

static void
finish(struct owner *o)
{
	owner_close(o);
	store_teardown();
}

START_TEST(test_get)
{
	struct owner o = { 0 };

	if (_i > 0) {
		fake_orders.io_max = 1000;
		fake_orders.io_interrupted = true;
	}
	begin(&o);
	ck_assert_int_eq(read_next(&o, 1), FTX_OK);
	ck_assert_int_eq(read_next(&o, 5000), FTX_OK);
	ck_assert_int_eq(read_all(&o), FTX_OK);
	ck_assert_uint_eq(o.t->offset, LEN);
	finish(&o);
}
END_TEST

/* More than is allowed is asked for: a chunk comes; and never more than there is. */
START_TEST(test_get_bounds)
{
	struct owner o = { 0 };

	begin(&o);
	store_read(o.t, owner_chunk(), SIZE_MAX);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_READ), FTX_OK);
	ck_assert_uint_eq(o.t->chunk->len, CHUNK_SIZE);
	chunk_put(worker_chunks(worker), transfer_take_chunk(o.t));
	ck_assert_int_eq(read_all(&o), FTX_OK);
	finish(&o);
}
END_TEST

START_TEST(test_get_empty)
{
	struct owner o = { 0 };

	unit_write("root/empty", "", 0);
	store_start(0);
	owner_get(&o, "empty");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_uint_eq(o.t->size, 0);
	finish(&o);
}
END_TEST

START_TEST(test_get_refused)
{
	static const struct {
		const char *name;
		enum ftx_rc rc;
	} cases[] = { { "missing", FTX_NOT_FOUND }, { "dir", FTX_NOT_REGULAR },
		{ "fifo", FTX_NOT_REGULAR }, { "link", FTX_NOT_REGULAR },
		{ "missing/file", FTX_NO_PARENT }, { "to_dir/file", FTX_NO_PARENT } };
	struct owner o = { 0 };

	ck_assert_int_eq(mkdir("root/dir", 0755), 0);
	ck_assert_int_eq(mkfifo("root/fifo", 0600), 0);
	ck_assert_int_eq(symlink("file", "root/link"), 0);
	ck_assert_int_eq(symlink("dir", "root/to_dir"), 0);
	store_start(_i == 0 ? 0 : ROOT_NO_OPENAT2);
	for (int i = 0; i < COUNT(cases); i++) {
		owner_get(&o, cases[i].name);
		ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), cases[i].rc);
		owner_close(&o);
	}
	store_teardown();
}
END_TEST

/* Reading takes no right to list a directory: not the file's, not one on the way, not the root. */
START_TEST(test_get_where_one_may_only_search)
{
	const char *name = _i % 4 == 0 ? "file" : "d/file";
	struct owner o = { 0 };

	ck_assert_int_eq(mkdir("root/d", 0755), 0);
	ck_assert_int_eq(link("root/file", "root/d/file"), 0);
	ck_assert_int_eq(chmod("root/file", 0644), 0);
	ck_assert_int_eq(chmod("root/d", _i % 4 <= 1 ? 0755 : 0711), 0);
	ck_assert_int_eq(chmod("root", _i % 4 == 2 ? 0755 : 0711), 0);
	if (geteuid() != 0)
		return; /* as their owner one may list them: only another user can show it */
	unit_drop_root();
	store_start(_i < 4 ? 0 : ROOT_NO_OPENAT2);
	owner_get(&o, name);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(read_all(&o), FTX_OK);
	finish(&o);
}
END_TEST

static void
append_to_file(void)
{
	int fd = open("root/file", O_WRONLY | O_APPEND);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

START_TEST(test_file_shrinks)
{
	struct owner o = { 0 };

	begin(&o);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	ck_assert_int_eq(truncate("root/file", _i == 0 ? 0 : LEN - 1), 0);
	ck_assert_int_eq(read_all(&o), FTX_CHANGED);
	ck_assert_uint_lt(o.t->offset, LEN);
	finish(&o);
}
END_TEST

START_TEST(test_file_grows)
{
	struct owner o = { 0 };
	struct timespec times[2];
	struct stat st;

	begin(&o);
	ck_assert_int_eq(stat("root/file", &st), 0);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	append_to_file();
	if (_i == 1) {
		/* Its time says that nothing happened. */
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		ck_assert_int_eq(utimensat(AT_FDCWD, "root/file", times, 0), 0);
	}
	ck_assert_int_eq(read_all(&o), FTX_CHANGED);
	ck_assert_uint_lt(o.t->offset, LEN);
	finish(&o);
}
END_TEST

static void
rewrite_first_byte(void)
{
	int fd = open("root/file", O_WRONLY);

	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	close(fd);
}

/* As long as before, and what is still to come is the same: only its times tell. */
START_TEST(test_file_is_rewritten)
{
	struct owner o = { 0 };
	struct timespec times[2];
	struct stat st;

	begin(&o);
	ck_assert_int_eq(stat("root/file", &st), 0);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	rewrite_first_byte();
	if (_i == 1) {
		/* One of them says that nothing happened. */
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		ck_assert_int_eq(utimensat(AT_FDCWD, "root/file", times, 0), 0);
	}
	ck_assert_int_eq(read_all(&o), FTX_CHANGED);
	ck_assert_uint_lt(o.t->offset, LEN);
	finish(&o);
}
END_TEST

/* Changed, opened, read from and changed again, all in one tick of the file system's clock. */
START_TEST(test_file_is_rewritten_at_once)
{
	struct owner o = { 0 };

	content[0] = 'x';
	store_start(0);
	fake_tick(3);
	rewrite_first_byte();
	owner_get(&o, "file");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	rewrite_first_byte();
	ck_assert_int_eq(read_all(&o), FTX_CHANGED);
	finish(&o);
}
END_TEST

/* Its last change is still to come, by a clock that has been set back: no wait helps. */
START_TEST(test_file_from_the_future)
{
	struct owner o = { 0 };
	int looks;

	store_start(0);
	fake_set_back(_i == 0 ? 1 : 3600);
	owner_get(&o, "file");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	looks = fake_looks();
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	ck_assert_int_eq(fake_looks() - looks, 1);
	finish(&o);
}
END_TEST

/*
 * It cannot be told from a change of the content whose time was set back; the less so where no
 * descriptor is left to look for its name.
 */
START_TEST(test_mode_changes)
{
	struct owner o = { 0 };
	struct rlimit rl;

	begin(&o);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	ck_assert_int_eq(chmod("root/file", 0600), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
	if (_i == 1)
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, rl.rlim_max }), 0);
	ck_assert_int_eq(read_all(&o), FTX_CHANGED);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	finish(&o);
}
END_TEST

/* What was opened is what is served. */
START_TEST(test_names_change)
{
	struct owner o = { 0 };

	begin(&o);
	if (_i >= 4)
		ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	switch (_i % 4) {
	case 0:
		unit_write("root/other", "other", 5);
		ck_assert_int_eq(rename("root/other", "root/file"), 0);
		break;
	case 1:
		ck_assert_int_eq(unlink("root/file"), 0);
		break;
	case 2:
		ck_assert_int_eq(rename("root/file", "root/moved"), 0);
		break;
	default:
		ck_assert_int_eq(link("root/file", "root/second"), 0);
	}
	ck_assert_int_eq(read_all(&o), FTX_OK);
	ck_assert_uint_eq(o.t->offset, LEN);
	finish(&o);
}
END_TEST

START_TEST(test_get_close_in_the_middle)
{
	struct owner o = { 0 };

	if (_i == 0)
		store_start(ROOT_NO_OPENAT2); /* which is always a job */
	else
		begin(&o);
	pool_block();
	if (_i == 0)
		owner_get(&o, "file");
	else
		store_read(o.t, owner_chunk(), CHUNK_SIZE);
	store_close(o.t);
	for (int i = 0; i < 5; i++)
		worker_turn(worker, false);
	ck_assert_int_eq(o.claim_returns, 0);
	o.times = 0;
	o.told = false;
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o.claim_returns, 1);
	ck_assert_int_eq(o.times, 0);
	store_teardown();
	unit_holds("root/file", content, LEN);
}
END_TEST

/*
 * To close a file that has lost its last name may take long: the loop does not do it. Any other
 * file it does close.
 */
START_TEST(test_get_close_waits_for_no_disk)
{
	struct owner o = { 0 };
	int before, before_held;

	begin(&o);
	ck_assert_int_eq(read_next(&o, 100), FTX_OK);
	if (_i == 0)
		ck_assert_int_eq(unlink("root/file"), 0);
	pool_block();
	before = unit_descriptors();
	before_held = (int)worker_held(worker);
	store_close(o.t);
	ck_assert_int_eq(unit_descriptors(), before - (_i == 0 ? 0 : 1));
	ck_assert_int_eq(worker_held(worker), before_held + (_i == 0 ? 1 : 0));
	pool_unblock();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert_int_eq(o.claim_returns, 1);
	ck_assert_int_eq(unit_descriptors(), before - 1);
	store_teardown();
}
END_TEST

START_TEST(test_get_close_when_told)
{
	struct owner o = { 0 };

	if (_i == 0) {
		store_start(0);
		o.closes = true;
		owner_get(&o, "file");
	} else {
		begin(&o);
		o.closes = true;
		store_read(o.t, owner_chunk(), CHUNK_SIZE);
	}
	ck_assert_int_eq(owner_wait(&o, _i == 0 ? TRANSFER_OPEN : TRANSFER_READ), FTX_OK);
	ck_assert_int_eq(o.claim_returns, 1);
	store_teardown();
}
END_TEST

void
add_get_cases(Suite *s)
{
	TCase *tc = unit_case(s, "get");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_get, 0, 2);
	tcase_add_test(tc, test_get_bounds);
	tcase_add_test(tc, test_get_empty);
	tcase_add_loop_test(tc, test_get_refused, 0, 2);
	tcase_add_loop_test(tc, test_get_where_one_may_only_search, 0, 8);
	tcase_add_loop_test(tc, test_file_shrinks, 0, 2);
	tcase_add_loop_test(tc, test_file_grows, 0, 2);
	tcase_add_loop_test(tc, test_file_is_rewritten, 0, 2);
	tcase_add_test(tc, test_file_is_rewritten_at_once);
	tcase_add_loop_test(tc, test_file_from_the_future, 0, 2);
	tcase_add_loop_test(tc, test_mode_changes, 0, 2);
	tcase_add_loop_test(tc, test_names_change, 0, 8);
	tcase_add_loop_test(tc, test_get_close_in_the_middle, 0, 2);
	tcase_add_loop_test(tc, test_get_close_waits_for_no_disk, 0, 2);
	tcase_add_loop_test(tc, test_get_close_when_told, 0, 2);
}
