/*
 * limits.h - how many connections there may be, in all and per address; and how many requests may
 * have files open beside the one that each connection may always have.
 * Layer: core. Threads: any (one lock, taken when a connection begins and when it ends; the shares
 * of requests are an atomic number).
 * Tests: tests/unit/test_limits.c
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include <stdbool.h>
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

/* What a request may have open at a time: a file, and its directory. */
#define LIMITS_SHARE_DESCRIPTORS 2

/* There are so many; without this call, as many as are asked for. Before the first one is taken. */
void limits_set_shares(struct limits *l, uint64_t shares);
/* How many there are, whoever has them. */
uint64_t limits_shares(const struct limits *l);
/* False: there is none. */
bool limits_take_share(struct limits *l) FTX_MUST_CHECK;
/* l is a struct limits: what is handed on with a share, to be called when it is given back. */
void limits_give_share(void *l);

#endif
