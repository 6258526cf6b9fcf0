/*
 * test_pool.h - what the parts of the program test_pool share.
 */
#ifndef UNIT_TEST_POOL_H
#define UNIT_TEST_POOL_H

#include "unit/unit.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "loop/pool.h"

/* A job that says what it did. */
struct task {
	struct pool_job job; /* the first member */
	bool gated;          /* waits at the gate while it runs */
	atomic_bool started, ran;
	bool done;
	int turn; /* the how manieth it was to start */
};

extern struct worker *w;
extern struct pool *pool;
extern atomic_int started[POOL_LANE_COUNT];
extern int done_count;

void make_worker(void);
void drop_worker(void);
void make_pool(unsigned threads);
void submit(struct task *t, enum pool_lane lane, bool gated);
void run_task(struct pool_job *job);
void task_done(struct pool_job *job);
/* Lets so many gated jobs go on. */
void open_gate(int passes);

void add_lane_cases(Suite *s);
void add_batch_cases(Suite *s);

#endif
