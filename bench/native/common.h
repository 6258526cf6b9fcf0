/*
 * common.h - what the reference programs of the benchmark share: sockets, whole messages, and the
 * ways to move content that they compare.
 *
 * They are as small as a program that moves bytes can be: blocking calls, no limits, no deadlines,
 * an error ends them. What they reach is what ftxferd is held against. Never install or expose
 * them.
 */
#ifndef NATIVE_COMMON_H
#define NATIVE_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOT_SIZE   (256 << 10) /* stays in the processor's cache between read(2) and send(2) */
#define BLOCK_SIZE (1 << 20)   /* one call of all others */
#define NAME_SIZE  248

/* What a client of serve begins with; a download is answered by its size, content follows. */
struct request {
	char name[NAME_SIZE];
	uint64_t size; /* network order; of an upload */
};

/* Each moves size bytes; `how` is one of the four, by name. */
typedef void move_fn(int from, int to, uint64_t size);
move_fn move_read_send, move_sendfile, move_recv_write, move_splice;
move_fn *move_by_name(const char *name);

/* Ends the program with a message and errno, or without errno where that is 0. */
void die(const char *what) __attribute__((noreturn));

uint64_t now_ns(void);

/* A free port of 127.0.0.1, said as `listening on 127.0.0.1:PORT`. */
int listen_somewhere(int flags);
int connect_to(const char *port);

/* What asks for a file, by http (a GET of HTTP/1.0) or ftxfer (protocol 1); returns its size. */
#define REQUEST_MAX  512
#define FTXFER_OFFER 9 /* what ftxfer answers: T and a size, for which it wants a T */
size_t request_for(const char *protocol, const char *name, char request[REQUEST_MAX]);

void read_all(int fd, void *buf, size_t size);
void write_all(int fd, const void *buf, size_t size);

/* For content that will have that size; the file may be there. */
int create_file(int dir, const char *name, uint64_t size);
void *aligned_buffer(size_t size);

#endif
