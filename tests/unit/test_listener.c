/* daemon/listener: what it does when no connection can be accepted; accept4(2) is this file's. */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/listener.h"
#include "loop/worker.h"
#include "unit/unit.h"

static int accept_error; /* what accept4(2) fails with; 0: it does not */
static int accept_calls;

int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int (*real)(int, struct sockaddr *, socklen_t *, int);

	accept_calls++;
	if (accept_error != 0) {
		errno = accept_error;
		return -1;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "accept4");
	return real(fd, addr, len, flags);
}

static struct worker *worker;
static struct listener *listener;
static struct addr address;
static int accepted, taken[5], peers[5], peer_count, descriptors;
static bool wants_more;
static int room; /* that was asked for, and is neither used nor given back */
static _Atomic uint64_t say_next;

static bool
on_has_room(void *arg)
{
	UNIT_CHECK(arg == &accepted && room == 0);
	room++;
	return true;
}

static void
on_accept(void *arg, struct listener *l, int fd, const struct addr *peer)
{
	UNIT_CHECK(arg == &accepted && l == listener && peer->len > 0);
	taken[accepted++] = fd;
	room--;
	if (!wants_more)
		listener_pause(listener);
}

static void
on_nobody(void *arg)
{
	UNIT_CHECK(arg == &accepted);
	room--;
}

static const struct listener_taker taker = {
	.has_room = on_has_room,
	.on_accept = on_accept,
	.on_nobody = on_nobody,
	.arg = &accepted,
	.say_next = &say_next,
};

static void
turns(int count)
{
	for (int i = 0; i < count; i++) {
		worker_turn(worker, false);
		unit_pause();
	}
}

static void
connect_peer(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address.ss, address.len), 0);
	peers[peer_count++] = fd;
}

static void
set_up(void)
{
	int fd;

	unit_clock_stop();
	unit_log_keep();
	descriptors = unit_descriptors();
	wants_more = true;
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
	ck_assert_int_eq(addr_parse(&address, "127.0.0.1", 0), FTX_OK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address.ss, address.len), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address.ss, &address.len), 0);
	ck_assert_int_eq(listener_new(&listener, worker, fd, &taker), FTX_OK);
	connect_peer();
	turns(3);
	ck_assert_int_eq(accept_calls, 0); /* it begins paused */
	listener_resume(listener);
	UNIT_UNTIL(accepted == 1, turns(1));
	close(taken[0]);
	accepted = accept_calls = 0;
}

static void
tear_down(void)
{
	ck_assert_int_eq(room, 0);
	listener_free(listener);
	worker_free(worker);
	for (int i = 0; i < accepted; i++)
		close(taken[i]);
	for (int i = 0; i < peer_count; i++)
		close(peers[i]);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
elapse(uint64_t ms)
{
	unit_clock_add(ms);
	worker_run_timers(worker);
	turns(5);
}

static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };

/* It is tried again after a while, not all the time; and the log is not filled with it. */
START_TEST(test_retry)
{
	accept_error = errors[_i];
	connect_peer();
	UNIT_UNTIL(accept_calls == 1, turns(1));
	turns(20);
	elapse(249);
	ck_assert_int_eq(accept_calls, 1);
	for (int tries = 2; tries < 6; tries++) {
		elapse(1);
		UNIT_UNTIL(accept_calls == tries, turns(1));
		elapse(249);
		ck_assert_int_eq(accept_calls, tries);
	}
	ck_assert_int_eq(unit_log_count("cannot accept connections for now"), 1);
	accept_error = 0;
	ck_assert_int_eq(accepted, 0);
	elapse(1);
	UNIT_UNTIL(accepted == 1, turns(1));
}
END_TEST

/* Something has become free: at once, and the timer is not needed any more. */
START_TEST(test_resume)
{
	accept_error = EMFILE;
	connect_peer();
	UNIT_UNTIL(accept_calls == 1, turns(1));
	accept_error = 0;
	listener_resume(listener);
	UNIT_UNTIL(accepted == 1, turns(1));
	elapse(1000);
	listener_resume(listener);
	connect_peer();
	UNIT_UNTIL(accepted == 2, turns(1));
}
END_TEST

/* Its owner has no place for more: no time helps. */
START_TEST(test_full)
{
	wants_more = false;
	connect_peer();
	connect_peer();
	UNIT_UNTIL(accepted == 1, turns(1));
	elapse(1000 * 1000);
	ck_assert_int_eq(accepted, 1);
	listener_resume(listener);
	UNIT_UNTIL(accepted == 2, turns(1));
}
END_TEST

/* Nor does the time that it was to be tried again at. */
START_TEST(test_full_while_it_waits)
{
	accept_error = EMFILE;
	connect_peer();
	UNIT_UNTIL(accept_calls == 1, turns(1));
	accept_error = 0;
	listener_pause(listener);
	elapse(1000 * 1000);
	ck_assert_int_eq(accept_calls, 1);
	listener_resume(listener);
	UNIT_UNTIL(accepted == 1, turns(1));
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "listener");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_retry, 0, COUNT(errors));
	tcase_add_test(tc, test_resume);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_full_while_it_waits);
}

int
main(void)
{
	return unit_run("listener", add_cases);
}
