#include "unit/net_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct worker *worker;
struct conn *conn;
int peer = -1;
struct heard heard;
struct conn_limits limits;

static int descriptors;

void
net_setup(void)
{
	signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
	unit_clock_stop();
	unit_log_keep();
	descriptors = unit_descriptors();
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
}

void
net_teardown(void)
{
	if (conn != NULL)
		conn_close(conn, FTX_CANCELLED);
	if (peer >= 0)
		close(peer);
	peer = -1;
	turns(3);
	ck_assert_ptr_null(conn);
	worker_free(worker);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
act(void)
{
	struct conn *c = heard.close_on, *f = heard.finish_on;

	heard.close_on = NULL;
	heard.finish_on = NULL;
	if (c != NULL)
		conn_close(c, FTX_CANCELLED);
	if (f != NULL)
		conn_finish(f, FTX_DECLINED);
}

static void
on_input(void *arg)
{
	UNIT_CHECK(arg == &heard && heard.ends == 0);
	heard.inputs++;
	act();
}

static void
on_output(void *arg)
{
	UNIT_CHECK(arg == &heard && heard.ends == 0);
	heard.outputs++;
	act();
}

static void
on_close(void *arg, enum ftx_rc why)
{
	UNIT_CHECK(arg == &heard && heard.owner_ends == heard.ends);
	heard.ends++;
	heard.why = why;
}

static void
on_owner_close(void *arg, enum ftx_rc why)
{
	UNIT_CHECK(arg == &conn && why == heard.why);
	heard.owner_ends++;
	UNIT_CHECK(heard.owner_ends == heard.ends);
	conn = NULL;
}

static void
adopt(int fd, const struct addr *addr)
{
	static const struct conn_io io = { on_input, on_output };

	memset(&heard, 0, sizeof(heard));
	ck_assert_int_eq(conn_new(&conn, worker, fd, addr, &limits), FTX_OK);
	conn_set_conversation(conn, on_close, &heard);
	conn_set_owner(conn, on_owner_close, &conn);
	conn_set_io(conn, &io, &heard);
}

void
pair_unix(void)
{
	int ends[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	peer = ends[1];
	adopt(ends[0], NULL);
}

void
tcp_ends(int ends[2])
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(ends[1], (struct sockaddr *)&sa, sizeof(sa)), 0);
	ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(ends[0], 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	close(listener);
}

void
pair_tcp(void)
{
	struct addr addr = { .len = sizeof(addr.ss) };
	int ends[2];

	tcp_ends(ends);
	ck_assert_int_eq(getpeername(ends[0], (struct sockaddr *)&addr.ss, &addr.len), 0);
	peer = ends[1];
	adopt(ends[0], &addr);
}

void
turns(int count)
{
	for (int i = 0; i < count; i++) {
		worker_turn(worker, false);
		unit_pause();
	}
}

size_t
peer_send_some(const void *p, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = send(peer, (const char *)p + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

void
peer_send(const void *p, size_t len)
{
	size_t sent = 0;

	UNIT_UNTIL((sent += peer_send_some((const char *)p + sent, len - sent)) == len,
	    worker_turn(worker, false));
}

void
peer_gets(const void *p, size_t len)
{
	char *got = malloc(len + 1);
	size_t used = 0;

	UNIT_CHECK(got != NULL);
	UNIT_UNTIL(used == len, {
		ssize_t n = recv(peer, got + used, len - used, 0);

		used += n > 0 ? (size_t)n : 0;
		ck_assert(n != 0);
		worker_turn(worker, false);
	});
	ck_assert(memcmp(got, p, len) == 0);
	free(got);
}

int
peer_next(void)
{
	ssize_t n;
	char byte;

	turns(5);
	n = recv(peer, &byte, 1, 0);
	return n > 0 ? -1 : n == 0 ? 0 : errno;
}

void
peer_close(bool abruptly)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	if (abruptly)
		ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(peer);
	peer = -1;
}
