/*
 * literal.h - finds in a text for libconfig what libconfig itself does badly. Inner part of conf.
 * Layer: conf. Pure. Threads: any.
 * Tests: tests/unit/test_conf_file.c, tests/fuzz/fuzz_conf.c
 *
 * libconfig 1.5 cuts integers to 32 bits without a word, newer ones take 010 for 8, an @include of
 * a directory ends the process, a comment or string that is never closed swallows the rest. So a
 * small scanner, which knows comments and strings as libconfig's does, looks first. It stops at
 * each integer, each @include and each mistake; names, signs and good strings it passes over:
 * whether they make sense together, libconfig's parser says. But that does not say which name it
 * means, so they can be counted.
 */
#ifndef CONF_LITERAL_H
#define CONF_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

enum literal_kind { LITERAL_END, LITERAL_INTEGER, LITERAL_INCLUDE, LITERAL_MISTAKE };

/* A text being scanned: borrowed, ends with NUL. */
struct literal_scan {
	const char *begin;
	const char *p;
	unsigned line; /* of p, from 1 */
};

struct literal {
	enum literal_kind kind;
	const char *start; /* in the text */
	size_t len;
	unsigned line;    /* where it starts */
	const char *path; /* INCLUDE: what is between the quotes, escapes and all */
	size_t path_len;
	char why[160]; /* MISTAKE: what is wrong */
};

struct literal_scan literal_scan_init(const char *text);

/* The next one. After END or MISTAKE there is none. */
void literal_next(struct literal_scan *s, struct literal *l);

/*
 * The name of the setting that is the index-th of a text, from 0; those in groups do not count.
 * False: there are not so many.
 */
bool literal_setting_name(const char *text, size_t index, const char **name, size_t *len);

/* Whether libconfig reads the INTEGER whole; if not, l becomes a MISTAKE. */
bool literal_check(struct literal *l);

#endif
