/* What has moved on a connection, and how long its peer has had for it. */
#include <sys/ioctl.h>
#ifdef HAVE_LINUX_SOCKIOS_H
#include <linux/sockios.h>
#endif

#include "net/conn_private.h"
#include "net/conn_time.h"

/* Bytes that the kernel has of us and the peer has not acknowledged (tcp(7), SIOCOUTQ). */
static uint64_t
unacknowledged(const struct conn *c)
{
#ifdef SIOCOUTQ
	int n = 0;

	if (c->acknowledges && ioctl(c->fd, SIOCOUTQ, &n) == 0 && n > 0)
		return (uint64_t)n;
#else
	(void)c;
#endif
	return 0;
}

uint64_t
conn_untaken(const struct conn *c)
{
	uint64_t queued = unacknowledged(c);

	/* Our end, once it is sent, is counted there like a byte. */
	return c->shut && queued > 0 ? queued - 1 : queued;
}

void
conn_look(struct conn *c)
{
	uint64_t queued = conn_untaken(c);
	uint64_t taken = queued < c->sent ? c->sent - queued : 0;

	if (taken <= c->taken)
		return;
	c->taken = taken;
	c->taken_at = conn_peer_clock(c);
}

void
conn_count_received(struct conn *c, size_t bytes)
{
	c->received += bytes;
	c->received_at = conn_peer_clock(c);
}

void
conn_count_sent(struct conn *c, size_t bytes)
{
	c->sent += bytes;
#ifdef SIOCOUTQ
	if (c->acknowledges)
		return; /* the kernel swallows megabytes: what the peer takes is asked for, later */
#endif
	conn_look(c);
}

uint64_t
conn_started(const struct conn *c)
{
	return c->started;
}

uint64_t
conn_peer_clock(const struct conn *c)
{
	return (c->busy ? c->busy_since : worker_now(c->worker)) - c->busy_ms;
}

bool
conn_is_busy(const struct conn *c)
{
	return c->busy;
}

void
conn_set_busy(struct conn *c, bool busy)
{
	if (c->finishing)
		busy = false; /* what is left to do is the peer's */
	if (busy == c->busy)
		return;
	if (busy)
		c->busy_since = worker_now(c->worker);
	else
		c->busy_ms += worker_now(c->worker) - c->busy_since;
	c->busy = busy;
}

void
conn_set_sending(struct conn *c, bool sending)
{
	c->sending = sending;
}

struct conn_progress
conn_progress(struct conn *c)
{
	conn_look(c);
	return (struct conn_progress){ c->received, c->taken, conn_has_taken_all(c) };
}

uint64_t
conn_moved(const struct conn *c)
{
	return c->taken + (c->sending ? 0 : c->received);
}

uint64_t
conn_idle_since(const struct conn *c)
{
	return c->sending || c->taken_at > c->received_at ? c->taken_at : c->received_at;
}

bool
conn_has_taken_all(const struct conn *c)
{
	return c->taken == c->sent && c->out.len == 0;
}
