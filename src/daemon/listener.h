/*
 * listener.h - a listening socket, and what it does when there are too many connections or too few
 * descriptors.
 * Layer: daemon. Threads: its worker's.
 * Tests: tests/unit/test_listener.c, tests/system/
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"
#include "net/addr.h"

struct listener;
struct worker;

/* Whom the connections go to; each of these may pause the listener. */
struct listener_taker {
	/* Whether there is room for one more, which it then keeps for it. */
	bool (*has_room)(void *arg);
	/* One has come: fd is the callee's from here on, non-blocking, close-on-exec. */
	void (*on_accept)(void *arg, struct listener *l, int fd, const struct addr *peer);
	/* Nobody has, and the room is free again. */
	void (*on_nobody)(void *arg);
	void *arg;                  /* borrowed */
	_Atomic uint64_t *say_next; /* borrowed: when it may be said again that accept(2) failed */
};

/*
 * Begins paused. fd listens and is non-blocking; it is the listener's, also on failure (FTX_NOMEM).
 * taker is borrowed, and outlives the listener.
 */
enum ftx_rc listener_new(struct listener **out, struct worker *w, int fd,
    const struct listener_taker *taker) FTX_MUST_CHECK;
void listener_free(struct listener *l);

/* Not one more connection is accepted until listener_resume(), whatever the time. */
void listener_pause(struct listener *l);
/* A descriptor or a place has become free. Cheap when the listener is not paused. */
void listener_resume(struct listener *l);

#endif
