/* v2/message: pages of a listing; what is not written; what an absent attribute means; names. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "unit/v2_hex.h"
#include "v2/message.h"
#include "v2/rules.h"

static const struct v2_terms terms = { 1u << DIGEST_XXH128 | 1u << DIGEST_SHA256, 65536 };

static uint8_t frame[V2_HEADER_SIZE + V2_CONTROL_MAX + 1];

static struct v2_slice
slice(const char *s)
{
	return (struct v2_slice){ (const uint8_t *)s, strlen(s) };
}

static struct v2_entry
directory(const char *name)
{
	return (struct v2_entry){ .has = V2_BIT(NAME) | V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
		.name = slice(name),
		.kind = V2_DIRECTORY,
		.mode = 0755 };
}

static struct v2_fault
decode_page(size_t len, struct v2_page *m, struct v2_frame *f)
{
	static const struct v2_gate gate = { V2_SERVER, true, 65536 };
	struct v2_fault fault;
	size_t size;

	ck_assert_int_eq(v2_frame_next(frame, len, &gate, f, &size, &fault), V2_NEXT_MESSAGE);
	ck_assert_uint_eq(size, len);
	ck_assert_int_eq(f->type, V2_PAGE);
	ck_assert_int_eq(fault.reach, V2_REACH_NONE);
	return v2_page_decode(f, &terms, m);
}

START_TEST(test_empty_page)
{
	struct v2_page_writer w;
	struct v2_page m;
	struct v2_frame f;
	struct v2_entry e;
	struct cursor c;

	v2_page_begin(&w, 9, frame, sizeof(frame));
	ck_assert_uint_eq(v2_page_end(&w, (struct v2_slice){ NULL, 0 }), V2_HEADER_SIZE);
	ck_assert_int_eq(decode_page(V2_HEADER_SIZE, &m, &f).reach, V2_REACH_NONE);
	ck_assert_uint_eq(m.has, 0);
	ck_assert_uint_eq(f.id, 9);
	c = cursor_init(f.payload, f.length);
	ck_assert(!v2_page_next(&c, &terms, &e));
}
END_TEST

/* Filled until it is full: a frame that is allowed, with room for a cursor; and all come back. */
START_TEST(test_full_page)
{
	static const char cursor[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";
	struct v2_page_writer w;
	struct v2_page m;
	struct v2_frame f;
	struct v2_entry e;
	struct cursor c;
	char name[16];
	int added = 0, found = 0;
	size_t len;

	v2_page_begin(&w, 1, frame, sizeof(frame));
	for (;;) {
		snprintf(name, sizeof(name), "name%d", added);
		e = directory(name);
		if (!v2_page_add(&w, &e))
			break;
		added++;
	}
	ck_assert_int_gt(added, 1000);
	len = v2_page_end(&w, slice(cursor));
	ck_assert_uint_gt(len, V2_CONTROL_MAX - 100);
	ck_assert_uint_le(len, V2_HEADER_SIZE + V2_CONTROL_MAX);
	ck_assert_int_eq(decode_page(len, &m, &f).reach, V2_REACH_NONE);
	ck_assert(V2_HAS(&m, ENTRY) && V2_HAS(&m, CURSOR));
	ck_assert(v2_slice_equal(m.cursor, slice(cursor)));
	c = cursor_init(f.payload, f.length);
	while (v2_page_next(&c, &terms, &e)) {
		snprintf(name, sizeof(name), "name%d", found++);
		ck_assert(v2_slice_equal(e.name, slice(name)));
		ck_assert_uint_eq(e.mode, 0755);
	}
	ck_assert_int_eq(found, added);
	ck_assert(v2_slice_equal(m.last.name, slice(name)));
}
END_TEST

/* An entry that is not right, or too long, leaves the page as it was. */
START_TEST(test_bad_entry)
{
	static char longest[60000];
	struct v2_page_writer w;
	struct v2_entry e = directory("a");
	size_t len;

	v2_page_begin(&w, 1, frame, V2_FRAME_ROOM - 1);
	ck_assert(!v2_page_add(&w, &e));
	ck_assert_uint_eq(v2_page_end(&w, slice("")), 0);

	v2_page_begin(&w, 1, frame, V2_FRAME_ROOM);
	ck_assert(v2_page_add(&w, &e));
	e.kind = V2_REGULAR; /* without SIZE and FILE_VERSION */
	ck_assert(!v2_page_add(&w, &e));
	e = directory("b");
	e.has &= ~V2_BIT(MODE);
	ck_assert(!v2_page_add(&w, &e));
	memset(longest, 'x', sizeof(longest) - 1);
	e = directory(longest);
	ck_assert(!v2_page_add(&w, &e));
	e = directory("b");
	ck_assert(v2_page_add(&w, &e));
	len = v2_page_end(&w, slice(""));
	ck_assert_uint_eq(len, V2_HEADER_SIZE + 2 * (4 + 5 + 5 + 16 + 6));
	ck_assert_uint_eq(v2_page_end(&w, slice(longest)), 0);
}
END_TEST

/* What a decoder would not take is not written. */
START_TEST(test_not_written)
{
	const struct v2_put right = { .has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(MTIME) |
					     V2_BIT(MODE) | V2_BIT(DIGEST),
		.name = slice("a"),
		.size = 5,
		.digest = { .kind = DIGEST_XXH128 } };
	const struct v2_put policy = { .has = V2_BIT(NAME) | V2_BIT(POLICY), .policy = 9 };
	struct v2_put m = right;

	ck_assert_uint_gt(v2_put_encode(&m, V2_PUT_NOW, 1, frame, sizeof(frame)), 0);
	m.has &= ~V2_BIT(NAME);
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m.has = right.has | V2_BIT(OFFSET);
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m = right;
	m.size = (uint64_t)1 << 63;
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m = right;
	m.mode = 01000;
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m = right;
	m.mtime.nsec = 1000000000;
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m = right;
	m.digest.kind = DIGEST_NONE;
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m = right;
	m.name.len = 65536;
	ck_assert_uint_eq(v2_put_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	ck_assert_uint_eq(v2_put_encode(&policy, 0, 1, frame, sizeof(frame)), 0);
}
END_TEST

START_TEST(test_bytes_not_written)
{
	struct v2_renamed m = { .has = V2_BIT(FILE_VERSION), .file_version = slice("12345678") };
	struct v2_error error = { .has = V2_BIT(CODE) | V2_BIT(TEXT), .text = slice("a") };
	static char longest[65500];
	static uint8_t large[70000];
	struct cursor_out out = cursor_out_init(large, sizeof(large));
	struct v2_entry e;

	ck_assert_uint_gt(v2_rename_ok_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m.file_version.len = 7;
	ck_assert_uint_eq(v2_rename_ok_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	m.file_version = slice("0123456789abcdef0123456789abcdef0");
	ck_assert_uint_eq(v2_rename_ok_encode(&m, 0, 1, frame, sizeof(frame)), 0);
	ck_assert_uint_gt(v2_error_encode(&error, 0, 0, frame, sizeof(frame)), 0);
	error.text = slice("\xff");
	ck_assert_uint_eq(v2_error_encode(&error, 0, 0, frame, sizeof(frame)), 0);

	/* A value whose attributes are too long for it. */
	memset(longest, 'x', sizeof(longest) - 1);
	e = directory(longest);
	v2_attr_put_nested(V2_ATTR_ENTRY, v2_entry_rows(), &e, &out);
	ck_assert_uint_gt(out.used, UINT16_MAX - 10);
	ck_assert(cursor_out_ok(&out));
	out = cursor_out_init(large, sizeof(large));
	e.has |= V2_BIT(DIGEST);
	e.digest.kind = DIGEST_SHA256;
	v2_attr_put_nested(V2_ATTR_ENTRY, v2_entry_rows(), &e, &out);
	ck_assert(!cursor_out_ok(&out));
}
END_TEST

/* A frame of more than 64 KiB is none. */
START_TEST(test_longest_frame)
{
	static char name[2][40000];
	struct v2_rename m = { .has = V2_BIT(NAME) | V2_BIT(TO) };
	static uint8_t large[100000];

	memset(name, 'x', sizeof(name));
	m.name = (struct v2_slice){ (const uint8_t *)name[0], sizeof(name[0]) };
	m.to = (struct v2_slice){ (const uint8_t *)name[1], 65536 - 8 - 40000 };
	ck_assert_uint_eq(v2_rename_encode(&m, 0, 1, large, sizeof(large)), 65544);
	m.to.len++;
	ck_assert_uint_eq(v2_rename_encode(&m, 0, 1, large, sizeof(large)), 0);
	/* Of names that are allowed, the room that the header names is enough. */
	m = (struct v2_rename){ .has = V2_BIT(NAME) | V2_BIT(TO) | V2_BIT(IF_VERSION),
		.name = { (const uint8_t *)name[0], V2_NAME_MAX },
		.to = { (const uint8_t *)name[1], V2_NAME_MAX },
		.if_version = { (const uint8_t *)name[0], V2_VERSION_MAX } };
	ck_assert_uint_gt(v2_rename_encode(&m, V2_BARRIER, 1, large, V2_FRAME_ROOM), 0);
}
END_TEST

START_TEST(test_defaults)
{
	uint8_t buf[64];
	struct v2_frame f = { 0, V2_GET, 0, 1, buf };
	struct v2_get get;
	struct v2_digest digest;
	struct v2_list list;
	struct v2_stat stat;

	f.length = (uint32_t)v2_hex("0010 0001 61", buf, sizeof(buf));
	ck_assert_int_eq(v2_get_decode(&f, &terms, &get).reach, V2_REACH_NONE);
	ck_assert_uint_eq(get.digest_kind, DIGEST_XXH128);
	ck_assert_uint_eq(get.has, V2_BIT(NAME));
	f.type = V2_DIGEST;
	ck_assert_int_eq(v2_digest_decode(&f, &terms, &digest).reach, V2_REACH_NONE);
	ck_assert_uint_eq(digest.digest_kind, DIGEST_XXH128);
	f.type = V2_LIST;
	ck_assert_int_eq(v2_list_decode(&f, &terms, &list).reach, V2_REACH_NONE);
	ck_assert_uint_eq(list.digest_kind, DIGEST_NONE);
	f.type = V2_STAT;
	ck_assert_int_eq(v2_stat_decode(&f, &terms, &stat).reach, V2_REACH_NONE);
	ck_assert_uint_eq(stat.digest_kind, DIGEST_NONE);

	f.type = V2_GET;
	f.length = (uint32_t)v2_hex("0010 0001 61 0025 0008 0000000000000001"
				    "0017 0011 01 00000000000000000000000000000000",
	    buf, sizeof(buf));
	ck_assert_int_eq(v2_get_decode(&f, &terms, &get).reach, V2_REACH_NONE);
	ck_assert_uint_eq(get.digest_kind, DIGEST_XXH128);
	ck_assert_int_eq(get.digest.kind, DIGEST_XXH128);
	f.length = (uint32_t)v2_hex("0010 0001 61 8018 0001 02", buf, sizeof(buf));
	ck_assert_int_eq(v2_get_decode(&f, &terms, &get).reach, V2_REACH_NONE);
	ck_assert_uint_eq(get.digest_kind, DIGEST_SHA256);
}
END_TEST

START_TEST(test_digest_kinds)
{
	ck_assert_uint_eq(v2_digest_kinds(slice("")), 0);
	ck_assert_uint_eq(v2_digest_kinds(slice("\2")), 1u << DIGEST_SHA256);
	ck_assert_uint_eq(v2_digest_kinds(slice("\2\1\1\x21\xff\3")), terms.kinds);
	ck_assert_uint_eq(v2_digest_size(DIGEST_XXH128), 16);
	ck_assert_uint_eq(v2_digest_size(DIGEST_SHA256), 32);
	ck_assert_uint_eq(v2_digest_size(0), 0);
	ck_assert_uint_eq(v2_digest_size(3), 0);
	ck_assert_uint_eq(v2_digest_size(255), 0);
}
END_TEST

START_TEST(test_names)
{
	ck_assert_str_eq(v2_attr_name(V2_ATTR_UPLOAD_ID), "UPLOAD_ID");
	ck_assert_str_eq(v2_attr_name(0x0023), "unknown");
	ck_assert_str_eq(v2_attr_name(0x8023), "OFFSET");
	ck_assert_str_eq(v2_format_name(V2_U64), "u64");
	ck_assert_str_eq(v2_format_name(V2_ENTRY), "attributes");
	ck_assert_str_eq(v2_format_name(V2_FORMATS), "unknown");
	ck_assert_str_eq(v2_need_name(V2_MUST), "must");
	ck_assert_str_eq(v2_need_name((enum v2_need)2), "unknown");
	ck_assert_str_eq(v2_message_name(V2_MESSAGE_put_ok), "put_ok");
	ck_assert_str_eq(v2_message_name(V2_MESSAGES), "unknown");
	ck_assert_str_eq(v2_policy_name(V2_REPLACE_OR_SAME), "REPLACE_OR_SAME");
	ck_assert_str_eq(v2_policy_name((enum v2_policy)0), "unknown");
	ck_assert_str_eq(v2_policy_name((enum v2_policy)5), "unknown");
	ck_assert_str_eq(v2_kind_name(V2_SYMLINK), "symbolic link");
	ck_assert_str_eq(v2_kind_name((enum v2_kind)5), "unknown");
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "page");

	tcase_add_test(tc, test_empty_page);
	tcase_add_test(tc, test_full_page);
	tcase_add_test(tc, test_bad_entry);
	tc = unit_case(s, "written");
	tcase_add_test(tc, test_not_written);
	tcase_add_test(tc, test_bytes_not_written);
	tcase_add_test(tc, test_longest_frame);
	tc = unit_case(s, "meaning");
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_digest_kinds);
	tcase_add_test(tc, test_names);
}

int
main(void)
{
	return unit_run("v2_page", add_cases);
}
