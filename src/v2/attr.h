/*
 * attr.h - protocol 2: payloads of attributes <-> structs, by tables.
 * Layer: v2. Pure: no I/O, no allocation, no globals. Threads: any.
 * Layout: ftxfer-protocol(7), "ATTRIBUTES". Tests: tests/unit/test_v2_message.c,
 * tests/fuzz/fuzz_v2_message.c
 *
 *   attribute               0  2  u16 number; bit 15: critical
 *                           2  2  u16 length of the value, n
 *                           4  n  value
 *
 * A message has a layout: a row for each attribute that it knows. The messages themselves are in
 * v2/message.
 */
#ifndef V2_ATTR_H
#define V2_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/rc.h"
#include "store/digest.h"

/* What a value is, and as what it stands in a struct. */
enum v2_format {
	V2_U8,    /* uint8_t */
	V2_U16,   /* uint16_t */
	V2_U32,   /* uint32_t */
	V2_U64,   /* uint64_t */
	V2_TIME,  /* struct v2_time */
	V2_BYTES, /* struct v2_slice */
	V2_TEXT,  /* struct v2_slice, of UTF-8 */
	V2_ID,    /* uint8_t[V2_UPLOAD_ID_SIZE] */
	V2_SUM,   /* struct digest_value */
	V2_ENTRY, /* a struct of the layout for entries: the last one of them */
	V2_FORMATS
};

#define V2_UPLOAD_ID_SIZE 16
#define V2_OFFSET_MAX     INT64_MAX
#define V2_NAME_MAX       4096
#define V2_TEXT_MAX       1024
#define V2_VERSION_MAX    32 /* bytes of the longest FILE_VERSION */

/* clang-format off */
/*
 * The table: number, name, format, and the least and most that its value may be, or of V2_BYTES
 * and V2_TEXT how many bytes. Numbers without bit 15 are all different, and less than 64.
 */
#define V2_ATTR_TABLE(X) \
	X(0x0001, PROTOCOL_VERSION, V2_U16, 2, UINT16_MAX) \
	X(0x0002, FEATURES,     V2_U64,     0, UINT64_MAX) \
	X(0x0003, DIGESTS,      V2_BYTES,   1, 16) \
	X(0x0004, MAX_DATA,     V2_U32,     65536, 1048576) \
	X(0x0005, MAX_REQUESTS, V2_U16,     16, UINT16_MAX) \
	X(0x0006, MAX_NOW,      V2_U32,     65536, 1048576) \
	X(0x0007, MAX_FILE,     V2_U64,     0, UINT64_MAX) \
	X(0x0008, AGENT,        V2_TEXT,    0, 255) \
	X(0x0009, TOKEN,        V2_BYTES,   1, 32) \
	X(0x0010, NAME,         V2_BYTES,   0, UINT16_MAX) \
	X(0x8011, TO,           V2_BYTES,   0, UINT16_MAX) \
	X(0x0012, SIZE,         V2_U64,     0, V2_OFFSET_MAX) \
	X(0x0013, MTIME,        V2_TIME,    0, 0) \
	X(0x0014, MODE,         V2_U16,     0, 0777) \
	X(0x0015, KIND,         V2_U8,      1, 4) \
	X(0x0016, FILE_VERSION, V2_BYTES,   8, V2_VERSION_MAX) \
	X(0x0017, DIGEST,       V2_SUM,     0, 0) \
	X(0x8018, DIGEST_KIND,  V2_U8,      DIGEST_XXH128, DIGEST_SHA256) \
	X(0x0020, UPLOAD_ID,    V2_ID,      0, 0) \
	X(0x8021, POLICY,       V2_U8,      1, 4) \
	X(0x8022, IF_VERSION,   V2_BYTES,   8, V2_VERSION_MAX) \
	X(0x8023, OFFSET,       V2_U64,     0, V2_OFFSET_MAX) \
	X(0x8024, LENGTH,       V2_U64,     0, V2_OFFSET_MAX) \
	X(0x0025, RESUME,       V2_U64,     0, V2_OFFSET_MAX) \
	X(0x8026, TARGET,       V2_U16,     0, UINT16_MAX) \
	X(0x8027, CURSOR,       V2_BYTES,   1, 64) \
	X(0x0028, ENTRY,        V2_ENTRY,   0, 0) \
	X(0x0030, CODE,         V2_U16,     0, UINT16_MAX) \
	X(0x0031, TEXT,         V2_TEXT,    0, V2_TEXT_MAX) \
	X(0x0032, RETRY_AFTER,  V2_U32,     0, UINT32_MAX) \
	X(0x0033, DONE,         V2_U64,     0, UINT64_MAX) \
	X(0x0034, TIME,         V2_TIME,    0, 0)

#define V2_ATTR_ENUM(number, name, format, least, most) V2_ATTR_##name = (number),
enum v2_attr { V2_ATTR_TABLE(V2_ATTR_ENUM) };
#undef V2_ATTR_ENUM
#define V2_ATTR_FORMAT(number, name, format, least, most) V2_FORMAT_##name = (format),
enum { V2_ATTR_TABLE(V2_ATTR_FORMAT) };
#undef V2_ATTR_FORMAT
/* clang-format on */

#define V2_ATTR_CRITICAL 0x8000
#define V2_ATTR_SLOTS    64 /* numbers without bit 15 are less */

/* clang-format off */
#define V2_ATTR_CHECK(number, name, format, least, most) \
	_Static_assert(((number) & ~V2_ATTR_CRITICAL) / V2_ATTR_SLOTS == 0, #name " has no slot");
V2_ATTR_TABLE(V2_ATTR_CHECK)
#undef V2_ATTR_CHECK
/* clang-format on */

/*
 * The first member of each message's struct, `has`, is a set of these: which attributes are there.
 * A member whose attribute is not there is zero, or what message.h says.
 */
#define V2_BIT(name)    (UINT64_C(1) << (V2_ATTR_##name & (V2_ATTR_SLOTS - 1)))
#define V2_HAS(m, name) (((m)->has >> (V2_ATTR_##name & (V2_ATTR_SLOTS - 1)) & 1) != 0)

/* Bytes of somebody else's: of the payload in what was decoded. Not NUL-terminated. */
struct v2_slice {
	const uint8_t *p; /* borrowed */
	size_t len;
};

struct v2_time {
	int64_t sec;   /* since 1970 */
	uint32_t nsec; /* less than 1,000,000,000, counting forward */
};

/* Whether a message must have an attribute. */
enum v2_need { V2_MAY, V2_MUST };

/* One attribute of a message. A second one is an error, but for V2_ENTRY. */
struct v2_row {
	uint16_t number; /* enum v2_attr */
	uint16_t offset; /* of the member that holds it */
	uint8_t format;  /* enum v2_format */
	uint8_t need;    /* enum v2_need */
};

/* What a payload may hold. */
struct v2_layout {
	enum ftx_rc (*check)(const void *m); /* what rows cannot say; NULL: nothing */
	const struct v2_row *rows;           /* static; in the order in which they are written */
	size_t count;                        /* of them */
	size_t size;                         /* of the struct */
	uint64_t must;                       /* V2_BIT of all that must be there */
	uint8_t slot[V2_ATTR_SLOTS];         /* by number without bit 15: index of the row and 1 */
	const struct v2_layout *entry;       /* static; of what is in an ENTRY, or NULL */
};

/* One attribute, as it comes. */
struct v2_value {
	uint16_t number;
	struct v2_slice bytes;
};

/*
 * Takes the next attribute off the front of the payload, whatever it is. False: there is none, or
 * it runs past the end; cursor_done() says which.
 */
bool v2_attr_next(struct cursor *payload, struct v2_value *v);

/*
 * A payload into the layout's struct m, whose slices point into the payload. Digests may be of the
 * kinds in the set `kinds` (bit DIGEST_SHA256 ...).
 * FTX_BAD_MESSAGE: malformed. FTX_NOT_OFFERED: something critical is unknown, or a kind of digest.
 * Of several faults the one counts that ftxfer-protocol(7) has first. m is then of no use.
 */
enum ftx_rc v2_attrs_decode(
    const struct v2_layout *l, const void *p, size_t len, uint32_t kinds, void *m) FTX_MUST_CHECK;

/*
 * Appends what m->has to out, whose failure is sticky. It fails also when the layout knows one of
 * them not, or needs one more. An ENTRY is not written, see v2_attr_put_nested().
 */
void v2_attrs_encode(const struct v2_layout *l, const void *m, struct cursor_out *out);
/* An attribute whose value are attributes. */
void v2_attr_put_nested(
    uint16_t number, const struct v2_layout *l, const void *m, struct cursor_out *out);

/* Bytes of a digest of that kind on the wire, without the kind; 0 for one that is not known. */
size_t v2_digest_size(unsigned kind);
bool v2_slice_equal(struct v2_slice a, struct v2_slice b);

/* "SIZE", "u64", "must"; "unknown" for what is not in the enum. */
const char *v2_attr_name(uint16_t number);
const char *v2_format_name(enum v2_format format);
const char *v2_need_name(enum v2_need need);

#endif
