/*
 * conn_private.h - what conn.c (bytes), conn_time.c (and when) and conn_end.c (the way out) share;
 * nobody else includes it.
 * Layer: net. Threads: the connection's worker.
 * Tests: see conn.h
 */
#ifndef NET_CONN_PRIVATE_H
#define NET_CONN_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "loop/worker.h"
#include "net/conn.h"

/* One read of messages a turn, so that no peer keeps the loop to itself. */
#define CONN_READ_MAX ((size_t)128 * 1024)

struct conn {
	struct grave grave;
	struct worker *worker; /* borrowed; outlives every conn */
	int fd;                /* owned; closed by the reaper */
	struct event reading;  /* there as long as somebody may want to know */
	struct event writing;  /* there while output waits for the kernel */
	struct buf in, out;
	struct timer timer; /* of conn_finish(), before it of conn_wait_got() */
	struct conn_limits limits;

	const struct conn_io *io; /* static */
	void *io_arg;             /* borrowed */
	void (*on_close)(void *arg, enum ftx_rc why);
	void *on_close_arg; /* borrowed: the conversation */
	void (*on_owner_close)(void *arg, enum ftx_rc why);
	void (*on_owner_gone)(void *arg); /* NULL: nobody wants to know */
	void *owner;                      /* borrowed */
	unsigned holds;                   /* conn_hold() */

	size_t input_max;
	size_t header; /* of the input so many bytes are read at a time; 0: as many as there are */
	bool bulk, paused;          /* conn_set_bulk_input(), and not conn_set_receiving() */
	bool local;                 /* conn_is_local() */
	bool tells_reads;           /* conn_tells_reads() */
	bool wants_got;             /* conn_wait_got() */
	uint8_t got_wait;           /* ms until it is looked again */
	bool wants_output;          /* somebody waits for on_output */
	enum ftx_rc output_failure; /* of a write; FTX_OK: none */
	bool failure_told;          /* as the peer's end, or it will be */
	bool reads_on;              /* conn_set_reads_on() */
	enum ftx_rc peer_end;
	bool closing, finishing, shut;
	bool reaped;     /* nothing but its memory is left */
	enum ftx_rc why; /* of the finish under way */
	uint64_t drained;
	uint64_t shut_at;  /* ms of the peer's clock */
	uint64_t rest_due; /* ms: by then the peer must have taken what it had been sent */
	uint64_t started;  /* ms */

	/* What has moved, bytes, and when it did last by the peer's clock. */
	uint64_t received, received_at;
	uint64_t sent;            /* handed to the kernel */
	uint64_t taken, taken_at; /* of it: by the peer, as was seen last */
	uint64_t got_bytes;       /* of it: conn_wait_got() */
	bool acknowledges;        /* TCP: the kernel can tell */
	bool sending;
	bool busy;
	uint64_t busy_since, busy_ms; /* ms; the latter is what earlier times add up to */

	uint64_t id;
	char peer[ADDR_TEXT_SIZE];
	const char *op; /* static; NULL: no request was understood */
	char *name;     /* owned; may be NULL */
	uint64_t content;
};

/* Starts or stops reading, after anything that it depends on has changed. */
void conn_update_reading(struct conn *c);
/* One read from the socket, counted. 0: none now, or no more: peer_end. */
size_t conn_read_socket(struct conn *c, void *p, size_t len);
/* What a call that reads has come to, by its result and errno: bytes; likewise. */
size_t conn_count_read(struct conn *c, ssize_t n);
/* What a call that sends has come to, by its result and errno: bytes. 0: none now, or it failed. */
size_t conn_count_taken(struct conn *c, ssize_t n);
/* Told later in this turn: who writes does not expect to lose the connection within the call. */
void conn_fail_output(struct conn *c, enum ftx_rc why);
/* Bytes have come, or left for the kernel. */
void conn_count_received(struct conn *c, size_t bytes);
void conn_count_sent(struct conn *c, size_t bytes);
/* Bytes of what was sent, our end not counted, that the peer has not acknowledged. */
uint64_t conn_untaken(const struct conn *c);
/* Of conn_finish(): the peer had its time. */
void conn_on_finish_deadline(void *arg);
/* Of conn_wait_got(). */
void conn_look_for_got(struct conn *c);
/* Frees all that there is; every member may be missing. */
void conn_reap(struct grave *g);

#endif
