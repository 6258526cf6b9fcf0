/*
 * digest_trail.h - the digests of a few beginnings of a content, noted while it moves.
 * Layer: store. Threads: one at a time on a trail. Never blocks.
 * Tests: tests/unit/test_digest_trail.c
 *
 * Who goes on with a broken transfer has to know the digest of all that came before. That of the
 * last mark before it is at hand, so that next to nothing is read again.
 */
#ifndef STORE_DIGEST_TRAIL_H
#define STORE_DIGEST_TRAIL_H

#include <stdint.h>

#include "store/digest.h"

/*
 * Bytes between two marks: what is read again at the most. And marks that are kept, the last ones:
 * they reach back over what sockets and disk caches of both ends may lose of what was moved.
 */
#define DIGEST_TRAIL_STEP  ((uint64_t)4 * 1024 * 1024)
#define DIGEST_TRAIL_MARKS 8

struct digest_trail;

/*
 * d is the digest of the first `at` bytes. Whether it is kept is for us to decide: for each step
 * one is, if there is memory. at going back is another content. *t is made when it is needed.
 */
void digest_trail_note(struct digest_trail **t, const struct digest *d, uint64_t at);
/*
 * A copy of the last mark that is not behind `upto`, to be gone on with from there; what is behind
 * it is forgotten. Returns of how many bytes it is; 0: there is none of that kind, and d is empty.
 */
uint64_t digest_trail_find(
    struct digest_trail *t, enum digest_kind kind, uint64_t upto, struct digest *d);
/* *t may be NULL, and is afterwards. */
void digest_trail_clear(struct digest_trail **t);

#endif
