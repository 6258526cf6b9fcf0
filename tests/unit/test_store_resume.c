/* store: an upload that is known by its key: gone on with, asked for again, taken over. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/digest_trail.h"
#include "store/names.h"
#include "store/path.h"
#include "store/uploads.h"
#include "unit/fake_sys.h"
#include "unit/test_resume.h"

static void
check_prefix(struct owner *o, size_t len)
{
	struct digest_value v, want;

	ck_assert_int_eq(store_prefix(o->t, DIGEST_XXH128, len), FTX_OK);
	ck_assert_int_eq(owner_wait(o, TRANSFER_PREFIX), FTX_OK);
	ck_assert_int_eq(digest_final(&o->t->prefix, &v), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, len, &want), FTX_OK);
	ck_assert(digest_equal(&v, &want));
}

/* _i: whether the daemon has come to its end in between. */
START_TEST(test_resume)
{
	struct owner o = { 0 };

	start();
	leave_behind(CHUNK_SIZE + 5000);
	if (_i != 0)
		restart();
	ck_assert_int_eq(files_in_root(), 1);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(!o.t->published);
	ck_assert_uint_eq(o.t->have, CHUNK_SIZE + 4096);
	check_prefix(&o, o.t->have);
	ck_assert_int_eq(put_rest(&o, o.t->have), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	ck_assert_int_eq(files_in_root(), 1);
	store_teardown();
}
END_TEST

/* Sends so many bytes, each mark of which is noted, and goes. */
static void
leave_marked(const uint8_t *p, size_t len)
{
	struct digest d = { 0 };
	struct owner o = { 0 };

	ck_assert_int_eq(digest_init(&d, DIGEST_XXH128), FTX_OK);
	ck_assert_int_eq(begin(&o), FTX_OK);
	store_reserve_at(o.t, terms.size, 0);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_RESERVE), FTX_OK);
	for (size_t at = 0; at < len; at += CHUNK_SIZE) {
		ck_assert_int_eq(digest_update(&d, p + at, CHUNK_SIZE), FTX_OK);
		store_mark(o.t, &d, at + CHUNK_SIZE); /* it may come before it is written */
		ck_assert_int_eq(owner_write(&o, p + at, CHUNK_SIZE), FTX_OK);
	}
	digest_clear(&d);
	owner_close(&o);
}

static char *
the_stage(void)
{
	static char path[300];
	struct dirent *e;
	DIR *dir = opendir("root");

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) == 0)
			snprintf(path, sizeof(path), "root/%s", e->d_name);
	}
	closedir(dir);
	return path;
}

/*
 * What came while this process ran is known without being read, unless somebody else has changed
 * the stage since (1), or this is another process (2), or it was begun anew (3).
 */
START_TEST(test_marks)
{
	size_t len = 3 * DIGEST_TRAIL_STEP;
	uint8_t *big = calloc(1, len);
	struct digest_value v, want;
	struct owner o = { 0 };
	FILE *stage;

	ck_assert_ptr_nonnull(big);
	for (size_t i = 0; i < len; i++)
		big[i] = (uint8_t)(i * 7 + i / 4099);
	start();
	terms.size = len + CHUNK_SIZE;
	leave_marked(big, len);
	if (_i == 1 || _i == 2) {
		usleep(30 * 1000); /* the next tick of the file system's clock */
		stage = fopen(the_stage(), "r+");
		ck_assert_ptr_nonnull(stage);
		ck_assert_int_eq(fputc(big[0] ^ 1, stage), big[0] ^ 1);
		ck_assert_int_eq(fclose(stage), 0);
	}
	if (_i == 2)
		restart();
	if (_i == 3) {
		ck_assert_int_eq(begin(&o), FTX_OK);
		store_reserve_at(o.t, terms.size, 0);
		ck_assert_int_eq(owner_wait(&o, TRANSFER_RESERVE), FTX_OK);
		for (size_t at = 0; at < len; at += CHUNK_SIZE) /* only its beginning differs */
			ck_assert_int_eq(
			    owner_write(&o, big + (at > 0 ? at : CHUNK_SIZE), CHUNK_SIZE), FTX_OK);
		owner_close(&o);
	}
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, len);
	ck_assert_int_eq(store_prefix(o.t, DIGEST_XXH128, len), FTX_OK);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_PREFIX), FTX_OK);
	ck_assert_int_eq(digest_final(&o.t->prefix, &v), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_XXH128, big, len, &want), FTX_OK);
	ck_assert(digest_equal(&v, &want) == (_i == 0));
	owner_close(&o);
	free(big);
	store_teardown();
}
END_TEST

/* What is kept is of another file: it begins anew, and nothing of it is left. */
START_TEST(test_resume_from_0)
{
	struct owner o = { 0 };

	start();
	leave_behind(LEN - 1);
	memset(content, 1, LEN);
	if (_i != 0)
		restart();
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, (LEN - 1) / 4096 * 4096);
	store_reserve_at(o.t, LEN, 0);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_RESERVE), FTX_OK);
	ck_assert_int_eq(owner_write(&o, content, 10), FTX_OK);
	owner_close(&o);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, 0); /* of what was there before nothing counts */
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

/* All was there but the end. */
START_TEST(test_resume_whole)
{
	struct owner o = { 0 };

	start();
	leave_behind(LEN);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, LEN);
	check_prefix(&o, LEN);
	ck_assert_int_eq(put_rest(&o, LEN), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

/* The lost answer; of small files, too, of which nothing is kept but that. */
START_TEST(test_asked_again)
{
	struct digest_value digest;
	struct timespec when;
	struct owner o = { 0 };
	struct meta m;

	terms.keep = _i % 2 == 0;
	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, LEN, &digest), FTX_OK);
	start();
	ck_assert_int_eq(begin(&o), FTX_OK);
	store_set_digest(o.t, &digest);
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	when = o.t->published_at;
	store_close(o.t);
	ck_assert_uint_eq(store->transfers, 0); /* it took no job */
	if (_i / 2 != 0)
		restart();
	ck_assert_int_eq(names_stat(root, "new", false, &m), FTX_OK);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && !o.t->superseded);
	ck_assert_uint_eq(o.t->meta.size, LEN);
	ck_assert(meta_same_version(&o.t->meta.version, &m.version));
	ck_assert(digest_equal(&o.t->meta.digest, &digest));
	ck_assert_int_gt(o.t->published_at.tv_sec, time(NULL) - 1000);
	ck_assert_int_eq(o.t->published_at.tv_sec, when.tv_sec);
	ck_assert_int_eq(o.t->published_at.tv_nsec, when.tv_nsec);
	ck_assert(o.t->unsynced == root->in_memory);
	owner_close(&o);
	root->in_memory = !root->in_memory;
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && o.t->unsynced == root->in_memory);
	owner_close(&o);
	root->in_memory = !root->in_memory;
	/* It was replaced since, or removed: never again. */
	unit_write("root/new", "other", 5);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && o.t->superseded);
	owner_close(&o);
	ck_assert_int_eq(remove("root/new"), 0);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published && o.t->superseded);
	owner_close(&o);
	ck_assert_int_eq(files_in_root(), 0);
	store_teardown();
}
END_TEST

/* Something else with the same number is not known, neither what is published nor what is kept. */
START_TEST(test_other_terms)
{
	struct owner o = { 0 };

	start();
	if (_i / 4 != 0) {
		ck_assert_int_eq(begin(&o), FTX_OK);
		ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
		owner_close(&o);
	} else
		leave_behind(CHUNK_SIZE);
	if (_i % 4 == 0)
		terms.size--;
	if (_i % 4 == 1)
		terms.policy++;
	if (_i % 4 == 2)
		spec.name = "other";
	if (_i % 4 == 3)
		terms.key.user[0]++;
	ck_assert_int_eq(begin(&o), _i / 4 != 0 && _i % 4 != 2 ? FTX_EXISTS : FTX_OK);
	ck_assert(!o.t->published);
	ck_assert_uint_eq(o.t->have, 0);
	owner_close(&o);
	store_teardown();
}
END_TEST

START_TEST(test_dropped)
{
	struct owner o = { 0 };

	start();
	leave_behind(CHUNK_SIZE);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, CHUNK_SIZE);
	store_drop(o.t);
	owner_close(&o);
	ck_assert_int_eq(files_in_root(), 0);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, 0);
	store_drop(o.t);
	owner_close(&o);
	store_teardown();
	/* Nothing is known, and so there is no file that says so. */
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

/* Not kept this time: what an earlier try left is removed. */
START_TEST(test_not_kept_any_more)
{
	struct owner o = { 0 };

	start();
	leave_behind(CHUNK_SIZE);
	terms.keep = false;
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, 0);
	ck_assert_int_eq(files_in_root(), 0);
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

START_TEST(test_prefix_ends)
{
	struct owner o = { 0 };

	start();
	leave_behind(LEN);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_int_eq(store_prefix(o.t, DIGEST_KINDS, 1), FTX_UNSUPPORTED);
	check_prefix(&o, 0);
	check_prefix(&o, 4096);
	/* There is less of it than there was. */
	ck_assert_int_eq(files_in_root(), 1);
	store_cancel(o.t);
	ck_assert_int_eq(store_prefix(o.t, DIGEST_XXH128, LEN), FTX_OK);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_PREFIX), FTX_CANCELLED);
	/* That ends nothing else. */
	ck_assert_int_eq(put_rest(&o, 0), FTX_OK);
	owner_close(&o);
	/* Of a file that is read. */
	unit_write("root/file", content, LEN);
	unit_sleep_ms(20);
	owner_get(&o, "file");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	check_prefix(&o, 12345);
	owner_close(&o);
	store_teardown();
}
END_TEST

/* The name is taken by another file meanwhile: what was kept can be dropped all the same. */
START_TEST(test_name_is_taken)
{
	struct owner o = { 0 };

	start();
	leave_behind(CHUNK_SIZE);
	ck_assert_int_eq(files_in_root(), 1);
	unit_write("root/new", "other", 5);
	terms.keep = _i == 0;
	ck_assert_int_eq(begin(&o), FTX_EXISTS);
	if (_i == 0)
		store_drop(o.t);
	owner_close(&o);
	ck_assert_int_eq(files_in_root(), 1);
	unit_holds("root/new", "other", 5);
	store_teardown();
}
END_TEST

/*
 * Kept content counts, and gives way to what is under way, if that helps. _i: 0 it does; 1, 2 it
 * could not on the disk, nor by the most of all.
 */
START_TEST(test_makes_room)
{
	struct owner o = { 0 };

	start();
	space_set_max(root->space, _i == 1 ? 0 : LEN + 10);
	leave_behind(CHUNK_SIZE);
	if (_i == 1)
		fake_orders.free_bytes = 1;
	terms.key.id[0]++;
	spec.name = "another";
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, _i == 0 ? LEN : LEN + 11), _i == 0   ? FTX_OK
								      : _i == 1 ? FTX_NO_SPACE
										: FTX_STAGE_FULL);
	ck_assert_int_eq(files_in_root(), _i == 0 ? 1 : 2);
	owner_close(&o); /* it has no content, and leaves nothing */
	ck_assert_int_eq(files_in_root(), _i == 0 ? 0 : 1);
	ck_assert_uint_eq(uploads_count(root->uploads), _i == 0 ? 0 : 1);
	fake_orders.free_bytes = 0;
	store_teardown();
}
END_TEST

/*
 * What is only kept has no more space than its content takes; who goes on with it has all of it
 * again. _i: 1 the daemon was killed in between, 2 nothing can be allocated ahead.
 */
START_TEST(test_keeps_no_space)
{
	struct space_hold hold = { 0 };
	struct owner o = { 0 };
	struct stat st;

	start();
	space_set_max(root->space, LEN + 10);
	fake_orders.no_fallocate = _i == 2;
	leave_behind(CHUNK_SIZE);
	if (_i == 1) {
		int fd = open(the_stage(), O_WRONLY | O_CLOEXEC);

		ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)LEN), 0);
		close(fd);
		restart();
		space_set_max(root->space, LEN + 10);
		ck_assert_int_eq(space_keep(root->space, CHUNK_SIZE, &hold), FTX_OK);
		space_release(&hold);
	}
	ck_assert_int_eq(stat(the_stage(), &st), 0);
	ck_assert_int_eq(st.st_size, CHUNK_SIZE);
	ck_assert_int_lt(st.st_blocks * 512, CHUNK_SIZE + 65536);
	if (_i != 1) {
		ck_assert_int_eq(space_keep(root->space, LEN + 10 - CHUNK_SIZE, &hold), FTX_OK);
		space_release(&hold);
	}
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, CHUNK_SIZE);
	store_reserve_at(o.t, LEN, CHUNK_SIZE);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_RESERVE), FTX_OK);
	ck_assert_int_eq(stat(the_stage(), &st), 0);
	ck_assert(_i == 2 || st.st_blocks * 512 >= (blkcnt_t)LEN);
	if (_i != 1)
		ck_assert_int_eq(space_keep(root->space, 11, &hold), FTX_STAGE_FULL);
	ck_assert_int_eq(owner_write(&o, content + CHUNK_SIZE, LEN - CHUNK_SIZE), FTX_OK);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

START_TEST(test_expires)
{
	struct owner o = { 0 };
	uint64_t now = (uint64_t)time(NULL);

	start();
	uploads_set_limits(root->uploads, 100, _i == 2 ? CHUNK_SIZE - 1 : CHUNK_SIZE);
	leave_behind(CHUNK_SIZE);
	uploads_expire(root->uploads, now + (_i == 1 ? 200 : 90));
	ck_assert_int_eq(files_in_root(), _i == 0 ? 1 : 0);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, _i == 0 ? CHUNK_SIZE : 0);
	/* Not while somebody works on it. */
	uploads_expire(root->uploads, now + 200);
	ck_assert_int_eq(put_rest(&o, o.t->have), FTX_OK);
	owner_close(&o);
	uploads_expire(root->uploads, now + 90);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert(o.t->published);
	owner_close(&o);
	uploads_expire(root->uploads, now + 200);
	ck_assert_int_eq(begin(&o), FTX_EXISTS);
	owner_close(&o);
	unit_holds("root/new", content, LEN);
	store_teardown();
}
END_TEST

/* A start that has to search for stages leaves what is known. */
START_TEST(test_sweep_keeps)
{
	static atomic_bool stop;
	struct owner o = { 0 };
	unsigned removed;

	start();
	leave_behind(CHUNK_SIZE);
	restart();
	unit_write("root/.ftxferd-0123456789abcdef-0", "stale", 5);
	root->unswept = true;
	ck_assert_int_eq(root_sweep(root, "root", &stop, &removed), FTX_OK);
	ck_assert_uint_eq(removed, 1);
	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, CHUNK_SIZE);
	owner_close(&o);
	/* Of what is known no more it is rid. */
	uploads_expire(root->uploads, UINT64_MAX);
	store_teardown();
}
END_TEST

void
add_resume_cases(Suite *s)
{
	TCase *tc = unit_case(s, "resume");

	tcase_add_checked_fixture(tc, resume_set_up, NULL);
	tcase_add_loop_test(tc, test_resume, 0, 2);
	tcase_add_loop_test(tc, test_resume_from_0, 0, 2);
	tcase_add_loop_test(tc, test_marks, 0, 4);
	tcase_add_test(tc, test_resume_whole);
	tcase_add_loop_test(tc, test_asked_again, 0, 4);
	tcase_add_loop_test(tc, test_other_terms, 0, 8);
	tcase_add_test(tc, test_dropped);
	tcase_add_test(tc, test_not_kept_any_more);
	tcase_add_loop_test(tc, test_name_is_taken, 0, 2);
	tcase_add_test(tc, test_prefix_ends);
	tcase_add_loop_test(tc, test_makes_room, 0, 3);
	tcase_add_loop_test(tc, test_keeps_no_space, 0, 3);
	tcase_add_loop_test(tc, test_expires, 0, 3);
	tcase_add_test(tc, test_sweep_keeps);
}
