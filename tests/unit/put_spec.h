/*
 * put_spec.h - for tests: what is asked of a new file, in one word.
 */
#ifndef UNIT_PUT_SPEC_H
#define UNIT_PUT_SPEC_H

#include "store/put_spec.h"

/* Among a root's flags, which know nothing of them: what is put replaces, or is written through. */
#define TEST_REPLACE (1U << 31)
#define TEST_THROUGH (1U << 30)

#define SPEC(flags, n)                                                        \
	(&(const struct put_spec){ .name = (n),                               \
	    .policy = ((flags)&TEST_REPLACE) != 0 ? PUT_REPLACE : PUT_CREATE, \
	    .through = ((flags)&TEST_THROUGH) != 0 })

#endif
