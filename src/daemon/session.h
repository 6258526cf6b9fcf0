/*
 * session.h - an accepted connection: its place among all, and which protocol it speaks.
 * Layer: daemon. Threads: its worker's.
 * Tests: tests/unit/test_server.c, tests/system/
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "net/addr.h"
#include "net/conn.h"
#include "v1/server.h"
#include "v2/server.h"

struct limits;
struct session;
struct worker;

TAILQ_HEAD(session_list, session);

/* The sessions of one worker, and what they need; the server's. */
struct session_group {
	struct worker *worker;       /* borrowed */
	struct limits *limits;       /* borrowed; shared by all workers */
	struct conn_limits timeouts; /* of each connection */
	struct v1_server v1;
	struct v2_server v2;
	struct session_list list;
	size_t count;
	/* One that is off the list has nothing open any more, no file either. */
	void (*on_end)(void *arg);
	void *arg; /* borrowed */
};

/*
 * Takes over fd, whatever happens. False: it is no session. A connection that exceeds a limit is
 * reset at once, and logged.
 */
bool session_start(struct session_group *g, int fd, const struct addr *peer);
/* The daemon stops: a session without a request ends now; one of version 2 says GOODBYE. */
void session_end_idle(struct session *s);
/* The daemon has waited long enough: ends it with a reset. */
void session_abort(struct session *s);

/* The next one of the group's list. Ask before the two calls above: they may take s off it. */
struct session *session_next(const struct session *s);

#endif
