/*
 * connection.h - one connection through the proxy: a client's socket, a server's, a forward each
 * way, and the fault that ends it.
 * Layer: stammer. Threads: the loop's.
 * Tests: tests/system/test_stammer*.py
 *
 * What one side does, the other sees: a FIN goes on behind the bytes that came before it; a
 * reset, or any other error, becomes a reset at once and overtakes what is still in the buffers,
 * as a reset on one connection does.
 */
#ifndef STAMMER_CONNECTION_H
#define STAMMER_CONNECTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/rc.h"
#include "net/addr.h"
#include "stammer/fault.h"
#include "stammer/forward.h"

struct event;
struct event_base;

/* What all connections share; outlives them. */
struct connection_settings {
	struct event_base *base;           /* borrowed */
	const struct addr *servers;        /* borrowed: tried in this order */
	size_t server_count;               /* at least 1 */
	const struct fault_script *script; /* borrowed */
	uint64_t faulty;                   /* the first so many meet it; 0: all */
	uint64_t seed;
	uint64_t delay;   /* ms between fragments */
	uint64_t latency; /* ms that each byte is on its way, each way */
	size_t buffer;    /* bytes for each direction */
};

/*
 * One of the two sockets. Events are edge-triggered: each flag holds until a call says it would
 * block.
 */
struct side {
	struct connection *connection; /* borrowed: what this is embedded in */
	int fd;                        /* owned; -1: closed */
	struct event *event;           /* owned; NULL: not watched */
	bool connected;
	bool readable, writable;
	bool ended; /* cut only: it has closed, or failed */
};

enum connection_side { SIDE_CLIENT, SIDE_SERVER, SIDE_COUNT };

enum connection_phase {
	PHASE_FORWARD, /* from the start, also while the server is still being reached */
	PHASE_RESET,   /* reset fault: waits until what was sent has arrived */
	PHASE_CUT,     /* cut fault: FINs are sent, discards until both have closed */
	PHASE_STALL,   /* stall fault: holds the sockets */
	PHASE_OVER     /* to be freed as soon as the callback returns */
};

struct connection {
	LIST_ENTRY(connection) link;                /* the owner's */
	const struct connection_settings *settings; /* borrowed */
	uint64_t number;
	enum connection_phase phase;
	struct side sides[SIDE_COUNT];
	struct forward ways[WAY_COUNT];
	bool finished[WAY_COUNT];        /* the FIN has been sent on */
	struct event *pause[WAY_COUNT];  /* owned: the delay between two fragments */
	struct event *travel[WAY_COUNT]; /* owned: until the next bytes, or the end, are there */
	struct event *later; /* owned: more work without an event, or a fault's next look */
	uint64_t deadline;   /* of the reset or cut fault, ms of base/clock */
	size_t next_server;  /* of settings->servers */
	bool reset;          /* how to close */
	const char *reason;  /* static: how it ended, for the log */
	int err;             /* errno's value that belongs to the reason, or 0 */
	void (*on_close)(struct connection *c, void *arg);
	void *arg; /* borrowed */
};

/*
 * Takes both descriptors, also when it fails (then they are reset): client as accepted, server a
 * fresh socket of the first server's family, or -1.
 * on_close is called once, from any callback or connection_abort(), when the descriptors are
 * closed and just before the memory goes. number: from 1, in the order of acceptance; with the
 * seed it decides the fragments.
 */
enum ftx_rc connection_new(struct connection **out, const struct connection_settings *settings,
    uint64_t number, int client, int server, void (*on_close)(struct connection *c, void *arg),
    void *arg) FTX_MUST_CHECK;

/* Begins to connect. c may be gone when this returns. */
void connection_start(struct connection *c);

/* Resets both sides and frees. Not from within a callback of c. */
void connection_abort(struct connection *c);

#endif
