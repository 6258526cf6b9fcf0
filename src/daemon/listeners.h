/*
 * listeners.h - all that one worker listens on.
 * Layer: daemon. Threads: its worker's.
 * Tests: tests/system/test_scarce.py
 */
#ifndef DAEMON_LISTENERS_H
#define DAEMON_LISTENERS_H

#include <stddef.h>

#include "daemon/listener.h"
#include "daemon/sockets.h"

struct listeners {
	struct listener *list[SOCKETS_ADDRESSES_MAX]; /* owned */
	size_t count;
	size_t next; /* which one is the first to go on after a pause */
};

/*
 * Paused, to begin with; l is zeroed. The descriptors are the listeners', also on failure
 * (FTX_NOMEM).
 */
enum ftx_rc listeners_open(struct listeners *l, struct worker *w, const int *fds, size_t count,
    const struct listener_taker *taker) FTX_MUST_CHECK;
/* Any number of times. */
void listeners_close(struct listeners *l);

/* Not one more connection, on any of them, until listeners_resume(). */
void listeners_pause(struct listeners *l);
/* A descriptor or a place has become free. */
void listeners_resume(struct listeners *l);
/* That one has had its turn. */
void listeners_served(struct listeners *l, const struct listener *one);

#endif
