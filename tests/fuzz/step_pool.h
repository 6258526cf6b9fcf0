/*
 * step_pool.h - a pool without threads (loop/pool.h), whose jobs run when the fuzzer says so.
 * Linked in front of libloop it takes the place of the real one, and every run of one input is the
 * same.
 */
#ifndef FUZZ_STEP_POOL_H
#define FUZZ_STEP_POOL_H

#include <stdbool.h>

struct pool;

/* Runs the job that was submitted first, and posts its mail. False: there is none. */
bool step_pool_run(struct pool *p);

#endif
