#include "net/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/worker.h"
#include "net/congestion.h"

struct dial {
	struct grave grave;
	struct worker *worker; /* borrowed */
	struct addr *addrs;    /* owned */
	size_t count, next;
	uint64_t timeout_ms;
	const char *congestion; /* borrowed */
	int fd;                 /* owned while an attempt is under way */
	struct event *event;    /* owned: of that attempt */
	struct timer timer;     /* the attempt's deadline; also starts the first one */
	int err;                /* why the last attempt failed */
	void (*done)(void *arg, int fd, const struct addr *peer, int err);
	void *arg; /* borrowed */
};

static void try_next(struct dial *d);

static void
drop_attempt(struct dial *d)
{
	if (d->event != NULL)
		event_free(d->event);
	d->event = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void
attempt_failed(struct dial *d, int err)
{
	drop_attempt(d);
	d->err = err;
	try_next(d);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	int err = 0;
	socklen_t len = sizeof(err);

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err != 0) {
		attempt_failed(d, err);
		return;
	}
	worker_timer_stop(d->worker, &d->timer);
	event_free(d->event);
	d->event = NULL;
	d->fd = -1; /* the callee's */
	d->done(d->arg, (int)fd, &d->addrs[d->next - 1], 0);
}

/* Starts an attempt; false when it failed at once. */
static bool
try_one(struct dial *d, const struct addr *a)
{
	d->fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		goto fail;
	errno = congestion_set(d->fd, d->congestion, a);
	if (errno != 0)
		goto fail;
	if (connect(d->fd, (const struct sockaddr *)&a->ss, a->len) != 0 && errno != EINPROGRESS)
		goto fail;
	errno = ENOMEM;
	d->event = event_new(worker_base(d->worker), d->fd, EV_WRITE, on_connected, d);
	if (d->event == NULL || event_add(d->event, NULL) != 0)
		goto fail;
	worker_timer_start(d->worker, &d->timer, clock_after(worker_now(d->worker), d->timeout_ms));
	return true;
fail:
	d->err = errno;
	drop_attempt(d);
	return false;
}

static void
try_next(struct dial *d)
{
	while (d->next < d->count) {
		if (try_one(d, &d->addrs[d->next++]))
			return;
	}
	worker_timer_stop(d->worker, &d->timer);
	d->done(d->arg, -1, NULL, d->err);
}

static void
on_dial_timer(void *arg)
{
	struct dial *d = arg;

	if (d->fd >= 0)
		attempt_failed(d, ETIMEDOUT);
	else
		try_next(d); /* the start */
}

static void
dial_reap(struct grave *g)
{
	struct dial *d = (struct dial *)g; /* its first member */

	free(d->addrs);
	free(d);
}

void
dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	drop_attempt(d);
	worker_timer_clear(d->worker, &d->timer);
	d->grave.reap = dial_reap;
	worker_bury(d->worker, &d->grave);
}

enum ftx_rc
dial_start(struct dial **out, struct worker *w, const struct addr *addrs, size_t count,
    uint64_t timeout_ms, const char *congestion,
    void (*done)(void *arg, int fd, const struct addr *peer, int err), void *arg)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return FTX_NOMEM;
	d->worker = w;
	d->fd = -1;
	d->err = EHOSTUNREACH;
	d->count = count;
	d->timeout_ms = timeout_ms;
	d->congestion = congestion;
	d->done = done;
	d->arg = arg;
	d->addrs = calloc(count > 0 ? count : 1, sizeof(*addrs));
	if (d->addrs == NULL || worker_timer_init(w, &d->timer, on_dial_timer, d) != FTX_OK) {
		dial_reap(&d->grave);
		return FTX_NOMEM;
	}
	memcpy(d->addrs, addrs, count * sizeof(*addrs));
	worker_timer_start(w, &d->timer, worker_now(w));
	*out = d;
	return FTX_OK;
}

enum ftx_rc
dial_rc(int err)
{
	enum ftx_rc rc = ftx_rc_from_errno(err);

	return rc == FTX_IO || rc == FTX_ACCESS ? FTX_CONNECT : rc; /* those speak of files */
}
