/* store: puts whose content is at hand, puts of unknown size, and gets of a part. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/names.h"
#include "unit/fake_sys.h"
#include "unit/test_store.h"

/* All of it in one operation, on a disk and as if in memory. */
START_TEST(test_whole)
{
	const struct put_spec spec = { .name = "new", .has_mode = true, .mode = 0604 };
	struct owner o = { 0 };
	struct meta m;

	store_start(root_kinds[_i % ROOT_KINDS]);
	root->in_memory = _i < ROOT_KINDS;
	owner_put_whole(&o, &spec, "content");
	UNIT_CHECK(!o.told);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	ck_assert_int_eq(names_stat(root, "new", false, &m), FTX_OK);
	ck_assert(meta_same_version(&m.version, &o.t->meta.version));
	ck_assert_uint_eq(m.mode, 0604);
	ck_assert_uint_eq(o.t->size, 7);
	owner_close(&o);
	unit_holds("root/new", "content", 7);
	owner_put_whole(&o, &spec, "another");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_EXISTS);
	owner_close(&o);
	unit_holds("root/new", "content", 7);
	store_teardown();
}
END_TEST

/*
 * More than one batch of them, each in its own fate; by jobs, and as if in memory, where they go
 * together for sure.
 */
START_TEST(test_many_wholes)
{
	static struct owner owners[100];
	char names[100][16];

	store_start(ROOT_EXCLUSIVE);
	root->in_memory = _i != 0;
	unit_write("root/n50", "there", 5);
	fake_watch("n50");
	for (int i = 0; i < COUNT(owners); i++) {
		struct put_spec spec = { .name = names[i] };

		snprintf(names[i], sizeof(names[i]), "n%d", i);
		owner_put_whole(&owners[i], &spec, names[i]);
	}
	for (int i = 0; i < COUNT(owners); i++) {
		ck_assert_int_eq(
		    owner_wait(&owners[i], TRANSFER_COMMIT), i == 50 ? FTX_EXISTS : FTX_OK);
		owner_close(&owners[i]);
	}
	unit_holds("root/n99", "n99", 3);
	unit_holds("root/n50", "there", 5);
	if (root->in_memory)
		ck_assert_uint_eq(fake_count().fsync_dir, 2);
	store_teardown();
}
END_TEST

static struct {
	int times, after_end;
	bool empty;
} written;

static void
on_written(void *arg, struct transfer *t)
{
	const struct owner *o = arg;

	(void)t;
	written.times++;
	written.after_end += o->told ? 1 : 0;
	written.empty = worker_small_chunks(worker)->given == 0;
}

/*
 * A file of some size gives its memory back before it is published. For a tiny one that is not
 * worth a word, and where nothing waits there is nothing to tell.
 */
START_TEST(test_written)
{
	static const size_t sizes[] = { 100, 10 * 1000, 100 * 1000, CHUNK_SMALL_SIZE };
	const struct put_spec spec = { .name = "n" };
	size_t size = sizes[_i % COUNT(sizes)];
	struct put_content c = { 0 };
	struct owner o = { 0 };
	uint8_t *same = malloc(size);

	ck_assert_ptr_nonnull(same);
	store_start(ROOT_EXCLUSIVE);
	root->in_memory = _i >= COUNT(sizes);
	ck_assert(put_content_alloc(&c, worker, size));
	for (c.len = 0; c.len < size; c.len++)
		c.p[c.len] = same[c.len] = (uint8_t)(c.len * 7 + c.len / 251);
	ck_assert_int_eq(digest_of(DIGEST_XXH128, c.p, c.len, &c.digest), FTX_OK);
	written.times = written.after_end = 0;
	ck_assert_int_eq(store_put_whole(store, &spec, &c, owner_hears, &o, &o.t), FTX_OK);
	o.t->on_written = on_written;
	owner_began(&o);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	ck_assert_int_eq(written.times, size > 8192 && !root->in_memory);
	ck_assert_int_eq(written.after_end, 0);
	ck_assert(written.times == 0 || written.empty);
	owner_close(&o);
	ck_assert_uint_eq(worker_small_chunks(worker)->given, 0);
	unit_holds("root/n", (const char *)same, size);
	free(same);
	store_teardown();
}
END_TEST

#define EACH 10000 /* bytes: too many for one job */

/*
 * Of such, too, many go together, whatever the file system is: each is whole, and directories are
 * synced a few times only.
 */
START_TEST(test_many_larger_wholes)
{
	static struct owner owners[40];
	static char large[EACH + 1];
	char names[COUNT(owners)][16];

	store_start(ROOT_EXCLUSIVE);
	fake_orders.fs_type = _i == 0 ? 0xef53 : 1;
	memset(large, 'x', EACH);
	fake_watch("nowhere");
	pool_block();
	for (int i = 0; i < COUNT(owners); i++) {
		struct put_spec spec = { .name = names[i] };

		snprintf(names[i], sizeof(names[i]), "n%d", i);
		large[0] = (char)('A' + i);
		owner_put_whole(&owners[i], &spec, large);
	}
	pool_unblock();
	for (int i = 0; i < COUNT(owners); i++) {
		char path[32];

		ck_assert_int_eq(owner_wait(&owners[i], TRANSFER_COMMIT), FTX_OK);
		owner_close(&owners[i]);
		snprintf(path, sizeof(path), "root/n%d", i);
		large[0] = (char)('A' + i);
		unit_holds(path, large, EACH);
	}
	ck_assert_uint_le(fake_count().fsync_dir, COUNT(owners) / 2);
	ck_assert_uint_eq(atomic_load(&root->unsynced), 0);
	store_teardown();
}
END_TEST

/* A disk that is full says so once, and nothing is left. */
START_TEST(test_no_room)
{
	static char large[EACH + 1];
	const struct put_spec spec = { .name = "n" };
	struct owner o;

	store_start(ROOT_EXCLUSIVE);
	fake_orders.free_bytes = EACH - 1;
	memset(large, 'x', EACH);
	owner_put_whole(&o, &spec, large);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_NO_SPACE);
	owner_close(&o);
	fake_orders.free_bytes = EACH;
	owner_put_whole(&o, &spec, large);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	owner_close(&o);
	unit_holds("root/n", large, EACH);
	store_teardown();
}
END_TEST

/* A file system that has the room, as it says, but does not find it at once. */
START_TEST(test_room_not_found)
{
	static char large[EACH + 1];
	const struct put_spec spec = { .name = "n" };
	struct owner o = { 0 };

	store_start(ROOT_EXCLUSIVE);
	memset(large, 'x', EACH);
	fake_orders.write = ENOSPC;
	fake_orders.write_times = 3;
	if (_i == 0) {
		owner_put_whole(&o, &spec, large);
		ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	} else {
		owner_put(&o, "n");
		ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
		ck_assert_int_eq(owner_reserve(&o, EACH), FTX_OK);
		ck_assert_int_eq(owner_write(&o, large, EACH), FTX_OK);
		ck_assert_int_eq(owner_commit(&o), FTX_OK);
	}
	ck_assert_int_eq(fake_orders.write, 0);
	owner_close(&o);
	unit_holds("root/n", large, EACH);
	store_teardown();
}
END_TEST

/* What fails before that says so at its end, once. */
START_TEST(test_not_written)
{
	const struct put_spec spec = { .name = "n" };
	struct put_content c = { 0 };
	struct owner o = { 0 };

	unit_write("root/n", "there", 5);
	store_start(ROOT_EXCLUSIVE);
	ck_assert(put_content_alloc(&c, worker, CHUNK_SMALL_SIZE));
	memset(c.p, 'x', CHUNK_SMALL_SIZE);
	c.len = CHUNK_SMALL_SIZE;
	ck_assert_int_eq(digest_of(DIGEST_XXH128, c.p, c.len, &c.digest), FTX_OK);
	written.times = 0;
	ck_assert_int_eq(store_put_whole(store, &spec, &c, owner_hears, &o, &o.t), FTX_OK);
	o.t->on_written = on_written;
	owner_began(&o);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_EXISTS);
	ck_assert_int_eq(written.times, 0);
	owner_close(&o);
	ck_assert_uint_eq(worker_small_chunks(worker)->given, 0);
	unit_holds("root/n", "there", 5);
	store_teardown();
}
END_TEST

/* On each file system, whether it can allocate or not, what is promised to one is not another's. */
START_TEST(test_promised_to_another)
{
	const struct put_spec spec = { .name = "small" };
	struct owner large = { 0 }, small;
	struct stat st;

	store_start(ROOT_EXCLUSIVE);
	fake_orders.fs_type = _i < 2 ? 0xef53 : 1; /* ext4, and one that we do not know */
	fake_orders.no_fallocate = _i % 2 != 0;
	fake_orders.free_bytes = 1000;
	owner_put(&large, "large");
	ck_assert_int_eq(owner_wait(&large, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&large, 990), FTX_OK);
	if (!fake_orders.no_fallocate)
		fake_orders.free_bytes = 10;
	owner_put_whole(&small, &spec, "eleven byte");
	ck_assert_int_eq(owner_wait(&small, TRANSFER_COMMIT), FTX_NO_SPACE);
	owner_close(&small);
	ck_assert_int_eq(stat("root/small", &st), -1);
	owner_put_whole(&small, &spec, "ten bytes.");
	ck_assert_int_eq(owner_wait(&small, TRANSFER_COMMIT), FTX_OK);
	owner_close(&small);
	/* Written it is no promise any more: then there is room for one more of that size. */
	fake_orders.free_bytes = fake_orders.no_fallocate ? 1000 : 10;
	owner_put_whole(&small, &(const struct put_spec){ .name = "next" }, "ten bytes.");
	ck_assert_int_eq(owner_wait(&small, TRANSFER_COMMIT), FTX_OK);
	owner_close(&small);
	owner_close(&large);
	store_teardown();
}
END_TEST

/* Whatever has the name keeps it, also where nobody looks before the content is written. */
START_TEST(test_taken)
{
	static const char *const taken[] = { "file", "dir", "link" };
	struct put_spec spec = { .has_mtime = true };
	int before;

	unit_write("root/file", "theirs", 6);
	ck_assert_int_eq(mkdir("root/dir", 0755), 0);
	ck_assert_int_eq(symlink("none", "root/link"), 0);
	store_start(root_kinds[_i % ROOT_KINDS]);
	root->in_memory = _i < ROOT_KINDS;
	before = unit_names_in("root");
	for (int i = 0; i < COUNT(taken); i++) {
		struct owner o;
		enum ftx_rc rc;

		spec.name = taken[i];
		owner_put_whole(&o, &spec, "content");
		rc = owner_wait(&o, TRANSFER_COMMIT);
		ck_assert(rc == FTX_EXISTS || (rc == FTX_NOT_REGULAR && i > 0));
		owner_close(&o);
	}
	unit_holds("root/file", "theirs", 6);
	ck_assert_int_eq(access("root/none", F_OK), -1);
	ck_assert_int_le(unit_names_in("root"), before + 1); /* the mark */
	store_teardown();
}
END_TEST

/* A client's small file in memory has no stored digest, and nobody asks what it is like. */
START_TEST(test_clients_own)
{
	static char large[64 * 1024 + 2];
	static const struct {
		unsigned flags;
		bool in_memory, large, stored;
	} cases[] = { { ROOT_MAY_WAIT, true, false, false }, { ROOT_MAY_WAIT, true, true, true },
		{ ROOT_MAY_WAIT, false, false, true }, { 0, true, false, true } };
	const struct put_spec spec = { .name = "new" };
	struct owner o = { 0 };
	struct meta m;

	if (setxattr("root", "user.test", "x", 1, 0) != 0)
		return;
	memset(large, 'x', sizeof(large) - 1);
	store_start(cases[_i].flags);
	root->in_memory = cases[_i].in_memory;
	owner_put_whole(&o, &spec, cases[_i].large ? large : "content");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	ck_assert_int_eq(o.t->meta.version.len > 0, cases[_i].flags == 0);
	owner_close(&o);
	ck_assert_int_eq(names_stat(root, "new", true, &m), FTX_OK);
	ck_assert_int_eq(m.digest.kind, cases[_i].stored ? DIGEST_XXH128 : DIGEST_NONE);
	store_teardown();
}
END_TEST

/* What is written to as it stands waits for its reader, alone, and the loop does not. */
START_TEST(test_through)
{
	static struct owner owners[8];
	static const char *const paths[COUNT(owners)] = { "root/0", "root/1", "root/2", "root/3",
		"root/4", "root/5", "root/6", "root/7" };
	int fds[COUNT(owners)];

	for (int i = 0; i < COUNT(owners); i++)
		ck_assert_int_eq(mkfifo(paths[i], 0600), 0);
	store_start(ROOT_MAY_WAIT);
	root->in_memory = _i == 0;
	for (int i = 0; i < COUNT(owners); i++) {
		const struct put_spec spec = {
			.name = paths[i] + strlen("root/"), .policy = PUT_REPLACE, .through = true
		};

		owner_put_whole(&owners[i], &spec, "content");
	}
	for (int i = 0; i < COUNT(owners); i++) {
		fds[i] = open(paths[i], O_RDONLY | O_NONBLOCK);
		ck_assert_int_ge(fds[i], 0);
	}
	for (int i = 0; i < COUNT(owners); i++) {
		char got[16];

		ck_assert_int_eq(owner_wait(&owners[i], TRANSFER_COMMIT), FTX_OK);
		ck_assert_int_eq(read(fds[i], got, sizeof(got)), 7);
		owner_close(&owners[i]);
		close(fds[i]);
	}
	store_teardown();
}
END_TEST

/* Its size is said at the end; what was promised beyond it is given back. */
START_TEST(test_grows)
{
	struct owner o = { 0 };
	struct stat st;

	store_start(root_kinds[_i]);
	owner_put(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 100000), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "one", 3), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 1000000), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "two", 3), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, INT64_MAX), FTX_NO_SPACE);
	store_end_here(o.t);
	ck_assert_int_eq(owner_commit(&o), FTX_OK);
	owner_close(&o);
	unit_holds("root/new", "onetwo", 6);
	ck_assert_int_eq(stat("root/new", &st), 0);
	ck_assert_int_le(st.st_blocks, 32);
	store_teardown();
}
END_TEST

/* There and then, or not at all. */
START_TEST(test_get_whole)
{
	static const char *const others[] = { "large", "missing", "dir", "link", "dir/link" };
	uint8_t *content;
	size_t len;

	unit_write("root/file", "0123456789", 10);
	unit_write("root/large", "0123456789a", 11);
	unit_write("root/empty", "", 0);
	ck_assert_int_eq(mkdir("root/dir", 0700), 0);
	ck_assert_int_eq(symlink("file", "root/link"), 0);
	ck_assert_int_eq(symlink("../file", "root/dir/link"), 0);
	unit_write("root/dir/file", "abc", 3);
	unit_sleep_ms(20);
	store_start(ROOT_MAY_WAIT);
	root->in_memory = _i == 0;
	ck_assert(store_get_whole(store, "file", 10, &content, &len));
	ck_assert_uint_eq(len, 10);
	ck_assert_mem_eq(content, "0123456789", 10);
	free(content);
	ck_assert(store_get_whole(store, "dir/file", 10, &content, &len));
	ck_assert_uint_eq(len, 3);
	free(content);
	ck_assert(store_get_whole(store, "empty", 10, &content, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(content);
	for (int i = 0; i < COUNT(others); i++) {
		ck_assert(!store_get_whole(store, others[i], 10, &content, &len));
		ck_assert_ptr_null(content);
	}
	/* Just written: what comes next might have the same time. */
	unit_write("root/file", "abcdefghij", 10);
	ck_assert(!store_get_whole(store, "file", 10, &content, &len));
	store_teardown();
}
END_TEST

/* A part is checked at its own end. */
START_TEST(test_range)
{
	struct owner o = { 0 };
	char got[8] = "";

	unit_write("root/file", "0123456789", 10);
	unit_sleep_ms(20);
	store_start(ROOT_EXCLUSIVE);
	owner_get(&o, "file");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	store_set_range(o.t, 3, 7);
	ck_assert_uint_eq(o.t->offset, 3);
	ck_assert_uint_eq(store_read_now(o.t, got, 4), 4);
	ck_assert_str_eq(got, "3456");
	unit_write("root/file", "abcdefghij", 10);
	ck_assert_uint_eq(store_read_now(o.t, got, 4), 0);
	store_read(o.t, owner_chunk(), 4);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_READ), FTX_CHANGED);
	chunk_put(worker_chunks(worker), transfer_take_chunk(o.t));
	owner_close(&o);
	store_teardown();
}
END_TEST

void
add_whole_cases(Suite *s)
{
	TCase *tc = unit_case(s, "whole");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_loop_test(tc, test_whole, 0, 2 * ROOT_KINDS);
	tcase_add_loop_test(tc, test_written, 0, 8);
	tcase_add_loop_test(tc, test_many_larger_wholes, 0, 2);
	tcase_add_test(tc, test_no_room);
	tcase_add_loop_test(tc, test_room_not_found, 0, 2);
	tcase_add_test(tc, test_not_written);
	tcase_add_loop_test(tc, test_promised_to_another, 0, 4);
	tcase_add_loop_test(tc, test_many_wholes, 0, 2);
	tcase_add_loop_test(tc, test_taken, 0, 2 * ROOT_KINDS);
	tcase_add_loop_test(tc, test_clients_own, 0, 4);
	tcase_add_loop_test(tc, test_through, 0, 2);
	tcase_add_loop_test(tc, test_get_whole, 0, 2);
	tcase_add_loop_test(tc, test_grows, 0, ROOT_KINDS);
	tcase_add_test(tc, test_range);
}
