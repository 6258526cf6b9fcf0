/*
 * sock.h - what the proxy asks of a TCP socket beyond reading and writing.
 * Layer: stammer. Threads: the loop's.
 * Tests: tests/system/test_stammer*.py
 *
 * What only Linux has is in sock.c, each with a way to do without.
 */
#ifndef STAMMER_SOCK_H
#define STAMMER_SOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "net/addr.h"

/* A non-blocking TCP socket of that family, or -1 and errno. The caller owns it. */
int sock_open(int family);

/*
 * A non-blocking socket that listens on a, with a queue as long as the system allows, or -1 and
 * errno. *a becomes what it is bound to (port 0: the port that was free). The caller owns it.
 */
int sock_listen(struct addr *a);

/* Accepts a connection, non-blocking; -1 and errno. The caller owns it. */
int sock_accept(int listener, struct addr *peer);

/* The error that waits on the socket (errno's values), taken off it; 0: none. */
int sock_error(int fd);

/* Whether all that was sent has reached the peer's kernel. True where the system cannot tell. */
bool sock_is_flushed(int fd);

/*
 * Asks the peer from time to time whether it is still there, so that a silent connection ends
 * some day.
 */
void sock_probe(int fd);

/* Reads and forgets once. Bytes, 0 at the end, or -1 and errno. */
long sock_discard(int fd);

/* Closes with a reset: the peer's reads fail, what was not sent yet is dropped. */
void sock_reset(int fd);

/*
 * What the kernel keeps for a receiver who is slow, or gone, is on its way, too: megabytes, as a
 * rule. Where our own buffer is small it keeps some hundred KiB at most (SO_SNDBUF, socket(7)).
 */
void sock_limit_output(int fd, size_t buffer);

#endif
