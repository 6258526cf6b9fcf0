/*
 * hold - many downloads at a time, of clients that stop reading, or of clients that read all.
 *
 *     hold stall|drain http|ftxfer PORT COUNT NAME...
 *
 * The names are asked for in turn, each on a connection of its own. stall: when the first bytes of
 * each file are there it prints `held COUNT`, reads nothing more, and waits for the end of its
 * standard input. drain: it reads everything, keeps nothing, and prints how many bytes there were
 * and how many seconds it took.
 * The connections come from several addresses of 127.0.0.0/8, as many as it takes for their ports.
 */
#include "common.h"

#include <errno.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#define PER_ADDRESS 4096

struct download {
	int fd;
	size_t got;
	char head[FTXFER_OFFER];
};

static struct {
	int stall;
	const char *protocol;
	const char *port;
	char **names;
	size_t count_names;
	struct download *all;
	size_t count;
	int epoll;
	size_t due; /* downloads that have to go on */
	uint64_t bytes;
} hold;

static int
connect_from(size_t number)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_in to = from;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number / PER_ADDRESS));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(hold.port));
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("connect");
	return fd;
}

static void
begin(size_t number)
{
	struct download *d = &hold.all[number];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = d };
	char request[REQUEST_MAX];
	size_t size;

	size = request_for(hold.protocol, hold.names[number % hold.count_names], request);
	d->fd = connect_from(number);
	write_all(d->fd, request, size);
	if (epoll_ctl(hold.epoll, EPOLL_CTL_ADD, d->fd, &event) != 0)
		die("epoll");
}

static void
settle(struct download *d)
{
	if (epoll_ctl(hold.epoll, EPOLL_CTL_DEL, d->fd, NULL) != 0)
		die("epoll");
	hold.due--;
}

/* The offer first, byte by byte if need be: then the T that it waits for. */
static void
read_offer(struct download *d)
{
	ssize_t n = read(d->fd, d->head + d->got, FTXFER_OFFER - d->got);

	if (n <= 0)
		die("a download ended early");
	d->got += (size_t)n;
	if (d->head[0] != 'T')
		die("a download was refused");
	if (d->got == FTXFER_OFFER)
		write_all(d->fd, "T", 1);
}

static void
go_on(struct download *d)
{
	static char room[256 << 10];
	int is_ftxfer = strcmp(hold.protocol, "ftxfer") == 0;
	ssize_t n;

	if (is_ftxfer && d->got < FTXFER_OFFER) {
		read_offer(d);
		return;
	}
	n = read(d->fd, room, hold.stall ? 1 : sizeof(room));
	if (n < 0 || (n == 0 && hold.stall))
		die("a download ended early");
	hold.bytes += (uint64_t)n;
	if (n == 0 || hold.stall)
		settle(d);
}

int
main(int argc, char **argv)
{
	uint64_t began = now_ns();
	struct epoll_event events[256];
	char end;

	if (argc < 6) {
		fputs("usage: hold stall|drain http|ftxfer PORT COUNT NAME...\n", stderr);
		return 64;
	}
	hold.stall = strcmp(argv[1], "stall") == 0;
	hold.protocol = argv[2];
	hold.port = argv[3];
	hold.count = hold.due = (size_t)atol(argv[4]);
	hold.names = argv + 5;
	hold.count_names = (size_t)argc - 5;
	hold.all = calloc(hold.count, sizeof(*hold.all));
	hold.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!hold.all || hold.epoll < 0)
		die("hold");
	for (size_t i = 0; i < hold.count; i++)
		begin(i);
	while (hold.due > 0) {
		int n = epoll_wait(hold.epoll, events, 256, -1);

		for (int i = 0; i < n; i++)
			go_on(events[i].data.ptr);
	}
	if (hold.stall) {
		printf("held %zu\n", hold.count);
		fflush(stdout);
		while (read(STDIN_FILENO, &end, 1) > 0)
			;
	} else
		printf("bytes %llu seconds %.6f\n", (unsigned long long)hold.bytes,
		    (double)(now_ns() - began) / 1e9);
	return 0;
}
