/*
 * upload_key.h - by what an upload is known again: who sends it, and the number that was drawn for
 * it.
 * Layer: store. Pure.
 * Tests: tests/unit/test_uploads_claims.c
 */
#ifndef STORE_UPLOAD_KEY_H
#define STORE_UPLOAD_KEY_H

#include <stdbool.h>
#include <stdint.h>

#define UPLOAD_ID_SIZE   16
#define UPLOAD_USER_MAX  32 /* bytes of a user's name */
#define UPLOAD_NO_SIZE   UINT64_MAX
#define UPLOAD_ANONYMOUS "anonymous"

/* Compared as bytes: what is behind the user's name is zero. */
struct upload_key {
	uint8_t id[UPLOAD_ID_SIZE]; /* not to be logged: who knows it may go on with the upload */
	char user[UPLOAD_USER_MAX];
};

/* False: the name is too long. */
bool upload_key_set(struct upload_key *key, const char *user, const uint8_t id[UPLOAD_ID_SIZE]);

/* What else must be the same each time. */
struct upload_terms {
	struct upload_key key;
	uint64_t size;  /* that was announced; UPLOAD_NO_SIZE: a stream, which is never kept */
	uint8_t policy; /* a number of the caller's: what may be done to a file that is there */
	bool keep;      /* what an end in the middle leaves is kept for the next time */
};

#define UPLOAD_MARK_SIZE 16

/* A short word for all of that (but keep), for who keeps claims on names (core/registry.h). */
void upload_terms_mark(const struct upload_terms *terms, uint8_t mark[UPLOAD_MARK_SIZE]);

#endif
