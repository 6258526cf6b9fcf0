#include "daemon/sockets.h"

#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rc.h"
#include "daemon/activation.h"
#include "net/congestion.h"

#define BACKLOG    1024 /* connections; the kernel caps it at net.core.somaxconn (listen(2)) */
#define PORT_TRIES 16   /* ports tried until one is free on all addresses */

/* The addresses of the list, in its order; a name may stand for several. */
static int
resolve_addresses(struct sockets *s, const struct daemon_options *options)
{
	const struct option_list *list = &options->listen_address;
	uint16_t port = (uint16_t)options->listen_port;

	for (size_t i = 0; i < list->count; i++) {
		size_t n = 1, room = SOCKETS_ADDRESSES_MAX - s->count;
		struct addr *next = &s->addresses[s->count];
		enum ftx_rc rc;

		if (room == 0) {
			log_error("listen_address: more than %d addresses", SOCKETS_ADDRESSES_MAX);
			return EX_CONFIG;
		}
		rc = addr_parse(next, list->items[i], port);
		if (rc == FTX_USAGE)
			rc = addr_resolve(list->items[i], port, next, room, &n);
		if (rc != FTX_OK) {
			log_error("listen_address %s: %s", list->items[i], ftx_rc_text(rc));
			return rc == FTX_HOST_UNKNOWN ? EX_NOHOST : EX_CONFIG;
		}
		s->count += n;
	}
	if (s->count == 0) {
		log_error("listen_address: there is no address to listen on");
		return EX_CONFIG;
	}
	return 0;
}

static bool
turn_on(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one)) == 0;
}

static bool
share(int fd)
{
#ifdef SO_REUSEPORT
	return turn_on(fd, SOL_SOCKET, SO_REUSEPORT);
#else
	(void)fd;
	return false;
#endif
}

/*
 * shared: one more socket on an address that share() has opened for others. addr gets the port that
 * was chosen for port 0. -1: errno says why.
 */
static int
bind_and_listen(struct addr *addr, bool shared)
{
	int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

	if (fd < 0)
		return -1;
	/* An IPv6 socket takes no IPv4 connections: each address of the list stands for itself. */
	if (!turn_on(fd, SOL_SOCKET, SO_REUSEADDR) ||
	    (addr->ss.ss_family == AF_INET6 && !turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
	    (shared && !share(fd)) || bind(fd, (struct sockaddr *)&addr->ss, addr->len) != 0 ||
	    listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/*
 * A socket for each worker. The first one listens before it is opened for others: so the port is
 * ours alone, or refused, also to a second daemon of the same user that starts at the same moment.
 * Only then do the others join it. Zero, or an errno.
 */
static int
listen_on(struct sockets *s, size_t at, struct addr *addr)
{
	int *fds = s->fds[at];

	fds[0] = bind_and_listen(addr, false);
	if (fds[0] < 0)
		return errno;
	s->listening[at] = true;
	if (s->workers > 1 && !share(fds[0]))
		s->workers = 1; /* the first one accepts, and hands them over */
	for (unsigned i = 1; i < s->workers; i++) {
		fds[i] = bind_and_listen(addr, true);
		if (fds[i] < 0)
			return errno;
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
listen_on_all(struct sockets *s, uint16_t port, const struct daemon_options *options,
    const struct addr **failed)
{
	size_t open = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct addr a = s->addresses[i];
		int err;

		addr_set_port(&a, port);
		err = listen_on(s, i, &a);
		if (err != 0) {
			*failed = &s->addresses[i];
			if (may_skip(err, options))
				continue;
			return err;
		}
		s->addresses[i] = a;
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
open_own(struct sockets *s, const struct daemon_options *options)
{
	const struct addr *failed = &s->addresses[0];
	uint16_t port = (uint16_t)options->listen_port;
	char text[ADDR_TEXT_SIZE];
	int code = resolve_addresses(s, options), err = 0;

	if (code != 0)
		return code;
	for (int tries = 0; tries < PORT_TRIES; tries++) {
		err = listen_on_all(s, port, options, &failed);
		if (err == 0)
			return 0;
		sockets_close(s);
		/* Port 0 became one that is taken on another address: the next try gets another. */
		if (err != EADDRINUSE || port != 0)
			break;
	}
	log_error("cannot listen on %s: %s%s", addr_text(failed, text), ftx_errno_text(err),
	    what_to_do(err));
	return err == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

static int
adopt_one(struct sockets *s, int fd)
{
	struct addr *addr = &s->addresses[s->count];

	if (!activation_is_listener(fd)) {
		log_error("descriptor %d from the service manager is not a listening TCP socket: "
			  "in the socket unit, ListenStream= takes [ADDRESS:]PORT, and Accept= "
			  "must be no",
		    fd);
		return EX_CONFIG;
	}
	s->fds[s->count][0] = fd;
	s->listening[s->count] = true;
	addr->len = sizeof(addr->ss);
	if (getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len) != 0 ||
	    evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0) {
		log_error("descriptor %d from the service manager: %s", fd, ftx_errno_text(errno));
		return EX_OSERR;
	}
	s->count++;
	return 0;
}

static int
adopt_given(struct sockets *s, int given, const struct daemon_options *options)
{
	int code = 0;

	if (given > SOCKETS_ADDRESSES_MAX) {
		log_error("more than %d sockets from the service manager", SOCKETS_ADDRESSES_MAX);
		return EX_CONFIG;
	}
	if (options->listen_address_chosen || options->listen_port_chosen)
		log_info("listen_address and listen_port are not used: the sockets come from the "
			 "service manager");
	s->workers = 1;
	for (int i = 0; i < given && code == 0; i++)
		code = adopt_one(s, ACTIVATION_FIRST + i);
	return code;
}

/* What is accepted has it from the socket that listens. */
static int
set_congestion(const struct sockets *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++) {
		for (unsigned w = 0; w < s->workers; w++) {
			int fd = s->fds[i][w];
			int err = fd < 0 ? 0 : congestion_set(fd, name, &s->addresses[i]);

			if (err != 0) {
				log_error("tcp_congestion %s: %s: " CONGESTION_HINT, name,
				    ftx_errno_text(err));
				return EX_CONFIG;
			}
		}
	}
	return 0;
}

int
sockets_open(struct sockets *s, const struct daemon_options *options, unsigned workers)
{
	int given = activation_take(), code;

	memset(s, 0, sizeof(*s));
	memset(s->fds, -1, sizeof(s->fds));
	s->workers = workers;
	if (given < 0) {
		log_error(
		    "cannot take the sockets of the service manager: %s", ftx_errno_text(-given));
		return EX_UNAVAILABLE;
	}
	code = given > 0 ? adopt_given(s, given, options) : open_own(s, options);
	if (code == 0)
		code = set_congestion(s, options->tcp_congestion);
	if (code != 0)
		sockets_close(s);
	return code;
}

size_t
sockets_open_count(const struct sockets *s)
{
	size_t count = 0;

	for (size_t i = 0; i < SOCKETS_ADDRESSES_MAX; i++) {
		for (unsigned w = 0; w < WORKERS_MAX; w++)
			count += s->fds[i][w] >= 0;
	}
	return count;
}

size_t
sockets_take(struct sockets *s, unsigned worker, int fds[SOCKETS_ADDRESSES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < SOCKETS_ADDRESSES_MAX; i++) {
		if (s->fds[i][worker] >= 0)
			fds[count++] = s->fds[i][worker];
		s->fds[i][worker] = -1;
	}
	return count;
}

void
sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < SOCKETS_ADDRESSES_MAX; i++) {
		for (unsigned w = 0; w < WORKERS_MAX; w++) {
			if (s->fds[i][w] >= 0)
				close(s->fds[i][w]);
			s->fds[i][w] = -1;
		}
	}
}

void
sockets_print(const struct sockets *s, FILE *out)
{
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < s->count; i++) {
		if (s->listening[i])
			fprintf(out, "listening on %s\n", addr_text(&s->addresses[i], text));
	}
	(void)fflush(out);
}
