#include "daemon/session.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "core/limits.h"
#include "loop/counters.h"
#include "loop/worker.h"
#include "net/machine.h"
#include "v1/message.h"
#include "v2/frame.h"

struct session {
	struct grave grave;
	TAILQ_ENTRY(session) link;
	struct session_group *group; /* borrowed; outlives its sessions */
	struct conn *conn;           /* borrowed: it ends us */
	struct limits_place *place;  /* ref: given back by limits_leave() */
	struct machine opening;      /* until the first byte has told the protocol */
	struct v2s_conn *v2;         /* borrowed: ends with conn; NULL: another protocol */
};

enum opening_state { OPENING };

static enum ftx_rc choose_protocol(void *ctx);

/* Nothing but the first byte, which stays where it is: the protocol's own machine takes it. */
static const struct machine_state states[] = {
	[OPENING] = { NULL, 1, DEADLINE_REQUEST },
};

static const struct machine_rule rules[] = {
	{ OPENING, ON_MESSAGE, choose_protocol, MACHINE_STAY },
};

static void
fail(void *ctx, enum ftx_rc why)
{
	struct session *s = ctx;

	conn_close(s->conn, why);
}

static const struct machine_def opening = {
	.states = states,
	.state_count = sizeof(states) / sizeof(states[0]),
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.fail = fail,
};

static enum ftx_rc
choose_protocol(void *ctx)
{
	struct session *s = ctx;
	enum ftx_rc rc;
	uint8_t first;

	if (!conn_peek(s->conn, &first, 1))
		return FTX_INTERNAL;
	if (first != V1_UPLOAD && first != V1_DOWNLOAD && !v2_preface_begins(&first, 1))
		return FTX_PROTOCOL;
	machine_stop(&s->opening);
	if (first == V1_UPLOAD)
		rc = v1_server_upload_attach(s->conn, &s->group->v1);
	else if (first == V1_DOWNLOAD)
		rc = v1_server_download_attach(s->conn, &s->group->v1);
	else
		rc = v2_server_attach(&s->v2, s->conn, &s->group->v2);
	if (rc != FTX_OK)
		conn_close(s->conn, rc); /* a machine that has stopped reports no failure */
	return rc;
}

static void
session_reap(struct grave *g)
{
	free(g); /* its first member */
}

static void
on_conn_close(void *arg, enum ftx_rc why)
{
	struct session *s = arg;
	struct session_group *g = s->group;

	(void)why;
	machine_stop(&s->opening);
	TAILQ_REMOVE(&g->list, s, link);
	g->count--;
}

static void
on_conn_gone(void *arg)
{
	struct session *s = arg;
	struct session_group *g = s->group;

	limits_leave(s->place); /* what it had was memory, too: of files that are not written yet */
	s->grave.reap = session_reap;
	worker_bury(g->worker, &s->grave);
	g->on_end(g->arg);
}

/* No conn was made, so the line that one logs at its end is ours to log. */
static void
turn_away(int fd, const struct addr *peer, enum ftx_rc why)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };
	char text[ADDR_TEXT_SIZE];

	log_info(
	    "conn=- peer=%s op=- bytes=0 ms=0 reason=%s", addr_text(peer, text), ftx_rc_name(why));
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

bool
session_start(struct session_group *g, int fd, const struct addr *peer)
{
	struct session *s = calloc(1, sizeof(*s));
	enum ftx_rc rc =
	    s == NULL ? FTX_NOMEM
		      : limits_enter(g->limits, (const struct sockaddr *)&peer->ss, &s->place);

	if (rc != FTX_OK) {
		turn_away(fd, peer, rc);
		free(s);
		return false;
	}
	rc = conn_new(&s->conn, g->worker, fd, peer, &g->timeouts);
	if (rc != FTX_OK) {
		log_error("cannot take a connection: %s", ftx_rc_text(rc));
		limits_leave(s->place);
		free(s);
		return false;
	}
	s->group = g;
	TAILQ_INSERT_TAIL(&g->list, s, link);
	g->count++;
	counters_add(worker_counters(g->worker), COUNT_CONNECTIONS, 1);
	conn_set_owner(s->conn, on_conn_close, s);
	conn_set_gone(s->conn, on_conn_gone);
	rc = machine_start(&s->opening, &opening, s->conn, s, OPENING);
	if (rc != FTX_OK)
		conn_close(s->conn, rc);
	return true;
}

void
session_end_idle(struct session *s)
{
	if (!s->opening.stopped)
		conn_close(s->conn, FTX_SHUTDOWN);
	else if (s->v2 != NULL)
		v2_server_drain(s->v2);
}

void
session_abort(struct session *s)
{
	conn_reset(s->conn, FTX_SHUTDOWN);
}

struct session *
session_next(const struct session *s)
{
	return TAILQ_NEXT(s, link);
}
