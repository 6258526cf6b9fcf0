/* Sockets, messages, and four ways to move content. */
#include "common.h"

#include <endian.h>
#include <errno.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define FTXFER_REQUEST 256

void
die(const char *what)
{
	if (errno)
		perror(what);
	else
		fprintf(stderr, "%s\n", what);
	exit(1);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct sockaddr_in
loopback(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sin;
}

int
listen_somewhere(int flags)
{
	struct sockaddr_in sin = loopback(0);
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)&sin, &len) != 0)
		die("listen");
	printf("listening on 127.0.0.1:%d\n", ntohs(sin.sin_port));
	if (fflush(stdout) != 0)
		die("stdout");
	return fd;
}

int
connect_to(const char *port)
{
	struct sockaddr_in sin = loopback(atoi(port));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)
		die("connect");
	return fd;
}

size_t
request_for(const char *protocol, const char *name, char request[REQUEST_MAX])
{
	memset(request, 0, REQUEST_MAX);
	if (strcmp(protocol, "http") == 0)
		return (size_t)snprintf(request, REQUEST_MAX, "GET /%s HTTP/1.0\r\n\r\n", name);
	snprintf(request, FTXFER_REQUEST, "D%s", name);
	return FTXFER_REQUEST;
}

void
read_all(int fd, void *buf, size_t size)
{
	char *to = buf;

	while (size > 0) {
		ssize_t n = read(fd, to, size);

		if (n <= 0)
			die("the peer ended early");
		to += n;
		size -= (size_t)n;
	}
}

void
write_all(int fd, const void *buf, size_t size)
{
	const char *from = buf;

	while (size > 0) {
		ssize_t n = write(fd, from, size);

		if (n <= 0)
			die("write");
		from += n;
		size -= (size_t)n;
	}
}

int
create_file(int dir, const char *name, uint64_t size)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die(name);
	if (size > 0 && posix_fallocate(fd, 0, (off_t)size) != 0)
		die("fallocate");
	return fd;
}

void *
aligned_buffer(size_t size)
{
	void *buf;

	if (posix_memalign(&buf, 4096, size) != 0)
		die("no memory");
	return buf;
}

static size_t
at_most(uint64_t size, size_t most)
{
	return size < most ? (size_t)size : most;
}

/* What one call left is moved by the next, through a buffer of its own for each transfer. */
static void
copy(int from, int to, uint64_t size, size_t block)
{
	char *buf = aligned_buffer(block);

	while (size > 0) {
		ssize_t n = read(from, buf, at_most(size, block));

		if (n <= 0)
			die("the content ended early");
		write_all(to, buf, (size_t)n);
		size -= (uint64_t)n;
	}
	free(buf);
}

void
move_read_send(int from, int to, uint64_t size)
{
	copy(from, to, size, HOT_SIZE);
}

void
move_recv_write(int from, int to, uint64_t size)
{
	copy(from, to, size, BLOCK_SIZE);
}

void
move_sendfile(int from, int to, uint64_t size)
{
	while (size > 0) {
		ssize_t n = sendfile(to, from, NULL, at_most(size, BLOCK_SIZE));

		if (n <= 0)
			die("sendfile");
		size -= (uint64_t)n;
	}
}

void
move_splice(int from, int to, uint64_t size)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[1], F_SETPIPE_SZ, BLOCK_SIZE) < 0)
		die("pipe");
	while (size > 0) {
		ssize_t in =
		    splice(from, NULL, ends[1], NULL, at_most(size, BLOCK_SIZE), SPLICE_F_MOVE);

		if (in <= 0)
			die("splice from the socket");
		size -= (uint64_t)in;
		while (in > 0) {
			ssize_t out = splice(ends[0], NULL, to, NULL, (size_t)in, SPLICE_F_MOVE);

			if (out <= 0)
				die("splice to the file");
			in -= out;
		}
	}
	close(ends[0]);
	close(ends[1]);
}

move_fn *
move_by_name(const char *name)
{
	static const struct {
		const char *name;
		move_fn *move;
	} ways[] = {
		{ "read+send", move_read_send },
		{ "sendfile", move_sendfile },
		{ "recv+write", move_recv_write },
		{ "splice", move_splice },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, name) == 0)
			return ways[i].move;
	errno = 0;
	die("there is no such way to move content");
}
