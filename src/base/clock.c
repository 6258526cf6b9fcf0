#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*clock_hook)(void);

uint64_t
clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

uint64_t
clock_now_us(void)
{
	struct timespec ts;

	if (clock_hook != NULL)
		return clock_hook() * 1000;
	clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
clock_set_hook(uint64_t (*hook)(void))
{
	clock_hook = hook;
}
