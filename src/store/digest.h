/*
 * digest.h - digests of content, fed piece by piece: what xxh128sum and sha256sum print.
 * Layer: store. Threads: any, one at a time on a digest. Never blocks, but for digest_start().
 * Tests: tests/unit/test_digest.c
 *
 * XXH3-128 (libxxhash, in its canonical form, which is big-endian) finds accidents, and costs next
 * to nothing. SHA-256 (OpenSSL's libcrypto) also holds against who makes files to deceive.
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

enum digest_kind {
	DIGEST_NONE, /* of nothing: takes all calls, and has no bytes */
	DIGEST_XXH128,
	DIGEST_SHA256,
	DIGEST_KINDS
};

#define DIGEST_MAX      32 /* bytes of the longest */
#define DIGEST_HEX_SIZE (2 * DIGEST_MAX + 1)

/* The result. All zero: none. */
struct digest_value {
	enum digest_kind kind;
	uint8_t bytes[DIGEST_MAX]; /* digest_size() of them */
};

/* One under way. All zero: none, as DIGEST_NONE. */
struct digest {
	enum digest_kind kind;
	void *state; /* owned: the library's */
};

/* "none", "xxh128", "sha256"; never NULL. */
const char *digest_name(enum digest_kind kind);
/* Bytes of its values; 0 for DIGEST_NONE. */
size_t digest_size(enum digest_kind kind);

/*
 * Once, while the program has one thread and may still open any file: libxxhash looks at the
 * processor, and libcrypto reads its configuration, before its first digest. FTX_NOMEM,
 * FTX_UNSUPPORTED: it has no SHA-256.
 */
enum ftx_rc digest_start(void) FTX_MUST_CHECK;

/*
 * FTX_NOMEM; FTX_UNSUPPORTED when there is no such kind here. On failure d is of DIGEST_NONE. It is
 * to be ended by digest_final() or digest_clear().
 */
enum ftx_rc digest_init(struct digest *d, enum digest_kind kind) FTX_MUST_CHECK;
/* After a failure (FTX_INTERNAL) there is nothing to be done with it but to clear it. */
enum ftx_rc digest_update(struct digest *d, const void *p, size_t len) FTX_MUST_CHECK;
/* Another one of the same bytes so far; each goes on by itself. `to` holds nothing before. */
enum ftx_rc digest_copy(struct digest *to, const struct digest *from) FTX_MUST_CHECK;
/* Ends d, whatever happens; what out says is true with FTX_OK only. */
enum ftx_rc digest_final(struct digest *d, struct digest_value *out) FTX_MUST_CHECK;
/* Gives up; idempotent. */
void digest_clear(struct digest *d);

/* All of it at once; for small content it costs less. */
enum ftx_rc digest_of(
    enum digest_kind kind, const void *p, size_t len, struct digest_value *out) FTX_MUST_CHECK;

/* Of the same kind, and equal. No value is equal to that of DIGEST_NONE. */
bool digest_equal(const struct digest_value *a, const struct digest_value *b);
/* In small letters, as the sum programs print it; empty for DIGEST_NONE. Returns hex. */
const char *digest_hex(const struct digest_value *v, char hex[DIGEST_HEX_SIZE]);

#endif
