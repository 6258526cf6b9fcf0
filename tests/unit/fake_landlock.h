/*
 * fake_landlock.h - syscall(2), with a kernel that has an older Landlock or none. Linked into a
 * test it stands before the C library's; all else goes through.
 * Threads: orders are given while no other thread works.
 */
#ifndef UNIT_FAKE_LANDLOCK_H
#define UNIT_FAKE_LANDLOCK_H

#include <stdint.h>

struct fake_landlock {
	int version; /* what the kernel says; negative: it fails with that errno; 0: the truth */
	uint64_t asked[3]; /* what was asked for: files, network, scope */
};

extern struct fake_landlock fake_landlock;

/* What this kernel has; 0: none. */
int fake_landlock_version(void);
/* This process's permitted and effective capabilities, together. */
uint64_t fake_landlock_capabilities(void);

#endif
