#include "unit/v2_peer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/pool.h"
#include "store/local.h"
#include "store/root.h"

struct worker *worker;
struct store *store;
struct v2_client *client;
int peer = -1;
struct client_heard heard;

static struct root *root;
static struct pool *pool;
static int descriptors;

static uint8_t got[4 * 1024 * 1024];     /* of the client's, not looked at yet */
static size_t got_at, got_len, got_used; /* where that begins; bytes; of the frame taken last */
static bool got_end, deaf, holds;
static uint8_t held[1024 * 1024];
static size_t held_len;

static void
on_open(void *arg)
{
	(void)arg;
	heard.opens++;
}

static void
on_ready(void *arg)
{
	(void)arg;
	heard.readies++;
}

static void
on_goodbye(void *arg, uint32_t retry_after)
{
	(void)arg;
	heard.goodbyes++;
	heard.retry_after = retry_after;
}

static void
on_close(void *arg, const struct v2_outcome *o)
{
	(void)arg;
	heard.closes++;
	heard.end = *o;
	client = NULL;
}

void
on_asked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct asker *a = arg;
	size_t len = o->text.len < sizeof(a->text) ? o->text.len : sizeof(a->text) - 1;

	UNIT_CHECK(a->times == 0 && r->client == NULL);
	a->times++;
	a->o = *o;
	if (len > 0)
		memcpy(a->text, o->text.p, len);
	if (a->then != NULL)
		a->then(a, r);
}

void
v2_connect(void)
{
	static const struct v2_client_callbacks callbacks = { on_open, on_ready, on_goodbye,
		on_close };
	const struct conn_limits limits = { 0 };
	struct conn *conn;
	int ends[2];

	if (peer >= 0)
		close(peer);
	memset(&heard, 0, sizeof(heard));
	got_at = got_len = got_used = 0;
	got_end = false;
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	peer = ends[1];
	ck_assert_int_eq(conn_new(&conn, worker, ends[0], NULL, &limits), FTX_OK);
	ck_assert_int_eq(v2_client_new(&client, conn, "test/1", &callbacks, &heard), FTX_OK);
}

void
v2_setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	unit_enter_dir();
	unit_clock_stop();
	unit_log_keep();
	ck_assert_int_eq(mkdir("root", 0755), 0);
	descriptors = unit_descriptors();
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
	ck_assert_int_eq(pool_new(&pool, POOL_THREADS_MIN), FTX_OK);
	ck_assert_int_eq(root_open(&root, "root", 0, 0640), FTX_OK);
	ck_assert_int_eq(store_local_new(&store, root, worker, pool), FTX_OK);
	v2_connect();
}

void
v2_teardown(void)
{
	if (client != NULL)
		v2_client_abort(client, FTX_CANCELLED);
	settle();
	ck_assert_ptr_null(client);
	ck_assert_int_eq(heard.closes, 1);
	if (peer >= 0)
		close(peer);
	ck_assert_uint_eq(store->transfers, 0);
	store_free(store);
	pool_free(pool);
	root_close(root);
	worker_free(worker);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
gather(void)
{
	ssize_t n;

	while (peer >= 0 && !got_end && !deaf && got_at + got_len < sizeof(got)) {
		n = recv(
		    peer, got + got_at + got_len, sizeof(got) - got_at - got_len, MSG_DONTWAIT);
		if (n > 0)
			got_len += (size_t)n;
		got_end = n == 0 || (n < 0 && errno != EAGAIN);
		if (n <= 0)
			break;
	}
}

void
settle(void)
{
	for (int quiet = 0; quiet < 8; quiet++) {
		while (worker_held(worker) > 0) {
			worker_turn(worker, true);
			quiet = 0;
		}
		worker_turn(worker, false);
		gather();
	}
}

void
elapse(uint64_t ms)
{
	unit_clock_add(ms);
	worker_run_timers(worker);
	settle();
}

void
peer_send(const void *p, size_t len)
{
	size_t sent = 0;

	if (holds) {
		ck_assert_uint_le(len, sizeof(held) - held_len);
		if (len > 0)
			memcpy(held + held_len, p, len);
		held_len += len;
		return;
	}
	for (int waits = 0; sent < len && waits < 100;) {
		ssize_t n =
		    send(peer, (const char *)p + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return; /* it has closed: what was expected comes next */
		sent += n > 0 ? (size_t)n : 0;
		waits += n <= 0;
		settle();
	}
	ck_assert_msg(sent == len, "the client reads no more");
}

void
peer_hold(bool hold)
{
	holds = hold;
	if (hold)
		held_len = 0;
	else
		peer_send(held, held_len);
}

static void
drop_used(void)
{
	got_at += got_used;
	got_len -= got_used;
	if (got_len == 0)
		got_at = 0;
	if (got_at > sizeof(got) / 2) {
		memmove(got, got + got_at, got_len);
		got_at = 0;
	}
	got_used = 0;
}

const struct v2_frame *
peer_takes(enum v2_type type)
{
	static const struct v2_gate gate = { V2_CLIENT, true, V2_DATA_MAX };
	static struct v2_frame f;
	struct v2_fault fault = { V2_REACH_NONE, FTX_OK };

	drop_used();
	settle();
	ck_assert_msg(got_len >= V2_HEADER_SIZE, "no %s has come", v2_type_name(type));
	fault = v2_frame_decode(got + got_at, &gate, &f);
	if (f.type != V2_HELLO)
		ck_assert_int_eq(fault.reach, V2_REACH_NONE);
	ck_assert_str_eq(v2_type_name(f.type), v2_type_name(type));
	ck_assert_uint_ge(got_len, V2_HEADER_SIZE + f.length);
	f.payload = got + got_at + V2_HEADER_SIZE;
	got_used = V2_HEADER_SIZE + f.length;
	return &f;
}

enum v2_type
peer_next_type(void)
{
	drop_used();
	settle();
	ck_assert_msg(got_len >= V2_HEADER_SIZE, "nothing has come");
	return (enum v2_type)got[got_at + 4];
}

uint64_t
peer_takes_data(void)
{
	uint64_t before, all = 0;

	do {
		before = all;
		drop_used();
		settle();
		while (got_len >= V2_HEADER_SIZE && got[got_at + 4] == V2_DATA) {
			const uint8_t *p = got + got_at;
			size_t len =
			    (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

			if (got_len < V2_HEADER_SIZE + len)
				break;
			got_used = V2_HEADER_SIZE + len;
			drop_used();
			all += len;
		}
	} while (all > before);
	return all;
}

void
peer_stop_reading(bool stop)
{
	deaf = stop;
}

void
peer_takes_nothing(void)
{
	drop_used();
	settle();
	ck_assert_msg(got_len == 0, "a %s has come", v2_type_name(got[got_at + 4]));
}

bool
peer_sees_end(void)
{
	settle();
	return got_end;
}

void
peer_skip_hello(void)
{
	settle();
	ck_assert_uint_ge(got_len, V2_PREFACE_SIZE);
	ck_assert(v2_preface_begins(got + got_at, got_len));
	got_used = V2_PREFACE_SIZE;
	peer_takes(V2_HELLO);
}

uint32_t peer_max_data;
uint64_t peer_max_file;
uint64_t peer_features;

void
peer_greet(uint16_t max_requests, uint32_t max_now)
{
	static const uint8_t kinds[] = { DIGEST_XXH128, DIGEST_SHA256 };
	uint8_t preface[V2_PREFACE_SIZE];

	peer_skip_hello();
	v2_preface_encode(preface);
	peer_send(preface, sizeof(preface));
	PEER_SAYS(server_hello, v2_hello, 0, 0,
	    .has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA) |
		   V2_BIT(MAX_REQUESTS) | V2_BIT(MAX_NOW) |
		   (peer_max_file > 0 ? V2_BIT(MAX_FILE) : 0) |
		   (peer_features != 0 ? V2_BIT(FEATURES) : 0),
	    .max_file = peer_max_file, .features = peer_features, .version = 2,
	    .digests = { kinds, 2 }, .max_data = peer_max_data > 0 ? peer_max_data : 65536,
	    .max_requests = max_requests, .max_now = max_now);
	ck_assert_int_eq(heard.opens, 1);
}

void
peer_says_data(uint16_t id, const void *p, size_t len)
{
	struct v2_frame f = { .length = (uint32_t)len, .type = V2_DATA, .id = id };
	uint8_t header[V2_HEADER_SIZE];

	v2_frame_encode(&f, header);
	peer_send(header, sizeof(header));
	peer_send(p, len);
}

void
peer_says_error(uint16_t id, uint16_t code)
{
	PEER_SAYS(error, v2_error, 0, id, .has = V2_BIT(CODE) | V2_BIT(TEXT), .code = code,
	    .text = slice("in words"));
}

void
peer_says_receipt(uint16_t id, const void *content, size_t len)
{
	PEER_SAYS(put_ok, v2_receipt, 0, id,
	    .has =
		V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) | V2_BIT(TIME),
	    .name = slice("name"), .size = len, .digest = sum_of(DIGEST_XXH128, content, len),
	    .file_version = SOME_VERSION);
}

struct v2_slice
slice(const char *s)
{
	return (struct v2_slice){ (const uint8_t *)s, strlen(s) };
}

struct digest_value
sum_of(enum digest_kind kind, const void *p, size_t len)
{
	struct digest_value v;

	ck_assert_int_eq(digest_of(kind, p, len, &v), FTX_OK);
	return v;
}
