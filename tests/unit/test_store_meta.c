/* store: what a transfer knows of its file, and what else is asked of a put. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/names.h"
#include "store/root.h"
#include "unit/fake_sys.h"
#include "unit/test_store.h"

static const struct digest_value digest = { .kind = DIGEST_XXH128, .bytes = "fifteen letters" };
static const struct timespec old = { .tv_sec = 1000000000, .tv_nsec = 123456789 };

static void
set_up(void)
{
	store_setup();
}

static struct meta
look(const char *name)
{
	struct meta m;

	ck_assert_int_eq(names_stat(root, name, true, &m), FTX_OK);
	return m;
}

static void
same_meta(const struct meta *m, const struct meta *as)
{
	ck_assert_int_eq(m->kind, as->kind);
	ck_assert_uint_eq(m->size, as->size);
	ck_assert_uint_eq(m->mode, as->mode);
	ck_assert_int_eq(m->mtime.tv_sec, as->mtime.tv_sec);
	ck_assert_int_eq(m->mtime.tv_nsec, as->mtime.tv_nsec);
	ck_assert(meta_same_version(&m->version, &as->version));
}

/* Without the daemon's own. */
static int
files_in_root(void)
{
	struct stat st;

	return unit_names_in("root") - (stat("root/.ftxferd", &st) == 0 ? 1 : 0);
}

/* A put as far as its commit; how that ended, or what came before it. */
static enum ftx_rc
put(struct owner *o, const struct put_spec *spec, const char *content)
{
	enum ftx_rc rc;

	owner_put_spec(o, spec);
	rc = owner_wait(o, TRANSFER_OPEN);
	if (rc == FTX_OK)
		rc = owner_reserve(o, strlen(content));
	if (rc == FTX_OK)
		rc = owner_write(o, content, strlen(content));
	if (rc != FTX_OK)
		return rc;
	store_set_digest(o->t, &digest);
	return owner_commit(o);
}

/* It is what STAT says from then on, however the file got its name. */
START_TEST(test_put_tells)
{
	const struct put_spec spec = { .name = "new",
		.policy = _i < ROOT_KINDS ? PUT_CREATE : PUT_REPLACE,
		.has_mtime = true,
		.mtime = old,
		.has_mode = true,
		.mode = 0604 };
	struct owner o = { 0 };
	struct meta m, after;

	if (spec.policy == PUT_REPLACE)
		unit_write("root/new", "before", 6);
	store_start(root_kinds[_i % ROOT_KINDS]);
	ck_assert_int_eq(put(&o, &spec, "content"), FTX_OK);
	m = look("new");
	same_meta(&o.t->meta, &m);
	ck_assert_uint_eq(m.size, 7);
	ck_assert_uint_eq(m.mode, 0604);
	ck_assert_int_eq(m.mtime.tv_sec, old.tv_sec);
	ck_assert(digest_equal(&o.t->meta.digest, &digest));
	owner_close(&o);
	after = look("new");
	ck_assert(meta_same_version(&m.version, &after.version)); /* nor does it change then */
	store_teardown();
}
END_TEST

START_TEST(test_get_tells)
{
	const struct put_spec spec = { .name = "new" };
	struct owner o = { 0 };
	struct meta m;

	store_start(0);
	ck_assert_int_eq(put(&o, &spec, "content"), FTX_OK);
	owner_close(&o);
	m = look("new");
	owner_get(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	same_meta(&o.t->meta, &m);
	ck_assert_int_eq(o.t->meta.digest.kind, DIGEST_NONE);
	owner_close(&o);
	root->in_memory = _i == 0; /* on the loop, or by a job */
	owner_get_digest(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	same_meta(&o.t->meta, &m);
	ck_assert_int_eq(o.t->meta.digest.kind, m.digest.kind);
	if (m.digest.kind != DIGEST_NONE) /* this file system may have no place for it */
		ck_assert(digest_equal(&o.t->meta.digest, &digest));
	owner_close(&o);
	/* It is not that of what has been written since. */
	unit_write("root/new", "another", 7);
	owner_get_digest(&o, "new");
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(o.t->meta.digest.kind, DIGEST_NONE);
	owner_close(&o);
	store_teardown();
}
END_TEST

START_TEST(test_put_of_a_version)
{
	struct put_spec spec = { .name = "file", .policy = PUT_REPLACE };
	struct owner o = { 0 };

	unit_write("root/file", "theirs", 6);
	store_start(root_kinds[_i]);
	spec.if_version = look("file").version;
	ck_assert_int_eq(put(&o, &spec, "ours"), FTX_OK);
	spec.if_version = o.t->meta.version; /* as it was published */
	owner_close(&o);
	ck_assert_int_eq(put(&o, &spec, "ours again"), FTX_OK);
	owner_close(&o);
	/* That version is gone, and so it is told at once. */
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OTHER_VERSION);
	owner_close(&o);
	unit_holds("root/file", "ours again", 10);
	/* Nor is no file any version. */
	spec.name = "none";
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OTHER_VERSION);
	owner_close(&o);
	ck_assert_int_eq(files_in_root(), 1);
	store_teardown();
}
END_TEST

/* Between its begin and its end somebody else has changed the file, or removed it. */
START_TEST(test_version_goes_meanwhile)
{
	struct put_spec spec = { .name = "file", .policy = PUT_REPLACE };
	struct owner o = { 0 };

	unit_write("root/file", "theirs", 6);
	store_start(root_kinds[_i]);
	spec.if_version = look("file").version;
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_eq(owner_reserve(&o, 4), FTX_OK);
	ck_assert_int_eq(owner_write(&o, "ours", 4), FTX_OK);
	ck_assert_int_eq(remove("root/file"), 0);
	if (_i != 0)
		unit_write("root/file", "others", 6);
	ck_assert_int_eq(owner_commit(&o), FTX_OTHER_VERSION);
	owner_close(&o);
	if (_i != 0)
		unit_holds("root/file", "others", 6);
	ck_assert_int_eq(files_in_root(), _i != 0 ? 1 : 0);
	store_teardown();
}
END_TEST

static ino_t
inode(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_ino;
}

START_TEST(test_parents)
{
	struct put_spec spec = { .name = "a/b/c/file" };
	struct owner o = { 0 };
	struct stat st;

	store_start(root_kinds[_i]);
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_NO_PARENT);
	owner_close(&o);
	ck_assert_int_ne(stat("root/a", &st), 0);
	spec.parents = true;
	fake_watch("a");
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_OK);
	ck_assert_int_gt(fake_named(), 0);
	ck_assert_int_gt(fake_synced(inode("root")), fake_named());
	ck_assert_int_gt(fake_synced(inode("root/a")), fake_named());
	ck_assert_int_gt(fake_synced(inode("root/a/b")), fake_named());
	owner_close(&o);
	ck_assert_int_eq(put(&o, &spec, "content"), FTX_OK);
	owner_close(&o);
	unit_holds("root/a/b/c/file", "content", 7);
	ck_assert_uint_eq(atomic_load(&root->making), 0);
	/* What cannot be one. */
	spec.name = "a/b/c/file/none";
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_NO_PARENT);
	owner_close(&o);
	store_teardown();
}
END_TEST

/* What could not be made durable when it was made is synced by who publishes in it. */
START_TEST(test_parents_in_doubt)
{
	struct put_spec spec = { .name = "a/b/file", .parents = true };
	struct owner o = { 0 };

	store_start(0);
	fake_orders.fsync_dir = EIO;
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_IO);
	owner_close(&o);
	ck_assert_int_ne(mkdir("root/a", 0755), 0); /* it is there */
	ck_assert_int_eq(mkdir("root/a/b", 0755), 0);
	owner_put_spec(&o, &spec);
	ck_assert_int_eq(owner_wait(&o, TRANSFER_OPEN), FTX_IO);
	owner_close(&o);
	fake_orders.fsync_dir = 0;
	fake_watch("file");
	ck_assert_int_eq(put(&o, &spec, "content"), FTX_OK);
	owner_close(&o);
	ck_assert_int_gt(fake_synced(inode("root")), 0);
	ck_assert_int_gt(fake_synced(inode("root/a")), 0);
	store_teardown();
}
END_TEST

void
add_meta_cases(Suite *s)
{
	TCase *tc = unit_case(s, "meta");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, test_put_tells, 0, 2 * ROOT_KINDS);
	tcase_add_loop_test(tc, test_get_tells, 0, 2);
	tcase_add_loop_test(tc, test_put_of_a_version, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_version_goes_meanwhile, 0, ROOT_KINDS);
	tcase_add_loop_test(tc, test_parents, 0, ROOT_KINDS);
	tcase_add_test(tc, test_parents_in_doubt);
}
