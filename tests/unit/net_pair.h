/*
 * net_pair.h - a connection and its peer: the one is a struct conn on a worker, the other a bare
 * socket in the test's hand. Needs a running worker (net_setup()).
 */
#ifndef UNIT_NET_PAIR_H
#define UNIT_NET_PAIR_H

#include "loop/worker.h"
#include "net/conn.h"
#include "unit/unit.h"

/* What the connection's owner and conversation heard. */
struct heard {
	int inputs, outputs;    /* notices */
	int ends;               /* the conversation's on_close */
	int owner_ends;         /* the owner's, which must come after it */
	enum ftx_rc why;        /* of the conversation's end */
	struct conn *close_on;  /* closed (FTX_CANCELLED) in the next notice */
	struct conn *finish_on; /* likewise finished */
};

extern struct worker *worker;
extern struct conn *conn; /* NULL once it has closed */
extern int peer;          /* non-blocking; -1: closed */
extern struct heard heard;
extern struct conn_limits limits; /* of the next connection: none, before a test says so */

void net_setup(void);    /* a worker; the clock stands still; log lines are kept */
void net_teardown(void); /* closes both sides, and looks that nothing is left */

/* Connects the two: by socketpair(2), or by TCP on the loopback. */
void pair_unix(void);
void pair_tcp(void);
/* A TCP connection without a struct conn: its two ends, non-blocking. */
void tcp_ends(int ends[2]);

/* Some turns of the loop, with time between them for the kernel. */
void turns(int count);
/* Sends all of it, turning the loop while the peer's output is full. */
void peer_send(const void *p, size_t len);
/* Sends as much as goes at once; how much. */
size_t peer_send_some(const void *p, size_t len);
/* The next len bytes that arrive at the peer are these. */
void peer_gets(const void *p, size_t len);
/* What comes next there, after turns: 0 an orderly end, ECONNRESET, EAGAIN nothing, -1 a byte. */
int peer_next(void);
/* The peer closes; abruptly: by a reset. */
void peer_close(bool abruptly);

#endif
