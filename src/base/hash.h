/*
 * hash.h - uthash(3)'s tables, with a function whose values nobody outside can know.
 * Layer: base. Threads: hash_start() any; a table has its owner's lock.
 * Tests: tests/unit/test_hash.c
 *
 * The keys of our tables come from peers: names, addresses, numbers of uploads. Who can tell where
 * a key will stand chooses thousands that stand in one place, and then each look-up walks past all
 * of them, with a lock held. So keys are hashed together with a secret that each process draws.
 *
 * Included instead of uthash.h. Who makes a table calls hash_start() before. What is added has a
 * member `bool unlisted`: when a malloc inside of the table fails, it is left out, and marked.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>

#include "base/rc.h"

/* Draws the secret, unless that is done; on failure the next call tries again. */
enum ftx_rc hash_start(void) FTX_MUST_CHECK;
/* After hash_start(); the same in all of the process, and in no other one. */
unsigned hash_bytes(const void *p, size_t len);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_bytes((keyptr), (keylen)))
#define HASH_NONFATAL_OOM                    1
#define uthash_nonfatal_oom(e)               ((e)->unlisted = true)
#include <uthash.h>

#endif
