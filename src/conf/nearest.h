/*
 * nearest.h - did you mean: of some names the one that is nearest to what somebody wrote.
 * Layer: conf. Pure. Threads: any.
 * Tests: tests/unit/test_conf_cmdline.c, tests/system/test_sentences.py
 */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include <stdbool.h>

struct nearest {
	const char *written; /* borrowed */
	unsigned best;       /* what the next one has to be nearer than */
};

struct nearest nearest_init(const char *written);
/* Whether this name is near, and nearer than all before it that were. - and _ are the same. */
bool nearest_take(struct nearest *n, const char *name);

#endif
