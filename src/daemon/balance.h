/*
 * balance.h - whether a worker that has accepted a connection leaves it to another one.
 * Layer: daemon. Threads: its worker's.
 * Tests: tests/unit/test_balance.c, tests/system/test_workers.py
 *
 * The kernel deals connections out by chance, and each stays where its first byte was read: of
 * eight long ones, six may share a processor. So whoever has more than another hands the next one
 * over. That costs more than serving a short one, and nobody knows yet which will be short. So it
 * is done for so many in a row, which is enough to even out hundreds that stay, and then for so
 * many a second; beyond that only where the difference is gross.
 */
#ifndef DAEMON_BALANCE_H
#define DAEMON_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCE_BURST  64 /* in a row */
#define BALANCE_RATE   64 /* a second */
#define BALANCE_FACTOR 2  /* a gross difference: so many times as many... */
#define BALANCE_MORE   8  /* ...and so many more */

/* Zeroed, it may hand over as many as in a row. */
struct balance {
	uint64_t spent;   /* of the burst, in thousandths */
	uint64_t counted; /* ms of base/clock: up to when it has been paid back */
};

/* own: the connections that this worker has; least: those of the one with the fewest. */
bool balance_hand_over(struct balance *b, size_t own, size_t least, uint64_t now);

#endif
