/* store/stored_digest: what is kept with a file, what is believed, and that no content harms. */
#include "unit/unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/stage.h"
#include "store/stored_digest.h"
#include "unit/fake_sys.h"
#include "unit/put_spec.h"

static const struct timespec then = { .tv_sec = 1000000000, .tv_nsec = 1002 };
static struct digest_value value;
static bool supported; /* here files have attributes */
static int fd;

/* A file of 7 bytes, of a time that we know. */
static void
set_up(void)
{
	const struct timespec times[2] = { then, then };

	unit_enter_dir();
	unit_log_keep();
	unit_write("file", "content", 7);
	fd = open("file", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(futimens(fd, times), 0);
	supported = fsetxattr(fd, "user.test", "x", 1, 0) == 0;
	ck_assert_int_eq(digest_of(DIGEST_XXH128, "content", 7, &value), FTX_OK);
}

static void
tear_down(void)
{
	close(fd);
}

/* What is believed now. */
static bool
believed(struct digest_value *v)
{
	struct stat st;

	memset(v, 0x55, sizeof(*v));
	ck_assert_int_eq(fstat(fd, &st), 0);
	return stored_digest_read(fd, &st, v);
}

static void
is_not_believed(const char *why)
{
	struct digest_value v;

	ck_assert_msg(!believed(&v) && v.kind == DIGEST_NONE, "believed: %s", why);
}

static void
is_believed(void)
{
	struct digest_value v;

	ck_assert(believed(&v));
	ck_assert(digest_equal(&v, &value));
}

START_TEST(test_kept)
{
	enum digest_kind kind = (enum digest_kind)_i;

	is_not_believed("nothing");
	if (!supported)
		return;
	ck_assert_int_eq(digest_of(kind, "content", 7, &value), FTX_OK);
	ck_assert(stored_digest_write(fd, &value));
	is_believed();
	/* The next one replaces it. */
	value.bytes[0] ^= 1;
	ck_assert(stored_digest_write(fd, &value));
	is_believed();
	value.kind = DIGEST_NONE;
	ck_assert(!stored_digest_write(fd, &value));
}
END_TEST

/* What of it is documented, and others read. */
START_TEST(test_format)
{
	static const uint8_t xxh128[] = { 2, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0x3b, 0x9a,
		0xca, 0, 0, 0, 0x03, 0xea, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255 };
	uint8_t got[256];

	if (!supported)
		return;
	for (size_t i = 0; i < 16; i++)
		value.bytes[i] = (uint8_t)(i < 15 ? i : 255);
	ck_assert(stored_digest_write(fd, &value));
	ck_assert_int_eq(fgetxattr(fd, "user.ftxferd.digest", got, sizeof(got)), sizeof(xxh128));
	ck_assert_mem_eq(got, xxh128, sizeof(xxh128));
}
END_TEST

/* Large numbers, also before 1970. */
START_TEST(test_numbers)
{
	static const struct timespec times[] = { { 0, 0 }, { -1, 999999999 }, { -1234567890, 1 },
		{ 2147483648, 120000000 }, { 9, 99 } };
	uint8_t got[256];

	if (!supported)
		return;
	for (int i = 0; i < COUNT(times); i++) {
		const struct timespec both[2] = { times[i], times[i] };
		uint64_t numbers[2];

		ck_assert_int_eq(ftruncate(fd, i * 1000000009L), 0);
		ck_assert_int_eq(futimens(fd, both), 0);
		ck_assert(stored_digest_write(fd, &value));
		is_believed();
		ck_assert_int_eq(fgetxattr(fd, "user.ftxferd.digest", got, sizeof(got)), 38);
		memcpy(numbers, got + 2, sizeof(numbers));
		ck_assert_uint_eq(be64toh(numbers[0]), (uint64_t)i * 1000000009);
		ck_assert_int_eq((int64_t)be64toh(numbers[1]), times[i].tv_sec);
	}
}
END_TEST

/* With it a file takes no more blocks: where inodes are of 256 bytes, for one. */
START_TEST(test_takes_no_block)
{
	struct statfs fs;
	struct stat before, after;

	ck_assert_int_eq(fstatfs(fd, &fs), 0);
	if (!supported || fs.f_type != 0xef53)
		return; /* not an ext4 */
	fremovexattr(fd, "user.test");
	ck_assert_int_eq(fstat(fd, &before), 0);
	ck_assert_int_eq(digest_of((enum digest_kind)_i, "content", 7, &value), FTX_OK);
	ck_assert(stored_digest_write(fd, &value));
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(after.st_blocks, before.st_blocks);
}
END_TEST

START_TEST(test_changed_file)
{
	struct timespec times[2] = { then, then };

	if (!supported)
		return;
	ck_assert(stored_digest_write(fd, &value));
	times[1].tv_nsec++;
	ck_assert_int_eq(futimens(fd, times), 0);
	is_not_believed("a nanosecond later");
	times[1].tv_nsec--;
	times[1].tv_sec++;
	ck_assert_int_eq(futimens(fd, times), 0);
	is_not_believed("a second later");
	ck_assert_int_eq(ftruncate(fd, 8), 0);
	times[1].tv_sec--;
	ck_assert_int_eq(futimens(fd, times), 0);
	is_not_believed("another size");
	ck_assert_int_eq(ftruncate(fd, 7), 0);
	ck_assert_int_eq(futimens(fd, times), 0);
	is_believed();
}
END_TEST

/* What somebody else may have put there. */
START_TEST(test_hostile)
{
	static const uint8_t good[38] = { 2, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0x3b, 0x9a,
		0xca, 0, 0, 0, 0x03, 0xea, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char old[] =
	    "1 xxh128 7 1000000000.000001002 000102030405060708090a0b0c0d0e0f";
	static uint8_t other[4000];

	if (!supported)
		return;
	ck_assert_int_eq(fsetxattr(fd, STORED_DIGEST_XATTR, good, sizeof(good), 0), 0);
	for (size_t i = 0; i < 16; i++)
		value.bytes[i] = (uint8_t)i;
	is_believed();
	ck_assert_int_eq(fsetxattr(fd, STORED_DIGEST_XATTR, old, sizeof(old) - 1, 0), 0);
	is_not_believed("a format that there is none of");
	/* Shorter, longer, and much longer. */
	memcpy(other, good, sizeof(good));
	for (size_t len = 0; len < 64; len++) {
		ck_assert_int_eq(fsetxattr(fd, STORED_DIGEST_XATTR, other, len, 0), 0);
		if (len != sizeof(good))
			is_not_believed("another length");
	}
	if (fsetxattr(fd, STORED_DIGEST_XATTR, other, sizeof(other), 0) == 0)
		is_not_believed("more than there is room for");
	/* The good one with one bit wrong, whichever it is, in its head. */
	for (size_t i = 0; i < 8 * (sizeof(good) - 16); i++) {
		memcpy(other, good, sizeof(good));
		other[i / 8] ^= (uint8_t)(1U << i % 8);
		ck_assert_int_eq(fsetxattr(fd, STORED_DIGEST_XATTR, other, sizeof(good), 0), 0);
		is_not_believed("a wrong bit");
	}
	/* Another kind, of its length and not. */
	other[0] = 2;
	for (int kind = 0; kind < 256; kind++) {
		memcpy(other, good, sizeof(good));
		other[1] = (uint8_t)kind;
		for (size_t len = 22; kind != 1 && len <= 64; len += len == 38 ? 16 : 1) {
			struct digest_value v;

			ck_assert_int_eq(fsetxattr(fd, STORED_DIGEST_XATTR, other, len, 0), 0);
			if (kind != DIGEST_SHA256 || len != 54)
				is_not_believed("another kind");
			else
				ck_assert(believed(&v) && v.kind == DIGEST_SHA256);
		}
	}
}
END_TEST

/* No such thing on this file system, or no room for it. */
START_TEST(test_unsupported)
{
	static const int errors[] = { EOPNOTSUPP, ENOSPC, EDQUOT, E2BIG, EPERM, EACCES, EIO };
	static atomic_bool not_cancelled;
	struct root *root;

	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
	for (int i = 0; i < COUNT(errors); i++) {
		struct stage stage;

		fake_orders.fsetxattr = fake_orders.fgetxattr = errors[i];
		ck_assert(!stored_digest_write(fd, &value));
		is_not_believed("nothing");
		/* And a file is published all the same. */
		ck_assert_int_eq(stage_open(&stage, root, SPEC(TEST_REPLACE, "new")), FTX_OK);
		stage.digest = value;
		ck_assert_int_eq(stage_publish(&stage, &not_cancelled), FTX_OK);
	}
	root_close(root);
}
END_TEST

static const unsigned all_flags[] = { 0, ROOT_NAMED_STAGE, ROOT_NO_LINK_UNNAMED, TEST_REPLACE };

/* Durable before the name is given, whatever the mode that the file will have. */
START_TEST(test_published)
{
	const struct put_spec spec = { .name = "new",
		.policy = SPEC(all_flags[_i], "")->policy,
		.has_mode = true,
		.mode = 0400,
		.has_mtime = true,
		.mtime = then };
	struct iovec iov = { (char[]){ "content" }, 7 };
	static atomic_bool not_cancelled;
	struct stage stage;
	struct root *root;
	struct stat st;

	unit_drop_root();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	ck_assert_int_eq(root_open(&root, "root", all_flags[_i], 0640), FTX_OK);
	ck_assert_int_eq(stage_open(&stage, root, &spec), FTX_OK);
	ck_assert_int_eq(stage_write(&stage, &iov, 1, 0), FTX_OK);
	stage.digest = value;
	fake_watch("new");
	ck_assert_int_eq(stage_publish(&stage, &not_cancelled), FTX_OK);
	close(fd);
	fd = open("root/new", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0400);
	ck_assert_int_lt(fake_attrs(), fake_synced(st.st_ino));
	ck_assert_int_lt(fake_synced(st.st_ino), fake_named());
	if (supported)
		is_believed();
	root_close(root);
}
END_TEST

/* Where it really is so; a tmpfs has such attributes since Linux 6.6 only. */
START_TEST(test_tmpfs)
{
	ck_assert_int_eq(mkdir("mounted", 0755), 0);
	if (!unit_mount_tmpfs("mounted", 1 << 20))
		return;
	ck_assert_int_eq(chdir("mounted"), 0);
	unit_write("file", "content", 7);
	close(fd);
	fd = open("file", O_RDWR | O_CLOEXEC);
	if (stored_digest_write(fd, &value))
		is_believed();
	else
		is_not_believed("nothing");
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "stored_digest");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_kept, DIGEST_XXH128, DIGEST_KINDS);
	tcase_add_test(tc, test_format);
	tcase_add_test(tc, test_numbers);
	tcase_add_loop_test(tc, test_takes_no_block, DIGEST_XXH128, DIGEST_KINDS);
	tcase_add_test(tc, test_changed_file);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_unsupported);
	tcase_add_loop_test(tc, test_published, 0, COUNT(all_flags));
	tcase_add_test(tc, test_tmpfs);
}

int
main(void)
{
	return unit_run("stored_digest", add_cases);
}
