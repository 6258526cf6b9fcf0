/*
 * pump.h - moves a file's content between a connection and a transfer.
 * Layer: net; the only part of it that knows the store. Threads: the connection's worker.
 * Tests: tests/pair/
 *
 * A state machine starts a pump and is out of the way until it ends. While it runs the pump has the
 * connection's notices; the transfer's READ and WRITE completions are handed to it by the machine's
 * owner. In memory it holds at most one chunk with the store and one in the connection's buffer
 * (512 KiB in all).
 */
#ifndef NET_PUMP_H
#define NET_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

struct conn;
struct machine;
struct transfer;

/* Embedded; all zero: not running. */
struct pump {
	struct conn *conn;         /* borrowed */
	struct transfer *transfer; /* borrowed */
	struct machine *machine;   /* borrowed: gets the notices back, and the event */
	uint8_t event;             /* posted to it when all has been moved */
	uint64_t left;             /* bytes that the receiving side has not been given yet */
	uint64_t moved;            /* bytes that it has taken: written, or queued to be sent */
	bool sending;
	bool needs_peer; /* sending: a peer that closes its side breaks the transfer off */
	bool waiting;    /* an operation of the transfer is under way */
	void (*fail)(void *arg, enum ftx_rc why);
	void *arg; /* borrowed */
};

/*
 * Receives t->size bytes and writes them. Posts `event` to the machine when all are written; calls
 * fail(arg) when the peer ends too early or the store fails (never both; perhaps within this call
 * already).
 */
void pump_receive(struct pump *p, struct conn *c, struct transfer *t, struct machine *m,
    uint8_t event, void (*fail)(void *arg, enum ftx_rc why), void *arg);
/*
 * Reads t->size bytes and sends them. Posts `event` when all are with the kernel. needs_peer: the
 * peer must not close its side meanwhile (a server that leaves an uploading client).
 */
void pump_send(struct pump *p, struct conn *c, struct transfer *t, struct machine *m, uint8_t event,
    bool needs_peer, void (*fail)(void *arg, enum ftx_rc why), void *arg);
/* To be called when the transfer's READ or WRITE has ended. */
void pump_on_io(struct pump *p, enum ftx_rc rc);
/* Bytes moved so far. */
uint64_t pump_moved(const struct pump *p);
/* Lets go of everything; idempotent. */
void pump_stop(struct pump *p);

#endif
