/* store: see test_resume.h. */
#include "unit/test_resume.h"

#include <sys/stat.h>

uint8_t content[LEN];
struct upload_terms terms;
struct put_spec spec;

void
resume_set_up(void)
{
	const uint8_t id[UPLOAD_ID_SIZE] = "0123456789abcdef";
	uint64_t seed = 7;

	store_setup();
	for (size_t i = 0; i < LEN; i++)
		content[i] = (uint8_t)unit_random(&seed);
	ck_assert(upload_key_set(&terms.key, UPLOAD_ANONYMOUS, id));
	terms.size = LEN;
	terms.keep = true;
	spec = (struct put_spec){ .name = "new", .upload = &terms };
}

void
start(void)
{
	store_start(ROOT_EXCLUSIVE);
	ck_assert_int_eq(root_keep_uploads(root), FTX_OK);
}

void
restart(void)
{
	store_teardown();
	start();
}

enum ftx_rc
begin(struct owner *o)
{
	owner_put_spec(o, &spec);
	return owner_wait(o, TRANSFER_OPEN);
}

enum ftx_rc
put_rest(struct owner *o, uint64_t from)
{
	enum ftx_rc rc;

	store_reserve_at(o->t, terms.size, from);
	rc = owner_wait(o, TRANSFER_RESERVE);
	if (rc == FTX_OK)
		rc = owner_write(o, content + from, terms.size - from);
	return rc == FTX_OK ? owner_commit(o) : rc;
}

void
leave_behind(size_t len)
{
	struct owner o = { 0 };

	ck_assert_int_eq(begin(&o), FTX_OK);
	ck_assert_uint_eq(o.t->have, 0);
	ck_assert_int_eq(owner_reserve(&o, terms.size), FTX_OK);
	ck_assert_int_eq(owner_write(&o, content, len), FTX_OK);
	owner_close(&o);
}

int
files_in_root(void)
{
	struct stat st;

	return unit_names_in("root") - (stat("root/.ftxferd", &st) == 0 ? 1 : 0);
}
