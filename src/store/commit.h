/*
 * commit.h - files that are ready at the same time are made durable and published together.
 * Layer: store. Threads: commit_all() blocks (pool); any number of them at a time, each on files of
 * its own.
 * Tests: tests/unit/test_commit.c, tests/torture
 *
 * Each file goes through the steps of stage_publish(), but a step is made for all before the next
 * one begins: contents, by one syncfs(2) for a file system on which enough of them wait; names;
 * then each directory once, however many of the files stand in it. What becomes of one file does
 * not touch the others, but for a directory that cannot be synced: that fails all that were
 * published in it. What is known of uploads is written before that syncfs(2), which makes it
 * durable with the contents. So a crash may leave a record of one that is ready and is not: it has
 * no name, and so it counts for nothing.
 */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/rc.h"

struct root;
struct stage;

/*
 * A file of that size (bytes) may have company. A larger one would keep the others waiting, and is
 * written out by itself about as fast.
 */
#define COMMIT_SMALL_MAX ((uint64_t)256 * 1024)
/*
 * How many threads commit small files: with more, fewer would go together, and take as long. And
 * how many go together, at least and at most.
 */
#define COMMIT_THREADS   3
#define COMMIT_BATCH_MIN 4
#define COMMIT_BATCH_MAX 128

/* One file's; embedded in what outlives it. The caller fills what is above the line. */
struct commit {
	STAILQ_ENTRY(commit) link;
	struct stage *stage;          /* borrowed; empty afterwards */
	const atomic_bool *cancelled; /* borrowed */
	bool sound;                   /* commit_is_sound() */
	/* ---- */
	enum ftx_rc rc; /* how it ended, as stage_publish() says */
	bool alone;     /* its content is to be synced by itself */
	bool synced;    /* its content is durable, or need not be */
	bool named;     /* it has its name, whose directory is to be synced */
	bool recorded;  /* what is known of its upload is durable */
	dev_t dev;      /* of the content */
};

STAILQ_HEAD(commit_list, commit);

/*
 * Whether syncfs(2) is as good as fsync(2) on this file's file system. On those that we know it of
 * write(2) tells, too, whether there is room (local_whole.c). May block (pool).
 */
bool commit_is_sound(int fd);
/*
 * Whether a file of that size (bytes) may be given to commit_all() with others, now; sound: as of
 * struct commit. Not while much content of others waits to be written, which syncfs(2) would write,
 * too: by themselves, on as many threads as there are, they are done sooner then.
 */
bool commit_may_join(const struct root *r, bool sound, uint64_t size);
/* All of the list; its length is COMMIT_BATCH_MAX at most. */
void commit_all(struct commit_list *list);

#endif
