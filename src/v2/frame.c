#include "v2/frame.h"

#include <string.h>

#include "base/cursor.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t preface[V2_PREFACE_SIZE] = { 0xf7, 'F', 'T', 'X', '\r', '\n', 0x1a, '\n' };

struct type_row {
	const char *name; /* NULL: unknown */
	enum v2_side sender;
	enum v2_id_rule id;
	uint8_t client_flags, server_flags;
};

/* clang-format off */
#define FLAG_IF(number, type, name, bit, side, who) \
	| ((number) == V2_##type && (side) == (who) ? (bit) : 0)
#define FLAG_OF_CLIENT(number, type, name, bit, side) FLAG_IF(number, type, name, bit, side, V2_CLIENT)
#define FLAG_OF_SERVER(number, type, name, bit, side) FLAG_IF(number, type, name, bit, side, V2_SERVER)
#define TYPE_ROW(number, name, sender, id) \
	[number] = { #name, sender, id, \
		0 V2_FLAG_TABLE(FLAG_OF_CLIENT, number), 0 V2_FLAG_TABLE(FLAG_OF_SERVER, number) },
static const struct type_row types[256] = { V2_TYPE_TABLE(TYPE_ROW) };

#define FLAG_ROW(arg, type, name, bit, side) { V2_##type, bit, #name },
static const struct {
	uint8_t type, bit;
	const char *name;
} flag_names[] = { V2_FLAG_TABLE(FLAG_ROW, 0) };
/* clang-format on */

bool
v2_preface_begins(const uint8_t *p, size_t len)
{
	return memcmp(p, preface, len < V2_PREFACE_SIZE ? len : V2_PREFACE_SIZE) == 0;
}

void
v2_preface_encode(uint8_t buf[V2_PREFACE_SIZE])
{
	memcpy(buf, preface, V2_PREFACE_SIZE);
}

static struct v2_fault
fault(enum v2_reach reach, enum ftx_rc rc)
{
	return (struct v2_fault){ reach, rc };
}

/* Whether a message of this kind may have this id at all. */
static bool
id_is_right(enum v2_id_rule rule, uint16_t id)
{
	switch (rule) {
	case V2_ID_ZERO:
		return id == 0;
	case V2_ID_NEW:
	case V2_ID_LIVE:
		return id != 0;
	case V2_ID_LIVE_OR_ZERO:
		break;
	}
	return true;
}

static struct v2_fault
judge(const struct v2_frame *f, const struct v2_gate *gate)
{
	const struct type_row *t = &types[f->type];
	bool request = v2_type_is_request(f->type) && gate->from == V2_CLIENT;

	if (f->length > (f->type == V2_DATA ? gate->max_data : V2_CONTROL_MAX))
		return fault(V2_REACH_CONNECTION, FTX_PROTOCOL);
	if ((f->type == V2_HELLO) == gate->greeted)
		return fault(V2_REACH_CONNECTION, FTX_PROTOCOL);
	if (t->name == NULL && !request)
		return fault(V2_REACH_CONNECTION, FTX_NOT_OFFERED);
	if (t->name != NULL && (t->sender & gate->from) == 0)
		return fault(V2_REACH_CONNECTION, FTX_PROTOCOL);
	if (f->type == V2_DATA && f->length == 0)
		return fault(V2_REACH_CONNECTION, FTX_PROTOCOL);
	if (request && f->id == 0)
		return fault(V2_REACH_CONNECTION, FTX_ID_IN_USE);
	if (t->name == NULL)
		return fault(V2_REACH_REQUEST, FTX_NOT_OFFERED);
	if (!id_is_right(t->id, f->id))
		return fault(V2_REACH_CONNECTION, FTX_PROTOCOL);
	if ((f->flags & ~v2_type_flags(f->type, gate->from)) != 0)
		return fault(request ? V2_REACH_REQUEST : V2_REACH_CONNECTION, FTX_NOT_OFFERED);
	return fault(V2_REACH_NONE, FTX_OK);
}

struct v2_fault
v2_frame_decode(const uint8_t buf[V2_HEADER_SIZE], const struct v2_gate *gate, struct v2_frame *f)
{
	struct cursor c = cursor_init(buf, V2_HEADER_SIZE);

	f->length = cursor_get_u32(&c);
	f->type = cursor_get_u8(&c);
	f->flags = cursor_get_u8(&c);
	f->id = cursor_get_u16(&c);
	f->payload = NULL;
	return judge(f, gate);
}

void
v2_frame_encode(const struct v2_frame *f, uint8_t buf[V2_HEADER_SIZE])
{
	struct cursor_out c = cursor_out_init(buf, V2_HEADER_SIZE);

	cursor_put_u32(&c, f->length);
	cursor_put_u8(&c, f->type);
	cursor_put_u8(&c, f->flags);
	cursor_put_u16(&c, f->id);
}

enum v2_next
v2_frame_next(const uint8_t *p, size_t len, const struct v2_gate *gate, struct v2_frame *f,
    size_t *size, struct v2_fault *why)
{
	struct cursor c = cursor_init(p, len);
	const uint8_t *header = cursor_get_bytes(&c, V2_HEADER_SIZE);

	*size = V2_HEADER_SIZE;
	*why = fault(V2_REACH_NONE, FTX_OK);
	if (header == NULL)
		return V2_NEXT_MORE;
	*why = v2_frame_decode(header, gate, f);
	if (why->reach == V2_REACH_CONNECTION)
		return V2_NEXT_FAULT;
	if (f->type == V2_DATA)
		return V2_NEXT_DATA;
	*size += f->length;
	f->payload = cursor_get_bytes(&c, f->length);
	return f->payload != NULL ? V2_NEXT_MESSAGE : V2_NEXT_MORE;
}

enum v2_reach
v2_message_reach(uint8_t type, enum v2_side from)
{
	bool answered = v2_type_is_request(type) || type == V2_PREFIX || type == V2_END;

	return from == V2_CLIENT && answered ? V2_REACH_REQUEST : V2_REACH_CONNECTION;
}

bool
v2_type_is_request(uint8_t type)
{
	return type >= V2_REQUEST_FIRST && type <= V2_REQUEST_LAST;
}

uint8_t
v2_type_flags(uint8_t type, enum v2_side from)
{
	return from == V2_CLIENT ? types[type].client_flags : types[type].server_flags;
}

const char *
v2_type_name(uint8_t type)
{
	return types[type].name != NULL ? types[type].name : "unknown";
}

const char *
v2_flag_name(uint8_t type, uint8_t bit)
{
	for (size_t i = 0; i < COUNT(flag_names); i++) {
		if (flag_names[i].type == type && flag_names[i].bit == bit)
			return flag_names[i].name;
	}
	return "unknown";
}

static const char *
name_of(const char *const *names, size_t count, unsigned i)
{
	return i < count && names[i] != NULL ? names[i] : "unknown";
}

const char *
v2_side_name(enum v2_side side)
{
	static const char *const names[] = { NULL, "client", "server", "both" };

	return name_of(names, COUNT(names), side);
}

const char *
v2_id_rule_name(enum v2_id_rule rule)
{
	static const char *const names[] = { "0", "new", "live", "live, 0" };

	return name_of(names, COUNT(names), rule);
}

const char *
v2_reach_name(enum v2_reach reach)
{
	static const char *const names[] = { "none", "request", "connection" };

	return name_of(names, COUNT(names), reach);
}

const char *
v2_next_name(enum v2_next next)
{
	static const char *const names[] = { "more", "message", "data", "fault" };

	return name_of(names, COUNT(names), next);
}
