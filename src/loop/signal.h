/*
 * signal.h - signals as events on a loop.
 * Layer: loop. Threads: the first one, which runs the loop; it makes the watch before there are
 * others, which then leave these signals to it.
 * Tests: tests/unit/test_signal.c
 *
 * With signalfd(2) no handler runs at all: the signals are blocked and read from a descriptor. So
 * nothing is interrupted, and none is lost between a look at a flag and the wait for events.
 */
#ifndef LOOP_SIGNAL_H
#define LOOP_SIGNAL_H

#include <stddef.h>

#include "base/rc.h"

#define SIGNAL_WATCH_MAX 4

struct event_base;
struct signal_watch;

/*
 * From here on these signals (at most SIGNAL_WATCH_MAX) call fire, on the loop. base and arg are
 * borrowed until the watch is freed. FTX_NOMEM: out of memory or descriptors, all is as before.
 */
enum ftx_rc signal_watch_new(struct signal_watch **out, struct event_base *base, const int *signos,
    size_t count, void (*fire)(void *arg, int signo), void *arg) FTX_MUST_CHECK;
/*
 * The signals do again what they did before; with signalfd(2), one that came and was not seen yet
 * is dropped. Not within fire. NULL is allowed.
 */
void signal_watch_free(struct signal_watch *s);
/* The same, but they do nothing any more: for a program that knows already how it ends. */
void signal_watch_end(struct signal_watch *s);

/*
 * What was ignored when the program began is to stay so (nohup(1), a shell's background jobs).
 * Drops those from the list, before any are watched; returns how many are left.
 */
size_t signal_drop_ignored(int *signos, size_t count);

#endif
