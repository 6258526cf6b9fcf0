/*
 * activation.h - listening sockets that the service manager opened for us (sd_listen_fds(3)).
 * Layer: daemon. Threads: start-up only.
 * Tests: tests/system/test_activation.py
 */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include <stdbool.h>

/* The first of them; the others follow. */
#define ACTIVATION_FIRST 3

/*
 * How many there are; they are the caller's from here on, and close-on-exec. Asks the environment,
 * and removes from it what it said: once per process. Or a negative errno.
 */
int activation_take(void);
/* It takes TCP connections, by IPv4 or IPv6. */
bool activation_is_listener(int fd);

#endif
