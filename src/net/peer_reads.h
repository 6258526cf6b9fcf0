/*
 * peer_reads.h - how much a peer that is a process of this machine has read.
 * Layer: net. Threads: any.
 * Tests: tests/unit/test_peer_reads.c
 *
 * What is sent on the loopback is acknowledged when it stands in the peer's queue, or later: that
 * it was read is known to the peer's socket only, and that can be looked at (sock_diag(7)).
 */
#ifndef NET_PEER_READS_H
#define NET_PEER_READS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes that were read at the other end of fd, a connected TCP socket, since it connected; our end,
 * once it is there, counts like one. False: nobody can tell, since the other end is not in this
 * network namespace, or we may not ask.
 */
bool peer_reads(int fd, uint64_t *bytes);

#endif
