/*
 * listener.h - a listening socket, and what it does when there are too many connections or too few
 * descriptors.
 * Layer: daemon. Threads: its worker's.
 * Tests: tests/unit/test_listener.c, tests/system/
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "base/rc.h"
#include "net/addr.h"

struct listener;
struct worker;

/*
 * A connection was accepted; fd is the callee's from here on: non-blocking, close-on-exec. It may
 * pause the listener.
 */
typedef void listener_accept_cb(void *arg, int fd, const struct addr *peer);

/*
 * Binds and listens. addr gets the port that was chosen for port 0. FTX_CONNECT: the address cannot
 * be had; FTX_NOMEM. On failure *err is the errno, and nothing is open.
 */
enum ftx_rc listener_new(struct listener **out, struct worker *w, struct addr *addr,
    listener_accept_cb *on_accept, void *arg, int *err) FTX_MUST_CHECK;
/*
 * The same with a socket that listens already; fd is the listener's, also on failure. addr gets its
 * address.
 */
enum ftx_rc listener_adopt(struct listener **out, struct worker *w, int fd, struct addr *addr,
    listener_accept_cb *on_accept, void *arg, int *err) FTX_MUST_CHECK;
void listener_free(struct listener *l);

/* Not one more connection is accepted until listener_resume(), whatever the time. */
void listener_pause(struct listener *l);
/* A descriptor or a place has become free. Cheap when the listener is not paused. */
void listener_resume(struct listener *l);

#endif
