/*
 * v2_hex.h - what the tests of protocol 2 share: bytes as text.
 */
#ifndef UNIT_V2_HEX_H
#define UNIT_V2_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "v2/message.h"

/* Any struct of a message. */
union v2_any {
	uint64_t has; /* the first member of all of them */
#define V2_ANY(name, type, number, from, flags) struct type name;
	V2_MESSAGE_TABLE(V2_ANY)
#undef V2_ANY
};

/* Bytes from pairs of hexadecimal digits, with blanks between; how many. Asserts that they fit. */
size_t v2_hex(const char *hex, uint8_t *buf, size_t size);

#endif
