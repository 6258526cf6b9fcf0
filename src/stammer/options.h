/*
 * options.h - the command line of stammerproxy.
 * Layer: stammer. Threads: start-up only.
 * Tests: tests/unit/test_stammer.c, tests/system/test_stammer_process.py
 */
#ifndef STAMMER_OPTIONS_H
#define STAMMER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/option.h"
#include "net/addr.h"
#include "stammer/fault.h"

struct stammer_options {
	/* As given; the strings are owned by the set. */
	uint64_t listen_port;
	char *listen_address;
	char *server;
	bool debug;
	uint64_t seed;           /* drawn when not given */
	uint64_t delay, latency; /* ms */
	uint64_t buffer;
	char *cut_after, *reset_after, *stall_after;
	uint64_t faulty; /* connections; 0: all */
	int help, version, print_options;
	/* What follows from it. */
	struct option_set set;
	struct addr listen;
	char server_host[256];
	uint16_t server_port;
	struct fault_script script;
};

/* What to do next: go on, or leave with that status. */
#define STAMMER_GO_ON (-1)

/*
 * Reads and checks argv. Answers --help and --version on standard output, mistakes on standard
 * error. STAMMER_GO_ON, or the status to exit with (sysexits(3)). stammer_options_clear() in any
 * case.
 */
int stammer_options_init(struct stammer_options *o, int argc, char **argv);
void stammer_options_clear(struct stammer_options *o);

/* The table, for tests and lint. */
extern const struct option_def stammer_option_defs[];
extern const size_t stammer_option_count;

#endif
