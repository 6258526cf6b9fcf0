/* v2/frame: preface and headers of protocol 2. */
#include "unit/unit.h"

#include <string.h>

#include "unit/v2_hex.h"
#include "v2/frame.h"

START_TEST(test_preface)
{
	uint8_t buf[V2_PREFACE_SIZE + 1] = { 0 };

	v2_preface_encode(buf);
	ck_assert_mem_eq(buf, "\xf7\x46\x54\x58\x0d\x0a\x1a\x0a", 9);
	for (size_t len = 1; len <= sizeof(buf); len++)
		ck_assert(v2_preface_begins(buf, len));
	for (size_t i = 0; i < V2_PREFACE_SIZE; i++) {
		buf[i] ^= 0x20;
		ck_assert(v2_preface_begins(buf, i));
		for (size_t len = i + 1; len <= sizeof(buf); len++)
			ck_assert(!v2_preface_begins(buf, len));
		buf[i] ^= 0x20;
	}
}
END_TEST

/* Headers, and what is said of them: most of the sentences of ftxfer-protocol(7), FAILURES. */
static const struct {
	const char *header;
	enum v2_side from;
	bool greeted;
	enum v2_reach reach;
	enum ftx_rc rc;
} headers[] = {
	/* The first frame is HELLO, and no later one is. */
	{ "00000014 01 00 0000", V2_CLIENT, false, V2_REACH_NONE, FTX_OK },
	{ "00000014 01 00 0000", V2_SERVER, false, V2_REACH_NONE, FTX_OK },
	{ "00000014 01 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000014 01 00 0000", V2_SERVER, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 13 00 0001", V2_CLIENT, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 3f 00 0001", V2_CLIENT, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 50 00 0001", V2_SERVER, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000014 01 00 0001", V2_CLIENT, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000014 01 01 0000", V2_CLIENT, false, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00010000 01 00 0000", V2_CLIENT, false, V2_REACH_NONE, FTX_OK },
	{ "00010001 01 00 0000", V2_CLIENT, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "ffffffff 01 00 0000", V2_SERVER, false, V2_REACH_CONNECTION, FTX_PROTOCOL },
	/* Lengths: what was announced for DATA, here 70,000; 65,536 for all else. */
	{ "00010000 11 00 ffff", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00010001 11 00 ffff", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00010001 3f 00 ffff", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000000 13 00 0001", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00011170 43 00 0001", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00011171 43 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00011170 43 00 0001", V2_SERVER, true, V2_REACH_NONE, FTX_OK },
	{ "00011171 43 00 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000001 43 00 0001", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00000000 43 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	/* Unknown messages: of requests the request's affair. */
	{ "00000009 3f ff 0001", V2_CLIENT, true, V2_REACH_REQUEST, FTX_NOT_OFFERED },
	{ "00000009 1a 00 0001", V2_CLIENT, true, V2_REACH_REQUEST, FTX_NOT_OFFERED },
	{ "00000009 3f 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_ID_IN_USE },
	{ "00000009 3f 00 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 00 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 05 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 0f 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 45 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 55 00 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 ff 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	/* The other side's. */
	{ "00000009 50 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 03 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 11 00 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 42 00 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	/* Ids. */
	{ "00000009 13 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_ID_IN_USE },
	{ "00000009 13 40 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_ID_IN_USE },
	{ "00000000 02 00 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 42 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 43 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 44 00 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 50 00 0000", V2_SERVER, true, V2_REACH_CONNECTION, FTX_PROTOCOL },
	{ "00000009 51 00 0000", V2_SERVER, true, V2_REACH_NONE, FTX_OK },
	{ "00000009 51 00 0001", V2_SERVER, true, V2_REACH_NONE, FTX_OK },
	/* Flags. */
	{ "00000009 11 83 0001", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00000009 11 04 0001", V2_CLIENT, true, V2_REACH_REQUEST, FTX_NOT_OFFERED },
	{ "00000009 19 80 0001", V2_CLIENT, true, V2_REACH_REQUEST, FTX_NOT_OFFERED },
	{ "00000009 02 80 0000", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 44 01 0001", V2_CLIENT, true, V2_REACH_NONE, FTX_OK },
	{ "00000009 44 02 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 44 02 0001", V2_SERVER, true, V2_REACH_NONE, FTX_OK },
	{ "00000009 44 01 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 43 01 0001", V2_CLIENT, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
	{ "00000009 50 0f 0001", V2_SERVER, true, V2_REACH_NONE, FTX_OK },
	{ "00000009 50 10 0001", V2_SERVER, true, V2_REACH_CONNECTION, FTX_NOT_OFFERED },
};

START_TEST(test_headers)
{
	struct v2_gate gate = { headers[_i].from, headers[_i].greeted, 70000 };
	uint8_t buf[V2_HEADER_SIZE], again[V2_HEADER_SIZE];
	struct v2_frame f;
	struct v2_fault fault;

	ck_assert_uint_eq(v2_hex(headers[_i].header, buf, sizeof(buf)), V2_HEADER_SIZE);
	memset(&f, 0x55, sizeof(f));
	fault = v2_frame_decode(buf, &gate, &f);
	ck_assert_msg(fault.reach == headers[_i].reach && fault.rc == headers[_i].rc, "%s: %s %s",
	    headers[_i].header, v2_reach_name(fault.reach), ftx_rc_name(fault.rc));
	ck_assert_ptr_null(f.payload);
	v2_frame_encode(&f, again);
	ck_assert_mem_eq(again, buf, sizeof(buf));
}
END_TEST

/* A message is there when its last byte is, DATA when its header is, a fault when it shows. */
START_TEST(test_next)
{
	static const struct v2_gate gate = { V2_CLIENT, true, 65536 };
	uint8_t buf[64];
	struct v2_frame f;
	struct v2_fault fault;
	size_t size, len;

	len = v2_hex("00000009 13 80 0002 0010 0005 612e747874 ff", buf, sizeof(buf));
	for (size_t n = 0; n <= len; n++) {
		enum v2_next next = v2_frame_next(buf, n, &gate, &f, &size, &fault);

		ck_assert_int_eq(next, n < 17 ? V2_NEXT_MORE : V2_NEXT_MESSAGE);
		ck_assert_uint_eq(size, n < 8 ? 8 : 17);
		ck_assert_int_eq(fault.reach, V2_REACH_NONE);
	}
	ck_assert_int_eq(f.type, V2_STAT);
	ck_assert_int_eq(f.flags, V2_BARRIER);
	ck_assert_uint_eq(f.id, 2);
	ck_assert_uint_eq(f.length, 9);
	ck_assert_ptr_eq(f.payload, buf + 8);

	(void)v2_hex("00001000 43 00 0001", buf, sizeof(buf));
	ck_assert_int_eq(v2_frame_next(buf, 7, &gate, &f, &size, &fault), V2_NEXT_MORE);
	ck_assert_int_eq(v2_frame_next(buf, 8, &gate, &f, &size, &fault), V2_NEXT_DATA);
	ck_assert_uint_eq(size, 8);
	ck_assert_uint_eq(f.length, 4096);

	/* Nothing is waited for that will not be read. */
	(void)v2_hex("ffffffff 11 00 0001", buf, sizeof(buf));
	ck_assert_int_eq(v2_frame_next(buf, 8, &gate, &f, &size, &fault), V2_NEXT_FAULT);
	ck_assert_int_eq(fault.rc, FTX_PROTOCOL);

	/* An unknown request is there with its payload, which is to be taken off. */
	len = v2_hex("00000001 30 00 0001 00", buf, sizeof(buf));
	ck_assert_int_eq(v2_frame_next(buf, len - 1, &gate, &f, &size, &fault), V2_NEXT_MORE);
	ck_assert_int_eq(v2_frame_next(buf, len, &gate, &f, &size, &fault), V2_NEXT_MESSAGE);
	ck_assert_uint_eq(size, len);
	ck_assert_int_eq(fault.reach, V2_REACH_REQUEST);
}
END_TEST

START_TEST(test_reach)
{
	for (int type = 0; type < 256; type++) {
		bool own = v2_type_is_request((uint8_t)type) || type == V2_END || type == V2_PREFIX;

		ck_assert_int_eq(v2_message_reach((uint8_t)type, V2_CLIENT),
		    own ? V2_REACH_REQUEST : V2_REACH_CONNECTION);
		ck_assert_int_eq(v2_message_reach((uint8_t)type, V2_SERVER), V2_REACH_CONNECTION);
		ck_assert_int_eq(v2_type_is_request((uint8_t)type), type >= 0x10 && type <= 0x3f);
	}
}
END_TEST

START_TEST(test_names)
{
	ck_assert_str_eq(v2_type_name(V2_HELLO), "HELLO");
	ck_assert_str_eq(v2_type_name(0x54), "FILE");
	ck_assert_str_eq(v2_type_name(0), "unknown");
	ck_assert_str_eq(v2_type_name(0xff), "unknown");
	ck_assert_str_eq(v2_flag_name(V2_PUT, V2_PUT_NOW), "NOW");
	ck_assert_str_eq(v2_flag_name(V2_END, 2), "CHANGED");
	ck_assert_str_eq(v2_flag_name(V2_OK, 2), "SUPERSEDED");
	ck_assert_str_eq(v2_flag_name(V2_PUT, 4), "unknown");
	ck_assert_str_eq(v2_side_name(V2_SERVER), "server");
	ck_assert_str_eq(v2_side_name((enum v2_side)0), "unknown");
	ck_assert_str_eq(v2_side_name((enum v2_side)4), "unknown");
	ck_assert_str_eq(v2_id_rule_name(V2_ID_NEW), "new");
	ck_assert_str_eq(v2_reach_name(V2_REACH_REQUEST), "request");
	ck_assert_str_eq(v2_next_name(V2_NEXT_DATA), "data");
	ck_assert_str_eq(v2_next_name((enum v2_next)4), "unknown");
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "frame");

	tcase_add_test(tc, test_preface);
	tcase_add_loop_test(tc, test_headers, 0, COUNT(headers));
	tcase_add_test(tc, test_next);
	tcase_add_test(tc, test_reach);
	tcase_add_test(tc, test_names);
}

int
main(void)
{
	return unit_run("v2_frame", add_cases);
}
