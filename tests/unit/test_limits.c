/* core/limits: how many connections there may be, in all and per address. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/limits.h"

static struct limits *l;

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static union address
address(const char *text)
{
	union address a;

	memset(&a, 0, sizeof(a));
	if (strchr(text, ':') != NULL) {
		a.in6.sin6_family = AF_INET6;
		ck_assert_int_eq(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
	} else {
		a.in.sin_family = AF_INET;
		ck_assert_int_eq(inet_pton(AF_INET, text, &a.in.sin_addr), 1);
	}
	return a;
}

static struct limits_place *
enter(const char *text)
{
	union address a = address(text);
	struct limits_place *p = NULL;

	ck_assert_int_eq(limits_enter(l, &a.sa, &p), FTX_OK);
	ck_assert_ptr_nonnull(p);
	return p;
}

static void
full(const char *text)
{
	union address a = address(text);
	struct limits_place *p = NULL;

	ck_assert_int_eq(limits_enter(l, &a.sa, &p), FTX_LIMIT);
	ck_assert_ptr_null(p);
}

START_TEST(test_no_limit)
{
	enum { MANY = 3000 };
	struct limits_place *p[MANY];

	ck_assert_int_eq(limits_new(&l, 0, 0), FTX_OK);
	for (int i = 0; i < MANY; i++)
		p[i] = enter(i % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
	for (int i = 0; i < MANY; i++)
		limits_leave(p[i]);
	limits_free(l);
	limits_free(NULL);
}
END_TEST

START_TEST(test_in_all)
{
	struct limits_place *p[3];

	ck_assert_int_eq(limits_new(&l, 3, 0), FTX_OK);
	p[0] = enter("192.0.2.1");
	p[1] = enter("192.0.2.2");
	p[2] = enter("2001:db8::1");
	full("192.0.2.1");
	full("192.0.2.3");
	full("2001:db8:1::1");
	limits_leave(p[1]);
	p[1] = enter("192.0.2.3");
	full("192.0.2.2");
	for (int i = 0; i < 3; i++)
		limits_leave(p[i]);
	limits_free(l);
}
END_TEST

START_TEST(test_per_address)
{
	struct limits_place *p[6];

	ck_assert_int_eq(limits_new(&l, 5, 2), FTX_OK);
	p[0] = enter("192.0.2.1");
	p[1] = enter("192.0.2.1");
	full("192.0.2.1");
	/* A refusal costs nothing: the others have their places. */
	p[2] = enter("192.0.2.2");
	p[3] = enter("192.0.2.2");
	full("192.0.2.2");
	p[4] = enter("192.0.2.3");
	full("192.0.2.3"); /* of the sum this time */
	limits_leave(p[0]);
	full("192.0.2.2");
	p[0] = enter("192.0.2.1");
	for (int i = 0; i < 5; i++)
		limits_leave(p[i]);
	/* All is as it was. */
	p[0] = enter("192.0.2.1");
	p[1] = enter("192.0.2.1");
	full("192.0.2.1");
	limits_leave(p[0]);
	limits_leave(p[1]);
	limits_free(l);
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	/* An IPv6 network of 64 bits is one site. */
	{ "2001:db8::1", "2001:db8::2", true },
	{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
	{ "2001:db8::1", "2001:db8:0:1::1", false },
	{ "2001:db8::1", "2001:db9::1", false },
	{ "2001:db8::", "2001:db8:0:0:8000::", true },
	{ "fe80::1", "fe80::2", true },
	/* This machine is one, from whichever of its loopback addresses. */
	{ "127.0.0.1", "127.0.0.2", true },
	{ "127.0.0.1", "127.255.255.254", true },
	{ "::ffff:127.1.2.3", "127.0.0.1", true },
	{ "127.0.0.1", "126.0.0.1", false },
	{ "127.0.0.0", "128.0.0.0", false },
	/* IPv4 is IPv4, however it is written; never a network but that one. */
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "::ffff:192.0.2.2", false },
	{ "0.0.0.0", "::", false },
	{ "::1", "::ffff:0.0.0.1", false },
	{ "127.0.0.1", "::1", false },
	{ "1.2.3.4", "102:304::", false },
	/* The old "compatible" form is no IPv4 address. */
	{ "192.0.2.1", "::192.0.2.1", false },
};

START_TEST(test_what_counts_as_one)
{
	struct limits_place *p, *q;

	ck_assert_int_eq(limits_new(&l, 0, 1), FTX_OK);
	for (int turn = 0; turn < 2; turn++) {
		const char *a = turn == 0 ? pairs[_i].a : pairs[_i].b;
		const char *b = turn == 0 ? pairs[_i].b : pairs[_i].a;

		p = enter(a);
		if (pairs[_i].same)
			full(b);
		else {
			q = enter(b);
			limits_leave(q);
		}
		limits_leave(p);
	}
	limits_free(l);
}
END_TEST

/* Another port or scope is no other address. */
START_TEST(test_port_and_scope)
{
	union address a = address("192.0.2.1"), b = address("fe80::1");
	struct limits_place *p, *q, *none;

	ck_assert_int_eq(limits_new(&l, 0, 1), FTX_OK);
	ck_assert_int_eq(limits_enter(l, &a.sa, &p), FTX_OK);
	a.in.sin_port = htons(4711);
	ck_assert_int_eq(limits_enter(l, &a.sa, &none), FTX_LIMIT);
	ck_assert_int_eq(limits_enter(l, &b.sa, &q), FTX_OK);
	b.in6.sin6_port = htons(4711);
	b.in6.sin6_flowinfo = htonl(7);
	ck_assert_int_eq(limits_enter(l, &b.sa, &none), FTX_LIMIT);
	limits_leave(p);
	limits_leave(q);
	limits_free(l);
}
END_TEST

START_TEST(test_other_families)
{
	union address a;
	struct limits_place *p, *none;

	memset(&a, 0, sizeof(a));
	a.un.sun_family = AF_UNIX;
	strcpy(a.un.sun_path, "/somewhere");
	ck_assert_int_eq(limits_new(&l, 0, 1), FTX_OK);
	ck_assert_int_eq(limits_enter(l, &a.sa, &p), FTX_OK);
	ck_assert_int_eq(limits_enter(l, &a.sa, &none), FTX_LIMIT);
	limits_leave(p);
	limits_free(l);
}
END_TEST

/* Threads that come and go: never more than there may be. */
#define THREADS 8
#define IN_ALL  5
#define PER_ONE 2

static atomic_int in_all, per_one[3], violations, entered;

static void *
come_and_go(void *arg)
{
	uint64_t seed = 1 + (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < 5000; i++) {
		int n = (int)(unit_random(&seed) % 3);
		struct limits_place *p;
		struct sockaddr_in in = { .sin_family = AF_INET };

		in.sin_addr.s_addr = htonl(0xc0000200U + (unsigned)n);
		if (limits_enter(l, (struct sockaddr *)&in, &p) != FTX_OK)
			continue;
		atomic_fetch_add(&entered, 1);
		if (atomic_fetch_add(&in_all, 1) >= IN_ALL ||
		    atomic_fetch_add(&per_one[n], 1) >= PER_ONE)
			atomic_fetch_add(&violations, 1);
		sched_yield();
		atomic_fetch_sub(&per_one[n], 1);
		atomic_fetch_sub(&in_all, 1);
		limits_leave(p);
	}
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t tids[THREADS];

	ck_assert_int_eq(limits_new(&l, IN_ALL, PER_ONE), FTX_OK);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&tids[i], NULL, come_and_go, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(tids[i], NULL);
	ck_assert_int_eq(atomic_load(&violations), 0);
	ck_assert_int_gt(atomic_load(&entered), 100);
	limits_free(l);
}
END_TEST

START_TEST(test_shares)
{
	ck_assert_int_eq(limits_new(&l, 0, 0), FTX_OK);
	for (int i = 0; i < 3000; i++)
		ck_assert(limits_take_share(l)); /* nobody has said how many */
	ck_assert_uint_ge(limits_shares(l), INT64_MAX);
	limits_set_shares(l, 2);
	ck_assert_uint_eq(limits_shares(l), 2);
	for (int i = 0; i < 3; i++) {
		ck_assert(limits_take_share(l));
		ck_assert(limits_take_share(l));
		ck_assert(!limits_take_share(l));
		ck_assert(!limits_take_share(l));
		limits_give_share(l);
		ck_assert(limits_take_share(l));
		ck_assert(!limits_take_share(l));
		ck_assert_uint_eq(limits_shares(l), 2);
		limits_give_share(l);
		limits_give_share(l);
	}
	limits_set_shares(l, 0);
	ck_assert(!limits_take_share(l));
	limits_free(l);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "limits");

	tcase_add_test(tc, test_no_limit);
	tcase_add_test(tc, test_in_all);
	tcase_add_test(tc, test_per_address);
	tcase_add_loop_test(tc, test_what_counts_as_one, 0, COUNT(pairs));
	tcase_add_test(tc, test_port_and_scope);
	tcase_add_test(tc, test_other_families);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_shares);
}

int
main(void)
{
	return unit_run("limits", add_cases);
}
