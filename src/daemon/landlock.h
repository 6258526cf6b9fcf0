/*
 * landlock.h - Landlock (landlock(7)): what this process and those it starts may do with files and
 * the network from here on, whoever they run as.
 * Layer: daemon. Threads: before any is started; it binds the calling thread and later ones only.
 * Tests: tests/unit/test_privileges_landlock.c
 */
#ifndef DAEMON_LANDLOCK_H
#define DAEMON_LANDLOCK_H

#include <stddef.h>

/* What may be done beneath a directory. */
enum landlock_grant {
	LANDLOCK_STORE,  /* read, write, make and remove files and directories */
	LANDLOCK_REMOVE, /* remove files */
	LANDLOCK_ALL     /* read and execute, which takes more than the daemon should have */
};

struct landlock_place {
	enum landlock_grant grant;
	int fd; /* borrowed: an open file or directory */
};

/*
 * Allows what `places` grant, and no other use of the file system than of what is open already; and
 * where the kernel knows how, no TCP socket to be bound or connected, and no signal to processes
 * outside. The version of Landlock that does so; or a negative errno: -ENOSYS or -EOPNOTSUPP where
 * there is none.
 */
int landlock_enter(const struct landlock_place *places, size_t count);

#endif
