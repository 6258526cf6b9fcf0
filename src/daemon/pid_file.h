/*
 * pid_file.h - the file that holds the process number while the daemon runs. It is written as root,
 * perhaps in a directory of somebody else's: so it is always a new file, and no link is followed.
 * Layer: daemon. Threads: start-up, and the end.
 * Tests: tests/unit/test_pid_file.c, tests/system/test_daemon.py
 */
#ifndef DAEMON_PID_FILE_H
#define DAEMON_PID_FILE_H

struct pid_file {
	char *path; /* owned, absolute; NULL: there is none */
	int fd;     /* owned: which file it is; the name may become another daemon's */
};

/*
 * Takes the place of a regular file of one name, and of nothing else. Zero; or -1, it has said why,
 * and the file is not there. *f is filled in either case.
 */
int pid_file_write(struct pid_file *f, const char *path);
/*
 * If it is still the file that was written. Where it may not be removed it holds no number from
 * here on. Any number of times.
 */
void pid_file_remove(struct pid_file *f);

#endif
