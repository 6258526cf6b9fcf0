/*
 * v2/frame and v2/message: the session that ftxfer-protocol(7) shows, read from that page, byte for
 * byte: what the bytes mean, and that the meaning is written as these bytes.
 */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/v2_hex.h"
#include "v2/message.h"

static const struct v2_terms terms = { 1u << DIGEST_XXH128 | 1u << DIGEST_SHA256, 1048576 };

static uint8_t wire[1024]; /* what the page shows */
static size_t wire_len;
static uint8_t ours[1024]; /* what is made here */
static size_t ours_len;

/* Reads the dump of a subsection: an offset, two blanks, up to 8 bytes, two blanks, words. */
static void
read_page(const char *subsection)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], line[256];
	bool inside = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/ftxfer-protocol.7", srcdir != NULL ? srcdir : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "there is no %s", path);
	wire_len = ours_len = 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *hex = line + 6, *end;

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, ".Ss ", 4) == 0 || strncmp(line, ".Sh ", 4) == 0)
			inside = strcmp(line + 4, subsection) == 0;
		if (!inside || strlen(line) < 8 || strspn(line, "0123456789abcdef") != 4 ||
		    strncmp(line + 4, "  ", 2) != 0)
			continue;
		ck_assert_uint_eq(strtoul(line, NULL, 16), wire_len);
		end = strstr(hex, "  ");
		if (end != NULL)
			*end = '\0';
		wire_len += v2_hex(hex, wire + wire_len, sizeof(wire) - wire_len);
	}
	fclose(f);
	ck_assert_uint_gt(wire_len, 100);
}

static struct v2_slice
slice(const void *p, size_t len)
{
	return (struct v2_slice){ p, len };
}

/* The next frame of the page; the one made last must be the same. */
static struct v2_frame
next_frame(enum v2_side from, size_t *at)
{
	struct v2_gate gate = { from, *at > V2_PREFACE_SIZE, 1048576 };
	struct v2_frame f;
	struct v2_fault fault;
	size_t size;
	enum v2_next next = v2_frame_next(wire + *at, wire_len - *at, &gate, &f, &size, &fault);

	ck_assert(next == V2_NEXT_MESSAGE || next == V2_NEXT_DATA);
	ck_assert_int_eq(fault.reach, V2_REACH_NONE);
	*at += size;
	return f;
}

static void
made(size_t len)
{
	ck_assert_uint_gt(len, 0);
	ours_len += len;
}

static const uint8_t digest[] = "\xb5\xe9\xc1\xad\x07\x1b\x3e\x7f\xc7\x79\xcf\xaa\x5e\x52\x38\x18";
static const uint8_t version[] = "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf";
static const uint8_t upload_id[] =
    "\x8f\x1d\x2c\x3b\x4a\x59\x68\x77\x86\x95\xa4\xb3\xc2\xd1\xe0\xff";
#define NINE 1795856400 /* 2026-11-28 09:00:00 UTC */

static struct digest_value
the_digest(void)
{
	struct digest_value d = { .kind = DIGEST_XXH128 };

	memcpy(d.bytes, digest, 16);
	return d;
}

#define REST ours + ours_len, sizeof(ours) - ours_len

/* Made as a client would. */
START_TEST(test_client_writes)
{
	struct v2_hello hello = { .has =
				      V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA),
		.version = V2_VERSION,
		.digests = slice("\1\2", 2),
		.max_data = 1048576 };
	struct v2_put put = { .has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(MTIME) | V2_BIT(MODE) |
				     V2_BIT(UPLOAD_ID),
		.name = slice("a.txt", 5),
		.size = 5,
		.mtime = { NINE, 0 },
		.mode = 0644 };
	struct v2_end end = { .has = V2_BIT(DIGEST), .digest = the_digest() };
	struct v2_stat stat = { .has = V2_BIT(NAME), .name = slice("a.txt", 5) };
	struct v2_frame data = { .length = 5, .type = V2_DATA, .id = 1 };

	read_page("What the client sends");
	memcpy(put.upload_id, upload_id, 16);
	v2_preface_encode(ours);
	made(V2_PREFACE_SIZE);
	made(v2_client_hello_encode(&hello, 0, 0, REST));
	made(v2_put_encode(&put, V2_PUT_NOW, 1, REST));
	v2_frame_encode(&data, ours + ours_len);
	made(V2_HEADER_SIZE);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): content, not a string */
	memcpy(ours + ours_len, "hello", 5);
	made(5);
	made(v2_put_end_encode(&end, 0, 1, REST));
	made(v2_stat_encode(&stat, V2_BARRIER, 2, REST));
	ck_assert_uint_eq(ours_len, wire_len);
	ck_assert_mem_eq(ours, wire, wire_len);
}
END_TEST

START_TEST(test_server_writes)
{
	struct v2_hello hello = { .has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) |
					 V2_BIT(MAX_DATA) | V2_BIT(MAX_REQUESTS) | V2_BIT(MAX_NOW),
		.version = V2_VERSION,
		.digests = slice("\1\2", 2),
		.max_data = 1048576,
		.max_requests = 256,
		.max_now = 1048576 };
	struct v2_receipt receipt = { .has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) |
					     V2_BIT(FILE_VERSION) | V2_BIT(TIME),
		.name = slice("a.txt", 5),
		.size = 5,
		.digest = the_digest(),
		.file_version = slice(version, 16),
		.time = { NINE + 2, 500000000 } };
	struct v2_entry found = { .has = V2_BIT(KIND) | V2_BIT(SIZE) | V2_BIT(MTIME) |
					 V2_BIT(MODE) | V2_BIT(FILE_VERSION) | V2_BIT(DIGEST),
		.kind = V2_REGULAR,
		.size = 5,
		.mtime = { NINE, 0 },
		.mode = 0644,
		.file_version = slice(version, 16),
		.digest = the_digest() };

	read_page("What the server sends");
	v2_preface_encode(ours);
	made(V2_PREFACE_SIZE);
	made(v2_server_hello_encode(&hello, 0, 0, REST));
	made(v2_put_ok_encode(&receipt, 0, 1, REST));
	made(v2_stat_ok_encode(&found, 0, 2, REST));
	ck_assert_uint_eq(ours_len, wire_len);
	ck_assert_mem_eq(ours, wire, wire_len);
}
END_TEST

START_TEST(test_server_reads)
{
	size_t at = V2_PREFACE_SIZE;
	struct v2_hello hello;
	struct v2_put put;
	struct v2_end end;
	struct v2_stat stat;
	struct v2_frame f;

	read_page("What the client sends");
	ck_assert(v2_preface_begins(wire, wire_len));
	f = next_frame(V2_CLIENT, &at);
	ck_assert_int_eq(v2_client_hello_decode(&f, NULL, &hello).reach, V2_REACH_NONE);
	ck_assert_uint_eq(hello.version, 2);
	ck_assert_uint_eq(v2_digest_kinds(hello.digests), terms.kinds);
	ck_assert_uint_eq(hello.max_data, 1048576);

	f = next_frame(V2_CLIENT, &at);
	ck_assert_int_eq(f.type, V2_PUT);
	ck_assert_uint_eq(f.id, 1);
	ck_assert_int_eq(f.flags, V2_PUT_NOW);
	ck_assert_int_eq(v2_put_decode(&f, &terms, &put).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(put.name, slice("a.txt", 5)));
	ck_assert_uint_eq(put.size, 5);
	ck_assert_int_eq(put.mtime.sec, NINE);
	ck_assert_uint_eq(put.mtime.nsec, 0);
	ck_assert_uint_eq(put.mode, 0644);
	ck_assert_mem_eq(put.upload_id, upload_id, 16);

	f = next_frame(V2_CLIENT, &at);
	ck_assert_int_eq(f.type, V2_DATA);
	ck_assert_uint_eq(f.length, 5);
	ck_assert_mem_eq(wire + at, "hello", 5);
	at += f.length;

	f = next_frame(V2_CLIENT, &at);
	ck_assert_int_eq(v2_put_end_decode(&f, &terms, &end).reach, V2_REACH_NONE);
	ck_assert_int_eq(end.digest.kind, DIGEST_XXH128);
	ck_assert_mem_eq(end.digest.bytes, digest, 16);

	f = next_frame(V2_CLIENT, &at);
	ck_assert_int_eq(f.type, V2_STAT);
	ck_assert_int_eq(f.flags, V2_BARRIER);
	ck_assert_int_eq(v2_stat_decode(&f, &terms, &stat).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(stat.name, slice("a.txt", 5)));
	ck_assert_uint_eq(at, wire_len);
}
END_TEST

START_TEST(test_client_reads)
{
	size_t at = V2_PREFACE_SIZE;
	struct v2_hello hello;
	struct v2_receipt receipt;
	struct v2_entry found;
	struct v2_frame f;

	read_page("What the server sends");
	f = next_frame(V2_SERVER, &at);
	ck_assert_int_eq(v2_server_hello_decode(&f, NULL, &hello).reach, V2_REACH_NONE);
	ck_assert_uint_eq(hello.max_requests, 256);
	ck_assert_uint_eq(hello.max_now, 1048576);

	f = next_frame(V2_SERVER, &at);
	ck_assert_uint_eq(f.id, 1);
	ck_assert_int_eq(v2_put_ok_decode(&f, &terms, &receipt).reach, V2_REACH_NONE);
	ck_assert(v2_slice_equal(receipt.name, slice("a.txt", 5)));
	ck_assert_uint_eq(receipt.size, 5);
	ck_assert_mem_eq(receipt.digest.bytes, digest, 16);
	ck_assert(v2_slice_equal(receipt.file_version, slice(version, 16)));
	ck_assert_int_eq(receipt.time.sec, NINE + 2);
	ck_assert_uint_eq(receipt.time.nsec, 500000000);

	f = next_frame(V2_SERVER, &at);
	ck_assert_uint_eq(f.id, 2);
	ck_assert_int_eq(v2_stat_ok_decode(&f, &terms, &found).reach, V2_REACH_NONE);
	ck_assert_int_eq(found.kind, V2_REGULAR);
	ck_assert_uint_eq(found.size, 5);
	ck_assert_int_eq(found.mtime.sec, NINE);
	ck_assert_uint_eq(found.mode, 0644);
	ck_assert(v2_slice_equal(found.file_version, slice(version, 16)));
	ck_assert_mem_eq(found.digest.bytes, digest, 16);
	ck_assert_uint_eq(at, wire_len);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "session");

	tcase_add_test(tc, test_client_writes);
	tcase_add_test(tc, test_server_writes);
	tcase_add_test(tc, test_server_reads);
	tcase_add_test(tc, test_client_reads);
}

int
main(void)
{
	return unit_run("v2_session", add_cases);
}
