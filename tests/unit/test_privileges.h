/*
 * test_privileges.h - what the cases of test_privileges.c and test_privileges_landlock.c share.
 * Threads: a test's first.
 */
#ifndef UNIT_TEST_PRIVILEGES_H
#define UNIT_TEST_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/privileges.h"
#include "unit/fake_landlock.h"
#include "unit/unit.h"

#ifdef SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* The storage root, and what the tested call gets. */
extern int root_fd;
extern struct privileges_needs needs;
extern struct privileges_left left;

/*
 * root: the storage root. conf, run: where configuration and pid file are. outside: what everybody
 * may read and write, with a file in it.
 */
void privileges_set_up(void);
/* From here on this is an ordinary user, and confined. */
void give_up(void);
/* How open(2) of it goes: 0, or an errno. */
int open_error(const char *path, int flags);
/* The same of a call that has returned rc. */
int result(int rc);
/* Of a child; asserts that it has exited. */
int exit_code(pid_t pid);

void add_landlock_cases(Suite *s);

#endif
