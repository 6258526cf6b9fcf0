/*
 * plug - a program whose input and output are a connection.
 *
 *     plug serve PROGRAM ARGUMENT...
 *     plug send|receive PORT PROGRAM ARGUMENT...
 *
 * serve runs the program once for each connection, one at a time, and closes the connection when it
 * has ended. send runs one that writes, says that this was all, and ends when the other side has
 * closed; receive runs one that reads. Nothing of what passes is copied here.
 */
#include "common.h"

#include <errno.h>
#include <signal.h>

#include <netinet/in.h>
#include <sys/wait.h>

static void
run(int fd, char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
			die("dup2");
		execvp(argv[0], argv);
		die(argv[0]);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid");
	}
	if (status != 0) {
		errno = 0;
		die(argv[0]);
	}
}

static void
serve(char **argv)
{
	int listener = listen_somewhere(SOCK_CLOEXEC);

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		run(fd, argv);
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	char rest;
	int fd;

	if (argc > 2 && strcmp(argv[1], "serve") == 0)
		serve(argv + 2);
	if (argc < 4 || (strcmp(argv[1], "send") != 0 && strcmp(argv[1], "receive") != 0)) {
		fputs("usage: plug serve PROGRAM... | plug send|receive PORT PROGRAM...\n", stderr);
		return 64;
	}
	fd = connect_to(argv[2]);
	run(fd, argv + 3);
	if (strcmp(argv[1], "receive") == 0)
		return 0;
	if (shutdown(fd, SHUT_WR) != 0 || read(fd, &rest, 1) != 0)
		die("the other side");
	return 0;
}
