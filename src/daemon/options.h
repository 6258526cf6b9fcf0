/*
 * options.h - ftxferd's options: the table, and the values it fills.
 * Layer: daemon. Threads: start-up only.
 * Tests: tests/unit/test_server.c, tests/lint/options
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/option.h"

#define WORKERS_MAX 64

struct daemon_options {
	/* command line only */
	char *config;
	bool foreground;
	int test, print_config, print_options, help, version;
	/* also in the file; sizes in bytes, times in ms */
	char *storage_root;
	char *user;
	struct option_list listen_address;
	uint64_t listen_port;
	uint64_t max_connections;
	uint64_t max_connections_per_address;
	uint64_t max_requests;
	uint64_t request_timeout;
	uint64_t idle_timeout;
	uint64_t min_rate;
	uint64_t grace_time;
	uint64_t max_file_size;
	uint64_t max_stage_bytes;
	uint64_t max_depth;
	bool sync;
	uint64_t partials_keep_time;
	uint64_t partials_keep_bytes;
	unsigned names; /* enum path_alphabet */
	mode_t file_mode;
	bool allow_replace, allow_rename, allow_remove;
	uint64_t pool_threads;
	uint64_t workers; /* 0: as many as processors */
	char *tcp_congestion;
	unsigned sendfile, splice; /* enum pump_way */
	bool daemonize;
	char *pid_file;
	bool debug;
	/* no options: set by the operator, rather than left at their defaults */
	bool listen_address_chosen, listen_port_chosen;
};

extern const struct option_def daemon_option_defs[];
extern const size_t daemon_option_count;

#endif
