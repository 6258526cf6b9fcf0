/*
 * implied.h - directories that were made only because something in them was to be (PARENTS).
 * Nobody has said yet what permissions they are to have: whoever names one of them first does. The
 * requests of one client run side by side, so the MKDIR of a directory may come after that of one
 * within it.
 * Not kept beyond this process's life: a directory whose MKDIR comes after it has the root's mode.
 * Layer: store. Threads: implied_init() and implied_destroy() at start and end; the rest may block
 * (pool), while another one's directory is being made.
 * Tests: tests/unit/test_names.c
 */
#ifndef STORE_IMPLIED_H
#define STORE_IMPLIED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As many as two connections of 256 requests each can be ahead of, twice over. */
#define IMPLIED_MAX 1024
/* ms: who has said nothing by then has nothing to say. */
#define IMPLIED_MS (UINT64_C(10) * 60 * 1000)

struct implied {
	pthread_mutex_t lock;
	unsigned count; /* up to IMPLIED_MAX; how many of them hold something */
	unsigned next;  /* where the next one goes: over the oldest when there is no room */
	struct implied_dir {
		dev_t dev;
		ino_t ino; /* 0: none */
		mode_t mode;
		uint64_t until; /* ms of base/clock.h */
	} dirs[IMPLIED_MAX];
};

void implied_init(struct implied *i);
void implied_destroy(struct implied *i);

/*
 * Around the making of such a directory, so that nobody finds it before it is known for what it is:
 * fd is the open directory, or -1 if none was made.
 */
void implied_begin(struct implied *i);
void implied_end(struct implied *i, int fd);

/* True, once: the open directory is one of them, and as it was made. */
bool implied_take(struct implied *i, int fd);

#endif
