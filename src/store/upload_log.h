/*
 * upload_log.h - what is known of uploads, in a file: a record for each change of one.
 * Layer: store. Threads: what touches the file may block (pool), one at a time on a log; the rest
 * any.
 * Tests: tests/unit/test_upload_log.c, tests/torture
 *
 * The file is a line of text and records, each with its length and a checksum. A record says all
 * that is known of an upload, so the last one of each counts. Records are added at the end; what a
 * crash left half written there ends the file for who reads it. Before it would grow without end it
 * is written anew, in one step.
 */
#ifndef STORE_UPLOAD_LOG_H
#define STORE_UPLOAD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/rc.h"
#include "store/meta.h"
#include "store/upload_key.h"

struct root;

/* The file in PATH_STATE_DIR, and what it is called while it is written anew. */
#define UPLOAD_LOG_NAME     "uploads"
#define UPLOAD_LOG_NEW_NAME "uploads.new"

#define UPLOAD_STAGE_SIZE 64 /* of a stage's name, with its NUL */

enum upload_state {
	UPLOAD_UNFINISHED = 1, /* there is a stage of that name */
	UPLOAD_READY,          /* it is durable, and may have been given its name since */
	UPLOAD_PUBLISHED,
	UPLOAD_FORGOTTEN, /* nothing is known of it any more */
	UPLOAD_NAMED      /* READY in the file; and it has its name, which may not be durable */
};

struct upload_record {
	struct upload_key key;
	enum upload_state state;
	uint8_t terms;      /* see struct upload_terms */
	uint64_t announced; /* size; UPLOAD_NO_SIZE: a stream */
	const char *name;   /* borrowed: where it shall stand; from a file not NUL-terminated */
	size_t name_len;
	char stage[UPLOAD_STAGE_SIZE]; /* beside the name; empty: it has none */
	uint64_t ino;                  /* READY: of the file, as what follows */
	bool unsynced;                 /* it was made durable by nobody */
	struct meta meta;              /* READY: size, mtime, digest; PUBLISHED: all */
	struct timespec time;          /* PUBLISHED: when */
	uint64_t used;                 /* seconds since 1970: when it was last worked on */
};

/* Adds the record's bytes to b. False: no memory, nothing was added. */
bool upload_record_encode(const struct upload_record *r, struct buf *b);
/*
 * The record at p, whose name points into it. Returns its length; 0: there is none, or it is
 * damaged.
 */
size_t upload_record_decode(const void *p, size_t len, struct upload_record *r);

struct upload_log {
	struct root *root; /* borrowed */
	int dir;           /* owned: the state directory; -1: it has not been needed yet */
	int fd;            /* owned: the file; -1: there is none */
	uint64_t size;     /* bytes of it that count */
	bool damaged;      /* nothing may be added: it must be written anew */
};

void upload_log_init(struct upload_log *log, struct root *root);
/*
 * Opens the file, if there is one, and hands each of its records out. FTX_NOMEM, FTX_IO, ...: it is
 * there and cannot be read.
 */
enum ftx_rc upload_log_read(struct upload_log *log,
    enum ftx_rc (*take)(void *arg, const struct upload_record *r), void *arg) FTX_MUST_CHECK;
/* Adds records; sync: and makes all of them durable. After a failure nothing was added. */
enum ftx_rc upload_log_append(
    struct upload_log *log, const void *p, size_t len, bool sync) FTX_MUST_CHECK;
/*
 * Whether what was added before all of the file system `dev` was made durable is so, too. After an
 * error nobody can say what is on the disk, and nothing may be added.
 */
bool upload_log_is_synced(struct upload_log *log, dev_t dev);
/* A file with these records takes the place of the one that there is, if any; it is durable. */
enum ftx_rc upload_log_rewrite(struct upload_log *log, const void *p, size_t len) FTX_MUST_CHECK;
/* Nothing is in it that is worth a file. */
void upload_log_remove(struct upload_log *log);
void upload_log_close(struct upload_log *log);

#endif
