#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Less is not worth a second call of malloc(3). */
#define SIZE_MIN ((size_t)256)

/* Room for len bytes more behind those that are there. */
static bool
make_room(struct buf *b, size_t len)
{
	size_t need, size;
	uint8_t *mem;

	if (__builtin_add_overflow(b->len, len, &need) || need > SIZE_MAX / 2)
		return false;
	if (need <= b->size - b->from)
		return true;
	/* Where it costs less than what was taken since the last time. */
	if (need <= b->size && b->from >= b->len) {
		memmove(b->mem, b->mem + b->from, b->len);
		b->from = 0;
		return true;
	}
	for (size = b->size > SIZE_MIN ? b->size : SIZE_MIN; size < need;)
		size *= 2;
	mem = malloc(size);
	if (mem == NULL)
		return false;
	if (b->len > 0)
		memcpy(mem, b->mem + b->from, b->len);
	if (!b->lent)
		free(b->mem);
	*b = (struct buf){ .mem = mem, .len = b->len, .size = size };
	return true;
}

bool
buf_add(struct buf *b, const void *p, size_t len)
{
	if (len == 0)
		return true;
	if (!make_room(b, len))
		return false;
	memcpy(b->mem + b->from + b->len, p, len);
	b->len += len;
	return true;
}

const uint8_t *
buf_data(const struct buf *b)
{
	return b->from > 0 ? b->mem + b->from : b->mem;
}

void
buf_drain(struct buf *b, size_t len)
{
	assert(len <= b->len);
	b->from += len;
	b->len -= len;
	if (b->len == 0)
		buf_clear(b);
}

void
buf_clear(struct buf *b)
{
	if (!b->lent)
		free(b->mem);
	*b = (struct buf){ 0 };
}

void
buf_lend(struct buf *b, uint8_t *p, size_t len, size_t size)
{
	assert(b->len == 0 && len <= size);
	buf_clear(b);
	*b = (struct buf){ .mem = p, .len = len, .size = size, .lent = true };
}

bool
buf_take_over(struct buf *b)
{
	size_t len = b->len;
	uint8_t *own;

	if (!b->lent)
		return true;
	own = len > 0 ? malloc(len) : NULL;
	if (own != NULL)
		memcpy(own, buf_data(b), len);
	else
		b->len = 0;
	*b = (struct buf){ .mem = own, .len = b->len, .size = b->len };
	return b->len == len;
}
