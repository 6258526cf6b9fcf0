/*
 * congestion.h - which congestion control a TCP socket uses when it sends (tcp(7)).
 * Layer: net. Threads: any.
 * Tests: tests/unit/test_congestion.c, tests/system/test_workers.py
 */
#ifndef NET_CONGESTION_H
#define NET_CONGESTION_H

struct addr;

/*
 * By its name, before the socket is connected to `at`, or on one that listens there: what it
 * accepts inherits it. Zero, or an errno.
 * Empty: it stays the system's, but for one that paces on the loopback. There is nothing to be
 * found out about a line there, and a timer for each 64 KiB (tcp_bbr.c in Linux's source; a socket
 * that has begun with it keeps the timers, whatever it is given later) costs the sender twice what
 * sending does. It is reno then, which each kernel has.
 */
int congestion_set(int fd, const char *name, const struct addr *at);
/* Whether that could work. The same results. */
int congestion_check(const char *name);
/* What to look at when it did not: the end of a sentence. */
#define CONGESTION_HINT                                                                  \
	"the kernel does not have it, or has it for root only: what there is, and what " \
	"everybody may use, is in /proc/sys/net/ipv4/tcp_available_congestion_control "  \
	"and tcp_allowed_congestion_control"

#endif
