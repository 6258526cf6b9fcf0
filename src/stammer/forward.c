#include "stammer/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FORWARD_IO_MAX ((size_t)32 * 1024) /* bytes that one call moves, so that none takes long */

enum ftx_rc
forward_init(struct forward *f, size_t size, uint64_t latency, uint64_t seed, uint64_t stream)
{
	memset(f, 0, sizeof(*f));
	f->ring = malloc(size);
	if (f->ring == NULL || latency_init(&f->latency, latency) != FTX_OK) {
		forward_clear(f);
		return FTX_NOMEM;
	}
	f->size = size;
	random_init(&f->random, seed, stream);
	return FTX_OK;
}

void
forward_clear(struct forward *f)
{
	free(f->ring);
	latency_clear(&f->latency);
	memset(f, 0, sizeof(*f));
}

size_t
forward_room(const struct forward *f)
{
	return f->size - f->used;
}

size_t
forward_ready(struct forward *f)
{
	latency_ripen(&f->latency);
	return f->used - f->latency.held;
}

bool
forward_is_over(struct forward *f)
{
	latency_ripen(&f->latency);
	return f->ended && f->used == 0 && f->latency.end_due == 0;
}

/* The len bytes of the ring from `at` on, as one or two pieces; returns how many. */
static int
forward_pieces(const struct forward *f, size_t at, size_t len, struct iovec iov[2])
{
	size_t first;

	at %= f->size;
	first = len < f->size - at ? len : f->size - at;
	iov[0].iov_base = f->ring + at;
	iov[0].iov_len = first;
	iov[1].iov_base = f->ring;
	iov[1].iov_len = len - first;
	return len > first ? 2 : 1;
}

static enum forward_result
forward_failed(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? FORWARD_BLOCKED : FORWARD_ERROR;
}

enum forward_result
forward_read(struct forward *f, int fd)
{
	size_t len = forward_room(f) < FORWARD_IO_MAX ? forward_room(f) : FORWARD_IO_MAX;
	struct iovec iov[2];
	ssize_t n;

	do {
		n = readv(fd, iov, forward_pieces(f, f->head + f->used, len, iov));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return forward_failed();
	if (n == 0) {
		f->ended = true;
		latency_end(&f->latency);
		return FORWARD_END;
	}
	f->used += (size_t)n;
	latency_add(&f->latency, (size_t)n);
	return FORWARD_MOVED;
}

enum forward_result
forward_send(struct forward *f, int fd, uint64_t limit)
{
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	size_t len;
	ssize_t n;

	if (f->fragment == 0)
		f->fragment = random_length(&f->random, forward_ready(f));
	len = f->fragment < limit ? f->fragment : (size_t)limit;
	if (len > FORWARD_IO_MAX)
		len = FORWARD_IO_MAX;
	msg.msg_iovlen = (size_t)forward_pieces(f, f->head, len, iov);
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return forward_failed();
	f->fragment -= (size_t)n;
	f->used -= (size_t)n;
	f->forwarded += (uint64_t)n;
	/*
	 * An empty buffer starts at the front again: a large one touches no more memory than it
	 * needs.
	 */
	f->head = f->used == 0 ? 0 : (f->head + (size_t)n) % f->size;
	return FORWARD_MOVED;
}
