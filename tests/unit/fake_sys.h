/*
 * fake_sys.h - system calls of the store that a test watches and lets fail. Linked into a test they
 * stand before the C library's; what is not told otherwise goes through.
 * Threads: any, but the orders are given while no other thread works.
 */
#ifndef UNIT_FAKE_SYS_H
#define UNIT_FAKE_SYS_H

#include <fts.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Orders. An errno value is what the call fails with; 0: it does not. */
struct fake_orders {
	int fsync_file, fsync_dir; /* fsync(2) of a file, of a directory */
	int syncfs;                /* syncfs(2) */
	long fs_type;              /* what fstatfs(2) says of all file systems; 0: the truth */
	ino_t bad_file;            /* it could not be written back: sync_file_range(2) says so */
	int link, rename;          /* linkat(2); renameat(2) and renameat2(2) */
	bool no_link_by_fd;        /* linkat(2) with AT_EMPTY_PATH: ENOENT */
	int mkdir, unlink;         /* mkdirat(2), unlinkat(2) */
	bool unlink_once;          /* only the next unlinkat(2) fails */
	size_t io_max;             /* bytes that one pwritev(2) or preadv(2) moves; 0: all */
	bool io_interrupted;       /* every other one of those is interrupted: EINTR */
	int write;                 /* pwritev(2): */
	unsigned write_times;      /* so often; 0: always */
	int splice;                /* splice(2) */
	int futimens;              /* futimens(3) */
	int fsetxattr, fgetxattr;
	int readdir, fstatat; /* the latter after so many that do not fail: */
	unsigned fstatat_skip;
	/* What readdir(3) finds, in this order, until NULL; NULL: the truth. */
	char *const *found_names;
	bool no_direct;            /* pwritev(2) with O_DIRECT: EINVAL */
	bool no_fallocate;         /* fallocate(2) is not supported */
	uint64_t free_bytes;       /* what fstatvfs(3) says is free; 0: the truth */
	void (*before_link)(void); /* called in linkat(2), renameat(2), renameat2(2) */
	void (*after_mkdir)(void); /* mkdirat(2) has made it */
	void (*before_fsync)(void);
	void (*before_syncfs)(void);
	void (*found)(FTSENT *e); /* called with what fts_read(3) returns, which it may change */
};

extern struct fake_orders fake_orders;

/*
 * A tick of the clock that files have their times from begins. It ends when the program has looked
 * at that clock so many times.
 */
void fake_tick(int looks);
/* That clock is so many seconds behind; and how often the program has looked at it. */
void fake_set_back(int seconds);
int fake_looks(void);

/*
 * What happened since fake_watch(), in steps counted from 1; 0: it did not happen. `leaf` is the
 * name that fake_named() is about.
 */
void fake_watch(const char *leaf);
int fake_named(void);       /* a file or directory got that name, or lost it */
int fake_attrs(void);       /* a file got a time or an attribute for the last time */
int fake_syncfs(void);      /* all was made durable for the last time */
int fake_synced(ino_t ino); /* this file or directory was made durable for the last time */

/* How often since then. */
struct fake_counts {
	unsigned fsync_file, fsync_dir, syncfs;
};

struct fake_counts fake_count(void);

#endif
