/*
 * stored_digest.h - the digest of a published file, kept with it as an extended attribute.
 * Layer: store. Threads: every call may block (pool).
 * Tests: tests/unit/test_stored_digest.c
 *
 * The attribute says of which size and time of modification the file was then, and is believed only
 * while both are still so. It is there to spare reading the file, and is no proof: who may write to
 * the file may also write the attribute, or set the time back. Where it is missing, is anything
 * else, or does not fit any more, there is no digest; that is no error.
 *
 * Once a file is published nothing is written here: it would be a change of the file to those who
 * are reading it (reader.h).
 */
#ifndef STORE_STORED_DIGEST_H
#define STORE_STORED_DIGEST_H

#include <stdbool.h>

struct digest_value;
struct stat;

/*
 * Its value: 2, the version of this format (1 byte); the kind of digest, as in ftxfer-protocol(7)
 * (1); the file's size in bytes (8); its time of modification, seconds since 1970, which may be
 * negative (8), and nanoseconds (4); the digest (16 or 32). Numbers are in network order.
 */
#define STORED_DIGEST_XATTR "user.ftxferd.digest"

/*
 * Of an open file as it is now: its last write and its time were before. It must be writable by its
 * mode, too, not only through fd. False: this file has none, for whatever reason; DIGEST_NONE
 * writes none.
 */
bool stored_digest_write(int fd, const struct digest_value *v);
/* The same of a file that is like st. */
bool stored_digest_write_for(int fd, const struct stat *st, const struct digest_value *v);
/* st: what fstat(2) says of fd. False: there is none; *v is of DIGEST_NONE then. */
bool stored_digest_read(int fd, const struct stat *st, struct digest_value *v);

#endif
