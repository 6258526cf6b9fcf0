/*
 * pair_bytes.h - what stands in a line of a script: words, and the bytes that they mean.
 */
#ifndef PAIR_BYTES_H
#define PAIR_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define PAIR_BYTES_MAX (1024 * 1024)

/* What parse_bytes() made of the last line that it was given. */
extern uint8_t bytes[PAIR_BYTES_MAX];
extern size_t bytes_len;

/*
 * The next word of *p, or a quoted text (\n, \0, \xHH inside); NULL at the end. Its length goes to
 * *len.
 */
char *word(char **p, size_t *len);
/* The same where no word is an empty one. */
const char *name_of(char **p);
/* request U NAME | u64 N | fill N | hex HH.. | WORD or "text" as it stands. */
void parse_bytes(char *p);

/* pair_run.c: the case is lost, and this is why. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
