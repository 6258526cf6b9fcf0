/*
 * store: put, over a real worker and pool. Letting go is in test_store_close.c, get in
 * test_store_get.c, what is known of the files in test_store_meta.c: one program.
 */
#include "unit/test_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stored_digest.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

static char *
random_bytes(size_t len)
{
	char *p = malloc(len + 1);
	uint64_t seed = len + 1;

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (char)unit_random(&seed);
	return p;
}

static const size_t sizes[] = { 0, 1, 255, 4096, 65537, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1,
	3 * CHUNK_SIZE + 17 };

START_TEST(test_put)
{
	size_t len = sizes[_i];
	char *content = random_bytes(len);
	struct owner o = { 0 };

	store_start(0);
	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert(!o.t->replaces);
	ck_assert_int_eq(owner_reserve(&o, len), FTX_OK);
	ck_assert_int_eq(owner_write(&o, content, len), FTX_OK);
	ck_assert_int_eq(unit_names_in("root"), 0);
	ck_assert_int_eq(o.claim_returns, 0);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	/* The name is the owner's until it lets go. */
	ck_assert_int_eq(o.claim_returns, 0);
	owner_close(&o);
	unit_holds("root/new", content, len);
	ck_assert_int_eq(unit_names_in("root"), 1);
	free(content);
	store_teardown();
}
END_TEST

/* Where the kernel takes only some of the bytes at a time. */
START_TEST(test_put_in_pieces)
{
	size_t len = 5000, total = 3 * len;
	char *content = random_bytes(total);
	struct owner o = { 0 };

	fake_orders.io_max = 777;
	fake_orders.io_interrupted = true;
	store_start(0);
	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, total), FTX_OK);
	for (size_t at = 0; at < total; at += len)
		ck_assert_int_eq(owner_write(&o, content + at, len), FTX_OK);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", content, total);
	free(content);
	store_teardown();
}
END_TEST

START_TEST(test_put_refused)
{
	struct owner o = { 0 };

	unit_write("root/there", "theirs", 6);
	ck_assert_int_eq(mkdir("root/dir", 0755), 0);
	store_start(0);
	owner_put(&o, "there");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_EXISTS);
	owner_close(&o);
	owner_put(&o, "dir");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_NOT_REGULAR);
	owner_close(&o);
	owner_put(&o, "missing/new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_NO_PARENT);
	owner_close(&o);
	/* Some owners let go as soon as they hear of it. */
	o.closes = true;
	owner_put(&o, "there");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_EXISTS);
	ck_assert_int_eq(o.claim_returns, 1);
	unit_holds("root/there", "theirs", 6);
	ck_assert_int_eq(unit_names_in("root"), 2);
	store_teardown();
}
END_TEST

START_TEST(test_put_sizes_refused)
{
	struct owner o = { 0 };

	store_start(ROOT_NAMED_STAGE);
	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, _i == 0 ? (uint64_t)1 << 63 : (uint64_t)1 << 62),
	    _i == 0 ? FTX_TOO_LARGE : FTX_NO_SPACE);
	owner_close(&o);
	ck_assert_int_eq(unit_names_in("root"), 0);
	store_teardown();
}
END_TEST

/* An owner with a stage of 1,000 bytes of which all are written. */
static void
filled(struct owner *o, const char *name)
{
	char *content = random_bytes(1000);

	owner_put(o, name);
	ck_assert_int_eq(owner_wait(o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(o, 1000), FTX_OK);
	ck_assert_int_eq(owner_write(o, content, 1000), FTX_OK);
	free(content);
}

const unsigned root_kinds[ROOT_KINDS] = { 0, ROOT_NAMED_STAGE, ROOT_NAMED_STAGE | ROOT_EXCLUSIVE };

START_TEST(test_put_fails_late)
{
	struct owner o = { 0 };

	store_start(root_kinds[_i]);
	filled(&o, "new");
	unit_write("root/new", "theirs", 6);
	ck_assert_int_eq(owner_commit(&o), FTX_EXISTS);
	owner_close(&o);
	unit_holds("root/new", "theirs", 6);
	ck_assert_int_eq(unlink("root/new"), 0);

	filled(&o, "new");
	fake_orders.fsync_file = EIO;
	ck_assert_int_eq(owner_commit(&o), FTX_IO);
	fake_orders.fsync_file = 0;
	owner_close(&o);

	filled(&o, "new");
	store_cancel(o.t);
	ck_assert_int_eq(owner_commit(&o), FTX_CANCELLED);
	owner_close(&o);

	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 10), FTX_OK);
	fake_orders.write = ENOSPC;
	ck_assert_int_eq(owner_write(&o, "0123456789", 10), FTX_NO_SPACE);
	fake_orders.write = 0;
	owner_close(&o);
	ck_assert_int_eq(unit_names_in("root") - (_i == 2), 0); /* the mark's directory */
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

START_TEST(test_many_at_once)
{
	enum { MANY = 60 };
	static struct owner o[MANY];
	int winners = 0, others = 0;
	char name[16];

	store_start(root_kinds[_i]);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "new%d", i / 3); /* three for each name */
		filled(&o[i], name);
	}
	for (int i = 0; i < MANY; i++)
		store_commit(o[i].t);
	for (int i = 0; i < MANY; i++) {
		enum ftx_rc rc = owner_wait(&o[i], TRANSFER_COMMIT);

		winners += rc == FTX_OK;
		others += rc == FTX_EXISTS;
	}
	for (int i = 0; i < MANY; i++)
		owner_close(&o[i]);
	ck_assert_int_eq(winners, MANY / 3);
	ck_assert_int_eq(others, MANY - MANY / 3);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), MANY / 3);
}
END_TEST

START_TEST(test_replace)
{
	struct owner o = { 0 };

	unit_write("root/old", "theirs", 6);
	store_start(TEST_REPLACE);
	owner_put(&o, "old");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert(o.t->replaces);
	ck_assert_int_eq(owner_reserve(&o, 4), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "mine", 4), FTX_OK);
	unit_holds("root/old", "theirs", 6);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/old", "mine", 4);
	store_teardown();
	ck_assert_int_eq(unit_names_in("root"), 1);
}
END_TEST

/* What the file has besides its content; the spec need not stay. */
START_TEST(test_put_attributes)
{
	char name[8] = "new";
	struct put_spec spec = { .name = name,
		.has_mode = true,
		.mode = 0604,
		.has_mtime = true,
		.mtime = { .tv_sec = 1000000000, .tv_nsec = 3 } };
	struct digest_value v, stored;
	struct owner o = { 0 };
	struct stat st;
	int fd;

	store_start(root_kinds[_i]);
	pool_block();
	owner_put_spec(&o, &spec);
	memset(name, 'x', sizeof(name) - 1);
	spec.mode = 0;
	pool_unblock();
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 4), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "mine", 4), FTX_OK);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, "mine", 4, &v), FTX_OK);
	store_set_digest(o.t, &v);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", "mine", 4);
	fd = open("root/new", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0604);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 3);
	if (stored_digest_read(fd, &st, &stored))
		ck_assert(digest_equal(&stored, &v));
	else /* this file system keeps none */
		ck_assert(!stored_digest_write(fd, &v));
	close(fd);
	store_teardown();
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "put");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_loop_test(tc, test_put, 0, COUNT(sizes));
	tcase_add_test(tc, test_put_in_pieces);
	tcase_add_test(tc, test_put_refused);
	tcase_add_loop_test(tc, test_put_sizes_refused, 0, 2);
	tcase_add_loop_test(tc, test_put_fails_late, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_many_at_once, 0, ROOT_KINDS);
	tcase_add_test(tc, test_replace);
	tcase_add_loop_test(tc, test_put_attributes, 0, ROOT_KINDS);
	add_at_once_cases(s);
	add_close_cases(s);
	add_get_cases(s);
	add_meta_cases(s);
	add_now_cases(s);
	add_resume_cases(s);
	add_takeover_cases(s);
	add_reader_cases(s);
	add_request_cases(s);
	add_unsynced_cases(s);
	add_whole_cases(s);
}

int
main(void)
{
	return unit_run("store", add_cases);
}
