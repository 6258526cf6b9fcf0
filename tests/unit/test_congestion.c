/* net/congestion. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/congestion.h"
#include "unit/unit.h"

#define ALLOWED "/proc/sys/net/ipv4/tcp_allowed_congestion_control"

static char last[16]; /* of those that anybody may choose: not the system's, if there are more */
static bool has_bbr;
static struct addr far_away, here;

static void
set_up(void)
{
	FILE *file = fopen(ALLOWED, "r");

	ck_assert_ptr_nonnull(file);
	while (fscanf(file, "%15s", last) == 1)
		has_bbr = has_bbr || strcmp(last, "bbr") == 0;
	fclose(file);
	ck_assert_int_eq(addr_parse(&far_away, "192.0.2.1", 1), FTX_OK);
	ck_assert_int_eq(addr_parse(&here, "::1", 1), FTX_OK);
	ck_assert_int_ne(last[0], '\0');
}

static void
has(int fd, const char *name)
{
	char now[16] = "";
	socklen_t len = sizeof(now);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len), 0);
	ck_assert_str_eq(now, name);
}

START_TEST(test_what_is_accepted_inherits_it)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listening = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
	int accepted;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(congestion_set(listening, last, &here), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&sin, &len), 0);
	ck_assert_int_eq(connect(peer, (struct sockaddr *)&sin, len), 0);
	accepted = accept(listening, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	has(accepted, last);
	close(accepted);
	close(peer);
	close(listening);
}
END_TEST

START_TEST(test_empty_leaves_it)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(congestion_set(fd, last, &far_away), 0);
	ck_assert_int_eq(congestion_set(fd, "", &far_away), 0);
	has(fd, last);
	close(fd);
}
END_TEST

/* One that sends by a timer is what somebody has asked for, or for a line. */
START_TEST(test_nothing_paces_on_the_loopback)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0 || !has_bbr)
		return; /* neither can be seen here */
	ck_assert_int_eq(congestion_set(fd, "bbr", &here), 0);
	has(fd, "bbr");
	ck_assert_int_eq(congestion_set(fd, "", &far_away), 0);
	has(fd, "bbr");
	ck_assert_int_eq(congestion_set(fd, "", &here), 0);
	has(fd, "reno");
	close(fd);
}
END_TEST

START_TEST(test_check)
{
	int before = unit_descriptors();

	ck_assert_int_eq(congestion_check(""), 0);
	ck_assert_int_eq(congestion_check(last), 0);
	ck_assert_int_eq(congestion_check("no-such"), ENOENT);
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

/* What is no TCP has none. */
START_TEST(test_another_socket)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_ne(congestion_set(fds[0], last, &here), 0);
	ck_assert_int_eq(congestion_set(fds[0], "", &here), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "congestion");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_what_is_accepted_inherits_it);
	tcase_add_test(tc, test_empty_leaves_it);
	tcase_add_test(tc, test_nothing_paces_on_the_loopback);
	tcase_add_test(tc, test_check);
	tcase_add_test(tc, test_another_socket);
}

int
main(void)
{
	return unit_run("congestion", add_cases);
}
