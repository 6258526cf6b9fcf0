/*
 * background.h - leaving the terminal (the parent exits once the daemon listens).
 * Layer: daemon. Threads: before any is started.
 * Tests: tests/system/test_daemon.py
 */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

/* Between background_enter() and background_tell(). */
struct background {
	int pipe; /* owned: to the first process */
	int null; /* owned: /dev/null, which cannot be opened any more when it is needed */
};

/*
 * Forks twice, into a session of its own (daemon(7), "SysV Daemons"). The first process stays until
 * background_tell() and exits with that code. Returns, in the daemon, 0; or -1 with errno.
 */
int background_enter(struct background *b);
/* The exit code of the first process: 0 once the daemon is listening, or why it could not start. */
void background_tell(struct background *b, int code);
/*
 * Lets the standard streams and the working directory go: nothing is said to a terminal from here
 * on.
 */
void background_detach(const struct background *b);

#endif
