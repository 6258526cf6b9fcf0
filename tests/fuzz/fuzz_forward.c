/*
 * Fuzz target: one direction of stammerproxy between two socketpairs. The input: the size of the
 * buffer, a seed, a byte that a fault point lies at, then operations, each one byte: what it is in
 * the lowest two bits, how much in the others. What comes out is what went in, in its order, never
 * beyond the fault point, and in the end all of it.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "fuzz/check.h"
#include "fuzz/target.h"
#include "stammer/fault.h"
#include "stammer/forward.h"

enum op { OP_SAY, OP_READ, OP_SEND, OP_HEAR };

static struct forward f;
static struct fault_script script;
static int source[2], sink[2]; /* the far end, and the proxy's */
static uint64_t said, heard;   /* bytes, each of which is its number */

static void
say(size_t len)
{
	uint8_t buf[64 * 32];
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(said + i);
	n = len > 0 ? send(source[0], buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	said += n > 0 ? (uint64_t)n : 0;
}

static void
hear(void)
{
	uint8_t buf[4096];
	ssize_t n = recv(sink[0], buf, sizeof(buf), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		CHECK(buf[i] == (uint8_t)heard++);
	CHECK(heard <= f.forwarded);
}

static void
read_once(void)
{
	size_t room = forward_room(&f), used = f.used;
	enum forward_result result;

	if (room == 0 || f.ended)
		return;
	result = forward_read(&f, source[1]);
	CHECK(result != FORWARD_ERROR && f.used >= used && f.used + forward_room(&f) == f.size);
	CHECK((result == FORWARD_MOVED) == (f.used > used));
	CHECK(f.used + f.forwarded <= said);
}

static void
send_once(uint64_t most)
{
	uint64_t before = f.forwarded, limit = fault_limit(&script, WAY_UP, before);
	enum forward_result result;

	if (f.used == 0 || fault_due(&script, WAY_UP, before) != FAULT_NONE)
		return;
	CHECK(limit > 0);
	if (limit > most)
		limit = most;
	result = forward_send(&f, sink[1], limit);
	CHECK(result == FORWARD_MOVED || result == FORWARD_BLOCKED);
	CHECK(f.forwarded - before <= limit && (result == FORWARD_MOVED) == (f.forwarded > before));
	CHECK(f.fragment <= f.used);
}

static void
do_op(uint8_t b)
{
	switch ((enum op)(b & 3)) {
	case OP_SAY:
		say((size_t)(b >> 2) * 32);
		break;
	case OP_READ:
		read_once();
		break;
	case OP_SEND:
		send_once((b >> 2) == 0 ? UINT64_MAX : b >> 2);
		break;
	case OP_HEAR:
	default:
		hear();
	}
}

/* All that was said, or all before the fault. */
static void
end(void)
{
	uint64_t all = said;

	CHECK(shutdown(source[0], SHUT_WR) == 0);
	while (fault_due(&script, WAY_UP, f.forwarded) == FAULT_NONE && !(f.ended && f.used == 0)) {
		read_once();
		send_once(UINT64_MAX);
		hear();
	}
	while (heard < f.forwarded)
		hear();
	if (script.of[FAULT_CUT].on[WAY_UP] && script.of[FAULT_CUT].at < all)
		all = script.of[FAULT_CUT].at;
	CHECK(heard == all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_init(data, size);
	size_t ring = (size_t)cursor_get_u8(&in) * 37 + 1;
	uint64_t seed = cursor_get_u8(&in);
	uint8_t fault = cursor_get_u8(&in);

	if (size < 3)
		return 0;
	script = (struct fault_script){ 0 };
	script.of[FAULT_CUT] = (struct fault){ .on = { fault > 0 }, .at = (uint64_t)fault * 16 };
	said = heard = 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, source) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sink) == 0);
	CHECK(forward_init(&f, ring, 0, seed, 0) == FTX_OK);
	while (in.left > 0)
		do_op(cursor_get_u8(&in));
	end();
	forward_clear(&f);
	for (int i = 0; i < 2; i++) {
		close(source[i]);
		close(sink[i]);
	}
	return 0;
}
