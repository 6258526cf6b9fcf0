/*
 * services.h - the services of all workers: their threads, the places they share, who takes what.
 * Layer: daemon. Threads: the main one, which runs the first service, unless it says otherwise.
 * Tests: tests/unit/test_server.c, tests/system/test_workers.py
 */
#ifndef DAEMON_SERVICES_H
#define DAEMON_SERVICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "daemon/service.h"
#include "daemon/sockets.h"

struct services {
	struct service *list; /* owned: the first is the main thread's */
	unsigned count;
	size_t places_max; /* as many sessions as there are descriptors for, and a place each */
	uint64_t grace_ms; /* for the log */

	/* ---- of any thread */
	/*
	 * Places taken: one for each session, for each descriptor that may become one, and for each
	 * service that still accepts. With the last one all is over.
	 */
	atomic_size_t places;
	atomic_uint accepting;              /* services that do */
	_Atomic uint64_t say_full_next;     /* when it may be said again that no place is free */
	_Atomic uint64_t say_starving_next; /* likewise, that accept(2) has failed */
};

/* How many workers there are to be if nobody says so: one for each processor that we may use. */
unsigned services_default_count(void);

/*
 * So many services, each with its sockets, which it takes; s is zeroed. sessions_max: at a time, in
 * all; SIZE_MAX: no limit. For model, root and pool see service_init(). On failure (FTX_NOMEM)
 * services_free() is still due.
 */
enum ftx_rc services_init(struct services *s, unsigned count, struct sockets *sockets,
    size_t sessions_max, const struct session_group *model, struct root *root,
    struct pool *pool) FTX_MUST_CHECK;
/* Their threads, and then they accept. FTX_NOMEM: a thread cannot start, and nobody accepts. */
enum ftx_rc services_start(struct services *s) FTX_MUST_CHECK;
/* Runs the first one here, and returns when all have ended. FTX_IO: one has failed. */
enum ftx_rc services_run(struct services *s) FTX_MUST_CHECK;
/* The number of sessions. On any thread. */
size_t services_sessions(const struct services *s);
void services_order(struct services *s, unsigned order);
/* Before the workers end, the pool has: what it has done comes home here. Threads have ended. */
void services_clear(struct services *s);

/* What services ask of all, each on its own thread. */
/* A place for one more. False: there is none. */
bool services_enter(struct services *s);
/* A place has become free, of `from`. */
void services_leave(struct services *s, struct service *from);
/* `from` has room, but there is no place. */
void services_are_full(struct services *s);
/* Who is to serve what `from` has accepted: itself, as a rule. */
struct service *services_choose(struct services *s, struct service *from);
/* `from` accepts no more. */
void services_stopped(struct services *s, struct service *from);

#endif
