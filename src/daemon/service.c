#include "daemon/service.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/rc.h"
#include "daemon/services.h"
#include "loop/counters.h"
#include "store/local.h"
#include "store/store.h"

/* An accepted descriptor on its way to another worker. */
struct parcel {
	struct mail mail; /* the first member */
	struct service *to;
	int fd; /* owned */
	struct addr peer;
};

/* A session has ended, or did not begin: its place is free. */
static void
give_place_back(struct service *s)
{
	atomic_fetch_sub(&s->live, 1);
	services_leave(s->all, s);
}

static void
on_session_end(void *arg)
{
	struct service *s = arg;

	give_place_back(s);
	/* Also for a listener that had no descriptor to accept with. */
	if (!atomic_load(&s->waiting))
		listeners_resume(&s->listeners);
}

static void
end_idle_sessions(struct service *s)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&s->group.list); session != NULL; session = next) {
		next = session_next(session);
		session_end_idle(session);
	}
}

static void
abort_sessions(struct service *s)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&s->group.list); session != NULL; session = next) {
		next = session_next(session);
		session_abort(session);
	}
}

/* It has a place, and is counted as live. */
static void
serve(struct service *s, int fd, const struct addr *peer)
{
	if (!session_start(&s->group, fd, peer))
		give_place_back(s);
	else if (s->stopping)
		end_idle_sessions(s); /* it has come too late: by mail */
}

static void
on_parcel(struct mail *m)
{
	struct parcel *p = (struct parcel *)m; /* its first member */

	serve(p->to, p->fd, &p->peer);
	free(p);
}

/* False: no memory for it. */
static bool
hand_over(struct service *to, int fd, const struct addr *peer)
{
	struct parcel *p = malloc(sizeof(*p));

	if (p == NULL)
		return false;
	*p = (struct parcel){ { .deliver = on_parcel }, to, fd, *peer };
	atomic_fetch_add(&to->live, 1);
	worker_post(to->worker, &p->mail);
	return true;
}

static bool
on_has_room(void *arg)
{
	struct service *s = arg;

	if (services_enter(s->all))
		return true;
	/*
	 * Who comes now waits in the kernel's queue. Who gives a place back looks for those that
	 * wait, so first we wait, and then look whether one was given back meanwhile.
	 */
	listeners_pause(&s->listeners);
	atomic_store(&s->waiting, true);
	if (services_enter(s->all)) {
		atomic_store(&s->waiting, false);
		listeners_resume(&s->listeners);
		return true;
	}
	services_are_full(s->all);
	return false;
}

static void
on_nobody(void *arg)
{
	struct service *s = arg;

	services_leave(s->all, s);
}

static void
on_accept(void *arg, struct listener *l, int fd, const struct addr *peer)
{
	struct service *s = arg, *to;

	listeners_served(&s->listeners, l);
	to = services_choose(s->all, s);
	if (to != s && hand_over(to, fd, peer)) {
		counters_add(worker_counters(s->worker), COUNT_HANDED_OVER, 1);
		return;
	}
	atomic_fetch_add(&s->live, 1);
	serve(s, fd, peer);
}

static void
stop(struct service *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	listeners_close(&s->listeners);
	end_idle_sessions(s);
	services_stopped(s->all, s);
}

static void
on_orders(struct mail *m)
{
	struct service *s = (struct service *)((char *)m - offsetof(struct service, mail));
	unsigned orders = atomic_exchange(&s->orders, 0);

	/* From here on the mail may be under way again. */
	if ((orders & ORDER_STOP) != 0)
		stop(s);
	if ((orders & ORDER_GO_ON) != 0)
		listeners_resume(&s->listeners);
	if ((orders & ORDER_ABORT) != 0)
		abort_sessions(s);
	if ((orders & ORDER_FINISH) != 0)
		worker_stop(s->worker);
}

void
service_order(struct service *s, unsigned order)
{
	if (atomic_fetch_or(&s->orders, order) == 0)
		worker_post(s->worker, &s->mail);
}

enum ftx_rc
service_init(struct service *s, struct services *all, const struct session_group *model,
    struct root *root, struct pool *pool)
{
	enum ftx_rc rc;

	s->all = all;
	s->mail.deliver = on_orders;
	s->taker = (struct listener_taker){
		.has_room = on_has_room,
		.on_accept = on_accept,
		.on_nobody = on_nobody,
		.arg = s,
		.say_next = &all->say_starving_next,
	};
	s->group = *model;
	s->group.on_end = on_session_end;
	s->group.arg = s;
	TAILQ_INIT(&s->group.list);
	rc = worker_new(&s->worker, NULL);
	if (rc != FTX_OK)
		return rc;
	s->group.worker = s->worker;
	rc = store_local_new(&s->group.v1.store, root, s->worker, pool);
	s->group.v2.store = s->group.v1.store;
	return rc;
}

enum ftx_rc
service_listen(struct service *s, const int *fds, size_t count)
{
	return listeners_open(&s->listeners, s->worker, fds, count, &s->taker);
}

void
service_clear(struct service *s)
{
	listeners_close(&s->listeners);
	if (s->group.v1.store != NULL)
		store_free(s->group.v1.store);
	worker_free(s->worker);
}
