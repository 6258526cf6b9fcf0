/*
 * load - new connections, a small file each, so many of them at a time.
 *
 *     load http|ftxfer PORT COUNT PARALLEL FILE NAME...
 *
 * The names are asked for in turn, and each must bring what is in FILE. http is a GET of HTTP/1.0,
 * ftxfer a download of protocol 1; a connection has ended when the server closes it. At the end it
 * prints the seconds, and the median and the 99th percentile of what a connection took, in
 * microseconds.
 */
#include "common.h"

#include <errno.h>

#include <sys/epoll.h>

#define ANSWER_MAX (64 << 10)

struct connection {
	int fd;
	const char *name;
	int asked;     /* the request is sent */
	int confirmed; /* ftxfer: the offer is answered */
	size_t got;
	uint64_t began; /* ns */
	char answer[ANSWER_MAX];
};

static struct {
	int is_http;
	const char *port;
	char **names;
	size_t count_names;
	char content[ANSWER_MAX];
	size_t content_size;
	int epoll;
	size_t count, begun, ended;
	uint32_t *took; /* ns each */
} load;

static void
fail(const char *what)
{
	errno = 0;
	die(what);
}

static void
begin(struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = c };

	if (load.begun == load.count)
		return;
	c->name = load.names[load.begun++ % load.count_names];
	c->asked = c->confirmed = 0;
	c->got = 0;
	c->began = now_ns();
	c->fd = connect_to(load.port);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
		die("epoll");
}

static void
ask(struct connection *c)
{
	char request[REQUEST_MAX];

	write_all(c->fd, request, request_for(load.is_http ? "http" : "ftxfer", c->name, request));
	c->asked = 1;
}

/* Where the content begins, or 0 when that has not come yet. */
static size_t
content_at(const struct connection *c)
{
	const char *end;

	if (!load.is_http)
		return c->got < FTXFER_OFFER ? 0 : FTXFER_OFFER;
	end = memmem(c->answer, c->got, "\r\n\r\n", 4);
	return end ? (size_t)(end + 4 - c->answer) : 0;
}

static void
end(struct connection *c)
{
	size_t at = content_at(c);

	if (at == 0 || c->got - at != load.content_size ||
	    memcmp(c->answer + at, load.content, load.content_size) != 0)
		fail("a connection did not bring the file");
	close(c->fd);
	load.took[load.ended++] = (uint32_t)(now_ns() - c->began);
	begin(c);
}

static void
receive(struct connection *c)
{
	for (;;) {
		ssize_t n = read(c->fd, c->answer + c->got, sizeof(c->answer) - c->got);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die("read");
		if (n == 0) {
			end(c);
			return;
		}
		c->got += (size_t)n;
		if (!load.is_http && !c->confirmed && c->got >= FTXFER_OFFER) {
			if (c->answer[0] != 'T')
				fail("a download was refused");
			write_all(c->fd, "T", 1);
			c->confirmed = 1;
		}
	}
}

static int
by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
run(size_t parallel)
{
	struct connection *all = calloc(parallel, sizeof(*all));
	struct epoll_event events[256];

	if (!all)
		die("no memory");
	for (size_t i = 0; i < parallel; i++)
		begin(&all[i]);
	while (load.ended < load.count) {
		int n = epoll_wait(load.epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c->asked && (events[i].events & EPOLLOUT))
				ask(c);
			receive(c);
		}
	}
	free(all);
}

int
main(int argc, char **argv)
{
	size_t median, late;
	uint64_t began;
	FILE *file;

	if (argc < 7) {
		fputs("usage: load http|ftxfer PORT COUNT PARALLEL FILE NAME...\n", stderr);
		return 64;
	}
	load.is_http = strcmp(argv[1], "http") == 0;
	load.port = argv[2];
	load.count = (size_t)atol(argv[3]);
	load.names = argv + 6;
	load.count_names = (size_t)argc - 6;
	load.took = calloc(load.count + 1, sizeof(*load.took));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	file = fopen(argv[5], "rb");
	if (!file || !load.took || load.epoll < 0)
		die(argv[5]);
	load.content_size = fread(load.content, 1, sizeof(load.content), file);
	fclose(file);
	began = now_ns();
	run((size_t)atol(argv[4]));
	printf("seconds %.6f", (double)(now_ns() - began) / 1e9);
	qsort(load.took, load.count, sizeof(*load.took), by_time);
	median = load.count / 2;
	late = load.count * 99 / 100;
	printf(" p50_us %.1f p99_us %.1f\n", load.took[median] / 1e3, load.took[late] / 1e3);
	return 0;
}
