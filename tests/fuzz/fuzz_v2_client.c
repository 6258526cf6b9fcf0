/*
 * Fuzz target: whole sessions of protocol 2's client. The real half on one end of a socketpair(2),
 * on the other the input as its server: a byte that sets the stage, then a script of operations,
 * each one byte (its number) and what the operation takes. Whatever the server says: each request
 * ends once, the connection tells its owner once, a file stands under its name only if it is whole,
 * nothing else stands anywhere, and memory and descriptors are given back.
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

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "fuzz/step_pool.h"
#include "fuzz/target.h"
#include "fuzz/v2_server.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "store/local.h"
#include "store/root.h"
#include "store/store.h"
#include "v2/client.h"

enum op {
	OP_RAW,      /* n, n bytes: sent as they stand */
	OP_GREET,    /* preface and HELLO */
	OP_MESSAGE,  /* which, id, k: one of the server's, see v2_server.c */
	OP_DATA,     /* id, k: content, so much of it */
	OP_TURN,     /* one turn of the loop */
	OP_JOB,      /* one job of the disk */
	OP_SETTLE,   /* until nothing happens any more */
	OP_READ,     /* all that has come is heard */
	OP_TIME,     /* k: the clock moves by times_ms[k] */
	OP_ASK,      /* k: that request is handed in */
	OP_CANCEL,   /* k: and cancelled */
	OP_CONTINUE, /* k: its stream goes on */
	OP_FILE,     /* the local file changes */
	OP_HALFCLOSE,
	OP_CLOSE,
	OP_FINISH,
	OP_ABORT,
	OPS
};

enum { ASKS = 5, PUTS = 3, GETS = 3, REQUESTS = ASKS + PUTS + GETS };

#define INPUT_MAX (V2_HEADER_SIZE + V2_CONTROL_MAX + 16 * 1024)

static const unsigned times_ms[] = { 1, 15000, 29999, 30000, 44999, 45000, 60000, 600000 };

static char dir[64];
static uint64_t now_ms;
static struct worker *worker;
static struct pool *pool;
static struct root *root;
static struct store *store;
static struct conn *conn; /* NULL once it has ended */
static struct v2_client *client;
static int peer;
uint8_t content[CONTENT];

static struct v2_ask asks[ASKS];
static struct v2_put_request uploads[PUTS];
static struct v2_get_request downloads[GETS];
static bool asked[REQUESTS]; /* under way */
static bool whole[GETS];     /* has published its file */
static size_t streamed, taken;

static uint64_t
moved_clock(void)
{
	return now_ms;
}

static void
drop_line(enum log_level level, const char *line)
{
	(void)level;
	if (getenv("PAIR_TRACE") != NULL)
		fprintf(stderr, "    %s\n", line);
}

void
settle(void)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		while (step_pool_run(pool))
			quiet = 0;
		worker_turn(worker, false);
	}
}

/* --- The client's side --- */

static struct v2_request *
request_of(unsigned i)
{
	if (i < ASKS)
		return &asks[i].r;
	return i < ASKS + PUTS ? &uploads[i - ASKS].r : &downloads[i - ASKS - PUTS].r;
}

static void
on_done(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	bool *under_way = arg;
	size_t i = (size_t)(under_way - asked);
	struct v2_entry e;

	CHECK(*under_way && r == request_of((unsigned)i) && r->client == NULL);
	*under_way = false;
	CHECK(o->rc == FTX_OK || o->whose != V2_WHOSE_NONE || !o->breach);
	CHECK(o->rc != FTX_OK || (o->sent && o->answered));
	if (i == 1 && o->rc == FTX_OK) {
		while (v2_ask_next_entry(&asks[1], &e))
			CHECK(e.name.len > 0 && memchr(e.name.p, '/', e.name.len) == NULL &&
			      !(e.name.len <= 2 && memcmp(e.name.p, "..", e.name.len) == 0));
	}
	if (i >= ASKS + PUTS && o->rc == FTX_OK)
		whole[i - ASKS - PUTS] = true;
}

static enum ftx_rc
read_stream(void *arg, void *p, size_t len, size_t *n)
{
	size_t left = LOCAL - streamed;

	(void)arg;
	*n = len < 5000 ? len : 5000;
	if (*n > left)
		*n = left;
	memcpy(p, content + streamed, *n);
	streamed += *n;
	return *n == 0 ? FTX_TRUNCATED : FTX_OK;
}

static enum ftx_rc
write_stream(void *arg, const void *p, size_t len, size_t *n)
{
	(void)arg;
	(void)p;
	*n = (taken++ & 1) == 0 ? 0 : len; /* every other time */
	return FTX_OK;
}

static void
ask_for(unsigned i)
{
	static const struct v2_stream stream = { .read = read_stream, .write = write_stream };
	static const struct v2_slice none;
	struct v2_put_request *put = &uploads[i >= ASKS ? (i - ASKS) % PUTS : 0];
	struct v2_get_request *get = &downloads[i >= ASKS + PUTS ? i - ASKS - PUTS : 0];
	struct v2_request *r = request_of(i);

	if (client == NULL || asked[i])
		return;
	asked[i] = true;
	r->on_done = on_done;
	r->arg = &asked[i];
	if (i == 0)
		v2_client_stat(client, &asks[0], "a", DIGEST_SHA256, 0);
	else if (i == 1)
		v2_client_list(client, &asks[1], "",
		    asks[1].got.list.cursor.len > 0 ? (struct v2_slice){ asks[1].cursor, 1 } : none,
		    DIGEST_NONE, 0);
	else if (i == 2)
		v2_client_remove(client, &asks[2], "b", none, V2_BARRIER);
	else if (i == 3)
		v2_client_sum(client, &asks[3], "b", DIGEST_NONE, 0, 1, 0);
	else if (i == 4)
		v2_client_ping(client, &asks[4]);
	else if (i < ASKS + PUTS) {
		v2_put_clear(put);
		put->name = "p";
		put->has_upload_id = i == ASKS + 1;
		if (i == ASKS) {
			put->memory = content;
			put->memory_size = 5000;
		} else if (i == ASKS + 1) {
			put->store = store;
			put->local_name = "local";
		} else
			put->stream = &stream;
		streamed = i == ASKS + 2 ? 0 : streamed;
		v2_client_put(client, put);
	} else {
		get->name = "g";
		get->has_range = i == ASKS + PUTS + 1;
		get->offset = 4096;
		get->length = 5000;
		if (i == ASKS + PUTS + 1)
			get->stream = &stream;
		else {
			get->store = store;
			get->spec = (struct put_spec){
				.name = i == ASKS + PUTS ? "one" : "two",
				.policy = PUT_REPLACE,
			};
		}
		v2_client_get(client, get);
	}
}

static void
ignore(void *arg)
{
	(void)arg;
}

static void
ignore_goodbye(void *arg, uint32_t retry_after)
{
	(void)arg;
	(void)retry_after;
}

static void
on_close(void *arg, const struct v2_outcome *o)
{
	(void)arg;
	(void)o;
	CHECK(client != NULL && conn == NULL);
	for (unsigned i = 0; i < REQUESTS; i++)
		CHECK(!asked[i]);
	client = NULL;
}

static void
on_conn_close(void *arg, enum ftx_rc why)
{
	(void)arg;
	(void)why;
	conn = NULL;
}

/* --- The server's --- */

void
tell(const void *p, size_t len)
{
	if (peer >= 0 && len > 0)
		(void)!send(peer, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
hear(void)
{
	static uint8_t heard[65536];

	while (peer >= 0 && recv(peer, heard, sizeof(heard), MSG_DONTWAIT) > 0)
		;
}

static void
change_local(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/local", dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

static void
do_to_client(enum op op, struct cursor *in)
{
	struct v2_request *r;

	switch (op) {
	case OP_ASK:
		ask_for(cursor_get_u8(in) % REQUESTS);
		break;
	case OP_CANCEL:
	case OP_CONTINUE:
		r = request_of(cursor_get_u8(in) % REQUESTS);
		if (op == OP_CANCEL)
			v2_client_cancel(r);
		else
			v2_request_continue(r);
		break;
	case OP_FILE:
		change_local();
		break;
	case OP_FINISH:
		if (client != NULL)
			v2_client_finish(client);
		break;
	default:
		if (client != NULL)
			v2_client_abort(client, FTX_CANCELLED);
	}
}

static void
do_from_server(enum op op, struct cursor *in)
{
	size_t n;

	switch (op) {
	case OP_RAW:
		n = cursor_get_u8(in);
		n = n < in->left ? n : in->left;
		tell(cursor_get_bytes(in, n), n);
		break;
	case OP_GREET:
		server_greet();
		break;
	case OP_MESSAGE:
		server_say(in);
		break;
	case OP_DATA:
		server_say_data(in);
		break;
	case OP_READ:
		hear();
		break;
	case OP_HALFCLOSE:
		if (peer >= 0)
			shutdown(peer, SHUT_WR);
		break;
	default:
		if (peer >= 0)
			close(peer);
		peer = -1;
	}
}

static void
do_op(enum op op, struct cursor *in)
{
	switch (op) {
	case OP_TURN:
		worker_turn(worker, false);
		break;
	case OP_JOB:
		(void)step_pool_run(pool);
		break;
	case OP_SETTLE:
		settle();
		break;
	case OP_TIME:
		now_ms += PICK(times_ms, cursor_get_u8(in));
		worker_run_timers(worker);
		break;
	case OP_ASK:
	case OP_CANCEL:
	case OP_CONTINUE:
	case OP_FILE:
	case OP_FINISH:
	case OP_ABORT:
		do_to_client(op, in);
		break;
	default:
		do_from_server(op, in);
		break;
	}
}

/* --- The stage --- */

static void
begin(uint8_t set)
{
	static const struct v2_client_callbacks callbacks = { ignore, ignore, ignore_goodbye,
		on_close };
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	const struct conn_limits limits = { 0 };
	char path[128];
	int fds[2], fd;

	snprintf(dir, sizeof(dir), "%s/fuzz-XXXXXX", tmp);
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/local", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, content, LOCAL) == LOCAL);
	close(fd);
	now_ms = 1000 * 1000;
	memset(asks, 0, sizeof(asks));
	memset(uploads, 0, sizeof(uploads));
	memset(downloads, 0, sizeof(downloads));
	server_begin();
	memset(whole, 0, sizeof(whole));
	streamed = taken = 0;
	CHECK(worker_new(&worker, NULL) == FTX_OK);
	CHECK(pool_new(&pool, POOL_THREADS_MIN) == FTX_OK);
	CHECK(root_open(&root, dir, (set & 1) != 0 ? ROOT_MAY_WAIT : ROOT_NAMED_STAGE, 0640) ==
	      FTX_OK);
	CHECK(store_local_new(&store, root, worker, pool) == FTX_OK);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	peer = fds[1];
	CHECK(conn_new(&conn, worker, fds[0], NULL, &limits) == FTX_OK);
	conn_set_owner(conn, on_conn_close, NULL);
	CHECK(v2_client_new(&client, conn, "fuzz", &callbacks, NULL) == FTX_OK);
	if ((set & 2) != 0) {
		server_greet();
		for (unsigned i = 0; i < REQUESTS; i++)
			ask_for(i);
		settle();
	}
}

/* A name that stands there is whole; the others are nobody's. */
static void
check_files(void)
{
	static uint8_t bytes[CONTENT + 1];
	struct dirent *e;
	DIR *d = opendir(dir);

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		unsigned i = strcmp(e->d_name, "one") == 0 ? 0 : 2;
		char path[512];
		ssize_t n;
		int fd;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, "local") != 0) {
			CHECK(strcmp(e->d_name, "one") == 0 || strcmp(e->d_name, "two") == 0);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			n = read(fd, bytes, sizeof(bytes));
			close(fd);
			CHECK(n >= 0 && n <= CONTENT && memcmp(bytes, content, (size_t)n) == 0);
			whole[i] = false;
		}
		unlink(path);
	}
	CHECK(!whole[0] && !whole[2]);
	closedir(d);
	CHECK(rmdir(dir) == 0);
}

static void
end(void)
{
	settle();
	hear();
	if (peer >= 0)
		close(peer);
	/* Whoever takes a stream goes on with it: else nobody sees that the server is gone. */
	for (int i = 0; i < 40 && client != NULL; i++) {
		v2_request_continue(&downloads[1].r);
		settle();
	}
	CHECK(client == NULL && conn == NULL);
	for (unsigned i = 0; i < PUTS; i++)
		v2_put_clear(&uploads[i]);
	for (unsigned i = 0; i < GETS; i++)
		v2_get_clear(&downloads[i]);
	for (int i = 0; i < 4; i++)
		settle();
	CHECK(worker_held(worker) == 0 && store->transfers == 0);
	pool_free(pool);
	store_free(store);
	worker_free(worker);
	root_close(root);
	check_files();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	clock_set_hook(moved_clock);
	log_set_hook(drop_line);
	for (size_t i = 0; i < CONTENT; i++)
		content[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_init(data, size);

	if (size < 2)
		return 0;
	begin(cursor_get_u8(&in));
	while (in.left > 0) {
		do_op(cursor_get_u8(&in) % OPS, &in);
		CHECK(conn == NULL || conn_input_length(conn) <= INPUT_MAX);
		CHECK(conn == NULL || conn_output_length(conn) <= 1024 * 1024);
	}
	end();
	return 0;
}
