/* store: puts whose content is at hand, on the loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit/fake_sys.h"
#include "unit/test_store.h"

#define EACH 10000 /* bytes: written by a job of its own on a disk */

/* A disk is mounted below a root in memory: a job waits for it. */
START_TEST(test_disk_in_memory)
{
	static char large[EACH + 1];
	const struct put_spec spec = { .name = "new" };
	struct owner o = { 0 };

	memset(large, 'x', EACH);
	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	root->dev++;
	fake_orders.fs_type = 0xef53; /* ext4 */
	fake_orders.write = EIO;      /* on the loop nothing is to be written */
	owner_put_whole(&o, &spec, _i == 0 ? "content" : large);
	pool_block();
	for (int i = 0; i < 10; i++)
		worker_turn(worker, false);
	UNIT_CHECK(!o.told);
	fake_orders.write = 0;
	pool_unblock();
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), FTX_OK);
	ck_assert(!o.t->unsynced);
	owner_close(&o);
	unit_holds("root/new", _i == 0 ? "content" : large, _i == 0 ? 7 : EACH);
	store_teardown();
}
END_TEST

/* There is no room: a job may make some, of what is only kept. */
START_TEST(test_full_memory)
{
	const struct put_spec spec = { .name = "new" };
	struct owner o;

	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	fake_orders.write = ENOSPC;
	pool_block();
	owner_put_whole(&o, &spec, "content");
	worker_turn(worker, false);
	UNIT_CHECK(!o.told);
	fake_orders.write = _i == 0 ? ENOSPC : 0;
	pool_unblock();
	ck_assert_int_eq(owner_wait(&o, TRANSFER_COMMIT), _i == 0 ? FTX_NO_SPACE : FTX_OK);
	owner_close(&o);
	store_teardown();
}
END_TEST

static struct owner crowd[70];
static int told_before;

static void
count_told(struct mail *m)
{
	(void)m;
	told_before = 0;
	for (int i = 0; i < COUNT(crowd); i++)
		told_before += crowd[i].told ? 1 : 0;
}

/* In memory: more of them than a turn of the loop is for do not keep all others waiting. */
START_TEST(test_in_turns)
{
	struct mail after = { .deliver = count_told };
	char name[16];

	store_start(ROOT_EXCLUSIVE);
	root->in_memory = true;
	for (int i = 0; i < COUNT(crowd); i++) {
		snprintf(name, sizeof(name), "n%d", i);
		owner_put_whole(&crowd[i], &(const struct put_spec){ .name = name }, "content");
	}
	worker_post(worker, &after);
	worker_turn(worker, false);
	ck_assert_int_gt(told_before, 0);
	ck_assert_int_lt(told_before, COUNT(crowd));
	for (int i = 0; i < COUNT(crowd); i++) {
		ck_assert_int_eq(owner_wait(&crowd[i], TRANSFER_COMMIT), FTX_OK);
		owner_close(&crowd[i]);
	}
	store_teardown();
}
END_TEST

void
add_at_once_cases(Suite *s)
{
	TCase *tc = unit_case(s, "at once");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_loop_test(tc, test_disk_in_memory, 0, 2);
	tcase_add_loop_test(tc, test_full_memory, 0, 2);
	tcase_add_test(tc, test_in_turns);
}
