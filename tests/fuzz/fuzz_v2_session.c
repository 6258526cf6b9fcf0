/*
 * Fuzz target: whole sessions of protocol 2, the server's half. On one end of a socketpair(2) the
 * half, on the other the input: two bytes that set the stage, then a script of operations, each one
 * byte and what it takes. Most of them say whole messages, so that the script comes far; one says
 * bytes as they stand. All content is of one letter, so that its digest is known.
 *
 * There may be two connections, one of which is talked to, and uploads may be known again, by one
 * of a few numbers: so they are gone on with, asked for, and taken over.
 *
 * What must hold is said in v2_oracle.h.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "core/limits.h"
#include "fuzz/step_pool.h"
#include "fuzz/target.h"
#include "fuzz/v2_oracle.h"
#include "loop/worker.h"
#include "pair/pair_stage.h"
#include "store/local.h"
#include "store/root.h"
#include "v2/message.h"

enum op {
	OP_RAW,     /* n, n bytes: sent as they stand */
	OP_REQUEST, /* k, id, name, size, more: see send_request() */
	OP_DATA,    /* id, size: a frame of it */
	OP_END,     /* id, k: with the right digest, another one, or ABORT */
	OP_PREFIX,  /* id, size, k */
	OP_TURN,    /* one turn of the loop */
	OP_JOB,     /* one job of the disk */
	OP_SETTLE,  /* until nothing happens any more */
	OP_READ,    /* n: 256 n bytes, 0: all */
	OP_TIME,    /* k: the clock moves by times_ms[k] */
	OP_DISK,    /* it stands still: OP_SETTLE runs no jobs; or goes on */
	OP_HALFCLOSE,
	OP_DRAIN,
	OP_FILE,    /* k: what somebody else does in the root */
	OP_SWITCH,  /* to the other connection, if any */
	OP_CONNECT, /* this one vanishes, and another one takes its place */
	OPS
};

static const unsigned times_ms[] = { 1, 1000, 10000, 15000, 30000, 60000, 61000 };
static const uint32_t sizes[] = { 0, 1, 4096, 5000, 65536, 65537, 262144, 1048576, 1048577 };
static const char *const names[] = { "a", "b", "d/a", "d", "d/e/f", "old", "link", "", "../x",
	"no/x", ".ftxferd/x" };
static const uint8_t requests[] = { V2_PUT, V2_GET, V2_STAT, V2_LIST, V2_MKDIR, V2_RENAME,
	V2_REMOVE, V2_DIGEST, V2_CANCEL, V2_AUTH, V2_PING, 0x30 };
#define PICK(table, k) ((table)[(k) % (sizeof(table) / sizeof((table)[0]))])

#define IDS   8
#define KEYS  4
#define HEARD ((size_t)4 * 1024 * 1024)

/* What was said on a connection. */
struct side {
	bool shut;
	uint8_t heard[HEARD];
	size_t heard_len;
	uint64_t sent_content[IDS];
};

static struct pair_stage st;
static bool disk_stalled, greets;
static struct side sides[2], *side; /* side: the one that is talked to */

static void
settle(struct pair_stage *stage)
{
	/* So that an input need not say how long one waits for another one's upload. */
	if (store_local_waiting(stage->server.store) > 0)
		stage_pass_time(stage, 100);
	for (int quiet = 0; quiet < 3; quiet++) {
		while (!disk_stalled && step_pool_run(stage->pool))
			quiet = 0;
		worker_turn(stage->worker, false);
	}
}

static void
say(const void *p, size_t len)
{
	if (st.peer >= 0 && !side->shut)
		(void)!send(st.peer, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
hear(size_t most)
{
	while (st.peer >= 0 && most > 0 && side->heard_len < HEARD) {
		size_t room = HEARD - side->heard_len < most ? HEARD - side->heard_len : most;
		ssize_t n = recv(st.peer, side->heard + side->heard_len, room, MSG_DONTWAIT);

		if (n <= 0)
			return;
		side->heard_len += (size_t)n;
		most -= (size_t)n;
	}
}

static void
put_attr(struct cursor_out *out, unsigned number, const void *p, size_t len)
{
	cursor_put_u16(out, (uint16_t)number);
	cursor_put_u16(out, (uint16_t)len);
	cursor_put_bytes(out, p, len);
}

static void
put_u64(struct cursor_out *out, unsigned number, uint64_t value)
{
	cursor_put_u16(out, (uint16_t)number);
	cursor_put_u16(out, 8);
	cursor_put_u64(out, value);
}

static void
put_digest(struct cursor_out *out, uint64_t size, bool right)
{
	struct digest_value v;
	uint8_t bytes[1 + DIGEST_MAX];

	if (size > CONTENTS)
		size = CONTENTS;
	CHECK(digest_of(DIGEST_XXH128, letters, (size_t)size, &v) == FTX_OK);
	bytes[0] = DIGEST_XXH128;
	memcpy(bytes + 1, v.bytes, digest_size(DIGEST_XXH128));
	bytes[1] ^= right ? 0 : 1;
	put_attr(out, V2_ATTR_DIGEST, bytes, 1 + digest_size(DIGEST_XXH128));
}

static void
say_frame(uint8_t type, uint8_t flags, uint16_t id, struct cursor_out *out, uint8_t *frame)
{
	const struct v2_frame f = {
		.length = (uint32_t)out->used - V2_HEADER_SIZE,
		.type = type,
		.flags = flags,
		.id = id,
	};

	CHECK(cursor_out_ok(out));
	v2_frame_encode(&f, frame);
	say(frame, out->used);
}

static void
add_range(struct cursor_out *out, uint8_t more, uint64_t size)
{
	if ((more & 0x08) != 0)
		put_u64(out, V2_ATTR_OFFSET, size / 2);
	if ((more & 0x10) != 0)
		put_u64(out, V2_ATTR_LENGTH, size);
	if ((more & 0x20) != 0)
		put_u64(out, V2_ATTR_RESUME, size);
	if ((more & 0x40) != 0)
		put_digest(out, size, true);
}

/* Which, its id, its name, size, and what else it has; one byte each. */
static void
send_request(struct cursor *in)
{
	uint8_t type = PICK(requests, cursor_get_u8(in)), id = cursor_get_u8(in) % IDS;
	const char *name = PICK(names, cursor_get_u8(in));
	uint64_t size = PICK(sizes, cursor_get_u8(in));
	uint8_t more = cursor_get_u8(in), frame[512];
	struct cursor_out out = cursor_out_init(frame, sizeof(frame));
	uint8_t policy = more >> 3 & 7;

	cursor_put_zero(&out, V2_HEADER_SIZE);
	if (type != V2_CANCEL && type != V2_PING && type != V2_AUTH)
		put_attr(&out, V2_ATTR_NAME, name, strlen(name));
	if (type == V2_PUT) {
		side->sent_content[id] = 0;
		if ((more & 0x40) == 0)
			put_u64(&out, V2_ATTR_SIZE, size);
		if (policy > 0)
			put_attr(&out, V2_ATTR_POLICY, &policy, 1);
		if (policy > 2)
			put_digest(&out, size, true);
		if ((more & 4) != 0) {
			const uint8_t key[16] = { (uint8_t)(1 + cursor_get_u8(in) % KEYS) };

			put_attr(&out, V2_ATTR_UPLOAD_ID, key, sizeof(key));
		}
	} else if (type == V2_GET || type == V2_DIGEST)
		add_range(&out, more, size);
	else if (type == V2_RENAME)
		put_attr(&out, V2_ATTR_TO, PICK(names, more), strlen(PICK(names, more)));
	else if (type == V2_CANCEL) {
		cursor_put_u16(&out, V2_ATTR_TARGET);
		cursor_put_u16(&out, 2);
		cursor_put_u16(&out, more % IDS);
	}
	say_frame(type, (more & 3) | (more & 0x80), type == V2_PING ? 0 : id, &out, frame);
}

static void
send_data(struct cursor *in)
{
	uint8_t id = cursor_get_u8(in) % IDS;
	const struct v2_frame f = {
		.length = PICK(sizes, cursor_get_u8(in)),
		.type = V2_DATA,
		.id = id,
	};
	uint8_t header[V2_HEADER_SIZE];

	v2_frame_encode(&f, header);
	say(header, sizeof(header));
	say(letters, f.length);
	side->sent_content[id] += f.length;
}

static void
send_end(struct cursor *in, bool prefix)
{
	uint8_t id = cursor_get_u8(in) % IDS, k = cursor_get_u8(in), frame[128];
	struct cursor_out out = cursor_out_init(frame, sizeof(frame));
	uint64_t size = prefix ? PICK(sizes, k >> 2) : side->sent_content[id];

	cursor_put_zero(&out, V2_HEADER_SIZE);
	if (prefix) {
		put_u64(&out, V2_ATTR_OFFSET, size);
		side->sent_content[id] = size; /* if the server agrees */
	}
	if ((k & 1) == 0)
		put_digest(&out, size, (k & 2) == 0);
	if (!prefix && (k & 4) != 0)
		put_u64(&out, V2_ATTR_SIZE, size);
	say_frame(prefix ? V2_PREFIX : V2_END, !prefix && (k & 9) == 9 ? V2_END_ABORT : 0, id, &out,
	    frame);
}

static void
write_letters(const char *name, size_t len)
{
	int fd = openat(st.root->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	CHECK(write(fd, letters, len) == (ssize_t)len);
	close(fd);
}

static void
change_file(uint8_t k)
{
	switch (k & 3) {
	case 0:
		(void)unlinkat(st.root->fd, "old", 0);
		break;
	case 1:
		write_letters("old", PICK(sizes, k >> 2));
		break;
	case 2:
		(void)mkdirat(st.root->fd, "d", 0755);
		break;
	default:
		(void)renameat(st.root->fd, "old", st.root->fd, "a");
		break;
	}
}

static void
greet(void)
{
	static const uint8_t hello[] = { 0xf7, 'F', 'T', 'X', '\r', '\n', 0x1a, '\n', 0, 0, 0, 20,
		V2_HELLO, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0, 3, 0, 2, 1, 2, 0, 4, 0, 4, 0, 1, 0, 0 };

	if (greets) /* most scripts have something else to say */
		say(hello, sizeof(hello));
}

/* What it said until now counts for itself. */
static void
connect_again(void)
{
	if (st.peer >= 0) {
		hear(HEARD);
		close(st.peer);
		st.peer = -1;
		stage_settle(&st);
	}
	if (st.conn != NULL) /* its disk stands still */
		return;
	oracle_frames(side->heard, side->heard_len);
	memset(side, 0, sizeof(*side));
	stage_serve_v2(&st);
	greet();
}

static void
switch_sides(void)
{
	stage_switch(&st);
	side = &sides[side == &sides[0]];
	if (st.peer < 0 && st.conn == NULL)
		connect_again();
}

static void
do_op(enum op op, struct cursor *in)
{
	size_t n;

	switch (op) {
	case OP_RAW:
		n = cursor_get_u8(in);
		n = n < in->left ? n : in->left;
		say(cursor_get_bytes(in, n), n);
		break;
	case OP_REQUEST:
		send_request(in);
		break;
	case OP_DATA:
		send_data(in);
		break;
	case OP_END:
	case OP_PREFIX:
		send_end(in, op == OP_PREFIX);
		break;
	case OP_TURN:
		worker_turn(st.worker, false);
		break;
	case OP_JOB:
		(void)step_pool_run(st.pool);
		break;
	case OP_READ:
		n = cursor_get_u8(in);
		hear(n > 0 ? 256 * n : HEARD);
		break;
	case OP_TIME:
		stage_elapse(&st, PICK(times_ms, cursor_get_u8(in)));
		break;
	case OP_DISK:
		disk_stalled = !disk_stalled;
		break;
	case OP_HALFCLOSE:
		shutdown(st.peer, SHUT_WR);
		side->shut = true;
		break;
	case OP_DRAIN:
		if (st.conn != NULL)
			v2_server_drain(st.v2);
		break;
	case OP_FILE:
		change_file(cursor_get_u8(in));
		break;
	case OP_SWITCH:
		switch_sides();
		break;
	case OP_CONNECT:
		connect_again();
		break;
	case OP_SETTLE:
	default:
		stage_settle(&st);
		break;
	}
}

/* Of requests that have files open, beyond one for each connection. */
static struct limits *limits;
static unsigned shares;

static void
begin(uint8_t set, uint8_t root)
{
	disk_stalled = false;
	memset(sides, 0, sizeof(sides));
	side = &sides[0];
	memset(letters, LETTER, sizeof(letters));
	stage_up_with(&st, ROOT_EXCLUSIVE | (unsigned)(root & 0x0f) * ROOT_NAMED_STAGE);
	CHECK(root_keep_uploads(st.root) == FTX_OK);
	st.settle = settle;
	st.socket_buffer = (set & 1) != 0 ? 4096 : 0;
	st.server.max_file_size = (set & 2) != 0 ? 70000 : 0;
	st.server2.allow_replace = (set & 4) != 0;
	st.server2.allow_rename = (set & 8) != 0;
	st.server2.allow_remove = (set & 16) != 0;
	st.limits.min_rate = (set & 32) != 0 ? 1024 : 0;
	st.root->in_memory &= (set & 64) == 0;
	shares = root >> 4 & 3;
	CHECK(limits_new(&limits, 0, 0) == FTX_OK);
	limits_set_shares(limits, shares);
	st.server2.limits = shares < 3 ? limits : NULL; /* few, or as many as it takes */
	write_letters("old", 70000);
	CHECK(symlinkat("old", st.root->fd, "link") == 0);
	stage_serve_v2(&st);
	greets = (set & 128) == 0;
	greet();
}

static void
end(void)
{
	disk_stalled = false;
	for (int i = 0; i < 128; i++) {
		stage_settle(&st);
		hear(HEARD);
		stage_switch(&st);
		side = &sides[side == &sides[0]];
	}
	for (int i = 0; i < 2; i++)
		oracle_frames(sides[i].heard, sides[i].heard_len);
	stage_stop(&st);
	oracle_files(open(st.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	oracle_kept(st.dir);
	stage_remove_dir(&st);
	for (unsigned i = 0; i < shares; i++)
		CHECK(limits_take_share(limits));
	CHECK(!limits_take_share(limits));
	limits_free(limits);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN); /* as the programs do */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_init(data, size);
	uint8_t set, root;

	if (size < 4)
		return 0;
	set = cursor_get_u8(&in);
	root = cursor_get_u8(&in);
	begin(set, root);
	while (in.left > 0)
		do_op(cursor_get_u8(&in) % OPS, &in);
	end();
	return 0;
}
