/*
 * dial.h - connects to the first address that answers.
 * Layer: net. Threads: its worker's.
 * Tests: tests/unit/test_dial.c
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "net/addr.h"

struct dial;
struct worker;

/*
 * Tries the addresses (copied) one after the other, `timeout_ms` each, with this congestion control
 * (borrowed; empty: the system's). Calls done once, never
 * within this call: with a connected non-blocking descriptor that is the callee's and the address
 * it leads to, or with -1 and the last errno. FTX_NOMEM: done is not called.
 */
enum ftx_rc dial_start(struct dial **out, struct worker *w, const struct addr *addrs, size_t count,
    uint64_t timeout_ms, const char *congestion,
    void (*done)(void *arg, int fd, const struct addr *peer, int err), void *arg) FTX_MUST_CHECK;
/* What that errno of a connection that did not come to be is; FTX_CONNECT: nothing special. */
enum ftx_rc dial_rc(int err);
/*
 * Gives up without calling done, or frees it afterwards (also from within done). NULL is allowed.
 */
void dial_free(struct dial *d);

#endif
