/* v2/client and v2/server against each other: files from one store to another. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/registry.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "store/local.h"
#include "store/root.h"
#include "store/store.h"
#include "unit/unit.h"
#include "v2/client.h"
#include "v2/server.h"

#define SMALL 300
#define BIG   (3 * 1024 * 1024 + 77)

static struct worker *worker;
static struct pool *pool;
static struct root *here, *there;
static struct store *store; /* the client's */
static struct registry *registry;
static struct v2_server server = { .max_requests = V2_SERVER_REQUESTS_DEFAULT };
static struct conn *server_conn;
static struct v2_client *client;
static struct v2_outcome end;
static int descriptors;
static char *content;

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
on_client_close(void *arg, const struct v2_outcome *o)
{
	(void)arg;
	end = *o;
	client = NULL;
}

static void
on_server_close(void *arg, enum ftx_rc why)
{
	(void)arg;
	(void)why;
	server_conn = NULL;
}

static void
turn(void)
{
	worker_turn(worker, worker_held(worker) > 0);
}

static void
start(void)
{
	static const struct v2_client_callbacks callbacks = { ignore, ignore, ignore_goodbye,
		on_client_close };
	const struct conn_limits none = { 0 };
	struct v2s_conn *served;
	struct conn *c;
	int ends[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(conn_new(&c, worker, ends[0], NULL, &none), FTX_OK);
	ck_assert_int_eq(v2_client_new(&client, c, "both/1", &callbacks, NULL), FTX_OK);
	ck_assert_int_eq(conn_new(&server_conn, worker, ends[1], NULL, &none), FTX_OK);
	conn_set_owner(server_conn, on_server_close, NULL);
	UNIT_UNTIL(conn_input_length(server_conn) > 0, {
		turn();
		conn_read_now(server_conn);
	});
	ck_assert_int_eq(v2_server_attach(&served, server_conn, &server), FTX_OK);
	UNIT_UNTIL(v2_client_server(client) != NULL, turn());
}

static void
finish(void)
{
	v2_client_finish(client);
	UNIT_UNTIL(client == NULL && server_conn == NULL, turn());
	ck_assert_str_eq(ftx_rc_name(end.rc), "ok");
}

static void
set_up(void)
{
	uint64_t seed = 3;

	signal(SIGPIPE, SIG_IGN);
	unit_enter_dir();
	unit_log_keep();
	ck_assert_int_eq(mkdir("here", 0755), 0);
	ck_assert_int_eq(mkdir("there", 0755), 0);
	descriptors = unit_descriptors();
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
	ck_assert_int_eq(pool_new(&pool, 3), FTX_OK);
	ck_assert_int_eq(root_open(&here, "here", ROOT_MAY_WAIT, 0640), FTX_OK);
	ck_assert_int_eq(root_open(&there, "there", ROOT_EXCLUSIVE, 0640), FTX_OK);
	ck_assert_int_eq(root_keep_uploads(there), FTX_OK);
	ck_assert_int_eq(store_local_new(&store, here, worker, pool), FTX_OK);
	ck_assert_int_eq(store_local_new(&server.store, there, worker, pool), FTX_OK);
	ck_assert_int_eq(registry_new(&registry), FTX_OK);
	server.registry = registry;
	server.names.max_depth = 32;
	server.allow_replace = server.allow_rename = server.allow_remove = true;
	server.agent = "both/2";
	content = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		content[i] = (char)unit_random(&seed);
	start();
}

static void
tear_down(void)
{
	if (client != NULL)
		finish();
	UNIT_UNTIL(worker_held(worker) == 0, worker_turn(worker, false));
	worker_turn(worker, false);
	ck_assert_uint_eq(store->transfers, 0);
	ck_assert_uint_eq(server.store->transfers, 0);
	store_free(store);
	store_free(server.store);
	pool_free(pool);
	registry_free(registry);
	root_close(here);
	root_close(there);
	worker_free(worker);
	free(content);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

struct asker {
	int times;
	struct v2_outcome o;
};

static void
on_asked(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct asker *a = arg;

	(void)r;
	a->times++;
	a->o = *o;
}

/* It has ended as it should. */
static void
expect(const struct asker *a, enum ftx_rc rc)
{
	UNIT_UNTIL(a->times > 0, turn());
	if (a->times != 1 || a->o.rc != rc) /* Check's own assertions are slow */
		ck_abort_msg("%s instead of %s", ftx_rc_name(a->o.rc), ftx_rc_name(rc));
}

static size_t
size_of(int i)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65536, 65537, 200000 };

	return sizes[i % COUNT(sizes)];
}

START_TEST(test_many)
{
	static struct asker askers[SMALL], got[SMALL];
	static struct v2_put_request puts[SMALL];
	static struct v2_get_request gets[SMALL];
	static char names[SMALL][32], paths[SMALL][40];

	there->in_memory = _i != 0; /* on the loop, or by jobs */

	for (int i = 0; i < SMALL; i++) {
		snprintf(names[i], sizeof(names[i]), "d/file %d", i);
		puts[i] = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &askers[i] },
			.name = names[i],
			.flags = V2_PUT_PARENTS,
			.memory = content + i,
			.memory_size = size_of(i),
			.has_mode = true,
			.mode = 0604,
			.has_mtime = true,
			.mtime = { 1000 + i, 0 },
			.kind = i % 3 == 0 ? DIGEST_SHA256 : DIGEST_NONE };
		v2_client_put(client, &puts[i]);
	}
	for (int i = 0; i < SMALL; i++) {
		expect(&askers[i], FTX_OK);
		UNIT_CHECK(puts[i].receipt.size == size_of(i));
		UNIT_CHECK(strcmp(puts[i].receipt.name, names[i]) == 0);
		v2_put_clear(&puts[i]);
	}
	for (int i = 0; i < SMALL; i++) {
		snprintf(paths[i], sizeof(paths[i]), "here/file %d", i);
		gets[i] = (struct v2_get_request){ .r = { .on_done = on_asked, .arg = &got[i] },
			.name = names[i],
			.store = store,
			.spec.name = paths[i] + strlen("here/"),
			.keep_mode = true,
			.keep_mtime = true,
			.kind = i % 5 == 0 ? DIGEST_SHA256 : DIGEST_NONE };
		v2_client_get(client, &gets[i]);
	}
	for (int i = 0; i < SMALL; i++) {
		struct stat st;

		expect(&got[i], FTX_OK);
		unit_holds(paths[i], content + i, size_of(i));
		UNIT_CHECK(stat(paths[i], &st) == 0 && st.st_mtim.tv_sec == 1000 + i);
		UNIT_CHECK((st.st_mode & 0777) == 0604);
	}
}
END_TEST

/* Large ones, announced ahead, with small ones between them. */
START_TEST(test_large)
{
	static struct asker askers[20];
	static struct v2_put_request puts[20];
	static struct v2_get_request get;
	static struct asker got;
	char names[20][32];

	unit_write("here/big", content, BIG);
	unit_write("here/small", content, 3000);
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		puts[i] = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &askers[i] },
			.name = names[i],
			.store = store,
			.local_name = i % 2 == 0 ? "big" : "small",
			.has_upload_id = true,
			.upload_id = { (uint8_t)(i + 1) } };
		v2_client_put(client, &puts[i]);
	}
	for (int i = 0; i < 20; i++) {
		char path[64];

		expect(&askers[i], FTX_OK);
		snprintf(path, sizeof(path), "there/%d", i);
		unit_holds(path, content, i % 2 == 0 ? BIG : 3000);
		v2_put_clear(&puts[i]);
	}
	get = (struct v2_get_request){ .r = { .on_done = on_asked, .arg = &got },
		.name = "4",
		.store = store,
		.spec.name = "back" };
	v2_client_get(client, &get);
	expect(&got, FTX_OK);
	unit_holds("here/back", content, BIG);
}
END_TEST

/* The connection ends in the middle of a download: the next one goes on from there. */
START_TEST(test_resume_get)
{
	static struct v2_get_request get;
	static struct asker got, again;

	unit_write("there/big", content, BIG);
	get = (struct v2_get_request){ .r = { .on_done = on_asked, .arg = &got },
		.name = "big",
		.store = store,
		.spec.name = "big" };
	v2_client_get(client, &get);
	UNIT_UNTIL(get.moved > BIG / 2, turn());
	conn_reset(server_conn, FTX_CANCELLED);
	UNIT_UNTIL(client == NULL, turn());
	ck_assert_int_eq(got.times, 1);
	ck_assert(got.o.retryable);
	start();
	get.r.arg = &again;
	v2_client_get(client, &get);
	expect(&again, FTX_OK);
	ck_assert_uint_gt(get.resumed, BIG / 2);
	unit_holds("here/big", content, BIG);
}
END_TEST

START_TEST(test_resume_put)
{
	static struct v2_put_request put;
	static struct asker sent[3];

	unit_write("here/big", content, BIG);
	for (int i = 0; i < 3; i++) { /* broken off, gone on with, asked for again */
		put = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &sent[i] },
			.name = "big",
			.store = store,
			.local_name = "big",
			.has_upload_id = true };
		v2_client_put(client, &put);
		UNIT_UNTIL(sent[i].times > 0 || (i == 0 && put.moved > BIG / 2), turn());
		if (i == 0) {
			conn_reset(server_conn, FTX_CANCELLED);
			UNIT_UNTIL(client == NULL, turn());
			start();
		}
		ck_assert((sent[i].o.rc == FTX_OK) == (i > 0));
		ck_assert(i == 0 || (i == 1 ? put.resumed > 0 : put.moved == 0));
		v2_put_clear(&put);
	}
	unit_holds("there/big", content, BIG);
}
END_TEST

static char listed[1024];

static void
note_page(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct v2_entry e;

	on_asked(arg, r, o);
	while (o->rc == FTX_OK && v2_ask_next_entry((struct v2_ask *)r, &e)) {
		strncat(listed, (const char *)e.name.p, e.name.len);
		strcat(listed, "/");
	}
}

START_TEST(test_asks)
{
	static struct asker a[8];
	static struct v2_ask ask[8];
	const struct v2_slice none = { NULL, 0 };

	for (int i = 0; i < 8; i++)
		ask[i].r =
		    (struct v2_request){ .on_done = i == 4 ? note_page : on_asked, .arg = &a[i] };
	unit_write("there/a", content, 5000);
	v2_client_mkdir(client, &ask[0], "x/y", 0700, V2_MKDIR_PARENTS);
	v2_client_rename(client, &ask[1], "a", "x/b", none, V2_BARRIER);
	v2_client_stat(client, &ask[2], "x/b", DIGEST_NONE, V2_BARRIER);
	v2_client_sum(client, &ask[3], "x/b", DIGEST_SHA256, 0, UINT64_MAX, 0);
	v2_client_list(client, &ask[4], "x", none, DIGEST_NONE, 0);
	v2_client_remove(client, &ask[5], "x/b", none, V2_BARRIER);
	v2_client_ping(client, &ask[6]);
	v2_client_stat(client, &ask[7], "x/b", DIGEST_NONE, V2_BARRIER);
	for (int i = 0; i < 7; i++)
		expect(&a[i], FTX_OK);
	expect(&a[7], FTX_NOT_FOUND);
	ck_assert_str_eq(listed, "b/y/");
	ck_assert_uint_eq(ask[2].got.stat.size, 5000);
	ck_assert_uint_eq(ask[3].got.sum.size, 5000);
}
END_TEST

static struct {
	size_t sent, taken;
} piped;

static enum ftx_rc
read_stream(void *arg, void *p, size_t len, size_t *n)
{
	(void)arg;
	*n = BIG - piped.sent < len ? BIG - piped.sent : len;
	memcpy(p, content + piped.sent, *n);
	piped.sent += *n;
	return *n == 0 ? FTX_TRUNCATED : FTX_OK;
}

static enum ftx_rc
write_stream(void *arg, const void *p, size_t len, size_t *n)
{
	(void)arg;
	*n = len < 1000 ? len : 1000;
	UNIT_CHECK(memcmp(content + piped.taken, p, *n) == 0);
	piped.taken += *n;
	return FTX_OK;
}

START_TEST(test_streams)
{
	static const struct v2_stream stream = { .read = read_stream, .write = write_stream };
	static struct v2_put_request put;
	static struct v2_get_request get;
	static struct asker sent, got;

	put = (struct v2_put_request){
		.r = { .on_done = on_asked, .arg = &sent }, .name = "piped", .stream = &stream
	};
	v2_client_put(client, &put);
	expect(&sent, FTX_OK);
	ck_assert_uint_eq(put.receipt.size, BIG);
	v2_put_clear(&put);
	get = (struct v2_get_request){
		.r = { .on_done = on_asked, .arg = &got }, .name = "piped", .stream = &stream
	};
	v2_client_get(client, &get);
	expect(&got, FTX_OK);
	ck_assert_uint_eq(piped.taken, BIG);
}
END_TEST

/* What is refused leaves the connection usable. */
START_TEST(test_refused)
{
	static struct asker a[3];
	static struct v2_put_request puts[3];

	unit_write("there/taken", "x", 1);
	unit_write("there/taken2", "x", 1);
	unit_write("here/big", content, BIG);
	puts[0] = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &a[0] },
		.name = "taken",
		.store = store,
		.local_name = "big" };
	puts[1] = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &a[1] },
		.name = "taken2",
		.memory = content,
		.memory_size = 100 };
	puts[2] = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &a[2] },
		.name = "free",
		.memory = content,
		.memory_size = 100 };
	for (int i = 0; i < 3; i++)
		v2_client_put(client, &puts[i]);
	expect(&a[0], FTX_EXISTS);
	expect(&a[1], FTX_EXISTS);
	expect(&a[2], FTX_OK);
	unit_holds("there/free", content, 100);
	unit_holds("there/taken", "x", 1);
	v2_put_clear(&puts[2]);
}
END_TEST

/* Gives up in the middle, either way; the connection goes on. */
START_TEST(test_cancel)
{
	static struct asker a[3];
	static struct v2_put_request put;
	static struct v2_get_request get;
	static struct v2_ask ask;

	unit_write("here/big", content, BIG);
	unit_write("there/big2", content, BIG);
	put = (struct v2_put_request){ .r = { .on_done = on_asked, .arg = &a[0] },
		.name = "big",
		.store = store,
		.local_name = "big" };
	get = (struct v2_get_request){ .r = { .on_done = on_asked, .arg = &a[1] },
		.name = "big2",
		.store = store,
		.spec.name = "big2" };
	v2_client_put(client, &put);
	UNIT_UNTIL(put.moved > 0, turn());
	v2_client_cancel(&put.r);
	expect(&a[0], FTX_CANCELLED);
	v2_client_get(client, &get);
	UNIT_UNTIL(get.moved > 0, turn());
	v2_client_cancel(&get.r);
	expect(&a[1], FTX_CANCELLED);
	ask.r = (struct v2_request){ .on_done = on_asked, .arg = &a[2] };
	v2_client_stat(client, &ask, "big", DIGEST_NONE, 0);
	expect(&a[2], FTX_NOT_FOUND);
	ck_assert_int_eq(access("here/big2", F_OK), -1);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "both");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_many, 0, 2);
	tcase_add_test(tc, test_large);
	tcase_add_test(tc, test_resume_get);
	tcase_add_test(tc, test_resume_put);
	tcase_add_test(tc, test_asks);
	tcase_add_test(tc, test_streams);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_cancel);
}

int
main(void)
{
	return unit_run("v2_both", add_cases);
}
