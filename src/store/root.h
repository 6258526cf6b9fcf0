/*
 * root.h - a local directory as the root of a store: what all workers' stores on it share.
 * Layer: store. Threads: root_open(), root_close(), root_sweep() at start and end; the rest any.
 * Tests: tests/unit/test_root.c, test_root_sweep.c
 */
#ifndef STORE_ROOT_H
#define STORE_ROOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/rc.h"
#include "store/implied.h"
#include "store/space.h"

enum root_flag {
	/* A daemon's: flock(2) keeps others out, and its stage files can be swept. */
	ROOT_EXCLUSIVE = 1 << 0,
	/* What is published need not be durable: nothing of it is synced. */
	ROOT_NO_SYNC = 1 << 1,
	/* A client's: its loop serves one transfer, which may as well wait for the disk there. */
	ROOT_MAY_WAIT = 1 << 7,
	/* For tests, as if the system could not do it: */
	ROOT_NAMED_STAGE = 1 << 3,    /* O_TMPFILE */
	ROOT_NO_OPENAT2 = 1 << 4,     /* openat2(2) */
	ROOT_NO_RENAMEAT2 = 1 << 5,   /* RENAME_NOREPLACE */
	ROOT_NO_LINK_UNNAMED = 1 << 6 /* naming an O_TMPFILE file by link(2) */
};

struct uploads;

enum root_link_way {
	ROOT_LINK_UNKNOWN,
	ROOT_LINK_BY_FD,  /* link(2) with AT_EMPTY_PATH */
	ROOT_LINK_BY_PROC /* of what has a name in /proc */
};

struct root {
	int fd; /* owned: the directory, open for reading */
	unsigned flags;
	dev_t dev;           /* its file system's */
	bool in_memory;      /* root_is_memory() of that one */
	mode_t mode;         /* of published files that are to have no other, whatever the umask */
	uint64_t run;        /* this process's number, part of its stage files' names */
	struct space *space; /* owned */
	struct uploads *uploads; /* owned; NULL: no upload is known again */
	atomic_int link_way;     /* enum root_link_way: how unnamed files have got names */
	/* What was written to stages that are open may not be on the disk yet: bytes. */
	atomic_uint_fast64_t unsynced;
	/* And of that, what is about to be made durable together with others: not counted above. */
	atomic_uint_fast64_t together;
	/*
	 * Directories that are being made, and those that were made and could not be made durable.
	 * These count to the end: nobody keeps a list of which they are, and who publishes in one
	 * has to sync the directories above his file, whoever that is and however long after.
	 */
	atomic_uint making;
	struct implied implied;           /* directories whose mode is open yet */
	atomic_uint_fast64_t syncfs_next; /* ms of base/clock: not before then, see commit.c */
	atomic_size_t listed;             /* bytes that listings keep, or may keep: listing.h */

	pthread_mutex_t lock; /* guards what follows; held over a few system calls at most */
	uint64_t serial;      /* of the next stage file */
	dev_t unlinkable[8];  /* file systems that make unnamed files but cannot name them */
	unsigned unlinkables;
	dev_t parts_dev; /* the last directory that was looked through, see stage_part.c */
	ino_t parts_ino;
	bool marked;  /* there may be named stages of this run: the mark says so, too */
	bool left;    /* one of them could not be removed */
	bool unswept; /* there may be named stages of an earlier run */
	_Atomic uint64_t say_mark_next, say_unlinkable_next, say_names_next; /* log_is_due() */
};

/* The file in PATH_STATE_DIR that says: a run has made named stages, see root_needs_sweep(). */
#define ROOT_STATE_MARK "named-stages"

/*
 * Opens the directory at path. FTX_NOT_FOUND, FTX_NOT_REGULAR (no directory), FTX_ACCESS; with
 * ROOT_EXCLUSIVE FTX_LOCKED when another process has it. Creates nothing.
 */
enum ftx_rc root_open(
    struct root **out, const char *path, unsigned flags, mode_t mode) FTX_MUST_CHECK;
void root_close(struct root *r);

/*
 * Makes the entries of a directory durable, not what they name. EINVAL is not an error: "bound to a
 * special file which does not support synchronization" (fsync(2)), as a directory may be on a file
 * system that makes each change of it durable by itself.
 */
enum ftx_rc root_sync_dir(int fd) FTX_MUST_CHECK;
/* The same for a change that somebody is to be told of; with ROOT_NO_SYNC nothing is done. */
enum ftx_rc root_sync_names(const struct root *r, int fd) FTX_MUST_CHECK;
/*
 * An error in writing this file, since it was opened, that nobody has been told of through this
 * descriptor: for what was made durable by syncfs(2), which tells one of its callers, who need not
 * have the file in hand, or nobody (before Linux 5.8).
 */
enum ftx_rc root_look_for_error(int fd);
/* For the errno of a failed fsync(2): some file systems look for space only then (NFS, quotas). */
enum ftx_rc root_not_durable(int err);

/*
 * The file system of the open file fd, which is dev, keeps what is written to it in memory (tmpfs,
 * ramfs), so that no read or write waits for a device. (Where memory is short such content is
 * swapped out, like any memory of ours.)
 */
bool root_is_memory(const struct root *r, int fd, dev_t dev);

static inline bool
root_syncs(const struct root *r)
{
	return (r->flags & ROOT_NO_SYNC) == 0;
}

/* What path_open_parent() is to be told about this root. */
unsigned root_path_flags(const struct root *r);

/*
 * A name for a stage file (size bytes), never given out twice. FTX_NO_SPACE, FTX_IO when the mark
 * that makes it findable after a crash cannot be made durable.
 */
enum ftx_rc root_stage_name(struct root *r, char *name, size_t size) FTX_MUST_CHECK;

/* There are stage files with a name, of an earlier run: the mark says so from here on. */
enum ftx_rc root_mark(struct root *r) FTX_MUST_CHECK;

/*
 * What stage_publish() has learned: this file system makes unnamed files but cannot name them.
 * There is room for a few; of one more it is learned anew each time. why: an errno value, logged.
 */
void root_set_unlinkable(struct root *r, dev_t dev, int why);
bool root_knows_unlinkable(struct root *r, dev_t dev);

/*
 * A stage file of this run could not be removed, or not for good: the mark stays, and the next
 * start tries again.
 */
void root_set_left(struct root *r);

/* A mark of an earlier run stood at the start: stage files of it may be lying about. */
bool root_needs_sweep(const struct root *r);
/*
 * A daemon's, once its space has its limit: what is known of uploads (store/uploads.h) is read, and
 * kept from here on.
 */
enum ftx_rc root_keep_uploads(struct root *r) FTX_MUST_CHECK;

/*
 * Removes the stage files of earlier runs, in all directories, and then their mark. path: the
 * root's, absolute. Blocks (long: it walks the tree); the daemon serves meanwhile, for its own
 * stage files bear its own number. *removed counts them. *stop ends it early. On failure the mark
 * stays, and the next start tries again.
 */
enum ftx_rc root_sweep(
    struct root *r, const char *path, const atomic_bool *stop, unsigned *removed) FTX_MUST_CHECK;

#endif
