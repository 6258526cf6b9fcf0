/* v2/client: downloads that go on from what an earlier process has left beside the file. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/test_v2_client_get.h"

#define LARGE (V2_PART_MIN + 300 * 1024 + 5)
#define HAVE  ((size_t)640 * 1024)

static const struct v2_terms terms = { 6, 1048576 };
static char *large;

static void
part_setup(void)
{
	uint64_t state = 7;

	get_setup();
	get.keeps_part = true;
	get.spec.policy = PUT_REPLACE;
	large = malloc(LARGE);
	ck_assert_ptr_nonnull(large);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)unit_random(&state);
	peer_greet(32, 65536);
}

static void
part_teardown(void)
{
	get_teardown();
	free(large);
}

static void
say_large(uint16_t id, size_t from, size_t to)
{
	for (size_t n; from < to; from += n) {
		n = to - from < 262144 ? to - from : 262144;
		peer_says_data(id, large + from, n);
	}
}

/* The process is gone: nothing but the directory is left of it. */
static void
forget(void)
{
	v2_get_clear(&get);
	settle();
	get = (struct v2_get_request){ ASKED_BY(&asker), .name = "r/file", .store = store,
		.spec = { .name = "file", .policy = PUT_REPLACE }, .keep_mode = true,
		.keep_mtime = true, .keeps_part = true };
	asker.times = 0;
}

static void
lose(void)
{
	close(peer);
	peer = -1;
	settle();
	ck_assert_int_eq(asker.times, 1);
	asker.times = 0;
	v2_connect();
	peer_greet(32, 65536);
}

static void
leave_part(size_t len)
{
	uint16_t id = begin_get(LARGE);

	say_large(id, 0, len);
	lose();
	forget();
	ck_assert_int_eq(unit_names_in("root"), 1);
}

/* What is behind its last whole block does not count. */
static void
add_to_part(void)
{
	DIR *dir = opendir("root");
	const struct dirent *entry;
	int fd = -1;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' && strlen(entry->d_name) > 2)
			fd = openat(dirfd(dir), entry->d_name, O_WRONLY | O_APPEND);
	}
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, large, 100), 100);
	close(fd);
	closedir(dir);
}

/* Its digest alone says what it is: no version is claimed for it. */
static uint16_t
expect_asked(size_t have, uint64_t size)
{
	struct digest_value v = sum_of(DIGEST_XXH128, large, have);
	struct v2_prefix p;
	struct v2_get m;
	uint16_t id;

	v2_client_get(client, &get);
	id = take_get(&m);
	ck_assert(V2_HAS(&m, RESUME) && !V2_HAS(&m, FILE_VERSION));
	ck_assert_uint_eq(m.resume, have);
	say_file(id, V2_FILE_PREFIX, size, 0, NULL);
	ck_assert_int_eq(v2_prefix_decode(peer_takes(V2_PREFIX), &terms, &p).reach, V2_REACH_NONE);
	ck_assert(V2_HAS(&p, DIGEST) && digest_equal(&p.digest, &v));
	return id;
}

static void
expect_published(size_t len)
{
	struct stat st;

	expect_outcome(&asker, FTX_OK, V2_WHOSE_NONE);
	v2_get_clear(&get);
	settle();
	unit_holds("root/file", large, len);
	ck_assert_int_eq(unit_names_in("root"), 1);
	/* As FILE says, though it was opened before that. */
	ck_assert_int_eq(stat("root/file", &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0604);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1234567890);
}

/* _i: where the server says that it goes on. */
START_TEST(test_goes_on)
{
	size_t from = _i == 0 ? HAVE : 0;
	uint16_t id;

	leave_part(HAVE);
	add_to_part();
	id = expect_asked(HAVE, LARGE);
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = from);
	ck_assert_uint_eq(get.resumed, from);
	say_large(id, from, LARGE);
	say_end(id, large + from, LARGE - from);
	expect_published(LARGE);
}
END_TEST

/* The file is as large as what is there, or smaller: nothing behind its end stays. */
START_TEST(test_smaller)
{
	size_t size = _i == 0 ? HAVE : HAVE - 5000, from = _i == 0 ? HAVE : 0;
	struct v2_get m;
	uint16_t id;

	leave_part(HAVE);
	add_to_part();
	if (_i == 0) {
		id = expect_asked(HAVE, size);
		PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = from);
	} else {
		v2_client_get(client, &get);
		id = take_get(&m);
		say_file(id, 0, size, 0, NULL);
	}
	say_large(id, from, size);
	say_end(id, large + from, size - from);
	expect_published(size);
}
END_TEST

/*
 * It breaks off again: between FILE and GO, when nobody knows whether what there is is of the
 * version that FILE has told, and in the content, when that is known.
 */
START_TEST(test_breaks_again)
{
	struct v2_get m;
	uint16_t id;

	leave_part(HAVE);
	(void)expect_asked(HAVE, LARGE);
	lose();
	id = expect_asked(HAVE, LARGE);
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = HAVE);
	say_large(id, HAVE, HAVE + 8192);
	lose();
	v2_client_get(client, &get);
	(void)take_get(&m);
	ck_assert(v2_slice_equal(m.file_version, (struct v2_slice)SOME_VERSION));
	ck_assert_uint_eq(m.resume, HAVE + 8192);
	lose(); /* before FILE: nothing of it is lost */
	v2_client_get(client, &get);
	id = take_get(&m);
	ck_assert_uint_eq(m.resume, HAVE + 8192);
	say_file(id, 0, LARGE, HAVE + 8192, NULL);
	say_large(id, HAVE + 8192, LARGE);
	say_end(id, large + HAVE + 8192, LARGE - HAVE - 8192);
	expect_published(LARGE);
}
END_TEST

/* What cannot become the file is removed; what is only given up stays. */
START_TEST(test_of_no_use)
{
	uint16_t id;

	leave_part(HAVE);
	id = expect_asked(HAVE, LARGE);
	PEER_SAYS(go, v2_offset, 0, id, .has = V2_BIT(OFFSET), .offset = HAVE);
	if (_i == 0) { /* what it had was not as its digest said */
		say_large(id, HAVE, LARGE);
		say_end(id, large, LARGE);
		expect_outcome(&asker, FTX_DIGEST_MISMATCH, V2_WHOSE_SERVER);
	} else if (_i == 1) {
		PEER_SAYS(error, v2_error, 0, id, .has = V2_BIT(CODE), .code = V2_CODE_FORBIDDEN);
		expect_outcome(&asker, FTX_FORBIDDEN, V2_WHOSE_SERVER);
	} else {
		v2_client_cancel(&get.r);
		settle();
		PEER_SAYS(error, v2_error, 0, id, .has = V2_BIT(CODE), .code = V2_CODE_CANCELLED);
		ck_assert_int_eq(asker.o.rc, FTX_CANCELLED);
	}
	v2_get_clear(&get);
	settle();
	ck_assert_int_eq(unit_names_in("root"), _i == 2 ? 1 : 0);
}
END_TEST

/* It ends while what is there is looked at. */
START_TEST(test_cancelled_early)
{
	leave_part(HAVE);
	v2_client_get(client, &get);
	v2_client_cancel(&get.r);
	settle();
	ck_assert_int_eq(asker.o.rc, FTX_CANCELLED);
	v2_get_clear(&get);
	settle();
	ck_assert_int_eq(unit_names_in("root"), 1);
}
END_TEST

/* A small one, or one whose caller wants nothing kept, leaves nothing. */
START_TEST(test_nothing_kept)
{
	uint16_t id;

	get.keeps_part = _i == 0;
	id = begin_get(_i == 0 ? V2_PART_MIN : LARGE);
	say_large(id, 0, HAVE);
	lose();
	v2_get_clear(&get);
	settle();
	ck_assert_int_eq(unit_names_in("root"), 0);
}
END_TEST

void
add_part_cases(Suite *s)
{
	TCase *tc = unit_case(s, "part");

	tcase_add_checked_fixture(tc, part_setup, part_teardown);
	tcase_add_loop_test(tc, test_goes_on, 0, 2);
	tcase_add_loop_test(tc, test_smaller, 0, 2);
	tcase_add_test(tc, test_breaks_again);
	tcase_add_loop_test(tc, test_of_no_use, 0, 3);
	tcase_add_test(tc, test_cancelled_early);
	tcase_add_loop_test(tc, test_nothing_kept, 0, 2);
}
