#include "base/cursor.h"

#include <string.h>

struct cursor
cursor_init(const void *p, size_t len)
{
	return (struct cursor){ .p = p, .left = len };
}

const uint8_t *
cursor_get_bytes(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	c->p = n > 0 ? p + n : p; /* of nothing, p may be NULL */
	c->left -= n;
	return p;
}

static uint64_t
cursor_get_uint(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_get_bytes(c, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
cursor_get_u8(struct cursor *c)
{
	return (uint8_t)cursor_get_uint(c, 1);
}

uint16_t
cursor_get_u16(struct cursor *c)
{
	return (uint16_t)cursor_get_uint(c, 2);
}

uint32_t
cursor_get_u32(struct cursor *c)
{
	return (uint32_t)cursor_get_uint(c, 4);
}

uint64_t
cursor_get_u64(struct cursor *c)
{
	return cursor_get_uint(c, 8);
}

bool
cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

bool
cursor_done(const struct cursor *c)
{
	return !c->failed && c->left == 0;
}

struct cursor_out
cursor_out_init(void *p, size_t size)
{
	return (struct cursor_out){ .p = p, .left = size };
}

/* Room for n bytes, or NULL. */
static uint8_t *
cursor_out_take(struct cursor_out *c, size_t n)
{
	uint8_t *p = c->p;

	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	c->p = n > 0 ? p + n : p;
	c->left -= n;
	c->used += n;
	return p;
}

static void
cursor_put_uint(struct cursor_out *c, uint64_t v, size_t n)
{
	uint8_t *p = cursor_out_take(c, n);

	if (p == NULL)
		return;
	for (size_t i = n; i > 0; i--) {
		p[i - 1] = (uint8_t)v;
		v >>= 8;
	}
}

void
cursor_put_u8(struct cursor_out *c, uint8_t v)
{
	cursor_put_uint(c, v, 1);
}

void
cursor_put_u16(struct cursor_out *c, uint16_t v)
{
	cursor_put_uint(c, v, 2);
}

void
cursor_put_u32(struct cursor_out *c, uint32_t v)
{
	cursor_put_uint(c, v, 4);
}

void
cursor_put_u64(struct cursor_out *c, uint64_t v)
{
	cursor_put_uint(c, v, 8);
}

void
cursor_put_bytes(struct cursor_out *c, const void *src, size_t n)
{
	uint8_t *p = cursor_out_take(c, n);

	if (p != NULL && n > 0)
		memcpy(p, src, n);
}

void
cursor_put_zero(struct cursor_out *c, size_t n)
{
	uint8_t *p = cursor_out_take(c, n);

	if (p != NULL && n > 0)
		memset(p, 0, n);
}

bool
cursor_out_ok(const struct cursor_out *c)
{
	return !c->failed;
}
