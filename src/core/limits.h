/*
 * limits.h - how many connections there may be, in all and per address.
 * Layer: core. Threads: any (one lock, taken when a connection begins and when it ends).
 * Tests: tests/unit/test_limits.c
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/rc.h"

struct limits;
struct limits_place;

/* How many connections in all, and from one address; 0: no limit. */
enum ftx_rc limits_new(struct limits **out, uint64_t max, uint64_t max_per_address) FTX_MUST_CHECK;
/* All places must have been given back. */
void limits_free(struct limits *l);

/*
 * A place for a connection from this address: an IPv4 address (all of 127.0.0.0/8 is one), or an
 * IPv6 network of 64 bits (RFC 6177: the least that one site has). FTX_LIMIT: there is none;
 * FTX_NOMEM. Each place is given back by limits_leave(), exactly once.
 */
enum ftx_rc limits_enter(
    struct limits *l, const struct sockaddr *sa, struct limits_place **out) FTX_MUST_CHECK;
void limits_leave(struct limits_place *p);

#endif
