/*
 * conn.h - a connection: its socket, buffers, who talks on it, and the one way it ends.
 * Layer: net. Threads: its worker's.
 * Tests: tests/pair/, tests/unit/test_conn.c, test_conn_bulk.c, test_conn_end.c, test_conn_time.c
 *
 * Messages go through two small buffers. What arrives is read by the connection itself, and stops
 * being read while as much waits there as the input may hold: that is the back-pressure on the
 * peer. Bytes that come before they are due stay in the input; so does the knowledge of the peer's
 * end. What is written goes to the kernel at once, or waits in the output.
 *
 * Content does not: while it is in bulk mode, its user (the pump) receives and sends by itself,
 * with memory of its own, and is told when there is something to be done.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "net/addr.h"

struct conn;
struct worker;

/* Limits of what the peer may take; 0 is none. Times are ms. */
struct conn_limits {
	uint64_t request_ms; /* for the whole handshake, by the peer's clock (conn_time.h) */
	uint64_t idle_ms;    /* nothing moved; likewise */
	uint64_t min_rate;   /* bytes a second, on average of a window (machine.h) */
	uint64_t close_ms;   /* how long a client waits for the close that confirms its upload */
};

/* Who hears of bytes: one at a time, a state machine or a pump. Both may close the connection. */
struct conn_io {
	void (*on_input)(void *arg);  /* there is more input, or the peer's end */
	void (*on_output)(void *arg); /* all output is with the kernel; or it would take more */
};

#define CONN_INPUT_SMALL ((size_t)4 * 1024) /* bytes kept of what is not due yet, in a handshake */

/* Drained after a refusal or an end, at most: what the peer still had under way. */
#define CONN_DRAIN_BYTES ((uint64_t)1024 * 1024)
#define CONN_DRAIN_MS    2000

/*
 * fd: a connected, non-blocking stream socket; the connection's from here on, also on failure. peer
 * may be NULL (a test's socketpair).
 */
enum ftx_rc conn_new(struct conn **out, struct worker *w, int fd, const struct addr *peer,
    const struct conn_limits *limits) FTX_MUST_CHECK;

/*
 * The conversation that runs on the connection: told of the end once (transfers to close, memory to
 * bury), before the owner. The owner is who made the connection and keeps count of it.
 */
void conn_set_conversation(struct conn *c, void (*on_close)(void *arg, enum ftx_rc why), void *arg);
void conn_set_owner(struct conn *c, void (*on_close)(void *arg, enum ftx_rc why), void *arg);
/*
 * Of the owner, too: it has ended, and nothing of it is open any more. At once, unless something
 * that outlives it counts as its own: a file that is being published, say.
 */
void conn_set_gone(struct conn *c, void (*on_gone)(void *arg));
/* There is such a thing, until conn_release(); conn is a struct conn. */
void conn_hold(struct conn *c);
void conn_release(void *conn);

/*
 * Who hears of bytes from now on (io static, arg borrowed); what is in the input already is not
 * announced again.
 */
void conn_set_io(struct conn *c, const struct conn_io *io, void *arg);
/* Whether it is the one with this arg. */
bool conn_has_io(const struct conn *c, const void *arg);

uint64_t conn_id(const struct conn *c);      /* from 1, in this process */
uint64_t conn_started(const struct conn *c); /* ms of base/clock */
struct worker *conn_worker(struct conn *c);
const struct conn_limits *conn_limits(const struct conn *c);

/*
 * For the one line that is logged at the end: what is done with which file (op static; name copied,
 * as it came: the line quotes it; NULL: with many), and that so many more bytes of content have
 * moved.
 */
void conn_describe(struct conn *c, const char *op, const char *name);
void conn_add_content(struct conn *c, uint64_t bytes);

/*
 * What has moved, in bytes: received, and taken by the peer of what was sent, as far as the kernel
 * can tell; and whether that was all. For who keeps deadlines of its own.
 */
struct conn_progress {
	uint64_t received, taken;
	bool all_taken;
};
struct conn_progress conn_progress(struct conn *c);

/* Input. */
size_t conn_input_length(const struct conn *c);
/* Moves exactly len bytes out; false, and nothing is moved, while there are fewer. */
bool conn_take(struct conn *c, void *buf, size_t len);
/* The same, and leaves them there. */
bool conn_peek(const struct conn *c, void *buf, size_t len);
/* The same in place, until something is taken or read. NULL when there is nothing. */
const uint8_t *conn_input(const struct conn *c);
/* The first len bytes go; at most as many as there are. */
void conn_skip(struct conn *c, size_t len);
/* Throws away all that is there. */
void conn_drop_input(struct conn *c);
/* While so many bytes wait in the input the peer is not read from. */
void conn_set_input_max(struct conn *c, size_t bytes);
/*
 * No more of the input is read at a time, so that content which stands behind a header can be read
 * to where it belongs. 0: as much as there is.
 */
void conn_set_header(struct conn *c, size_t bytes);
/* Reads what the kernel has now, up to the maximum, without telling anybody. */
void conn_read_now(struct conn *c);
/*
 * The peer will send no more: FTX_TRUNCATED after its FIN, FTX_RESET or another error; FTX_OK while
 * it may.
 */
enum ftx_rc conn_peer_end(const struct conn *c);

/*
 * Output: to the kernel, or queued without a bound. on_output follows, never within the call, as
 * soon as nothing is queued any more. FTX_NOMEM. A write that fails shows as the peer's end.
 */
enum ftx_rc conn_write(struct conn *c, const void *p, size_t len) FTX_MUST_CHECK;
size_t conn_output_length(const struct conn *c);

/*
 * On: when a write fails that is the peer's end only behind all that it had sent, however much that
 * is. Its owner reads all of it, whatever becomes of his output.
 */
void conn_set_reads_on(struct conn *c, bool reads_on);

/*
 * Bulk. On: the connection reads nothing by itself any more; on_input tells that there is something
 * to receive, again and again while there is, or that the peer has ended.
 */
void conn_set_bulk_input(struct conn *c, bool bulk);
/* Off: on_input tells nothing for a while (back-pressure). */
void conn_set_receiving(struct conn *c, bool receiving);
/*
 * Takes up to len bytes, those first that came before they were due. 0: there are none now, or no
 * more (conn_peer_end()). One system call at most.
 */
size_t conn_receive(struct conn *c, void *buf, size_t len);
/*
 * The same into a pipe, without a copy (splice(2)). *unable: not now, or not from this socket;
 * conn_receive() is the way.
 */
size_t conn_receive_pipe(struct conn *c, int pipe, size_t len, bool *unable);
/*
 * Hands up to len bytes to the kernel, in one system call; returns how many it took. 0: something
 * is queued, there is no room, or it failed, which on_input tells as the peer's end. more: others
 * follow at once, or the end does, and the kernel may wait for them (MSG_MORE, send(2)).
 */
size_t conn_send(struct conn *c, const void *buf, size_t len, bool more);
/*
 * Not more than about so many bytes shall wait in the kernel unsent, besides those of one call, so
 * that what a slow peer costs there is bounded (tcp(7), TCP_NOTSENT_LOWAT).
 */
void conn_set_unsent_max(struct conn *c, int bytes);
/*
 * The same from a file, without a copy (sendfile(2)): what is queued are the file's own pages, and
 * whoever writes to it until they are taken changes what is sent. *unable: not from this file.
 */
size_t conn_send_file(struct conn *c, int fd, uint64_t offset, size_t len, bool *unable);
/* on_output shall tell, once, that the kernel would take more. */
void conn_wait_output(struct conn *c);
/*
 * Likewise, with a delay of some ms, that the peer has got so many of the bytes sent in all: its
 * system has acknowledged them; or, with conn_tells_reads(), it has read them.
 */
void conn_wait_got(struct conn *c, uint64_t bytes);
bool conn_has_got(struct conn *c, uint64_t bytes);
/* Bytes that were handed to the kernel in all. */
uint64_t conn_sent(const struct conn *c);
/* Both ends are of this machine: what is sent is not copied until the peer reads it. */
bool conn_is_local(const struct conn *c);
/* Whether it can be told what the peer has read. Asks the kernel. */
bool conn_tells_reads(struct conn *c);

/*
 * On: the socket is reset (SO_LINGER {1, 0}) whatever closes it from here on, the kernel after a
 * kill or a crash included.
 */
void conn_set_abortive(struct conn *c, bool abortive);

/*
 * The way out that loses nothing: sends what is queued, shutdown(SHUT_WR), drains the peer for a
 * bounded while, closes. The conversation hears of the end then. `why` is what the log says.
 */
void conn_finish(struct conn *c, enum ftx_rc why);
/*
 * The one way out: idempotent, in any state, from any callback. Tells the conversation and the
 * owner, logs one line with reason=, and frees the rest at the end of the loop turn.
 */
void conn_close(struct conn *c, enum ftx_rc why);
/*
 * The same with a reset: the peer must not take what it got for whole. One that has been sent all
 * and the end (conn_finish()) keeps it.
 */
void conn_reset(struct conn *c, enum ftx_rc why);

#endif
