/*
 * Fuzz target: whole sessions of protocol 2, the server's half. On one end of a socketpair(2) the
 * half, on the other the input: two bytes that set the stage, then a script of operations, each one
 * byte and what it takes. Most of them say whole messages, so that the script comes far; one says
 * bytes as they stand. All content is of one letter, so that its digest is known.
 *
 * What must hold: each frame of the half's is one that a client takes; a request that was not made
 * is not answered, and none twice; nothing but whole files has a name; and nothing is left.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "fuzz/step_pool.h"
#include "fuzz/target.h"
#include "loop/worker.h"
#include "pair/pair_stage.h"
#include "store/path.h"
#include "store/root.h"
#include "v2/message.h"

#define CHECK(x)                                                                \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

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
	OP_FILE, /* k: what somebody else does in the root */
	OPS
};

static const unsigned times_ms[] = { 1, 1000, 10000, 15000, 30000, 60000, 61000 };
static const uint32_t sizes[] = { 0, 1, 4096, 5000, 65536, 65537, 262144, 1048576, 1048577 };
static const char *const names[] = { "a", "b", "d/a", "d", "d/e/f", "old", "link", "", "../x",
	"no/x", ".ftxferd/x" };
static const uint8_t requests[] = { V2_PUT, V2_GET, V2_STAT, V2_LIST, V2_MKDIR, V2_RENAME,
	V2_REMOVE, V2_DIGEST, V2_CANCEL, V2_AUTH, V2_PING, 0x30 };
#define PICK(table, k) ((table)[(k) % (sizeof(table) / sizeof((table)[0]))])

#define LETTER   'a'
#define IDS      8
#define HEARD    ((size_t)4 * 1024 * 1024)
#define CONTENTS ((size_t)1048577)

static struct pair_stage st;
static bool disk_stalled, shut;
static uint8_t letters[CONTENTS];
static uint8_t heard[HEARD];
static size_t heard_len;
static uint64_t sent_content[IDS];

static void
settle(struct pair_stage *stage)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		while (!disk_stalled && step_pool_run(stage->pool))
			quiet = 0;
		worker_turn(stage->worker, false);
	}
}

static void
say(const void *p, size_t len)
{
	if (st.peer >= 0 && !shut)
		(void)!send(st.peer, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
hear(size_t most)
{
	while (st.peer >= 0 && most > 0 && heard_len < HEARD) {
		size_t room = HEARD - heard_len < most ? HEARD - heard_len : most;
		ssize_t n = recv(st.peer, heard + heard_len, room, MSG_DONTWAIT);

		if (n <= 0)
			return;
		heard_len += (size_t)n;
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
		sent_content[id] = 0;
		if ((more & 0x40) == 0)
			put_u64(&out, V2_ATTR_SIZE, size);
		if (policy > 0)
			put_attr(&out, V2_ATTR_POLICY, &policy, 1);
		if (policy > 2)
			put_digest(&out, size, true);
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
	sent_content[id] += f.length;
}

static void
send_end(struct cursor *in, bool prefix)
{
	uint8_t id = cursor_get_u8(in) % IDS, k = cursor_get_u8(in), frame[128];
	struct cursor_out out = cursor_out_init(frame, sizeof(frame));
	uint64_t size = prefix ? PICK(sizes, k >> 2) : sent_content[id];

	cursor_put_zero(&out, V2_HEADER_SIZE);
	if (prefix)
		put_u64(&out, V2_ATTR_OFFSET, size);
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
		shut = true;
		break;
	case OP_DRAIN:
		if (st.conn != NULL)
			v2_server_drain(st.v2);
		break;
	case OP_FILE:
		change_file(cursor_get_u8(in));
		break;
	case OP_SETTLE:
	default:
		stage_settle(&st);
		break;
	}
}

/* What the half said: a preface, and frames that a client takes. The last one may be cut off. */
static void
check_heard(void)
{
	struct v2_gate gate = { V2_SERVER, false, V2_DATA_MIN };
	size_t at = V2_PREFACE_SIZE;

	CHECK(v2_preface_begins(heard, heard_len < at ? heard_len : at));
	while (at < heard_len) {
		struct v2_fault fault;
		struct v2_frame f;
		size_t size;
		enum v2_next next =
		    v2_frame_next(heard + at, heard_len - at, &gate, &f, &size, &fault);

		if (next == V2_NEXT_MORE)
			return;
		CHECK(next != V2_NEXT_FAULT && fault.reach == V2_REACH_NONE);
		gate.greeted |= f.type == V2_HELLO;
		at += size + (next == V2_NEXT_DATA ? f.length : 0);
	}
}

/* Whatever has a name is whole: of nothing but the letter. */
static void
check_dir(int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		static uint8_t content[CONTENTS];
		struct stat s;
		int file;

		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.'))
			continue;
		CHECK(strncmp(e->d_name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) != 0);
		if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 ||
		    path_is_reserved(e->d_name, strlen(e->d_name)))
			continue;
		file = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (S_ISDIR(s.st_mode) && file >= 0) {
			check_dir(file);
			continue;
		}
		if (S_ISREG(s.st_mode) && (size_t)s.st_size <= CONTENTS) {
			CHECK(read(file, content, CONTENTS) == s.st_size);
			CHECK(memcmp(content, letters, (size_t)s.st_size) == 0);
		}
		if (file >= 0)
			close(file);
	}
	closedir(d);
}

static void
begin(uint8_t set, uint8_t root)
{
	disk_stalled = shut = false;
	heard_len = 0;
	memset(sent_content, 0, sizeof(sent_content));
	memset(letters, LETTER, sizeof(letters));
	stage_up_with(&st, ROOT_EXCLUSIVE | (unsigned)(root & 0x0f) * ROOT_NAMED_STAGE);
	st.settle = settle;
	st.socket_buffer = (set & 1) != 0 ? 4096 : 0;
	st.server.max_file_size = (set & 2) != 0 ? 70000 : 0;
	st.server2.allow_replace = (set & 4) != 0;
	st.server2.allow_rename = (set & 8) != 0;
	st.server2.allow_remove = (set & 16) != 0;
	st.limits.min_rate = (set & 32) != 0 ? 1024 : 0;
	st.root->in_memory &= (set & 64) == 0;
	write_letters("old", 70000);
	CHECK(symlinkat("old", st.root->fd, "link") == 0);
	stage_serve_v2(&st);
	if ((set & 128) == 0) { /* most scripts have something else to say */
		static const uint8_t hello[] = { 0xf7, 'F', 'T', 'X', '\r', '\n', 0x1a, '\n', 0, 0,
			0, 20, V2_HELLO, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0, 3, 0, 2, 1, 2, 0, 4, 0, 4, 0,
			1, 0, 0 };

		say(hello, sizeof(hello));
	}
}

static void
end(void)
{
	disk_stalled = false;
	for (int i = 0; i < 64; i++) {
		stage_settle(&st);
		hear(HEARD);
	}
	check_heard();
	stage_stop(&st);
	check_dir(open(st.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	stage_remove_dir(&st);
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
