#include "net/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "loop/worker.h"
#include "net/conn_private.h"

/* Reads as long as somebody may want it: not beyond the peer's end, not beyond the maximum. */
void
conn_update_reading(struct conn *c)
{
	if (c->closing || c->peer_end != FTX_OK || evbuffer_get_length(conn_in(c)) >= c->input_max)
		event_del(c->reading);
	else if (event_add(c->reading, NULL) != 0)
		c->peer_end = FTX_NOMEM; /* we shall not hear of it again */
}

/* One read of at most max bytes. False: nothing more to be had now. */
static bool
read_some(struct conn *c, size_t max)
{
	struct evbuffer_iovec v[2];
	ssize_t n;
	int count;

	if (max > CONN_READ_MAX)
		max = CONN_READ_MAX;
	count = evbuffer_reserve_space(conn_in(c), (ev_ssize_t)max, v, 2);
	if (count < 1) {
		c->peer_end = FTX_NOMEM;
		return false;
	}
	if (v[0].iov_len >= max) {
		v[0].iov_len = max;
		count = 1;
	} else if (count > 1 && v[0].iov_len + v[1].iov_len > max)
		v[1].iov_len = max - v[0].iov_len;
	do {
		n = readv(c->fd, v, count);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n == 0)
			c->peer_end = FTX_TRUNCATED;
		else if (errno != EAGAIN && errno != EWOULDBLOCK)
			c->peer_end = ftx_rc_from_errno(errno);
		return false;
	}
	if ((size_t)n <= v[0].iov_len) {
		v[0].iov_len = (size_t)n;
		count = 1;
	} else
		v[1].iov_len = (size_t)n - v[0].iov_len;
	if (evbuffer_commit_space(conn_in(c), v, count) != 0) {
		c->peer_end = FTX_NOMEM;
		return false;
	}
	conn_count_received(c, (size_t)n);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	size_t len = evbuffer_get_length(conn_in(c));

	(void)fd;
	(void)what;
	worker_begin_turn(c->worker);
	if (len < c->input_max && !read_some(c, c->input_max - len) && c->peer_end == FTX_OK)
		return; /* woken for nothing */
	conn_update_reading(c);
	c->io->on_input(c->io_arg);
}

void
conn_read_now(struct conn *c)
{
	size_t len;

	if (c->closing)
		return;
	while (c->peer_end == FTX_OK && (len = evbuffer_get_length(conn_in(c))) < c->input_max) {
		if (!read_some(c, c->input_max - len))
			break;
	}
	conn_update_reading(c);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	worker_begin_turn(c->worker);
	if (!c->closing)
		c->io->on_output(c->io_arg);
}

/*
 * Only writing can fail here. What the peer had said before it went (a refusal, say) is in the
 * kernel still: it is read to the end, and the failure stands behind it as the peer's end.
 */
static void
on_bev_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	(void)what;
	worker_begin_turn(c->worker);
	if (c->closing)
		return;
	bufferevent_disable(c->bev, EV_WRITE);
	conn_read_now(c);
	if (c->peer_end == FTX_OK || c->peer_end == FTX_TRUNCATED)
		c->peer_end = FTX_RESET;
	conn_update_reading(c);
	c->io->on_input(c->io_arg);
}

static void
on_output_change(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	(void)out;
	if (info->n_deleted > 0)
		conn_count_sent(c, info->n_deleted);
}

static void
ignore_bytes(void *arg)
{
	(void)arg;
}

enum ftx_rc
conn_new(struct conn **out, struct worker *w, int fd, const struct addr *peer,
    const struct conn_limits *limits)
{
	static const struct conn_io silent = { ignore_bytes, ignore_bytes };
	static _Atomic uint64_t ids;
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c == NULL) {
		close(fd);
		return FTX_NOMEM;
	}
	c->worker = w;
	c->fd = fd;
	c->limits = *limits;
	c->io = &silent;
	c->input_max = CONN_INPUT_SMALL;
	c->id = ++ids;
	c->started = c->received_at = c->taken_at = worker_now(w);
	if (peer != NULL)
		addr_text(peer, c->peer);
	/* Answers are small and wanted at once. A socketpair has no such option, and no acks. */
	c->acknowledges = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0;
	c->bev = bufferevent_socket_new(worker_base(w), fd, 0);
	c->reading = event_new(worker_base(w), fd, EV_READ | EV_PERSIST, on_readable, c);
	if (c->bev == NULL || c->reading == NULL ||
	    worker_timer_init(w, &c->timer, conn_on_finish_deadline, c) != FTX_OK)
		goto fail;
	bufferevent_setcb(c->bev, NULL, on_written, on_bev_event, c);
	/* The input is ours to add to, not the bufferevent's. */
	if (bufferevent_disable(c->bev, EV_READ) != 0 || evbuffer_unfreeze(conn_in(c), 0) != 0 ||
	    evbuffer_add_cb(conn_out(c), on_output_change, c) == NULL ||
	    event_add(c->reading, NULL) != 0)
		goto fail;
	*out = c;
	return FTX_OK;
fail:
	conn_reap(&c->grave);
	return FTX_NOMEM;
}

void
conn_set_conversation(struct conn *c, void (*on_close)(void *arg, enum ftx_rc why), void *arg)
{
	c->on_close = on_close;
	c->on_close_arg = arg;
}

void
conn_set_owner(struct conn *c, void (*on_close)(void *arg, enum ftx_rc why), void *arg)
{
	c->on_owner_close = on_close;
	c->owner = arg;
}

void
conn_set_io(struct conn *c, const struct conn_io *io, void *arg)
{
	c->io = io;
	c->io_arg = arg;
}

bool
conn_has_io(const struct conn *c, const void *arg)
{
	return c->io_arg == arg;
}

uint64_t
conn_id(const struct conn *c)
{
	return c->id;
}

struct worker *
conn_worker(struct conn *c)
{
	return c->worker;
}

const struct conn_limits *
conn_limits(const struct conn *c)
{
	return &c->limits;
}

void
conn_describe(struct conn *c, const char *op, const char *name)
{
	c->op = op;
	free(c->name);
	c->name = strdup(name); /* NULL: the line does without */
}

void
conn_log_content(struct conn *c, uint64_t bytes)
{
	c->content = bytes;
}

size_t
conn_input_length(const struct conn *c)
{
	return evbuffer_get_length(conn_in(c));
}

bool
conn_take(struct conn *c, void *buf, size_t len)
{
	if (conn_input_length(c) < len)
		return false;
	evbuffer_remove(conn_in(c), buf, len);
	conn_consumed(c);
	return true;
}

bool
conn_peek(const struct conn *c, void *buf, size_t len)
{
	if (conn_input_length(c) < len)
		return false;
	evbuffer_copyout(conn_in(c), buf, len);
	return true;
}

void
conn_drop_input(struct conn *c)
{
	evbuffer_drain(conn_in(c), evbuffer_get_length(conn_in(c)));
	conn_consumed(c);
}

struct evbuffer *
conn_input(struct conn *c)
{
	return conn_in(c);
}

void
conn_consumed(struct conn *c)
{
	conn_update_reading(c);
}

void
conn_set_input_max(struct conn *c, size_t bytes)
{
	c->input_max = bytes;
	conn_update_reading(c);
}

enum ftx_rc
conn_peer_end(const struct conn *c)
{
	return c->peer_end;
}

/*
 * The bufferevent writes by itself what is added to it, but for want of memory it may have lost the
 * callback that does so when it was made, or its event now, and says nothing.
 */
static enum ftx_rc
see_to_writing(struct conn *c)
{
	if ((bufferevent_get_enabled(c->bev) & EV_WRITE) != 0 &&
	    bufferevent_enable(c->bev, EV_WRITE) != 0)
		return FTX_NOMEM;
	return FTX_OK;
}

enum ftx_rc
conn_write(struct conn *c, const void *p, size_t len)
{
	if (bufferevent_write(c->bev, p, len) != 0)
		return FTX_NOMEM;
	return see_to_writing(c);
}

enum ftx_rc
conn_write_buffer(struct conn *c, struct evbuffer *from)
{
	if (bufferevent_write_buffer(c->bev, from) != 0)
		return FTX_NOMEM;
	return see_to_writing(c);
}

size_t
conn_output_length(const struct conn *c)
{
	return evbuffer_get_length(conn_out(c));
}

void
conn_set_output_low(struct conn *c, size_t bytes)
{
	bufferevent_setwatermark(c->bev, EV_WRITE, bytes, 0);
}

void
conn_set_abortive(struct conn *c, bool abortive)
{
	struct linger l = { .l_onoff = abortive, .l_linger = 0 };

	if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) != 0)
		log_error("conn=%" PRIu64 " SO_LINGER: %s", c->id, ftx_errno_text(errno));
}
