/*
 * listeners.h - all that the daemon listens on: the addresses of its options, or the sockets that
 * the service manager gave it.
 * Layer: daemon. Threads: their worker's.
 * Tests: tests/system/test_daemon.py, tests/system/test_activation.py
 */
#ifndef DAEMON_LISTENERS_H
#define DAEMON_LISTENERS_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/listener.h"
#include "daemon/options.h"
#include "net/addr.h"

#define LISTENERS_MAX 64

struct listeners {
	struct listener *list[LISTENERS_MAX]; /* owned; NULL: passed over, this host has none */
	struct addr addresses[LISTENERS_MAX];
	size_t count;
	size_t turn; /* which one is the first to go on after a pause */
};

/*
 * Begins to listen; l is zeroed. On failure it has said why, and the result is the exit code for it
 * (sysexits.h); nothing that it opened is left open, but sockets that it was given may be. 0 is
 * success.
 */
int listeners_open(struct listeners *l, const struct daemon_options *options, struct worker *w,
    listener_accept_cb *on_accept, void *arg);
/* Any number of times. */
void listeners_close(struct listeners *l);

/* Not one more connection, on any of them, until listeners_resume(). */
void listeners_pause(struct listeners *l);
/* A descriptor or a place has become free. */
void listeners_resume(struct listeners *l);
/* One line `listening on ADDR:PORT` for each. */
void listeners_print(const struct listeners *l, FILE *out);

#endif
