/* Unit tests of net/addr. */
#include <arpa/inet.h>
#include <check.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

static const struct {
	const char *text, *host;
	uint16_t port;
} good_splits[] = {
	{ "127.0.0.1:50001", "127.0.0.1", 50001 },
	{ "localhost:1", "localhost", 1 },
	{ "localhost:65535", "localhost", 65535 },
	{ "localhost", "localhost", 4242 },
	{ "h:00080", "h", 80 },
	{ "[::1]:80", "::1", 80 },
	{ "[::1]", "::1", 4242 },
	{ "::1", "::1", 4242 },
	{ "::", "::", 4242 },
	{ "2001:db8::1:80", "2001:db8::1:80", 4242 },
	{ "::ffff:127.0.0.1", "::ffff:127.0.0.1", 4242 },
	{ "[fe80::1%lo]:80", "fe80::1%lo", 80 },
	{ "a.name-with.dots_9:7", "a.name-with.dots_9", 7 },
};

START_TEST(test_split_good)
{
	char host[64];
	uint16_t port = 9;

	ck_assert_int_eq(addr_split(good_splits[_i].text, host, sizeof(host), &port, 4242), FTX_OK);
	ck_assert_str_eq(host, good_splits[_i].host);
	ck_assert_uint_eq(port, good_splits[_i].port);
}
END_TEST

static const char *const bad_splits[] = { "", ":80", "host:", "host:0", "host:65536", "host:-1",
	"host:+1", "host: 1", "host:1 ", "host:0x50", "host:99999999999999999999", "host:http",
	"a:b:c", "1:2:3", "[::1", "::1]", "[::1]80", "[::1]:", "[::1]:0", "[::1]:65536", "[]",
	"[]:80", "[host]:80", "[127.0.0.1]:80", "[[::1]]:80", "ho[st:80", "host]:80", "::1::2",
	"[::1]:80:90" };

START_TEST(test_split_bad)
{
	char host[64];
	uint16_t port;

	ck_assert_int_eq(addr_split(bad_splits[_i], host, sizeof(host), &port, 4242), FTX_USAGE);
}
END_TEST

START_TEST(test_split_host_size)
{
	char host[8];
	uint16_t port;

	memset(host, '#', sizeof(host));
	ck_assert_int_eq(addr_split("abc:1", host, 4, &port, 1), FTX_OK);
	ck_assert_str_eq(host, "abc");
	ck_assert_int_eq(addr_split("abcd:1", host, 4, &port, 1), FTX_USAGE);
	ck_assert_int_eq(addr_split("[::12]:1", host, 4, &port, 1), FTX_USAGE);
	ck_assert_int_eq(addr_split("::12", host, 4, &port, 1), FTX_USAGE);
	ck_assert_int_eq(host[4], '#');
}
END_TEST

START_TEST(test_parse_ipv4)
{
	struct addr a;
	char text[ADDR_TEXT_SIZE];

	ck_assert_int_eq(addr_parse(&a, "192.0.2.7", 50001), FTX_OK);
	ck_assert_int_eq(a.ss.ss_family, AF_INET);
	ck_assert_uint_eq(a.len, sizeof(struct sockaddr_in));
	ck_assert_uint_eq(addr_port(&a), 50001);
	ck_assert_str_eq(addr_text(&a, text), "192.0.2.7:50001");
}
END_TEST

START_TEST(test_parse_ipv6)
{
	struct addr a;
	char text[ADDR_TEXT_SIZE];

	ck_assert_int_eq(addr_parse(&a, "2001:db8::1", 1), FTX_OK);
	ck_assert_int_eq(a.ss.ss_family, AF_INET6);
	ck_assert_uint_eq(a.len, sizeof(struct sockaddr_in6));
	ck_assert_uint_eq(addr_port(&a), 1);
	ck_assert_str_eq(addr_text(&a, text), "[2001:db8::1]:1");
	ck_assert_int_eq(addr_parse(&a, "::ffff:192.0.2.7", 65535), FTX_OK);
	ck_assert_int_eq(a.ss.ss_family, AF_INET6);
	ck_assert_str_eq(addr_text(&a, text), "192.0.2.7:65535");
	ck_assert_int_eq(addr_parse(&a, "fe80::1%lo", 80), FTX_OK);
	ck_assert_str_eq(addr_text(&a, text), "[fe80::1%lo]:80");
}
END_TEST

static const char *const bad_numbers[] = { "", "localhost", "1", "127.1", "0x7f.0.0.1",
	"127.0.0.1.", "256.0.0.1", "127.0.0.1:80", "[::1]", "::1:", ":", ":::", "127.0.0.1 ",
	" ::1" };

START_TEST(test_parse_bad)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, bad_numbers[_i], 80), FTX_USAGE);
}
END_TEST

/* Numbers only: what the machine's resolver makes of names is not ours to test. */
START_TEST(test_resolve)
{
	struct addr a[4];
	char text[ADDR_TEXT_SIZE];
	size_t count = 9;

	ck_assert_int_eq(addr_resolve("127.0.0.1", 81, a, 4, &count), FTX_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(addr_text(&a[0], text), "127.0.0.1:81");
	ck_assert_int_eq(addr_resolve("::1", 82, a, 4, &count), FTX_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(addr_text(&a[0], text), "[::1]:82");
	ck_assert_int_eq(addr_resolve("127.0.0.1", 81, a, 0, &count), FTX_HOST_UNKNOWN);
	ck_assert_uint_eq(count, 0);
	count = 9;
	ck_assert_int_eq(addr_resolve("two words", 81, a, 4, &count), FTX_HOST_UNKNOWN);
	ck_assert_uint_eq(count, 0);
}
END_TEST

static bool
system_knows(const char *host)
{
	struct addrinfo *list;

	if (getaddrinfo(host, NULL, NULL, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

START_TEST(test_resolve_localhost)
{
	struct addr a[8];
	size_t count;

	/*
	 * RFC 6761: always a loopback address; but a bare system without /etc/hosts does not know
	 * it.
	 */
	if (!system_knows("localhost")) {
		ck_assert_int_eq(addr_resolve("localhost", 83, a, 8, &count), FTX_HOST_UNKNOWN);
		return;
	}
	ck_assert_int_eq(addr_resolve("localhost", 83, a, 8, &count), FTX_OK);
	ck_assert_uint_ge(count, 1);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(addr_port(&a[i]), 83);
	ck_assert_int_eq(addr_resolve("localhost", 83, a, 1, &count), FTX_OK);
	ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(test_text_unknown)
{
	struct addr a = { .len = sizeof(struct sockaddr_storage) };
	char text[ADDR_TEXT_SIZE];

	a.ss.ss_family = AF_UNIX;
	ck_assert_uint_eq(addr_port(&a), 0);
	ck_assert(strlen(addr_text(&a, text)) > 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net");
	TCase *tc = tcase_create("addr");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(
	    tc, test_split_good, 0, (int)(sizeof(good_splits) / sizeof(good_splits[0])));
	tcase_add_loop_test(
	    tc, test_split_bad, 0, (int)(sizeof(bad_splits) / sizeof(bad_splits[0])));
	tcase_add_test(tc, test_split_host_size);
	tcase_add_test(tc, test_parse_ipv4);
	tcase_add_test(tc, test_parse_ipv6);
	tcase_add_loop_test(
	    tc, test_parse_bad, 0, (int)(sizeof(bad_numbers) / sizeof(bad_numbers[0])));
	tcase_add_test(tc, test_resolve);
	tcase_add_test(tc, test_resolve_localhost);
	tcase_add_test(tc, test_text_unknown);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
