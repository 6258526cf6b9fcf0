/*
 * clock.h - the time that deadlines are kept in; a test can move it.
 * Layer: base. Threads: any (the hook is set before threads start).
 * Tests: tests/unit/test_base.c
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC (clock_gettime(2)), or what the hook says. Never goes back. */
uint64_t clock_now_ms(void);
/* The same in microseconds: for what is measured, not for deadlines. */
uint64_t clock_now_us(void);

/* The time that is ms after `from`. So late that it does not fit: never, UINT64_MAX. */
static inline uint64_t
clock_after(uint64_t from, uint64_t ms)
{
	return ms > UINT64_MAX - from ? UINT64_MAX : from + ms;
}

/* Tests only: where the time comes from; NULL is the real clock. */
void clock_set_hook(uint64_t (*hook)(void));

#endif
