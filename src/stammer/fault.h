/*
 * fault.h - the fault script: what goes wrong on a connection, and after how many bytes.
 * Layer: stammer. Pure. Threads: any.
 * Tests: tests/unit/test_stammer.c
 *
 * A fault point is a number of bytes sent on in one direction of one connection. No fragment runs
 * beyond the nearest one (fault_limit), so that each is met exactly (fault_due).
 */
#ifndef STAMMER_FAULT_H
#define STAMMER_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* A direction; each has its own byte count. */
enum way {
	WAY_UP,   /* client to server */
	WAY_DOWN, /* server to client */
	WAY_COUNT
};

/* In the order of who wins when several are due at the same byte. */
enum fault_kind {
	FAULT_NONE,
	FAULT_RESET, /* RST both ways */
	FAULT_CUT,   /* FIN both ways */
	FAULT_STALL, /* silence both ways, the connections stay */
	FAULT_KIND_COUNT
};

struct fault {
	bool on[WAY_COUNT]; /* which directions are counted; none: there is no such fault */
	uint64_t at;        /* bytes */
};

/* At most one fault of a kind. All zero: no faults. */
struct fault_script {
	struct fault of[FAULT_KIND_COUNT]; /* [FAULT_NONE] is unused */
};

/*
 * Reads `[up:|down:]BYTES`, plain decimal, into the script's fault of that kind, replacing one
 * that was there. Without a prefix either direction counts. FTX_USAGE, and the script as it was:
 * not of that form.
 */
enum ftx_rc fault_parse(
    struct fault_script *script, enum fault_kind kind, const char *text) FTX_MUST_CHECK;

/* How many more bytes may go that way before the next fault point; UINT64_MAX: there is none. */
uint64_t fault_limit(const struct fault_script *script, enum way way, uint64_t forwarded);

/* The fault that is due when `forwarded` bytes have gone that way, or FAULT_NONE. */
enum fault_kind fault_due(const struct fault_script *script, enum way way, uint64_t forwarded);

/* "cut", "reset", "stall"; "none". Never NULL. */
const char *fault_name(enum fault_kind kind);
/* "up", "down". Never NULL. */
const char *way_name(enum way way);

#endif
