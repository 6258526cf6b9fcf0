/*
 * conn_time.h - what has moved on a connection, and how long its peer has had for it. For machine
 * and pump; nobody outside of net/ includes it.
 * Layer: net. Threads: the connection's worker.
 * Tests: tests/unit/test_conn_time.c
 *
 * Moved is what was read from the peer, and what it has taken: acknowledged, where the kernel can
 * tell (tcp(7), SIOCOUTQ), not only swallowed by our own kernel, which may be megabytes.
 *
 * The peer's clock is base/clock's (ms), but stands still while we keep the peer waiting. At the
 * beginning (conn_started()) both are the same.
 */
#ifndef NET_CONN_TIME_H
#define NET_CONN_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

uint64_t conn_peer_clock(const struct conn *c);
void conn_set_busy(struct conn *c, bool busy); /* machine_set_busy(), where one runs */
bool conn_is_busy(const struct conn *c);
/* Content goes out: what the peer sends meanwhile is no movement. */
void conn_set_sending(struct conn *c, bool sending);
/*
 * Asks the kernel what the peer has taken by now. Nothing else does, so that it costs nothing while
 * all goes well: what is found to have moved is taken to have moved just now.
 */
void conn_look(struct conn *c);
/* Bytes that had moved by the last look. */
uint64_t conn_moved(const struct conn *c);
/* When a byte moved last, by the last look; ms of the peer's clock. */
uint64_t conn_idle_since(const struct conn *c);
/* Of what was written nothing was left by the last look, neither here nor in our kernel. */
bool conn_has_taken_all(const struct conn *c);

#endif
