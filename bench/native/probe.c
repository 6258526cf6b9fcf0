/*
 * probe - a small file on a new connection, so many times a second whatever the server does.
 *
 *     probe http|ftxfer|ftp PORT RATE SECONDS FILE NAME
 *
 * The file asked for as NAME must bring what is in FILE. What a probe takes is counted from the
 * moment when it was due, not from when it could be sent: a server that stands still delays all
 * that were due meanwhile, and each of them says so. It prints how many there were, and the median,
 * the 99th percentile and the longest, in microseconds. SIGTERM ends it before its time.
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include <sys/prctl.h>

#define GREETING_MS 1000
#define THREADS     512 /* that many may be late at a time; a further one waits, and that counts */
#define STACK       (128 << 10)
#define ANSWER_MAX  (64 << 10)
#define SECOND_NS   UINT64_C(1000000000)

static struct {
	const char *protocol;
	const char *port;
	const char *name;
	char content[ANSWER_MAX];
	size_t content_size;
	uint64_t began;
	uint64_t step; /* ns from one to the next */
	size_t count;
	uint64_t *took; /* ns each; 0: was not sent */
} probe;
static atomic_int stopped; /* also from a signal: it is free of locks */

static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

static void
sleep_until(uint64_t when)
{
	struct timespec ts = { .tv_sec = (time_t)(when / SECOND_NS),
		.tv_nsec = (long)(when % SECOND_NS) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR && !stopped)
		;
}

static void
fail(const char *what)
{
	errno = 0;
	die(what);
}

/* All until the server closes; how much that was. */
static size_t
read_rest(int fd, char *to, size_t most)
{
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, to + got, most - got)) > 0)
		got += (size_t)n;
	if (n < 0)
		die("read");
	return got;
}

static void
compare(const char *data, size_t size)
{
	if (size != probe.content_size || memcmp(data, probe.content, size) != 0)
		fail("a probe did not bring the file");
}

static void
fetch_http(char *room)
{
	int fd = connect_to(probe.port);
	char *end;
	size_t got;

	got = request_for("http", probe.name, room);
	write_all(fd, room, got);
	got = read_rest(fd, room, ANSWER_MAX);
	end = memmem(room, got, "\r\n\r\n", 4);
	if (!end)
		fail("a probe was not answered");
	compare(end + 4, got - (size_t)(end + 4 - room));
	close(fd);
}

static void
fetch_ftxfer(char *room)
{
	int fd = connect_to(probe.port);

	write_all(fd, room, request_for("ftxfer", probe.name, room));
	read_all(fd, room, FTXFER_OFFER);
	if (room[0] != 'T')
		fail("a probe was refused");
	write_all(fd, "T", 1);
	compare(room, read_rest(fd, room, ANSWER_MAX));
	close(fd);
}

/* Sends a line and returns the answer's number; the answer itself is left in the room. */
static int
ftp_command(int fd, char *room, const char *command, const char *argument)
{
	size_t got = 0;
	int code;

	if (command)
		write_all(fd, room, (size_t)snprintf(room, 512, "%s %s\r\n", command, argument));
	do { /* lines of one answer but the last have a dash behind the number */
		got = 0;
		do
			read_all(fd, room + got, 1);
		while (room[got++] != '\n' && got < 512);
		room[got] = '\0';
	} while (got < 4 || room[3] == '-');
	code = atoi(room);
	if (code < 100 || code >= 400)
		fail(room);
	return code;
}

/*
 * A connection on which the server has begun to speak. It may know nothing of it, when it was one
 * too many for the queue of its listener: nobody would ever send again.
 */
static int
connect_ftp(void)
{
	for (;;) {
		struct pollfd wait = { .fd = connect_to(probe.port), .events = POLLIN };

		if (poll(&wait, 1, GREETING_MS) > 0)
			return wait.fd;
		close(wait.fd);
	}
}

static void
fetch_ftp(char *room)
{
	int fd = connect_ftp(), data;
	char port[16] = "";

	ftp_command(fd, room, NULL, NULL);
	if (ftp_command(fd, room, "USER", "anonymous") == 331)
		ftp_command(fd, room, "PASS", "x");
	ftp_command(fd, room, "TYPE", "I");
	ftp_command(fd, room, "EPSV", "");
	if (sscanf(room, "%*[^|]|||%15[0-9]|", port) != 1)
		fail("no port");
	data = connect_to(port);
	ftp_command(fd, room, "RETR", probe.name);
	compare(room, read_rest(data, room, ANSWER_MAX));
	close(data);
	ftp_command(fd, room, NULL, NULL);
	close(fd);
}

static void *
run(void *arg)
{
	char *room = malloc(ANSWER_MAX);

	if (!room)
		die("no memory");
	prctl(PR_SET_TIMERSLACK, 1);
	for (size_t i = (size_t)(uintptr_t)arg; i < probe.count; i += THREADS) {
		uint64_t due = probe.began + i * probe.step;

		sleep_until(due);
		if (stopped)
			break;
		if (strcmp(probe.protocol, "http") == 0)
			fetch_http(room);
		else if (strcmp(probe.protocol, "ftp") == 0)
			fetch_ftp(room);
		else
			fetch_ftxfer(room);
		probe.took[i] = now_ns() - due;
	}
	free(room);
	return NULL;
}

static int
by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
run_all(void)
{
	static pthread_t threads[THREADS];
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	probe.began = now_ns() + SECOND_NS / 20;
	for (uintptr_t i = 0; i < THREADS; i++) {
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): a number, not a pointer */
		errno = pthread_create(&threads[i], &small, run, (void *)i);
		if (errno)
			die("thread");
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void
report(void)
{
	size_t sent = 0, median, late;

	for (size_t i = 0; i < probe.count; i++)
		if (probe.took[i] > 0)
			probe.took[sent++] = probe.took[i];
	if (sent == 0)
		fail("no probe was sent");
	qsort(probe.took, sent, sizeof(*probe.took), by_time);
	median = sent / 2;
	late = sent * 99 / 100;
	printf("probes %zu p50_us %.1f p99_us %.1f max_us %.1f\n", sent,
	    (double)probe.took[median] / 1e3, (double)probe.took[late] / 1e3,
	    (double)probe.took[sent - 1] / 1e3);
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = stop };
	double rate;
	FILE *file;

	if (argc != 7) {
		fputs("usage: probe http|ftxfer|ftp PORT RATE SECONDS FILE NAME\n", stderr);
		return 64;
	}
	probe.protocol = argv[1];
	probe.port = argv[2];
	probe.name = argv[6];
	rate = atof(argv[3]);
	probe.step = (uint64_t)((double)SECOND_NS / rate);
	probe.count = (size_t)(atof(argv[4]) * rate) + 1;
	file = fopen(argv[5], "rb");
	if (!file)
		die(argv[5]);
	probe.content_size = fread(probe.content, 1, sizeof(probe.content), file);
	fclose(file);
	probe.took = calloc(probe.count, sizeof(*probe.took));
	if (!probe.took)
		die("calloc");
	sigaction(SIGTERM, &action, NULL);
	run_all();
	report();
	free(probe.took);
	return 0;
}
