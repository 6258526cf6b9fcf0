/*
 * pump.h - moves a file's content between a connection and a transfer.
 * Layer: net; the only part of it that knows the store. Threads: the connection's worker.
 * Tests: tests/pair/, tests/fuzz/fuzz_session.c, tests/system/test_paths.py
 *
 * A state machine starts a pump and is out of the way until it ends. While it runs the pump has the
 * connection's notices; the transfer's READ and WRITE completions are handed to it by the machine's
 * owner.
 *
 * Or there is no machine, and content comes in runs with messages between them. Then the notices
 * are its owner's, who hands them on; one pump may receive while another one sends; and the peer's
 * clock is not touched: pump_is_busy() says whose turn it is.
 *
 * Content passes through chunks of the worker's (loop/chunk), which a pump has only while there are
 * bytes in them. What can be read or written without waiting is, on the loop, and then the chunk is
 * given back before the turn ends. Else the store's jobs have it: at most one, and while it is
 * written one more is filled.
 */
#ifndef NET_PUMP_H
#define NET_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "loop/work.h"

struct chunk;
struct conn;
struct machine;
struct transfer;

/* How content is moved that waits for no device. */
enum pump_way {
	PUMP_AUTO, /* as measured to be cheaper: see pump_send.c, pump_receive.c */
	PUMP_FILE, /* between file and socket, without a copy: sendfile(2), splice(2) */
	PUMP_COPY  /* through our memory */
};

/* Between what, and who hears of its end. */
struct pump_ends {
	struct conn *conn;         /* borrowed, as all here */
	struct transfer *transfer; /* its size tells how much */
	struct machine *machine;   /* gets the notices back, and the event; NULL: there is none */
	uint8_t event;             /* posted to it when all has been moved */
	void (*on_end)(void *arg); /* without a machine: called at the end of each run */
	/* Bytes in all, and in the first run (pump_next()); 0: up to the transfer's size; all. */
	uint64_t total, length;
	/* Sees all content, once and in its order: so it all passes through our memory. */
	void (*on_bytes)(void *arg, const void *p, size_t len);
	/*
	 * Sending: a peer that closes its side breaks the transfer off (a server that leaves an
	 * uploading client).
	 */
	bool needs_peer;
	enum pump_way way;
	bool closes;     /* sending: the connection's end, or more, follows each run at once */
	uint64_t *moved; /* may be NULL: kept equal to the bytes moved so far */
	/* Or this is called: the peer ended too early, or the store failed. Never both. */
	void (*fail)(void *arg, enum ftx_rc why);
	void *arg;
};

/* Embedded; all zero: not running. */
struct pump {
	struct pump_ends ends;
	struct work work;                    /* the next piece of this, in the worker's queue */
	struct chunk *chunk;                 /* owned: received, or read, and not moved on yet */
	uint64_t from, content_end, run_end; /* offsets in the transfer */
	uint64_t to_come;                    /* receiving: of the run */
	uint64_t counted;                    /* offset up to which the worker's counters know */
	uint64_t noted;                      /* and the log line */
	size_t burst_max; /* sending: what the peer is offered at once, by how fast it is */
	uint64_t pace_from, pace_at; /* offset and time (ms) from which on that is judged */
	size_t burst; /* sending: bytes that the peer can be expected to take at once */
	bool running;
	bool sending;
	bool finishing;      /* receiving: pump_finish() */
	enum ftx_rc failure; /* between two runs: told to the next one */
	bool from_file;      /* sending by sendfile(2), but for the first and the last bytes */
	bool by_file;        /* some of them have been */
	bool by_pipe;        /* receiving by splice(2) */
	uint8_t stops;       /* then: at which the peer has got what it was to get */
	uint64_t file_end;   /* bytes sent on the connection, up to the last of these */
	bool waiting;        /* an operation of the transfer is under way */
	bool busy;           /* pump_is_busy(), while it runs */
	bool failed_here;    /* it was the store, or memory, that failed, not the peer */
};

/*
 * Receives all that is to be moved, and writes it. With a machine all is written at the end;
 * without one a run ends when all of it is received, and pump_finish() tells the rest. May end
 * within this call, as within the next three.
 */
void pump_receive(struct pump *p, const struct pump_ends *ends);
/* Reads all of it, and sends it: at the end of a run all of that is with the kernel. */
void pump_send(struct pump *p, const struct pump_ends *ends);
/* The next run, of so many bytes; not beyond what there is in all. */
void pump_next(struct pump *p, uint64_t length);
/* Another run, of no bytes: it ends when all that was received is written. */
void pump_finish(struct pump *p);
/* The transfer's size has grown meanwhile, and with it what there is in all. */
void pump_set_total(struct pump *p, uint64_t total);
/* Without a machine: the connection's notices, for a pump that runs (else ignored). */
void pump_on_input(struct pump *p);
void pump_on_output(struct pump *p);
/* Receiving: bytes of the run that have not come yet. */
uint64_t pump_to_come(const struct pump *p);
/* It is we who keep the peer waiting. */
bool pump_is_busy(const struct pump *p);
/* To be called when the transfer's READ or WRITE has ended. */
void pump_on_io(struct pump *p, enum ftx_rc rc);
/* Lets go of everything; idempotent. */
void pump_stop(struct pump *p);

#endif
