#include <errno.h>
#include <stdlib.h>

#include "client/explain.h"
#include "client/ftxfer.h"
#include "client/local_file.h"
#include "loop/counters.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "net/addr.h"
#include "net/congestion.h"
#include "net/conn.h"
#include "net/dial.h"
#include "store/local.h"
#include "store/root.h"
#include "store/store.h"
#include "v1/client.h"

#define DEFAULT_PORT  50000 /* the seed's: that of its proxy */
#define ADDRESSES_MAX 16
#define HOST_MAX      256 /* bytes: RFC 1035 allows names of 255 */
#define TEXT_MAX      2048

/*
 * A job is prepared in the pool (the local name, the server's addresses), then it dials, then
 * protocol 1's half has the connection. Whatever happens ends in job_done().
 */
struct ftxfer_job {
	struct ftxfer_spec spec;                  /* its strings borrowed */
	const struct ftxfer_callbacks *callbacks; /* borrowed */
	void *arg;                                /* borrowed */
	bool done;

	struct worker *worker; /* owned, as all below; on the caller's base */
	struct pool *pool;
	struct root *root;
	struct store *store;
	struct dial *dial;
	struct conn *conn; /* borrowed; NULL once it is closing */
	struct v1_client v1;

	struct pool_job prepare;
	/* ---- what prepare may use while it runs */
	struct local_file local;
	struct addr addrs[ADDRESSES_MAX];
	size_t addr_count;
	enum ftx_rc rc;
	enum v1_side side;
};

static void
job_done(struct ftxfer_job *job, enum ftx_rc rc, enum v1_side side)
{
	char text[TEXT_MAX];
	enum ftxfer_status status;

	if (job->done)
		return;
	job->done = true;
	job->conn = NULL;
	status = explain(&job->spec, rc, side, text, sizeof(text));
	job->callbacks->on_done(job->arg, status, text);
}

static void
on_v1_notice(void *arg, enum v1_notice notice)
{
	static const enum ftxfer_notice notices[] = {
		[V1_NOTICE_FOUND] = FTXFER_NOTICE_FOUND,
		[V1_NOTICE_REPLACES] = FTXFER_NOTICE_REPLACES,
		[V1_NOTICE_ACCEPTED] = FTXFER_NOTICE_ACCEPTED,
	};
	struct ftxfer_job *job = arg;

	job->callbacks->on_notice(job->arg, notices[notice]);
}

static void
on_v1_done(void *arg, enum ftx_rc rc, enum v1_side side)
{
	job_done(arg, rc, side);
}

static void
on_dialled(void *arg, int fd, const struct addr *peer, int err)
{
	struct ftxfer_job *job = arg;
	const struct conn_limits limits = {
		.idle_ms = job->spec.idle_timeout,
		.close_ms = job->spec.close_timeout,
	};
	enum ftx_rc rc;

	dial_free(job->dial);
	job->dial = NULL;
	if (fd < 0) {
		job_done(job, dial_rc(err), V1_SIDE_REMOTE);
		return;
	}
	rc = conn_new(&job->conn, job->worker, fd, peer, &limits);
	if (rc == FTX_OK) {
		rc = job->spec.mode == FTXFER_UPLOAD
			 ? v1_client_upload_attach(job->conn, &job->v1)
			 : v1_client_download_attach(job->conn, &job->v1);
		if (rc != FTX_OK)
			conn_close(job->conn, rc);
	}
	if (rc != FTX_OK)
		job_done(job, rc, V1_SIDE_NONE);
}

/* In the pool: all that may block before the connection. */
static void
run_prepare(struct pool_job *pool_job)
{
	struct ftxfer_job *job =
	    (struct ftxfer_job *)((char *)pool_job - offsetof(struct ftxfer_job, prepare));
	bool upload = job->spec.mode == FTXFER_UPLOAD;
	char host[HOST_MAX];
	uint16_t port;

	job->side = V1_SIDE_LOCAL;
	job->rc = upload ? local_file_source(&job->local, job->spec.local_name)
			 : local_file_target(&job->local, job->spec.local_name);
	if (job->rc == FTX_OK) {
		job->rc = root_open(&job->root, job->local.dir, ROOT_MAY_WAIT, job->spec.file_mode);
		if (job->rc == FTX_NOT_FOUND || job->rc == FTX_NOT_REGULAR)
			job->rc = FTX_NO_PARENT;
	}
	if (job->rc != FTX_OK)
		return;
	if (congestion_check(job->spec.congestion) != 0) {
		job->side = V1_SIDE_NONE;
		job->rc = FTX_UNSUPPORTED;
		return;
	}
	job->side = V1_SIDE_REMOTE;
	job->rc = addr_split(job->spec.server, host, sizeof(host), &port, DEFAULT_PORT);
	if (job->rc == FTX_OK) {
		job->rc = addr_resolve(host, port, job->addrs, ADDRESSES_MAX, &job->addr_count);
	}
}

static void
on_prepared(struct pool_job *pool_job)
{
	static const enum pump_way ways[] = {
		[FTXFER_WAY_AUTO] = PUMP_AUTO,
		[FTXFER_WAY_ALWAYS] = PUMP_FILE,
		[FTXFER_WAY_NEVER] = PUMP_COPY,
	};
	struct ftxfer_job *job =
	    (struct ftxfer_job *)((char *)pool_job - offsetof(struct ftxfer_job, prepare));
	enum ftx_rc rc = job->rc;

	if (job->done)
		return; /* cancelled meanwhile */
	if (rc == FTX_OK)
		rc = store_local_new(&job->store, job->root, job->worker, job->pool);
	if (rc == FTX_OK) {
		job->v1 = (struct v1_client){
			.remote_name = job->spec.remote_name,
			.store = job->store,
			.local_name = job->local.leaf,
			.send_way = ways[job->spec.sendfile],
			.receive_way = ways[job->spec.splice],
			.on_notice = on_v1_notice,
			.on_done = on_v1_done,
			.arg = job,
		};
		rc = dial_start(&job->dial, job->worker, job->addrs, job->addr_count,
		    job->spec.connect_timeout, job->spec.congestion, on_dialled, job);
	}
	if (rc != FTX_OK)
		job_done(job, rc, job->side);
}

struct ftxfer_job *
ftxfer_start(struct event_base *base, const struct ftxfer_spec *spec,
    const struct ftxfer_callbacks *callbacks, void *arg)
{
	struct ftxfer_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->spec = *spec;
	job->callbacks = callbacks;
	job->arg = arg;
	if (worker_new(&job->worker, base) != FTX_OK ||
	    pool_new(&job->pool, POOL_THREADS_MIN) != FTX_OK) {
		ftxfer_free(job);
		return NULL;
	}
	job->prepare.run = run_prepare;
	job->prepare.done = on_prepared;
	pool_submit(job->pool, job->worker, POOL_LONG, &job->prepare);
	return job;
}

struct ftxfer_progress
ftxfer_progress(const struct ftxfer_job *job)
{
	return (struct ftxfer_progress){ .moved = job->v1.moved, .total = job->v1.size };
}

void
ftxfer_cancel(struct ftxfer_job *job)
{
	dial_free(job->dial);
	job->dial = NULL;
	if (job->conn != NULL)
		conn_reset(job->conn, FTX_CANCELLED);
	job_done(job, FTX_CANCELLED, V1_SIDE_NONE);
}

bool
ftxfer_busy(const struct ftxfer_job *job)
{
	return worker_held(job->worker) > 0;
}

void
ftxfer_free(struct ftxfer_job *job)
{
	if (job == NULL)
		return;
	dial_free(job->dial);
	/* What is under way in the pool ends, and may have one more thing to do there. */
	while (job->worker != NULL && worker_held(job->worker) > 0)
		worker_turn(job->worker, true);
	if (job->worker != NULL)
		counters_log(worker_counters(job->worker), 0);
	pool_free(job->pool);
	if (job->store != NULL)
		store_free(job->store);
	worker_free(job->worker);
	root_close(job->root);
	local_file_clear(&job->local);
	free(job);
}
