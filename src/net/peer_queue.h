/*
 * peer_queue.h - how much a peer that is a process of this machine has not read yet.
 * Layer: net. Threads: any.
 * Tests: tests/unit/test_peer_queue.c
 *
 * What is sent on the loopback is acknowledged when it stands in the peer's queue: that it was read
 * is known to the peer's socket only, and that can be looked at (sock_diag(7)).
 */
#ifndef NET_PEER_QUEUE_H
#define NET_PEER_QUEUE_H

/*
 * Bytes in the receive queue of the other end of fd, a connected TCP socket. -1: nobody can tell,
 * since the other end is not in this network namespace, or the process may not ask.
 */
long peer_queue_length(int fd);

#endif
