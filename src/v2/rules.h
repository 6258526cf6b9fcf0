/*
 * rules.h - protocol 2: what each message may and must hold, in tables. For v2/message only.
 * Layer: v2. Pure. Threads: any.
 * Layout: ftxfer-protocol(7). Tests: tests/unit/test_v2_message.c, tests/fuzz/fuzz_v2_message.c
 */
#ifndef V2_RULES_H
#define V2_RULES_H

#include "v2/message.h"

struct v2_rules {
	const struct v2_layout *layout;
	/* What the layout cannot say; NULL: nothing. */
	enum ftx_rc (*check)(uint8_t flags, const struct v2_terms *terms, const void *m);
};

extern const struct v2_rules v2_rules[V2_MESSAGES];

/* Of an ENTRY. */
const struct v2_layout *v2_entry_rows(void);

#endif
