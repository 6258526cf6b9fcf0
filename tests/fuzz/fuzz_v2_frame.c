/*
 * Any bytes as the frames of one side of protocol 2: the same frames and the same fault however
 * they are cut; and each header judged as a second implementation does it, which is written from
 * ftxfer-protocol(7) and not from v2/frame.
 *
 * The input: who sends (bit 0) and MAX_DATA (bit 1), a seed for the cuts, then the stream.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "v2/frame.h"

/* FRAMES, Messages: who may send it, what its id is, which flags client and server may set. */
static const struct {
	uint8_t type;
	char sender; /* c, s, b: both */
	char id;     /* 0, n: new, l: live, e: live or 0 */
	uint8_t client, server;
} rows[] = {
	{ 0x01, 'b', '0', 0, 0 },
	{ 0x02, 'c', '0', 0, 0 },
	{ 0x03, 's', '0', 0, 0 },
	{ 0x04, 's', '0', 0, 0 },
	{ 0x10, 'c', 'n', 0x80, 0 },
	{ 0x11, 'c', 'n', 0x83, 0 },
	{ 0x12, 'c', 'n', 0x80, 0 },
	{ 0x13, 'c', 'n', 0x80, 0 },
	{ 0x14, 'c', 'n', 0x81, 0 },
	{ 0x15, 'c', 'n', 0x81, 0 },
	{ 0x16, 'c', 'n', 0x81, 0 },
	{ 0x17, 'c', 'n', 0x81, 0 },
	{ 0x18, 'c', 'n', 0x81, 0 },
	{ 0x19, 'c', 'n', 0, 0 },
	{ 0x40, 's', 'l', 0, 0 },
	{ 0x41, 's', 'l', 0, 0 },
	{ 0x42, 'c', 'l', 0, 0 },
	{ 0x43, 'b', 'l', 0, 0 },
	{ 0x44, 'b', 'l', 0x01, 0x02 },
	{ 0x50, 's', 'l', 0, 0x0f },
	{ 0x51, 's', 'e', 0, 0 },
	{ 0x52, 's', 'l', 0, 0 },
	{ 0x53, 's', 'l', 0, 0 },
	{ 0x54, 's', 'l', 0, 0x01 },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* All that was seen of a stream, in few bytes. */
struct seen {
	uint64_t hash;
	uint64_t frames;
	bool broken; /* by a fault of the connection */
};

static void
see(struct seen *s, uint64_t what)
{
	s->hash = (s->hash ^ what) * UINT64_C(1099511628211);
}

static void
see_bytes(struct seen *s, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		see(s, p[i]);
}

/* Which error a header is: 0 none, 1 of the request, 2 of the connection. */
static int
expected(const uint8_t *p, const struct v2_gate *gate)
{
	uint32_t length = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	uint8_t type = p[4], flags = p[5];
	bool zero = p[6] == 0 && p[7] == 0, client = gate->from == V2_CLIENT;
	bool request = client && type >= 0x10 && type <= 0x3f;
	size_t i = 0;

	while (i < ROWS && rows[i].type != type)
		i++;
	if (length > (type == 0x43 ? gate->max_data : 65536) || (type == 0x43 && length == 0))
		return 2;
	if (gate->greeted ? type == 0x01 : type != 0x01)
		return 2;
	if (request && zero)
		return 2;
	if (i == ROWS)
		return request ? 1 : 2;
	if (rows[i].sender != 'b' && rows[i].sender != (client ? 'c' : 's'))
		return 2;
	if ((rows[i].id == '0' && !zero) || (rows[i].id == 'l' && zero))
		return 2;
	if ((flags & ~(client ? rows[i].client : rows[i].server)) != 0)
		return request ? 1 : 2;
	return 0;
}

/* What a receiver keeps between two pieces. */
struct receiver {
	struct v2_gate gate;
	const uint8_t *p; /* what has come and is not taken off */
	size_t len;
	uint32_t content; /* still to come of the DATA under way */
	struct seen seen;
};

static void
check_header(const struct receiver *r, const struct v2_frame *f, struct v2_fault fault)
{
	uint8_t again[V2_HEADER_SIZE];

	if ((int)fault.reach != expected(r->p, &r->gate) ||
	    (fault.rc == FTX_OK) != (fault.reach == V2_REACH_NONE))
		abort();
	v2_frame_encode(f, again);
	if (memcmp(again, r->p, sizeof(again)) != 0)
		abort();
}

/* One step; false: nothing more can be done with what there is. */
static bool
step(struct receiver *r)
{
	struct v2_frame f;
	struct v2_fault fault;
	enum v2_next next;
	size_t size;

	if (r->content > 0) {
		size = r->len < r->content ? r->len : r->content;
		see_bytes(&r->seen, r->p, size);
		r->content -= (uint32_t)size;
		r->p += size;
		r->len -= size;
		return size > 0;
	}
	next = v2_frame_next(r->p, r->len, &r->gate, &f, &size, &fault);
	if (r->len >= V2_HEADER_SIZE)
		check_header(r, &f, fault);
	if (next == V2_NEXT_MORE) {
		if (size <= r->len)
			abort();
		return false;
	}
	see(&r->seen, next);
	see(&r->seen, (uint64_t)fault.reach << 32 | fault.rc);
	see(&r->seen, (uint64_t)f.length << 32 | (uint64_t)f.type << 24 | f.flags << 16 | f.id);
	r->seen.frames++;
	if (next == V2_NEXT_FAULT) {
		r->seen.broken = true;
		return false;
	}
	if (size > r->len || (next == V2_NEXT_MESSAGE && f.payload != r->p + V2_HEADER_SIZE))
		abort();
	if (next == V2_NEXT_MESSAGE)
		see_bytes(&r->seen, f.payload, f.length);
	else
		r->content = f.length;
	if (f.type == V2_HELLO)
		r->gate.greeted = true;
	r->p += size;
	r->len -= size;
	return true;
}

/* The stream in pieces of 1 to `most` bytes. */
static struct seen
receive(struct v2_gate gate, const uint8_t *p, size_t len, size_t most, uint64_t seed)
{
	struct receiver r = { .gate = gate, .p = p, .seen = { .hash = 1 } };
	size_t come = 0;

	while (come < len && !r.seen.broken) {
		size_t piece = 1 + seed % most;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		seed ^= seed >> 33;
		if (piece > len - come)
			piece = len - come;
		come += piece;
		r.len += piece;
		while (step(&r))
			;
	}
	/* What is left over is the same, too: no more than was cut off at the end. */
	if (!r.seen.broken)
		see(&r.seen, (uint64_t)r.content << 32 | r.len);
	return r.seen;
}

static void
compare(struct seen a, struct seen b)
{
	if (a.hash != b.hash || a.frames != b.frames || a.broken != b.broken)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct v2_gate gate = { V2_CLIENT, false, 65536 };
	struct seen whole;

	if (size < 3)
		return 0;
	if ((data[0] & 1) != 0)
		gate.from = V2_SERVER;
	if ((data[0] & 2) != 0)
		gate.max_data = 1048576;
	/* The first piece is all of it. */
	whole = receive(gate, data + 2, size - 2, size, size - 3);
	compare(whole, receive(gate, data + 2, size - 2, 1, 0));
	compare(whole, receive(gate, data + 2, size - 2, 9, data[1]));
	compare(whole, receive(gate, data + 2, size - 2, 4096, data[1]));
	return 0;
}
