#include "loop/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rc.h"
#include "base/log.h"
#include "loop/chunk.h"
#include "loop/pipe.h"
#include "loop/counters.h"

struct worker {
	struct event_base *base; /* owned if owns_base */
	bool owns_base;
	bool stopping;
	bool has_thread;
	pthread_t thread;   /* if it has one */
	enum ftx_rc result; /* the thread's */
	unsigned holds;
	struct counters counters;
	uint64_t turn_began; /* us; 0: nobody has been called in this turn */

	struct timer_heap timers;
	struct event *timer_event; /* owned; armed for the first timer, never without one */
	uint64_t timer_due;        /* what it is armed for, ms; UINT64_MAX: not armed */

	STAILQ_HEAD(grave_queue, grave) graveyard;
	struct event *reaper; /* owned; made active by the first burial of a turn */

	STAILQ_HEAD(soon_queue, mail) soon;
	struct event *soon_event; /* owned; made active by the first mail of a turn */
	struct work_queue later;  /* on a base of our own */
	struct chunk_cache chunks, small_chunks;
	struct content_pipe pipe;

	pthread_mutex_t mail_lock;
	STAILQ_HEAD(mail_queue, mail) mailbox; /* under mail_lock */
	bool woken;               /* under mail_lock: the eventfd has been written to */
	int mail_fd;              /* owned, eventfd(2) */
	struct event *mail_event; /* owned */
};

/*
 * Of each turn, for work without a hurry: about as long as one piece of it takes at the least, so
 * that what comes meanwhile waits little longer than for that.
 */
#define LATER_US 500

void
worker_begin_turn(struct worker *w)
{
	if (w->turn_began == 0)
		w->turn_began = clock_now_us();
}

bool
worker_queues(const struct worker *w)
{
	return w->owns_base;
}

bool
worker_later(struct worker *w, struct work *work)
{
	if (w->owns_base)
		work_add(&w->later, work);
	return w->owns_base;
}

void
worker_not_later(struct worker *w, struct work *work)
{
	work_remove(&w->later, work);
}

static void
arm_timer(struct worker *w, int64_t in_ms)
{
	struct timeval tv;

	if (in_ms < 0) {
		event_del(w->timer_event);
		w->timer_due = UINT64_MAX;
		return;
	}
	tv.tv_sec = in_ms / 1000;
	tv.tv_usec = (in_ms % 1000) * 1000;
	w->timer_due = clock_now_ms() + (uint64_t)in_ms;
	if (event_add(w->timer_event, &tv) != 0)
		log_error("cannot arm the timer: deadlines are late until the next event");
}

/* What was armed for a timer that runs no more, or later, is not to wake the process. */
static void
put_off_timer(struct worker *w)
{
	if (w->timers.used > 0 && w->timer_due < w->timers.slots[0]->key)
		arm_timer(w, timer_wait(w->timers.slots[0]->key, clock_now_ms()));
}

/* One turn of the loop; false when the base fails. */
static bool
turn(struct worker *w, int flags)
{
	int result;

	w->turn_began = 0;
	if (!TAILQ_EMPTY(&w->later))
		flags |= EVLOOP_NONBLOCK;
	else
		put_off_timer(w);
	result = event_base_loop(w->base, EVLOOP_ONCE | flags);
	if (!TAILQ_EMPTY(&w->later)) {
		worker_begin_turn(w);
		(void)work_queue_run(&w->later, LATER_US);
	}
	counters_add(&w->counters, COUNT_TURNS, 1);
	if (w->turn_began != 0)
		counters_raise(&w->counters, COUNT_LONGEST_TURN, clock_now_us() - w->turn_began);
	return result >= 0;
}

void
worker_run_timers(struct worker *w)
{
	/* Zero: timers that are started by what fires here leave the arming to us. */
	w->timer_due = 0;
	arm_timer(w, timer_heap_run(&w->timers, clock_now_ms()));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_begin_turn(arg);
	worker_run_timers(arg);
}

static void
reap(struct worker *w)
{
	struct grave *g;

	while ((g = STAILQ_FIRST(&w->graveyard)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->graveyard, link);
		g->reap(g);
	}
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_begin_turn(arg);
	reap(arg);
}

static void
deliver_soon(struct worker *w)
{
	struct mail *m;

	log_hold();
	while ((m = STAILQ_FIRST(&w->soon)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->soon, link);
		m->deliver(m);
	}
	log_release();
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_begin_turn(arg);
	deliver_soon(arg);
}

void
worker_soon(struct worker *w, struct mail *m)
{
	if (STAILQ_EMPTY(&w->soon))
		event_active(w->soon_event, EV_TIMEOUT, 0);
	STAILQ_INSERT_TAIL(&w->soon, m, link);
}

struct content_pipe *
worker_pipe(struct worker *w)
{
	return &w->pipe;
}

struct chunk_cache *
worker_chunks(struct worker *w)
{
	return &w->chunks;
}

struct chunk_cache *
worker_small_chunks(struct worker *w)
{
	return &w->small_chunks;
}

static void
deliver_mail(struct worker *w)
{
	struct mail_queue mails = STAILQ_HEAD_INITIALIZER(mails);
	struct mail *m;

	pthread_mutex_lock(&w->mail_lock);
	STAILQ_CONCAT(&mails, &w->mailbox);
	w->woken = false;
	pthread_mutex_unlock(&w->mail_lock);
	log_hold(); /* the ends of many jobs are a line each */
	while ((m = STAILQ_FIRST(&mails)) != NULL) {
		STAILQ_REMOVE_HEAD(&mails, link);
		m->deliver(m);
	}
	log_release();
}

static void
on_mail_fd(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	worker_begin_turn(arg);
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("reading the mailbox: %s", ftx_errno_text(errno));
	deliver_mail(arg);
}

void
worker_post(struct worker *w, struct mail *m)
{
	static const uint64_t one = 1;
	bool wake;

	pthread_mutex_lock(&w->mail_lock);
	STAILQ_INSERT_TAIL(&w->mailbox, m, link);
	wake = !w->woken;
	w->woken = true;
	/* Within the lock: as soon as it is released the worker may take the mail and be freed. */
	if (wake && write(w->mail_fd, &one, sizeof(one)) < 0)
		log_error("waking a worker: %s", ftx_errno_text(errno));
	pthread_mutex_unlock(&w->mail_lock);
}

/* libevent keeps the room that it made for a timer: to arm ours later can then not fail. */
static bool
make_room_for_timer(struct worker *w)
{
	static const struct timeval later = { .tv_sec = 60 };

	return event_add(w->timer_event, &later) == 0 && event_del(w->timer_event) == 0;
}

/* No lock is taken for what nobody else touches. */
static struct event_base *
make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	return base;
}

enum ftx_rc
worker_new(struct worker **out, struct event_base *base)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return FTX_NOMEM;
	w->mail_fd = -1;
	w->timer_due = UINT64_MAX;
	STAILQ_INIT(&w->graveyard);
	STAILQ_INIT(&w->soon);
	work_queue_init(&w->later);
	STAILQ_INIT(&w->mailbox);
	pthread_mutex_init(&w->mail_lock, NULL);
	timer_heap_init(&w->timers);
	chunk_cache_init(&w->chunks, CHUNK_SIZE);
	chunk_cache_init(&w->small_chunks, CHUNK_SMALL_SIZE);
	w->owns_base = base == NULL;
	w->base = base != NULL ? base : make_base();
	if (w->base == NULL)
		goto fail;
	w->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->mail_fd < 0)
		goto fail;
	w->timer_event = event_new(w->base, -1, 0, on_timer, w);
	w->reaper = event_new(w->base, -1, 0, on_reap, w);
	w->soon_event = event_new(w->base, -1, 0, on_soon, w);
	w->mail_event = event_new(w->base, w->mail_fd, EV_READ | EV_PERSIST, on_mail_fd, w);
	if (w->timer_event == NULL || w->reaper == NULL || w->soon_event == NULL ||
	    w->mail_event == NULL || event_add(w->mail_event, NULL) != 0 || !make_room_for_timer(w))
		goto fail;
	*out = w;
	return FTX_OK;
fail:
	worker_free(w);
	return FTX_NOMEM;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	/* Mail may post mail; nobody else does any more. */
	while (!STAILQ_EMPTY(&w->mailbox) || !STAILQ_EMPTY(&w->soon)) {
		deliver_mail(w);
		deliver_soon(w);
	}
	reap(w);
	if (w->mail_event != NULL)
		event_free(w->mail_event);
	if (w->soon_event != NULL)
		event_free(w->soon_event);
	if (w->reaper != NULL)
		event_free(w->reaper);
	if (w->timer_event != NULL)
		event_free(w->timer_event);
	if (w->owns_base && w->base != NULL)
		event_base_free(w->base);
	if (w->mail_fd >= 0)
		close(w->mail_fd);
	timer_heap_clear(&w->timers);
	chunk_cache_clear(&w->chunks);
	chunk_cache_clear(&w->small_chunks);
	pipe_close(&w->pipe);
	pthread_mutex_destroy(&w->mail_lock);
	free(w);
}

struct event_base *
worker_base(struct worker *w)
{
	return w->base;
}

struct counters *
worker_counters(struct worker *w)
{
	return &w->counters;
}

enum ftx_rc
worker_run(struct worker *w)
{
	while (!w->stopping) {
		if (!turn(w, EVLOOP_NO_EXIT_ON_EMPTY))
			return FTX_IO;
	}
	/* Only here: a stop that came before this run has ended it at once. */
	w->stopping = false;
	return FTX_OK;
}

void
worker_turn(struct worker *w, bool wait)
{
	(void)turn(w, wait ? 0 : EVLOOP_NONBLOCK);
}

void
worker_stop(struct worker *w)
{
	w->stopping = true;
	event_base_loopbreak(w->base);
}

enum ftx_rc
worker_serve(struct worker *w)
{
	enum ftx_rc rc = worker_run(w);

	while (rc == FTX_OK && w->holds > 0) {
		if (!turn(w, EVLOOP_NO_EXIT_ON_EMPTY))
			rc = FTX_IO;
	}
	return rc;
}

static void *
worker_thread(void *arg)
{
	struct worker *w = arg;

	w->result = worker_serve(w);
	return NULL;
}

enum ftx_rc
worker_start(struct worker *w)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	w->has_thread = pthread_create(&w->thread, NULL, worker_thread, w) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->has_thread ? FTX_OK : FTX_NOMEM;
}

enum ftx_rc
worker_join(struct worker *w)
{
	if (!w->has_thread)
		return FTX_OK;
	pthread_join(w->thread, NULL);
	w->has_thread = false;
	return w->result;
}

uint64_t
worker_now(struct worker *w)
{
	(void)w;
	return clock_now_ms();
}

enum ftx_rc
worker_timer_init(struct worker *w, struct timer *t, void (*fire)(void *), void *arg)
{
	return timer_init(t, &w->timers, fire, arg);
}

void
worker_timer_clear(struct worker *w, struct timer *t)
{
	worker_timer_stop(w, t); /* the loop's own timer rests with the last one */
	timer_clear(t, &w->timers);
}

void
worker_timer_start(struct worker *w, struct timer *t, uint64_t deadline)
{
	timer_start(t, &w->timers, deadline);
	if (deadline < w->timer_due)
		arm_timer(w, timer_wait(deadline, clock_now_ms()));
}

void
worker_timer_stop(struct worker *w, struct timer *t)
{
	timer_stop(t, &w->timers);
	if (w->timers.used == 0 && w->timer_due != UINT64_MAX)
		arm_timer(w, -1); /* at rest nothing wakes the process */
}

void
worker_bury(struct worker *w, struct grave *g)
{
	if (STAILQ_EMPTY(&w->graveyard))
		event_active(w->reaper, EV_TIMEOUT, 0);
	STAILQ_INSERT_TAIL(&w->graveyard, g, link);
}

void
worker_hold(struct worker *w)
{
	w->holds++;
}

void
worker_release(struct worker *w)
{
	w->holds--;
}

unsigned
worker_held(const struct worker *w)
{
	return w->holds;
}
