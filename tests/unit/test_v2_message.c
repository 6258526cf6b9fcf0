/* v2/attr and v2/message: the messages of protocol 2, each as ftxfer-protocol(7) lays it out. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "unit/v2_hex.h"
#include "v2/message.h"

#define XXH (1u << DIGEST_XXH128)
#define SHA (1u << DIGEST_SHA256)

static const struct v2_terms terms = { XXH | SHA, 1048576 };

/* Attributes, as they stand on the wire. */
#define PROTOCOL     "0001 0002 0002 "
#define DIGESTS      "0003 0002 0102 "
#define FEATURES     "0002 0008 8000000000000001 "
#define MAX_DATA     "0004 0004 00100000 "
#define MAX_REQUESTS "0005 0002 0100 "
#define MAX_NOW      "0006 0004 00100000 "
#define MAX_FILE     "0007 0008 ffffffffffffffff "
#define AGENT        "0008 0009 66747866657220312e "
#define TOKEN        "0009 0001 00 "
#define NAME         "0010 0005 612e747874 "
#define TO           "8011 0001 62 "
#define SIZE         "0012 0008 0000000000000005 "
#define MTIME        "0013 000c ffffffffffffffff 3b9ac9ff "
#define MODE         "0014 0002 01a4 "
#define KIND         "0015 0001 01 "
#define FILE_VERSION "0016 0008 a0a1a2a3a4a5a6a7 "
#define DIGEST       "0017 0011 01 b5e9c1ad071b3e7fc779cfaa5e523818 "
#define SHA256                                          \
	"0017 0021 02 b5e9c1ad071b3e7fc779cfaa5e523818" \
	"b5e9c1adc779cfaa5e523818071b3e7f "
#define DIGEST_KIND "8018 0001 02 "
#define UPLOAD_ID   "0020 0010 8f1d2c3b4a5968778695a4b3c2d1e0ff "
#define POLICY(n)   "8021 0001 0" #n " "
#define IF_VERSION  "8022 0009 a0a1a2a3a4a5a6a7a8 "
#define OFFSET      "8023 0008 0000000000001000 "
#define LENGTH      "8024 0008 7fffffffffffefff "
#define RESUME      "0025 0008 7fffffffffffffff "
#define TARGET      "8026 0002 ffff "
#define CURSOR      "8027 0003 000102 "
#define CODE        "0030 0002 00c8 "
#define TEXT        "0031 0002 c3a4 "
#define RETRY_AFTER "0032 0004 0000000a "
#define DONE        "0033 0008 0000000000000001 "
#define TIME        "0034 000c 000000006b0a9812 1dcd6500 "
#define ENTRY_FILE  "0028 0051 " NAME KIND SIZE MTIME MODE FILE_VERSION DIGEST
#define ENTRY_DIR   "0028 0020 0010 0001 64 0015 0001 02 " MTIME MODE
#define UNKNOWN     "003f 0003 000000 "
#define CRITICAL    "803f 0000 "

/* Payloads that are right, in the order of the page, so that they are written again just so. */
static const struct {
	enum v2_message_id id;
	uint8_t flags;
	const char *hex;
	const char *may; /* the numbers of attributes that can be left out */
} good[] = {
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS FEATURES MAX_DATA AGENT, "0002 0008" },
	{ V2_MESSAGE_server_hello, 0,
	    PROTOCOL DIGESTS FEATURES MAX_DATA MAX_REQUESTS MAX_NOW MAX_FILE AGENT,
	    "0002 0007 0008" },
	{ V2_MESSAGE_ping, 0, TOKEN, "0009" },
	{ V2_MESSAGE_pong, 0, TOKEN, "0009" },
	{ V2_MESSAGE_goodbye, 0, RETRY_AFTER, "0032" },
	{ V2_MESSAGE_put, V2_PUT_PARENTS | V2_BARRIER, NAME SIZE MTIME MODE UPLOAD_ID,
	    "0012 0013 0014 0020" },
	{ V2_MESSAGE_put, V2_PUT_NOW, NAME SIZE POLICY(1) DIGEST_KIND, "8021 8018" },
	{ V2_MESSAGE_put, 0, NAME SIZE POLICY(2) IF_VERSION DIGEST_KIND, "0012 8022 8018" },
	{ V2_MESSAGE_put, 0, NAME SIZE POLICY(3) DIGEST, "8021" },
	{ V2_MESSAGE_put, 0, NAME SIZE POLICY(4) IF_VERSION SHA256, "8022" },
	{ V2_MESSAGE_put_end, 0, DIGEST SIZE, "0012" },
	{ V2_MESSAGE_put_end, V2_END_ABORT, SHA256 SIZE, "0012 0017" },
	{ V2_MESSAGE_put_ok, V2_OK_SAME | V2_OK_UNSYNCED, NAME SIZE DIGEST FILE_VERSION TIME, "" },
	{ V2_MESSAGE_put_ok, V2_OK_SUPERSEDED, NAME SIZE SHA256 TIME, "" },
	{ V2_MESSAGE_have, 0, OFFSET, "" },
	{ V2_MESSAGE_prefix, 0, OFFSET DIGEST, "0017" },
	{ V2_MESSAGE_go, 0, OFFSET, "" },
	{ V2_MESSAGE_get, V2_BARRIER, NAME OFFSET LENGTH IF_VERSION DIGEST_KIND,
	    "8023 8024 8022 8018" },
	{ V2_MESSAGE_get, 0, NAME RESUME FILE_VERSION DIGEST, "0016 0017" },
	{ V2_MESSAGE_get, 0, NAME DIGEST_KIND RESUME, "0025 8018" },
	{ V2_MESSAGE_file, 0, SIZE MTIME MODE FILE_VERSION DIGEST OFFSET, "0017" },
	{ V2_MESSAGE_file, V2_FILE_PREFIX, SIZE MTIME MODE FILE_VERSION DIGEST OFFSET,
	    "0017 8023" },
	{ V2_MESSAGE_get_end, 0, DIGEST, "0017" },
	{ V2_MESSAGE_get_end, V2_END_CHANGED, "", "" },
	{ V2_MESSAGE_stat, 0, NAME DIGEST_KIND, "8018" },
	{ V2_MESSAGE_stat_ok, 0, KIND SIZE MTIME MODE FILE_VERSION DIGEST, "0017" },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 02 " MTIME MODE, "" },
	{ V2_MESSAGE_list, V2_LIST_DIGESTS, NAME CURSOR DIGEST_KIND, "8027 8018" },
	{ V2_MESSAGE_page, 0, CURSOR, "8027" },
	{ V2_MESSAGE_mkdir, V2_MKDIR_PARENTS, NAME MODE, "0014" },
	{ V2_MESSAGE_mkdir_ok, V2_OK_EXISTED | V2_OK_UNSYNCED, "", "" },
	{ V2_MESSAGE_rename, V2_RENAME_REPLACE, NAME TO IF_VERSION, "8022" },
	{ V2_MESSAGE_rename_ok, V2_OK_UNSYNCED, FILE_VERSION, "" },
	{ V2_MESSAGE_remove, V2_REMOVE_DIRECTORY, NAME IF_VERSION, "8022" },
	{ V2_MESSAGE_remove_ok, V2_OK_UNSYNCED, "", "" },
	{ V2_MESSAGE_digest, V2_DIGEST_FRESH, NAME DIGEST_KIND OFFSET LENGTH, "8018 8023 8024" },
	{ V2_MESSAGE_digest_ok, 0, DIGEST SIZE FILE_VERSION, "" },
	{ V2_MESSAGE_cancel, 0, TARGET, "" },
	{ V2_MESSAGE_cancel_ok, 0, "", "" },
	{ V2_MESSAGE_error, 0, CODE TEXT RETRY_AFTER TARGET, "0031 0032 8026" },
	{ V2_MESSAGE_working, 0, DONE, "0033" },
};

static const struct {
	uint8_t type;
	enum v2_side from;
} kinds[] = {
#define KIND_OF(name, type, number, from, flags) { V2_##number, from },
	V2_MESSAGE_TABLE(KIND_OF)
};

/* A payload of that message, in memory of just its size. Only with FTX_OK there is no fault. */
static enum ftx_rc
decode(enum v2_message_id id, uint8_t flags, const uint8_t *p, size_t len, union v2_any *m)
{
	struct v2_frame f = { (uint32_t)len, kinds[id].type, flags, 7, p };
	struct v2_fault fault = v2_message_decode(id, &f, &terms, m);
	enum v2_reach reach = v2_message_reach(kinds[id].type, kinds[id].from);

	UNIT_CHECK(fault.reach == (fault.rc == FTX_OK ? V2_REACH_NONE : reach));
	return fault.rc;
}

static enum ftx_rc
decode_hex(enum v2_message_id id, uint8_t flags, const char *hex, union v2_any *m)
{
	static uint8_t buf[4096];

	return decode(id, flags, buf, v2_hex(hex, buf, sizeof(buf)), m);
}

/* One attribute of a payload; false: there is none at *at. */
static bool
next_attr(const uint8_t *p, size_t len, size_t *at, size_t *size, unsigned *number)
{
	if (*at + 4 > len)
		return false;
	*number = (unsigned)p[*at] << 8 | p[*at + 1];
	*size = 4 + ((size_t)p[*at + 2] << 8 | p[*at + 3]);
	return true;
}

/* What was decoded is written again as it was, and nothing is written beyond a bound. */
START_TEST(test_there_and_back)
{
	uint8_t wire[512], again[512];
	union v2_any m;
	size_t len = v2_hex(good[_i].hex, wire, sizeof(wire)), n;

	memset(&m, 0x55, sizeof(m));
	ck_assert_int_eq(decode(good[_i].id, good[_i].flags, wire, len, &m), FTX_OK);
	for (size_t room = 0; room < 8 + len; room++) {
		memset(again, 0x55, sizeof(again));
		ck_assert_uint_eq(
		    v2_message_encode(good[_i].id, &m, good[_i].flags, 0x0102, again, room), 0);
		ck_assert_uint_eq(again[room], 0x55);
	}
	n = v2_message_encode(good[_i].id, &m, good[_i].flags, 0x0102, again, sizeof(again));
	ck_assert_uint_eq(n, 8 + len);
	ck_assert_mem_eq(again + 8, wire, len);
	ck_assert_uint_eq((unsigned)again[2] << 8 | again[3], len);
	ck_assert_uint_eq(again[4], kinds[good[_i].id].type);
	ck_assert_uint_eq(again[5], good[_i].flags);
	ck_assert_mem_eq(again + 6, "\1\2", 2);
	/* A flag that is not the message's. */
	ck_assert_uint_eq(v2_message_encode(good[_i].id, &m, 0x40, 1, again, sizeof(again)), 0);
}
END_TEST

/* Cut anywhere but between two attributes: malformed. */
START_TEST(test_truncated)
{
	uint8_t wire[512], copy[512];
	union v2_any m;
	size_t len = v2_hex(good[_i].hex, wire, sizeof(wire)), at = 0, size;
	unsigned number;

	while (next_attr(wire, len, &at, &size, &number)) {
		for (size_t cut = at + 1; cut < at + size; cut++) {
			memset(copy, 0x55, sizeof(copy));
			memcpy(copy, wire, cut);
			UNIT_CHECK(
			    decode(good[_i].id, good[_i].flags, copy, cut, &m) == FTX_BAD_MESSAGE);
		}
		at += size;
	}
	ck_assert_uint_eq(at, len);
}
END_TEST

/* A payload without, with a changed, and with one more attribute. */
static enum ftx_rc
changed(int i, size_t from, size_t to, const uint8_t *insert, size_t insert_len)
{
	uint8_t wire[512], copy[1024];
	size_t len = v2_hex(good[i].hex, wire, sizeof(wire));
	union v2_any m;

	memcpy(copy, wire, from);
	if (insert_len > 0)
		memcpy(copy + from, insert, insert_len);
	memcpy(copy + from + insert_len, wire + to, len - to);
	return decode(good[i].id, good[i].flags, copy, len - (to - from) + insert_len, &m);
}

/* Each attribute left out, twice, a byte longer or shorter, with another bit 15; and strangers. */
START_TEST(test_each_attribute)
{
	uint8_t wire[512], one[512];
	size_t len = v2_hex(good[_i].hex, wire, sizeof(wire)), at = 0, size;
	unsigned number;

	while (next_attr(wire, len, &at, &size, &number)) {
		bool bytes = number == 0x0010 || number == 0x8011 || number == 0x0016 ||
			     number == 0x8022 || number == 0x0003 || number == 0x0008 ||
			     number == 0x0009 || number == 0x8027 || number == 0x0031;
		bool critical = (number & 0x8000) != 0;
		enum ftx_rc rc;
		char hex[8];

		snprintf(hex, sizeof(hex), "%04x", number);
		ck_assert_msg(changed(_i, at, at + size, NULL, 0) ==
				  (strstr(good[_i].may, hex) != NULL ? FTX_OK : FTX_BAD_MESSAGE),
		    "without %s", hex);
		ck_assert_int_eq(changed(_i, at, at, wire + at, size), FTX_BAD_MESSAGE);

		memcpy(one, wire + at, size);
		one[size] = 0;
		one[3]++;
		if (!bytes)
			ck_assert_msg(changed(_i, at, at + size, one, size + 1) == FTX_BAD_MESSAGE,
			    "%s", hex);
		one[3] -= 2;
		if (!bytes)
			ck_assert_msg(changed(_i, at, at + size, one, size - 1) == FTX_BAD_MESSAGE,
			    "%s", hex);

		/* The bit belongs to the number: it is another attribute, which is not known. */
		one[3]++;
		one[0] ^= 0x80;
		rc = changed(_i, at, at, one, size);
		ck_assert_msg(rc == (critical ? FTX_OK : FTX_NOT_OFFERED), "not %s", hex);

		ck_assert_int_eq(changed(_i, at, at, one, v2_hex(UNKNOWN, one, 16)), FTX_OK);
		ck_assert_int_eq(
		    changed(_i, at, at, one, v2_hex(CRITICAL, one, 16)), FTX_NOT_OFFERED);
		ck_assert_int_eq(changed(_i, at, at, one, v2_hex("7f10 0000", one, 16)), FTX_OK);
		ck_assert_int_eq(
		    changed(_i, at, at, one, v2_hex("ffd2 0000", one, 16)), FTX_NOT_OFFERED);
		at += size;
	}
}
END_TEST

/* What the rows of the page say in words, and which fault counts of several. */
static const struct {
	enum v2_message_id id;
	uint8_t flags;
	const char *hex;
	enum ftx_rc rc;
} cases[] = {
	/* HELLO */
	{ V2_MESSAGE_client_hello, 0, "0001 0002 0001" DIGESTS MAX_DATA, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, "0001 0002 0003" DIGESTS MAX_DATA, FTX_OK },
	{ V2_MESSAGE_server_hello, 0, "0001 0002 0003" DIGESTS MAX_DATA MAX_REQUESTS MAX_NOW,
	    FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL "0003 0001 01" MAX_DATA, FTX_OK },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL "0003 0003 ff0001" MAX_DATA, FTX_OK },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL "0003 0001 02" MAX_DATA, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL "0003 0000" MAX_DATA, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0,
	    PROTOCOL "0003 0011 0101010101010101010101010101010101" MAX_DATA, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS "0004 0004 00010000", FTX_OK },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS "0004 0004 0000f000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS "0004 0004 00011001", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS "0004 0004 00101000", FTX_BAD_MESSAGE },
	/* What only the server says is not known of a client, and so neither good nor bad. */
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS MAX_DATA "0005 0001 00", FTX_OK },
	{ V2_MESSAGE_server_hello, 0, PROTOCOL DIGESTS MAX_DATA "0005 0002 000f" MAX_NOW,
	    FTX_BAD_MESSAGE },
	{ V2_MESSAGE_server_hello, 0, PROTOCOL DIGESTS MAX_DATA MAX_REQUESTS "0006 0004 0000ffff",
	    FTX_BAD_MESSAGE },
	{ V2_MESSAGE_server_hello, 0, PROTOCOL DIGESTS MAX_DATA MAX_REQUESTS "0006 0004 00100001",
	    FTX_BAD_MESSAGE },
	{ V2_MESSAGE_client_hello, 0, PROTOCOL DIGESTS MAX_DATA "0008 0001 ff", FTX_BAD_MESSAGE },
	/* Ranges */
	{ V2_MESSAGE_ping, 0, "0009 0000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME "0012 0008 7fffffffffffffff", FTX_OK },
	{ V2_MESSAGE_put, 0, NAME "0012 0008 8000000000000000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME "0013 000c 8000000000000000 00000000", FTX_OK },
	{ V2_MESSAGE_put, 0, NAME "0013 000c 0000000000000000 3b9aca00", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME "0014 0002 01ff", FTX_OK },
	{ V2_MESSAGE_put, 0, NAME "0014 0002 0200", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, "0010 0000", FTX_OK },
	{ V2_MESSAGE_put, 0, "0010 0003 2f00ff", FTX_OK }, /* not the codec's to judge */
	{ V2_MESSAGE_have, 0, "8023 0008 0000000000000000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_go, 0, "8023 0008 0000000000000000", FTX_OK },
	{ V2_MESSAGE_go, 0, "8023 0008 8000000000000000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_go, 0, "0023 0008 0000000000000000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 04 " MTIME MODE, FTX_OK },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 00 " MTIME MODE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 05 " MTIME MODE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_rename_ok, 0, "0016 0007 00000000000000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_list, 0, NAME "8027 0000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_error, 0, CODE "0031 0000", FTX_OK },
	{ V2_MESSAGE_error, 0, CODE "0031 0001 c3", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_error, 0, "0030 0002 ffff", FTX_OK },
	/* Kinds of digests */
	{ V2_MESSAGE_prefix, 0, OFFSET "0017 0000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_prefix, 0, OFFSET "0017 0001 01", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_prefix, 0, OFFSET "0017 0001 00", FTX_NOT_OFFERED },
	{ V2_MESSAGE_prefix, 0, OFFSET "0017 0005 03 00000000", FTX_NOT_OFFERED },
	{ V2_MESSAGE_stat, 0, NAME "8018 0001 00", FTX_NOT_OFFERED },
	{ V2_MESSAGE_list, V2_LIST_DIGESTS, NAME "8018 0001 21", FTX_NOT_OFFERED },
	{ V2_MESSAGE_get, 0, NAME "8018 0001 ff", FTX_NOT_OFFERED },
	{ V2_MESSAGE_digest, 0, NAME "8018 0001 03", FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME "8018 0001 03", FTX_NOT_OFFERED },
	/* PUT */
	{ V2_MESSAGE_put, 0, NAME POLICY(0), FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME POLICY(5), FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME SIZE POLICY(3), FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME POLICY(4) DIGEST, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME IF_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME POLICY(1) IF_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME SIZE POLICY(3) DIGEST IF_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, 0, NAME DIGEST DIGEST_KIND, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, V2_PUT_NOW, NAME, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put, V2_PUT_NOW, NAME "0012 0008 0000000000100000", FTX_OK },
	{ V2_MESSAGE_put, V2_PUT_NOW, NAME "0012 0008 0000000000100001", FTX_BAD_MESSAGE },
	/* Content */
	{ V2_MESSAGE_put_end, 0, SIZE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put_end, V2_END_ABORT, "", FTX_OK },
	{ V2_MESSAGE_get_end, V2_END_CHANGED, DIGEST, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get_end, 0, DIGEST "0012 0000", FTX_OK },
	{ V2_MESSAGE_put_ok, V2_OK_SUPERSEDED, NAME SIZE DIGEST FILE_VERSION TIME,
	    FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put_ok, 0, NAME SIZE DIGEST TIME, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_put_ok, V2_OK_EXISTED, NAME SIZE DIGEST FILE_VERSION TIME, FTX_NOT_OFFERED },
	{ V2_MESSAGE_mkdir_ok, V2_OK_SAME, "", FTX_NOT_OFFERED },
	{ V2_MESSAGE_cancel_ok, V2_OK_UNSYNCED, "", FTX_NOT_OFFERED },
	/* GET and DIGEST */
	{ V2_MESSAGE_get, 0, NAME RESUME OFFSET, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME RESUME LENGTH, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME FILE_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME DIGEST, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME RESUME DIGEST DIGEST_KIND, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME OFFSET "8024 0008 7ffffffffffff000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_get, 0, NAME "8024 0008 7fffffffffffffff", FTX_OK },
	{ V2_MESSAGE_digest, 0, NAME OFFSET "8024 0008 7ffffffffffff000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_file, 0, SIZE MTIME MODE FILE_VERSION, FTX_BAD_MESSAGE },
	/* Names and listings */
	{ V2_MESSAGE_stat_ok, 0, KIND MTIME MODE FILE_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat_ok, 0, KIND SIZE MTIME MODE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 02 " SIZE MTIME MODE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat_ok, 0, "0015 0001 03 " MTIME MODE FILE_VERSION, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_list, 0, NAME DIGEST_KIND, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_rename, 0, NAME "0011 0001 62", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_page, 0, "", FTX_OK },
	{ V2_MESSAGE_page, 0, ENTRY_FILE ENTRY_DIR CURSOR, FTX_OK },
	{ V2_MESSAGE_page, 0, CURSOR ENTRY_DIR ENTRY_DIR, FTX_OK },
	{ V2_MESSAGE_page, 0, "0028 0000", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_page, 0, "0028 0005 0010 0002 64", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_page, 0, "0028 0024 " CRITICAL "0010 0001 64 0015 0001 02 " MTIME MODE,
	    FTX_NOT_OFFERED },
	{ V2_MESSAGE_page, 0, "0028 0024 0028 0000 0010 0001 64 0015 0001 02 " MTIME MODE, FTX_OK },
	{ V2_MESSAGE_page, 0, "0028 0020 0010 0001 64 0015 0001 01 " MTIME MODE, FTX_BAD_MESSAGE },
	{ V2_MESSAGE_page, 0, ENTRY_DIR "0028 0000" ENTRY_DIR, FTX_BAD_MESSAGE },
	/* Which counts: what runs past the end, then what is critical, then all else. */
	{ V2_MESSAGE_stat, 0, NAME CRITICAL "0010", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat, 0, NAME CRITICAL "0010 0002 61", FTX_BAD_MESSAGE },
	{ V2_MESSAGE_stat, 0, NAME NAME CRITICAL, FTX_NOT_OFFERED },
	{ V2_MESSAGE_stat, 0, CRITICAL NAME NAME, FTX_NOT_OFFERED },
	{ V2_MESSAGE_stat, 0, CRITICAL, FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME IF_VERSION POLICY(7), FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME NAME POLICY(7), FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, POLICY(5) SIZE, FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, "8018 0001 03 8018 0001 01", FTX_NOT_OFFERED },
	{ V2_MESSAGE_put, 0, NAME "8021 0002 0109", FTX_BAD_MESSAGE },
};

START_TEST(test_cases)
{
	union v2_any m;
	enum ftx_rc rc = decode_hex(cases[_i].id, cases[_i].flags, cases[_i].hex, &m);

	ck_assert_msg(rc == cases[_i].rc, "%s %s: %s", v2_message_name(cases[_i].id), cases[_i].hex,
	    ftx_rc_name(rc));
}
END_TEST

/* A kind of digest that only one HELLO had. */
START_TEST(test_terms)
{
	static const struct v2_terms only_xxh = { XXH, 65536 };
	uint8_t buf[128];
	struct v2_frame f = { 0, V2_PUT, V2_PUT_NOW, 1, buf };
	struct v2_put m;

	f.length = (uint32_t)v2_hex(NAME SIZE SHA256, buf, sizeof(buf));
	ck_assert_int_eq(v2_put_decode(&f, &only_xxh, &m).rc, FTX_NOT_OFFERED);
	ck_assert_int_eq(v2_put_decode(&f, &terms, &m).rc, FTX_OK);
	f.length = (uint32_t)v2_hex(NAME SIZE DIGEST_KIND, buf, sizeof(buf));
	ck_assert_int_eq(v2_put_decode(&f, &only_xxh, &m).rc, FTX_NOT_OFFERED);
	f.length = (uint32_t)v2_hex(NAME "0012 0008 0000000000010001", buf, sizeof(buf));
	ck_assert_int_eq(v2_put_decode(&f, &only_xxh, &m).rc, FTX_BAD_MESSAGE);
	ck_assert_int_eq(v2_put_decode(&f, &terms, &m).rc, FTX_OK);
}
END_TEST

START_TEST(test_values_of_a_put)
{
	uint8_t buf[512];
	struct v2_frame f = { 0, V2_PUT, 0, 1, buf };
	struct v2_put m;

	f.length = (uint32_t)v2_hex(
	    POLICY(4) SHA256 MODE UNKNOWN MTIME NAME UPLOAD_ID IF_VERSION SIZE, buf, sizeof(buf));
	ck_assert_int_eq(v2_put_decode(&f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert(V2_HAS(&m, NAME) && V2_HAS(&m, SIZE) && V2_HAS(&m, MTIME) && V2_HAS(&m, MODE));
	ck_assert(V2_HAS(&m, UPLOAD_ID) && V2_HAS(&m, POLICY) && V2_HAS(&m, IF_VERSION));
	ck_assert(V2_HAS(&m, DIGEST) && !V2_HAS(&m, DIGEST_KIND));
	ck_assert(v2_slice_equal(m.name, (struct v2_slice){ (const uint8_t *)"a.txt", 5 }));
	ck_assert(m.name.p > buf && m.name.p < buf + f.length);
	ck_assert_uint_eq(m.size, 5);
	ck_assert_int_eq(m.mtime.sec, -1);
	ck_assert_uint_eq(m.mtime.nsec, 999999999);
	ck_assert_uint_eq(m.mode, 0644);
	ck_assert_mem_eq(m.upload_id, "\x8f\x1d\x2c\x3b\x4a\x59\x68\x77", 8);
	ck_assert_uint_eq(m.policy, V2_REPLACE_OR_SAME);
	ck_assert_uint_eq(m.if_version.len, 9);
	ck_assert_int_eq(m.digest.kind, DIGEST_SHA256);
	ck_assert_mem_eq(m.digest.bytes + 16, "\xb5\xe9\xc1\xad", 4);
	ck_assert_uint_eq(m.digest_kind, DIGEST_SHA256);

	f.length = (uint32_t)v2_hex(NAME, buf, sizeof(buf));
	ck_assert_int_eq(v2_put_decode(&f, &terms, &m).reach, V2_REACH_NONE);
	ck_assert_uint_eq(m.has, V2_BIT(NAME));
	ck_assert_uint_eq(m.policy, V2_CREATE);
	ck_assert_uint_eq(m.digest_kind, DIGEST_XXH128);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "good");

	tcase_add_loop_test(tc, test_there_and_back, 0, COUNT(good));
	tcase_add_loop_test(tc, test_truncated, 0, COUNT(good));
	tcase_add_loop_test(tc, test_each_attribute, 0, COUNT(good));
	tc = unit_case(s, "cases");
	tcase_add_loop_test(tc, test_cases, 0, COUNT(cases));
	tcase_add_test(tc, test_terms);
	tcase_add_test(tc, test_values_of_a_put);
}

int
main(void)
{
	return unit_run("v2_message", add_cases);
}
