/*
 * conf_sample.h - a sample table of options for the tests of conf/ and their fuzz target.
 */
#ifndef UNIT_CONF_SAMPLE_H
#define UNIT_CONF_SAMPLE_H

#include <sys/types.h>

#include "conf/option.h"

struct sample {
	bool daemonize, color;
	uint64_t port, level, big;
	uint64_t max_file_size, buffer;
	uint64_t idle_timeout, delay;
	mode_t file_mode;
	char *root, *log_file;
	struct option_list listen, trusted;
	unsigned shade, tone;
	int help, version;
};

#define AT(member) offsetof(struct sample, member)

static const char *const sample_shades[] = { "light", "dark", "none", NULL };

static const struct option_def sample_defs[] = {
	{ "listen_port", 'l', "listenPort", OPTION_UINT, AT(port), "50001", 0, 65535,
	    OPTION_RELOADABLE, "PORT", "TCP port to listen on; 0 lets the system choose", NULL,
	    NULL },
	{ "level", 0, NULL, OPTION_UINT, AT(level), NULL, 0, 0, 0, "N", "a number without bounds",
	    NULL, NULL },
	{ "big", 0, NULL, OPTION_UINT, AT(big), "5", 5, 0, 0, "N",
	    "a number with a lower bound only", NULL, NULL },
	{ "storage_root", 'r', NULL, OPTION_STRING, AT(root), "/var/lib/x", 1, 20, 0, "DIR",
	    "where the files are", NULL, NULL },
	{ "log_file", 0, NULL, OPTION_STRING, AT(log_file), NULL, 0, 0, 0, "FILE",
	    "where to log to", NULL, NULL },
	{ "listen_address", 0, NULL, OPTION_LIST, AT(listen), "127.0.0.1,::1", 1, 4, 0, "ADDR",
	    "addresses to listen on", NULL, NULL },
	{ "trusted", 0, NULL, OPTION_LIST, AT(trusted), NULL, 1, 0, 0, "ADDR", "whom to trust",
	    NULL, NULL },
	{ "max_file_size", 0, NULL, OPTION_SIZE, AT(max_file_size), "0", 0, 0, OPTION_RELOADABLE,
	    "SIZE",
	    "largest file to take; 0 is no limit, and this sentence is long enough to be wrapped",
	    NULL, NULL },
	{ "buffer_of_the_receiving_side", 0, NULL, OPTION_SIZE, AT(buffer), "64KiB", 4096, 1048576,
	    0, "SIZE", "buffer", NULL, NULL },
	{ "idle_timeout", 0, NULL, OPTION_TIME, AT(idle_timeout), "60s", 1000, 3600000, 0, "TIME",
	    "close after that long without a byte", NULL, NULL },
	{ "delay", 0, NULL, OPTION_TIME, AT(delay), "0.1", 0, 0, 0, "TIME", "wait", NULL, NULL },
	{ "file_mode", 0, NULL, OPTION_MODE, AT(file_mode), "0640", 0, 0777, 0, "MODE",
	    "mode of new files", NULL, NULL },
	{ "daemonize", 0, NULL, OPTION_BOOL, AT(daemonize), "false", 0, 0, 0, NULL,
	    "go to the background", NULL, NULL },
	{ "color", 'c', NULL, OPTION_BOOL, AT(color), "true", 0, 0, 0, NULL, "paint", NULL, NULL },
	{ "shade", 's', NULL, OPTION_CHOICE, AT(shade), "dark", 0, 0, 0, NULL,
	    "how bright the paint is", sample_shades, NULL },
	{ "tone", 0, NULL, OPTION_CHOICE, AT(tone), NULL, 0, 0, 0, NULL, "likewise", sample_shades,
	    NULL },
	{ "max_size", 0, NULL, OPTION_SIZE, AT(max_file_size), NULL, 0, 0, OPTION_HIDDEN, "SIZE",
	    "the old name of max_file_size", NULL, NULL },
	{ "help", '?', "usage", OPTION_ACTION, AT(help), NULL, 0, 0, OPTION_CLI_ONLY, NULL,
	    "show this and exit", NULL, NULL },
	{ "version", 'V', NULL, OPTION_ACTION, AT(version), NULL, 0, 0, OPTION_CLI_ONLY, NULL,
	    "show the version and exit", NULL, NULL },
};

#define SAMPLE_COUNT (sizeof(sample_defs) / sizeof(sample_defs[0]))

#endif
