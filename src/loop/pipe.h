/*
 * pipe.h - a worker's pipe, through which content passes from a socket to a file without having
 * been in our memory (splice(2)).
 * Layer: loop. Threads: its worker's.
 * Tests: tests/unit/test_pipe.c
 *
 * It is empty whenever nobody is using it: who fills it empties it in the same callback, or closes
 * it. So one serves all connections of a worker. More would not do: an unprivileged user may have
 * 64 of this size (pipe(7), pipe-user-pages-soft).
 */
#ifndef LOOP_PIPE_H
#define LOOP_PIPE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes, of full pages: those of a socket are not always. */
#define PIPE_SIZE ((size_t)1024 * 1024)

/* Embedded in the worker; all zero: closed. */
struct content_pipe {
	bool open;
	bool unable; /* there is none to be had: not asked for again */
	int out, in; /* owned, while open: what is written to `in` is read from `out` */
};

/* Makes it if need be. False: there is none. */
bool pipe_open(struct content_pipe *p);
/* Moves exactly len bytes, which are in it, to memory. False: they were not. */
bool pipe_take(struct content_pipe *p, void *buf, size_t len);
/* What is in it is gone. Idempotent. */
void pipe_close(struct content_pipe *p);

#endif
