#include "daemon/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "loop/worker.h"

#define ACCEPT_TURN 16  /* connections taken in one turn of the loop */
#define RETRY_MS    250 /* after accept(2) failed for want of something */

struct listener {
	struct worker *worker; /* borrowed */
	int fd;                /* owned */
	struct event *event;   /* owned; not pending while paused */
	struct timer retry;
	bool paused;
	const struct listener_taker *taker; /* borrowed */
};

void
listener_pause(struct listener *l)
{
	worker_timer_stop(l->worker, &l->retry);
	event_del(l->event);
	l->paused = true;
}

void
listener_resume(struct listener *l)
{
	if (!l->paused)
		return;
	worker_timer_stop(l->worker, &l->retry);
	if (event_add(l->event, NULL) != 0) {
		worker_timer_start(l->worker, &l->retry, worker_now(l->worker) + RETRY_MS);
		return;
	}
	l->paused = false;
}

static void
on_retry(void *arg)
{
	listener_resume(arg);
}

static int
accept_one(int fd, struct addr *peer)
{
	int conn;

	memset(peer, 0, sizeof(*peer));
	peer->len = sizeof(peer->ss);
	do {
		conn = accept4(
		    fd, (struct sockaddr *)&peer->ss, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		/*
		 * ECONNABORTED: that one left while it waited; the next may be there (accept(2)).
		 */
	} while (conn < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));
	return conn;
}

/*
 * No descriptor, no memory: the connection stays in the kernel's queue, which would wake us at once
 * and for ever. So we do not listen to it until something has become free, or for a while.
 */
static void
starve(struct listener *l, int err)
{
	if (log_is_due(l->taker->say_next))
		log_warn("cannot accept connections for now: %s", ftx_errno_text(err));
	listener_pause(l);
	worker_timer_start(l->worker, &l->retry, worker_now(l->worker) + RETRY_MS);
}

static void
on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
	struct listener *l = arg;
	const struct listener_taker *to = l->taker;
	struct addr peer;

	(void)what;
	worker_begin_turn(l->worker);
	for (int i = 0; i < ACCEPT_TURN && !l->paused && to->has_room(to->arg); i++) {
		int fd = accept_one((int)listen_fd, &peer);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				starve(l, errno);
			to->on_nobody(to->arg);
			return;
		}
		to->on_accept(to->arg, l, fd, &peer);
	}
}

enum ftx_rc
listener_new(struct listener **out, struct worker *w, int fd, const struct listener_taker *taker)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return FTX_NOMEM;
	}
	l->worker = w;
	l->taker = taker;
	l->fd = fd;
	l->paused = true;
	l->event = event_new(worker_base(w), l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
	if (l->event == NULL || worker_timer_init(w, &l->retry, on_retry, l) != FTX_OK) {
		listener_free(l);
		return FTX_NOMEM;
	}
	*out = l;
	return FTX_OK;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	if (l->event != NULL)
		event_free(l->event);
	worker_timer_clear(l->worker, &l->retry);
	close(l->fd); /* no shutdown(2): the service manager may listen on the same socket */
	free(l);
}
