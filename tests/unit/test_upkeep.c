/* daemon/upkeep: what expires is looked for while anything is known, and nobody is woken else. */
#include "daemon/upkeep.h"

#include <string.h>
#include <sys/stat.h>

#include "loop/worker.h"
#include "store/root.h"
#include "store/uploads.h"
#include "unit/unit.h"

static struct root *root;
static struct worker *worker;
static struct pool *pool;
static struct upkeep upkeep;
static uint64_t keep_bytes = UINT64_MAX;

static void
start(void)
{
	ck_assert_int_eq(root_open(&root, "root", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(root_keep_uploads(root), FTX_OK);
	uploads_set_limits(root->uploads, UINT64_MAX, keep_bytes);
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
	ck_assert_int_eq(pool_new(&pool, 2), FTX_OK);
	memset(&upkeep, 0, sizeof(upkeep));
	ck_assert_int_eq(upkeep_start(&upkeep, root, worker, pool), FTX_OK);
}

static void
stop(void)
{
	upkeep_stop(&upkeep);
	upkeep_clear(&upkeep);
	upkeep_clear(&upkeep);
	pool_free(pool);
	worker_free(worker);
	root_close(root);
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_clock_stop();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	start();
}

/* Until nothing happens any more. */
static void
settle(void)
{
	for (int i = 0; i < 5; i++)
		worker_turn(worker, false);
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	for (int i = 0; i < 5; i++)
		worker_turn(worker, false);
}

static void
elapse(uint64_t ms)
{
	unit_clock_add(ms);
	worker_run_timers(worker);
	settle();
}

static bool
is_awake(void)
{
	settle();
	return timer_running(&upkeep.timer);
}

/* An upload that is known by its key begins, and leaves something behind or not. */
static void
upload(uint8_t number, bool leaves)
{
	const uint8_t id[UPLOAD_ID_SIZE] = { number };
	struct upload_terms terms = { .size = 5 };
	struct uploads_patience patience = { 0 };
	struct upload_claim *claim;

	ck_assert(upload_key_set(&terms.key, UPLOAD_ANONYMOUS, id));
	ck_assert_int_eq(uploads_claim(root->uploads, &terms, "file", &patience, &claim), FTX_OK);
	if (leaves) {
		unit_write("root/.ftxferd-1-1", "part", 4);
		ck_assert_int_eq(uploads_staged(claim, ".ftxferd-1-1"), FTX_OK);
	}
	uploads_release(claim);
}

START_TEST(test_awake)
{
	ck_assert(!is_awake());
	elapse(100 * UPKEEP_MS);
	ck_assert(!is_awake());
	upload(1, false); /* by the time that it is looked at there is nothing any more */
	ck_assert(is_awake());
	elapse(UPKEEP_MS);
	ck_assert(!is_awake());
	upload(1, true);
	ck_assert(is_awake());
	elapse(UPKEEP_MS);
	ck_assert(is_awake());
	ck_assert_uint_eq(uploads_count(root->uploads), 1);
	uploads_set_limits(root->uploads, UINT64_MAX, 0);
	elapse(UPKEEP_MS - 1);
	ck_assert_uint_eq(uploads_count(root->uploads), 1);
	elapse(1);
	ck_assert_uint_eq(uploads_count(root->uploads), 0);
	ck_assert(!is_awake());
	stop();
}
END_TEST

/* What an earlier run left is looked at at once. _i: whether it may stay. */
START_TEST(test_start)
{
	upload(1, true);
	settle();
	stop();
	keep_bytes = _i == 0 ? UINT64_MAX : 0;
	start();
	ck_assert_int_eq(is_awake(), _i == 0);
	ck_assert_uint_eq(uploads_count(root->uploads), _i == 0 ? 1 : 0);
	stop();
}
END_TEST

/* _i: whether something happens before the order to stop. */
START_TEST(test_stop)
{
	if (_i == 1)
		upload(1, true);
	upkeep_stop(&upkeep);
	if (_i == 0)
		upload(1, true);
	ck_assert(!is_awake());
	stop();
}
END_TEST

/* It ends while a look is under way. */
START_TEST(test_stop_while_looking)
{
	upload(1, true);
	ck_assert(is_awake());
	unit_clock_add(UPKEEP_MS);
	worker_run_timers(worker);
	upkeep_stop(&upkeep);
	ck_assert(!is_awake());
	stop();
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "upkeep");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_awake);
	tcase_add_loop_test(tc, test_start, 0, 2);
	tcase_add_loop_test(tc, test_stop, 0, 2);
	tcase_add_test(tc, test_stop_while_looking);
}

int
main(void)
{
	return unit_run("upkeep", add_cases);
}
