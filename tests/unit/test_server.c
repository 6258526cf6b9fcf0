/*
 * daemon/server and daemon/session: deadlines, by moved time; and the edges of the table of
 * options. The server's own source is included: only it knows the worker whose timers are to run.
 */
#include "daemon/server.c"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "net/machine.h"
#include "unit/unit.h"
#include "v1/message.h"
#include "v2/frame.h"

#define GRACE   30000
#define CONTENT (1000 * 1000) /* bytes of the file */

static struct server *server;
static struct service *service; /* the only one: the test is its thread */
static struct daemon_options options;
static struct option_set set;
static int peer = -1, descriptors;

static void
option(const char *name, const char *text)
{
	struct option_error err;

	ck_assert_msg(option_assign(&set, option_find(&set, name), text, OPTION_FROM_FILE, &err),
	    "%s: %s", name, err.text);
}

static void
set_up_options(void)
{
	struct option_error err;

	ck_assert_msg(
	    option_set_init(&set, daemon_option_defs, daemon_option_count, &options, &err), "%s",
	    err.text);
}

static void
tear_down_options(void)
{
	option_set_clear(&set);
}

static void
set_up(void)
{
	unit_enter_dir();
	unit_clock_stop();
	unit_log_keep();
	descriptors = unit_descriptors();
	set_up_options();
	option("storage_root", ".");
	option("listen_address", "127.0.0.1");
	option("listen_port", "0");
	option("workers", "1");
	options.listen_address_chosen = true;
	ck_assert_int_eq(server_open(&server, &options), 0);
	ck_assert_int_eq(server_start(server), 0);
	service = &server->services.list[0];
}

static void
turns(int count)
{
	for (int i = 0; i < count; i++) {
		worker_turn(service->worker, false);
		unit_pause();
	}
}

static void
tear_down(void)
{
	if (peer >= 0)
		close(peer);
	services_order(&server->services, ORDER_ABORT);
	UNIT_UNTIL(service->group.count == 0 && worker_held(service->worker) == 0, turns(1));
	turns(3);
	server_close(server);
	tear_down_options();
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

/* A peer whose connection is accepted. */
static void
connect_peer(void)
{
	const struct addr *a = &server->sockets.addresses[0];

	peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(peer, (const struct sockaddr *)&a->ss, a->len), 0);
	UNIT_UNTIL(service->group.count == 1, turns(1));
}

static void
say(const void *p, size_t len)
{
	ck_assert_int_eq(send(peer, p, len, MSG_NOSIGNAL), (ssize_t)len);
	turns(3);
}

static void
hear(char letter)
{
	char got = 0;

	UNIT_UNTIL(recv(peer, &got, 1, MSG_DONTWAIT) == 1, turns(1));
	ck_assert_int_eq(got, letter);
}

static void
elapse(uint64_t ms)
{
	unit_clock_add(ms);
	worker_run_timers(service->worker);
	turns(3);
}

/* The one connection has ended, for this reason. */
static void
ended(const char *reason)
{
	char line[64];

	snprintf(line, sizeof(line), " reason=%s", reason);
	UNIT_UNTIL(service->group.count == 0, turns(1));
	ck_assert_int_eq(unit_log_count(line), 1);
}

/* An upload that is under way and has sent nothing yet. */
static void
begin_upload(void)
{
	uint8_t request[V1_REQUEST_SIZE], size[V1_UPLOAD_SIZE_SIZE];

	ck_assert_int_eq(v1_request_encode(V1_UPLOAD, "new", 3, request), FTX_OK);
	v1_upload_size_encode(CONTENT, size);
	connect_peer();
	say(request, sizeof(request));
	hear('T');
	say(size, sizeof(size));
	hear('T');
}

static void
stop(void)
{
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	UNIT_UNTIL(server->stopping, turns(1));
}

START_TEST(test_grace)
{
	begin_upload();
	stop();
	elapse(GRACE - 1);
	ck_assert_uint_eq(service->group.count, 1);
	elapse(1);
	ended("shutdown");
	ck_assert_int_eq(unit_log_count("1 connections did not end in the grace time"), 1);
}
END_TEST

START_TEST(test_second_signal)
{
	begin_upload();
	stop();
	elapse(GRACE / 2);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	ended("shutdown");
	ck_assert_int_eq(unit_log_count("did not end in the grace time"), 0);
}
END_TEST

/* Who has asked for nothing yet gets no grace. */
START_TEST(test_no_grace_for_the_idle)
{
	connect_peer();
	stop();
	ended("shutdown");
}
END_TEST

/* A peer that sends its request byte by byte has the same time as any other. */
START_TEST(test_request_timeout)
{
	const struct v2_frame hello = { .length = 200, .type = V2_HELLO };
	uint8_t request[V1_REQUEST_SIZE], *next = request;

	ck_assert_int_eq(v1_request_encode(V1_UPLOAD, "new", 3, request), FTX_OK);
	if (_i >= 3) { /* or its HELLO */
		v2_preface_encode(request);
		v2_frame_encode(&hello, request + V2_PREFACE_SIZE);
	}
	connect_peer();
	for (int i = 0; i < 99; i++) {
		/* Not a byte; from the start; late. */
		if (_i % 3 == 1 || (_i % 3 == 2 && i > 50) || (_i == 3 && i == 0))
			say(next++, 1);
		elapse(100);
	}
	elapse(99);
	ck_assert_uint_eq(service->group.count, 1);
	elapse(1);
	ended("request-timeout");
}
END_TEST

START_TEST(test_idle_timeout)
{
	begin_upload();
	elapse(60 * 1000 - 1);
	ck_assert_uint_eq(service->group.count, 1);
	elapse(1);
	ended("idle-timeout");
}
END_TEST

/* With the daemon's default: the original proxy's 5 KB/s pass, a tenth of 1 KiB/s does not. */
START_TEST(test_min_rate)
{
	static const char content[5000];
	size_t each = _i == 0 ? sizeof(content) : 100;
	int seconds = 0;

	begin_upload();
	for (; seconds < 90 && service->group.count == 1; seconds++) {
		say(content, each);
		elapse(1000);
	}
	if (_i == 0)
		ck_assert_uint_eq(service->group.count, 1);
	else {
		ck_assert_int_eq(seconds, 30);
		ended("too-slow");
	}
}
END_TEST

/* All threads of the pool wait for this: the disk hangs. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static struct pool_job blockers[POOL_THREADS_MAX * POOL_LANE_COUNT];

static void
run_blocked(struct pool_job *job)
{
	(void)job;
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
}

static void
blocker_done(struct pool_job *job)
{
	(void)job;
}

static void
hang_disk(void)
{
	pthread_mutex_lock(&disk);
	for (uint64_t i = 0; i < options.pool_threads * POOL_LANE_COUNT; i++) {
		blockers[i] = (struct pool_job){ .run = run_blocked, .done = blocker_done };
		pool_submit(server->pool, service->worker, (enum pool_lane)(i % POOL_LANE_COUNT),
		    &blockers[i]);
	}
}

/* Sends up to len bytes, as many as go; how many. */
static size_t
push(size_t len)
{
	static const char zeros[CONTENT];
	size_t sent = 0;

	for (int idle = 0; sent < len && idle < 20; turns(1)) {
		ssize_t n = send(peer, zeros, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
	}
	return sent;
}

/* TCP keeps real time: what is on its way arrives before ours is moved. */
static void
a_long_time(void)
{
	for (uint64_t end = unit_real_ms() + 300; unit_real_ms() < end;)
		turns(1);
	for (int i = 0; i < 100; i++)
		elapse(10 * 1000);
}

/* The peer has done its part, and its time stands still: before the end, and at the end. */
START_TEST(test_disk_that_hangs_in_an_upload)
{
	size_t sent;
	char byte;

	begin_upload();
	sent = _i == 0 ? 0 : push(CONTENT - 1000);
	turns(20);
	hang_disk();
	sent += push(_i == 0 ? CONTENT - 1 : 1000);
	a_long_time();
	ck_assert_uint_eq(service->group.count, 1);
	pthread_mutex_unlock(&disk);
	sent += push(CONTENT - sent);
	ck_assert_uint_eq(sent, CONTENT);
	UNIT_UNTIL(recv(peer, &byte, 1, MSG_DONTWAIT) == 0, turns(1));
	close(peer);
	peer = -1;
	ended("ok");
}
END_TEST

START_TEST(test_disk_that_hangs_in_a_download)
{
	static char content[CONTENT];
	uint8_t request[V1_REQUEST_SIZE];
	size_t got = 0;
	int writer;

	unit_write("there", content, sizeof(content));
	/* As long as somebody may write to it, nothing is read without a job. */
	writer = open("there", O_WRONLY);
	ck_assert_int_ge(writer, 0);
	ck_assert_int_eq(v1_request_encode(V1_DOWNLOAD, "there", 5, request), FTX_OK);
	connect_peer();
	say(request, sizeof(request));
	hear('T');
	hang_disk();
	say("T", 1);
	a_long_time();
	ck_assert_uint_eq(service->group.count, 1);
	pthread_mutex_unlock(&disk);
	UNIT_UNTIL(got == 8 + CONTENT, {
		ssize_t n = recv(peer, content, sizeof(content), MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		turns(1);
	});
	close(writer);
	close(peer);
	peer = -1;
	ended("ok");
}
END_TEST

/* But while there is room for what it sends, it is the one that we wait for. */
START_TEST(test_disk_that_hangs_is_no_excuse)
{
	begin_upload();
	hang_disk();
	ck_assert_uint_eq(push(1000), 1000);
	elapse(MACHINE_WINDOW_MS - 1);
	ck_assert_uint_eq(service->group.count, 1);
	elapse(1);
	pthread_mutex_unlock(&disk);
	ended("too-slow");
}
END_TEST

/* Each option that is a limit: its least and its most are taken, what lies beyond is not. */
static const struct {
	const char *name;
	const char *least, *below; /* below NULL: a number has nothing there */
	const char *most, *above;
} edges[] = {
	{ "workers", "0", NULL, "64", "65" },
	{ "max_connections", "0", NULL, "1000000", "1000001" },
	{ "max_connections_per_address", "0", NULL, "1000000", "1000001" },
	{ "max_requests", "16", "15", "4096", "4097" },
	{ "request_timeout", "1ms", "0", "1d", "86400001ms" },
	{ "idle_timeout", "1ms", "0", "1d", "86400001ms" },
	{ "grace_time", "0", NULL, "1d", "86400001ms" },
	{ "min_rate", "0", NULL, "1G", "1073741825" },
	{ "max_file_size", "0", NULL, "9223372036854775807", "9223372036854775808" },
	{ "max_stage_bytes", "0", NULL, "9223372036854775807", "9223372036854775808" },
	{ "max_depth", "0", NULL, "2048", "2049" },
	{ "partials_keep_time", "0", NULL, "30d", "2592000001ms" },
	{ "partials_keep_bytes", "0", NULL, "9223372036854775807", "9223372036854775808" },
};

START_TEST(test_edges_of_options)
{
	const struct option_def *def = option_find(&set, edges[_i].name);
	struct option_error err;

	option(edges[_i].name, edges[_i].least);
	option(edges[_i].name, edges[_i].most);
	ck_assert(!option_assign(&set, def, edges[_i].above, OPTION_FROM_FILE, &err));
	ck_assert(!option_assign(&set, def, "18446744073709551616", OPTION_FROM_FILE, &err));
	ck_assert(!option_assign(&set, def, "18446744073709551617", OPTION_FROM_FILE, &err));
	ck_assert(!option_assign(&set, def, "-1", OPTION_FROM_FILE, &err));
	if (edges[_i].below != NULL)
		ck_assert(!option_assign(&set, def, edges[_i].below, OPTION_FROM_FILE, &err));
}
END_TEST

START_TEST(test_defaults)
{
	ck_assert_uint_eq(options.max_connections, 4096);
	ck_assert_uint_eq(options.max_connections_per_address, 4096 / 4);
	ck_assert_uint_eq(options.max_requests, V2_SERVER_REQUESTS_DEFAULT);
	ck_assert_uint_eq(options.request_timeout, 10 * 1000);
	ck_assert_uint_eq(options.idle_timeout, 60 * 1000);
	ck_assert_uint_eq(options.grace_time, GRACE);
	ck_assert_uint_eq(options.min_rate, 1024);
	ck_assert_uint_eq(options.max_file_size, 0);
	ck_assert_uint_eq(options.max_stage_bytes, 0);
	ck_assert_uint_eq(options.max_depth, 32);
	ck_assert_uint_eq(options.partials_keep_time, 24 * 3600 * 1000);
	ck_assert_uint_eq(options.partials_keep_bytes, (uint64_t)10 << 30);
	ck_assert_uint_eq(options.names, PATH_UTF8);
}
END_TEST

/* What is promised is never exceeded: by the connections, and by as many jobs as there can be. */
START_TEST(test_descriptors)
{
	for (rlim_t threads = 3; threads <= POOL_THREADS_MAX; threads++) {
		for (rlim_t room = 7; room < 2000; room++) {
			rlim_t n = sessions_for(room, threads);
			rlim_t jobs = n + 1 < threads ? n + 1 : threads;
			rlim_t more = n + 2 < threads ? n + 2 : threads;

			ck_assert_uint_ge(n, 1);
			ck_assert_uint_le(3 * n + 2 * jobs, room);
			ck_assert_uint_gt(3 * (n + 1) + 2 * more, room);
		}
	}
}
END_TEST

/*
 * What further requests may have is beside that; and it is a quarter, or what nobody else needs:
 * some connections more than there may be are accepted, to be turned away.
 */
START_TEST(test_spare_descriptors)
{
	static const uint64_t most[] = { 0, 1, 10, 100, 4096, UINT64_MAX };

	for (rlim_t room = 7; room < 20000; room += room < 2000 ? 1 : 97) {
		for (int i = 0; i < COUNT(most); i++) {
			rlim_t spare = spare_descriptors(room, 8, most[i]), n;

			ck_assert_uint_lt(spare, room);
			n = sessions_for(room - spare, 8);
			ck_assert_uint_ge(n, 1);
			ck_assert(spare == (room >= 64 ? room / 4 : 0) || n > most[i]);
			if (most[i] > 0 && most[i] < UINT64_MAX && room >= 64 &&
			    3 * (most[i] + 16) + 16 < room * 3 / 4)
				ck_assert_uint_eq(spare, room - 3 * (most[i] + 16) - 16);
		}
	}
	ck_assert_uint_eq(spare_descriptors(1000000, 8, 4096), 1000000 - 3 * (4096 + 16) - 16);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "deadlines");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_grace);
	tcase_add_test(tc, test_second_signal);
	tcase_add_test(tc, test_no_grace_for_the_idle);
	tcase_add_loop_test(tc, test_request_timeout, 0, 6);
	tcase_add_test(tc, test_idle_timeout);
	tcase_add_loop_test(tc, test_min_rate, 0, 2);
	tcase_add_loop_test(tc, test_disk_that_hangs_in_an_upload, 0, 2);
	tcase_add_test(tc, test_disk_that_hangs_in_a_download);
	tcase_add_test(tc, test_disk_that_hangs_is_no_excuse);
	tc = unit_case(s, "options");
	tcase_add_checked_fixture(tc, set_up_options, tear_down_options);
	tcase_add_loop_test(tc, test_edges_of_options, 0, COUNT(edges));
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_descriptors);
	tcase_add_test(tc, test_spare_descriptors);
}

int
main(void)
{
	return unit_run("server", add_cases);
}
