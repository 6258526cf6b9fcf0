/*
 * options.h - ftxfer's options in the seed's command line.
 * Layer: cli. Threads: start-up only.
 * Tests: tests/system/, tests/lint/options
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/option.h"

struct cli_options {
	char *mode;
	char *server;
	char *server_file_name;
	char *client_file_name;
	bool debug;
	bool quiet;
	uint64_t connect_timeout; /* ms, as those below */
	uint64_t timeout;
	uint64_t close_timeout;
	char *tcp_congestion;
	unsigned sendfile, splice; /* enum ftxfer_way */
	int help, version, print_options;
};

extern const struct option_def cli_option_defs[];
extern const size_t cli_option_count;

#endif
