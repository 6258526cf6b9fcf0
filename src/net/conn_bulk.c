/* Content, which passes by the buffers of conn.c. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#ifdef HAVE_SYS_SENDFILE_H
#include <sys/sendfile.h>
#endif

#include "base/rc.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "net/conn_private.h"
#include "net/conn_time.h"
#include "net/peer_reads.h"

/* How often it is looked what the peer has got, ms: at first, and at the end. */
#define GOT_LOOK_MIN 1
#define GOT_LOOK_MAX 16

void
conn_set_bulk_input(struct conn *c, bool bulk)
{
	c->bulk = bulk && (c->output_failure == FTX_OK || c->reads_on);
	c->paused = false;
	conn_update_reading(c);
}

void
conn_set_receiving(struct conn *c, bool receiving)
{
	c->paused = !receiving;
	conn_update_reading(c);
}

size_t
conn_receive(struct conn *c, void *buf, size_t len)
{
	size_t n = c->in.len < len ? c->in.len : len;

	if (n > 0) {
		memcpy(buf, buf_data(&c->in), n);
		buf_drain(&c->in, n);
		return n;
	}
	if (c->peer_end != FTX_OK)
		return 0;
	n = conn_read_socket(c, buf, len);
	if (c->peer_end != FTX_OK)
		conn_update_reading(c);
	return n;
}

#ifdef HAVE_SPLICE
size_t
conn_receive_pipe(struct conn *c, int pipe, size_t len, bool *unable)
{
	ssize_t n;
	size_t moved;

	*unable = c->in.len > 0;
	if (c->in.len > 0 || c->peer_end != FTX_OK)
		return 0;
	do {
		n = splice(c->fd, NULL, pipe, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	*unable = n < 0 && (errno == EINVAL || errno == ENOSYS || errno == ENOMEM);
	if (*unable)
		return 0;
	moved = conn_count_read(c, n);
	if (c->peer_end != FTX_OK)
		conn_update_reading(c);
	return moved;
}
#else
size_t
conn_receive_pipe(struct conn *c, int pipe, size_t len, bool *unable)
{
	(void)c;
	(void)pipe;
	(void)len;
	*unable = true;
	return 0;
}
#endif

static bool
may_send(const struct conn *c)
{
	return !c->closing && c->output_failure == FTX_OK && c->out.len == 0;
}

size_t
conn_send(struct conn *c, const void *buf, size_t len, bool more)
{
	if (!may_send(c))
		return 0;
	return conn_count_taken(c, send(c->fd, buf, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

#ifdef HAVE_SYS_SENDFILE_H
/* What says something of the connection. Anything else is of the file, or of this call. */
static bool
is_of_connection(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == EINTR || err == EPIPE ||
	       err == ECONNRESET || err == ECONNABORTED || err == ENOTCONN || err == ETIMEDOUT ||
	       err == EHOSTUNREACH || err == ENETUNREACH || err == ENETDOWN;
}
#endif

size_t
conn_send_file(struct conn *c, int fd, uint64_t offset, size_t len, bool *unable)
{
	*unable = true;
#ifdef HAVE_SYS_SENDFILE_H
	off_t at = (off_t)offset;
	ssize_t n;

	if (!may_send(c)) {
		*unable = false;
		return 0;
	}
	n = sendfile(c->fd, fd, &at, len);
	/* 0: the file has become shorter. */
	*unable = n == 0 || (n < 0 && !is_of_connection(errno));
	return *unable ? 0 : conn_count_taken(c, n);
#else
	(void)c;
	(void)fd;
	(void)offset;
	(void)len;
	return 0;
#endif
}

void
conn_set_unsent_max(struct conn *c, int bytes)
{
#ifdef TCP_NOTSENT_LOWAT
	/* As good as it gets: it is a matter of memory, not of what is sent. */
	if (c->acknowledges)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
#else
	(void)c;
	(void)bytes;
#endif
}

void
conn_wait_output(struct conn *c)
{
	c->wants_output = true;
	if (c->output_failure == FTX_OK && event_add(&c->writing, NULL) != 0)
		conn_fail_output(c, FTX_NOMEM);
}

void
conn_wait_got(struct conn *c, uint64_t bytes)
{
	c->wants_got = true;
	c->got_bytes = bytes;
	c->got_wait = GOT_LOOK_MIN;
	worker_timer_start(c->worker, &c->timer, worker_now(c->worker) + c->got_wait);
}

void
conn_look_for_got(struct conn *c)
{
	if (!c->wants_got || c->closing)
		return;
	if (conn_has_got(c, c->got_bytes)) {
		c->wants_got = false;
		c->io->on_output(c->io_arg);
		return;
	}
	if (c->got_wait < GOT_LOOK_MAX)
		c->got_wait = (uint8_t)(2 * c->got_wait);
	worker_timer_start(c->worker, &c->timer, worker_now(c->worker) + c->got_wait);
}

bool
conn_has_got(struct conn *c, uint64_t bytes)
{
	uint64_t read;

	if (c->tells_reads)
		return peer_reads(c->fd, &read) && read >= bytes;
	conn_look(c);
	return c->taken >= bytes;
}

uint64_t
conn_sent(const struct conn *c)
{
	return c->sent;
}

bool
conn_is_local(const struct conn *c)
{
	return c->local;
}

bool
conn_tells_reads(struct conn *c)
{
	uint64_t bytes;

	c->tells_reads = c->local && c->acknowledges && peer_reads(c->fd, &bytes);
	return c->tells_reads;
}
