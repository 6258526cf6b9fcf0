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

#include "base/log.h"
#include "loop/worker.h"

/* One read a turn, so that no peer keeps the loop to itself. */
#define READ_MAX ((size_t)64 * 1024)

struct conn {
	struct grave grave;
	struct worker *worker;   /* borrowed; outlives every conn */
	int fd;                  /* owned; closed by the reaper */
	struct bufferevent *bev; /* owned: output, errors, and the input's memory */
	struct event *reading;   /* owned: reads into the bufferevent's input */
	struct timer timer;      /* of conn_finish() */
	struct conn_limits limits;

	const struct conn_io *io; /* static */
	void *io_arg;             /* borrowed */
	void (*on_close)(void *arg, enum ftx_rc why);
	void *on_close_arg; /* borrowed: the conversation */
	void (*on_owner_close)(void *arg, enum ftx_rc why);
	void *owner; /* borrowed */

	size_t input_max;
	enum ftx_rc peer_end;
	bool busy, closing, finishing, shut;
	enum ftx_rc why; /* of the finish under way */
	uint64_t drained;
	uint64_t started, last_active; /* ms */

	uint64_t id;
	char peer[ADDR_TEXT_SIZE];
	const char *op; /* static; NULL: no request was understood */
	char *name;     /* owned; may be NULL */
	uint64_t content;
};

static struct evbuffer *
input_of(const struct conn *c)
{
	return bufferevent_get_input(c->bev);
}

static struct evbuffer *
output_of(const struct conn *c)
{
	return bufferevent_get_output(c->bev);
}

/* Reads as long as somebody may want it: not beyond the peer's end, not beyond the maximum. */
static void
update_reading(struct conn *c)
{
	if (c->closing || c->peer_end != FTX_OK || evbuffer_get_length(input_of(c)) >= c->input_max)
		event_del(c->reading);
	else if (event_add(c->reading, NULL) != 0)
		log_error("conn=%" PRIu64 " cannot be read from any more", c->id);
}

/* One read of at most max bytes. False: nothing more to be had now. */
static bool
read_some(struct conn *c, size_t max)
{
	struct evbuffer_iovec v[2];
	ssize_t n;
	int count;

	if (max > READ_MAX)
		max = READ_MAX;
	count = evbuffer_reserve_space(input_of(c), (ev_ssize_t)max, v, 2);
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
	if (evbuffer_commit_space(input_of(c), v, count) != 0) {
		c->peer_end = FTX_NOMEM;
		return false;
	}
	c->last_active = worker_now(c->worker);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	size_t len = evbuffer_get_length(input_of(c));

	(void)fd;
	(void)what;
	if (len < c->input_max && !read_some(c, c->input_max - len) && c->peer_end == FTX_OK)
		return; /* woken for nothing */
	update_reading(c);
	c->io->on_input(c->io_arg);
}

void
conn_read_now(struct conn *c)
{
	size_t len;

	if (c->closing)
		return;
	while (c->peer_end == FTX_OK && (len = evbuffer_get_length(input_of(c))) < c->input_max) {
		if (!read_some(c, c->input_max - len))
			break;
	}
	update_reading(c);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
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
	if (c->closing)
		return;
	bufferevent_disable(c->bev, EV_WRITE);
	conn_read_now(c);
	if (c->peer_end == FTX_OK || c->peer_end == FTX_TRUNCATED)
		c->peer_end = FTX_RESET;
	update_reading(c);
	c->io->on_input(c->io_arg);
}

/* Bytes that left for the kernel are life, too. */
static void
on_output_change(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	(void)out;
	if (info->n_deleted > 0)
		c->last_active = worker_now(c->worker);
}

static void
ignore_bytes(void *arg)
{
	(void)arg;
}

static void
conn_reap(struct grave *g)
{
	struct conn *c = (struct conn *)g; /* its first member */

	if (c->reading != NULL)
		event_free(c->reading);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	worker_timer_clear(c->worker, &c->timer);
	close(c->fd);
	free(c->name);
	free(c);
}

static void
on_finish_deadline(void *arg)
{
	struct conn *c = arg;

	/* Not all was taken by the peer, or it talks on: what was said is said. */
	conn_close(c, c->shut || c->why != FTX_OK ? c->why : FTX_IDLE_TIMEOUT);
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
	c->started = c->last_active = worker_now(w);
	if (peer != NULL)
		addr_text(peer, c->peer);
	/* Answers are small and wanted at once; a socketpair has no such option. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->bev = bufferevent_socket_new(worker_base(w), fd, 0);
	c->reading = event_new(worker_base(w), fd, EV_READ | EV_PERSIST, on_readable, c);
	if (c->bev == NULL || c->reading == NULL ||
	    worker_timer_init(w, &c->timer, on_finish_deadline, c) != FTX_OK)
		goto fail;
	bufferevent_setcb(c->bev, NULL, on_written, on_bev_event, c);
	/* The input is ours to add to, not the bufferevent's. */
	if (bufferevent_disable(c->bev, EV_READ) != 0 || evbuffer_unfreeze(input_of(c), 0) != 0 ||
	    evbuffer_add_cb(output_of(c), on_output_change, c) == NULL ||
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

const struct conn_io *
conn_io(const struct conn *c, void **arg)
{
	*arg = c->io_arg;
	return c->io;
}

uint64_t
conn_id(const struct conn *c)
{
	return c->id;
}

const char *
conn_peer(const struct conn *c)
{
	return c->peer;
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

uint64_t
conn_started(const struct conn *c)
{
	return c->started;
}

bool
conn_closing(const struct conn *c)
{
	return c->closing || c->finishing;
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
	return evbuffer_get_length(input_of(c));
}

bool
conn_take(struct conn *c, void *buf, size_t len)
{
	if (conn_input_length(c) < len)
		return false;
	evbuffer_remove(input_of(c), buf, len);
	conn_consumed(c);
	return true;
}

bool
conn_peek(const struct conn *c, void *buf, size_t len)
{
	if (conn_input_length(c) < len)
		return false;
	evbuffer_copyout(input_of(c), buf, len);
	return true;
}

void
conn_drop_input(struct conn *c)
{
	evbuffer_drain(input_of(c), evbuffer_get_length(input_of(c)));
	conn_consumed(c);
}

struct evbuffer *
conn_input(struct conn *c)
{
	return input_of(c);
}

void
conn_consumed(struct conn *c)
{
	update_reading(c);
}

void
conn_set_input_max(struct conn *c, size_t bytes)
{
	c->input_max = bytes;
	update_reading(c);
}

enum ftx_rc
conn_peer_end(const struct conn *c)
{
	return c->peer_end;
}

enum ftx_rc
conn_write(struct conn *c, const void *p, size_t len)
{
	return bufferevent_write(c->bev, p, len) == 0 ? FTX_OK : FTX_NOMEM;
}

enum ftx_rc
conn_write_buffer(struct conn *c, struct evbuffer *from)
{
	return bufferevent_write_buffer(c->bev, from) == 0 ? FTX_OK : FTX_NOMEM;
}

size_t
conn_output_length(const struct conn *c)
{
	return evbuffer_get_length(output_of(c));
}

void
conn_set_output_low(struct conn *c, size_t bytes)
{
	bufferevent_setwatermark(c->bev, EV_WRITE, bytes, 0);
}

uint64_t
conn_idle_since(const struct conn *c)
{
	return c->busy ? worker_now(c->worker) : c->last_active;
}

void
conn_set_busy(struct conn *c, bool busy)
{
	if (c->busy && !busy)
		c->last_active = worker_now(c->worker);
	c->busy = busy;
}

void
conn_set_abortive(struct conn *c, bool abortive)
{
	struct linger l = { .l_onoff = abortive, .l_linger = 0 };

	if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) != 0)
		log_error("conn=%" PRIu64 " SO_LINGER: %s", c->id, strerror(errno));
}

/* While finishing: all that arrives is thrown away, up to a bound. */
static void
drain_input(void *arg)
{
	struct conn *c = arg;
	size_t len = evbuffer_get_length(input_of(c));

	c->drained += len;
	evbuffer_drain(input_of(c), len);
	update_reading(c);
	if (c->peer_end != FTX_OK && c->peer_end != FTX_TRUNCATED)
		/* Reset by a peer that had heard enough, or not even that. */
		conn_close(c, c->shut || c->why != FTX_OK ? c->why : c->peer_end);
	else if (c->shut && (c->peer_end == FTX_TRUNCATED || c->drained > CONN_DRAIN_BYTES))
		conn_close(c, c->why);
}

static void
finish_output(void *arg)
{
	struct conn *c = arg;

	if (c->shut || evbuffer_get_length(output_of(c)) > 0)
		return;
	c->shut = true;
	if (shutdown(c->fd, SHUT_WR) != 0) {
		conn_close(c, c->why);
		return;
	}
	worker_timer_start(c->worker, &c->timer, worker_now(c->worker) + CONN_DRAIN_MS);
	drain_input(c);
}

void
conn_finish(struct conn *c, enum ftx_rc why)
{
	static const struct conn_io finishing = { drain_input, finish_output };

	if (c->closing || c->finishing)
		return;
	c->finishing = true;
	c->why = why;
	conn_set_io(c, &finishing, c);
	conn_set_output_low(c, 0);
	conn_set_input_max(c, READ_MAX);
	if (c->limits.idle_ms > 0) {
		worker_timer_start(c->worker, &c->timer, worker_now(c->worker) + c->limits.idle_ms);
	}
	finish_output(c);
}

static void
log_end(const struct conn *c, enum ftx_rc why)
{
	char quoted[LOG_QUOTE_SIZE] = "";

	if (c->name != NULL)
		log_quote(quoted, sizeof(quoted), c->name, strlen(c->name));
	log_info("conn=%" PRIu64 " peer=%s op=%s%s%s bytes=%" PRIu64 " ms=%" PRIu64 " reason=%s",
	    c->id, c->peer[0] != '\0' ? c->peer : "-", c->op != NULL ? c->op : "-",
	    c->name != NULL ? " name=" : "", quoted, c->content, worker_now(c->worker) - c->started,
	    ftx_rc_name(why));
}

void
conn_close(struct conn *c, enum ftx_rc why)
{
	if (c->closing)
		return;
	c->closing = true;
	event_del(c->reading);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	worker_timer_stop(c->worker, &c->timer);
	if (c->on_close != NULL)
		c->on_close(c->on_close_arg, why);
	log_end(c, why);
	if (c->on_owner_close != NULL)
		c->on_owner_close(c->owner, why);
	c->grave.reap = conn_reap;
	worker_bury(c->worker, &c->grave);
}

void
conn_reset(struct conn *c, enum ftx_rc why)
{
	if (c->closing)
		return;
	conn_set_abortive(c, true);
	conn_close(c, why);
}
