/*
 * privileges.h - what the daemon can do without, it gives up for good: root, new privileges, core
 * files, and all of the file system but its storage root.
 * Layer: daemon. Threads: start-up only, before any thread is started: part of it binds the calling
 * thread and those that it starts later, no others.
 * Tests: tests/unit/test_privileges.c, tests/system/test_privileges.py
 */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>

struct privileges_needs {
	const char *user;         /* whom to become when started as root */
	int root_fd;              /* the storage root, open */
	const char *storage_root; /* its path, for messages */
	const char *pid_file;     /* absolute, to be removed at the end; NULL: none */
};

/* What privileges_log() has to say. */
struct privileges_left {
	bool root;             /* it stays root, as it is told to */
	const char *read_only; /* borrowed: the storage root's path, if nobody can write to it */
	int landlock;          /* landlock_enter()'s result: its version, or a negative errno */
};

/*
 * Sockets, the storage root and the pid file have been opened. On failure it has said why, and the
 * result is the exit code for it (sysexits.h): the daemon must not go on. 0 is success.
 */
int privileges_give_up(const struct privileges_needs *needs, struct privileges_left *left);
/*
 * How far that went. Apart from it, since it belongs into the log of a daemon that serves, which is
 * not open yet while what goes wrong is said to the terminal.
 */
void privileges_log(const struct privileges_left *left);

#endif
