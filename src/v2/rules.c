#include "v2/rules.h"

/* clang-format off */
/*
 * The rows of each layout: attribute, member, need; in the order in which they are written. (l and s
 * are the layout's name and struct, which LAYOUT() passes on.)
 */
#define CLIENT_HELLO_ROWS(X, l, s) \
	X(l, s, PROTOCOL_VERSION, version,      V2_MUST) \
	X(l, s, DIGESTS,      digests,      V2_MUST) \
	X(l, s, FEATURES,     features,     V2_MAY) \
	X(l, s, MAX_DATA,     max_data,     V2_MUST) \
	X(l, s, AGENT,        agent,        V2_MAY)
#define SERVER_HELLO_ROWS(X, l, s) \
	X(l, s, PROTOCOL_VERSION, version,      V2_MUST) \
	X(l, s, DIGESTS,      digests,      V2_MUST) \
	X(l, s, FEATURES,     features,     V2_MAY) \
	X(l, s, MAX_DATA,     max_data,     V2_MUST) \
	X(l, s, MAX_REQUESTS, max_requests, V2_MUST) \
	X(l, s, MAX_NOW,      max_now,      V2_MUST) \
	X(l, s, MAX_FILE,     max_file,     V2_MAY) \
	X(l, s, AGENT,        agent,        V2_MAY) \
	X(l, s, TIME,         time,         V2_MAY)
#define PING_ROWS(X, l, s) \
	X(l, s, TOKEN,        token,        V2_MAY)
#define GOODBYE_ROWS(X, l, s) \
	X(l, s, RETRY_AFTER,  retry_after,  V2_MAY)
#define PUT_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, SIZE,         size,         V2_MAY) \
	X(l, s, MTIME,        mtime,        V2_MAY) \
	X(l, s, MODE,         mode,         V2_MAY) \
	X(l, s, UPLOAD_ID,    upload_id,    V2_MAY) \
	X(l, s, POLICY,       policy,       V2_MAY) \
	X(l, s, IF_VERSION,   if_version,   V2_MAY) \
	X(l, s, DIGEST_KIND,  digest_kind,  V2_MAY) \
	X(l, s, DIGEST,       digest,       V2_MAY)
#define PUT_END_ROWS(X, l, s) \
	X(l, s, DIGEST,       digest,       V2_MAY) \
	X(l, s, SIZE,         size,         V2_MAY)
#define PUT_OK_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, SIZE,         size,         V2_MUST) \
	X(l, s, DIGEST,       digest,       V2_MUST) \
	X(l, s, FILE_VERSION, file_version, V2_MAY) \
	X(l, s, TIME,         time,         V2_MUST)
#define OFFSET_ROWS(X, l, s) \
	X(l, s, OFFSET,       offset,       V2_MUST)
#define PREFIX_ROWS(X, l, s) \
	X(l, s, OFFSET,       offset,       V2_MUST) \
	X(l, s, DIGEST,       digest,       V2_MAY)
#define GET_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, OFFSET,       offset,       V2_MAY) \
	X(l, s, LENGTH,       length,       V2_MAY) \
	X(l, s, IF_VERSION,   if_version,   V2_MAY) \
	X(l, s, DIGEST_KIND,  digest_kind,  V2_MAY) \
	X(l, s, RESUME,       resume,       V2_MAY) \
	X(l, s, FILE_VERSION, file_version, V2_MAY) \
	X(l, s, DIGEST,       digest,       V2_MAY)
#define FILE_ROWS(X, l, s) \
	X(l, s, SIZE,         size,         V2_MUST) \
	X(l, s, MTIME,        mtime,        V2_MUST) \
	X(l, s, MODE,         mode,         V2_MUST) \
	X(l, s, FILE_VERSION, file_version, V2_MUST) \
	X(l, s, DIGEST,       digest,       V2_MAY) \
	X(l, s, OFFSET,       offset,       V2_MAY)
#define GET_END_ROWS(X, l, s) \
	X(l, s, DIGEST,       digest,       V2_MAY)
#define STAT_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, DIGEST_KIND,  digest_kind,  V2_MAY)
#define STAT_OK_ROWS(X, l, s) \
	X(l, s, KIND,         kind,         V2_MUST) \
	X(l, s, SIZE,         size,         V2_MAY) \
	X(l, s, MTIME,        mtime,        V2_MUST) \
	X(l, s, MODE,         mode,         V2_MUST) \
	X(l, s, FILE_VERSION, file_version, V2_MAY) \
	X(l, s, DIGEST,       digest,       V2_MAY)
#define ENTRY_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	STAT_OK_ROWS(X, l, s)
#define LIST_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, CURSOR,       cursor,       V2_MAY) \
	X(l, s, DIGEST_KIND,  digest_kind,  V2_MAY)
#define PAGE_ROWS(X, l, s) \
	X(l, s, ENTRY,        last,         V2_MAY) \
	X(l, s, CURSOR,       cursor,       V2_MAY)
#define MKDIR_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, MODE,         mode,         V2_MAY)
#define RENAME_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, TO,           to,           V2_MUST) \
	X(l, s, IF_VERSION,   if_version,   V2_MAY)
#define RENAME_OK_ROWS(X, l, s) \
	X(l, s, FILE_VERSION, file_version, V2_MUST)
#define REMOVE_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, IF_VERSION,   if_version,   V2_MAY)
#define DIGEST_ROWS(X, l, s) \
	X(l, s, NAME,         name,         V2_MUST) \
	X(l, s, DIGEST_KIND,  digest_kind,  V2_MAY) \
	X(l, s, OFFSET,       offset,       V2_MAY) \
	X(l, s, LENGTH,       length,       V2_MAY)
#define DIGEST_OK_ROWS(X, l, s) \
	X(l, s, DIGEST,       digest,       V2_MUST) \
	X(l, s, SIZE,         size,         V2_MUST) \
	X(l, s, FILE_VERSION, file_version, V2_MUST)
#define CANCEL_ROWS(X, l, s) \
	X(l, s, TARGET,       target,       V2_MUST)
#define ERROR_ROWS(X, l, s) \
	X(l, s, CODE,         code,         V2_MUST) \
	X(l, s, TEXT,         text,         V2_MAY) \
	X(l, s, RETRY_AFTER,  retry_after,  V2_MAY) \
	X(l, s, TARGET,       target,       V2_MAY)
#define WORKING_ROWS(X, l, s) \
	X(l, s, DONE,         done,         V2_MAY)


/* The member must be what its format says. */
#define V2_U8_MEMBER    uint8_t
#define V2_U16_MEMBER   uint16_t
#define V2_U32_MEMBER   uint32_t
#define V2_U64_MEMBER   uint64_t
#define V2_TIME_MEMBER  struct v2_time
#define V2_BYTES_MEMBER struct v2_slice
#define V2_TEXT_MEMBER  struct v2_slice
#define V2_ID_MEMBER    uint8_t[V2_UPLOAD_ID_SIZE]
#define V2_SUM_MEMBER   struct digest_value
#define V2_ENTRY_MEMBER struct v2_entry
#define SIZE_OF(number, name, format, least, most) size_of_##name = sizeof(format##_MEMBER),
enum { V2_ATTR_TABLE(SIZE_OF) };

#define ROW_CHECK(l, s, attr, member, need) \
	_Static_assert(sizeof(((struct s *)NULL)->member) == size_of_##attr, \
	    "format of " #attr);
#define ROW_AT(l, s, attr, member, need) l##_##attr,
#define ROW(l, s, attr, member, need) \
	{ V2_ATTR_##attr, offsetof(struct s, member), V2_FORMAT_##attr, need },
#define ROW_MUST(l, s, attr, member, need) | ((need) == V2_MUST ? V2_BIT(attr) : 0)
#define ROW_SLOT(l, s, attr, member, need) [V2_ATTR_##attr & (V2_ATTR_SLOTS - 1)] = l##_##attr + 1,
#define LAYOUT(l, s, ROWS, entry_layout, check_more) \
	ROWS(ROW_CHECK, l, s) \
	_Static_assert(offsetof(struct s, has) == 0, "has is first"); \
	enum { ROWS(ROW_AT, l, s) l##_count }; \
	static const struct v2_row l##_rows[] = { ROWS(ROW, l, s) }; \
	static const struct v2_layout l##_layout = { check_more, l##_rows, l##_count, sizeof(struct s), \
		0 ROWS(ROW_MUST, l, s), { ROWS(ROW_SLOT, l, s) }, entry_layout };
/* clang-format on */

/* What is said of each entry, and of what STAT finds. */
static enum ftx_rc
check_kind(const void *m)
{
	const struct v2_entry *e = m;
	uint64_t of_regular = V2_BIT(SIZE) | V2_BIT(FILE_VERSION);

	return (e->has & of_regular) == (e->kind == V2_REGULAR ? of_regular : 0) ? FTX_OK
										 : FTX_BAD_MESSAGE;
}

/* clang-format off */
LAYOUT(client_hello, v2_hello, CLIENT_HELLO_ROWS, NULL, NULL)
LAYOUT(server_hello, v2_hello, SERVER_HELLO_ROWS, NULL, NULL)
LAYOUT(ping, v2_ping, PING_ROWS, NULL, NULL)
LAYOUT(goodbye, v2_goodbye, GOODBYE_ROWS, NULL, NULL)
LAYOUT(put, v2_put, PUT_ROWS, NULL, NULL)
LAYOUT(put_end, v2_end, PUT_END_ROWS, NULL, NULL)
LAYOUT(put_ok, v2_receipt, PUT_OK_ROWS, NULL, NULL)
LAYOUT(offset, v2_offset, OFFSET_ROWS, NULL, NULL)
LAYOUT(prefix, v2_prefix, PREFIX_ROWS, NULL, NULL)
LAYOUT(get, v2_get, GET_ROWS, NULL, NULL)
LAYOUT(file, v2_file, FILE_ROWS, NULL, NULL)
LAYOUT(get_end, v2_end, GET_END_ROWS, NULL, NULL)
LAYOUT(stat, v2_stat, STAT_ROWS, NULL, NULL)
LAYOUT(stat_ok, v2_entry, STAT_OK_ROWS, NULL, check_kind)
LAYOUT(entry, v2_entry, ENTRY_ROWS, NULL, check_kind)
LAYOUT(list, v2_list, LIST_ROWS, NULL, NULL)
LAYOUT(page, v2_page, PAGE_ROWS, &entry_layout, NULL)
LAYOUT(mkdir, v2_mkdir, MKDIR_ROWS, NULL, NULL)
LAYOUT(rename, v2_rename, RENAME_ROWS, NULL, NULL)
LAYOUT(rename_ok, v2_renamed, RENAME_OK_ROWS, NULL, NULL)
LAYOUT(remove, v2_remove, REMOVE_ROWS, NULL, NULL)
LAYOUT(digest, v2_digest, DIGEST_ROWS, NULL, NULL)
LAYOUT(digest_ok, v2_digest_made, DIGEST_OK_ROWS, NULL, NULL)
LAYOUT(cancel, v2_cancel, CANCEL_ROWS, NULL, NULL)
LAYOUT(error, v2_error, ERROR_ROWS, NULL, NULL)
LAYOUT(working, v2_working, WORKING_ROWS, NULL, NULL)
/* clang-format on */
static const struct v2_layout nothing_layout = { .size = sizeof(struct v2_done) };

/* An OFFSET that is absent is 0, and so is the LENGTH here. */
static bool
range_is_right(uint64_t offset, uint64_t length)
{
	return length <= (uint64_t)V2_OFFSET_MAX - offset;
}

static enum ftx_rc
check_hello(const struct v2_hello *m)
{
	if (m->max_data % V2_BLOCK != 0 ||
	    (v2_digest_kinds(m->digests) & UINT32_C(1) << DIGEST_XXH128) == 0)
		return FTX_BAD_MESSAGE;
	return FTX_OK;
}

static enum ftx_rc
check_client_hello(uint8_t flags, const struct v2_terms *terms, const void *m)
{
	(void)flags;
	(void)terms;
	return check_hello(m);
}

static enum ftx_rc
check_server_hello(uint8_t flags, const struct v2_terms *terms, const void *m)
{
	const struct v2_hello *h = m;

	(void)flags;
	(void)terms;
	return h->version > V2_VERSION ? FTX_BAD_MESSAGE : check_hello(h);
}

static enum ftx_rc
check_put(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_put *m = message;
	unsigned policy = V2_HAS(m, POLICY) ? m->policy : V2_CREATE;
	bool same = policy == V2_CREATE_OR_SAME || policy == V2_REPLACE_OR_SAME;
	bool replace = policy == V2_REPLACE || policy == V2_REPLACE_OR_SAME;

	if (V2_HAS(m, DIGEST_KIND) && V2_HAS(m, DIGEST))
		return FTX_BAD_MESSAGE;
	if (V2_HAS(m, IF_VERSION) && !replace)
		return FTX_BAD_MESSAGE;
	if (same && !(V2_HAS(m, SIZE) && V2_HAS(m, DIGEST)))
		return FTX_BAD_MESSAGE;
	if ((flags & V2_PUT_NOW) != 0 && !(V2_HAS(m, SIZE) && m->size <= terms->max_now))
		return FTX_BAD_MESSAGE;
	return FTX_OK;
}

static enum ftx_rc
check_put_end(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_end *m = message;

	(void)terms;
	return (flags & V2_END_ABORT) != 0 || V2_HAS(m, DIGEST) ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_put_ok(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_receipt *m = message;
	bool superseded = (flags & V2_OK_SUPERSEDED) != 0;

	(void)terms;
	return V2_HAS(m, FILE_VERSION) != superseded ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_have(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_offset *m = message;

	(void)flags;
	(void)terms;
	return m->offset != 0 ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_get(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_get *m = message;
	bool resume = V2_HAS(m, RESUME);

	(void)flags;
	(void)terms;
	if (V2_HAS(m, DIGEST_KIND) && V2_HAS(m, DIGEST))
		return FTX_BAD_MESSAGE;
	if (resume && (V2_HAS(m, OFFSET) || V2_HAS(m, LENGTH)))
		return FTX_BAD_MESSAGE;
	if (!resume && (V2_HAS(m, FILE_VERSION) || V2_HAS(m, DIGEST)))
		return FTX_BAD_MESSAGE;
	return range_is_right(m->offset, m->length) ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_file(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_file *m = message;

	(void)terms;
	return (flags & V2_FILE_PREFIX) != 0 || V2_HAS(m, OFFSET) ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_get_end(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_end *m = message;

	(void)terms;
	return (flags & V2_END_CHANGED) != 0 && V2_HAS(m, DIGEST) ? FTX_BAD_MESSAGE : FTX_OK;
}

static enum ftx_rc
check_list(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_list *m = message;

	(void)terms;
	return (flags & V2_LIST_DIGESTS) != 0 || !V2_HAS(m, DIGEST_KIND) ? FTX_OK : FTX_BAD_MESSAGE;
}

static enum ftx_rc
check_digest(uint8_t flags, const struct v2_terms *terms, const void *message)
{
	const struct v2_digest *m = message;

	(void)flags;
	(void)terms;
	return range_is_right(m->offset, m->length) ? FTX_OK : FTX_BAD_MESSAGE;
}

/* clang-format off */
const struct v2_rules v2_rules[V2_MESSAGES] = {
	[V2_MESSAGE_client_hello] = { &client_hello_layout, check_client_hello },
	[V2_MESSAGE_server_hello] = { &server_hello_layout, check_server_hello },
	[V2_MESSAGE_ping]         = { &ping_layout, NULL },
	[V2_MESSAGE_pong]         = { &ping_layout, NULL },
	[V2_MESSAGE_goodbye]      = { &goodbye_layout, NULL },
	[V2_MESSAGE_put]          = { &put_layout, check_put },
	[V2_MESSAGE_put_end]      = { &put_end_layout, check_put_end },
	[V2_MESSAGE_put_ok]       = { &put_ok_layout, check_put_ok },
	[V2_MESSAGE_have]         = { &offset_layout, check_have },
	[V2_MESSAGE_prefix]       = { &prefix_layout, NULL },
	[V2_MESSAGE_go]           = { &offset_layout, NULL },
	[V2_MESSAGE_get]          = { &get_layout, check_get },
	[V2_MESSAGE_file]         = { &file_layout, check_file },
	[V2_MESSAGE_get_end]      = { &get_end_layout, check_get_end },
	[V2_MESSAGE_stat]         = { &stat_layout, NULL },
	[V2_MESSAGE_stat_ok]      = { &stat_ok_layout, NULL },
	[V2_MESSAGE_list]         = { &list_layout, check_list },
	[V2_MESSAGE_page]         = { &page_layout, NULL },
	[V2_MESSAGE_mkdir]        = { &mkdir_layout, NULL },
	[V2_MESSAGE_mkdir_ok]     = { &nothing_layout, NULL },
	[V2_MESSAGE_rename]       = { &rename_layout, NULL },
	[V2_MESSAGE_rename_ok]    = { &rename_ok_layout, NULL },
	[V2_MESSAGE_remove]       = { &remove_layout, NULL },
	[V2_MESSAGE_remove_ok]    = { &nothing_layout, NULL },
	[V2_MESSAGE_digest]       = { &digest_layout, check_digest },
	[V2_MESSAGE_digest_ok]    = { &digest_ok_layout, NULL },
	[V2_MESSAGE_cancel]       = { &cancel_layout, NULL },
	[V2_MESSAGE_cancel_ok]    = { &nothing_layout, NULL },
	[V2_MESSAGE_error]        = { &error_layout, NULL },
	[V2_MESSAGE_working]      = { &working_layout, NULL },
};
/* clang-format on */

const struct v2_layout *
v2_entry_rows(void)
{
	return &entry_layout;
}
