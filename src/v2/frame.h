/*
 * frame.h - protocol 2: preface and frames.
 * Layer: v2. Pure: no I/O, no allocation, no globals. Threads: any.
 * Layout: ftxfer-protocol(7), "OPENING" and "FRAMES". Tests: tests/unit/test_v2_frame.c,
 * tests/fuzz/fuzz_v2_frame.c
 *
 *   preface                 0  8  f7 46 54 58 0d 0a 1a 0a, the same in both directions
 *   frame                   0  4  u32 length of the payload, n
 *                           4  1  u8 type
 *                           5  1  u8 flags
 *                           6  2  u16 id of the request, 0: the connection
 *                           8  n  payload
 *
 * A header is judged by itself, before there is anything of the payload. What depends on which
 * requests are live is judged by those who know them.
 */
#ifndef V2_FRAME_H
#define V2_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

#define V2_PREFACE_SIZE 8
#define V2_HEADER_SIZE  8
#define V2_CONTROL_MAX  65536 /* payload of all messages but DATA */
#define V2_DATA_MIN     65536 /* what MAX_DATA is at least, and until it is known */
#define V2_DATA_MAX     1048576
#define V2_BLOCK        4096 /* payloads of DATA are multiples of it, but for a file's last */

/* Who sends a message. */
enum v2_side { V2_CLIENT = 1, V2_SERVER = 2, V2_BOTH = 3 };

/* What the id of a message is. */
enum v2_id_rule {
	V2_ID_ZERO,        /* the connection */
	V2_ID_NEW,         /* a request's, which this message begins */
	V2_ID_LIVE,        /* a request's that is live */
	V2_ID_LIVE_OR_ZERO /* likewise, or the connection */
};

/* clang-format off */
/* The table: number, name, who sends it, its id. Of one with a new id: a request. */
#define V2_TYPE_TABLE(X) \
	X(0x01, HELLO,   V2_BOTH,   V2_ID_ZERO) \
	X(0x02, PING,    V2_CLIENT, V2_ID_ZERO) \
	X(0x03, PONG,    V2_SERVER, V2_ID_ZERO) \
	X(0x04, GOODBYE, V2_SERVER, V2_ID_ZERO) \
	X(0x10, AUTH,    V2_CLIENT, V2_ID_NEW) \
	X(0x11, PUT,     V2_CLIENT, V2_ID_NEW) \
	X(0x12, GET,     V2_CLIENT, V2_ID_NEW) \
	X(0x13, STAT,    V2_CLIENT, V2_ID_NEW) \
	X(0x14, LIST,    V2_CLIENT, V2_ID_NEW) \
	X(0x15, MKDIR,   V2_CLIENT, V2_ID_NEW) \
	X(0x16, RENAME,  V2_CLIENT, V2_ID_NEW) \
	X(0x17, REMOVE,  V2_CLIENT, V2_ID_NEW) \
	X(0x18, DIGEST,  V2_CLIENT, V2_ID_NEW) \
	X(0x19, CANCEL,  V2_CLIENT, V2_ID_NEW) \
	X(0x40, GO,      V2_SERVER, V2_ID_LIVE) \
	X(0x41, HAVE,    V2_SERVER, V2_ID_LIVE) \
	X(0x42, PREFIX,  V2_CLIENT, V2_ID_LIVE) \
	X(0x43, DATA,    V2_BOTH,   V2_ID_LIVE) \
	X(0x44, END,     V2_BOTH,   V2_ID_LIVE) \
	X(0x50, OK,      V2_SERVER, V2_ID_LIVE) \
	X(0x51, ERROR,   V2_SERVER, V2_ID_LIVE_OR_ZERO) \
	X(0x52, WORKING, V2_SERVER, V2_ID_LIVE) \
	X(0x53, PAGE,    V2_SERVER, V2_ID_LIVE) \
	X(0x54, FILE,    V2_SERVER, V2_ID_LIVE)

/* The flags: message, flag, bit, who may set it. `arg` is the user's. */
#define V2_FLAG_TABLE(X, arg) \
	X(arg, AUTH,   BARRIER,    0x80, V2_CLIENT) \
	X(arg, PUT,    BARRIER,    0x80, V2_CLIENT) \
	X(arg, PUT,    PARENTS,    0x01, V2_CLIENT) \
	X(arg, PUT,    NOW,        0x02, V2_CLIENT) \
	X(arg, GET,    BARRIER,    0x80, V2_CLIENT) \
	X(arg, STAT,   BARRIER,    0x80, V2_CLIENT) \
	X(arg, LIST,   BARRIER,    0x80, V2_CLIENT) \
	X(arg, LIST,   DIGESTS,    0x01, V2_CLIENT) \
	X(arg, MKDIR,  BARRIER,    0x80, V2_CLIENT) \
	X(arg, MKDIR,  PARENTS,    0x01, V2_CLIENT) \
	X(arg, RENAME, BARRIER,    0x80, V2_CLIENT) \
	X(arg, RENAME, REPLACE,    0x01, V2_CLIENT) \
	X(arg, REMOVE, BARRIER,    0x80, V2_CLIENT) \
	X(arg, REMOVE, DIRECTORY,  0x01, V2_CLIENT) \
	X(arg, DIGEST, BARRIER,    0x80, V2_CLIENT) \
	X(arg, DIGEST, FRESH,      0x01, V2_CLIENT) \
	X(arg, END,    ABORT,      0x01, V2_CLIENT) \
	X(arg, END,    CHANGED,    0x02, V2_SERVER) \
	X(arg, OK,     SAME,       0x01, V2_SERVER) \
	X(arg, OK,     SUPERSEDED, 0x02, V2_SERVER) \
	X(arg, OK,     EXISTED,    0x04, V2_SERVER) \
	X(arg, OK,     UNSYNCED,   0x08, V2_SERVER) \
	X(arg, FILE,   PREFIX,     0x01, V2_SERVER)

#define V2_TYPE_ENUM(number, name, sender, id) V2_##name = (number),
enum v2_type { V2_TYPE_TABLE(V2_TYPE_ENUM) };
#undef V2_TYPE_ENUM

/* V2_PUT_NOW, V2_END_ABORT ... */
#define V2_FLAG_ENUM(arg, type, name, bit, sender) V2_##type##_##name = (bit),
enum v2_flag { V2_FLAG_TABLE(V2_FLAG_ENUM, ) V2_BARRIER = 0x80 };
#undef V2_FLAG_ENUM
/* clang-format on */

/* A PUT whose content follows unasked. */
static inline bool
v2_is_put_now(uint8_t type, uint8_t flags)
{
	return type == V2_PUT && (flags & V2_PUT_NOW) != 0;
}

#define V2_REQUEST_FIRST 0x10 /* types from here to the next are requests, also unknown ones */
#define V2_REQUEST_LAST  0x3f

/* A header taken apart, and its payload once that is there. */
struct v2_frame {
	uint32_t length; /* of the payload */
	uint8_t type;    /* enum v2_type, or an unknown request */
	uint8_t flags;   /* enum v2_flag */
	uint16_t id;
	const uint8_t *payload; /* borrowed from the input; NULL: not there, as of DATA */
};

/* What is wrong, and how far it reaches: an ERROR with the request's id, or with the id 0. */
enum v2_reach { V2_REACH_NONE, V2_REACH_REQUEST, V2_REACH_CONNECTION };
struct v2_fault {
	enum v2_reach reach;
	enum ftx_rc rc; /* FTX_OK with V2_REACH_NONE only */
};

/* What a receiver judges a header by. */
struct v2_gate {
	enum v2_side from; /* the peer */
	bool greeted;      /* its HELLO has come */
	uint32_t max_data; /* what we announced as MAX_DATA */
};

/* What there may be of a request until the server's HELLO has been read, and later what it says. */
struct v2_limits {
	uint32_t max_data;
	uint32_t max_now;
	uint16_t max_requests;
};
#define V2_LIMITS_EARLY ((struct v2_limits){ V2_DATA_MIN, 65536, 16 })
#define V2_HEADS_MAX    16 /* PUTs without NOW before their END */

/* Whether len bytes are what a preface begins with; of V2_PREFACE_SIZE and more: is one. */
bool v2_preface_begins(const uint8_t *p, size_t len);
void v2_preface_encode(uint8_t buf[V2_PREFACE_SIZE]);

/*
 * Takes a header apart and judges it: length, type, id, flags, in that order; f is filled in any
 * case. With V2_REACH_REQUEST (FTX_NOT_OFFERED) the payload is to be skipped, and f tells which
 * request is to be refused: unknown, or known with an unknown flag. NOW of a PUT counts all the
 * same: its content is owed.
 */
struct v2_fault v2_frame_decode(const uint8_t buf[V2_HEADER_SIZE], const struct v2_gate *gate,
    struct v2_frame *f) FTX_MUST_CHECK;
/* Of the length, type, flags and id; nothing is judged. */
void v2_frame_encode(const struct v2_frame *f, uint8_t buf[V2_HEADER_SIZE]);

/* What stands at the front of the input. */
enum v2_next {
	V2_NEXT_MORE,    /* *size bytes must be there to say more; now there are fewer */
	V2_NEXT_MESSAGE, /* all of it, f->payload too; *size bytes are to be taken off */
	V2_NEXT_DATA,    /* the header of DATA: *size bytes, then f->length bytes of content */
	V2_NEXT_FAULT    /* of the connection: nothing is to be read any more */
};

/* Looks at len bytes of input. A fault of a request comes with V2_NEXT_MESSAGE. */
enum v2_next v2_frame_next(const uint8_t *p, size_t len, const struct v2_gate *gate,
    struct v2_frame *f, size_t *size, struct v2_fault *fault);

/*
 * How far it reaches that a message of this type from that side is malformed or not supported: a
 * request's own ERROR answers for requests, PREFIX and END.
 */
enum v2_reach v2_message_reach(uint8_t type, enum v2_side from);

/* In the range of requests, known or not. */
bool v2_type_is_request(uint8_t type);
/* All flags that this side may set; 0 for an unknown type. */
uint8_t v2_type_flags(uint8_t type, enum v2_side from);

/* "PUT", "NOW", "server", "live", "request", "message"; "unknown" for what is not in the enum. */
const char *v2_type_name(uint8_t type);
/* Of one bit. */
const char *v2_flag_name(uint8_t type, uint8_t bit);
const char *v2_side_name(enum v2_side side);
const char *v2_id_rule_name(enum v2_id_rule rule);
const char *v2_reach_name(enum v2_reach reach);
const char *v2_next_name(enum v2_next next);

#endif
