/* v1/message: the bytes of protocol 1. */
#include "unit/unit.h"

#include <string.h>

#include "v1/message.h"

/* A request of that first byte and these bytes of a name, the rest NUL. */
static void
fill(uint8_t buf[V1_REQUEST_SIZE], int first, const char *name, size_t len)
{
	memset(buf, 0, V1_REQUEST_SIZE);
	buf[0] = (uint8_t)first;
	memcpy(buf + 1, name, len);
}

START_TEST(test_every_first_byte)
{
	uint8_t buf[V1_REQUEST_SIZE];
	struct v1_request req;

	for (int byte = 0; byte < 256; byte++) {
		bool known = byte == 'D' || byte == 'U';

		fill(buf, byte, "name", 4);
		memset(&req, 0x55, sizeof(req));
		ck_assert_int_eq(v1_request_decode(buf, &req), known ? FTX_OK : FTX_PROTOCOL);
		if (!known)
			continue;
		ck_assert_int_eq((int)req.type, byte);
		ck_assert_uint_eq(req.name_len, 4);
		ck_assert_str_eq(req.name, "name");
	}
}
END_TEST

static const struct {
	const char *field;
	size_t len;
	enum ftx_rc rc;
	const char *name;
} fields[] = {
#define FIELD(s) s, sizeof(s) - 1
	{ FIELD("a"), FTX_OK, "a" },
	{ FIELD(""), FTX_OK, "" },
	{ FIELD(" a"), FTX_OK, "a" },
	{ FIELD("a "), FTX_OK, "a" },
	{ FIELD(" \t\n\v\f\ra b\r\f\v\n\t "), FTX_OK, "a b" },
	{ FIELD("   "), FTX_OK, "" },
	{ FIELD(" \r\n"), FTX_OK, "" },
	/* Not white space to the original: U+001C to U+001F, U+0085, U+00A0 are no bytes of it. */
	{ FIELD("\x1c"
		"a\x1f"),
	    FTX_OK,
	    "\x1c"
	    "a\x1f" },
	{ FIELD("\x08"
		"a\x0e"),
	    FTX_OK,
	    "\x08"
	    "a\x0e" },
	{ FIELD("\xa0"
		"a\x85"),
	    FTX_OK,
	    "\xa0"
	    "a\x85" },
	/* Whether the name is allowed is decided elsewhere. */
	{ FIELD("/etc/passwd"), FTX_OK, "/etc/passwd" },
	{ FIELD("../a"), FTX_OK, "../a" },
	{ FIELD("\xff\x01"), FTX_OK, "\xff\x01" },
	/* Something else than NUL behind the first one. */
	{ FIELD("a\0b"), FTX_BAD_NAME, NULL },
	{ FIELD("\0b"), FTX_BAD_NAME, NULL },
	{ FIELD("a\0 "), FTX_BAD_NAME, NULL },
	{ FIELD("a\0\0\0\0\0\0\0\n"), FTX_BAD_NAME, NULL },
};

START_TEST(test_request_names)
{
	uint8_t buf[V1_REQUEST_SIZE];
	struct v1_request req;

	fill(buf, 'U', fields[_i].field, fields[_i].len);
	memset(&req, 0x55, sizeof(req));
	ck_assert_int_eq(v1_request_decode(buf, &req), fields[_i].rc);
	ck_assert_int_eq(req.type, V1_UPLOAD); /* valid also with a bad name */
	if (fields[_i].rc != FTX_OK)
		return;
	ck_assert_str_eq(req.name, fields[_i].name);
	ck_assert_uint_eq(req.name_len, strlen(fields[_i].name));
}
END_TEST

START_TEST(test_request_name_of_each_length)
{
	char name[V1_NAME_MAX + 1];
	uint8_t buf[V1_REQUEST_SIZE + 1];
	struct v1_request req;

	for (size_t len = 1; len <= V1_NAME_MAX; len++) {
		for (size_t i = 0; i < len; i++)
			name[i] = (char)(1 + i);
		name[0] = 'n';
		name[len - 1] = 'n';
		memset(buf, 0x55, sizeof(buf));
		ck_assert_int_eq(v1_request_encode(V1_DOWNLOAD, name, len, buf), FTX_OK);
		ck_assert_uint_eq(buf[V1_REQUEST_SIZE], 0x55);
		ck_assert_uint_eq(buf[0], 'D');
		ck_assert_mem_eq(buf + 1, name, len);
		for (size_t i = 1 + len; i < V1_REQUEST_SIZE; i++)
			UNIT_CHECK(buf[i] == 0);
		/* No NUL ends the longest one: nothing behind the message is looked at. */
		ck_assert_int_eq(v1_request_decode(buf, &req), FTX_OK);
		ck_assert_int_eq(req.type, V1_DOWNLOAD);
		ck_assert_uint_eq(req.name_len, len);
		ck_assert_mem_eq(req.name, name, len);
		ck_assert_int_eq(req.name[len], '\0');
	}
	ck_assert_int_eq(v1_request_encode(V1_DOWNLOAD, name, 0, buf), FTX_BAD_NAME);
	ck_assert_int_eq(
	    v1_request_encode(V1_DOWNLOAD, (const char *)buf, V1_NAME_MAX + 1, buf), FTX_BAD_NAME);
	ck_assert_int_eq(v1_request_encode(V1_UPLOAD, "a\0b", 3, buf), FTX_BAD_NAME);
	ck_assert_int_eq(v1_request_encode(V1_UPLOAD, "a", 2, buf), FTX_BAD_NAME);
}
END_TEST

START_TEST(test_request_all_white_space)
{
	uint8_t buf[V1_REQUEST_SIZE];
	struct v1_request req;

	memset(buf, ' ', sizeof(buf));
	buf[0] = 'D';
	ck_assert_int_eq(v1_request_decode(buf, &req), FTX_OK);
	ck_assert_uint_eq(req.name_len, 0);
	ck_assert_str_eq(req.name, "");
	buf[V1_REQUEST_SIZE - 1] = 'x';
	ck_assert_int_eq(v1_request_decode(buf, &req), FTX_OK);
	ck_assert_str_eq(req.name, "x");
}
END_TEST

static const struct {
	uint64_t size;
	uint8_t bytes[8];
} numbers[] = {
	{ 0, { 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ 1, { 0, 0, 0, 0, 0, 0, 0, 1 } },
	{ 0xff, { 0, 0, 0, 0, 0, 0, 0, 0xff } },
	{ 0x0102030405060708, { 1, 2, 3, 4, 5, 6, 7, 8 } },
	{ UINT64_C(3) << 30, { 0, 0, 0, 0, 0xc0, 0, 0, 0 } },
	{ INT64_MAX, { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
	{ UINT64_C(1) << 63, { 0x80, 0, 0, 0, 0, 0, 0, 0 } },
	{ UINT64_MAX, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
};

START_TEST(test_sizes)
{
	static const enum v1_letter letters[] = { V1_YES, V1_NO, V1_ERROR };
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE + 1];
	enum v1_letter letter;
	uint64_t size = 42;

	memset(buf, 0x55, sizeof(buf));
	v1_upload_size_encode(numbers[_i].size, buf);
	ck_assert_mem_eq(buf, numbers[_i].bytes, 8);
	ck_assert_uint_eq(buf[8], 0x55);
	ck_assert_uint_eq(v1_upload_size_decode(buf), numbers[_i].size);
	for (int i = 0; i < COUNT(letters); i++) {
		memset(buf, 0x55, sizeof(buf));
		v1_download_answer_encode(letters[i], numbers[_i].size, buf);
		ck_assert_uint_eq(buf[0], (unsigned)letters[i]);
		ck_assert_mem_eq(buf + 1, numbers[_i].bytes, 8);
		ck_assert_uint_eq(buf[9], 0x55);
		ck_assert_int_eq(v1_download_answer_decode(buf, &letter, &size), FTX_OK);
		ck_assert_int_eq(letter, letters[i]);
		ck_assert_uint_eq(size, numbers[_i].size);
	}
}
END_TEST

START_TEST(test_every_letter)
{
	static const char *const sets[] = { "TFE", "TF", "T", "" };
	uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE] = { 0 };
	enum v1_letter letter;
	uint64_t size;

	ck_assert_int_eq(V1_DOWNLOAD, 0x44);
	ck_assert_int_eq(V1_UPLOAD, 0x55);
	ck_assert_int_eq(V1_YES, 0x54);
	ck_assert_int_eq(V1_NO, 0x46);
	ck_assert_int_eq(V1_ERROR, 0x45);
	for (int byte = 0; byte < 256; byte++) {
		for (int i = 0; i < COUNT(sets); i++) {
			bool known = byte != 0 && memchr(sets[i], byte, strlen(sets[i])) != NULL;

			letter = V1_DOWNLOAD;
			ck_assert_int_eq(v1_letter_decode((uint8_t)byte, sets[i], &letter),
			    known ? FTX_OK : FTX_PROTOCOL);
			ck_assert_int_eq((int)letter, known ? byte : V1_DOWNLOAD);
		}
		buf[0] = (uint8_t)byte;
		ck_assert_int_eq(v1_download_answer_decode(buf, &letter, &size),
		    byte == 'T' || byte == 'F' || byte == 'E' ? FTX_OK : FTX_PROTOCOL);
	}
}
END_TEST

/* F: what the name is now. E: an error. */
START_TEST(test_refusals)
{
	static const enum ftx_rc no[] = { FTX_NOT_FOUND, FTX_EXISTS, FTX_BUSY };
	static const enum ftx_rc error[] = { FTX_BAD_NAME, FTX_NOT_REGULAR, FTX_NO_PARENT,
		FTX_ACCESS, FTX_IO, FTX_NO_SPACE, FTX_NOMEM, FTX_DESCRIPTORS, FTX_INTERNAL,
		FTX_UNSUPPORTED };

	for (int i = 0; i < COUNT(no); i++)
		ck_assert_int_eq(v1_refusal(no[i]), V1_NO);
	for (int i = 0; i < COUNT(error); i++)
		ck_assert_int_eq(v1_refusal(error[i]), V1_ERROR);
	/* Whatever happens, the answer is no yes. */
	for (int rc = 0; rc < FTX_RC_COUNT; rc++)
		ck_assert_int_ne(v1_refusal((enum ftx_rc)rc), V1_YES);
}
END_TEST

/* Any bytes: an answer, and nothing beyond them is read or written (a sanitizer's to see). */
START_TEST(test_random_bytes)
{
	uint64_t seed = 3;

	for (int round = 0; round < 50000; round++) {
		uint8_t buf[V1_REQUEST_SIZE], again[V1_REQUEST_SIZE];
		struct v1_request req;
		enum ftx_rc rc;

		for (int i = 0; i < COUNT(buf); i++)
			buf[i] = (uint8_t)(unit_random(&seed) % (round % 2 == 0 ? 256 : 16));
		buf[0] = round % 3 == 0 ? 'D' : 'U';
		if (round % 5 < 3) {
			size_t end = 1 + unit_random(&seed) % V1_NAME_MAX;

			memset(buf + end, 0, sizeof(buf) - end);
		}
		rc = v1_request_decode(buf, &req);
		UNIT_CHECK(rc == FTX_OK || rc == FTX_BAD_NAME);
		UNIT_CHECK(req.name_len <= V1_NAME_MAX && strlen(req.name) == req.name_len);
		if (rc != FTX_OK || req.name_len == 0)
			continue;
		/* There and back is the same. */
		UNIT_CHECK(v1_request_encode(req.type, req.name, req.name_len, again) == FTX_OK);
		UNIT_CHECK(again[0] == buf[0] && memcmp(again + 1, req.name, req.name_len) == 0);
	}
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "request");

	tcase_add_test(tc, test_every_first_byte);
	tcase_add_loop_test(tc, test_request_names, 0, COUNT(fields));
	tcase_add_test(tc, test_request_name_of_each_length);
	tcase_add_test(tc, test_request_all_white_space);
	tcase_add_test(tc, test_random_bytes);
	tc = unit_case(s, "answers");
	tcase_add_loop_test(tc, test_sizes, 0, COUNT(numbers));
	tcase_add_test(tc, test_every_letter);
	tcase_add_test(tc, test_refusals);
}

int
main(void)
{
	return unit_run("v1_message", add_cases);
}
