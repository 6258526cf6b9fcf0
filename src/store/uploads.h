/*
 * uploads.h - the uploads that are known by their keys: under way, kept unfinished, published.
 * Layer: store. Threads: any. What says so blocks (pool); the rest takes a lock that nobody holds
 * across a system call, and may be called on a loop.
 * Tests: tests/unit/test_uploads.c, test_uploads_limits.c, test_uploads_claims.c, tests/torture
 *
 * Whoever works on an upload has its claim. Another one with the same key takes it over: from then
 * on the old claim lets nobody write or publish (uploads_enter()), and what is under way by it is
 * waited for, by coming back. The table is kept in a file (store/upload_log.h), so that it outlives
 * this process.
 *
 * The order of a commit: content and attributes are durable; the record says READY, with the
 * file's inode, and is durable; the file gets its name; its directory is durable; the record says
 * PUBLISHED. Of a record that says READY the next start looks whether the name leads to that very
 * file: so a crash anywhere leaves no doubt. That it was PUBLISHED is durable before the name is
 * given to anything else, or taken away, by us (uploads_settle()).
 */
#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rc.h"
#include "store/meta.h"
#include "store/space.h"
#include "store/upload_key.h"
#include "store/upload_log.h"

struct root;
struct stat;
struct upload_claim;
struct uploads;
struct worker;

/* At most so many are known at a time: the oldest are forgotten, finished or not. */
#define UPLOADS_MAX 262144

/*
 * Blocks. Reads what earlier runs knew, and finds out what became of it. FTX_NOMEM, FTX_IO, ...
 */
enum ftx_rc uploads_open(struct uploads **out, struct root *r) FTX_MUST_CHECK;
/* Blocks. All claims must have been released. False: what is known may not be durable. */
bool uploads_close(struct uploads *u);
/* Seconds that nobody worked on it, after which one is forgotten; bytes that those have. */
void uploads_set_limits(struct uploads *u, uint64_t seconds, uint64_t bytes);

/* What who wants an upload knows of the one who works on it; all zero at first. */
struct uploads_patience {
	const struct upload_claim *owner; /* only compared; NULL: nobody was seen yet */
	unsigned entered;
	uint64_t since, quiet_since; /* ms of base/clock */
};

/* After so many ms it is worth being called again. */
#define UPLOADS_LOOK_MS 20

/*
 * Claims an upload. *out == NULL with FTX_OK: there is one with that key, and it is another one.
 * FTX_BUSY: it has an owner, who has time for what he is in the middle of, and a second while he
 * gets on; to be called again later, with the same *p. An owner that loses it has on_taken(arg)
 * called, once, on its worker, unless it has released its claim by then. *out is a new claim;
 * uploads_look() says what there is.
 */
enum ftx_rc uploads_claim(struct uploads *u, const struct upload_terms *terms, const char *name,
    struct uploads_patience *p, struct upload_claim **out) FTX_MUST_CHECK;
void uploads_on_taken(
    struct upload_claim *c, struct worker *w, void (*on_taken)(void *), void *arg);
/* What is known of it: state, stage, meta, time; no name. False: nothing, it was taken over. */
bool uploads_look(struct upload_claim *c, struct upload_record *r);
/*
 * Around all that writes or publishes; NULL is allowed, and never taken. False: the claim has been
 * taken over, and nothing is to be done, nor left.
 */
bool uploads_enter(struct upload_claim *c);
void uploads_leave(struct upload_claim *c);
/* The promise of its space goes with the upload, not with the claim. */
void uploads_give_hold(struct upload_claim *c, struct space_hold *hold);
void uploads_written(struct upload_claim *c, size_t bytes);
void uploads_take_hold(struct upload_claim *c, struct space_hold *hold);
/*
 * Its stage is like that, nothing is allocated behind its end, and nobody will work on it: it holds
 * as much, and counts that much of what may be kept.
 */
void uploads_parked(struct upload_claim *c, const struct stat *st);

/*
 * d is the digest of the first `at` bytes of it, which have been or will be written before it is
 * parked: kept in memory, for who goes on with it (digest_trail.h). NULL: nothing is known any
 * more. uploads_find_mark() is digest_trail_find().
 */
void uploads_mark(struct upload_claim *c, const struct digest *d, uint64_t at);
/* Its stage is this after a write; no mark of it holds if it is not that any more. */
void uploads_stands(struct upload_claim *c, const struct meta_version *v);
void uploads_check(struct upload_claim *c, const struct meta_version *v);
uint64_t uploads_find_mark(
    struct upload_claim *c, enum digest_kind kind, uint64_t upto, struct digest *d);

/* Blocks. The stage has that name from here on, and it is known after this process's end, too. */
enum ftx_rc uploads_staged(struct upload_claim *c, const char *stage) FTX_MUST_CHECK;
/* It is about to be published; to be made durable by uploads_settle(). FTX_NOMEM. */
enum ftx_rc uploads_ready(struct upload_claim *c, const struct meta *m, ino_t ino) FTX_MUST_CHECK;
/* It is published, as m says. */
void uploads_published(struct upload_claim *c, const struct meta *m);
/*
 * It has its name, but its directory could not be synced: so this process knows, and another one
 * will find out.
 */
void uploads_named(struct upload_claim *c);
/*
 * Blocks. Of one that has its name: makes that durable, and it is published; or it is another
 * file's by now. r: what is known of it. FTX_NOT_DURABLE: it could not be.
 */
enum ftx_rc uploads_sync_name(
    struct upload_claim *c, const char *name, struct upload_record *r) FTX_MUST_CHECK;
/* Blocks. Makes durable what is known; with ROOT_NO_SYNC it is only written. */
enum ftx_rc uploads_settle(struct uploads *u) FTX_MUST_CHECK;
/* Blocks. Writes it to its file, which somebody else makes durable. After a failure settle it. */
enum ftx_rc uploads_write(struct uploads *u) FTX_MUST_CHECK;
/*
 * Blocks. After that, and after all of the file system `dev` has been made durable. False: what was
 * written is not known to be; settle it.
 */
bool uploads_are_durable(struct uploads *u, dev_t dev);
/* Blocks. Writes it down, for the case that only this process ends. */
void uploads_note(struct uploads *u);
/*
 * Blocks. Nothing is known of it any more, as long as it has not its name. True: what there is of
 * it is the caller's to remove; false: it is another's, or published.
 */
bool uploads_forget(struct upload_claim *c);
/* NULL is allowed. What is unfinished and has a stage stays known. */
void uploads_release(struct upload_claim *c);

/* Blocks. The stage beside that name goes; nothing is known of it any more. */
void uploads_remove_stage(struct root *root, const char *name, const char *stage);

/* How many are known. */
unsigned uploads_count(struct uploads *u);
/*
 * on_some(arg) is called, once, on that worker, as soon as any is known. Not before the last one
 * that was asked for has been called; the worker outlives all that claims.
 */
void uploads_watch(struct uploads *u, struct worker *w, void (*on_some)(void *), void *arg);
/* A stage of that name belongs to an upload that is known. */
bool uploads_keep(struct uploads *u, const char *stage);
/* Blocks. Forgets and removes what is older than the limits allow. now: seconds since 1970. */
void uploads_expire(struct uploads *u, uint64_t now);
/*
 * Blocks. Likewise all unfinished ones in that directory that nobody works on. False: there were
 * none.
 */
bool uploads_empty_directory(struct uploads *u, const char *dir);
/*
 * Blocks. Likewise the oldest unfinished ones that nobody works on and that have what is lacking,
 * until they have had that much. False: all of them together have not, and stay.
 */
bool uploads_make_room(struct uploads *u, const struct space_lack *lack);

#endif
