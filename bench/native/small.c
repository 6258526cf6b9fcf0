/*
 * small - the least that a server can do for a new connection and a small file.
 *
 *     small DIRECTORY
 *
 * One connection at a time: accept, read `GET /NAME ...`, open, read, send, close, as HTTP/1.0.
 * The kernel hands a connection over only when its request is there (TCP_DEFER_ACCEPT), so that
 * nothing has to wait.
 */
#include "common.h"

#include <errno.h>
#include <signal.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#define FILE_MAX (64 << 10)

static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";

static void
answer(int fd, int root)
{
	static char request[4096], reply[sizeof(head) - 1 + FILE_MAX];
	ssize_t n = read(fd, request, sizeof(request) - 1);
	char *end;
	int file;

	if (n < 6)
		return;
	request[n] = '\0';
	end = strchr(request + 5, ' ');
	if (!end)
		return;
	*end = '\0';
	file = openat(root, request + 5, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	memcpy(reply, head, sizeof(head) - 1);
	n = read(file, reply + sizeof(head) - 1, FILE_MAX);
	close(file);
	if (n >= 0)
		write_all(fd, reply, sizeof(head) - 1 + (size_t)n);
}

int
main(int argc, char **argv)
{
	int seconds = 5, root, listener;

	if (argc != 2) {
		fputs("usage: small DIRECTORY\n", stderr);
		return 64;
	}
	root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	listener = listen_somewhere(0);
	if (setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) != 0)
		die("TCP_DEFER_ACCEPT");
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		answer(fd, root);
		close(fd);
	}
}
