/*
 * work.h - what has no hurry: done one piece after the other, in turns of a bounded time, after all
 * that has.
 * Layer: loop. Threads: its worker's.
 * Tests: tests/unit/test_work.c
 *
 * Moving content takes a processor's time and can go on for ever; a new connection, a request, a
 * small file take little and are waited for. So content is moved by pieces from this queue: each
 * transfer has one in it, and gets behind all others when it has had its turn.
 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Embedded in what does it; all zero but run: not in a queue. */
struct work {
	TAILQ_ENTRY(work) link;
	void (*run)(struct work *work); /* one piece; may be put back, at the end */
	bool queued;
};

/* Embedded in the worker. */
TAILQ_HEAD(work_queue, work);

void work_queue_init(struct work_queue *q);
/* At the end, unless it is in the queue already. */
void work_add(struct work_queue *q, struct work *work);
/* Idempotent. */
void work_remove(struct work_queue *q, struct work *work);
/*
 * From the front, until so many microseconds have passed, or nothing is left: at least one. What
 * is put back takes its turn again. Whether something is left.
 */
bool work_queue_run(struct work_queue *q, uint64_t us);

#endif
