/*
 * forward.h - one direction of a connection: a bounded buffer that is emptied in random fragments.
 * Layer: stammer. No events: each call does one read or one write on a non-blocking socket.
 * Threads: the loop's. Tests: tests/unit/test_stammer.c, tests/fuzz/fuzz_forward.c
 */
#ifndef STAMMER_FORWARD_H
#define STAMMER_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "stammer/latency.h"
#include "stammer/random.h"

/* Embedded in a connection; forward_init() to forward_clear(). All zero is legal to clear. */
struct forward {
	/* Owned, size bytes; `used` of them wait, from `head` on and wrapping. */
	unsigned char *ring;
	size_t size, head, used;
	size_t fragment; /* still to be sent of the fragment in hand; 0: draw the next */
	struct random random;
	struct latency latency; /* of the bytes at the end of what waits */
	uint64_t forwarded;     /* bytes sent on */
	bool ended;             /* the source's FIN has been read */
};

enum forward_result {
	FORWARD_MOVED,   /* some bytes */
	FORWARD_BLOCKED, /* the socket has none, or takes none, now */
	FORWARD_END,     /* read: the source has finished; sets ended */
	FORWARD_ERROR    /* errno says which */
};

/* size: the buffer, 1 to UINT32_MAX bytes. latency: ms. FTX_NOMEM. */
enum ftx_rc forward_init(struct forward *f, size_t size, uint64_t latency, uint64_t seed,
    uint64_t stream) FTX_MUST_CHECK;
void forward_clear(struct forward *f);

/* Free bytes in the buffer. */
size_t forward_room(const struct forward *f);
/* Bytes that have been on their way for long enough to be sent on. */
size_t forward_ready(struct forward *f);
/* All was sent on, and the source's end may be. */
bool forward_is_over(struct forward *f);

/* Reads once into the free room, of which there must be some. */
enum forward_result forward_read(struct forward *f, int fd) FTX_MUST_CHECK;

/*
 * Sends once from the front, where something must be ready: at most `limit` bytes (not 0), and no
 * more than is left of the fragment in hand. A new fragment is 1 to all of what is ready; one
 * that the socket did not take whole is continued.
 */
enum forward_result forward_send(struct forward *f, int fd, uint64_t limit) FTX_MUST_CHECK;

#endif
