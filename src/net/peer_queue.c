#include "net/peer_queue.h"

#ifdef HAVE_LINUX_INET_DIAG_H
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

/* An end of the connection, as the diagnosis writes it; an IPv4-mapped address as IPv4. */
struct end {
	int family;
	uint16_t port; /* network byte order */
	uint8_t address[16];
};

static bool
end_of(struct end *e, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	*e = (struct end){ .family = ss->ss_family };
	if (ss->ss_family == AF_INET) {
		e->port = in->sin_port;
		memcpy(e->address, &in->sin_addr, sizeof(in->sin_addr));
		return true;
	}
	if (ss->ss_family != AF_INET6)
		return false;
	e->port = in6->sin6_port;
	if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(e->address, &in6->sin6_addr, sizeof(e->address));
		return true;
	}
	e->family = AF_INET;
	memcpy(e->address, &in6->sin6_addr.s6_addr[12], sizeof(in->sin_addr));
	return true;
}

/* For the one socket that has the peer's address for its own, and ours for its peer's. */
static bool
make_question(struct question *q, int fd)
{
	struct sockaddr_storage own, peer;
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	struct end here, there;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) != 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 || !end_of(&here, &own) ||
	    !end_of(&there, &peer))
		return false;
	*q = (struct question){
		.header.nlmsg_len = sizeof(*q),
		.header.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.request.sdiag_family = (uint8_t)there.family,
		.request.sdiag_protocol = IPPROTO_TCP,
		.request.idiag_states = UINT32_MAX,
		.request.id.idiag_sport = there.port,
		.request.id.idiag_dport = here.port,
		.request.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	memcpy(q->request.id.idiag_src, there.address, sizeof(there.address));
	memcpy(q->request.id.idiag_dst, here.address, sizeof(here.address));
	return true;
}

/* The kernel answers within send(2), so that nothing is waited for. */
static long
ask(int diag, const struct question *q)
{
	union {
		struct nlmsghdr header;
		char space[1024];
	} answer;
	const struct inet_diag_msg *m = NLMSG_DATA(&answer.header);
	ssize_t n;

	if (send(diag, q, sizeof(*q), 0) != (ssize_t)sizeof(*q))
		return -1;
	n = recv(diag, &answer, sizeof(answer), MSG_DONTWAIT);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*m)) || !NLMSG_OK(&answer.header, (size_t)n) ||
	    answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -1;
	return (long)m->idiag_rqueue;
}

long
peer_queue_length(int fd)
{
	struct question q;
	long length;
	int diag;

	if (!make_question(&q, fd))
		return -1;
	diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (diag < 0)
		return -1;
	length = ask(diag, &q);
	close(diag);
	return length;
}
#else
long
peer_queue_length(int fd)
{
	(void)fd;
	return -1;
}
#endif
