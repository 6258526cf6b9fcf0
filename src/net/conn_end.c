#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn_private.h"

void
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

void
conn_on_finish_deadline(void *arg)
{
	struct conn *c = arg;

	/* Not all was taken by the peer, or it talks on: what was said is said. */
	conn_close(c, c->shut || c->why != FTX_OK ? c->why : FTX_IDLE_TIMEOUT);
}

/* While finishing: all that arrives is thrown away, up to a bound. */
static void
drain_input(void *arg)
{
	struct conn *c = arg;
	size_t len = evbuffer_get_length(conn_in(c));

	c->drained += len;
	evbuffer_drain(conn_in(c), len);
	conn_update_reading(c);
	if (c->peer_end != FTX_OK && c->peer_end != FTX_TRUNCATED)
		/* Reset by a peer that had heard enough, or not even that. */
		conn_close(c, c->shut || c->why != FTX_OK ? c->why : c->peer_end);
	else if (c->shut && (c->peer_end == FTX_TRUNCATED || c->drained > CONN_DRAIN_BYTES))
		conn_close(c, c->why);
	else if (c->drained > CONN_DRAIN_BYTES)
		conn_set_input_max(c, 0); /* not read from any more, until what we say is sent */
}

static void
finish_output(void *arg)
{
	struct conn *c = arg;

	if (c->shut || evbuffer_get_length(conn_out(c)) > 0)
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
	if (c->shut) {
		/* All was said, the end too: a reset now could only take it back. */
		conn_close(c, c->why);
		return;
	}
	conn_set_abortive(c, true);
	conn_close(c, why);
}
