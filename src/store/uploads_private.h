/*
 * uploads_private.h - what the files of the table of uploads share; nobody else includes it.
 * Layer: store. Threads: any, as each call says.
 * Tests: tests/unit/test_uploads.c
 */
#ifndef STORE_UPLOADS_PRIVATE_H
#define STORE_UPLOADS_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/hash.h"
#include "loop/worker.h"
#include "store/digest_trail.h"
#include "store/uploads.h"

/*
 * There may be many, and most are looked for in vain: each in the way costs a miss of the cache. So
 * they are spread over more buckets, one to four for each (16 bytes).
 */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

struct stat;

struct upload {
	UT_hash_handle hh;           /* by key */
	UT_hash_handle hh_stage;     /* by the stage's name, if it has one */
	TAILQ_ENTRY(upload) link;    /* by its use, the oldest first */
	struct upload_claim *owner;  /* borrowed; NULL: nobody works on it */
	struct upload_record record; /* its name is the one below */
	bool logged;                 /* the file has a record of it, or will */
	bool unlisted;               /* base/hash: a table had no memory to add it */
	struct space_hold hold;
	uint64_t
	    bytes; /* announced, if there is a stage; once it is parked: those that are there */
	dev_t dev; /* then: the file system where they are */
	struct meta_version stands;     /* its stage, after the last write */
	struct digest_trail *trail;     /* owned: of what its stage has; NULL: nothing is known */
	TAILQ_ENTRY(upload) trail_link; /* if there is one, by when it was marked */
	char name[];
};

TAILQ_HEAD(upload_list, upload);

/* Who wants to know that there is something. */
struct uploads_watch {
	struct mail mail;      /* the first member */
	struct worker *worker; /* borrowed; NULL: nobody does, or the mail is under way */
	void (*on_some)(void *arg);
	void *arg;
};

struct uploads {
	struct root *root; /* borrowed */

	pthread_mutex_t lock;      /* guards what follows; never held across a system call */
	struct upload *by_key;     /* owned */
	struct upload *by_stage;   /* the same ones */
	struct upload_list by_use; /* the same ones */
	struct upload_list trails; /* those of them that have a trail, and how many they are */
	unsigned trail_count;
	unsigned count;
	uint64_t live;      /* bytes that the records of all take */
	struct buf pending; /* records that are not in the file yet */
	bool incomplete;    /* one of them could not be noted for want of memory */
	uint64_t keep_seconds, keep_bytes;
	struct uploads_watch watch;

	pthread_mutex_t log_lock; /* guards what follows; taken before the other one */
	struct upload_log log;
	bool unsynced; /* the file's end is not known to be durable */
};

struct upload_claim {
	struct mail mail;        /* that it was taken */
	struct uploads *uploads; /* borrowed; outlives its claims */
	struct upload *upload;   /* borrowed; NULL: it is another's now, or forgotten */
	bool busy;               /* between enter and leave */
	unsigned entered;        /* how often it was: it gets on */
	bool taken;
	bool mailed;           /* the mail is under way, and frees it if it is released */
	bool released;         /* nobody wants to know any more */
	struct worker *worker; /* borrowed; NULL: nobody is told */
	void (*on_taken)(void *arg);
	void *arg;
};

/* It has its name, or had it. */
static inline bool
upload_has_name(const struct upload *up)
{
	return up->record.state == UPLOAD_PUBLISHED || up->record.state == UPLOAD_NAMED;
}

/* uploads_name.c: these block, and take no lock. */
bool uploads_is_that_file(const struct upload_record *r, const struct stat *st);
/*
 * If the name leads to the very file that was ready, that is made durable, and r says so.
 * FTX_NOT_FOUND: it does not; FTX_IO: who can tell; FTX_NOT_DURABLE: it could not be. (A file
 * system that could not write its log fails from then on: so a second fsync(2) of a directory that
 * ends well is to be believed.)
 */
enum ftx_rc uploads_settle_name(
    struct root *root, struct upload_record *r, int dir_fd, const char *leaf) FTX_MUST_CHECK;

/* The lock is held in these. */
struct upload *uploads_find(struct uploads *u, const struct upload_key *key);
/* NULL: no memory. */
struct upload *uploads_add(struct uploads *u, const struct upload_record *r);
bool uploads_set_stage(struct uploads *u, struct upload *up, const char *stage);
/* Takes it out of everything; it is the caller's. */
void uploads_take_out(struct uploads *u, struct upload *up);
void uploads_write_down(struct uploads *u, struct upload *up);
/* Blocks; without the lock. What is known is in the file, which is durable. */
enum ftx_rc uploads_sync(struct uploads *u) FTX_MUST_CHECK;
/* Something is known. */
void uploads_tell_watch(struct uploads *u);
/* Nothing is known of its content any more. */
void uploads_drop_trail(struct uploads *u, struct upload *up);

#endif
