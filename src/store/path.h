/*
 * path.h - names of files, and the jail they are resolved in.
 * Layer: store. Threads: any (what opens may block: pool). Pure: path_fault(),
 * path_component_fault(), path_component_is_allowed(), path_normalize(), path_is_reserved().
 * Tests: tests/unit/test_path.c, tests/fuzz/fuzz_path.c
 */
#ifndef STORE_PATH_H
#define STORE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

#define PATH_NAME_MAX      4096 /* bytes of a whole name, without the NUL */
#define PATH_COMPONENT_MAX 255  /* bytes (NAME_MAX, limits.h) */

/*
 * The daemon's own names, in every directory: its state directory, and the prefix of stage files.
 */
#define PATH_STATE_DIR    ".ftxferd"
#define PATH_STAGE_PREFIX ".ftxferd-"
/* Of these, what a client keeps beside its files (store/stage_part.c). */
#define PATH_PART_PREFIX PATH_STAGE_PREFIX "part-"

struct stat;

enum path_flag {
	/* Resolve component by component, as on Linux before 5.6. */
	PATH_NO_OPENAT2 = 1 << 0,
	/* The directory is only looked into, never fsynced: x permission suffices. */
	PATH_SEARCH_ONLY = 1 << 1,
	/* path_open_file_now(): the caller has looked, and it was a regular file. */
	PATH_SEEN = 1 << 2
};

/* What a component may be made of; in the order of the option's words. */
enum path_alphabet {
	PATH_UTF8, /* well-formed UTF-8 without control characters (base/utf8) */
	PATH_BYTES /* any byte but NUL */
};

/* Which rule a name does not keep. */
enum path_fault {
	PATH_GOOD,
	PATH_EMPTY,          /* no component is left when empty ones and `.` are dropped */
	PATH_SLASH,          /* the first or the last byte is one */
	PATH_LONG,           /* over PATH_NAME_MAX */
	PATH_LONG_COMPONENT, /* over PATH_COMPONENT_MAX */
	PATH_RESERVED,       /* path_is_reserved() */
	PATH_DOTS,           /* a component `..`; of one by itself also `.` */
	PATH_NO_UTF8,        /* of PATH_UTF8: not well-formed */
	PATH_CONTROL         /* of PATH_UTF8: a control character; of either: a NUL */
};

/* What its caller asks of a name, besides what is asked of every one. */
struct path_rules {
	enum path_alphabet alphabet;
	uint64_t max_depth; /* directories in a name; 0: no limit */
	bool lists_own;     /* a client's listing: the daemon's own names, too, but for its parts */
};

/*
 * Brings a name that a peer sent to its one spelling: empty and `.` components are dropped.
 * FTX_BAD_NAME: path_fault() says why. FTX_TOO_DEEP: all of it is right but the number of
 * directories. out gets the NUL-terminated result (size bytes;
 * len + 1 always suffices).
 */
enum ftx_rc path_normalize(const struct path_rules *rules, const void *name, size_t len, char *out,
    size_t size) FTX_MUST_CHECK;

/* The first rule that a name, or one component, without a slash, does not keep. */
enum path_fault path_fault(enum path_alphabet alphabet, const char *name, size_t len);
enum path_fault path_component_fault(enum path_alphabet alphabet, const char *s, size_t len);
/* One that path_normalize() would take; not `.`. */
bool path_component_is_allowed(enum path_alphabet alphabet, const char *s, size_t len);

/* The component is the daemon's own, or would lead to it where file names have no case. */
bool path_is_reserved(const char *component, size_t len);

/*
 * Opens the directory that holds the last component of `name` (normalised), beneath root_fd,
 * following no symbolic link (openat2(2) RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, or component by
 * component with O_NOFOLLOW). *dir_fd is the caller's, open for reading so that it can be fsynced;
 * *leaf points into name. FTX_NO_PARENT, FTX_ACCESS, ...
 */
enum ftx_rc path_open_parent(
    int root_fd, unsigned flags, const char *name, int *dir_fd, const char **leaf) FTX_MUST_CHECK;

/*
 * Opens the directory `name` (normalised; empty: root_fd's own) likewise, for reading.
 * FTX_NOT_FOUND where it or one on the way to it is missing; FTX_NOT_DIRECTORY where one is
 * something else.
 */
enum ftx_rc path_open_dir(int root_fd, unsigned flags, const char *name, int *fd) FTX_MUST_CHECK;

/*
 * Opens the regular file `leaf` in dir_fd for reading. FTX_NOT_FOUND; FTX_NOT_REGULAR for anything
 * else that stands there: it is looked at before it is opened, so no device or FIFO is touched, and
 * once more afterwards.
 */
enum ftx_rc path_open_file(int dir_fd, const char *leaf, int *fd) FTX_MUST_CHECK;

/*
 * The two together for a file that the kernel finds without asking a device (openat2(2),
 * RESOLVE_CACHED), so that nothing waits. *st: what was opened. False, whatever the reason: the two
 * above will tell.
 */
bool path_open_file_now(int root_fd, unsigned flags, const char *name, int *fd, struct stat *st);

#endif
