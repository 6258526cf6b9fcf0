/*
 * small - the least that a server can do for a new connection and a small file.
 *
 *     small http|ftxfer DIRECTORY
 *
 * One connection at a time: accept, read `GET /NAME ...`, open, read, send, close, as HTTP/1.0; or
 * protocol 1, which takes one more message each way. The kernel hands a connection over only when
 * its request is there (TCP_DEFER_ACCEPT), so that nothing has to wait.
 */
#include "common.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#define FILE_MAX (64 << 10)

static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";

/* Reads a small file behind the first `at` bytes of the reply; how many, or -1. */
static ssize_t
read_file(int root, const char *name, char *reply, size_t at)
{
	int file = openat(root, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (file < 0)
		return -1;
	n = read(file, reply + at, FILE_MAX);
	close(file);
	return n;
}

/* 'D' and a name in 255 bytes; 'T' and the size in 8; 'T'; the content. */
static void
answer_ftxfer(int fd, int root)
{
	static char request[257], reply[9 + FILE_MAX];
	uint64_t size;
	ssize_t n;
	char yes;

	read_all(fd, request, 256);
	n = read_file(root, request + 1, reply, 9);
	if (n < 0)
		return;
	size = htobe64((uint64_t)n);
	reply[0] = 'T';
	memcpy(reply + 1, &size, sizeof(size));
	write_all(fd, reply, 9);
	if (read(fd, &yes, 1) == 1 && yes == 'T')
		write_all(fd, reply + 9, (size_t)n);
}

static void
answer_http(int fd, int root)
{
	static char request[4096], reply[sizeof(head) - 1 + FILE_MAX];
	ssize_t n = read(fd, request, sizeof(request) - 1);
	char *end;

	if (n < 6)
		return;
	request[n] = '\0';
	end = strchr(request + 5, ' ');
	if (!end)
		return;
	*end = '\0';
	memcpy(reply, head, sizeof(head) - 1);
	n = read_file(root, request + 5, reply, sizeof(head) - 1);
	if (n >= 0)
		write_all(fd, reply, sizeof(head) - 1 + (size_t)n);
}

int
main(int argc, char **argv)
{
	int seconds = 5, root, listener;
	bool http = argc > 1 && strcmp(argv[1], "http") == 0;

	if (argc != 3 || (!http && strcmp(argv[1], "ftxfer") != 0)) {
		fputs("usage: small http|ftxfer DIRECTORY\n", stderr);
		return 64;
	}
	root = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	listener = listen_somewhere(0);
	if (setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) != 0)
		die("TCP_DEFER_ACCEPT");
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		if (http)
			answer_http(fd, root);
		else
			answer_ftxfer(fd, root);
		close(fd);
	}
}
