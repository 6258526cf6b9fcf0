/*
 * unit.h - what the unit tests share: a suite a program, a directory, a clock, the log's lines.
 * Threads: a test's first, but for the clock and the log, which any may use.
 *
 * Each test runs in a process of its own (Check forks), so that what it changes there - working
 * directory, umask, user - is its own business.
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Runs the one suite of a program; its exit code. The directories of the tests are gone then. */
int unit_run(const char *name, void (*add_cases)(Suite *s));
/* A case with a time limit that a busy machine under a sanitizer can keep. */
TCase *unit_case(Suite *s, const char *name);

/* A fixture's set-up: a fresh, empty directory is the working directory. */
void unit_enter_dir(void);
/* The directory that was entered. */
const char *unit_dir(void);
/* Asserts that it works; the file is new or replaced. */
void unit_write(const char *path, const void *content, size_t len);
/* Asserts that the file holds exactly these bytes. */
void unit_holds(const char *path, const void *content, size_t len);
/* How many names there are in a directory, `.` and `..` not counted. */
int unit_names_in(const char *dir);
/* How many descriptors this process has. */
int unit_descriptors(void);

/*
 * Goes on as an ordinary user, for whom permissions count, if it is not one already; the entered
 * directory is that user's then.
 */
void unit_drop_root(void);
/*
 * Mounts a tmpfs of that many bytes on dir, in a mount namespace that ends with the test. False:
 * not permitted here.
 */
bool unit_mount_tmpfs(const char *dir, unsigned bytes);

/* From here on the clock stands still, but for what unit_clock_add() adds; returns its time. */
uint64_t unit_clock_stop(void);
void unit_clock_add(uint64_t ms);
/* Real milliseconds, whatever the clock's hook says. */
uint64_t unit_real_ms(void);
void unit_sleep_ms(unsigned ms);
void unit_pause(void); /* a moment, for other threads */

/* From here on log lines (of all levels) are kept instead of shown. */
void unit_log_keep(void);
/* How many of the kept lines hold that text. */
int unit_log_count(const char *text);

/* The same sequence for the same seed (not 0). */
uint64_t unit_random(uint64_t *state);

/*
 * ck_assert() for loops and for threads: Check's own writes to a file each time, and knows one
 * thread only.
 */
#define UNIT_CHECK(cond)                           \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg("%s", #cond); \
	} while (0)

/* Asserts that a condition comes true within 10 s; `step` is what helps it along. */
#define UNIT_UNTIL(cond, step)                                    \
	do {                                                      \
		uint64_t unit_end = unit_real_ms() + 10000;       \
		while (!(cond)) {                                 \
			if (unit_real_ms() >= unit_end)           \
				ck_abort_msg("never: %s", #cond); \
			step;                                     \
			unit_pause();                             \
		}                                                 \
	} while (0)

#endif
