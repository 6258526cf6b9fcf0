#include "v2/message.h"

#include <string.h>

#include "v2/rules.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
#define KIND(name, structure, type, from, ok_flags) [V2_MESSAGE_##name] = { #name, V2_##type, from, ok_flags },
static const struct kind {
	const char *name;
	uint8_t type;
	enum v2_side from;
	uint8_t ok_flags;
} kinds[V2_MESSAGES] = { V2_MESSAGE_TABLE(KIND) };
/* clang-format on */

/* The flags that a message may have. */
static uint8_t
flags_of(enum v2_message_id id)
{
	return kinds[id].type == V2_OK ? kinds[id].ok_flags
				       : v2_type_flags(kinds[id].type, kinds[id].from);
}

/* What an absent attribute means. */
static void
fill_in(enum v2_message_id id, void *m)
{
	struct v2_put *put = m;
	struct v2_get *get = m;
	struct v2_digest *digest = m;

	switch (id) {
	case V2_MESSAGE_put:
		if (!V2_HAS(put, POLICY))
			put->policy = V2_CREATE;
		if (!V2_HAS(put, DIGEST_KIND))
			put->digest_kind = V2_HAS(put, DIGEST) ? put->digest.kind : DIGEST_XXH128;
		break;
	case V2_MESSAGE_get:
		if (!V2_HAS(get, DIGEST_KIND))
			get->digest_kind = V2_HAS(get, DIGEST) ? get->digest.kind : DIGEST_XXH128;
		break;
	case V2_MESSAGE_digest:
		if (!V2_HAS(digest, DIGEST_KIND))
			digest->digest_kind = DIGEST_XXH128;
		break;
	default:
		break;
	}
}

struct v2_fault
v2_message_decode(
    enum v2_message_id id, const struct v2_frame *f, const struct v2_terms *terms, void *m)
{
	const struct v2_rules *r = &v2_rules[id];
	enum ftx_rc rc =
	    v2_attrs_decode(r->layout, f->payload, f->length, terms != NULL ? terms->kinds : 0, m);

	if (rc == FTX_OK && r->check != NULL)
		rc = r->check(f->flags, terms, m);
	if (rc == FTX_OK && (f->flags & ~flags_of(id)) != 0)
		rc = FTX_NOT_OFFERED;
	fill_in(id, m);
	return (struct v2_fault){
		rc == FTX_OK ? V2_REACH_NONE : v2_message_reach(f->type, kinds[id].from), rc
	};
}

/* The header, once the payload stands behind its place; the length of both, or 0. */
static size_t
finish(const struct cursor_out *out, uint8_t type, uint8_t flags, uint16_t id, uint8_t *frame)
{
	struct v2_frame f = { .type = type, .flags = flags, .id = id };

	if (!cursor_out_ok(out) || out->used > V2_HEADER_SIZE + V2_CONTROL_MAX)
		return 0;
	f.length = (uint32_t)(out->used - V2_HEADER_SIZE);
	v2_frame_encode(&f, frame);
	return out->used;
}

size_t
v2_message_encode(enum v2_message_id message, const void *m, uint8_t flag_bits, uint16_t id,
    void *buf, size_t size)
{
	static const struct v2_terms any = { UINT32_MAX, UINT32_MAX };
	const struct v2_rules *r = &v2_rules[message];
	struct cursor_out out = cursor_out_init(buf, size);

	if ((flag_bits & ~flags_of(message)) != 0 ||
	    (r->check != NULL && r->check(flag_bits, &any, m) != FTX_OK))
		return 0;
	cursor_put_zero(&out, V2_HEADER_SIZE);
	v2_attrs_encode(r->layout, m, &out);
	return finish(&out, kinds[message].type, flag_bits, id, buf);
}

uint32_t
v2_digest_kinds(struct v2_slice digests)
{
	uint32_t kinds_set = 0;

	for (size_t i = 0; i < digests.len; i++) {
		if (v2_digest_size(digests.p[i]) != 0)
			kinds_set |= UINT32_C(1) << digests.p[i];
	}
	return kinds_set;
}

bool
v2_page_next(struct cursor *c, const struct v2_terms *terms, struct v2_entry *e)
{
	struct v2_value v;

	while (v2_attr_next(c, &v)) {
		if (v.number == V2_ATTR_ENTRY)
			return v2_attrs_decode(v2_entry_rows(), v.bytes.p, v.bytes.len,
				   terms->kinds, e) == FTX_OK;
	}
	return false;
}

/* What is kept for the end of a page: a CURSOR. */
#define CURSOR_ROOM (4 + 64)

void
v2_page_begin(struct v2_page_writer *w, uint16_t id, void *buf, size_t size)
{
	size_t most = V2_HEADER_SIZE + V2_CONTROL_MAX;

	*w = (struct v2_page_writer){ .frame = buf, .id = id };
	w->out = cursor_out_init(buf, size < most ? size : most);
	w->out.failed = size < V2_FRAME_ROOM;
	cursor_put_zero(&w->out, V2_HEADER_SIZE);
	if (cursor_out_ok(&w->out))
		w->out.left -= CURSOR_ROOM;
}

bool
v2_page_add(struct v2_page_writer *w, const struct v2_entry *e)
{
	struct cursor_out out = w->out;

	v2_attr_put_nested(V2_ATTR_ENTRY, v2_entry_rows(), e, &out);
	if (!cursor_out_ok(&out))
		return false;
	w->out = out;
	return true;
}

size_t
v2_page_end(struct v2_page_writer *w, struct v2_slice cursor)
{
	struct v2_page m = { .has = cursor.len > 0 ? V2_BIT(CURSOR) : 0, .cursor = cursor };

	if (cursor_out_ok(&w->out))
		w->out.left += CURSOR_ROOM;
	v2_attrs_encode(v2_rules[V2_MESSAGE_page].layout, &m, &w->out);
	return finish(&w->out, V2_PAGE, 0, w->id, w->frame);
}

const char *
v2_message_name(enum v2_message_id id)
{
	return (unsigned)id < V2_MESSAGES ? kinds[id].name : "unknown";
}

const char *
v2_policy_name(enum v2_policy policy)
{
	static const char *const names[] = { [V2_CREATE] = "CREATE",
		[V2_REPLACE] = "REPLACE",
		[V2_CREATE_OR_SAME] = "CREATE_OR_SAME",
		[V2_REPLACE_OR_SAME] = "REPLACE_OR_SAME" };

	return policy >= V2_CREATE && (unsigned)policy < COUNT(names) ? names[policy] : "unknown";
}

const char *
v2_kind_name(enum v2_kind kind)
{
	static const char *const names[] = { [V2_REGULAR] = "regular file",
		[V2_DIRECTORY] = "directory",
		[V2_SYMLINK] = "symbolic link",
		[V2_OTHER] = "something else" };

	return kind >= V2_REGULAR && (unsigned)kind < COUNT(names) ? names[kind] : "unknown";
}
