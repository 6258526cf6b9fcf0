#include "daemon/listeners.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "base/rc.h"
#include "base/log.h"
#include "daemon/activation.h"

#define PORT_TRIES 16 /* ports tried until one is free on all addresses */

/* Whom the connections go to. */
struct taker {
	struct worker *worker;
	listener_accept_cb *on_accept;
	void *arg;
};

/* The addresses of the list, in its order; a name may stand for several. */
static int
resolve_addresses(struct listeners *l, const struct daemon_options *options)
{
	const struct option_list *list = &options->listen_address;
	uint16_t port = (uint16_t)options->listen_port;

	for (size_t i = 0; i < list->count; i++) {
		size_t n = 1, room = LISTENERS_MAX - l->count;
		struct addr *next = &l->addresses[l->count];
		enum ftx_rc rc;

		if (room == 0) {
			log_error("listen_address: more than %d addresses", LISTENERS_MAX);
			return EX_CONFIG;
		}
		rc = addr_parse(next, list->items[i], port);
		if (rc == FTX_USAGE)
			rc = addr_resolve(list->items[i], port, next, room, &n);
		if (rc != FTX_OK) {
			log_error("listen_address %s: %s", list->items[i], ftx_rc_text(rc));
			return rc == FTX_HOST_UNKNOWN ? EX_NOHOST : EX_CONFIG;
		}
		l->count += n;
	}
	if (l->count == 0) {
		log_error("listen_address: there is no address to listen on");
		return EX_CONFIG;
	}
	return 0;
}

/* A default address of a kind that this host does not have (IPv6 may be off) is no error. */
static bool
may_skip(int err, const struct daemon_options *options)
{
	return !options->listen_address_chosen && (err == EAFNOSUPPORT || err == EADDRNOTAVAIL);
}

/* All addresses on one port. Zero, or an errno with *failed the address that it is about. */
static int
listen_on_all(struct listeners *l, uint16_t port, const struct daemon_options *options,
    const struct taker *taker, const struct addr **failed)
{
	size_t open = 0;
	int err;

	for (size_t i = 0; i < l->count; i++) {
		struct addr a = l->addresses[i];

		addr_set_port(&a, port);
		if (listener_new(&l->list[i], taker->worker, &a, taker->on_accept, taker->arg,
			&err) != FTX_OK) {
			*failed = &l->addresses[i];
			if (may_skip(err, options))
				continue;
			return err;
		}
		l->addresses[i] = a;
		port = addr_port(&a); /* what port 0 became is the port of all */
		open++;
	}
	return open > 0 ? 0 : EADDRNOTAVAIL;
}

static const char *
what_to_do(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "; stop what listens there, or choose another port with listen_port or -l";
	case EACCES:
		return "; a port below 1024 takes root, or the capability to bind it";
	case EADDRNOTAVAIL:
		return "; this host has no such address: correct listen_address";
	default:
		return "";
	}
}

static int
open_own(struct listeners *l, const struct daemon_options *options, const struct taker *taker)
{
	const struct addr *failed = &l->addresses[0];
	uint16_t port = (uint16_t)options->listen_port;
	char text[ADDR_TEXT_SIZE];
	int code = resolve_addresses(l, options), err = 0;

	if (code != 0)
		return code;
	for (int tries = 0; tries < PORT_TRIES; tries++) {
		err = listen_on_all(l, port, options, taker, &failed);
		if (err == 0)
			return 0;
		listeners_close(l);
		/* Port 0 became one that is taken on another address: the next try gets another. */
		if (err != EADDRINUSE || port != 0)
			break;
	}
	log_error("cannot listen on %s: %s%s", addr_text(failed, text), ftx_errno_text(err),
	    what_to_do(err));
	return err == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

static int
adopt_one(struct listeners *l, int fd, const struct taker *taker)
{
	int err;

	if (!activation_is_listener(fd)) {
		log_error("descriptor %d from the service manager is not a listening TCP socket: "
			  "in the socket unit, ListenStream= takes [ADDRESS:]PORT, and Accept= "
			  "must be no",
		    fd);
		return EX_CONFIG;
	}
	if (listener_adopt(&l->list[l->count], taker->worker, fd, &l->addresses[l->count],
		taker->on_accept, taker->arg, &err) != FTX_OK) {
		log_error("descriptor %d from the service manager: %s", fd, ftx_errno_text(err));
		return EX_OSERR;
	}
	l->count++;
	return 0;
}

static int
adopt_given(
    struct listeners *l, int given, const struct daemon_options *options, const struct taker *taker)
{
	int code = 0;

	if (given > LISTENERS_MAX) {
		log_error("more than %d sockets from the service manager", LISTENERS_MAX);
		return EX_CONFIG;
	}
	if (options->listen_address_chosen || options->listen_port_chosen)
		log_info("listen_address and listen_port are not used: the sockets come from the "
			 "service manager");
	for (int i = 0; i < given && code == 0; i++)
		code = adopt_one(l, ACTIVATION_FIRST + i, taker);
	if (code != 0)
		listeners_close(l);
	return code;
}

int
listeners_open(struct listeners *l, const struct daemon_options *options, struct worker *w,
    listener_accept_cb *on_accept, void *arg)
{
	struct taker taker = { .worker = w, .on_accept = on_accept, .arg = arg };
	int given = activation_take();

	if (given < 0) {
		log_error(
		    "cannot take the sockets of the service manager: %s", ftx_errno_text(-given));
		return EX_UNAVAILABLE;
	}
	return given > 0 ? adopt_given(l, given, options, &taker) : open_own(l, options, &taker);
}

void
listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++) {
		listener_free(l->list[i]);
		l->list[i] = NULL;
	}
}

void
listeners_pause(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->list[i] != NULL)
			listener_pause(l->list[i]);
	}
	l->turn++;
}

/*
 * Of those with somebody waiting, the first to go on is the first to be served (epoll(7)). So they
 * take turns at it: else one of them could take every place that becomes free.
 */
void
listeners_resume(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listener *each = l->list[(l->turn + i) % l->count];

		if (each != NULL)
			listener_resume(each);
	}
}

void
listeners_print(const struct listeners *l, FILE *out)
{
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < l->count; i++) {
		if (l->list[i] != NULL)
			fprintf(out, "listening on %s\n", addr_text(&l->addresses[i], text));
	}
	(void)fflush(out);
}
