#include "client/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "loop/counters.h"
#include "store/root.h"
#include "store/store.h"

#define FAREWELL_MS 1000 /* for the last FINs */

/* With no hope left for the server, what waits for it fails. */
static void
fail_all(struct ftxfer_session *s)
{
	struct v2_outcome o = { .rc = s->hopeless, .whose = s->hopeless_whose };
	struct item *item;

	o.breach = s->hopeless_whose == V2_WHOSE_SERVER;
	while ((item = TAILQ_FIRST(&s->waiting)) != NULL)
		item_fail_outcome(item, &o);
	while ((item = TAILQ_FIRST(&s->ready)) != NULL)
		item_fail_outcome(item, &o);
}

static void
wake_waiting(struct ftxfer_session *s)
{
	uint64_t now = worker_now(s->worker), next = UINT64_MAX;
	struct item *item, *after;

	for (item = TAILQ_FIRST(&s->waiting); item != NULL; item = after) {
		after = TAILQ_NEXT(item, link);
		if (item->due <= now) {
			TAILQ_REMOVE(&s->waiting, item, link);
			item->phase = ITEM_READY;
			TAILQ_INSERT_TAIL(&s->ready, item, link);
		} else if (item->due < next)
			next = item->due;
	}
	for (unsigned i = 0; i < s->link_count; i++) {
		if (s->links[i].due > now && s->links[i].due < next)
			next = s->links[i].due;
	}
	if (next != UINT64_MAX)
		worker_timer_start(s->worker, &s->timer, next);
}

static void
turn(struct mail *m)
{
	struct ftxfer_session *s =
	    (struct ftxfer_session *)((char *)m - offsetof(struct ftxfer_session, soon));
	struct tree *t, *next;

	s->soon_posted = false;
	for (t = TAILQ_FIRST(&s->trees); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		tree_kick(t);
	}
	wake_waiting(s);
	if (s->hopeless != FTX_OK)
		fail_all(s);
	for (unsigned i = 0; i < s->link_count; i++)
		link_kick(&s->links[i]);
	if (TAILQ_EMPTY(&s->all) && !s->idle_told) {
		s->idle_told = true;
		for (unsigned i = 0; i < s->link_count; i++)
			link_close(&s->links[i], false);
		s->callbacks.on_idle(s->arg);
	} else if (!TAILQ_EMPTY(&s->all) && ftxfer_session_has_room(s) &&
		   s->callbacks.on_room != NULL)
		s->callbacks.on_room(s->arg);
}

void
session_kick(struct ftxfer_session *s)
{
	if (s->soon_posted)
		return;
	s->soon_posted = true;
	worker_soon(s->worker, &s->soon);
}

static void
on_timer(void *arg)
{
	session_kick(arg);
}

/* A caller's struct, as long as it is to the caller: what that does not know is 0. */
static void
take(void *to, size_t room, const void *from)
{
	size_t size;

	memcpy(&size, from, sizeof(size));
	memset(to, 0, room);
	memcpy(to, from, size < room ? size : room);
}

static bool
take_spec(struct ftxfer_session *s, const struct ftxfer_session_spec *spec)
{
	bool ok = true;

	s->host = session_copy(spec->host, &ok);
	s->congestion = session_copy(spec->congestion != NULL ? spec->congestion : "", &ok);
	s->agent = session_copy(spec->agent != NULL ? spec->agent : "", &ok);
	s->key_file = session_copy(spec->key_file, &ok);
	s->port = spec->port;
	s->connect_timeout = spec->connect_timeout;
	s->retry_time = spec->retry_time;
	s->file_mode = spec->file_mode;
	s->kind = spec->sha256 ? DIGEST_SHA256 : DIGEST_XXH128;
	s->link_count = spec->connections > 0 ? spec->connections : 1;
	if (s->link_count > SESSION_CONNECTIONS)
		s->link_count = SESSION_CONNECTIONS;
	for (unsigned i = 0; i < s->link_count; i++)
		s->links[i].s = s;
	return ok;
}

/* A file's time may be that of the system's last tick. */
#define CLOCK_SLACK_MS 50
/* Seconds since 1970 that are no time of this age, nor of the next ones. */
#define CLOCK_MAX ((int64_t)1 << 40)

static bool
to_ms(const struct v2_time *t, int64_t *ms)
{
	if (t->sec < 0 || t->sec >= CLOCK_MAX)
		return false;
	*ms = t->sec * 1000 + t->nsec / 1000000;
	return true;
}

void
session_note_server(struct ftxfer_session *s, const struct v2_server_info *server)
{
	int64_t now;

	s->max_file = server->has_max_file ? server->max_file : UINT64_MAX;
	if (s->has_began || !server->has_time || !to_ms(&server->time, &now))
		return;
	s->began_ms = now - (int64_t)(worker_now(s->worker) - s->opened) - CLOCK_SLACK_MS;
	s->has_began = true;
}

enum session_when
session_when(const struct ftxfer_session *s, const struct v2_time *t)
{
	int64_t then;

	if (!s->has_began || !to_ms(t, &then))
		return SESSION_UNKNOWN;
	return then < s->began_ms ? SESSION_BEFORE : SESSION_SINCE;
}

struct ftxfer_session *
ftxfer_session_new(struct event_base *base, const struct ftxfer_session_spec *spec,
    const struct ftxfer_session_callbacks *callbacks, void *arg)
{
	struct ftxfer_session *s = calloc(1, sizeof(*s));
	struct ftxfer_session_spec known;

	if (s == NULL)
		return NULL;
	take(&known, sizeof(known), spec);
	take(&s->callbacks, sizeof(s->callbacks), callbacks);
	s->arg = arg;
	s->opened = clock_now_ms();
	s->idle_told = true;
	s->max_file = UINT64_MAX;
	s->soon.deliver = turn;
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->preparing);
	TAILQ_INIT(&s->trees);
	if (!take_spec(s, &known) || hash_start() != FTX_OK || digest_start() != FTX_OK ||
	    worker_new(&s->worker, base) != FTX_OK ||
	    pool_new(&s->pool, POOL_THREADS_APART) != FTX_OK ||
	    worker_timer_init(s->worker, &s->timer, on_timer, s) != FTX_OK) {
		ftxfer_session_free(s);
		return NULL;
	}
	return s;
}

unsigned long
ftxfer_session_add(struct ftxfer_session *s, const struct ftxfer_item_spec *asked)
{
	struct ftxfer_item_spec spec;
	struct item *item;
	bool ok = true;

	take(&spec, sizeof(spec), asked);
	item = item_new(s, spec.op, spec.flags, spec.remote, spec.local);
	if (item == NULL)
		return 0;
	item->to = session_copy(spec.to, &ok);
	item->pattern = session_copy(spec.pattern, &ok);
	item->fd = spec.local == NULL ? spec.fd : -1;
	if (!ok || item->remote == NULL || (item->op == FTXFER_OP_RENAME && item->to == NULL)) {
		item_free(item);
		return 0;
	}
	s->added++;
	item_prepare(item);
	return item->number;
}

bool
ftxfer_session_has_room(const struct ftxfer_session *s)
{
	return s->queued < SESSION_QUEUE;
}

void
ftxfer_session_cancel(struct ftxfer_session *s)
{
	struct item *item, *next;

	s->cancelled = true;
	s->hopeless = FTX_CANCELLED;
	s->hopeless_whose = V2_WHOSE_NONE;
	for (item = TAILQ_FIRST(&s->all); item != NULL; item = next) {
		next = TAILQ_NEXT(item, all);
		if (item->own != NULL)
			tree_cancel(item->own);
		item_cancel(item);
	}
	fail_all(s);
	for (unsigned i = 0; i < s->link_count; i++)
		link_close(&s->links[i], true);
	session_kick(s);
}

bool
ftxfer_session_busy(const struct ftxfer_session *s)
{
	if (worker_held(s->worker) > 0 || s->soon_posted)
		return true;
	for (unsigned i = 0; i < s->link_count; i++) {
		if (s->links[i].client != NULL)
			return true;
	}
	return false;
}

void
ftxfer_session_free(struct ftxfer_session *s)
{
	struct place *place;
	struct item *item;
	uint64_t until = clock_now_ms() + FAREWELL_MS;

	if (s == NULL)
		return;
	s->callbacks.on_room = NULL;
	while (s->worker != NULL && ftxfer_session_busy(s)) {
		if (clock_now_ms() >= until) {
			for (unsigned i = 0; i < s->link_count; i++)
				link_close(&s->links[i], true);
		}
		worker_turn(s->worker, worker_held(s->worker) > 0 || clock_now_ms() < until);
	}
	while ((item = TAILQ_FIRST(&s->all)) != NULL)
		item_free(item);
	if (s->worker != NULL) {
		counters_log(worker_counters(s->worker), 0);
		worker_timer_clear(s->worker, &s->timer);
	}
	pool_free(s->pool);
	while ((place = SLIST_FIRST(&s->places)) != NULL) {
		SLIST_REMOVE_HEAD(&s->places, link);
		store_free(place->store);
		root_close(place->root);
		free(place);
	}
	worker_free(s->worker);
	targets_clear(s);
	digest_clear(&s->ids);
	free(s->host);
	free(s->congestion);
	free(s->agent);
	free(s->key_file);
	free(s);
}
