#include "daemon/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "loop/worker.h"

#define BACKLOG     1024 /* connections; the kernel caps it at net.core.somaxconn (listen(2)) */
#define ACCEPT_TURN 16   /* connections taken in one turn of the loop */
#define RETRY_MS    250  /* after accept(2) failed for want of something */

struct listener {
	struct worker *worker; /* borrowed */
	int fd;                /* owned */
	struct event *event;   /* owned; not pending while paused */
	struct timer retry;
	bool paused;
	uint64_t say_next; /* when it may be said again that accept(2) failed */
	listener_accept_cb *on_accept;
	void *arg; /* borrowed */
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
	if (log_is_due(&l->say_next))
		log_warn("cannot accept connections for now: %s", ftx_errno_text(err));
	listener_pause(l);
	worker_timer_start(l->worker, &l->retry, worker_now(l->worker) + RETRY_MS);
}

static void
on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
	struct listener *l = arg;
	struct addr peer;

	(void)what;
	worker_begin_turn(l->worker);
	for (int i = 0; i < ACCEPT_TURN && !l->paused; i++) {
		int fd = accept_one((int)listen_fd, &peer);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				starve(l, errno);
			return;
		}
		l->on_accept(l->arg, fd, &peer);
	}
}

static int
bind_and_listen(struct addr *addr)
{
	int one = 1, saved;
	int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* An IPv6 socket takes no IPv4 connections: each address of the list stands for itself. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    (addr->ss.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0) ||
	    bind(fd, (struct sockaddr *)&addr->ss, addr->len) != 0 || listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* fd becomes the listener's; on failure it is closed. */
static enum ftx_rc
listen_with(struct listener **out, struct worker *w, int fd, listener_accept_cb *on_accept,
    void *arg, int *err)
{
	struct listener *l = calloc(1, sizeof(*l));

	*err = ENOMEM;
	if (l == NULL) {
		close(fd);
		return FTX_NOMEM;
	}
	l->worker = w;
	l->on_accept = on_accept;
	l->arg = arg;
	l->fd = fd;
	l->event = event_new(worker_base(w), l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
	if (l->event == NULL || worker_timer_init(w, &l->retry, on_retry, l) != FTX_OK ||
	    event_add(l->event, NULL) != 0) {
		listener_free(l);
		return FTX_NOMEM;
	}
	*out = l;
	return FTX_OK;
}

enum ftx_rc
listener_new(struct listener **out, struct worker *w, struct addr *addr,
    listener_accept_cb *on_accept, void *arg, int *err)
{
	int fd = bind_and_listen(addr);

	if (fd < 0) {
		*err = errno;
		return FTX_CONNECT;
	}
	return listen_with(out, w, fd, on_accept, arg, err);
}

enum ftx_rc
listener_adopt(struct listener **out, struct worker *w, int fd, struct addr *addr,
    listener_accept_cb *on_accept, void *arg, int *err)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->ss);
	if (getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len) != 0 ||
	    evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0) {
		*err = errno;
		close(fd);
		return FTX_CONNECT;
	}
	return listen_with(out, w, fd, on_accept, arg, err);
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
