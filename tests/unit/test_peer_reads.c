/* net/peer_reads: what the other end of a connection has read. */
#include "unit/unit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/peer_reads.h"

static int ends[2];

/* Connects to a listener, both on the loopback. */
static void
connect_ends(const struct sockaddr *listen_at, socklen_t len, int family, bool mapped)
{
	int listener = socket(listen_at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage at;
	socklen_t at_len = sizeof(at);
	struct sockaddr_in in = { .sin_family = AF_INET };

	memset(&at, 0, sizeof(at));
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, listen_at, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &at_len), 0);
	if (mapped) {
		in.sin_port = ((struct sockaddr_in6 *)&at)->sin6_port;
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(&at, &in, sizeof(in));
		at_len = sizeof(in);
	}
	ends[1] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(ends[1], 0);
	ck_assert_int_eq(connect(ends[1], (struct sockaddr *)&at, at_len), 0);
	ends[0] = accept(listener, NULL, NULL);
	ck_assert_int_ge(ends[0], 0);
	close(listener);
}

static uint64_t
reads(int fd)
{
	uint64_t bytes;

	return peer_reads(fd, &bytes) ? bytes : UINT64_MAX;
}

/* What has arrived is not read yet; and each end has its own. */
static void
check_reads(void)
{
	char got[8];

	if (reads(ends[0]) == UINT64_MAX)
		return; /* not allowed to ask here: that is one of its answers */
	ck_assert_uint_eq(reads(ends[0]), 0);
	ck_assert_int_eq(send(ends[0], "abcdef", 6, 0), 6);
	ck_assert_int_eq(recv(ends[1], got, 4, 0), 4);
	ck_assert_uint_eq(reads(ends[0]), 4);
	ck_assert_uint_eq(reads(ends[1]), 0);
	ck_assert_int_eq(recv(ends[1], got, 8, 0), 2);
	ck_assert_uint_eq(reads(ends[0]), 6);
	ck_assert_int_eq(send(ends[1], "xyz", 3, 0), 3);
	ck_assert_uint_eq(reads(ends[1]), 0);
	ck_assert_int_eq(recv(ends[0], got, 8, 0), 3);
	ck_assert_uint_eq(reads(ends[1]), 3);
	/* The end counts like a byte. */
	shutdown(ends[0], SHUT_WR);
	ck_assert_int_eq(recv(ends[1], got, 8, 0), 0);
	ck_assert_uint_eq(reads(ends[0]), 7);
}

START_TEST(test_ipv4)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connect_ends((struct sockaddr *)&in, sizeof(in), AF_INET, false);
	check_reads();
}
END_TEST

START_TEST(test_ipv6)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in6, sizeof(in6)) != 0)
		return; /* there is none */
	close(fd);
	connect_ends((struct sockaddr *)&in6, sizeof(in6), AF_INET6, false);
	check_reads();
}
END_TEST

/* A listener of both families has the one in the clothes of the other. */
START_TEST(test_mapped)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), both = 0;
	socklen_t len = sizeof(both);

	if (fd < 0 || getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, &len) != 0 || both != 0)
		return;
	close(fd);
	connect_ends((struct sockaddr *)&in6, sizeof(in6), AF_INET, true);
	check_reads();
}
END_TEST

START_TEST(test_nobody_can_tell)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	ck_assert_uint_eq(reads(-1), UINT64_MAX);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_uint_eq(reads(ends[0]), UINT64_MAX);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connect_ends((struct sockaddr *)&in, sizeof(in), AF_INET, false);
	close(ends[0]);
	UNIT_UNTIL(recv(ends[1], &in, 1, 0) == 0, usleep(1000));
	close(ends[1]);
	ck_assert_uint_eq(reads(ends[1]), UINT64_MAX);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "peer_reads");

	tcase_add_test(tc, test_ipv4);
	tcase_add_test(tc, test_ipv6);
	tcase_add_test(tc, test_mapped);
	tcase_add_test(tc, test_nobody_can_tell);
}

int
main(void)
{
	return unit_run("peer_reads", add_cases);
}
