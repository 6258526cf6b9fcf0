#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "client/session.h"
#include "net/congestion.h"
#include "net/conn.h"
#include "net/dial.h"

#define IDLE_MS 60000 /* of the connection; the protocol's own silence is 45 s */

/*
 * One of a session's connections. It takes items from the queue while there is room in it, and is
 * made again when it breaks.
 */

static void
give_up(struct ftxfer_session *s, enum ftx_rc rc, enum v2_whose whose)
{
	if (s->hopeless == FTX_OK) {
		s->hopeless = rc;
		s->hopeless_whose = whose;
	}
	session_kick(s);
}

/* Of the session: op and what belongs to an item say nothing. */
static void
tell(struct ftxfer_session *s, enum ftxfer_event_type type, enum ftx_rc rc, uint64_t delay)
{
	const struct v2_outcome o = { .rc = rc, .whose = V2_WHOSE_CONNECTION };
	char text[SESSION_TEXT];
	const struct ftxfer_event e = { .size = sizeof(e),
		.type = type,
		.status = outcome_status(&o),
		.text = text,
		.delay = delay };

	connection_text(s, rc, text, sizeof(text));
	s->callbacks.on_event(s->arg, &e);
}

/* No connection came to be, or one that was there broke before it had brought anything. */
static void
failed(struct link *l, enum ftx_rc rc)
{
	struct ftxfer_session *s = l->s;
	uint64_t now = worker_now(s->worker), delay = session_backoff(l->failures++);

	l->due = now + delay;
	if (s->failing_since == 0)
		s->failing_since = now;
	if (now - s->failing_since >= s->retry_time)
		give_up(s, rc, V2_WHOSE_CONNECTION);
	else if (s->hopeless == FTX_OK && !s->cancelled)
		tell(s, FTXFER_EVENT_WAITING, rc, delay);
	session_kick(s);
}

static void
on_open(void *arg)
{
	struct link *l = arg;

	l->open = true;
	l->failures = 0;
	session_note_server(l->s, v2_client_server(l->client));
	if (l->s->failing_since != 0)
		tell(l->s, FTXFER_EVENT_CONNECTED, FTX_OK, 0);
	l->s->failing_since = 0;
	session_kick(l->s);
}

static void
on_ready(void *arg)
{
	struct link *l = arg;

	session_kick(l->s);
}

static void
on_goodbye(void *arg, uint32_t retry_after)
{
	struct link *l = arg;

	l->parting = true;
	l->due = worker_now(l->s->worker) +
		 (retry_after > 0 ? (retry_after < 60 ? retry_after : 60) * UINT64_C(1000)
				  : session_backoff(0));
}

static void
on_close(void *arg, const struct v2_outcome *o)
{
	struct link *l = arg;
	bool open = l->open;

	l->client = NULL;
	l->open = l->parting = false;
	if (o->rc == FTX_OK)
		return;
	log_debug("connection: %s", ftx_rc_name(o->rc));
	if (o->breach)
		give_up(l->s, o->rc, V2_WHOSE_SERVER);
	else if (!o->retryable && o->whose != V2_WHOSE_CONNECTION && !l->s->cancelled)
		give_up(l->s, o->rc, o->whose);
	else if (!open)
		failed(l, o->rc);
	else
		l->due = worker_now(l->s->worker) + session_backoff(l->failures++);
	session_kick(l->s);
}

static void
on_dialled(void *arg, int fd, const struct addr *peer, int err)
{
	static const struct v2_client_callbacks callbacks = { on_open, on_ready, on_goodbye,
		on_close };
	struct link *l = arg;
	const struct conn_limits limits = { .idle_ms = IDLE_MS, .close_ms = IDLE_MS };
	struct conn *c;
	enum ftx_rc rc;

	dial_free(l->dial);
	l->dial = NULL;
	if (fd < 0) {
		failed(l, dial_rc(err));
		return;
	}
	rc = conn_new(&c, l->s->worker, fd, peer, &limits);
	if (rc == FTX_OK) {
		rc = v2_client_new(&l->client, c, l->s->agent, &callbacks, l);
		if (rc != FTX_OK)
			conn_close(c, rc);
	}
	if (rc != FTX_OK)
		failed(l, rc);
	session_kick(l->s);
}

/* In the pool. */
static void
run_resolve(struct pool_job *job)
{
	struct ftxfer_session *s =
	    (struct ftxfer_session *)((char *)job - offsetof(struct ftxfer_session, resolve));

	session_read_key(s);
	s->resolve_rc = FTX_UNSUPPORTED;
	if (congestion_check(s->congestion) == 0)
		s->resolve_rc =
		    addr_resolve(s->host, s->port, s->addrs, SESSION_ADDRESSES, &s->addr_count);
}

static void
on_resolved(struct pool_job *job)
{
	struct ftxfer_session *s =
	    (struct ftxfer_session *)((char *)job - offsetof(struct ftxfer_session, resolve));

	s->resolving = false;
	s->resolved = s->resolve_rc == FTX_OK;
	if (!s->resolved)
		give_up(s, s->resolve_rc, V2_WHOSE_CONNECTION);
	session_kick(s);
}

static void
connect_link(struct link *l)
{
	struct ftxfer_session *s = l->s;
	enum ftx_rc rc;

	if (l->dial != NULL || s->resolving || worker_now(s->worker) < l->due)
		return;
	if (!s->resolved) {
		s->resolving = true;
		s->resolve.run = run_resolve;
		s->resolve.done = on_resolved;
		pool_submit(s->pool, s->worker, POOL_LONG, &s->resolve);
		return;
	}
	rc = dial_start(&l->dial, s->worker, s->addrs, s->addr_count, s->connect_timeout,
	    s->congestion, on_dialled, l);
	if (rc != FTX_OK)
		failed(l, rc);
}

/* Whether another connection than the first one has something to do. */
static bool
is_wanted(const struct link *l)
{
	struct ftxfer_session *s = l->s;

	return l == &s->links[0] || (s->links[0].open && !TAILQ_EMPTY(&s->ready));
}

static bool
has_cursor(const struct item *item)
{
	return item->cursor_len > 0 && item->cursor_on->client != NULL && !item->cursor_on->parting;
}

/* A listing goes on where it has begun: another connection of the server's has no cursor of it. */
static struct item *
next_item(const struct link *l)
{
	struct item *item = TAILQ_FIRST(&l->s->ready);

	while (item != NULL && has_cursor(item) && item->cursor_on != l)
		item = TAILQ_NEXT(item, link);
	return item;
}

void
link_kick(struct link *l)
{
	struct ftxfer_session *s = l->s;
	struct item *item;

	if (TAILQ_EMPTY(&s->ready) || s->hopeless != FTX_OK)
		return;
	if (l->client == NULL) {
		if (is_wanted(l))
			connect_link(l);
		return;
	}
	/*
	 * The first ones go out behind our HELLO: that saves waiting for the server's. Each takes a
	 * share of a short queue, so that the first connection does not take it all.
	 */
	while (!l->parting && v2_client_ready(l->client) && (item = next_item(l)) != NULL) {
		if (s->link_count > 1 && l->running > s->queued / s->link_count &&
		    !has_cursor(item))
			break;
		TAILQ_REMOVE(&s->ready, item, link);
		item_run(item, l);
	}
}

void
link_close(struct link *l, bool at_once)
{
	dial_free(l->dial);
	l->dial = NULL;
	if (l->client == NULL)
		return;
	l->parting = true;
	if (at_once)
		v2_client_abort(l->client, FTX_CANCELLED);
	else
		v2_client_finish(l->client);
}
