#include "v2/attr.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define HEADER_SIZE  4
#define NANOSECONDS  1000000000
#define SLOT(number) ((number) & (V2_ATTR_SLOTS - 1))
#define BIT(number)  (UINT64_C(1) << SLOT(number))

/* clang-format off */
/* What a value may be, by slot. */
#define RANGE(number, name, format, least, most) [SLOT(number)] = { (least), (most) },
static const struct range {
	uint64_t least, most;
} ranges[V2_ATTR_SLOTS] = { V2_ATTR_TABLE(RANGE) };
/* clang-format on */

/* The kinds of digests are counted alike on the wire and in the store. */
_Static_assert(DIGEST_XXH128 == 1 && DIGEST_SHA256 == 2, "kinds of digests");

size_t
v2_digest_size(unsigned kind)
{
	static const uint8_t sizes[] = { [DIGEST_XXH128] = 16, [DIGEST_SHA256] = 32 };

	return kind < COUNT(sizes) ? sizes[kind] : 0;
}

bool
v2_slice_equal(struct v2_slice a, struct v2_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
v2_attr_next(struct cursor *payload, struct v2_value *v)
{
	if (cursor_done(payload))
		return false;
	v->number = cursor_get_u16(payload);
	v->bytes.len = cursor_get_u16(payload);
	v->bytes.p = cursor_get_bytes(payload, v->bytes.len);
	return cursor_ok(payload);
}

static bool
is_utf8(struct v2_slice s)
{
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;

		n = utf8_decode(s.p + i, s.len - i, &cp);
		if (n == 0)
			return false;
	}
	return true;
}

static bool
in_range(const struct v2_row *row, uint64_t v)
{
	const struct range *r = &ranges[SLOT(row->number)];

	return v >= r->least && v <= r->most;
}

/* The number in all of the value; false: of another width, or out of range. */
static bool
get_number(const struct v2_row *row, struct cursor *c, void *member)
{
	uint64_t v;

	switch (row->format) {
	case V2_U16:
		v = cursor_get_u16(c);
		*(uint16_t *)member = (uint16_t)v;
		break;
	case V2_U32:
		v = cursor_get_u32(c);
		*(uint32_t *)member = (uint32_t)v;
		break;
	default:
		v = cursor_get_u64(c);
		*(uint64_t *)member = v;
		break;
	}
	return cursor_done(c) && in_range(row, v);
}

/*
 * One that is critical is a choice: of what a later version of the protocol may offer more. A kind
 * of digest is there if both sides have it.
 */
static enum ftx_rc
get_u8(const struct v2_row *row, struct cursor *c, uint32_t kinds, uint8_t *member)
{
	bool critical = (row->number & V2_ATTR_CRITICAL) != 0;

	*member = cursor_get_u8(c);
	if (!cursor_done(c))
		return FTX_BAD_MESSAGE;
	if (!in_range(row, *member))
		return critical ? FTX_NOT_OFFERED : FTX_BAD_MESSAGE;
	if (row->number == V2_ATTR_DIGEST_KIND && (kinds & UINT32_C(1) << *member) == 0)
		return FTX_NOT_OFFERED;
	return FTX_OK;
}

static bool
get_time(struct cursor *c, struct v2_time *t)
{
	t->sec = (int64_t)cursor_get_u64(c);
	t->nsec = cursor_get_u32(c);
	return cursor_done(c) && t->nsec < NANOSECONDS;
}

static enum ftx_rc
get_digest(struct v2_slice s, uint32_t kinds, struct digest_value *d)
{
	struct cursor c = cursor_init(s.p, s.len);
	unsigned kind = cursor_get_u8(&c);
	size_t size = v2_digest_size(kind);
	const uint8_t *bytes;

	if (!cursor_ok(&c))
		return FTX_BAD_MESSAGE;
	if (size == 0 || (kinds & UINT32_C(1) << kind) == 0)
		return FTX_NOT_OFFERED;
	bytes = cursor_get_bytes(&c, size);
	if (!cursor_done(&c))
		return FTX_BAD_MESSAGE;
	d->kind = (enum digest_kind)kind;
	memcpy(d->bytes, bytes, size);
	return FTX_OK;
}

/* A value into its member. Also FTX_NOT_OFFERED, which comes before FTX_BAD_MESSAGE. */
static enum ftx_rc
get_value(
    const struct v2_layout *l, const struct v2_row *row, struct v2_slice s, uint32_t kinds, void *m)
{
	struct cursor c = cursor_init(s.p, s.len);
	void *member = (uint8_t *)m + row->offset;
	bool right;

	switch ((enum v2_format)row->format) {
	case V2_U8:
		return get_u8(row, &c, kinds, member);
	case V2_U16:
	case V2_U32:
	case V2_U64:
		right = get_number(row, &c, member);
		break;
	case V2_TIME:
		right = get_time(&c, member);
		break;
	case V2_BYTES:
		right = in_range(row, s.len);
		*(struct v2_slice *)member = s;
		break;
	case V2_TEXT:
		right = in_range(row, s.len) && is_utf8(s);
		*(struct v2_slice *)member = s;
		break;
	case V2_ID:
		right = s.len == V2_UPLOAD_ID_SIZE;
		if (right)
			memcpy(member, s.p, V2_UPLOAD_ID_SIZE);
		break;
	case V2_SUM:
		return get_digest(s, kinds, member);
	case V2_ENTRY:
		/* So that all are right; they are taken apart again by who wants them. */
		return v2_attrs_decode(l->entry, s.p, s.len, kinds, member);
	default:
		return FTX_INTERNAL;
	}
	return right ? FTX_OK : FTX_BAD_MESSAGE;
}

/* The row of an attribute; NULL: the message does not know it. */
static const struct v2_row *
find_row(const struct v2_layout *l, uint16_t number)
{
	uint8_t slot = l->slot[SLOT(number)];

	/* The bits above the slot make it another one. */
	return slot != 0 && l->rows[slot - 1].number == number ? &l->rows[slot - 1] : NULL;
}

enum ftx_rc
v2_attrs_decode(const struct v2_layout *l, const void *p, size_t len, uint32_t kinds, void *m)
{
	struct cursor c = cursor_init(p, len);
	enum ftx_rc rc = FTX_OK;
	uint64_t has = 0;
	struct v2_value v;

	memset(m, 0, l->size);
	while (v2_attr_next(&c, &v)) {
		const struct v2_row *row = find_row(l, v.number);
		enum ftx_rc one = FTX_OK;

		if (row != NULL) {
			if ((has & BIT(v.number)) != 0 && row->format != V2_ENTRY)
				one = FTX_BAD_MESSAGE;
			else
				one = get_value(l, row, v.bytes, kinds, m);
			has |= BIT(v.number);
		} else if ((v.number & V2_ATTR_CRITICAL) != 0) {
			one = FTX_NOT_OFFERED;
		}
		/* To the end: a later fault may be the one that counts. */
		if (one != FTX_OK && rc != FTX_NOT_OFFERED)
			rc = one;
	}
	if (!cursor_done(&c))
		return FTX_BAD_MESSAGE;
	if (rc == FTX_OK && (has & l->must) != l->must)
		rc = FTX_BAD_MESSAGE;
	memcpy(m, &has, sizeof(has));
	return rc == FTX_OK && l->check != NULL ? l->check(m) : rc;
}

static void
put_slice(const struct v2_row *row, const struct v2_slice *s, struct cursor_out *out)
{
	if (!in_range(row, s->len) || (row->format == V2_TEXT && !is_utf8(*s)))
		out->failed = true;
	cursor_put_u16(out, (uint16_t)s->len);
	cursor_put_bytes(out, s->p, s->len);
}

static void
put_time(const struct v2_time *t, struct cursor_out *out)
{
	if (t->nsec >= NANOSECONDS)
		out->failed = true;
	cursor_put_u16(out, 12);
	cursor_put_u64(out, (uint64_t)t->sec);
	cursor_put_u32(out, t->nsec);
}

static void
put_digest(const struct digest_value *d, struct cursor_out *out)
{
	size_t size = v2_digest_size(d->kind);

	if (size == 0)
		out->failed = true;
	cursor_put_u16(out, (uint16_t)(1 + size));
	cursor_put_u8(out, (uint8_t)d->kind);
	cursor_put_bytes(out, d->bytes, size);
}

static void
put_number(const struct v2_row *row, uint64_t v, struct cursor_out *out)
{
	if (!in_range(row, v))
		out->failed = true;
	switch (row->format) {
	case V2_U8:
		cursor_put_u16(out, 1);
		cursor_put_u8(out, (uint8_t)v);
		break;
	case V2_U16:
		cursor_put_u16(out, 2);
		cursor_put_u16(out, (uint16_t)v);
		break;
	case V2_U32:
		cursor_put_u16(out, 4);
		cursor_put_u32(out, (uint32_t)v);
		break;
	default:
		cursor_put_u16(out, 8);
		cursor_put_u64(out, v);
		break;
	}
}

/* Length and value. */
static void
put_value(const struct v2_row *row, const void *member, struct cursor_out *out)
{
	switch ((enum v2_format)row->format) {
	case V2_U8:
		put_number(row, *(const uint8_t *)member, out);
		break;
	case V2_U16:
		put_number(row, *(const uint16_t *)member, out);
		break;
	case V2_U32:
		put_number(row, *(const uint32_t *)member, out);
		break;
	case V2_U64:
		put_number(row, *(const uint64_t *)member, out);
		break;
	case V2_TIME:
		put_time(member, out);
		break;
	case V2_BYTES:
	case V2_TEXT:
		put_slice(row, member, out);
		break;
	case V2_ID:
		cursor_put_u16(out, V2_UPLOAD_ID_SIZE);
		cursor_put_bytes(out, member, V2_UPLOAD_ID_SIZE);
		break;
	case V2_SUM:
		put_digest(member, out);
		break;
	default:
		out->failed = true;
		break;
	}
}

void
v2_attrs_encode(const struct v2_layout *l, const void *m, struct cursor_out *out)
{
	uint64_t has, written = 0;

	memcpy(&has, m, sizeof(has));
	for (size_t i = 0; i < l->count; i++) {
		const struct v2_row *row = &l->rows[i];
		const void *member = (const uint8_t *)m + row->offset;

		if ((has & BIT(row->number)) == 0)
			continue;
		written |= BIT(row->number);
		if (row->format == V2_ENTRY)
			continue;
		cursor_put_u16(out, row->number);
		put_value(row, member, out);
	}
	if (written != has || (has & l->must) != l->must ||
	    (l->check != NULL && l->check(m) != FTX_OK))
		out->failed = true;
}

void
v2_attr_put_nested(
    uint16_t number, const struct v2_layout *l, const void *m, struct cursor_out *out)
{
	uint8_t *length;
	struct cursor_out patch;
	size_t begin;

	cursor_put_u16(out, number);
	length = out->p;
	cursor_put_u16(out, 0);
	begin = out->used;
	v2_attrs_encode(l, m, out);
	if (out->used - begin > UINT16_MAX)
		out->failed = true;
	if (!cursor_out_ok(out))
		return;
	patch = cursor_out_init(length, 2);
	cursor_put_u16(&patch, (uint16_t)(out->used - begin));
}

const char *
v2_attr_name(uint16_t number)
{
/* clang-format off */
#define CASE(value, name, format, least, most) \
	case value: \
		return #name;
	/* clang-format on */
	switch (number) {
		V2_ATTR_TABLE(CASE)
	default:
		return "unknown";
	}
}

const char *
v2_format_name(enum v2_format format)
{
	static const char *const names[] = { "u8", "u16", "u32", "u64", "time", "bytes", "text",
		"id", "digest", "attributes" };

	return (unsigned)format < COUNT(names) ? names[format] : "unknown";
}

const char *
v2_need_name(enum v2_need need)
{
	static const char *const names[] = { "may", "must" };

	return (unsigned)need < COUNT(names) ? names[need] : "unknown";
}
