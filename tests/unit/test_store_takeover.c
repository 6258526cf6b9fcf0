/* store: an upload that is known by its key passes to another owner, or its process dies. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/fake_sys.h"
#include "unit/test_resume.h"

START_TEST(test_taken_over)
{
	struct owner old = { 0 }, o = { 0 };
	struct chunk *chunk;

	start();
	ck_assert_int_eq(begin(&old), FTX_OK);
	ck_assert_int_eq(owner_reserve(&old, LEN), FTX_OK);
	ck_assert_int_eq(owner_write(&old, content, _i == 0 ? CHUNK_SIZE : LEN), FTX_OK);
	ck_assert_int_eq(begin(&o), FTX_OK);
	UNIT_UNTIL(old.taken > 0, worker_turn(worker, false));
	ck_assert_int_eq(old.taken, 1);
	ck_assert_uint_eq(o.t->have, _i == 0 ? CHUNK_SIZE : LEN);
	/* The old one may not write any more, nor publish. */
	if (_i == 0) {
		chunk = owner_chunk();
		chunk->len = 1;
		chunk->data[0] = 'x';
		store_write(old.t, chunk);
		ck_assert_int_eq(owner_wait(&old, TRANSFER_WRITE), FTX_TAKEN_OVER);
		chunk_put(worker_chunks(worker), transfer_take_chunk(old.t));
		if (old.t->writes_now)
			ck_assert_int_eq(store_write_now(old.t, "x", 1), FTX_TAKEN_OVER);
	} else
		ck_assert_int_eq(owner_commit(&old), FTX_TAKEN_OVER);
	ck_assert_int_eq(files_in_root(), 1);
	/* Nor does its end drop what it has no more. */
	store_drop(old.t);
	owner_close(&old);
	ck_assert_int_eq(files_in_root(), 1);
	ck_assert_int_eq(put_rest(&o, o.t->have), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

/* What was not to be kept is nobody's then, and goes with its owner; a name is all that it had. */
START_TEST(test_taken_over_and_not_kept)
{
	struct owner old = { 0 }, o = { 0 };

	store_start(ROOT_EXCLUSIVE | ROOT_NAMED_STAGE);
	ck_assert_int_eq(root_keep_uploads(root), FTX_OK);
	terms.keep = false;
	ck_assert_int_eq(begin(&old), FTX_OK);
	ck_assert_int_eq(owner_reserve(&old, LEN), FTX_OK);
	ck_assert_int_eq(owner_write(&old, content, CHUNK_SIZE), FTX_OK);
	ck_assert_int_eq(files_in_root(), 1);
	terms.keep = _i == 0;
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, 0);
	owner_close(&old);
	ck_assert_int_eq(files_in_root(), 1);
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	ck_assert_int_eq(files_in_root(), 1);
	store_teardown();
}
END_TEST

#define SMALL 20000 /* bytes: written by one job, published by the next */

static struct owner next;

static void
start_for_small(void)
{
	start();
	terms.keep = false;
	terms.size = SMALL;
}

static void
put_small(struct owner *o)
{
	struct put_content c = { 0 };

	ck_assert(put_content_alloc(&c, worker, SMALL));
	memcpy(c.p, content, SMALL);
	c.len = SMALL;
	ck_assert_int_eq(digest_of(DIGEST_XXH128, c.p, c.len, &c.digest), FTX_OK);
	ck_assert_int_eq(store_put_whole(store, &spec, &c, owner_hears, o, &o->t), FTX_OK);
	owner_began(o);
}

/* A store, and a small file on its way into it. */
static void
start_small(struct owner *o)
{
	start_for_small();
	put_small(o);
}

static void
on_small_written(void *owner, struct transfer *t)
{
	(void)owner;
	(void)t;
	owner_put_spec(&next, &spec);
}

/*
 * A small file that is written may be another one's before it is published: then that one publishes
 * it, or hears that it was, and never is anything left beside it.
 */
START_TEST(test_taken_over_before_it_is_published)
{
	struct owner old = { 0 };
	enum ftx_rc rc;

	next = (struct owner){ 0 };
	start_small(&old);
	old.t->on_written = on_small_written;
	rc = owner_wait(&old, TRANSFER_COMMIT);
	ck_assert_int_eq(owner_wait(&next, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(rc, next.t->published ? FTX_OK : FTX_TAKEN_OVER);
	owner_close(&old);
	if (!next.t->published) {
		ck_assert_uint_eq(next.t->have, 0);
		ck_assert_int_eq(owner_reserve(&next, SMALL), FTX_OK);
		ck_assert_int_eq(owner_write(&next, content, SMALL), FTX_OK);
		ck_assert_int_eq(owner_commit(&next), FTX_OK);
	}
	owner_close(&next);
	unit_holds("root/new", content, SMALL);
	ck_assert_int_eq(files_in_root(), 1);
	store_teardown();
}
END_TEST

/* Whoever brought it is gone by then: it is dropped, or published whole, as it happens. */
START_TEST(test_gone_before_it_is_published)
{
	struct owner old = { 0 };
	struct stat st;

	start_small(&old);
	for (int i = 0; i < _i; i++)
		worker_turn(worker, false);
	owner_close(&old);
	ck_assert_int_eq(files_in_root(), stat("root/new", &st) == 0 ? 1 : 0);
	if (files_in_root() == 1)
		unit_holds("root/new", content, SMALL);
	ck_assert_uint_eq(worker_small_chunks(worker)->given, 0);
	store_teardown();
}
END_TEST

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void
wait_at_gate(void)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

/* One that is being published is not taken over, but waited for. */
START_TEST(test_waits_for_commit)
{
	struct owner old = { 0 }, o = { 0 };

	start();
	ck_assert_int_eq(begin(&old), FTX_OK);
	ck_assert_int_eq(owner_reserve(&old, LEN), FTX_OK);
	ck_assert_int_eq(owner_write(&old, content, LEN), FTX_OK);
	fake_orders.before_fsync = wait_at_gate;
	if (_i != 0)
		fake_orders.link = fake_orders.rename = EIO;
	pthread_mutex_lock(&gate);
	store_commit(old.t);
	unit_sleep_ms(50);
	owner_put_spec(&o, &spec);
	for (int i = 0; i < 50; i++) {
		worker_turn(worker, false);
		unit_sleep_ms(1);
	}
	ck_assert(!o.told && !old.told);
	pthread_mutex_unlock(&gate);
	UNIT_UNTIL(o.told && old.told, worker_turn(worker, false));
	ck_assert_int_eq(owner_wait(&old, TRANSFER_COMMIT), _i == 0 ? FTX_OK : FTX_IO);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert(o.t->published == (_i == 0));
	ck_assert_uint_eq(o.t->have, 0);
	fake_orders.link = fake_orders.rename = 0;
	owner_close(&old);
	if (_i != 0)
		ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

static void
on_sum(void *owner, struct store_request *r, enum ftx_rc rc)
{
	enum ftx_rc *heard = owner;

	(void)r;
	*heard = rc;
}

/*
 * However many want what another one is in the middle of, they wait on no thread: what takes long
 * and is somebody else's is done meanwhile. _i: 0 then the one that stays has it, 1 all go.
 */
START_TEST(test_many_wait)
{
	enum { MANY = 2 * POOL_THREADS_MAX };
	const struct request_spec sum = {
		.name = "other", .kind = DIGEST_XXH128, .length = UINT64_MAX
	};
	static struct owner o[MANY];
	struct uploads_patience p = { 0 };
	enum ftx_rc heard = FTX_BUSY;
	struct store_request *r;
	struct upload_claim *c;

	start();
	unit_write("root/other", "other", 5);
	ck_assert_int_eq(uploads_claim(root->uploads, &terms, "new", &p, &c), FTX_OK);
	ck_assert(uploads_enter(c));
	for (int i = 0; i < MANY; i++)
		owner_put_spec(&o[i], &spec);
	for (int i = 0; i < 200; i++) {
		worker_turn(worker, false);
		unit_sleep_ms(1);
	}
	ck_assert_int_eq(store_sum(store, &sum, on_sum, &heard, &r), FTX_OK);
	UNIT_UNTIL(heard != FTX_BUSY, worker_turn(worker, false));
	ck_assert_int_eq(heard, FTX_OK);
	store_request_close(r);
	for (int i = 0; i < MANY; i++)
		ck_assert(!o[i].told);
	for (int i = _i == 0 ? 1 : 0; i < MANY; i++)
		store_close(o[i].t);
	UNIT_UNTIL(worker_held(worker) == (_i == 0 ? 1 : 0), worker_turn(worker, false));
	uploads_leave(c);
	ck_assert(_i == 0 || uploads_enter(c)); /* none of those who have gone has it */
	uploads_leave(c);
	uploads_release(c);
	if (_i == 0) {
		ck_assert_int_eq(owner_wait(&o[0], TRANSFER_OPEN), FTX_OK);
		ck_assert_int_eq(put_rest(&o[0], 0), FTX_OK);
		ck_assert_int_eq(o[0].taken, 0);
		owner_close(&o[0]);
	}
	store_teardown();
}
END_TEST

/*
 * A client has broken off, and asks again; and what it had sent at first comes to its turn only
 * then: nobody waits for that, and who asks now is not to hear that somebody else has it.
 */
START_TEST(test_gone_before_its_turn)
{
	struct uploads_patience p = { 0 };
	struct owner old = { 0 };
	struct upload_claim *c;

	start_for_small();
	ck_assert_int_eq(uploads_claim(root->uploads, &terms, "new", &p, &c), FTX_OK);
	put_small(&old);
	owner_close(&old);
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	ck_assert(uploads_enter(c));
	uploads_leave(c);
	uploads_release(c);
	ck_assert_int_eq(files_in_root(), 0);
	store_teardown();
}
END_TEST

/* The new owner has come and gone when the old one hears of it. */
START_TEST(test_taken_and_gone)
{
	struct owner old = { 0 }, o = { 0 };

	start();
	ck_assert_int_eq(begin(&old), FTX_OK);
	owner_put_spec(&o, &spec);
	store_close(old.t);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	owner_close(&o);
	ck_assert_int_eq(old.taken, 0);
	store_teardown();
}
END_TEST

/* Whatever of it fails, nothing is published that is not known, and the next try succeeds. */
START_TEST(test_fails)
{
	struct owner o = { 0 };
	enum ftx_rc rc;

	start();
	leave_behind(CHUNK_SIZE);
	ck_assert_int_eq(begin(&o), FTX_OK);
	store_reserve_at(o.t, LEN, o.t->have);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_RESERVE), FTX_OK);
	ck_assert_int_eq(owner_write(&o, content + CHUNK_SIZE, LEN - CHUNK_SIZE), FTX_OK);
	if (_i == 0)
		fake_orders.fsync_file = EIO;
	if (_i == 1)
		fake_orders.rename = EIO;
	rc = owner_commit(&o);
	ck_assert_int_eq(rc, FTX_IO);
	owner_close(&o);
	fake_orders.fsync_file = fake_orders.rename = 0;
	ck_assert_int_eq(access("root/new", F_OK), -1);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(!o.t->published);
	ck_assert_int_eq(put_rest(&o, o.t->have), FTX_OK);
	owner_close(&o);
	restart();
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && !o.t->superseded);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

static int steps_left;

/* The process dies at this step. */
static void
step(void)
{
	if (--steps_left == 0)
		_exit(7);
}

/* One run of the daemon, which dies at some step; whether it came to its end. */
static bool
run_until(int dies_at)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct owner o = { 0 };

		steps_left = dies_at;
		fake_orders.before_fsync = step;
		fake_orders.before_link = step;
		start();
		if (begin(&o) != FTX_OK || put_rest(&o, 0) != FTX_OK)
			_exit(1);
		owner_close(&o);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	return WEXITSTATUS(status) == 0;
}

/* Killed at any step: what stands under its name is known as published, and nothing else is. */
START_TEST(test_killed)
{
	const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	bool ended = false;

	terms.keep = _i != 0;
	terms.size = 5000;
	spec.has_mtime = true;
	spec.mtime = old[1];
	for (int at = 1; !ended; at++) {
		struct owner o = { 0 };
		bool there;
		struct stat st;
		char dir[16];

		snprintf(dir, sizeof(dir), "%d", at);
		ck_assert_int_eq(mkdir(dir, 0755), 0);
		ck_assert_int_eq(chdir(dir), 0);
		ck_assert_int_eq(mkdir("root", 0755), 0);
		ended = run_until(at);
		there = stat("root/new", &st) == 0;
		if (!there && _i == 2) { /* somebody else's, that looks like it */
			unit_write("root/new", content, 5000);
			ck_assert_int_eq(utimensat(AT_FDCWD, "root/new", old, 0), 0);
		}
		start();
		ck_assert_int_eq(begin(&o), there || _i != 2 ? FTX_OK : FTX_EXISTS);
		ck_assert_msg(o.t->published == there, "step %d", at);
		ck_assert(!o.t->superseded && (!ended || there));
		if (!there && _i != 2)
			ck_assert_int_eq(put_rest(&o, o.t->have), FTX_OK);
		owner_close(&o);
		unit_holds("root/new", content, 5000);
		store_teardown();
		ck_assert_int_eq(chdir(".."), 0);
		ck_assert_int_gt(ended ? at : 5, 4);
	}
}
END_TEST

void
add_takeover_cases(Suite *s)
{
	TCase *tc = unit_case(s, "takeover");

	tcase_add_checked_fixture(tc, resume_set_up, NULL);
	tcase_add_loop_test(tc, test_taken_over, 0, 2);
	tcase_add_loop_test(tc, test_taken_over_and_not_kept, 0, 2);
	tcase_add_loop_test(tc, test_taken_over_before_it_is_published, 0, 10);
	tcase_add_loop_test(tc, test_gone_before_it_is_published, 0, 10);
	tcase_add_loop_test(tc, test_waits_for_commit, 0, 2);
	tcase_add_loop_test(tc, test_many_wait, 0, 2);
	tcase_add_test(tc, test_gone_before_its_turn);
	tcase_add_test(tc, test_taken_and_gone);
	tcase_add_loop_test(tc, test_fails, 0, 2);
	tcase_add_loop_test(tc, test_killed, 0, 3);
}
