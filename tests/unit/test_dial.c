/* net/dial: connects to the first address that answers. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/worker.h"
#include "net/dial.h"

#define TIMEOUT 5000

static struct worker *worker;
static struct dial *dial;
static int descriptors;

/* What it came to. */
static int dones, got_fd, got_err;
static struct addr got_peer;
static bool frees;

static void
set_up(void)
{
	unit_clock_stop();
	descriptors = unit_descriptors();
	ck_assert_int_eq(worker_new(&worker, NULL), FTX_OK);
}

static void
tear_down(void)
{
	dial_free(dial);
	worker_free(worker);
	ck_assert_int_eq(unit_descriptors(), descriptors);
}

static void
on_done(void *arg, int fd, const struct addr *peer, int err)
{
	UNIT_CHECK(arg == &dial);
	dones++;
	got_fd = fd;
	got_err = err;
	UNIT_CHECK((fd >= 0) == (peer != NULL) && (fd >= 0) == (err == 0));
	if (peer != NULL)
		got_peer = *peer;
	if (frees) {
		dial_free(dial);
		dial = NULL;
	}
}

static void
turns(int count)
{
	for (int i = 0; i < count; i++) {
		worker_turn(worker, false);
		unit_pause();
	}
}

static void
begin(const struct addr *addrs, size_t count)
{
	ck_assert_int_eq(
	    dial_start(&dial, worker, addrs, count, TIMEOUT, "", on_done, &dial), FTX_OK);
	ck_assert_int_eq(dones, 0); /* never within the call */
}

static void
until_done(void)
{
	UNIT_UNTIL(dones > 0, worker_turn(worker, false));
	turns(5);
	/* Once, and no clock runs on. */
	unit_clock_add(10 * TIMEOUT);
	worker_run_timers(worker);
	turns(3);
	ck_assert_int_eq(dones, 1);
}

/* A bound socket; with a backlog it listens, else it refuses. */
static int
bound(struct addr *a, int family, int backlog)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (addr_parse(a, family == AF_INET ? "127.0.0.1" : "::1", 0) != FTX_OK ||
	    bind(fd, (struct sockaddr *)&a->ss, a->len) != 0) {
		close(fd);
		return -1;
	}
	if (backlog >= 0)
		ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a->ss, &a->len), 0);
	return fd;
}

/* An address that does not answer: a listener whose queue is full. Returns how many are in it. */
#define QUEUE_MAX 16

struct silent {
	int listener, queue[QUEUE_MAX], queued;
};

static void
make_silent(struct silent *s, struct addr *a)
{
	s->listener = bound(a, AF_INET, 0);
	ck_assert_int_ge(s->listener, 0);
	for (s->queued = 0; s->queued < QUEUE_MAX; s->queued++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		s->queue[s->queued] = fd;
		(void)connect(fd, (struct sockaddr *)&a->ss, a->len);
	}
}

static void
drop_silent(struct silent *s)
{
	for (int i = 0; i < s->queued; i++)
		close(s->queue[i]);
	close(s->listener);
}

/* On the loopback nothing is sent by timers, whatever the system's lines are for. */
static void
check_paces_not(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
	ck_assert_int_ne(strncmp(name, "bbr", 3), 0);
}

/* The two ends are connected with each other. */
static void
check_connected(int listener)
{
	int other = accept(listener, NULL, NULL);
	char byte = 0;

	ck_assert_int_ge(other, 0);
	ck_assert_int_ne(fcntl(got_fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(got_fd, F_GETFD), FD_CLOEXEC);
	check_paces_not(got_fd);
	ck_assert_int_eq(write(got_fd, "x", 1), 1);
	ck_assert_int_eq(read(other, &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	/* Not a second one. */
	ck_assert_int_eq(accept(listener, NULL, NULL), -1);
	close(other);
	close(got_fd);
}

START_TEST(test_connects)
{
	struct addr a;
	int listener = bound(&a, _i == 0 ? AF_INET : AF_INET6, 5);
	char want[ADDR_TEXT_SIZE], got[ADDR_TEXT_SIZE];

	if (listener < 0)
		return; /* no IPv6 here */
	addr_text(&a, want);
	begin(&a, 1);
	memset(&a, 0xff, sizeof(a)); /* it has its own copy */
	until_done();
	ck_assert_str_eq(addr_text(&got_peer, got), want);
	check_connected(listener);
	close(listener);
}
END_TEST

START_TEST(test_second_address)
{
	struct addr a[3];
	int refusing = bound(&a[0], AF_INET, -1), listener = bound(&a[1], AF_INET, 5);

	a[2] = a[1];
	begin(a, 3);
	until_done();
	ck_assert_uint_eq(addr_port(&got_peer), addr_port(&a[1]));
	check_connected(listener);
	close(refusing);
	close(listener);
}
END_TEST

START_TEST(test_all_refuse)
{
	struct addr a[2];
	int refusing = bound(&a[0], AF_INET, -1);

	a[1] = a[0];
	begin(a, (size_t)_i);
	until_done();
	ck_assert_int_eq(got_fd, -1);
	if (_i > 0)
		ck_assert_int_eq(got_err, ECONNREFUSED);
	else
		ck_assert_int_ne(got_err, 0);
	close(refusing);
}
END_TEST

/* One that cannot even be tried. */
START_TEST(test_impossible_address)
{
	struct addr a[2];
	int listener = bound(&a[1], AF_INET, 5);

	memset(&a[0], 0, sizeof(a[0]));
	a[0].ss.ss_family = _i == 0 ? AF_UNSPEC : AF_INET;
	a[0].len = _i == 0 ? sizeof(struct sockaddr_in) : 1;
	begin(a, 2);
	until_done();
	check_connected(listener);
	close(listener);
}
END_TEST

START_TEST(test_silence_times_out)
{
	struct silent s;
	struct addr a[3];
	int listener = bound(&a[2], AF_INET, 5);

	make_silent(&s, &a[0]);
	a[1] = a[0];
	begin(a, _i == 0 ? 2 : 3);
	turns(5);
	unit_clock_add(TIMEOUT - 1);
	worker_run_timers(worker);
	turns(5);
	unit_clock_add(1); /* the first is given up, the second begins: with its own time */
	worker_run_timers(worker);
	turns(5);
	ck_assert_int_eq(dones, 0);
	unit_clock_add(TIMEOUT - 1);
	worker_run_timers(worker);
	turns(5);
	ck_assert_int_eq(dones, 0);
	unit_clock_add(1);
	worker_run_timers(worker);
	until_done();
	if (_i == 0) {
		ck_assert_int_eq(got_fd, -1);
		ck_assert_int_eq(got_err, ETIMEDOUT);
	} else
		check_connected(listener);
	drop_silent(&s);
	close(listener);
}
END_TEST

START_TEST(test_given_up)
{
	struct silent s;
	struct addr a;

	make_silent(&s, &a);
	begin(&a, 1);
	if (_i == 1)
		turns(5);
	dial_free(dial);
	dial = NULL;
	turns(5);
	unit_clock_add(10 * TIMEOUT);
	worker_run_timers(worker);
	turns(5);
	ck_assert_int_eq(dones, 0);
	drop_silent(&s);
	dial_free(NULL);
}
END_TEST

/* Freed from within done, in each of its ways. */
START_TEST(test_freed_when_done)
{
	struct silent s;
	struct addr a;
	int fd = bound(&a, AF_INET, _i == 0 ? 5 : -1);

	frees = true;
	if (_i == 2)
		make_silent(&s, &a);
	begin(&a, _i == 3 ? 0 : 1);
	if (_i == 2) {
		turns(5);
		unit_clock_add(TIMEOUT);
		worker_run_timers(worker);
	}
	until_done();
	ck_assert_ptr_null(dial);
	if (_i == 0)
		check_connected(fd);
	else
		ck_assert_int_eq(got_fd, -1);
	if (_i == 2)
		drop_silent(&s);
	close(fd);
	turns(3);
}
END_TEST

/* The next attempt, from within done, as a client does that tries again. */
static int attempts;

static void
on_done_again(void *arg, int fd, const struct addr *peer, int err)
{
	struct addr *a = arg;
	struct dial *last = dial;

	UNIT_CHECK(fd == -1 && peer == NULL && err == ECONNREFUSED);
	if (++attempts < 5)
		UNIT_CHECK(
		    dial_start(&dial, worker, a, 1, TIMEOUT, "", on_done_again, arg) == FTX_OK);
	else
		dial = NULL;
	dial_free(last);
}

START_TEST(test_again_when_done)
{
	struct addr a;
	int refusing = bound(&a, AF_INET, -1);

	ck_assert_int_eq(dial_start(&dial, worker, &a, 1, TIMEOUT, "", on_done_again, &a), FTX_OK);
	UNIT_UNTIL(attempts == 5, worker_turn(worker, false));
	close(refusing);
}
END_TEST

static void
add_cases(Suite *s)
{
	TCase *tc = unit_case(s, "dial");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_connects, 0, 2);
	tcase_add_test(tc, test_second_address);
	tcase_add_loop_test(tc, test_all_refuse, 0, 3);
	tcase_add_loop_test(tc, test_impossible_address, 0, 2);
	tcase_add_loop_test(tc, test_silence_times_out, 0, 2);
	tcase_add_loop_test(tc, test_given_up, 0, 2);
	tcase_add_loop_test(tc, test_freed_when_done, 0, 4);
	tcase_add_test(tc, test_again_when_done);
}

int
main(void)
{
	return unit_run("dial", add_cases);
}
