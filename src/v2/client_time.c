/* Silence: the server's, which ends the connection, and ours, which a PING ends. */
#include "base/clock.h"
#include "v2/client_private.h"

void
v2_client_heard(struct v2_client *c)
{
	c->quiet_from = worker_now(c->worker);
}

void
v2_client_told(struct v2_client *c)
{
	c->told_from = worker_now(c->worker);
	v2_client_heard(c);
}

bool
v2_client_is_stalled(const struct v2_client *c)
{
	return c->receiving != NULL && c->receiving->stalled;
}

/* The server has something to say, and we are ready to hear it. */
static bool
is_waiting(const struct v2_client *c)
{
	return !v2_client_is_stalled(c) && (!c->greeted || c->live > 0 || !TAILQ_EMPTY(&c->pings));
}

/* When it will have said nothing for too long; UINT64_MAX: it need not say anything. */
static uint64_t
silent_at(const struct v2_client *c)
{
	uint64_t quiet = clock_after(c->quiet_from, SILENCE_MS);
	uint64_t untold = clock_after(c->told_from, UNTOLD_MS);

	if (!is_waiting(c))
		return UINT64_MAX;
	return c->live > 0 && untold < quiet ? untold : quiet;
}

void
v2_client_set_timer(struct v2_client *c)
{
	uint64_t due = clock_after(c->sent_at, PING_MS);

	if (c->keepalive_sent || !c->greeted)
		due = UINT64_MAX;
	if (silent_at(c) < due)
		due = silent_at(c);
	if (due == UINT64_MAX)
		worker_timer_stop(c->worker, &c->timer);
	else
		worker_timer_start(c->worker, &c->timer, due);
}

static void
on_kept_alive(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct v2_client *c = arg;

	(void)r;
	(void)o;
	c->keepalive_sent = false;
}

void
v2_client_on_timer(void *arg)
{
	struct v2_client *c = arg;
	uint64_t now = worker_now(c->worker);

	if (c->conn == NULL || c->state == HALF_CLOSED)
		return;
	if (now >= silent_at(c)) {
		v2_client_fail(c, FTX_IDLE_TIMEOUT, V2_WHOSE_CONNECTION, false);
		return;
	}
	if (c->greeted && !c->keepalive_sent && now - c->sent_at >= PING_MS) {
		c->keepalive_sent = true;
		c->keepalive.r.on_done = on_kept_alive;
		c->keepalive.r.arg = c;
		v2_client_ping(c, &c->keepalive);
	}
	v2_client_set_timer(c);
}
