#include "daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/log.h"
#include "core/limits.h"
#include "core/registry.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/session.h"
#include "loop/pool.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/root.h"
#include "store/space.h"
#include "store/store.h"

#define ADDRESSES_MAX 64 /* listening sockets */
#define PORT_TRIES    16 /* ports tried until one is free on all addresses */

/* What a connection may need at a time: its socket, a stage and its directory. */
#define DESCRIPTORS_PER_SESSION 3
/* And what the rest needs, but for listeners: standard streams, the loop, the pool at work. */
#define DESCRIPTORS_BASE 24

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
	struct listener *listeners[ADDRESSES_MAX];
	struct addr addresses[ADDRESSES_MAX];
	size_t address_count;
	struct signal_watch *signals;
	struct timer grace;
	struct sweep sweep;

	struct session_group group;
	size_t session_max; /* as many as there are descriptors for */
	bool full_said;     /* that session_max is reached: said once */
	bool stopping;
};

static void
resume_listeners(struct server *s)
{
	for (size_t i = 0; i < s->address_count; i++) {
		if (s->listeners[i] != NULL)
			listener_resume(s->listeners[i]);
	}
}

static void
on_session_end(void *arg)
{
	struct server *s = arg;

	if (s->stopping && s->group.count == 0)
		worker_stop(s->worker);
	else if (!s->stopping)
		resume_listeners(s);
}

static bool
on_accept(void *arg, int fd, const struct addr *peer)
{
	struct server *s = arg;

	session_start(&s->group, fd, peer);
	if (s->group.count < s->session_max)
		return true;
	/* Who comes now waits in the kernel's queue until the descriptors for a file are free. */
	if (!s->full_said)
		log_warn("%zu connections: the limit of open files allows no more at a time",
		    s->group.count);
	s->full_said = true;
	return false;
}

/* Takes as many descriptors as we may have, and works out how many connections they suffice for. */
static void
size_by_descriptors(struct server *s)
{
	struct rlimit rl;
	rlim_t base = DESCRIPTORS_BASE + s->address_count, usable;

	s->session_max = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
			(void)getrlimit(RLIMIT_NOFILE, &rl);
	}
	if (rl.rlim_cur == RLIM_INFINITY)
		return;
	usable = rl.rlim_cur > base ? rl.rlim_cur - base : 0;
	s->session_max = (size_t)(usable / DESCRIPTORS_PER_SESSION);
	if (s->session_max == 0)
		s->session_max = 1;
	if (s->options->max_connections == 0 || s->session_max < s->options->max_connections)
		log_info("the limit of open files (%llu) allows %zu connections at a time",
		    (unsigned long long)rl.rlim_cur, s->session_max);
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
		log_error("storage root %s: another daemon is using it", path);
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
		log_error("storage root %s: %s", path, strerror(errno));
		return EX_OSFILE;
	}
	return 0;
}

/* The addresses of the list, in its order; a name may stand for several. */
static int
resolve_addresses(struct server *s)
{
	const struct option_list *list = &s->options->listen_address;
	uint16_t port = (uint16_t)s->options->listen_port;

	for (size_t i = 0; i < list->count; i++) {
		size_t n = 1, room = ADDRESSES_MAX - s->address_count;
		struct addr *next = &s->addresses[s->address_count];
		enum ftx_rc rc;

		if (room == 0) {
			log_error("listen_address: more than %d addresses", ADDRESSES_MAX);
			return EX_CONFIG;
		}
		rc = addr_parse(next, list->items[i], port);
		if (rc == FTX_USAGE)
			rc = addr_resolve(list->items[i], port, next, room, &n);
		if (rc != FTX_OK) {
			log_error("listen_address %s: %s", list->items[i], ftx_rc_text(rc));
			return rc == FTX_HOST_UNKNOWN ? EX_NOHOST : EX_CONFIG;
		}
		s->address_count += n;
	}
	if (s->address_count == 0) {
		log_error("listen_address: there is no address to listen on");
		return EX_CONFIG;
	}
	return 0;
}

static void
close_listeners(struct server *s)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		listener_free(s->listeners[i]);
		s->listeners[i] = NULL;
	}
}

/* A default address of a kind that this host does not have (IPv6 may be off) is no error. */
static bool
may_skip(int err, bool addresses_set)
{
	return !addresses_set && (err == EAFNOSUPPORT || err == EADDRNOTAVAIL);
}

/* All addresses on one port. Zero, or an errno with *failed the address that it is about. */
static int
listen_on_all(struct server *s, bool addresses_set, const struct addr **failed)
{
	uint16_t port = (uint16_t)s->options->listen_port;
	size_t open = 0;
	int err;

	for (size_t i = 0; i < s->address_count; i++) {
		struct addr a = s->addresses[i];

		addr_set_port(&a, port);
		if (listener_new(&s->listeners[i], s->worker, &a, on_accept, s, &err) != FTX_OK) {
			*failed = &s->addresses[i];
			if (may_skip(err, addresses_set))
				continue;
			return err;
		}
		s->addresses[i] = a;
		port = addr_port(&a); /* what port 0 became is the port of all */
		open++;
	}
	return open > 0 ? 0 : EADDRNOTAVAIL;
}

static int
open_listeners(struct server *s, bool addresses_set)
{
	const struct addr *failed = &s->addresses[0];
	char text[ADDR_TEXT_SIZE];
	int err = 0;

	for (int tries = 0; tries < PORT_TRIES; tries++) {
		err = listen_on_all(s, addresses_set, &failed);
		if (err == 0)
			return 0;
		close_listeners(s);
		/* Port 0 became one that is taken on another address: the next try gets another. */
		if (err != EADDRINUSE || s->options->listen_port != 0)
			break;
	}
	log_error("cannot listen on %s: %s", addr_text(failed, text), strerror(err));
	return err == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

int
server_open(struct server **out, const struct daemon_options *options, bool addresses_set)
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
	code = resolve_addresses(s);
	if (code != 0)
		goto fail;
	size_by_descriptors(s);
	if (worker_new(&s->worker, NULL) != FTX_OK) {
		log_error("cannot make an event loop");
		code = EX_OSERR;
		goto fail;
	}
	code = open_listeners(s, addresses_set);
	if (code != 0)
		goto fail;
	*out = s;
	return 0;
fail:
	server_close(s);
	return code;
}

void
server_print_addresses(const struct server *s, FILE *out)
{
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < s->address_count; i++) {
		if (s->listeners[i] != NULL)
			fprintf(out, "listening on %s\n", addr_text(&s->addresses[i], text));
	}
	fflush(out);
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
	close_listeners(s);
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
	static const int stop_signals[] = { SIGTERM, SIGINT };
	const struct daemon_options *o = s->options;
	enum ftx_rc rc;

	rc = signal_watch_new(
	    &s->signals, worker_base(s->worker), stop_signals, 2, on_stop_signal, s);
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
	return rc == FTX_OK ? 0 : EX_OSERR;
}

void
server_close(struct server *s)
{
	if (s == NULL)
		return;
	close_listeners(s);
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
