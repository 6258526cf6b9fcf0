#include "pair/pair_stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/registry.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/path.h"
#include "store/root.h"
#include "store/store.h"

#define MUST(x)                                                                 \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

static uint64_t now_ms;
static char last_state[64];

static uint64_t
moved_clock(void)
{
	return now_ms;
}

static void
on_log(enum log_level level, const char *line)
{
	static const char mark[] = "changed status to: ";
	const char *at = strstr(line, mark);

	(void)level;
	if (at != NULL)
		snprintf(last_state, sizeof(last_state), "%s", at + sizeof(mark) - 1);
	if (getenv("PAIR_TRACE") != NULL)
		fprintf(stderr, "    %s\n", line);
}

const char *
stage_state(void)
{
	return last_state;
}

static void settle_with_threads(struct pair_stage *st);

void
stage_up_with(struct pair_stage *st, unsigned root_flags)
{
	const char *tmp = getenv("TMPDIR");

	memset(st, 0, sizeof(*st));
	st->peer = st->other.peer = -1;
	st->cancel_at = -1;
	st->settle = settle_with_threads;
	now_ms = 1000 * 1000;
	last_state[0] = '\0';
	clock_set_hook(moved_clock);
	log_set_hook(on_log);
	log_set_level(LOG_LEVEL_DEBUG);
	snprintf(st->dir, sizeof(st->dir), "%s/pair-XXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	MUST(mkdtemp(st->dir) != NULL);
	MUST(worker_new(&st->worker, NULL) == FTX_OK);
	MUST(pool_new(&st->pool, POOL_THREADS_MIN) == FTX_OK);
	MUST(root_open(&st->root, st->dir, root_flags, 0640) == FTX_OK);
	MUST(registry_new(&st->registry) == FTX_OK);
	MUST(store_local_new(&st->server.store, st->root, st->worker, st->pool) == FTX_OK);
	st->server.registry = st->registry;
	st->limits = (struct conn_limits){
		.request_ms = 10 * 1000,
		.idle_ms = 60 * 1000,
		.close_ms = 600 * 1000,
	};
}

static void
remove_tree(const char *dir)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (unlink(path) != 0)
			remove_tree(path);
	}
	closedir(d);
	rmdir(dir);
}

void
stage_remove_dir(struct pair_stage *st)
{
	remove_tree(st->dir);
}

void
stage_stop(struct pair_stage *st)
{
	if (st->conn != NULL)
		conn_close(st->conn, FTX_SHUTDOWN);
	if (st->other.conn != NULL)
		conn_close(st->other.conn, FTX_SHUTDOWN);
	stage_settle(st);
	while (worker_held(st->worker) > 0)
		stage_elapse(st, 1000); /* some wait for others to have had their time */
	pool_free(st->pool);
	store_free(st->server.store);
	worker_free(st->worker);
	registry_release(st->held);
	registry_free(st->registry);
	root_close(st->root);
	if (st->peer >= 0)
		close(st->peer);
	if (st->other.peer >= 0)
		close(st->other.peer);
}

void
stage_up(struct pair_stage *st)
{
	stage_up_with(st, ROOT_EXCLUSIVE);
	MUST(root_keep_uploads(st->root) == FTX_OK);
}

void
stage_down(struct pair_stage *st)
{
	stage_stop(st);
	stage_remove_dir(st);
}

void
stage_socketpair(const struct pair_stage *st, int fds[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	for (int i = 0; st->socket_buffer > 0 && i < 2; i++)
		MUST(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &st->socket_buffer,
			 sizeof(st->socket_buffer)) == 0);
}

static void
on_conn_close(void *arg, enum ftx_rc why)
{
	struct pair_stage *st = arg;

	st->conn = NULL;
	st->closed = true;
	st->why = why;
}

static void
on_other_close(void *arg, enum ftx_rc why)
{
	struct pair_stage *st = arg;

	st->other.conn = NULL;
	st->other.closed = true;
	st->other.why = why;
}

void
stage_switch(struct pair_stage *st)
{
	const struct pair_stage was = *st;

	st->peer = was.other.peer;
	st->conn = was.other.conn;
	st->v2 = was.other.v2;
	st->closed = was.other.closed;
	st->why = was.other.why;
	st->other.peer = was.peer;
	st->other.conn = was.conn;
	st->other.v2 = was.v2;
	st->other.closed = was.closed;
	st->other.why = was.why;
	if (st->conn != NULL)
		conn_set_owner(st->conn, on_conn_close, st);
	if (st->other.conn != NULL)
		conn_set_owner(st->other.conn, on_other_close, st);
}

static void
make_conn(struct pair_stage *st)
{
	int fds[2];

	MUST(st->conn == NULL && st->peer < 0);
	stage_socketpair(st, fds);
	st->peer = fds[0];
	st->closed = false;
	MUST(conn_new(&st->conn, st->worker, fds[1], NULL, &st->limits) == FTX_OK);
	conn_set_owner(st->conn, on_conn_close, st);
}

void
stage_serve(struct pair_stage *st, bool upload)
{
	make_conn(st);
	MUST((upload ? v1_server_upload_attach(st->conn, &st->server)
		     : v1_server_download_attach(st->conn, &st->server)) == FTX_OK);
	stage_settle(st);
}

void
stage_serve_v2(struct pair_stage *st)
{
	make_conn(st);
	st->server2.store = st->server.store;
	st->server2.registry = st->registry;
	st->server2.max_file_size = st->server.max_file_size;
	st->server2.names = st->server.names;
	st->server2.max_requests = V2_SERVER_REQUESTS_DEFAULT;
	MUST(v2_server_attach(&st->v2, st->conn, &st->server2) == FTX_OK);
	stage_settle(st);
}

static void
on_notice(void *arg, enum v1_notice notice)
{
	struct pair_stage *st = arg;

	if (st->cancel_at == (int)notice)
		conn_reset(st->conn, FTX_CANCELLED);
}

static void
on_done(void *arg, enum ftx_rc rc, enum v1_side side)
{
	struct pair_stage *st = arg;

	MUST(!st->done);
	st->done = true;
	st->done_rc = rc;
	st->done_side = side;
}

void
stage_client(struct pair_stage *st, bool upload, const char *remote, const char *local)
{
	make_conn(st);
	st->root->flags &= ~(unsigned)ROOT_EXCLUSIVE; /* a client's own directory has no mark */
	snprintf(st->remote, sizeof(st->remote), "%s", remote);
	snprintf(st->local, sizeof(st->local), "%s", local);
	st->client = (struct v1_client){
		.remote_name = st->remote,
		.store = st->server.store,
		.local_name = st->local,
		.on_notice = on_notice,
		.on_done = on_done,
		.arg = st,
	};
	st->done = false;
	MUST((upload ? v1_client_upload_attach(st->conn, &st->client)
		     : v1_client_download_attach(st->conn, &st->client)) == FTX_OK);
	stage_settle(st);
}

static void
settle_with_threads(struct pair_stage *st)
{
	for (int quiet = 0; quiet < 8; quiet++) {
		/* What is in the pool comes back and may go on: waiting for it is no guess. */
		while (worker_held(st->worker) > store_local_waiting(st->server.store)) {
			worker_turn(st->worker, true);
			quiet = 0;
		}
		worker_turn(st->worker, false);
	}
}

void
stage_settle(struct pair_stage *st)
{
	st->settle(st);
}

void
stage_pass_time(struct pair_stage *st, uint64_t ms)
{
	now_ms += ms;
	worker_run_timers(st->worker);
}

void
stage_elapse(struct pair_stage *st, uint64_t ms)
{
	stage_pass_time(st, ms);
	stage_settle(st);
}

unsigned
stage_strays(const struct pair_stage *st)
{
	unsigned strays = 0;
	struct dirent *e;
	DIR *d = opendir(st->dir);

	MUST(d != NULL);
	while ((e = readdir(d)) != NULL) {
		/* A client's stage files have a prefix of their own. */
		if ((path_is_reserved(e->d_name, strlen(e->d_name)) &&
			strcmp(e->d_name, PATH_STATE_DIR) != 0) ||
		    strncmp(e->d_name, ".ftxfer-", strlen(".ftxfer-")) == 0)
			strays++;
	}
	closedir(d);
	return strays;
}
