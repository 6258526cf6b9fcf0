/*
 * service.h - what one worker serves: its listeners, its sessions, its share of the store.
 * Layer: daemon. Threads: its worker's, but for what says otherwise.
 * Tests: tests/unit/test_server.c, tests/system/test_workers.py
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/balance.h"
#include "daemon/listeners.h"
#include "daemon/session.h"
#include "loop/worker.h"

struct pool;
struct root;
struct services;

/* What a service is told to do by others. */
enum {
	ORDER_GO_ON = 1 << 0,  /* accept connections, at the start or when there is room again */
	ORDER_STOP = 1 << 1,   /* accept none any more, end the sessions that are idle */
	ORDER_ABORT = 1 << 2,  /* end all sessions */
	ORDER_FINISH = 1 << 3, /* there are no sessions any more, anywhere: end the worker */
};

struct service {
	struct services *all;  /* borrowed */
	struct worker *worker; /* owned */
	struct session_group group;
	struct listener_taker taker;
	struct listeners listeners;
	struct balance balance;
	bool stopping;

	/* ---- of any thread */
	atomic_size_t live;  /* sessions it has, or is being given */
	atomic_bool waiting; /* it is paused: there was no room for one more */
	atomic_uint orders;  /* not seen yet */
	struct mail mail;    /* on its way while there are any */
};

/*
 * A service on a worker of its own, which somebody has to run; s is zeroed. All it shares with
 * others is borrowed. model: as its group is to be, but for what is its own (worker, store, list).
 * Also what fails must be cleared. FTX_NOMEM.
 */
enum ftx_rc service_init(struct service *s, struct services *all, const struct session_group *model,
    struct root *root, struct pool *pool) FTX_MUST_CHECK;
/* Its sockets, which are its own from here on, also on failure: FTX_NOMEM. */
enum ftx_rc service_listen(struct service *s, const int *fds, size_t count) FTX_MUST_CHECK;
/* Its worker has ended, and so have its sessions. */
void service_clear(struct service *s);

/* From any thread; done soon, and once for all orders of a kind that were given before. */
void service_order(struct service *s, unsigned order);

#endif
