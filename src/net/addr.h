/*
 * addr.h - HOST:PORT as people write it <-> socket addresses.
 * Layer: net. Threads: any.
 * Tests: tests/unit/test_net.c
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/rc.h"

/* "[" IPv6 with scope "]:65535" and NUL. */
#define ADDR_TEXT_SIZE 80

struct addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/*
 * Splits HOST:PORT, HOST, [IPv6]:PORT, [IPv6] or a bare IPv6 address. host (size bytes) gets the
 * name without brackets; *port is default_port where none is written. FTX_USAGE: not of that form,
 * port not 1-65535, or host too long or empty.
 */
enum ftx_rc addr_split(const char *text, char *host, size_t size, uint16_t *port,
    uint16_t default_port) FTX_MUST_CHECK;

/* A numeric IPv4 or IPv6 address; FTX_USAGE when it is none. Never asks a resolver. */
enum ftx_rc addr_parse(struct addr *a, const char *numeric, uint16_t port) FTX_MUST_CHECK;

/*
 * All addresses of host, in the resolver's order, at most max; *count says how many. Blocks
 * (getaddrinfo(3)): off the loop, or before it runs. FTX_HOST_UNKNOWN, or FTX_NOMEM.
 */
enum ftx_rc addr_resolve(
    const char *host, uint16_t port, struct addr *out, size_t max, size_t *count) FTX_MUST_CHECK;

/* 0 for what is neither IPv4 nor IPv6; such an address is left alone. */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
/* Of this machine's loopback: 127.0.0.0/8, ::1; IPv4-mapped, too. */
bool addr_is_loopback(const struct addr *a);
/* "127.0.0.1:50001", "[::1]:50001"; returns buf. An IPv4-mapped IPv6 address is written as IPv4. */
const char *addr_text(const struct addr *a, char buf[ADDR_TEXT_SIZE]);

#endif
