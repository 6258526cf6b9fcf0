/* store/reader by itself: large files. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/reader.h"
#include "unit/test_store.h"

#define LONG ((size_t)64 << 20)

static int seeks; /* of data */

off_t
lseek(int fd, off_t offset, int whence)
{
	off_t (*real)(int, off_t, int);

	*(void **)&real = dlsym(RTLD_NEXT, "lseek");
	seeks += whence == SEEK_DATA;
	return real(fd, offset, whence);
}

static void *
write_long(void *bytes)
{
	int fd = open("root/file", O_WRONLY);

	if (pwrite(fd, bytes, LONG, 0) != (ssize_t)LONG)
		bytes = NULL;
	close(fd);
	return bytes;
}

/*
 * One write that has begun when the file is opened, and changes its times no more. It fills the
 * file from the front; so we look at the end first.
 */
START_TEST(test_file_is_being_written)
{
	char *old = calloc(1, LONG), *new = malloc(LONG), *seen = calloc(1, LONG);
	struct reader rd;
	struct root *r;
	struct stat before, st;
	pthread_t writer;
	void *wrote;
	enum ftx_rc rc = FTX_OK;

	ck_assert_ptr_nonnull(new);
	memset(new, 1, LONG);
	unit_write("root/file", old, LONG);
	unit_sleep_ms(20);
	ck_assert_int_eq(root_open(&r, "root", 0, 0600), FTX_OK);
	ck_assert_int_eq(stat("root/file", &before), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_long, new), 0);
	do {
		ck_assert_int_eq(stat("root/file", &st), 0);
	} while (st.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		 st.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
	ck_assert_int_eq(reader_open(&rd, r, "file"), FTX_OK);
	for (size_t at = LONG; at > 0 && rc == FTX_OK; at -= CHUNK_SIZE) {
		struct iovec v = { seen + at - CHUNK_SIZE, CHUNK_SIZE };

		rc = reader_read(&rd, &v, 1, at - CHUNK_SIZE);
	}
	ck_assert_int_eq(pthread_join(writer, &wrote), 0);
	UNIT_CHECK(wrote == new);
	ck_assert_int_eq(rc, FTX_OK);
	UNIT_CHECK(memcmp(seen, new, LONG) == 0);
	reader_close(&rd);
	root_close(r);
	free(old);
	free(new);
	free(seen);
}
END_TEST

/* What is taken whole waits for the end of a write, too (SEEK_DATA), before it is read. */
START_TEST(test_whole_is_settled)
{
	uint8_t *got;
	struct root *r;
	size_t len;

	unit_write("root/file", "content", 7);
	unit_sleep_ms(20);
	ck_assert_int_eq(root_open(&r, "root", ROOT_MAY_WAIT, 0600), FTX_OK);
	r->in_memory = true;
	seeks = 0;
	ck_assert(reader_take_whole(r, "file", 7, &got, &len));
	ck_assert_int_eq(seeks, 1);
	free(got);
	root_close(r);
}
END_TEST

/* Somebody writes to it, who may have begun before: nobody waits for that on a disk. */
START_TEST(test_whole_is_being_written)
{
	uint8_t *got;
	struct root *r;
	size_t len;
	int fd;

	unit_write("root/file", "content", 7);
	unit_sleep_ms(20);
	ck_assert_int_eq(root_open(&r, "root", ROOT_MAY_WAIT, 0600), FTX_OK);
	r->in_memory = false;
	fd = open("root/file", O_WRONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert(!reader_take_whole(r, "file", 7, &got, &len));
	close(fd);
	ck_assert(reader_take_whole(r, "file", 7, &got, &len));
	free(got);
	root_close(r);
}
END_TEST

/* Nothing but a hole, as large as this file system lets a file be. */
START_TEST(test_largest_file)
{
	static const off_t sizes[] = { INT64_MAX, INT64_MAX - 4095, (off_t)1 << 62,
		((off_t)1 << 44) - 4096, (off_t)1 << 33 };
	char bytes[100], zeros[100] = { 0 };
	struct iovec v = { bytes, sizeof(bytes) };
	struct reader rd;
	struct root *r;
	off_t size = 0;

	unit_write("root/file", "", 0);
	for (int i = 0; i < COUNT(sizes) && size == 0; i++)
		size = truncate("root/file", sizes[i]) == 0 ? sizes[i] : 0;
	ck_assert_int_ne(size, 0);
	ck_assert_int_eq(root_open(&r, "root", 0, 0600), FTX_OK);
	ck_assert_int_eq(reader_open(&rd, r, "file"), FTX_OK);
	ck_assert_uint_eq(rd.size, (uint64_t)size);
	memset(bytes, 1, sizeof(bytes));
	ck_assert_int_eq(reader_read(&rd, &v, 1, rd.size - sizeof(bytes)), FTX_OK);
	ck_assert_mem_eq(bytes, zeros, sizeof(bytes));
	v = (struct iovec){ bytes, sizeof(bytes) };
	ck_assert_int_ne(reader_read(&rd, &v, 1, rd.size - sizeof(bytes) + 1), FTX_OK);
	reader_close(&rd);
	root_close(r);
}
END_TEST

void
add_reader_cases(Suite *s)
{
	TCase *tc = unit_case(s, "reader");

	tcase_add_checked_fixture(tc, store_setup, NULL);
	tcase_add_test(tc, test_file_is_being_written);
	tcase_add_test(tc, test_whole_is_settled);
	tcase_add_test(tc, test_whole_is_being_written);
	tcase_add_test(tc, test_largest_file);
}
