/*
 * error.h - how this room puts its errors into words, and finds rows. Inner part of conf.
 * Layer: conf. Threads: start-up only.
 * Tests: tests/unit/test_conf.c
 */
#ifndef CONF_ERROR_H
#define CONF_ERROR_H

#include <stdbool.h>

#include "conf/option.h"

/* An error without file and line; always false, so that it can be returned. Long texts are cut. */
bool option_error_set(struct option_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts words in front of the text that is there, such as "option --listen-port: ". */
void option_error_prefix(struct option_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says where; of a path that is too long the end is kept. */
void option_error_locate(struct option_error *err, const char *file, unsigned line);

/* Whether a file may set this option. */
bool option_is_file_key(const struct option_def *def);

/* Whether it is the first row of its value: the one that is printed and whose default counts. */
bool option_is_first_spelling(const struct option_set *set, const struct option_def *def);

/*
 * The option whose name (as in a file) is nearest to what somebody wrote, or NULL when none is
 * near. With in_file only those that a file may hold; hidden ones never.
 */
const struct option_def *option_nearest(
    const struct option_set *set, const char *written, bool in_file);

#endif
