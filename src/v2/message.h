/*
 * message.h - protocol 2: its messages <-> structs.
 * Layer: v2. Pure: no I/O, no allocation, no globals. Threads: any.
 * Layout: ftxfer-protocol(7). Tests: tests/unit/test_v2_message.c, test_v2_session.c,
 * tests/fuzz/fuzz_v2_message.c
 *
 * What a struct has is said by its `has` (V2_HAS(m, SIZE)). With each struct stand its attributes,
 * with format and need: "must", "may", or a condition that the decoder keeps, too; a number that
 * begins with 8 is critical. Names and other bytes are borrowed from the payload.
 */
#ifndef V2_MESSAGE_H
#define V2_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "store/digest.h"
#include "v2/attr.h"
#include "v2/frame.h"

#define V2_VERSION 2

/* A frame of any message but PAGE and DATA, with a name of V2_NAME_MAX bytes in each place. */
#define V2_FRAME_ROOM (2 * V2_NAME_MAX + 512)

/* What both HELLOs have settled; what a decoder needs to know of it. */
struct v2_terms {
	uint32_t kinds;   /* of digests, in both HELLOs: bit DIGEST_XXH128 ... */
	uint32_t max_now; /* the server's MAX_NOW */
};

/* What both may list in HELLO, and is on then. */
enum v2_feature {
	V2_FEATURE_PROGRESS = 1 << 0 /* WORKING tells how much of a PUT's content has come */
};
/* Bytes of content, after so many of which at the latest it does. */
#define V2_PROGRESS_STEP ((uint64_t)1048576)

enum v2_policy { V2_CREATE = 1, V2_REPLACE, V2_CREATE_OR_SAME, V2_REPLACE_OR_SAME };
enum v2_kind { V2_REGULAR = 1, V2_DIRECTORY, V2_SYMLINK, V2_OTHER };

/*
 * HELLO                                client  server
 *   0001 PROTOCOL_VERSION u16            must    must; not above the client's, which is V2_VERSION
 *   0003 DIGESTS       bytes, 1 to 16  must    must; DIGEST_XXH128 is one of them
 *   0002 FEATURES      u64             may     may
 *   0004 MAX_DATA      u32             must    must; a multiple of V2_BLOCK
 *   0005 MAX_REQUESTS  u16             -       must
 *   0006 MAX_NOW       u32             -       must
 *   0007 MAX_FILE      u64             -       may
 *   0008 AGENT         text, 0 to 255  may     may
 *   0034 TIME          time            -       may; when it was sent
 */
struct v2_hello {
	uint64_t has;
	uint64_t features, max_file; /* enum v2_feature */
	struct v2_slice digests, agent;
	struct v2_time time;
	uint32_t max_data, max_now;
	uint16_t version, max_requests;
};

/*
 * PING, PONG
 *   0009 TOKEN         bytes, 1 to 32  may
 */
struct v2_ping {
	uint64_t has;
	struct v2_slice token;
};

/*
 * GOODBYE
 *   0032 RETRY_AFTER   u32             may
 */
struct v2_goodbye {
	uint64_t has;
	uint32_t retry_after; /* seconds */
};

/*
 * PUT
 *   0010 NAME          name            must
 *   0012 SIZE          u64             may; must with policy 3, 4; with NOW, at most MAX_NOW
 *   0013 MTIME         time            may
 *   0014 MODE          u16             may
 *   0020 UPLOAD_ID     16 bytes        may
 *   8021 POLICY        u8              may
 *   8022 IF_VERSION    version         may, with policy 2 and 4 only
 *   8018 DIGEST_KIND   u8              may, without DIGEST only
 *   0017 DIGEST        digest          may; must with policy 3, 4
 */
struct v2_put {
	uint64_t has;
	struct v2_slice name, if_version;
	uint64_t size;
	struct v2_time mtime;
	struct digest_value digest;
	uint8_t upload_id[V2_UPLOAD_ID_SIZE];
	uint16_t mode;
	uint8_t policy; /* enum v2_policy; decoded: V2_CREATE if absent */
	uint8_t
	    digest_kind; /* enum digest_kind; decoded: that of `digest`, DIGEST_XXH128 if absent */
};

/*
 * HAVE, GO
 *   8023 OFFSET        u64             must; not 0 in HAVE
 */
struct v2_offset {
	uint64_t has;
	uint64_t offset;
};

/*
 * PREFIX
 *   8023 OFFSET        u64             must
 *   0017 DIGEST        digest          may
 */
struct v2_prefix {
	uint64_t has;
	uint64_t offset;
	struct digest_value digest;
};

/*
 * END of an upload                     END of a download
 *   0017 DIGEST        digest          must without ABORT; may, not with CHANGED
 *   0012 SIZE          u64             may; -
 */
struct v2_end {
	uint64_t has;
	uint64_t size;
	struct digest_value digest;
};

/*
 * OK of PUT, the receipt
 *   0010 NAME          name            must
 *   0012 SIZE          u64             must
 *   0017 DIGEST        digest          must
 *   0016 FILE_VERSION  version         must; absent with SUPERSEDED
 *   0034 TIME          time            must
 */
struct v2_receipt {
	uint64_t has;
	struct v2_slice name, file_version;
	uint64_t size;
	struct v2_time time;
	struct digest_value digest;
};

/*
 * GET
 *   0010 NAME          name            must
 *   8023 OFFSET        u64             may
 *   8024 LENGTH        u64             may; OFFSET + LENGTH is at most V2_OFFSET_MAX
 *   8022 IF_VERSION    version         may
 *   8018 DIGEST_KIND   u8              may, without DIGEST only
 *   0025 RESUME        u64             may, without OFFSET and LENGTH only
 *   0016 FILE_VERSION  version         may, with RESUME only
 *   0017 DIGEST        digest          may, with RESUME only
 */
struct v2_get {
	uint64_t has;
	struct v2_slice name, if_version, file_version;
	uint64_t offset, length, resume;
	struct digest_value digest;
	uint8_t digest_kind; /* as in struct v2_put */
};

/*
 * FILE
 *   0012 SIZE          u64             must
 *   0013 MTIME         time            must
 *   0014 MODE          u16             must
 *   0016 FILE_VERSION  version         must
 *   0017 DIGEST        digest          may
 *   8023 OFFSET        u64             must without PREFIX
 */
struct v2_file {
	uint64_t has;
	uint64_t size, offset;
	struct v2_time mtime;
	struct v2_slice file_version;
	struct digest_value digest;
	uint16_t mode;
};

/*
 * STAT
 *   0010 NAME          name            must
 *   8018 DIGEST_KIND   u8              may
 */
struct v2_stat {
	uint64_t has;
	struct v2_slice name;
	uint8_t digest_kind; /* DIGEST_NONE if absent: any */
};

/*
 * OK of STAT                           ENTRY of PAGE
 *   0010 NAME          name            -; must
 *   0015 KIND          u8              must
 *   0012 SIZE          u64             must of a regular file, else absent
 *   0013 MTIME         time            must
 *   0014 MODE          u16             must
 *   0016 FILE_VERSION  version         must of a regular file, else absent
 *   0017 DIGEST        digest          may
 */
struct v2_entry {
	uint64_t has;
	struct v2_slice name, file_version;
	uint64_t size;
	struct v2_time mtime;
	struct digest_value digest;
	uint16_t mode;
	uint8_t kind; /* enum v2_kind */
};

/*
 * LIST
 *   0010 NAME          name            must
 *   8027 CURSOR        bytes, 1 to 64  may
 *   8018 DIGEST_KIND   u8              may, with DIGESTS only
 */
struct v2_list {
	uint64_t has;
	struct v2_slice name, cursor;
	uint8_t digest_kind; /* DIGEST_NONE if absent: any */
};

/*
 * PAGE
 *   0028 ENTRY         attributes      any number
 *   8027 CURSOR        bytes, 1 to 64  may
 */
struct v2_page {
	uint64_t has;
	struct v2_slice cursor;
	struct v2_entry last; /* of the entries; all of them: v2_page_next() */
};

/*
 * MKDIR
 *   0010 NAME          name            must
 *   0014 MODE          u16             may
 */
struct v2_mkdir {
	uint64_t has;
	struct v2_slice name;
	uint16_t mode;
};

/*
 * RENAME
 *   0010 NAME          name            must
 *   8011 TO            name            must
 *   8022 IF_VERSION    version         may
 */
struct v2_rename {
	uint64_t has;
	struct v2_slice name, to, if_version;
};

/*
 * OK of RENAME
 *   0016 FILE_VERSION  version         must
 */
struct v2_renamed {
	uint64_t has;
	struct v2_slice file_version;
};

/*
 * REMOVE
 *   0010 NAME          name            must
 *   8022 IF_VERSION    version         may
 */
struct v2_remove {
	uint64_t has;
	struct v2_slice name, if_version;
};

/*
 * DIGEST
 *   0010 NAME          name            must
 *   8018 DIGEST_KIND   u8              may
 *   8023 OFFSET        u64             may
 *   8024 LENGTH        u64             may; OFFSET + LENGTH is at most V2_OFFSET_MAX
 */
struct v2_digest {
	uint64_t has;
	struct v2_slice name;
	uint64_t offset, length;
	uint8_t digest_kind; /* decoded: DIGEST_XXH128 if absent */
};

/*
 * OK of DIGEST
 *   0017 DIGEST        digest          must
 *   0012 SIZE          u64             must
 *   0016 FILE_VERSION  version         must
 */
struct v2_digest_made {
	uint64_t has;
	struct digest_value digest;
	uint64_t size;
	struct v2_slice file_version;
};

/*
 * CANCEL
 *   8026 TARGET        u16             must
 */
struct v2_cancel {
	uint64_t has;
	uint16_t target;
};

/* OK of MKDIR, REMOVE and CANCEL: no attributes. */
struct v2_done {
	uint64_t has;
};

/*
 * ERROR
 *   0030 CODE          u16             must
 *   0031 TEXT          text            may
 *   0032 RETRY_AFTER   u32             may
 *   8026 TARGET        u16             may
 */
struct v2_error {
	uint64_t has;
	struct v2_slice text;
	uint32_t retry_after; /* seconds */
	uint16_t code;        /* enum v2_code, or one that is not known */
	uint16_t target;
};

/*
 * WORKING
 *   0033 DONE          u64             may
 */
struct v2_working {
	uint64_t has;
	uint64_t done;
};

/* clang-format off */
/* The table: name of the codec, struct, type, who sends it, the flags that an OK may have. */
#define V2_MESSAGE_TABLE(X) \
	X(client_hello, v2_hello,       HELLO,   V2_CLIENT, 0) \
	X(server_hello, v2_hello,       HELLO,   V2_SERVER, 0) \
	X(ping,         v2_ping,        PING,    V2_CLIENT, 0) \
	X(pong,         v2_ping,        PONG,    V2_SERVER, 0) \
	X(goodbye,      v2_goodbye,     GOODBYE, V2_SERVER, 0) \
	X(put,          v2_put,         PUT,     V2_CLIENT, 0) \
	X(put_end,      v2_end,         END,     V2_CLIENT, 0) \
	X(put_ok,       v2_receipt,     OK,      V2_SERVER, V2_OK_SAME | V2_OK_SUPERSEDED | V2_OK_UNSYNCED) \
	X(have,         v2_offset,      HAVE,    V2_SERVER, 0) \
	X(prefix,       v2_prefix,      PREFIX,  V2_CLIENT, 0) \
	X(go,           v2_offset,      GO,      V2_SERVER, 0) \
	X(get,          v2_get,         GET,     V2_CLIENT, 0) \
	X(file,         v2_file,        FILE,    V2_SERVER, 0) \
	X(get_end,      v2_end,         END,     V2_SERVER, 0) \
	X(stat,         v2_stat,        STAT,    V2_CLIENT, 0) \
	X(stat_ok,      v2_entry,       OK,      V2_SERVER, 0) \
	X(list,         v2_list,        LIST,    V2_CLIENT, 0) \
	X(page,         v2_page,        PAGE,    V2_SERVER, 0) \
	X(mkdir,        v2_mkdir,       MKDIR,   V2_CLIENT, 0) \
	X(mkdir_ok,     v2_done,        OK,      V2_SERVER, V2_OK_EXISTED | V2_OK_UNSYNCED) \
	X(rename,       v2_rename,      RENAME,  V2_CLIENT, 0) \
	X(rename_ok,    v2_renamed,     OK,      V2_SERVER, V2_OK_UNSYNCED) \
	X(remove,       v2_remove,      REMOVE,  V2_CLIENT, 0) \
	X(remove_ok,    v2_done,        OK,      V2_SERVER, V2_OK_UNSYNCED) \
	X(digest,       v2_digest,      DIGEST,  V2_CLIENT, 0) \
	X(digest_ok,    v2_digest_made, OK,      V2_SERVER, 0) \
	X(cancel,       v2_cancel,      CANCEL,  V2_CLIENT, 0) \
	X(cancel_ok,    v2_done,        OK,      V2_SERVER, 0) \
	X(error,        v2_error,       ERROR,   V2_SERVER, 0) \
	X(working,      v2_working,     WORKING, V2_SERVER, 0)

#define V2_MESSAGE_ENUM(name, structure, type, from, ok_flags) V2_MESSAGE_##name,
enum v2_message_id { V2_MESSAGE_TABLE(V2_MESSAGE_ENUM) V2_MESSAGES };
#undef V2_MESSAGE_ENUM
/* clang-format on */

/* As below, for who knows which one it is by its number only: m is the struct of the table. */
struct v2_fault v2_message_decode(enum v2_message_id which, const struct v2_frame *f,
    const struct v2_terms *terms, void *m) FTX_MUST_CHECK;
size_t v2_message_encode(enum v2_message_id which, const void *m, uint8_t flag_bits, uint16_t id,
    void *buf, size_t size) FTX_MUST_CHECK;

/*
 * For each of them, as of PUT:
 *
 * v2_put_decode() takes f->payload apart, whose header v2_frame_decode() found good. Else than
 * V2_REACH_NONE, with FTX_BAD_MESSAGE or FTX_NOT_OFFERED: m is of no use. A name may be of any
 * length and bytes. HELLO is taken apart without terms (NULL).
 *
 * v2_put_encode() writes the whole frame, and returns its length. 0: it does not fit, or is not one
 * that v2_put_decode() would take.
 */
/* clang-format off */
#define V2_CODEC(name, structure, type, from, ok_flags) \
	FTX_MUST_CHECK static inline struct v2_fault \
	v2_##name##_decode(const struct v2_frame *f, const struct v2_terms *terms, struct structure *m) \
	{ \
		return v2_message_decode(V2_MESSAGE_##name, f, terms, m); \
	} \
	FTX_MUST_CHECK static inline size_t \
	v2_##name##_encode(const struct structure *m, uint8_t flag_bits, uint16_t id, void *buf, size_t size) \
	{ \
		return v2_message_encode(V2_MESSAGE_##name, m, flag_bits, id, buf, size); \
	}
V2_MESSAGE_TABLE(V2_CODEC)
#undef V2_CODEC
/* clang-format on */

/* The set of known kinds of digests (bit DIGEST_XXH128 ...) in a DIGESTS. */
uint32_t v2_digest_kinds(struct v2_slice digests);

/* The next entry of a PAGE that was decoded; c begins as cursor_init() of its payload. */
bool v2_page_next(struct cursor *c, const struct v2_terms *terms, struct v2_entry *e);

/* Makes a PAGE piece by piece. */
struct v2_page_writer {
	struct cursor_out out;
	uint8_t *frame; /* borrowed: the buffer */
	uint16_t id;
};
/* Of buf at most V2_HEADER_SIZE + V2_CONTROL_MAX bytes are used; V2_FRAME_ROOM must be there. */
void v2_page_begin(struct v2_page_writer *w, uint16_t id, void *buf, size_t size);
/* False: there is no room for it any more, and nothing was written; or it is no right entry. */
bool v2_page_add(struct v2_page_writer *w, const struct v2_entry *e);
/* The length of the frame, as v2_put_encode(). An empty cursor is none: the last page. */
size_t v2_page_end(struct v2_page_writer *w, struct v2_slice cursor) FTX_MUST_CHECK;

/* "put_ok", "CREATE", "regular file"; "unknown" for what is not in the enum. */
const char *v2_message_name(enum v2_message_id id);
const char *v2_policy_name(enum v2_policy policy);
const char *v2_kind_name(enum v2_kind kind);

#endif
