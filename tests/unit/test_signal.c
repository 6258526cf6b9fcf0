/* loop: signals as events, by signalfd(2), and WITHOUT_SIGNALFD by libevent's handlers. */
#include "unit/unit.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loop/signal.h"

static const int watched[] = { SIGTERM, SIGINT, SIGHUP };
static struct event_base *base;
static struct signal_watch *watch;
static int fired[_NSIG];
static int arg_given;

static void
on_fire(void *arg, int signo)
{
	ck_assert_ptr_eq(arg, &arg_given);
	fired[signo]++;
}

static void
start_watch(void)
{
	enum ftx_rc rc = signal_watch_new(&watch, base, watched, 3, on_fire, &arg_given);

	ck_assert_int_eq(rc, FTX_OK);
}

static void
make_base(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	memset(fired, 0, sizeof(fired));
}

static void
drop_base(void)
{
	event_base_free(base);
}

static void
turn(void)
{
	ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
}

START_TEST(test_what_was_ignored_is_dropped)
{
	int signos[] = { SIGTERM, SIGHUP, SIGINT };

	ck_assert_uint_eq(signal_drop_ignored(signos, 3), 3);
	ck_assert_ptr_ne(signal(SIGHUP, SIG_IGN), SIG_ERR);
	ck_assert_uint_eq(signal_drop_ignored(signos, 3), 2);
	ck_assert_int_eq(signos[0], SIGTERM);
	ck_assert_int_eq(signos[1], SIGINT);
}
END_TEST

START_TEST(test_each_signal)
{
	start_watch();
	for (int i = 0; i < COUNT(watched); i++) {
		ck_assert_int_eq(raise(watched[i]), 0);
		ck_assert_int_eq(fired[watched[i]], 0); /* on the loop only */
		UNIT_UNTIL(fired[watched[i]] == 1, turn());
	}
	signal_watch_free(watch);
	signal_watch_free(NULL);
}
END_TEST

START_TEST(test_several_at_once)
{
	start_watch();
	for (int i = 0; i < COUNT(watched); i++)
		ck_assert_int_eq(raise(watched[i]), 0);
	UNIT_UNTIL(fired[SIGTERM] == 1 && fired[SIGINT] == 1 && fired[SIGHUP] == 1, turn());
	turn();
	ck_assert_int_eq(fired[SIGTERM] + fired[SIGINT] + fired[SIGHUP], 3);
	signal_watch_free(watch);
}
END_TEST

/* This test is to die of SIGTERM, at its last line. */
START_TEST(test_default_again)
{
	start_watch();
	signal_watch_free(watch);
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	raise(SIGTERM);
	ck_abort_msg("SIGTERM does not do again what it did");
}
END_TEST

/* Whatever comes at the end, one that waits to be seen too, this process lives on. */
START_TEST(test_ignored_from_the_end_on)
{
	struct sigaction now;

	start_watch();
	for (int i = 0; i < COUNT(watched); i++)
		ck_assert_int_eq(raise(watched[i]), 0);
	signal_watch_end(watch);
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	for (int i = 0; i < COUNT(watched); i++) {
		ck_assert_int_eq(raise(watched[i]), 0);
		ck_assert_int_eq(sigaction(watched[i], NULL, &now), 0);
		ck_assert(now.sa_handler == SIG_IGN);
	}
	turn();
	ck_assert_int_eq(fired[SIGTERM] + fired[SIGINT] + fired[SIGHUP], 0);
	signal_watch_end(NULL);
}
END_TEST

START_TEST(test_no_descriptor_is_left)
{
	int before;

	start_watch(); /* the first time libevent keeps what it needs for signals */
	signal_watch_free(watch);
	before = unit_descriptors();
	for (int i = 0; i < 3; i++) {
		start_watch();
		signal_watch_free(watch);
	}
	ck_assert_int_eq(unit_descriptors(), before);
}
END_TEST

#if defined HAVE_SYS_SIGNALFD_H && !defined WITHOUT_SIGNALFD

static bool
is_blocked(int signo)
{
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, signo) == 1;
}

static void *
in_thread(void *arg)
{
	bool *all_blocked = arg;

	*all_blocked = is_blocked(SIGTERM) && is_blocked(SIGINT) && is_blocked(SIGHUP);
	return NULL;
}

START_TEST(test_no_handler_runs)
{
	struct sigaction before[COUNT(watched)], now;
	bool all_blocked = false;
	pthread_t thread;

	for (int i = 0; i < COUNT(watched); i++)
		ck_assert_int_eq(sigaction(watched[i], NULL, &before[i]), 0);
	start_watch();
	for (int i = 0; i < COUNT(watched); i++) {
		ck_assert_int_eq(sigaction(watched[i], NULL, &now), 0);
		ck_assert(now.sa_handler == before[i].sa_handler);
		ck_assert(is_blocked(watched[i]));
	}
	/* Nor is any later thread to die of them. */
	ck_assert_int_eq(pthread_create(&thread, NULL, in_thread, &all_blocked), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(all_blocked);
	signal_watch_free(watch);
}
END_TEST

START_TEST(test_mask_as_before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start_watch();
	signal_watch_free(watch);
	ck_assert(is_blocked(SIGINT));
	ck_assert(!is_blocked(SIGTERM));
	ck_assert(!is_blocked(SIGHUP));
}
END_TEST

START_TEST(test_unseen_signal_is_dropped)
{
	start_watch();
	for (int i = 0; i < COUNT(watched); i++)
		ck_assert_int_eq(raise(watched[i]), 0);
	signal_watch_free(watch); /* and this process lives on */
	ck_assert_int_eq(fired[SIGTERM] + fired[SIGINT] + fired[SIGHUP], 0);
}
END_TEST

START_TEST(test_out_of_descriptors)
{
	struct rlimit before, none;
	enum ftx_rc rc;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = signal_watch_new(&watch, base, watched, 3, on_fire, &arg_given);
	/* Back at once: a leak sanitizer needs some when the test ends. */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(rc, FTX_NOMEM);
	for (int i = 0; i < COUNT(watched); i++)
		ck_assert(!is_blocked(watched[i]));
}
END_TEST

static void
add_signalfd_tests(TCase *tc)
{
	tcase_add_test(tc, test_no_handler_runs);
	tcase_add_test(tc, test_mask_as_before);
	tcase_add_test(tc, test_unseen_signal_is_dropped);
	tcase_add_test(tc, test_out_of_descriptors);
}

#else

static void
add_signalfd_tests(TCase *tc)
{
	(void)tc;
}

#endif

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "watch");

	tcase_add_checked_fixture(tc, make_base, drop_base);
	tcase_add_test(tc, test_what_was_ignored_is_dropped);
	tcase_add_test(tc, test_each_signal);
	tcase_add_test(tc, test_several_at_once);
	tcase_add_test_raise_signal(tc, test_default_again, SIGTERM);
	tcase_add_test(tc, test_ignored_from_the_end_on);
	tcase_add_test(tc, test_no_descriptor_is_left);
	add_signalfd_tests(tc);
}

int
main(void)
{
	return unit_run("signal", add_cases);
}
