#include "daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/rc.h"
#include "base/log.h"
#include "core/limits.h"
#include "core/registry.h"
#include "daemon/notify.h"
#include "daemon/services.h"
#include "daemon/session.h"
#include "daemon/sockets.h"
#include "daemon/upkeep.h"
#include "loop/pool.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "store/digest.h"
#include "store/root.h"
#include "store/uploads.h"
#include "store/space.h"

/* What a connection may need at a time: its socket, and a request's. */
#define DESCRIPTORS_PER_SESSION (1 + LIMITS_SHARE_DESCRIPTORS)
/* And what a job of the pool opens besides, for as long as it runs. */
#define DESCRIPTORS_PER_JOB 2
/* What a worker has besides its listeners: the loop's, its mailbox, a pipe, and a directory. */
#define DESCRIPTORS_PER_WORKER 5
/* And the rest: standard streams, root, pid file, signals, log, records of uploads, libraries. */
#define DESCRIPTORS_BASE 12
/* So many connections more than there may be are accepted at a time, to be told so by a reset. */
#define TURNED_AWAY 16
/* Of so many and more, a quarter is kept for further requests of the connections that there are. */
#define DESCRIPTORS_MANY 64

/* The search for stage files that an earlier run left behind; one job, at the start. */
struct sweep {
	struct pool_job job; /* the first member */
	struct root *root;   /* borrowed; outlives the pool */
	char *path;          /* owned */
	atomic_bool stop;    /* set when the daemon stops; the next start goes on */
	unsigned removed;
	enum ftx_rc rc;
};

struct server {
	const struct daemon_options *options; /* borrowed */
	char *root_path;                      /* owned: absolute */
	unsigned workers;                     /* how many there are to be */
	struct pool *pool;                    /* owned, as all below */
	struct root *root;
	struct registry *registry;
	struct limits *limits;
	struct sockets sockets;   /* embedded, as below */
	struct services services; /* the first one runs on the main thread */
	struct signal_watch *signals;
	struct timer grace; /* of the first one's worker */
	bool has_grace;     /* it has been set up */
	struct sweep sweep;
	struct upkeep upkeep;
	size_t session_max;  /* as many as there are descriptors for */
	uint64_t shares_max; /* of requests, likewise */
	bool stopping;
};

/* The worker of the main thread. */
static struct worker *
main_worker(struct server *s)
{
	return s->services.list[0].worker;
}

/* How many connections may have so many descriptors between them, and with the pool's jobs. */
static rlim_t
sessions_for(rlim_t descriptors, rlim_t threads)
{
	rlim_t busy = threads * DESCRIPTORS_PER_JOB; /* each thread has a job */
	rlim_t many = descriptors > busy ? (descriptors - busy) / DESCRIPTORS_PER_SESSION : 0;
	/* Or each connection has one, which are fewer; and there is the sweep. */
	rlim_t few =
	    (descriptors - DESCRIPTORS_PER_JOB) / (DESCRIPTORS_PER_SESSION + DESCRIPTORS_PER_JOB);

	return many > few ? many : few;
}

/*
 * Takes as many descriptors as we may have, and returns how many those are. 0: they do not suffice
 * for the workers, so many listeners and one connection, with its job and the sweep's.
 */
static rlim_t
take_descriptors(unsigned workers, size_t listeners)
{
	rlim_t least = DESCRIPTORS_BASE + DESCRIPTORS_PER_WORKER * (rlim_t)workers + listeners +
		       DESCRIPTORS_PER_SESSION + (rlim_t)2 * DESCRIPTORS_PER_JOB;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return RLIM_INFINITY;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
			(void)getrlimit(RLIMIT_NOFILE, &rl);
	}
	if (rl.rlim_cur >= least)
		return rl.rlim_cur;
	log_error("the limit of open files (%llu) is too low: %llu are needed at least; raise "
		  "it with ulimit -n, or LimitNOFILE= in a unit",
	    (unsigned long long)rl.rlim_cur, (unsigned long long)least);
	return 0;
}

/*
 * What is left for further requests of connections; connections: as many as there may be, 0: any
 * number.
 */
static rlim_t
spare_descriptors(rlim_t descriptors, rlim_t threads, uint64_t connections)
{
	rlim_t least = descriptors >= DESCRIPTORS_MANY ? descriptors / 4 : 0;
	rlim_t busy = threads * DESCRIPTORS_PER_JOB, need;

	if (connections == 0 || connections > descriptors / DESCRIPTORS_PER_SESSION)
		return least;
	need = (connections + TURNED_AWAY) * DESCRIPTORS_PER_SESSION + busy;
	return need < descriptors && descriptors - need > least ? descriptors - need : least;
}

/* Works out for how many connections they suffice. */
static int
size_by_descriptors(struct server *s)
{
	size_t listeners = sockets_open_count(&s->sockets);
	rlim_t limit = take_descriptors(s->workers, listeners), all = limit, spare;

	if (limit == 0)
		return EX_OSERR;
	s->session_max = SIZE_MAX;
	s->shares_max = UINT64_MAX;
	if (limit == RLIM_INFINITY)
		return 0;
	limit -= DESCRIPTORS_BASE + DESCRIPTORS_PER_WORKER * (rlim_t)s->workers + listeners;
	spare = spare_descriptors(limit, s->options->pool_threads, s->options->max_connections);
	s->shares_max = spare / LIMITS_SHARE_DESCRIPTORS;
	s->session_max = (size_t)sessions_for(limit - spare, s->options->pool_threads);
	if (s->options->max_connections == 0 || s->session_max < s->options->max_connections)
		log_info("the limit of open files (%llu) allows %zu connections at a time",
		    (unsigned long long)all, s->session_max);
	return 0;
}

static int
open_root(struct server *s)
{
	const char *path = s->options->storage_root;
	unsigned flags = ROOT_EXCLUSIVE | (s->options->sync ? 0 : ROOT_NO_SYNC);
	enum ftx_rc rc = root_open(&s->root, path, flags, s->options->file_mode);

	switch (rc) {
	case FTX_OK:
		break;
	case FTX_LOCKED:
		log_error(
		    "storage root %s: another daemon is using it: stop that one, or give this "
		    "one a directory of its own with storage_root or -r",
		    path);
		return EX_TEMPFAIL;
	case FTX_NOT_FOUND:
		log_error("storage root %s does not exist, and is never created here: make the "
			  "directory, or name another one with storage_root or -r",
		    path);
		return EX_OSFILE;
	case FTX_NOT_REGULAR:
	case FTX_NO_PARENT:
		log_error("storage root %s is not a directory", path);
		return EX_OSFILE;
	case FTX_ACCESS:
		log_error("storage root %s: %s", path, ftx_rc_text(rc));
		return EX_NOPERM;
	case FTX_NOMEM:
		log_error("storage root %s: %s", path, ftx_rc_text(rc));
		return EX_OSERR;
	default:
		log_error("storage root %s: %s", path, ftx_rc_text(rc));
		return EX_IOERR;
	}
	if (!s->options->sync)
		log_warn("sync is off: what is uploaded may be lost when this machine crashes");
	s->root_path = realpath(path, NULL);
	if (s->root_path == NULL) {
		log_error("storage root %s: %s", path, ftx_errno_text(errno));
		return EX_OSFILE;
	}
	return 0;
}

int
server_open(struct server **out, const struct daemon_options *options)
{
	struct server *s = calloc(1, sizeof(*s));
	int code = EX_OSERR;

	if (s == NULL) {
		log_error("%s", ftx_rc_text(FTX_NOMEM));
		return EX_OSERR;
	}
	if (digest_start() != FTX_OK) {
		log_error("there are no digests to be had");
		free(s);
		return EX_OSERR;
	}
	s->options = options;
	s->workers = options->workers > 0 ? (unsigned)options->workers : services_default_count();
	code = open_root(s);
	if (code != 0)
		goto fail;
	/* Said here, before others run short of them in words of their own. */
	if (take_descriptors(s->workers, s->workers) == 0) {
		code = EX_OSERR;
		goto fail;
	}
	code = sockets_open(&s->sockets, options, s->workers);
	if (code != 0)
		goto fail;
	code = size_by_descriptors(s);
	if (code != 0)
		goto fail;
	*out = s;
	return 0;
fail:
	server_close(s);
	return code;
}

int
server_root_fd(const struct server *s)
{
	return s->root->fd;
}

void
server_print_addresses(const struct server *s, FILE *out)
{
	sockets_print(&s->sockets, out);
}

static void
run_sweep(struct pool_job *job)
{
	struct sweep *sweep = (struct sweep *)job; /* its first member */

	sweep->rc = root_sweep(sweep->root, sweep->path, &sweep->stop, &sweep->removed);
}

static void
on_swept(struct pool_job *job)
{
	struct sweep *sweep = (struct sweep *)job;

	if (sweep->rc == FTX_OK)
		log_info("removed %u stage files of an earlier run", sweep->removed);
	else if (!sweep->stop)
		log_warn("could not remove all stage files of an earlier run: %s",
		    ftx_rc_text(sweep->rc));
}

static void
start_sweep(struct server *s)
{
	if (!root_needs_sweep(s->root))
		return;
	s->sweep.root = s->root;
	s->sweep.path = s->root_path;
	s->sweep.job.run = run_sweep;
	s->sweep.job.done = on_swept;
	pool_submit(s->pool, main_worker(s), POOL_LONG, &s->sweep.job);
}

static void
on_grace_over(void *arg)
{
	struct server *s = arg;

	log_warn("%zu connections did not end in the grace time", services_sessions(&s->services));
	services_order(&s->services, ORDER_ABORT);
}

/* The first signal lets transfers end, the second one does not. */
static void
on_stop_signal(void *arg, int signo)
{
	struct server *s = arg;

	(void)signo;
	if (s->stopping) {
		log_info("stopping at once");
		services_order(&s->services, ORDER_ABORT);
		return;
	}
	s->stopping = true;
	atomic_store(&s->sweep.stop, true);
	upkeep_stop(&s->upkeep);
	notify_stopping();
	services_order(&s->services, ORDER_STOP);
	worker_timer_start(
	    main_worker(s), &s->grace, worker_now(main_worker(s)) + s->options->grace_time);
}

/* What each worker's sessions have in common. */
static struct session_group
make_model(const struct server *s)
{
	const struct daemon_options *o = s->options;

	return (struct session_group){
		.limits = s->limits,
		.timeouts.request_ms = o->request_timeout,
		.timeouts.idle_ms = o->idle_timeout,
		.timeouts.min_rate = o->min_rate,
		.v1.registry = s->registry,
		.v1.send_way = (enum pump_way)o->sendfile,
		.v1.receive_way = (enum pump_way)o->splice,
		.v1.max_file_size = o->max_file_size,
		.v1.names.alphabet = (enum path_alphabet)o->names,
		.v1.names.max_depth = o->max_depth,
		.v2.registry = s->registry,
		.v2.limits = s->limits,
		.v2.send_way = (enum pump_way)o->sendfile,
		.v2.receive_way = (enum pump_way)o->splice,
		.v2.max_file_size = o->max_file_size,
		.v2.max_requests = (uint16_t)o->max_requests,
		.v2.names.alphabet = (enum path_alphabet)o->names,
		.v2.names.max_depth = o->max_depth,
		.v2.allow_replace = o->allow_replace,
		.v2.allow_rename = o->allow_rename,
		.v2.allow_remove = o->allow_remove,
		.v2.agent = PACKAGE_NAME " " PACKAGE_VERSION,
	};
}

static enum ftx_rc
start_services(struct server *s)
{
	int stop_signals[] = { SIGTERM, SIGINT, SIGHUP };
	size_t hup = signal_drop_ignored(&stop_signals[2], 1);
	struct session_group model = make_model(s);
	enum ftx_rc rc;

	s->services.grace_ms = s->options->grace_time;
	rc = services_init(
	    &s->services, s->workers, &s->sockets, s->session_max, &model, s->root, s->pool);
	if (rc == FTX_OK) {
		rc = worker_timer_init(main_worker(s), &s->grace, on_grace_over, s);
		s->has_grace = rc == FTX_OK;
	}
	if (rc == FTX_OK)
		rc = signal_watch_new(&s->signals, worker_base(main_worker(s)), stop_signals,
		    2 + hup, on_stop_signal, s);
	if (rc == FTX_OK)
		rc = upkeep_start(&s->upkeep, s->root, main_worker(s), s->pool);
	if (rc == FTX_OK) {
		start_sweep(s);
		rc = services_start(&s->services);
	}
	return rc;
}

int
server_start(struct server *s)
{
	const struct daemon_options *o = s->options;
	enum ftx_rc rc = pool_new(&s->pool, (unsigned)o->pool_threads);

	space_set_max(s->root->space, o->max_stage_bytes);
	if (rc == FTX_OK)
		rc = root_keep_uploads(s->root);
	if (rc == FTX_OK) {
		uploads_set_limits(
		    s->root->uploads, o->partials_keep_time / 1000, o->partials_keep_bytes);
		rc = registry_new(&s->registry);
	}
	if (rc == FTX_OK)
		rc = limits_new(&s->limits, o->max_connections, o->max_connections_per_address);
	if (rc == FTX_OK) {
		limits_set_shares(s->limits, s->shares_max);
		rc = start_services(s);
	}
	if (rc != FTX_OK) {
		log_error("cannot start: %s", ftx_rc_text(rc));
		return EX_OSERR;
	}
	return 0;
}

int
server_run(struct server *s)
{
	if (services_run(&s->services) == FTX_OK)
		return 0;
	log_error("the event loop failed");
	return EX_OSERR;
}

void
server_close(struct server *s)
{
	if (s == NULL)
		return;
	sockets_close(&s->sockets);
	if (s->has_grace)
		worker_timer_clear(main_worker(s), &s->grace);
	upkeep_clear(&s->upkeep);
	pool_free(s->pool);
	signal_watch_free(s->signals);
	services_clear(&s->services);
	registry_free(s->registry);
	limits_free(s->limits);
	root_close(s->root);
	free(s->root_path);
	free(s);
}
