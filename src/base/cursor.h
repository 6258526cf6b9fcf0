/*
 * cursor.h - reading and writing wire integers within bounds.
 * Layer: base. Pure. Threads: any. Integers are big-endian on the wire (RFC 1700, "network order").
 * Tests: tests/unit/test_base.c
 *
 * A cursor fails sticky: after the first access beyond its end every further one yields zero (or
 * writes nothing), and cursor_ok() says false. A parser reads all it wants and asks once.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads len bytes at p, which are borrowed for the cursor's life. */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool failed;
};

/* Writes into size bytes at p, borrowed likewise. */
struct cursor_out {
	uint8_t *p;
	size_t left;
	size_t used;
	bool failed;
};

struct cursor cursor_init(const void *p, size_t len);
uint8_t cursor_get_u8(struct cursor *c);
uint16_t cursor_get_u16(struct cursor *c);
uint32_t cursor_get_u32(struct cursor *c);
uint64_t cursor_get_u64(struct cursor *c);
/* The next n bytes, still owned by whoever owns the buffer; NULL when there are not so many. */
const uint8_t *cursor_get_bytes(struct cursor *c, size_t n);
/* Nothing failed so far. */
bool cursor_ok(const struct cursor *c);
/* Nothing failed and nothing is left over. */
bool cursor_done(const struct cursor *c);

struct cursor_out cursor_out_init(void *p, size_t size);
void cursor_put_u8(struct cursor_out *c, uint8_t v);
void cursor_put_u16(struct cursor_out *c, uint16_t v);
void cursor_put_u32(struct cursor_out *c, uint32_t v);
void cursor_put_u64(struct cursor_out *c, uint64_t v);
void cursor_put_bytes(struct cursor_out *c, const void *p, size_t n);
/* n bytes of zero. */
void cursor_put_zero(struct cursor_out *c, size_t n);
bool cursor_out_ok(const struct cursor_out *c);

#endif
