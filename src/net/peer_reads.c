#include "net/peer_reads.h"

#ifdef HAVE_LINUX_INET_DIAG_H
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
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
	struct sockaddr_storage own = { .ss_family = AF_UNSPEC }, peer = own;
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
		.request.idiag_ext = 1 << (INET_DIAG_INFO - 1),
		.request.idiag_states = UINT32_MAX,
		.request.id.idiag_sport = there.port,
		.request.id.idiag_dport = here.port,
		.request.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	memcpy(q->request.id.idiag_src, there.address, sizeof(there.address));
	memcpy(q->request.id.idiag_dst, here.address, sizeof(here.address));
	return true;
}

/* What has come in order, of an answer's attributes; older kernels tell less (4.1 does). */
static bool
find_received(struct nlmsghdr *header, uint64_t *bytes)
{
	struct inet_diag_msg *m = NLMSG_DATA(header);
	struct rtattr *a = (struct rtattr *)(m + 1);
	size_t len = header->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	struct tcp_info info;

	while (RTA_OK(a, len) && a->rta_type != INET_DIAG_INFO)
		a = RTA_NEXT(a, len);
	if (!RTA_OK(a, len) ||
	    RTA_PAYLOAD(a) < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(uint64_t))
		return false;
	memset(&info, 0, sizeof(info));
	memcpy(&info, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof(info) ? RTA_PAYLOAD(a) : sizeof(info));
	*bytes = info.tcpi_bytes_received;
	return true;
}

/* The kernel answers within send(2), so that nothing is waited for. */
static bool
ask(int diag, const struct question *q, uint64_t *bytes)
{
	union {
		struct nlmsghdr header;
		char space[2048];
	} answer;
	const struct inet_diag_msg *m = NLMSG_DATA(&answer.header);
	ssize_t n;

	if (send(diag, q, sizeof(*q), 0) != (ssize_t)sizeof(*q))
		return false;
	n = recv(diag, answer.space, sizeof(answer.space), MSG_DONTWAIT);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*m)) || !NLMSG_OK(&answer.header, (size_t)n) ||
	    answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    !find_received(&answer.header, bytes) || *bytes < m->idiag_rqueue)
		return false;
	*bytes -= m->idiag_rqueue;
	return true;
}

bool
peer_reads(int fd, uint64_t *bytes)
{
	struct question q;
	bool told;
	int diag;

	if (!make_question(&q, fd))
		return false;
	diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (diag < 0)
		return false;
	told = ask(diag, &q, bytes);
	close(diag);
	return told;
}
#else
bool
peer_reads(int fd, uint64_t *bytes)
{
	(void)fd;
	(void)bytes;
	return false;
}
#endif
