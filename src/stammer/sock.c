#include "stammer/sock.h"

#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined __linux__
#include <linux/sockios.h>
#endif

#define OUTPUT_MAX 262144 /* bytes; the kernel doubles them, for its own part of it */

/* Closes and keeps errno. */
static void
sock_drop(int fd)
{
	int err = errno;

	close(fd);
	errno = err;
}

static int
sock_prepare(int fd)
{
	if (evutil_make_socket_nonblocking(fd) == 0 && evutil_make_socket_closeonexec(fd) == 0)
		return fd;
	sock_drop(fd);
	return -1;
}

/* A fragment is a segment of its own: Nagle's algorithm must not join it to the next. */
static void
sock_set_nodelay(int fd)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

int
sock_open(int family)
{
	int fd = socket(family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0)
		return -1;
	sock_set_nodelay(fd);
	return sock_prepare(fd);
}

int
sock_listen(struct addr *a)
{
	int fd = sock_open(a->ss.ss_family);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0 &&
	    bind(fd, (struct sockaddr *)&a->ss, a->len) == 0 && listen(fd, SOMAXCONN) == 0) {
		a->len = sizeof(a->ss);
		if (getsockname(fd, (struct sockaddr *)&a->ss, &a->len) == 0)
			return fd;
	}
	sock_drop(fd);
	return -1;
}

int
sock_accept(int listener, struct addr *peer)
{
	int fd;

	memset(peer, 0, sizeof(*peer));
	peer->len = sizeof(peer->ss);
	fd = accept(listener, (struct sockaddr *)&peer->ss, &peer->len);
	if (fd < 0)
		return -1;
	sock_set_nodelay(fd);
	return sock_prepare(fd);
}

int
sock_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return errno;
	return err;
}

bool
sock_is_flushed(int fd)
{
#ifdef SIOCOUTQ
	int unacknowledged = 0;

	return ioctl(fd, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0; /* tcp(7) */
#else
	(void)fd;
	return true;
#endif
}

void
sock_probe(int fd)
{
#ifdef TCP_KEEPIDLE
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 30 }, sizeof(int));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){ 10 }, sizeof(int));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){ 3 }, sizeof(int));
#endif
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
}

long
sock_discard(int fd)
{
	unsigned char waste[16 * 1024];
	ssize_t n;

	do {
		n = read(fd, waste, sizeof(waste));
	} while (n < 0 && errno == EINTR);
	return (long)n;
}

void
sock_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

void
sock_limit_output(int fd, size_t buffer)
{
	int bytes = OUTPUT_MAX;

	if (buffer < OUTPUT_MAX)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}
