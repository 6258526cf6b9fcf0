/*
 * store/space: what is promised. fstatvfs(3) and fallocate(2) are this file's where a test says so.
 */
#include "unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/space.h"

#define MIB ((uint64_t)1024 * 1024)

static bool fake_free;                  /* fstatvfs() says what follows */
static uint64_t free_blocks, free_size; /* how many, and bytes of each */
static int allocate_errors[3];          /* of the next calls of fallocate(); 0: the real one */
static bool no_allocate;                /* there is no fallocate() */
static atomic_int allocate_calls;
static struct space_hold *written_meanwhile; /* a write of it ends while fstatvfs() looks */

int
fstatvfs(int fd, struct statvfs *v)
{
	int (*real)(int, struct statvfs *);

	if (!fake_free) {
		*(void **)&real = dlsym(RTLD_NEXT, "fstatvfs");
		return real(fd, v);
	}
	memset(v, 0, sizeof(*v));
	v->f_bsize = 1; /* not the unit of f_bavail */
	v->f_frsize = free_size;
	v->f_bavail = free_blocks;
	v->f_bfree = free_blocks * 2 + 100; /* what only root may have */
	v->f_blocks = free_blocks * 4 + 100;
	if (written_meanwhile != NULL) {
		free_blocks -= 25;
		space_written(written_meanwhile, 25);
	}
	return 0;
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	int (*real)(int, int, off_t, off_t);
	int call = atomic_fetch_add(&allocate_calls, 1);

	if (no_allocate || (call < COUNT(allocate_errors) && allocate_errors[call] != 0)) {
		errno = no_allocate ? EOPNOTSUPP : allocate_errors[call];
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "fallocate");
	return real(fd, mode, offset, len);
}

static struct space *space;
static int fd;

static void
set_up(void)
{
	unit_enter_dir();
	ck_assert_int_eq(space_new(&space), FTX_OK);
	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
}

static void
tear_down(void)
{
	close(fd);
	space_free(space);
}

/* So many bytes are free, and nothing can be allocated ahead: promises are all there is. */
static void
promises_only(uint64_t bytes)
{
	fake_free = true;
	free_blocks = bytes;
	free_size = 1;
	no_allocate = true;
}

static enum ftx_rc
reserve(uint64_t size, struct space_hold *hold)
{
	return space_reserve(space, fd, size, hold);
}

/* The file is as it was made: empty, and without a block. */
static void
file_is_empty(int file)
{
	struct stat st;

	ck_assert_int_eq(fstat(file, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_blocks, 0);
}

START_TEST(test_nothing_wants_nothing)
{
	struct space_hold hold = { 0 };

	promises_only(0);
	ck_assert_int_eq(reserve(0, &hold), FTX_OK);
	ck_assert_uint_eq(hold.bytes, 0);
	ck_assert_int_eq(reserve(1, &hold), FTX_NO_SPACE);
	/* A promise that never was can be given back. */
	space_written(&hold, 0);
	space_written(&hold, 1);
	space_release(&hold);
	space_free(NULL);
}
END_TEST

#define HALF_MAX ((uint64_t)1 << 63)

static const struct {
	uint64_t blocks, block_size, size, held;
	enum ftx_rc rc;
} sizes[] = {
	{ 1000, 1, 999, 999, FTX_OK },
	{ 1000, 1, 1000, 1000, FTX_OK },
	{ 1000, 1, 1001, 0, FTX_NO_SPACE },
	/* Whole blocks, four, and one for each 511 (they point to 512). */
	{ 1000, 4096, 1, 5 * 4096, FTX_OK },
	{ 1000, 4096, 4096, 5 * 4096, FTX_OK },
	{ 1000, 4096, 4097, 6 * 4096, FTX_OK },
	{ 1000, 4096, 511 * 4096, 516 * 4096, FTX_OK },
	{ 1000, 4096, 995 * 4096, 1000 * 4096, FTX_OK },
	{ 1000, 4096, 995 * 4096 + 1, 0, FTX_NO_SPACE },
	{ 1000, 4096, 4096001, 0, FTX_NO_SPACE },
	{ 1000, 4096, INT64_MAX, 0, FTX_NO_SPACE },
	{ 1000, 4096, HALF_MAX, 0, FTX_TOO_LARGE },
	{ 1000, 4096, HALF_MAX + 1, 0, FTX_TOO_LARGE },
	{ 1000, 4096, UINT64_MAX, 0, FTX_TOO_LARGE },
	/* More than 2^64 bytes are free: not a small number. */
	{ HALF_MAX, 2, INT64_MAX, INT64_MAX, FTX_OK },
	{ UINT64_MAX, UINT64_MAX, 1, UINT64_MAX, FTX_OK },
	{ UINT64_MAX, 4096, HALF_MAX, 0, FTX_TOO_LARGE },
};

START_TEST(test_sizes)
{
	struct space_hold hold = { 0 };

	promises_only(sizes[_i].blocks);
	free_size = sizes[_i].block_size;
	ck_assert_int_eq(reserve(sizes[_i].size, &hold), sizes[_i].rc);
	ck_assert_uint_eq(hold.bytes, sizes[_i].held);
	file_is_empty(fd);
	/* A refusal promised nothing, a release gives it all back: what was free is free. */
	space_release(&hold);
	ck_assert_uint_eq(hold.bytes, 0);
	free_blocks = 10;
	free_size = 1;
	hold = (struct space_hold){ 0 };
	ck_assert_int_eq(reserve(10, &hold), FTX_OK);
}
END_TEST

START_TEST(test_promises_add_up)
{
	struct space_hold a = { 0 }, b = { 0 }, c = { 0 };

	promises_only(100);
	ck_assert_int_eq(reserve(60, &a), FTX_OK);
	ck_assert_int_eq(reserve(41, &b), FTX_NO_SPACE);
	ck_assert_int_eq(reserve(40, &b), FTX_OK);
	ck_assert_int_eq(reserve(1, &c), FTX_NO_SPACE);
	/* 25 of a's are written: the promise is less, and so is what is free. */
	free_blocks -= 25;
	ck_assert_int_eq(reserve(1, &c), FTX_NO_SPACE);
	space_written(&a, 25);
	ck_assert_uint_eq(a.bytes, 35);
	ck_assert_int_eq(reserve(1, &c), FTX_NO_SPACE);
	/* b is given up. */
	space_release(&b);
	ck_assert_int_eq(reserve(41, &c), FTX_NO_SPACE);
	ck_assert_int_eq(reserve(40, &c), FTX_OK);
	/* More than is held gives back what is held, once. */
	space_written(&a, 36);
	space_written(&a, 36);
	space_written(&b, 40);
	ck_assert_int_eq(reserve(36, &b), FTX_NO_SPACE);
	ck_assert_int_eq(reserve(35, &b), FTX_OK);
}
END_TEST

/* The 25 are promised and free, or neither; they must not be taken for free and not promised. */
START_TEST(test_written_while_one_looks)
{
	struct space_hold a = { 0 }, b = { 0 };

	promises_only(100);
	ck_assert_int_eq(reserve(60, &a), FTX_OK);
	written_meanwhile = &a;
	ck_assert_int_eq(reserve(41, &b), FTX_NO_SPACE);
	written_meanwhile = NULL;
	ck_assert_int_eq(reserve(41, &b), FTX_NO_SPACE);
	ck_assert_int_eq(reserve(40, &b), FTX_OK);
}
END_TEST

START_TEST(test_space_that_others_took)
{
	struct space_hold a = { 0 }, b = { 0 };

	promises_only(100);
	ck_assert_int_eq(reserve(90, &a), FTX_OK);
	free_blocks = 50; /* less than is promised: the difference must not wrap */
	ck_assert_int_eq(reserve(1, &b), FTX_NO_SPACE);
	free_blocks = 0;
	ck_assert_int_eq(reserve(1, &b), FTX_NO_SPACE);
	free_blocks = 91;
	ck_assert_int_eq(reserve(1, &b), FTX_OK);
}
END_TEST

START_TEST(test_file_systems_are_apart)
{
	struct space_hold here = { 0 }, there = { 0 };
	struct stat a, b;
	int other = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (other < 0 || fstat(other, &a) != 0 || fstat(fd, &b) != 0 || a.st_dev == b.st_dev)
		return; /* no second file system to be had here */
	promises_only(100);
	ck_assert_int_eq(reserve(100, &here), FTX_OK);
	ck_assert_int_eq(space_reserve(space, other, 100, &there), FTX_OK);
	ck_assert_int_eq(space_reserve(space, other, 1, &there), FTX_NO_SPACE);
	close(other);
}
END_TEST

/* It allocates nothing, counts what is promised, and is counted until it is written. */
START_TEST(test_promised_only)
{
	struct space_hold a = { 0 }, b = { 0 };

	promises_only(100);
	no_allocate = false;
	ck_assert_int_eq(space_promise(space, fd, 101, &a), FTX_NO_SPACE);
	ck_assert_int_eq(space_promise(space, fd, 60, &a), FTX_OK);
	ck_assert_uint_eq(a.bytes, 60);
	ck_assert_int_eq(space_promise(space, fd, 41, &b), FTX_NO_SPACE);
	ck_assert_int_eq(reserve(41, &b), FTX_NO_SPACE);
	free_blocks = 40;
	space_written(&a, UINT64_MAX);
	ck_assert_int_eq(space_promise(space, fd, 40, &b), FTX_OK);
	ck_assert_int_eq(atomic_load(&allocate_calls), 0);
	file_is_empty(fd);
	space_release(&a);
	space_release(&b);
	/* And has its share of the most; a refusal gives that back. */
	space_set_max(space, 30);
	free_blocks = 20;
	ck_assert_int_eq(space_promise(space, fd, 31, &a), FTX_STAGE_FULL);
	ck_assert_int_eq(space_promise(space, fd, 21, &a), FTX_NO_SPACE);
	ck_assert_int_eq(space_promise(space, fd, 20, &a), FTX_OK);
	space_written(&a, UINT64_MAX);
	ck_assert_int_eq(space_promise(space, fd, 11, &b), FTX_STAGE_FULL);
	space_release(&a);
	ck_assert_int_eq(space_promise(space, fd, 11, &b), FTX_OK);
}
END_TEST

START_TEST(test_allocated_then_and_there)
{
	struct space_hold hold = { 0 };
	struct stat st;

	ck_assert_int_eq(reserve(MIB, &hold), FTX_OK);
	ck_assert_int_eq(atomic_load(&allocate_calls), 1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, (int64_t)MIB);
	/* The file system knows it: no promise of ours besides. */
	ck_assert_uint_eq(hold.bytes, 0);
}
END_TEST

static const struct {
	int err;
	enum ftx_rc rc;
} failures[] = {
	{ ENOSPC, FTX_NO_SPACE },
	{ EDQUOT, FTX_NO_SPACE },
	{ EFBIG, FTX_TOO_LARGE },
	{ EIO, FTX_IO },
	{ EINTR, FTX_OK },
	{ EOPNOTSUPP, FTX_OK },
	{ ENOSYS, FTX_OK },
};

START_TEST(test_allocation_fails)
{
	bool promised = failures[_i].err == EOPNOTSUPP || failures[_i].err == ENOSYS;
	struct space_hold hold = { 0 };
	struct stat st;

	allocate_errors[0] = failures[_i].err;
	/* As ext4 does: it keeps what it had got hold of. */
	ck_assert_int_eq(posix_fallocate(fd, 0, 8192), 0);
	ck_assert_int_eq(reserve(4 * MIB, &hold), failures[_i].rc);
	if (failures[_i].rc != FTX_OK || promised)
		file_is_empty(fd);
	else {
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_int_ge(st.st_blocks * 512, (int64_t)(4 * MIB));
	}
	UNIT_CHECK(promised ? hold.bytes > 4 * MIB : hold.bytes == 0);
}
END_TEST

START_TEST(test_no_file)
{
	struct space_hold hold = { 0 };

	ck_assert_int_eq(space_reserve(space, -1, 1, &hold), FTX_IO);
	ck_assert_uint_eq(hold.bytes, 0);
}
END_TEST

/* Threads that want more than there is. */
#define RACERS     32
#define RACE_FREE  10000
#define RACE_TURNS 300

static pthread_barrier_t start_line;
static atomic_uint_fast64_t granted;
static atomic_int refusals, overdrafts;

static void *
race_for_promises(void *arg)
{
	uint64_t seed = 1 + (uint64_t)(uintptr_t)arg;

	pthread_barrier_wait(&start_line);
	for (int i = 0; i < RACE_TURNS; i++) {
		struct space_hold hold = { 0 };
		uint64_t size = 1 + unit_random(&seed) % 1000;

		if (reserve(size, &hold) != FTX_OK) {
			atomic_fetch_add(&refusals, 1);
			continue;
		}
		if (atomic_fetch_add(&granted, size) + size > RACE_FREE)
			atomic_fetch_add(&overdrafts, 1);
		if (unit_random(&seed) % 4 == 0)
			unit_sleep_ms(1);
		atomic_fetch_sub(&granted, size);
		space_written(&hold, size / 2);
		space_release(&hold);
	}
	return NULL;
}

static void
race(void *(*racer)(void *))
{
	pthread_t tids[RACERS];

	ck_assert_int_eq(pthread_barrier_init(&start_line, NULL, RACERS), 0);
	for (uintptr_t i = 0; i < RACERS; i++)
		ck_assert_int_eq(pthread_create(&tids[i], NULL, racer, (void *)i), 0);
	for (int i = 0; i < RACERS; i++)
		pthread_join(tids[i], NULL);
	pthread_barrier_destroy(&start_line);
}

START_TEST(test_race_for_promises)
{
	struct space_hold hold = { 0 };

	promises_only(RACE_FREE);
	race(race_for_promises);
	ck_assert_int_eq(atomic_load(&overdrafts), 0);
	ck_assert_int_gt(atomic_load(&refusals), 0);
	/* All came back. */
	ck_assert_int_eq(reserve(RACE_FREE, &hold), FTX_OK);
}
END_TEST

#define SHARE (64 * 1024)

static atomic_int winners, other_ends;
static int files[RACERS];
static bool won[RACERS];

static void *
race_for_space(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	struct space_hold hold = { 0 };
	enum ftx_rc rc;

	pthread_barrier_wait(&start_line);
	rc = space_reserve(space, files[me], SHARE, &hold);
	won[me] = rc == FTX_OK;
	atomic_fetch_add(rc == FTX_OK ? &winners : rc == FTX_NO_SPACE ? &refusals : &other_ends, 1);
	return NULL;
}

static bool
small_file_system(void)
{
	char name[32];

	ck_assert_int_eq(mkdir("small", 0755), 0);
	if (!unit_mount_tmpfs("small", (unsigned)MIB)) {
		fprintf(stderr, "no tmpfs can be mounted here: skipped\n");
		return false;
	}
	for (int i = 0; i < RACERS; i++) {
		snprintf(name, sizeof(name), "small/%d", i);
		files[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(files[i], 0);
	}
	return true;
}

START_TEST(test_race_for_space)
{
	char block[4096] = { 1 };

	if (!small_file_system())
		return;
	race(race_for_space);
	ck_assert_int_eq(atomic_load(&other_ends), 0);
	ck_assert_int_eq(atomic_load(&winners), (int)MIB / SHARE);
	ck_assert_int_eq(atomic_load(&refusals), RACERS - (int)MIB / SHARE);
	for (int i = 0; i < RACERS; i++) {
		if (!won[i])
			file_is_empty(files[i]);
		/* Who was promised it can write all of it. */
		for (int at = 0; won[i] && at < SHARE; at += COUNT(block))
			ck_assert_int_eq(pwrite(files[i], block, sizeof(block), at), COUNT(block));
	}
}
END_TEST

/* It looked as if there were enough, and there is not: nothing stays held. */
START_TEST(test_full_after_all)
{
	struct space_hold hold = { 0 };
	struct statvfs before, after;

	if (!small_file_system())
		return;
	ck_assert_int_eq(fstatvfs(files[0], &before), 0);
	fake_free = true;
	free_blocks = 1024 * MIB;
	free_size = 1;
	ck_assert_int_eq(space_reserve(space, files[0], 2 * MIB, &hold), FTX_NO_SPACE);
	ck_assert_uint_eq(hold.bytes, 0);
	file_is_empty(files[0]);
	fake_free = false;
	ck_assert_int_eq(fstatvfs(files[0], &after), 0);
	ck_assert_uint_eq(before.f_bavail, after.f_bavail);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "promises");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_nothing_wants_nothing);
	tcase_add_loop_test(tc, test_sizes, 0, COUNT(sizes));
	tcase_add_test(tc, test_promises_add_up);
	tcase_add_test(tc, test_written_while_one_looks);
	tcase_add_test(tc, test_space_that_others_took);
	tcase_add_test(tc, test_file_systems_are_apart);
	tcase_add_test(tc, test_no_file);
	tcase_add_test(tc, test_race_for_promises);
	tc = unit_case(s, "allocation");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_promised_only);
	tcase_add_test(tc, test_allocated_then_and_there);
	tcase_add_loop_test(tc, test_allocation_fails, 0, COUNT(failures));
	tcase_add_test(tc, test_race_for_space);
	tcase_add_test(tc, test_full_after_all);
}

int
main(void)
{
	return unit_run("space", add_cases);
}
