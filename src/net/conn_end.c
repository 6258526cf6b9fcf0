#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn_private.h"
#include "net/conn_time.h"

/* How often it is looked whether a peer that has ended has taken the rest. */
#define REST_LOOK_MS 100
/* What the least rate allows for the rest, besides its bytes. */
#define REST_MS 30000

void
conn_reap(struct grave *g)
{
	struct conn *c = (struct conn *)g; /* its first member */

	event_del(&c->reading);
	event_del(&c->writing);
	buf_clear(&c->in);
	buf_clear(&c->out);
	worker_timer_clear(c->worker, &c->timer);
	close(c->fd);
	free(c->name);
	c->reaped = true;
	if (c->holds == 0)
		free(c);
}

void
conn_hold(struct conn *c)
{
	c->holds++;
}

void
conn_release(void *conn)
{
	struct conn *c = conn;

	if (--c->holds > 0 || !c->closing)
		return;
	if (c->on_owner_gone != NULL)
		c->on_owner_gone(c->owner);
	if (c->reaped)
		free(c);
}

/*
 * All was said, but not all content was taken: the kernel keeps it for this peer, megabytes
 * perhaps, and would go on to do so when we have closed. Only our place counts that.
 */
static bool
has_rest(const struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	return c->shut && c->why == FTX_OK && c->taken < c->sent && conn_untaken(c) > 0 &&
	       getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
}

static void
wait_for_rest(struct conn *c)
{
	uint64_t wait = c->peer_end == FTX_TRUNCATED ? REST_LOOK_MS : CONN_DRAIN_MS;

	worker_timer_start(c->worker, &c->timer, worker_now(c->worker) + wait);
}

/* Whether the peer may take longer over the rest: FTX_OK. */
static enum ftx_rc
judge_rest(struct conn *c)
{
	uint64_t since;

	conn_look(c);
	since = c->taken_at > c->shut_at ? c->taken_at : c->shut_at;
	if (c->limits.idle_ms > 0 && conn_peer_clock(c) - since >= c->limits.idle_ms)
		return FTX_IDLE_TIMEOUT;
	return worker_now(c->worker) >= c->rest_due ? FTX_TOO_SLOW : FTX_OK;
}

void
conn_on_finish_deadline(void *arg)
{
	struct conn *c = arg;
	enum ftx_rc why;

	if (!c->finishing) {
		conn_look_for_got(c);
		return;
	}
	if (!has_rest(c)) {
		/* Not all was sent, or it talks on: what was said is said. */
		conn_close(c, c->shut || c->why != FTX_OK ? c->why : FTX_IDLE_TIMEOUT);
		return;
	}
	why = judge_rest(c);
	if (why == FTX_OK) {
		wait_for_rest(c);
		return;
	}
	conn_set_abortive(c, true);
	conn_close(c, why);
}

/* While finishing: all that arrives is thrown away, up to a bound. */
static void
drain_input(void *arg)
{
	struct conn *c = arg;

	c->drained += c->in.len;
	buf_clear(&c->in);
	conn_update_reading(c);
	if (c->peer_end != FTX_OK && c->peer_end != FTX_TRUNCATED)
		/* Reset by a peer that had heard enough, or not even that. */
		conn_close(c, c->shut || c->why != FTX_OK ? c->why : c->peer_end);
	else if (c->shut && (c->peer_end == FTX_TRUNCATED || c->drained > CONN_DRAIN_BYTES) &&
		 !has_rest(c))
		conn_close(c, c->why);
	else if (c->drained > CONN_DRAIN_BYTES)
		conn_set_input_max(c, 0); /* not read from any more, until what we say is sent */
	else if (c->shut && c->peer_end == FTX_TRUNCATED)
		wait_for_rest(c);
}

static void
finish_output(void *arg)
{
	struct conn *c = arg;

	if (c->shut || c->out.len > 0)
		return;
	c->shut = true;
	if (shutdown(c->fd, SHUT_WR) != 0) {
		conn_close(c, c->why);
		return;
	}
	conn_look(c);
	c->shut_at = conn_peer_clock(c);
	c->rest_due = UINT64_MAX;
	if (c->limits.min_rate > 0)
		c->rest_due = clock_after(worker_now(c->worker),
		    REST_MS + (c->sent - c->taken) * 1000 / c->limits.min_rate);
	wait_for_rest(c);
	drain_input(c);
}

void
conn_finish(struct conn *c, enum ftx_rc why)
{
	static const struct conn_io finishing = { drain_input, finish_output };

	if (c->closing || c->finishing)
		return;
	c->finishing = true;
	conn_set_busy(c, false);
	c->why = why;
	conn_set_io(c, &finishing, c);
	c->bulk = false;
	conn_set_input_max(c, CONN_READ_MAX);
	if (c->limits.idle_ms > 0) {
		worker_timer_start(
		    c->worker, &c->timer, clock_after(worker_now(c->worker), c->limits.idle_ms));
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
	conn_hold(c); /* until all have heard of it */
	c->closing = true;
	event_del(&c->reading);
	event_del(&c->writing);
	worker_timer_stop(c->worker, &c->timer);
	if (c->on_close != NULL)
		c->on_close(c->on_close_arg, why);
	log_end(c, why);
	if (c->on_owner_close != NULL)
		c->on_owner_close(c->owner, why);
	c->grave.reap = conn_reap;
	worker_bury(c->worker, &c->grave);
	conn_release(c);
}

void
conn_reset(struct conn *c, enum ftx_rc why)
{
	if (c->closing)
		return;
	if (c->shut) {
		/* All was said, the end too: a reset now could only take it back. */
		conn_close(c, c->why);
		return;
	}
	conn_set_abortive(c, true);
	conn_close(c, why);
}
