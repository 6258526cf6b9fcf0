/*
 * value.h - the numbers of an option as people write them <-> uint64_t. Inner part of conf.
 * Layer: conf. Pure. Threads: any.
 * Tests: tests/unit/test_conf.c
 *
 * The forms are those that option.h describes, as on the command line. Every number fits int64_t.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdint.h>

#include "conf/option.h"

enum value_result {
	VALUE_OK,
	VALUE_BAD,      /* not of that form */
	VALUE_NEGATIVE, /* a number below zero */
	VALUE_TOO_LARGE,
	VALUE_TOO_FINE /* a time with a fraction of a millisecond */
};

/* Enough for value_format() of anything. */
#define VALUE_TEXT_SIZE 32

/*
 * type: BOOL (0 or 1), UINT, SIZE (bytes), TIME (ms) or MODE. *out is set only with VALUE_OK.
 */
enum value_result value_parse(enum option_type type, const char *text, uint64_t *out);

/*
 * What value_parse() reads back equal, in its own unit: "true", "70000", "5G", "90s", "500ms",
 * "0640". Returns buf.
 */
const char *value_format(enum option_type type, uint64_t value, char buf[VALUE_TEXT_SIZE]);

/* The largest number of that type. */
uint64_t value_limit(enum option_type type);

/* What a text of that type is called when it is wrong: "a number", "a size such as ...". */
const char *value_describe(enum option_type type);

#endif
