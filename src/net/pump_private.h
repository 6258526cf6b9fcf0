/*
 * pump_private.h - what pump.c, pump_receive.c and pump_send.c share; nobody else includes it.
 * Layer: net. Threads: the connection's worker.
 * Tests: see pump.h
 */
#ifndef NET_PUMP_PRIVATE_H
#define NET_PUMP_PRIVATE_H

#include "net/pump.h"

/* Bytes moved by one call on the loop: they fit a processor core's own cache, twice. */
#define PUMP_PIECE ((size_t)256 * 1024)

static inline size_t
least(size_t a, uint64_t b)
{
	return b < a ? (size_t)b : a;
}

struct chunk_cache *pump_chunks(const struct pump *p);
void pump_give_back(const struct pump *p, struct chunk *chunk);
/*
 * Bytes of one step, after which it is somebody else's turn: what is moved by a call, or what is
 * worth a notice of the kernel's, where there is no queue.
 */
#define STEP_SIZE       PUMP_PIECE
#define STEP_SIZE_ALONE (4 * PUMP_PIECE)

size_t pump_step_size(const struct pump *p);
/* There is more to do than a step: its next one gets in the queue. False: there is none. */
bool pump_again(struct pump *p);
/* Bytes of this run, or of all, not written or sent yet, nor under way to the store. */
uint64_t pump_left(const struct pump *p);
uint64_t pump_left_in_all(const struct pump *p);
void pump_set_busy(struct pump *p, bool busy);
/* To its owner, if that wants to see them. */
void pump_show_bytes(struct pump *p, const void *bytes, size_t len);
/* For the log line, the counters and who shows progress. */
void pump_note_moved(struct pump *p);

void pump_init(struct pump *p, const struct pump_ends *ends, bool sending);
void pump_start(struct pump *p);
/* The ends: by the peer, by the store or for want of memory, or as it should. */
void pump_fail(struct pump *p, enum ftx_rc why);
void pump_fail_here(struct pump *p, enum ftx_rc why);
void pump_end(struct pump *p);

/* Receiving, between two runs: what is there is written, if it is enough. */
void pump_write_on(struct pump *p);
/* Receiving: whether by the worker's pipe. */
void pump_choose_pipe(struct pump *p);
/* There may be something to do. */
void pump_receive_step(struct pump *p);
void pump_send_step(struct pump *p);

#endif
