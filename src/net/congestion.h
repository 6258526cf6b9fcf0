/*
 * congestion.h - which congestion control a TCP socket uses when it sends (tcp(7)).
 * Layer: net. Threads: any.
 * Tests: tests/unit/test_congestion.c, tests/system/test_workers.py
 */
#ifndef NET_CONGESTION_H
#define NET_CONGESTION_H

/*
 * By its name, before the socket is connected, or on one that listens: what it accepts inherits it.
 * Empty: it stays the system's. Zero, or an errno.
 */
int congestion_set(int fd, const char *name);
/* Whether that could work. The same results. */
int congestion_check(const char *name);
/* What to look at when it did not: the end of a sentence. */
#define CONGESTION_HINT                                                                  \
	"the kernel does not have it, or has it for root only: what there is, and what " \
	"everybody may use, is in /proc/sys/net/ipv4/tcp_available_congestion_control "  \
	"and tcp_allowed_congestion_control"

#endif
