#include "stammer/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/clock.h"
#include "base/log.h"
#include "stammer/sock.h"

#define TURNS_MAX      16   /* reads and sends each way in one callback; then others follow */
#define FAULT_WAIT     2000 /* ms: the longest that a reset waits for arrival, a cut for closing */
#define FAULT_INTERVAL 5    /* ms between two looks whether the bytes before a reset have arrived */

static const struct fault_script *
script_of(const struct connection *c)
{
	static const struct fault_script none;
	uint64_t faulty = c->settings->faulty;

	return faulty == 0 || c->number <= faulty ? c->settings->script : &none;
}

static struct side *
way_source(struct connection *c, enum way way)
{
	return &c->sides[way == WAY_UP ? SIDE_CLIENT : SIDE_SERVER];
}

static struct side *
way_sink(struct connection *c, enum way way)
{
	return &c->sides[way == WAY_UP ? SIDE_SERVER : SIDE_CLIENT];
}

/*
 * Decides how the connection ends; what said so first counts. It is freed when the callback
 * returns.
 */
static void
connection_end(struct connection *c, bool reset, const char *reason, int err)
{
	if (c->phase == PHASE_OVER)
		return;
	c->phase = PHASE_OVER;
	c->reset = reset;
	c->reason = reason;
	c->err = err;
}

static void
connection_schedule(struct connection *c, struct event *timer, uint64_t ms)
{
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (event_add(timer, &tv) != 0)
		connection_end(c, true, "no-memory", 0);
}

static void
side_close(struct side *s, bool reset)
{
	if (s->event != NULL)
		event_free(s->event);
	s->event = NULL;
	if (s->fd >= 0 && reset)
		sock_reset(s->fd);
	else if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->connected = s->readable = s->writable = false;
}

/* The one way out. */
static void
connection_free(struct connection *c)
{
	for (int i = 0; i < SIDE_COUNT; i++)
		side_close(&c->sides[i], c->reset);
	log_debug("connection %" PRIu64 " closed: up=%" PRIu64 " down=%" PRIu64 " reason=%s%s%s",
	    c->number, c->ways[WAY_UP].forwarded, c->ways[WAY_DOWN].forwarded, c->reason,
	    c->err != 0 ? ": " : "", c->err != 0 ? ftx_errno_text(c->err) : "");
	if (c->on_close != NULL)
		c->on_close(c, c->arg);
	for (enum way way = 0; way < WAY_COUNT; way++) {
		if (c->pause[way] != NULL)
			event_free(c->pause[way]);
		if (c->travel[way] != NULL)
			event_free(c->travel[way]);
		forward_clear(&c->ways[way]);
	}
	if (c->later != NULL)
		event_free(c->later);
	free(c);
}

/* The last call of each callback: nothing may touch c behind it. */
static void
connection_settle(struct connection *c)
{
	if (c->phase == PHASE_OVER)
		connection_free(c);
}

static void on_side(evutil_socket_t fd, short what, void *arg);

/*
 * Watches for everything as long as the socket lives. Edge-triggered, so that a reset is seen
 * although nothing is being read (the buffer is full, or the connection stalls), and yet bytes
 * that wait do not make the loop spin.
 */
static bool
side_watch(struct side *s)
{
	sock_limit_output(s->fd, s->connection->settings->buffer);
	s->event = event_new(s->connection->settings->base, s->fd,
	    EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_side, s);
	return s->event != NULL && event_add(s->event, NULL) == 0;
}

/*
 * Begins to connect to the next of the server's addresses; without a further one the connection
 * ends.
 */
static void
connection_connect(struct connection *c, int err)
{
	const struct connection_settings *set = c->settings;
	struct side *s = &c->sides[SIDE_SERVER];

	while (c->next_server < set->server_count) {
		const struct addr *a = &set->servers[c->next_server++];

		if (s->fd < 0)
			s->fd = sock_open(a->ss.ss_family);
		if (s->fd >= 0 && (connect(s->fd, (const struct sockaddr *)&a->ss, a->len) == 0 ||
				      errno == EINPROGRESS)) {
			if (!side_watch(s))
				connection_end(c, true, "no-memory", 0);
			return;
		}
		err = errno;
		side_close(s, false);
	}
	connection_end(c, true, "not-reached", err);
}

/* s is reset, or broken in another way. */
static void
side_fail(struct side *s, int err)
{
	struct connection *c = s->connection;
	static const char *const lost[] = { "client-lost", "server-lost" };
	enum connection_side which = s == &c->sides[SIDE_CLIENT] ? SIDE_CLIENT : SIDE_SERVER;
	struct side *other = &c->sides[which == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT];

	switch (c->phase) {
	case PHASE_FORWARD:
		/*
		 * A server that accepts and resets before the loop looks was reached all the
		 * same.
		 */
		if (which == SIDE_SERVER && !s->connected && err != ECONNRESET && err != EPIPE) {
			side_close(s, false);
			connection_connect(c, err);
		} else
			connection_end(c, true, lost[which], err);
		break;
	case PHASE_RESET:
		connection_end(c, true, "reset", 0);
		break;
	case PHASE_CUT:
		s->ended = true;
		if (other->ended)
			connection_end(c, false, "cut", 0);
		break;
	case PHASE_STALL:
		/* The other side must not notice. */
		side_close(s, false);
		if (other->fd < 0)
			connection_end(c, true, "stall", 0);
		break;
	case PHASE_OVER:
		break;
	}
}

/*
 * Reset fault: now, if all that was sent has arrived, so that the receiver can read exactly that
 * much.
 */
static void
connection_reset_flushed(struct connection *c)
{
	bool flushed =
	    sock_is_flushed(c->sides[SIDE_CLIENT].fd) && sock_is_flushed(c->sides[SIDE_SERVER].fd);

	if (flushed || clock_now_ms() >= c->deadline)
		connection_end(c, true, "reset", 0);
	else
		connection_schedule(c, c->later, FAULT_INTERVAL);
}

/*
 * Cut fault: a socket that is closed with bytes unread would reset; so they are read, for a
 * while.
 */
static void
connection_discard(struct connection *c)
{
	bool more = false;

	for (int i = 0; i < SIDE_COUNT; i++) {
		struct side *s = &c->sides[i];

		for (int turns = 0; s->readable && !s->ended && turns < TURNS_MAX; turns++) {
			long n = sock_discard(s->fd);

			s->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
			s->readable = n > 0;
		}
		more = more || (s->readable && !s->ended);
	}
	if (c->sides[SIDE_CLIENT].ended && c->sides[SIDE_SERVER].ended)
		connection_end(c, false, "cut", 0);
	else if (clock_now_ms() >= c->deadline)
		connection_end(c, false, "cut", ETIMEDOUT);
	else
		connection_schedule(c, c->later, more ? 0 : c->deadline - clock_now_ms());
}

/* The fault at this byte count, if there is one. From then on nothing is forwarded. */
static void
connection_meet_fault(struct connection *c, enum way way)
{
	uint64_t forwarded = c->ways[way].forwarded;
	enum fault_kind kind = fault_due(script_of(c), way, forwarded);

	if (kind == FAULT_NONE || c->phase != PHASE_FORWARD)
		return;
	log_debug("connection %" PRIu64 ": %s after %" PRIu64 " bytes %s", c->number,
	    fault_name(kind), forwarded, way_name(way));
	for (enum way w = 0; w < WAY_COUNT; w++) {
		event_del(c->pause[w]);
		event_del(c->travel[w]);
	}
	c->deadline = clock_now_ms() + FAULT_WAIT;
	switch (kind) {
	case FAULT_RESET:
		c->phase = PHASE_RESET;
		connection_reset_flushed(c);
		break;
	case FAULT_CUT:
		c->phase = PHASE_CUT;
		for (int i = 0; i < SIDE_COUNT; i++)
			(void)shutdown(
			    c->sides[i].fd, SHUT_WR); /* if reset meanwhile: discard sees it */
		connection_discard(c);
		break;
	case FAULT_STALL:
		c->phase = PHASE_STALL;
		event_del(c->later);
		for (int i = 0; i < SIDE_COUNT; i++)
			sock_probe(c->sides[i].fd);
		break;
	case FAULT_NONE:
	case FAULT_KIND_COUNT:
		break;
	}
}

/*
 * One read of that direction, if there is something to read and room for it. True: something
 * moved.
 */
static bool
way_read(struct connection *c, enum way way)
{
	struct side *source = way_source(c, way);
	struct forward *f = &c->ways[way];

	if (!source->connected || !source->readable || f->ended || forward_room(f) == 0)
		return false;
	switch (forward_read(f, source->fd)) {
	case FORWARD_MOVED:
	case FORWARD_END:
		return true;
	case FORWARD_BLOCKED:
		source->readable = false;
		break;
	case FORWARD_ERROR:
		side_fail(source, errno);
		break;
	}
	return false;
}

/* What is still on its way brings itself back to mind. */
static void
way_travel(struct connection *c, enum way way)
{
	struct forward *f = &c->ways[way];
	uint64_t wait = latency_wait(&f->latency);

	if (c->phase == PHASE_FORWARD && wait > 0 && forward_ready(f) == 0 &&
	    !event_pending(c->travel[way], EV_TIMEOUT, NULL))
		connection_schedule(c, c->travel[way], wait);
}

/*
 * One send, if there is something to send and it is time; behind the last one the FIN. True:
 * something moved.
 */
static bool
way_send(struct connection *c, enum way way)
{
	struct side *sink = way_sink(c, way);
	struct forward *f = &c->ways[way];
	bool moved = false;

	if (!sink->connected || !sink->writable || event_pending(c->pause[way], EV_TIMEOUT, NULL))
		return false;
	if (forward_ready(f) > 0) {
		uint64_t limit = fault_limit(script_of(c), way, f->forwarded);

		switch (forward_send(f, sink->fd, limit)) {
		case FORWARD_MOVED:
			moved = true;
			if (f->fragment == 0 && forward_ready(f) > 0 && c->settings->delay > 0)
				connection_schedule(c, c->pause[way], c->settings->delay);
			connection_meet_fault(c, way);
			break;
		case FORWARD_BLOCKED:
			sink->writable = false;
			break;
		case FORWARD_END:
		case FORWARD_ERROR:
			side_fail(sink, errno);
			break;
		}
	}
	way_travel(c, way);
	if (c->phase == PHASE_FORWARD && forward_is_over(f) && !c->finished[way]) {
		c->finished[way] = true;
		if (shutdown(sink->fd, SHUT_WR) != 0)
			side_fail(sink, errno);
		else if (c->finished[WAY_UP] && c->finished[WAY_DOWN])
			connection_end(c, false, "closed", 0);
	}
	return moved;
}

/* Goes on with whatever can go on: called after each event. */
static void
connection_run(struct connection *c)
{
	bool moved = true;

	if (c->phase == PHASE_CUT)
		connection_discard(c);
	for (int turn = 0; moved && c->phase == PHASE_FORWARD; turn++) {
		if (turn == TURNS_MAX) {
			/*
			 * Not event_active(): that would run before the others' events are looked
			 * for.
			 */
			connection_schedule(c, c->later, 0);
			return;
		}
		moved = false;
		for (enum way way = 0; way < WAY_COUNT; way++) {
			moved = way_read(c, way) || moved;
			moved = way_send(c, way) || moved;
		}
	}
}

static void
on_side(evutil_socket_t fd, short what, void *arg)
{
	struct side *s = arg;
	struct connection *c = s->connection;
	int err = sock_error(fd);

	s->readable = s->readable || (what & EV_READ) != 0;
	s->writable = s->writable || (what & EV_WRITE) != 0;
	if (err != 0)
		side_fail(s, err);
	else if (!s->connected && s->writable) {
		s->connected = true;
		for (enum way way = 0; way < WAY_COUNT; way++)
			connection_meet_fault(c, way); /* at 0 bytes */
	}
	connection_run(c);
	connection_settle(c);
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	(void)what;
	connection_run(c);
	connection_settle(c);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	(void)what;
	if (c->phase == PHASE_RESET)
		connection_reset_flushed(c);
	else
		connection_run(c);
	connection_settle(c);
}

enum ftx_rc
connection_new(struct connection **out, const struct connection_settings *settings, uint64_t number,
    int client, int server, void (*on_close)(struct connection *c, void *arg), void *arg)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		sock_reset(client);
		if (server >= 0)
			close(server);
		return FTX_NOMEM;
	}
	c->settings = settings;
	c->number = number;
	c->sides[SIDE_CLIENT] = (struct side){ .connection = c, .fd = client, .connected = true };
	c->sides[SIDE_SERVER] = (struct side){ .connection = c, .fd = server };
	for (enum way way = 0; way < WAY_COUNT; way++) {
		c->pause[way] = evtimer_new(settings->base, on_pause_over, c);
		c->travel[way] = evtimer_new(settings->base, on_pause_over, c);
		if (c->pause[way] == NULL || c->travel[way] == NULL ||
		    forward_init(&c->ways[way], settings->buffer, settings->latency, settings->seed,
			number * WAY_COUNT + way) != FTX_OK)
			goto fail;
	}
	c->later = evtimer_new(settings->base, on_later, c);
	if (c->later == NULL)
		goto fail;
	c->on_close = on_close;
	c->arg = arg;
	*out = c;
	return FTX_OK;
fail:
	connection_end(c, true, "no-memory", 0);
	connection_free(c);
	return FTX_NOMEM;
}

void
connection_start(struct connection *c)
{
	if (!side_watch(&c->sides[SIDE_CLIENT]))
		connection_end(c, true, "no-memory", 0);
	else
		connection_connect(c, 0);
	connection_settle(c);
}

void
connection_abort(struct connection *c)
{
	connection_end(c, true, "shutdown", 0);
	connection_free(c);
}
