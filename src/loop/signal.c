#include "loop/signal.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef HAVE_SYS_SIGNALFD_H
#include <sys/signalfd.h>
#endif

#include "base/rc.h"
#include "base/log.h"

size_t
signal_drop_ignored(int *signos, size_t count)
{
	struct sigaction now;
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		if (sigaction(signos[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN)
			signos[left++] = signos[i];
	}
	return left;
}

static void
ignore(const sigset_t *signals)
{
	for (int signo = 1; signo < NSIG; signo++) {
		if (sigismember(signals, signo) == 1)
			signal(signo, SIG_IGN);
	}
}

#ifdef HAVE_SYS_SIGNALFD_H

struct signal_watch {
	struct event *event; /* owned */
	int fd;              /* owned, signalfd(2) */
	sigset_t all;
	sigset_t blocked; /* those that were not blocked before */
	void (*fire)(void *arg, int signo);
	void *arg; /* borrowed */
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo infos[SIGNAL_WATCH_MAX];
	struct signal_watch *s = arg;
	ssize_t n = read(fd, infos, sizeof(infos));

	(void)what;
	if (n < 0 && errno != EAGAIN)
		log_error("reading signals: %s", ftx_errno_text(errno));
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(infos[0]); i++)
		s->fire(s->arg, (int)infos[i].ssi_signo);
}

enum ftx_rc
signal_watch_new(struct signal_watch **out, struct event_base *base, const int *signos,
    size_t count, void (*fire)(void *, int), void *arg)
{
	struct signal_watch *s = calloc(1, sizeof(*s));
	sigset_t before;

	assert(count <= SIGNAL_WATCH_MAX);
	if (s == NULL)
		return FTX_NOMEM;
	s->fire = fire;
	s->arg = arg;
	sigemptyset(&s->all);
	sigemptyset(&s->blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	for (size_t i = 0; i < count; i++) {
		sigaddset(&s->all, signos[i]);
		if (!sigismember(&before, signos[i]))
			sigaddset(&s->blocked, signos[i]);
	}
	pthread_sigmask(SIG_BLOCK, &s->all, NULL);
	s->fd = signalfd(-1, &s->all, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->fd >= 0)
		s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
	if (s->event == NULL || event_add(s->event, NULL) != 0) {
		signal_watch_free(s);
		return FTX_NOMEM;
	}
	*out = s;
	return FTX_OK;
}

/*
 * A program that is asked twice to stop must not die of the second time while it tidies up after
 * the first.
 */
static void
drop_pending(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) > 0)
		continue;
}

void
signal_watch_free(struct signal_watch *s)
{
	if (s == NULL)
		return;
	if (s->event != NULL)
		event_free(s->event);
	if (s->fd >= 0) {
		drop_pending(s->fd);
		close(s->fd);
	}
	pthread_sigmask(SIG_UNBLOCK, &s->blocked, NULL);
	free(s);
}

void
signal_watch_end(struct signal_watch *s)
{
	if (s != NULL)
		ignore(&s->all);
	signal_watch_free(s);
}

#else

struct signal_watch {
	struct event *events[SIGNAL_WATCH_MAX]; /* owned */
	sigset_t all;
	void (*fire)(void *arg, int signo);
	void *arg; /* borrowed */
};

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct signal_watch *s = arg;

	(void)what;
	s->fire(s->arg, (int)signo);
}

enum ftx_rc
signal_watch_new(struct signal_watch **out, struct event_base *base, const int *signos,
    size_t count, void (*fire)(void *, int), void *arg)
{
	struct signal_watch *s = calloc(1, sizeof(*s));

	assert(count <= SIGNAL_WATCH_MAX);
	if (s == NULL)
		return FTX_NOMEM;
	s->fire = fire;
	s->arg = arg;
	sigemptyset(&s->all);
	for (size_t i = 0; i < count; i++) {
		sigaddset(&s->all, signos[i]);
		s->events[i] = evsignal_new(base, signos[i], on_signal, s);
		if (s->events[i] == NULL || event_add(s->events[i], NULL) != 0) {
			signal_watch_free(s);
			return FTX_NOMEM;
		}
	}
	*out = s;
	return FTX_OK;
}

void
signal_watch_free(struct signal_watch *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SIGNAL_WATCH_MAX; i++) {
		if (s->events[i] != NULL)
			event_free(s->events[i]);
	}
	free(s);
}

void
signal_watch_end(struct signal_watch *s)
{
	sigset_t all, before;

	if (s == NULL)
		return;
	all = s->all;
	/* libevent gives a signal back to what it did before. */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	signal_watch_free(s);
	ignore(&all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

#endif
