/*
 * session.h - what the fuzzer of sessions has played, for session_check.c to judge.
 */
#ifndef FUZZ_SESSION_H
#define FUZZ_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/check.h"
#include "pair/pair_stage.h"

/* Which half is played against; daemon: the first byte of the peer chooses the server's. */
enum play_half {
	PLAY_DAEMON,
	PLAY_SERVER_UPLOAD,
	PLAY_SERVER_DOWNLOAD,
	PLAY_CLIENT_UPLOAD,
	PLAY_CLIENT_DOWNLOAD,
	PLAY_HALVES
};

#define PLAY_PEERS 3             /* connections to the daemon in one play */
#define PLAY_BYTES (1024 * 1024) /* the most that is sent or kept of one peer */

/* Contents, by number: what a peer of the daemon sends by itself is its place among the peers. */
#define CONTENT_FOUND    7 /* of files that were there before */
#define CONTENT_REPLACED 8 /* of what was put in their place */
#define CONTENT_LOCAL    9 /* of a client's local file */

/* The script's end of a connection. */
struct peer {
	int fd;        /* -1: closed */
	bool shut;     /* it has closed its side */
	bool left;     /* it was closed by the script: what came later was not heard */
	bool excess;   /* its last byte of content left together with one too many */
	bool abortive; /* the half's end: SO_LINGER was on when it was set last, so a reset */
	size_t sent_len, got_len;
	uint8_t sent[PLAY_BYTES], got[PLAY_BYTES];
};

struct play {
	enum play_half half;
	struct pair_stage st;
	struct peer *peers; /* borrowed: `count` that were there */
	unsigned count;
	uint64_t local_size; /* of the client's local file, content CONTENT_LOCAL */
	bool unsynced;   /* a directory could not be made durable: the mark of stages may stay */
	bool removed[2]; /* old, dir/old: the name may be a peer's now */
	bool replaces;   /* a client's download: its local file is there before */
};

#define PLAY_FREE_BYTES 1000000 /* what the file system says it has */

#define PLAY_REMOTE "remote.txt"
#define PLAY_LOCAL  "local"

static inline bool
play_is_client(const struct play *play)
{
	return play->half == PLAY_CLIENT_UPLOAD || play->half == PLAY_CLIENT_DOWNLOAD;
}

/*
 * What the peer does: says some bytes; a request for names[k >> 1], a download when k is odd; a
 * size, k itself below 128, else one of a table; content, see content_length(); a letter of four,
 * or k. What the socket does not take is not sent.
 */
void peer_send(const struct play *play, struct peer *p, const void *bytes, size_t len);
void peer_send_request(const struct play *play, struct peer *p, uint8_t k);
void peer_send_size(const struct play *play, struct peer *p, uint8_t k, bool with_letter);
void peer_send_content(struct play *play, struct peer *p, uint8_t k);
void peer_send_letter(const struct play *play, struct peer *p, uint8_t k);
/* Hears up to len bytes; all that there is to come. */
bool peer_get(struct peer *p, size_t len);
void peer_get_all(struct play *play, struct peer *p);

/* What stands in the root from the start. */
void play_make_files(const struct play *play);
/* Somebody else works in the root: which file, and what becomes of it, are in k. */
void play_change_file(struct play *play, uint8_t k);
/* The next start of a daemon whose mark of stages had to stay: it must find none. */
void play_sweep(const struct play *play);
/* A call of the store fails from here on; none does when the lowest three bits are 0. */
void play_let_fail(struct play *play, uint8_t k);

/* Writes bytes [from, from + len) of a content to p. */
void content_fill(unsigned content, uint64_t from, uint8_t *p, size_t len);
/* p[0..len) is the beginning of a content. */
bool content_is(unsigned content, const uint8_t *p, size_t len);

/* The size that an upload's peer has announced, or a download's server; false: not yet. */
bool play_announced(const struct play *play, const struct peer *p, uint64_t *size, size_t *head);

/*
 * Once everything has ended, and before the directory is removed: what each peer heard is what the
 * protocol allows, and each name in the root is whole, and somebody's. Aborts when not.
 */
void session_check(const struct play *play);

#endif
