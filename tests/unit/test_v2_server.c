/* v2/server: how it reads content, and by whose fault none comes; the test is the client. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/step_pool.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "store/root.h"
#include "unit/test_v2_server.h"
#include "v2/message.h"
#include "v2/result.h"

#define FRAME   16384
#define LARGE   ((size_t)4 * 1024 * 1024)
#define IDLE_MS 60000 /* of the stage's limits */

struct pair_stage st;
static uint8_t content[LARGE];

/* --- What the server reads, call by call --- */

static struct {
	size_t all;        /* bytes so far */
	size_t ends[1024]; /* where each call has come to */
	unsigned count;
} reads;

ssize_t
recv(int fd, void *p, size_t len, int flags)
{
	ssize_t (*real)(int, void *, size_t, int);
	ssize_t n;

	*(void **)&real = dlsym(RTLD_NEXT, "recv");
	n = real(fd, p, len, flags);
	if (n > 0) {
		reads.all += (size_t)n;
		reads.ends[reads.count++ % COUNT(reads.ends)] = reads.all;
	}
	return n;
}

/* --- The client --- */

static uint8_t got[2 * 1024 * 1024]; /* of the server's, not looked at yet */
static size_t got_len;
static bool holds; /* no job gets on */
bool holds_turns;

static void
settle(struct pair_stage *stage)
{
	for (int quiet = 0; quiet < 8 && !holds_turns; quiet++) {
		if (!holds && step_pool_run(stage->pool))
			quiet = 0;
		worker_turn(stage->worker, false);
	}
}

/* Up to `most` bytes of what is there. */
static void
gather(size_t most)
{
	ssize_t n;

	while (most > 0) {
		n = read(st.peer, got + got_len,
		    most < sizeof(got) - got_len ? most : sizeof(got) - got_len);
		if (n <= 0)
			return;
		got_len += (size_t)n;
		most -= (size_t)n;
		stage_settle(&st);
	}
}

/* How much of it goes. */
static size_t
send_some(const void *p, size_t len)
{
	size_t sent = 0;
	ssize_t n;

	while (sent < len) {
		n = send(st.peer, (const uint8_t *)p + sent, len - sent, MSG_NOSIGNAL);
		stage_settle(&st);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

void
send_all(const void *p, size_t len)
{
	ck_assert_uint_eq(send_some(p, len), len);
}

bool
next_message(struct v2_frame *f)
{
	static const struct v2_gate gate = { V2_SERVER, true, V2_DATA_MAX };
	static size_t used;
	struct v2_fault fault;
	size_t size;

	gather(SIZE_MAX);
	got_len -= used;
	memmove(got, got + used, got_len);
	used = 0;
	if (v2_frame_next(got, got_len, &gate, f, &size, &fault) != V2_NEXT_MESSAGE)
		return false;
	used = size;
	return true;
}

void
expect(enum v2_type type, uint16_t id)
{
	struct v2_frame f;

	do {
		ck_assert_msg(next_message(&f), "no %s has come", v2_type_name(type));
	} while (f.type == V2_WORKING);
	ck_assert_str_eq(v2_type_name(f.type), v2_type_name(type));
	ck_assert_uint_eq(f.id, id);
}

void
say_put(uint16_t id, const char *name, uint64_t size)
{
	const struct v2_put m = {
		.has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST_KIND),
		.name = { (const uint8_t *)name, strlen(name) },
		.size = size,
		.digest_kind = DIGEST_XXH128,
	};
	uint8_t frame[V2_FRAME_ROOM];

	send_all(frame, v2_put_encode(&m, 0, id, frame, sizeof(frame)));
	expect(V2_GO, id);
}

static void
say_list(uint16_t id)
{
	const struct v2_list m = { .has = V2_BIT(NAME) };
	uint8_t frame[V2_FRAME_ROOM];

	send_all(frame, v2_list_encode(&m, 0, id, frame, sizeof(frame)));
}

void
say_end(uint16_t id, size_t size)
{
	struct v2_end m = { .has = V2_BIT(DIGEST) };
	uint8_t frame[V2_FRAME_ROOM];

	ck_assert_int_eq(digest_of(DIGEST_XXH128, content, size, &m.digest), FTX_OK);
	send_all(frame, v2_put_end_encode(&m, 0, id, frame, sizeof(frame)));
}

/* A frame of DATA, to be sent; its length. */
static size_t
make_data(uint8_t *p, uint16_t id, const uint8_t *of, size_t len)
{
	const struct v2_frame f = { .length = (uint32_t)len, .type = V2_DATA, .id = id };

	v2_frame_encode(&f, p);
	memcpy(p + V2_HEADER_SIZE, of, len);
	return V2_HEADER_SIZE + len;
}

void
begin(bool in_memory)
{
	static const uint8_t kind = DIGEST_XXH128;
	const struct v2_hello m = {
		.has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA),
		.version = V2_VERSION,
		.digests = { &kind, 1 },
		.max_data = V2_DATA_MAX,
	};
	uint8_t frame[V2_FRAME_ROOM];

	st.root->in_memory = in_memory;
	stage_serve_v2(&st);
	v2_preface_encode(frame);
	send_all(frame, V2_PREFACE_SIZE);
	send_all(frame, v2_client_hello_encode(&m, 0, 0, frame, sizeof(frame)));
	gather(SIZE_MAX);
	ck_assert(v2_preface_begins(got, V2_PREFACE_SIZE));
	ck_assert_uint_eq(got[V2_PREFACE_SIZE + 4], V2_HELLO);
	got_len = 0;
}

void
v2_server_set_up(void)
{
	uint64_t seed = 5;

	signal(SIGPIPE, SIG_IGN);
	stage_up(&st);
	st.settle = settle;
	for (size_t i = 0; i < LARGE; i += sizeof(seed)) {
		uint64_t random = unit_random(&seed);

		memcpy(content + i, &random, sizeof(random));
	}
}

void
v2_server_tear_down(void)
{
	holds = false;
	stage_down(&st);
}

/* --- The input --- */

/*
 * What stands behind the header of a frame is not read with it, but to where it belongs: in memory,
 * or by a job. (Nobody knows before the first frame that it will be so.)
 */
START_TEST(test_headers_alone)
{
	enum { FRAMES = 13, AT_ONCE = 4 };
	static uint8_t frames[AT_ONCE * (V2_HEADER_SIZE + FRAME)];
	const size_t step = V2_HEADER_SIZE + FRAME;
	size_t first;

	begin(_i != 0);
	say_put(1, "a", FRAMES * FRAME);
	first = reads.all;
	send_all(frames, make_data(frames, 1, content, FRAME));
	for (size_t i = 1; i < FRAMES; i += AT_ONCE) {
		size_t len = 0;

		for (size_t j = i; j < i + AT_ONCE; j++)
			len += make_data(frames + len, 1, content + j * FRAME, FRAME);
		/* All of it is there before any of it is read. */
		ck_assert_int_eq(send(st.peer, frames, len, MSG_NOSIGNAL), (ssize_t)len);
		stage_settle(&st);
	}
	ck_assert_uint_eq(reads.all, first + FRAMES * step);
	for (size_t i = 1; i < FRAMES; i++) {
		size_t header = first + i * step + V2_HEADER_SIZE;
		unsigned n = 0;

		while (reads.ends[n] < header)
			n++;
		ck_assert_uint_eq(reads.ends[n], header);
	}
	say_end(1, FRAMES * FRAME);
	expect(V2_OK, 1);
}
END_TEST

/* --- Who does not send has not to, while it is we who are not ready --- */

/* Two of the times that a client may say nothing. */
static void
elapse_twice_idle(void)
{
	for (unsigned ms = 0; ms < 2 * IDLE_MS; ms += 1000) {
		stage_elapse(&st, 1000);
		gather(SIZE_MAX);
	}
}

/* The disk takes what has come, and nothing more is read meanwhile. */
START_TEST(test_disk_is_busy)
{
	static uint8_t frame[V2_HEADER_SIZE + V2_DATA_MAX];
	size_t at = 0, len = 0, sent = 0;

	begin(false);
	say_put(1, "a", LARGE);
	holds = true;
	while (sent == len) {
		ck_assert_uint_lt(at, LARGE);
		len = make_data(frame, 1, content + at, V2_DATA_MAX);
		at += V2_DATA_MAX;
		sent = send_some(frame, len);
	}
	elapse_twice_idle();
	holds = false;
	stage_settle(&st);
	send_all(frame + sent, len - sent);
	for (; at < LARGE; at += V2_DATA_MAX)
		send_all(frame, make_data(frame, 1, content + at, V2_DATA_MAX));
	say_end(1, LARGE);
	expect(V2_OK, 1);
}
END_TEST

/* What comes next has to wait for what came before. */
START_TEST(test_next_has_to_wait)
{
	static uint8_t frame[V2_HEADER_SIZE + 100000];
	size_t size = sizeof(frame) - V2_HEADER_SIZE;

	begin(false);
	say_put(1, "a", size);
	say_put(2, "b", size);
	holds = true;
	send_all(frame, make_data(frame, 1, content, size));
	say_end(1, size);
	send_all(frame, make_data(frame, 2, content, size));
	elapse_twice_idle();
	holds = false;
	stage_settle(&st);
	expect(V2_OK, 1);
	say_end(2, size);
	expect(V2_OK, 2);
}
END_TEST

/* So much waits for the client that nothing is read. It gets on with that, if slowly. */
START_TEST(test_output_waits)
{
	enum { NAMES = 300, LISTS = 16, TAKEN = 40000 };
	static uint8_t frame[V2_HEADER_SIZE + 100000];
	size_t size = sizeof(frame) - V2_HEADER_SIZE;
	char path[512];

	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s/%0200d", st.dir, i);
		unit_write(path, "", 0);
	}
	begin(false);
	say_put(100, "a", size);
	for (int id = 1; id <= LISTS; id++)
		say_list((uint16_t)id);
	for (unsigned ms = 0; ms <= IDLE_MS; ms += 10000) {
		stage_elapse(&st, 10000);
		gather(TAKEN);
	}
	for (int id = 1; id <= LISTS; id++)
		expect(V2_PAGE, (uint16_t)id);
	send_all(frame, make_data(frame, 100, content, size));
	say_end(100, size);
	expect(V2_OK, 100);
}
END_TEST

/* But when we are ready, it has: then there is no OK. */
START_TEST(test_nothing_waits)
{
	struct v2_frame f;

	begin(_i != 0);
	say_put(1, "a", LARGE);
	elapse_twice_idle();
	do {
		ck_assert(next_message(&f));
	} while (f.type == V2_WORKING);
	ck_assert_str_eq(v2_type_name(f.type), "ERROR");
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "server");

	tcase_add_checked_fixture(tc, v2_server_set_up, v2_server_tear_down);
	tcase_add_loop_test(tc, test_headers_alone, 0, 2);
	tcase_add_test(tc, test_disk_is_busy);
	tcase_add_test(tc, test_next_has_to_wait);
	tcase_add_test(tc, test_output_waits);
	tcase_add_loop_test(tc, test_nothing_waits, 0, 2);
	add_turn_cases(s);
}

int
main(void)
{
	return unit_run("v2_server", add_cases);
}
