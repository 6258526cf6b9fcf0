#include "stammer/relay.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "stammer/sock.h"

#define ACCEPT_MAX   32  /* connections taken in one callback; then the open ones have their turn */
#define ACCEPT_PAUSE 100 /* ms without accepting when descriptors or memory ran out */

struct relay {
	const struct connection_settings *settings; /* borrowed */
	int listener;                               /* owned */
	int spare;               /* owned: the next connection's socket to the server, or -1 */
	struct event *accepting; /* owned */
	struct event *retry;     /* owned: runs while accepting pauses */
	bool complained;         /* one warning for each time that accepting fails */
	uint64_t accepted;       /* the last connection's number */
	LIST_HEAD(relay_list, connection) members; /* owned */
};

/*
 * Waits for a descriptor to come free: a listening socket that cannot be served would wake the
 * loop for ever.
 */
static void
relay_pause(struct relay *r)
{
	struct timeval tv = { .tv_usec = ACCEPT_PAUSE * 1000L };

	if (!r->complained)
		log_warn("cannot accept for now: %s", ftx_errno_text(errno));
	r->complained = true;
	/* Without a timer (no memory) it keeps trying at each turn: busy, but not deaf. */
	if (event_add(r->retry, &tv) == 0)
		(void)event_del(r->accepting);
}

static void
relay_resume(struct relay *r)
{
	struct timeval tv = { .tv_usec = ACCEPT_PAUSE * 1000L };

	if (event_add(r->accepting, NULL) == 0)
		(void)event_del(r->retry);
	else
		(void)event_add(r->retry, &tv);
}

static void
on_connection_close(struct connection *c, void *arg)
{
	struct relay *r = arg;

	LIST_REMOVE(c, link);
	if (event_pending(r->retry, EV_TIMEOUT, NULL))
		relay_resume(r);
}

static void
relay_add(struct relay *r, int client, const struct addr *peer)
{
	char text[ADDR_TEXT_SIZE];
	struct connection *c;
	int server = r->spare;

	r->spare = -1;
	r->complained = false;
	r->accepted++;
	log_debug("connection %" PRIu64 " opened: from %s", r->accepted, addr_text(peer, text));
	if (connection_new(&c, r->settings, r->accepted, client, server, on_connection_close, r) !=
	    FTX_OK)
		return;
	LIST_INSERT_HEAD(&r->members, c, link);
	connection_start(c);
}

/* The process or the system has no room for another socket: that may pass. */
static bool
is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/*
 * The peer gave up, or its network did, before it was accepted (accept(2)): the next may be well.
 */
static bool
is_lost_peer(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)what;
	for (int i = 0; i < ACCEPT_MAX; i++) {
		struct addr peer;
		int client;

		/* First the socket to the server: nobody is accepted who cannot be connected. */
		if (r->spare < 0)
			r->spare = sock_open(r->settings->servers[0].ss.ss_family);
		if (r->spare < 0 && is_shortage(errno)) {
			relay_pause(r);
			return;
		}
		client = sock_accept(fd, &peer);
		if (client >= 0)
			relay_add(r, client, &peer);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (!is_lost_peer(errno)) {
			relay_pause(r);
			return;
		}
	}
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	relay_resume(arg);
}

enum ftx_rc
relay_new(struct relay **out, const struct connection_settings *settings, struct addr *listen)
{
	struct relay *r = calloc(1, sizeof(*r));
	enum ftx_rc rc = FTX_NOMEM;
	int err;

	if (r == NULL)
		return FTX_NOMEM;
	r->settings = settings;
	r->spare = -1;
	LIST_INIT(&r->members);
	r->listener = sock_listen(listen);
	if (r->listener < 0) {
		rc = FTX_IO;
		goto fail;
	}
	r->accepting = event_new(settings->base, r->listener, EV_READ | EV_PERSIST, on_accept, r);
	r->retry = evtimer_new(settings->base, on_retry, r);
	if (r->accepting == NULL || r->retry == NULL || event_add(r->accepting, NULL) != 0)
		goto fail;
	*out = r;
	return FTX_OK;
fail:
	err = errno;
	relay_free(r);
	errno = err;
	return rc;
}

void
relay_free(struct relay *r)
{
	struct connection *c, *next;

	if (r == NULL)
		return;
	for (c = LIST_FIRST(&r->members); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		connection_abort(c);
	}
	if (r->accepting != NULL)
		event_free(r->accepting);
	if (r->retry != NULL)
		event_free(r->retry);
	if (r->spare >= 0)
		close(r->spare);
	if (r->listener >= 0)
		close(r->listener);
	free(r);
}
