/* store/space: the most that all unfinished uploads may have together. */
#include "unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/space.h"
#include "unit/fake_sys.h"

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

static enum ftx_rc
reserve(uint64_t size, struct space_hold *hold)
{
	return space_reserve(space, fd, size, hold);
}

/* Both ways to keep a promise: allocated, and only remembered. */
static void
both_ways(int i)
{
	fake_orders.no_fallocate = i == 1;
}

START_TEST(test_edge)
{
	struct space_hold a = { 0 }, b = { 0 }, c = { 0 };

	both_ways(_i);
	space_set_max(space, 100);
	ck_assert_int_eq(reserve(101, &a), FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(100, &a), FTX_OK);
	space_release(&a);
	ck_assert_int_eq(reserve(60, &a), FTX_OK);
	ck_assert_int_eq(reserve(41, &b), FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(40, &b), FTX_OK);
	ck_assert_int_eq(reserve(1, &c), FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(0, &c), FTX_OK); /* an empty file takes nothing */
	space_release(&a);
	space_release(&a);
	space_release(&c);
	ck_assert_int_eq(reserve(61, &c), FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(60, &c), FTX_OK);
}
END_TEST

START_TEST(test_written_is_not_returned)
{
	struct space_hold a = { 0 }, b = { 0 };

	both_ways(_i);
	space_set_max(space, 100);
	ck_assert_int_eq(reserve(100, &a), FTX_OK);
	space_written(&a, 100);
	ck_assert_int_eq(reserve(1, &b), FTX_STAGE_FULL);
	space_release(&a);
	ck_assert_int_eq(reserve(100, &b), FTX_OK);
}
END_TEST

START_TEST(test_refused_otherwise_takes_no_share)
{
	struct space_hold a = { 0 };

	fake_orders.no_fallocate = true;
	fake_orders.free_bytes = 50;
	space_set_max(space, 100);
	ck_assert_int_eq(reserve(60, &a), FTX_NO_SPACE);
	ck_assert_int_eq(reserve((uint64_t)1 << 63, &a), FTX_TOO_LARGE);
	ck_assert_int_eq(space_reserve(space, -1, 60, &a), FTX_IO);
	fake_orders.free_bytes = 1000;
	ck_assert_int_eq(reserve(100, &a), FTX_OK);
}
END_TEST

/* Sums near 2^63 and 2^64 do not wrap. */
START_TEST(test_large_sums)
{
	struct space_hold a = { 0 }, b = { 0 }, c = { 0 };

	fake_orders.no_fallocate = true;
	fake_orders.free_bytes = UINT64_MAX;
	space_set_max(space, _i == 0 ? 0 : INT64_MAX);
	ck_assert_int_eq(reserve(INT64_MAX, &a), FTX_OK);
	ck_assert_int_eq(reserve(INT64_MAX, &b), _i == 0 ? FTX_OK : FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(2, &c), _i == 0 ? FTX_NO_SPACE : FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(1, &c), _i == 0 ? FTX_OK : FTX_STAGE_FULL);
	ck_assert_int_eq(reserve(UINT64_MAX, &c), FTX_TOO_LARGE);
}
END_TEST

#define RACERS     32
#define RACE_MOST  10000
#define RACE_TURNS 300

static pthread_barrier_t start_line;
static atomic_uint_fast64_t granted;
static atomic_int refusals, overdrafts, others;

static void *
race(void *arg)
{
	uint64_t seed = 1 + (uint64_t)(uintptr_t)arg;

	pthread_barrier_wait(&start_line);
	for (int i = 0; i < RACE_TURNS; i++) {
		struct space_hold hold = { 0 };
		uint64_t size = 1 + unit_random(&seed) % 1000;
		enum ftx_rc rc = reserve(size, &hold);

		if (rc != FTX_OK) {
			atomic_fetch_add(rc == FTX_STAGE_FULL ? &refusals : &others, 1);
			continue;
		}
		if (atomic_fetch_add(&granted, size) + size > RACE_MOST)
			atomic_fetch_add(&overdrafts, 1);
		if (unit_random(&seed) % 4 == 0)
			unit_sleep_ms(1);
		space_written(&hold, size / 2);
		atomic_fetch_sub(&granted, size);
		space_release(&hold);
	}
	return NULL;
}

START_TEST(test_race)
{
	struct space_hold hold = { 0 };
	pthread_t tids[RACERS];

	both_ways(_i);
	space_set_max(space, RACE_MOST);
	ck_assert_int_eq(pthread_barrier_init(&start_line, NULL, RACERS), 0);
	for (uintptr_t i = 0; i < RACERS; i++)
		ck_assert_int_eq(pthread_create(&tids[i], NULL, race, (void *)i), 0);
	for (int i = 0; i < RACERS; i++)
		pthread_join(tids[i], NULL);
	pthread_barrier_destroy(&start_line);
	ck_assert_int_eq(atomic_load(&overdrafts), 0);
	ck_assert_int_eq(atomic_load(&others), 0);
	ck_assert_int_gt(atomic_load(&refusals), 0);
	/* All came back. */
	ck_assert_int_eq(reserve(RACE_MOST, &hold), FTX_OK);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "max");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_edge, 0, 2);
	tcase_add_loop_test(tc, test_written_is_not_returned, 0, 2);
	tcase_add_test(tc, test_refused_otherwise_takes_no_share);
	tcase_add_loop_test(tc, test_large_sums, 0, 2);
	tcase_add_loop_test(tc, test_race, 0, 2);
}

int
main(void)
{
	return unit_run("space_max", add_cases);
}
