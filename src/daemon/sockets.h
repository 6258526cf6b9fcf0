/*
 * sockets.h - the sockets that the daemon listens on: on the addresses of its options, one for each
 * worker, or those that the service manager gave it.
 * Layer: daemon. Threads: start-up only, before there are others.
 * Tests: tests/system/test_daemon.py, tests/system/test_workers.py, tests/system/test_activation.py
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/options.h"
#include "net/addr.h"

#define SOCKETS_ADDRESSES_MAX 64

struct sockets {
	struct addr addresses[SOCKETS_ADDRESSES_MAX];
	/* Owned until they are taken; -1: there is none. */
	int fds[SOCKETS_ADDRESSES_MAX][WORKERS_MAX];
	bool listening[SOCKETS_ADDRESSES_MAX]; /* false: passed over, this host has none such */
	size_t count;
	unsigned workers; /* how many have sockets of their own; the first one always */
};

/*
 * Begins to listen. Where the kernel shares connections out between sockets (SO_REUSEPORT) each
 * worker gets its own; else, and of what the service manager gave, the first one has them all. On
 * failure it has said why, and the result is the exit code for it (sysexits.h); nothing that it
 * opened is left open, but sockets that it was given may be. 0 is success.
 */
int sockets_open(struct sockets *s, const struct daemon_options *options, unsigned workers);
/* How many are open. */
size_t sockets_open_count(const struct sockets *s);
/* One worker's, which are the caller's from here on; how many. */
size_t sockets_take(struct sockets *s, unsigned worker, int fds[SOCKETS_ADDRESSES_MAX]);
/* Those that were not taken. Any number of times. */
void sockets_close(struct sockets *s);
/* One line `listening on ADDR:PORT` for each address. */
void sockets_print(const struct sockets *s, FILE *out);

#endif
