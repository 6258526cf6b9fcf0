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
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/session.h"
#include "loop/counters.h"
#include "loop/pool.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/root.h"
#include "store/space.h"
#include "store/store.h"

/* What a connection may need at a time: its socket, a stage and its directory. */
#define DESCRIPTORS_PER_SESSION 3
/* And what a job of the pool opens besides, for as long as it runs. */
#define DESCRIPTORS_PER_JOB 2
/* And the rest, but for listeners: standard streams, loop, root, pid file, log, libraries. */
#define DESCRIPTORS_BASE 20

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
	struct worker *worker;                /* owned, as all below */
	struct pool *pool;
	struct root *root;
	struct registry *registry;
	struct limits *limits;
	struct listeners listeners; /* embedded */
	struct signal_watch *signals;
	struct timer grace;
	struct sweep sweep;

	struct session_group group;
	size_t session_max; /* as many as there are descriptors for */
	uint64_t full_next; /* when it may be said again that session_max is reached */
	bool stopping;
};

static bool
is_full(const struct server *s)
{
	return s->group.count >= s->session_max;
}

static void
on_session_end(void *arg)
{
	struct server *s = arg;

	if (s->stopping && s->group.count == 0)
		worker_stop(s->worker);
	else if (!s->stopping && !is_full(s))
		listeners_resume(&s->listeners);
}

static void
on_accept(void *arg, int fd, const struct addr *peer)
{
	struct server *s = arg;

	session_start(&s->group, fd, peer);
	if (!is_full(s))
		return;
	/* Who comes now waits in the kernel's queue until the descriptors for a file are free. */
	listeners_pause(&s->listeners);
	if (log_is_due(&s->full_next))
		log_warn("%zu connections: the limit of open files allows no more at a time",
		    s->group.count);
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
 * for so many listeners and one connection, with its job and the sweep's.
 */
static rlim_t
take_descriptors(size_t listeners)
{
	rlim_t least = DESCRIPTORS_BASE + listeners + DESCRIPTORS_PER_SESSION +
		       (rlim_t)2 * DESCRIPTORS_PER_JOB;
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

/* Works out for how many connections they suffice. */
static int
size_by_descriptors(struct server *s)
{
	rlim_t limit = take_descriptors(s->listeners.count);

	if (limit == 0)
		return EX_OSERR;
	s->session_max = SIZE_MAX;
	if (limit == RLIM_INFINITY)
		return 0;
	s->session_max = (size_t)sessions_for(
	    limit - DESCRIPTORS_BASE - s->listeners.count, s->options->pool_threads);
	if (s->options->max_connections == 0 || s->session_max < s->options->max_connections)
		log_info("the limit of open files (%llu) allows %zu connections at a time",
		    (unsigned long long)limit, s->session_max);
	return 0;
}

static int
open_root(struct server *s)
{
	const char *path = s->options->storage_root;
	enum ftx_rc rc = root_open(&s->root, path, ROOT_EXCLUSIVE, s->options->file_mode);

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
	s->options = options;
	TAILQ_INIT(&s->group.list);
	code = open_root(s);
	if (code != 0)
		goto fail;
	/* Said here, before others run short of them in words of their own. */
	if (take_descriptors(1) == 0) {
		code = EX_OSERR;
		goto fail;
	}
	if (worker_new(&s->worker, NULL) != FTX_OK) {
		log_error("cannot make an event loop");
		code = EX_OSERR;
		goto fail;
	}
	code = listeners_open(&s->listeners, options, s->worker, on_accept, s);
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
	listeners_print(&s->listeners, out);
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
	pool_submit(s->pool, s->worker, POOL_LONG, &s->sweep.job);
}

static void
abort_sessions(struct server *s)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&s->group.list); session != NULL; session = next) {
		next = session_next(session);
		session_abort(session);
	}
}

static void
on_grace_over(void *arg)
{
	struct server *s = arg;

	log_warn("%zu connections did not end in the grace time", s->group.count);
	abort_sessions(s);
}

/* The first signal lets transfers end, the second one does not. */
static void
on_stop_signal(void *arg, int signo)
{
	struct server *s = arg;
	struct session *session, *next;

	(void)signo;
	if (s->stopping) {
		log_info("stopping at once");
		abort_sessions(s);
		return;
	}
	s->stopping = true;
	atomic_store(&s->sweep.stop, true);
	notify_stopping();
	listeners_close(&s->listeners);
	for (session = TAILQ_FIRST(&s->group.list); session != NULL; session = next) {
		next = session_next(session);
		session_end_idle(session);
	}
	if (s->group.count == 0) {
		worker_stop(s->worker);
		return;
	}
	log_info("stopping; connections still open: %zu; they have %llu ms to end", s->group.count,
	    (unsigned long long)s->options->grace_time);
	worker_timer_start(s->worker, &s->grace, worker_now(s->worker) + s->options->grace_time);
}

static enum ftx_rc
start_parts(struct server *s)
{
	int stop_signals[] = { SIGTERM, SIGINT, SIGHUP };
	size_t hup = signal_drop_ignored(&stop_signals[2], 1);
	const struct daemon_options *o = s->options;
	enum ftx_rc rc;

	rc = signal_watch_new(
	    &s->signals, worker_base(s->worker), stop_signals, 2 + hup, on_stop_signal, s);
	if (rc == FTX_OK)
		rc = pool_new(&s->pool, (unsigned)o->pool_threads);
	if (rc == FTX_OK)
		rc = registry_new(&s->registry);
	if (rc == FTX_OK)
		rc = limits_new(&s->limits, o->max_connections, o->max_connections_per_address);
	if (rc == FTX_OK)
		rc = store_local_new(&s->group.v1.store, s->root, s->worker, s->pool);
	if (rc == FTX_OK)
		rc = worker_timer_init(s->worker, &s->grace, on_grace_over, s);
	return rc;
}

int
server_start(struct server *s)
{
	enum ftx_rc rc = start_parts(s);

	if (rc != FTX_OK) {
		log_error("cannot start: %s", ftx_rc_text(rc));
		return EX_OSERR;
	}
	space_set_max(s->root->space, s->options->max_stage_bytes);
	s->group.worker = s->worker;
	s->group.limits = s->limits;
	s->group.timeouts.request_ms = s->options->request_timeout;
	s->group.timeouts.idle_ms = s->options->idle_timeout;
	s->group.timeouts.min_rate = s->options->min_rate;
	s->group.v1.registry = s->registry;
	s->group.v1.max_file_size = s->options->max_file_size;
	s->group.v1.names.alphabet = (enum path_alphabet)s->options->names;
	s->group.v1.names.max_depth = s->options->max_depth;
	s->group.on_end = on_session_end;
	s->group.arg = s;
	start_sweep(s);
	return 0;
}

int
server_run(struct server *s)
{
	enum ftx_rc rc = worker_run(s->worker);

	if (rc != FTX_OK)
		log_error("the event loop failed");
	/* Publishing that is under way completes; nobody is connected any more. */
	while (worker_held(s->worker) > 0)
		worker_turn(s->worker, true);
	counters_log(worker_counters(s->worker), 0);
	return rc == FTX_OK ? 0 : EX_OSERR;
}

void
server_close(struct server *s)
{
	if (s == NULL)
		return;
	listeners_close(&s->listeners);
	if (s->worker != NULL)
		worker_timer_clear(s->worker, &s->grace);
	pool_free(s->pool);
	store_free(s->group.v1.store);
	signal_watch_free(s->signals);
	worker_free(s->worker);
	registry_free(s->registry);
	limits_free(s->limits);
	root_close(s->root);
	free(s->root_path);
	free(s);
}
