/*
 * relay.h - the proxy itself: listens, and holds the connections.
 * Layer: stammer. Threads: the loop's.
 * Tests: tests/system/test_stammer*.py
 */
#ifndef STAMMER_RELAY_H
#define STAMMER_RELAY_H

#include "base/rc.h"
#include "net/addr.h"
#include "stammer/connection.h"

struct relay;

/*
 * Begins to listen on *listen, which becomes what it is bound to. settings: borrowed for the
 * relay's life. FTX_NOMEM, or FTX_IO with errno: the address cannot be had.
 */
enum ftx_rc relay_new(struct relay **out, const struct connection_settings *settings,
    struct addr *listen) FTX_MUST_CHECK;

/* Resets the connections that are open, closes, frees. Tolerates NULL. */
void relay_free(struct relay *r);

#endif
