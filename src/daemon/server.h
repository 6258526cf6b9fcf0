/*
 * server.h - the daemon as a whole: what it is made of, how it starts, drains and stops.
 * Layer: daemon. Threads: the main one.
 * Tests: tests/unit/test_server.c, tests/system/
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdio.h>

#include "daemon/options.h"

struct server;

/*
 * Opens the storage root and the listening sockets. On failure it has said why in the log, and the
 * result is the exit code for it (sysexits.h); nothing that it opened is left open. 0 is success.
 * options is borrowed and outlives the server.
 */
int server_open(struct server **out, const struct daemon_options *options);
/* The storage root, open; borrowed. */
int server_root_fd(const struct server *s);
/*
 * Starts threads and takes signals: after the last fork, and when privileges are given up, which
 * binds only the threads that are started later. The same results.
 */
int server_start(struct server *s);
/* One line `listening on ADDR:PORT` per address. */
void server_print_addresses(const struct server *s, FILE *out);
/* Serves until SIGTERM or SIGINT has been obeyed. The exit code. */
int server_run(struct server *s);
/* Closes everything; sessions must have ended. NULL is allowed. */
void server_close(struct server *s);

#endif
