/*
 * utf8.h - takes UTF-8 apart (RFC 3629). What is fit for a terminal, or for a file name, is decided
 * by those who need it.
 * Layer: base. Pure. Threads: any.
 * Tests: tests/unit/test_utf8.c
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The character at s, of which len bytes are there (1 at least): how many bytes it takes, and *cp.
 * 0: they are not well-formed (overlong, a surrogate, above U+10FFFF, cut off, a stray byte).
 */
size_t utf8_decode(const void *s, size_t len, uint32_t *cp);

/* C0, DEL or C1. */
bool utf8_is_control(uint32_t cp);

#endif
