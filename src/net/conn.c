#include "net/conn.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rc.h"
#include "loop/chunk.h"
#include "loop/worker.h"
#include "net/conn_private.h"

static bool
wants_input(const struct conn *c)
{
	if (c->closing || c->peer_end != FTX_OK)
		return false;
	return c->bulk ? !c->paused : c->in.len < c->input_max;
}

/* Reads as long as somebody may want it: not beyond the peer's end, not beyond the maximum. */
void
conn_update_reading(struct conn *c)
{
	if (!wants_input(c))
		event_del(&c->reading);
	else if (event_add(&c->reading, NULL) != 0)
		c->peer_end = FTX_NOMEM; /* we shall not hear of it again */
}

/* One read from the socket. 0: nothing more to be had now. */
size_t
conn_read_socket(struct conn *c, void *p, size_t len)
{
	ssize_t n;

	do {
		n = recv(c->fd, p, len, 0);
	} while (n < 0 && errno == EINTR);
	return conn_count_read(c, n);
}

size_t
conn_count_read(struct conn *c, ssize_t n)
{
	if (n > 0) {
		conn_count_received(c, (size_t)n);
		return (size_t)n;
	}
	if (n == 0)
		c->peer_end = c->failure_told ? c->output_failure : FTX_TRUNCATED;
	else if (errno != EAGAIN && errno != EWOULDBLOCK)
		c->peer_end = ftx_rc_from_errno(errno);
	else if (c->failure_told)
		c->peer_end = c->output_failure;
	return 0;
}

/*
 * One read into the input, whose bytes may stay in the chunk until take_over_input(). False:
 * nothing more to be had now.
 */
static bool
read_into_chunk(struct conn *c, struct chunk *chunk)
{
	size_t room = c->input_max - c->in.len, n;
	size_t most = c->header > 0 ? c->header : CONN_READ_MAX;

	n = conn_read_socket(c, chunk->data, room < most ? room : most);
	if (n > 0 && c->in.len == 0)
		buf_lend(&c->in, chunk->data, n, n);
	else if (n > 0 && !buf_add(&c->in, chunk->data, n)) {
		c->peer_end = FTX_NOMEM;
		return false;
	}
	return n > 0;
}

/* The chunk is to be used for something else. False: bytes were lost, which is the peer's end. */
static bool
take_over_input(struct conn *c)
{
	bool kept = buf_take_over(&c->in);

	if (!kept)
		c->peer_end = FTX_NOMEM;
	return kept;
}

static struct chunk *
get_chunk(struct conn *c)
{
	struct chunk *chunk = chunk_get(worker_chunks(c->worker));

	if (chunk == NULL)
		c->peer_end = FTX_NOMEM;
	return chunk;
}

static bool
read_input(struct conn *c)
{
	struct chunk *chunk = get_chunk(c);
	bool got = chunk != NULL && read_into_chunk(c, chunk);

	got = take_over_input(c) && got;
	chunk_put(worker_chunks(c->worker), chunk);
	return got;
}

void
conn_read_now(struct conn *c)
{
	if (c->closing)
		return;
	while (c->peer_end == FTX_OK && c->in.len < c->input_max) {
		if (!read_input(c))
			break;
	}
	conn_update_reading(c);
}

/*
 * What the peer had said before it went (a refusal, say) is in the kernel still: it is read to the
 * end, and the failure to write stands behind it as the peer's end.
 */
static void
tell_output_failed(struct conn *c)
{
	c->failure_told = true;
	if (!c->reads_on) {
		c->bulk = false;
		conn_read_now(c);
		if (c->peer_end == FTX_OK || c->peer_end == FTX_TRUNCATED)
			c->peer_end = c->output_failure;
	}
	conn_update_reading(c);
	c->io->on_input(c->io_arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct worker *w = c->worker;
	struct chunk *chunk = NULL;

	(void)fd;
	(void)what;
	worker_begin_turn(w);
	if (c->closing)
		return;
	if (c->output_failure != FTX_OK && !c->failure_told) {
		tell_output_failed(c);
		return;
	}
	if (!c->bulk && c->in.len < c->input_max) {
		chunk = get_chunk(c);
		if (chunk != NULL && !read_into_chunk(c, chunk) && c->peer_end == FTX_OK)
			goto out; /* woken for nothing */
	}
	if (!c->bulk)
		conn_update_reading(c);
	c->io->on_input(c->io_arg);
	if (!take_over_input(c) && !c->closing)
		c->io->on_input(c->io_arg);
out:
	chunk_put(worker_chunks(w), chunk);
}

/* Later in this turn: who writes does not expect to lose the connection within the call. */
void
conn_fail_output(struct conn *c, enum ftx_rc why)
{
	c->output_failure = why;
	buf_drain(&c->out, c->out.len);
	event_del(&c->writing);
	event_active(&c->reading, EV_READ, 0);
}

/* What a system call that sends has come to: bytes. 0: none now, or the output has failed. */
size_t
conn_count_taken(struct conn *c, ssize_t n)
{
	if (n >= 0) {
		conn_count_sent(c, (size_t)n);
		return (size_t)n;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		conn_fail_output(c, ftx_rc_from_errno(errno));
	return 0;
}

static size_t
send_some(struct conn *c, const void *p, size_t len, int flags)
{
	return conn_count_taken(c, send(c->fd, p, len, MSG_NOSIGNAL | flags));
}

static void
flush_output(struct conn *c)
{
	size_t n = send_some(c, buf_data(&c->out), c->out.len, 0);

	buf_drain(&c->out, n);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	worker_begin_turn(c->worker);
	if (c->closing)
		return;
	if (c->out.len > 0)
		flush_output(c);
	/* event_add() in conn_write() did nothing if the event was active then. */
	if (c->out.len > 0 && c->output_failure == FTX_OK && event_add(&c->writing, NULL) != 0)
		conn_fail_output(c, FTX_NOMEM);
	if (c->out.len > 0 || c->output_failure != FTX_OK)
		return;
	c->wants_output = false;
	c->io->on_output(c->io_arg);
	/* It has nothing more to send for now, or is at its end. */
	if (c->closing || (!c->wants_output && c->out.len == 0))
		event_del(&c->writing);
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
	c->local = peer == NULL;
	if (peer != NULL) {
		addr_text(peer, c->peer);
		c->local = addr_is_loopback(peer);
	}
	/* Answers are small and wanted at once. A socketpair has no such option, and no acks. */
	c->acknowledges = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0;
	event_assign(&c->reading, worker_base(w), fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writing, worker_base(w), fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (worker_timer_init(w, &c->timer, conn_on_finish_deadline, c) != FTX_OK ||
	    event_add(&c->reading, NULL) != 0)
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
conn_set_gone(struct conn *c, void (*on_gone)(void *arg))
{
	c->on_owner_gone = on_gone;
}

void
conn_set_io(struct conn *c, const struct conn_io *io, void *arg)
{
	c->io = io;
	c->io_arg = arg;
	c->wants_got = false;
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
	c->name = name != NULL ? strdup(name) : NULL; /* NULL: the line does without */
}

void
conn_add_content(struct conn *c, uint64_t bytes)
{
	c->content += bytes;
}

size_t
conn_input_length(const struct conn *c)
{
	return c->in.len;
}

bool
conn_peek(const struct conn *c, void *buf, size_t len)
{
	if (c->in.len < len)
		return false;
	if (len > 0)
		memcpy(buf, buf_data(&c->in), len);
	return true;
}

bool
conn_take(struct conn *c, void *buf, size_t len)
{
	if (!conn_peek(c, buf, len))
		return false;
	buf_drain(&c->in, len);
	conn_update_reading(c);
	return true;
}

const uint8_t *
conn_input(const struct conn *c)
{
	return c->in.len > 0 ? buf_data(&c->in) : NULL;
}

void
conn_skip(struct conn *c, size_t len)
{
	buf_drain(&c->in, len < c->in.len ? len : c->in.len);
	conn_update_reading(c);
}

void
conn_drop_input(struct conn *c)
{
	buf_clear(&c->in);
	conn_update_reading(c);
}

void
conn_set_input_max(struct conn *c, size_t bytes)
{
	c->input_max = bytes;
	conn_update_reading(c);
}

void
conn_set_header(struct conn *c, size_t bytes)
{
	c->header = bytes;
}

void
conn_set_reads_on(struct conn *c, bool reads_on)
{
	c->reads_on = reads_on;
}

enum ftx_rc
conn_peer_end(const struct conn *c)
{
	return c->peer_end;
}

enum ftx_rc
conn_write(struct conn *c, const void *p, size_t len)
{
	size_t n;

	if (c->closing)
		return FTX_OK; /* nobody will read it */
	n = c->out.len == 0 && c->output_failure == FTX_OK ? send_some(c, p, len, 0) : 0;
	if (c->output_failure != FTX_OK)
		return FTX_OK; /* nobody will read it; the end is told */
	if (n == len) {
		c->wants_output = true; /* on_writable() may be who called */
		event_active(&c->writing, EV_WRITE, 0);
		return FTX_OK;
	}
	if (!buf_add(&c->out, (const uint8_t *)p + n, len - n) || event_add(&c->writing, NULL) != 0)
		return FTX_NOMEM;
	return FTX_OK;
}

size_t
conn_output_length(const struct conn *c)
{
	return c->out.len;
}

void
conn_set_abortive(struct conn *c, bool abortive)
{
	struct linger l = { .l_onoff = abortive, .l_linger = 0 };

	if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) != 0)
		log_error("conn=%" PRIu64 " SO_LINGER: %s", c->id, ftx_errno_text(errno));
}
