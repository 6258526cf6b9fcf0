/*
 * Any bytes as the payload of each message of protocol 2: judged as a second walk along the
 * attributes does it, which is written from ftxfer-protocol(7) and not from v2/attr; and what was
 * taken apart is put together and taken apart again to the same.
 *
 * The input: which message, its flags, what the HELLOs settled, then the payload.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "v2/message.h"

/* ATTRIBUTES, Numbers: what a value may be. */
static const struct attribute {
	uint16_t number;
	char
	    form; /* u: a number, t: time, b: bytes, x: text, d: digest, k: kind of one, e: entry */
	uint64_t least, most; /* of the number, or of the length */
	size_t width;         /* of a number */
} attributes[] = {
	{ 0x0001, 'u', 2, 65535, 2 },
	{ 0x0002, 'u', 0, UINT64_MAX, 8 },
	{ 0x0003, 'b', 1, 16, 0 },
	{ 0x0004, 'u', 65536, 1048576, 4 },
	{ 0x0005, 'u', 16, 65535, 2 },
	{ 0x0006, 'u', 65536, 1048576, 4 },
	{ 0x0007, 'u', 0, UINT64_MAX, 8 },
	{ 0x0008, 'x', 0, 255, 0 },
	{ 0x0009, 'b', 1, 32, 0 },
	{ 0x0010, 'b', 0, 65535, 0 },
	{ 0x8011, 'b', 0, 65535, 0 },
	{ 0x0012, 'u', 0, INT64_MAX, 8 },
	{ 0x0013, 't', 0, 0, 0 },
	{ 0x0014, 'u', 0, 0777, 2 },
	{ 0x0015, 'u', 1, 4, 1 },
	{ 0x0016, 'b', 8, 32, 0 },
	{ 0x0017, 'd', 0, 0, 0 },
	{ 0x8018, 'k', 0, 0, 0 },
	{ 0x0020, 'b', 16, 16, 0 },
	{ 0x8021, 'p', 1, 4, 1 }, /* p: a policy */
	{ 0x8022, 'b', 8, 32, 0 },
	{ 0x8023, 'u', 0, INT64_MAX, 8 },
	{ 0x8024, 'u', 0, INT64_MAX, 8 },
	{ 0x0025, 'u', 0, INT64_MAX, 8 },
	{ 0x8026, 'u', 0, 65535, 2 },
	{ 0x8027, 'b', 1, 64, 0 },
	{ 0x0028, 'e', 0, 0, 0 },
	{ 0x0030, 'u', 0, 65535, 2 },
	{ 0x0031, 'x', 0, 1024, 0 },
	{ 0x0032, 'u', 0, UINT32_MAX, 4 },
	{ 0x0033, 'u', 0, UINT64_MAX, 8 },
	{ 0x0034, 't', 0, 0, 0 },
};

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))
#define MOST       10

/* What each message may hold; a number above 0xffff: must. */
#define MUST 0x10000
static const uint32_t entry[MOST] = { MUST | 0x10, MUST | 0x15, 0x12, MUST | 0x13, MUST | 0x14,
	0x16, 0x17 };
static const uint32_t lists[V2_MESSAGES][MOST] = {
	[V2_MESSAGE_client_hello] = { MUST | 1, MUST | 3, 2, MUST | 4, 8 },
	[V2_MESSAGE_server_hello] = { MUST | 1, MUST | 3, 2, MUST | 4, MUST | 5, MUST | 6, 7, 8 },
	[V2_MESSAGE_ping] = { 9 },
	[V2_MESSAGE_pong] = { 9 },
	[V2_MESSAGE_goodbye] = { 0x32 },
	[V2_MESSAGE_put] = { MUST | 0x10, 0x12, 0x13, 0x14, 0x20, 0x8021, 0x8022, 0x8018, 0x17 },
	[V2_MESSAGE_put_end] = { 0x17, 0x12 },
	[V2_MESSAGE_put_ok] = { MUST | 0x10, MUST | 0x12, MUST | 0x17, 0x16, MUST | 0x34 },
	[V2_MESSAGE_have] = { MUST | 0x8023 },
	[V2_MESSAGE_prefix] = { MUST | 0x8023, 0x17 },
	[V2_MESSAGE_go] = { MUST | 0x8023 },
	[V2_MESSAGE_get] = { MUST | 0x10, 0x8023, 0x8024, 0x8022, 0x8018, 0x25, 0x16, 0x17 },
	[V2_MESSAGE_file] = { MUST | 0x12, MUST | 0x13, MUST | 0x14, MUST | 0x16, 0x17, 0x8023 },
	[V2_MESSAGE_get_end] = { 0x17 },
	[V2_MESSAGE_stat] = { MUST | 0x10, 0x8018 },
	[V2_MESSAGE_stat_ok] = { MUST | 0x15, 0x12, MUST | 0x13, MUST | 0x14, 0x16, 0x17 },
	[V2_MESSAGE_list] = { MUST | 0x10, 0x8027, 0x8018 },
	[V2_MESSAGE_page] = { 0x28, 0x8027 },
	[V2_MESSAGE_mkdir] = { MUST | 0x10, 0x14 },
	[V2_MESSAGE_rename] = { MUST | 0x10, MUST | 0x8011, 0x8022 },
	[V2_MESSAGE_rename_ok] = { MUST | 0x16 },
	[V2_MESSAGE_remove] = { MUST | 0x10, 0x8022 },
	[V2_MESSAGE_digest] = { MUST | 0x10, 0x8018, 0x8023, 0x8024 },
	[V2_MESSAGE_digest_ok] = { MUST | 0x17, MUST | 0x12, MUST | 0x16 },
	[V2_MESSAGE_cancel] = { MUST | 0x8026 },
	[V2_MESSAGE_error] = { MUST | 0x30, 0x31, 0x32, 0x8026 },
	[V2_MESSAGE_working] = { 0x33 },
};

static const struct {
	uint8_t type;
	enum v2_side from;
} messages[V2_MESSAGES] = {
#define MESSAGE(name, type, number, from, flags) { V2_##number, from },
	V2_MESSAGE_TABLE(MESSAGE)
};

enum verdict { FINE, MALFORMED, UNSUPPORTED };

static enum verdict walk(const uint32_t *list, const uint8_t *p, size_t len, uint32_t kinds);

static uint64_t
number_at(const uint8_t *p, size_t width)
{
	uint64_t v = 0;

	while (width-- > 0)
		v = v * 256 + *p++;
	return v;
}

/* RFC 3629, by its ranges of numbers. */
static bool
is_utf8(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 0; i < len;) {
		size_t more = p[i] < 0x80 ? 0 : p[i] >= 0xf0 ? 3 : p[i] >= 0xe0 ? 2 : 1;
		uint32_t c = more == 0 ? p[i] : p[i] & (0x3fu >> more);

		if ((p[i] >= 0x80 && p[i] < 0xc0) || p[i] >= 0xf8 || more > len - i - 1)
			return false;
		for (size_t j = 1; j <= more; j++) {
			if ((p[i + j] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i + j] & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		i += 1 + more;
	}
	return true;
}

static enum verdict
malformed_unless(bool right)
{
	return right ? FINE : MALFORMED;
}

static enum verdict
judge_digest(const uint8_t *p, size_t len, uint32_t kinds)
{
	if (len == 0)
		return MALFORMED;
	if (p[0] < 1 || p[0] > 2 || (kinds >> p[0] & 1) == 0)
		return UNSUPPORTED;
	return malformed_unless(len == (p[0] == 1 ? 17 : 33));
}

static enum verdict
judge_value(const struct attribute *a, const uint8_t *p, size_t len, uint32_t kinds)
{
	uint64_t v;

	switch (a->form) {
	case 'u':
		if (len != a->width)
			return MALFORMED;
		v = number_at(p, len);
		return malformed_unless(v >= a->least && v <= a->most);
	case 'p':
		return len != 1 ? MALFORMED : p[0] >= 1 && p[0] <= 4 ? FINE : UNSUPPORTED;
	case 'k':
		if (len != 1)
			return MALFORMED;
		return p[0] >= 1 && p[0] <= 2 && (kinds >> p[0] & 1) != 0 ? FINE : UNSUPPORTED;
	case 't':
		return malformed_unless(len == 12 && number_at(p + 8, 4) < 1000000000);
	case 'd':
		return judge_digest(p, len, kinds);
	case 'x':
		return malformed_unless(len <= a->most && is_utf8(p, len));
	case 'b':
		return malformed_unless(len >= a->least && len <= a->most);
	default:
		return walk(entry, p, len, kinds);
	}
}

/* What is said of a KIND: SIZE and FILE_VERSION belong to a regular file, and to nothing else. */
static bool
kind_is_right(const uint32_t *list, const bool *seen, unsigned kind)
{
	if (list != entry && list != lists[V2_MESSAGE_stat_ok])
		return true;
	return seen[0x12] == (kind == 1) && seen[0x16] == (kind == 1);
}

static enum verdict
walk(const uint32_t *list, const uint8_t *p, size_t len, uint32_t kinds)
{
	bool seen[0x35] = { false }, unsupported = false, malformed = false;
	unsigned kind = 0;

	while (len > 0) {
		const struct attribute *a = NULL;
		size_t n, number;
		enum verdict v = FINE;

		if (len < 4)
			return MALFORMED;
		number = (size_t)number_at(p, 2);
		n = (size_t)number_at(p + 2, 2);
		p += 4;
		len -= 4;
		if (n > len)
			return MALFORMED;
		for (size_t i = 0; i < MOST; i++) {
			for (size_t j = 0; j < ATTRIBUTES; j++) {
				if ((list[i] & 0xffff) == number && attributes[j].number == number)
					a = &attributes[j];
			}
		}
		if (a == NULL) {
			v = number >= 0x8000 ? UNSUPPORTED : FINE;
		} else {
			bool *again = &seen[number & 0x7fff];

			v = *again && number != 0x28 ? MALFORMED : judge_value(a, p, n, kinds);
			*again = true;
			if (number == 0x15 && n == 1)
				kind = p[0];
		}
		unsupported = unsupported || v == UNSUPPORTED;
		malformed = malformed || v == MALFORMED;
		p += n;
		len -= n;
	}
	for (size_t i = 0; i < MOST; i++)
		malformed = malformed || (list[i] >= MUST && !seen[list[i] & 0x7fff]);
	if (unsupported)
		return UNSUPPORTED;
	return malformed_unless(!malformed && kind_is_right(list, seen, kind));
}

/* Any struct of a message. */
union any {
#define ANY(name, type, number, from, flags) struct type name;
	V2_MESSAGE_TABLE(ANY)
};

/* Written again, it is read as the same; and written once more, it is the same bytes. */
static void
try_again(enum v2_message_id id, const struct v2_frame *f, const struct v2_terms *terms,
    const union any *m)
{
	static uint8_t first[V2_HEADER_SIZE + V2_CONTROL_MAX], second[sizeof(first)];
	struct v2_gate gate = { messages[id].from, messages[id].type != V2_HELLO, 65536 };
	struct v2_frame again;
	struct v2_fault fault;
	static union any twin;
	size_t size, n;

	if (id == V2_MESSAGE_page)
		return; /* its entries are written one by one */
	n = v2_message_encode(id, m, f->flags, f->id, first, sizeof(first));
	if (n < V2_HEADER_SIZE || n > V2_HEADER_SIZE + f->length)
		abort();
	if (v2_frame_next(first, n, &gate, &again, &size, &fault) != V2_NEXT_MESSAGE || size != n ||
	    fault.reach != V2_REACH_NONE || again.flags != f->flags)
		abort();
	if (v2_message_decode(id, &again, terms, &twin).reach != V2_REACH_NONE)
		abort();
	if (v2_message_encode(id, &twin, f->flags, f->id, second, sizeof(second)) != n ||
	    memcmp(first, second, n) != 0)
		abort();
}

/* A page made of the entries of another holds the same. */
static void
try_page(const struct v2_frame *f, const struct v2_terms *terms, const struct v2_page *m)
{
	static uint8_t frame[V2_HEADER_SIZE + V2_CONTROL_MAX];
	struct cursor c = cursor_init(f->payload, f->length), again;
	struct v2_page_writer w;
	struct v2_entry e, other;
	unsigned added = 0;
	size_t n;

	v2_page_begin(&w, f->id, frame, sizeof(frame));
	while (v2_page_next(&c, terms, &e)) {
		if (!v2_page_add(&w, &e)) {
			if (f->length < V2_CONTROL_MAX - 100)
				abort();
			break;
		}
		added++;
	}
	n = v2_page_end(&w, m->cursor);
	if (n < V2_HEADER_SIZE || (added > 0) != V2_HAS(m, ENTRY))
		abort();
	c = cursor_init(f->payload, f->length);
	again = cursor_init(frame + V2_HEADER_SIZE, n - V2_HEADER_SIZE);
	while (added-- > 0) {
		if (!v2_page_next(&c, terms, &e) || !v2_page_next(&again, terms, &other) ||
		    e.has != other.has || !v2_slice_equal(e.name, other.name) ||
		    !v2_slice_equal(e.file_version, other.file_version) || e.size != other.size ||
		    e.mode != other.mode || e.kind != other.kind)
			abort();
	}
	if (v2_page_next(&again, terms, &other))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ftx_rc rcs[] = { FTX_OK, FTX_BAD_MESSAGE, FTX_NOT_OFFERED };
	static union any m;
	struct v2_terms terms;
	enum v2_message_id id;
	struct v2_frame f = { 0 };
	struct v2_fault fault;
	enum verdict v;

	if (size < 3 || size > 3 + V2_CONTROL_MAX)
		return 0;
	id = (enum v2_message_id)(data[0] % V2_MESSAGES);
	terms = (struct v2_terms){ data[2] & 6u, (data[2] & 1) != 0 ? 65536 : 1048576 };
	f.type = messages[id].type;
	f.flags = data[1] & v2_type_flags(f.type, messages[id].from);
	f.id = messages[id].type == V2_HELLO || id == V2_MESSAGE_ping || id == V2_MESSAGE_pong ||
		       id == V2_MESSAGE_goodbye
		   ? 0
		   : 7;
	f.length = (uint32_t)(size - 3);
	f.payload = data + 3;
	v = walk(lists[id], f.payload, f.length, terms.kinds);
	fault = v2_message_decode(id, &f, &terms, &m);
	if ((fault.reach == V2_REACH_NONE) != (fault.rc == FTX_OK))
		abort();
	/* Beyond that the walk does not look: what one attribute has to do with another. */
	if (v != FINE && fault.rc != rcs[v])
		abort();
	if (fault.rc != FTX_OK && fault.rc != FTX_BAD_MESSAGE && fault.rc != FTX_NOT_OFFERED)
		abort();
	if (fault.rc != FTX_OK)
		return 0;
	try_again(id, &f, &terms, &m);
	if (id == V2_MESSAGE_page)
		try_page(&f, &terms, &m.page);
	return 0;
}
