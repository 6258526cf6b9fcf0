#include "cli/options.h"

#include "client/ftxfer.h"

#define AT(member) offsetof(struct cli_options, member)
#define DAY_MS     ((uint64_t)24 * 3600 * 1000)

static const char *const way_words[] = {
	[FTXFER_WAY_AUTO] = "auto",
	[FTXFER_WAY_ALWAYS] = "always",
	[FTXFER_WAY_NEVER] = "never",
	NULL,
};

/* clang-format off */
const struct option_def cli_option_defs[] = {
	{ .name = "mode", .letter = 'm', .type = OPTION_STRING, .offset = AT(mode),
	  .initial = "download", .min = 1, .max = 16, .arg = "MODE",
	  .help = "upload or download" },
	{ .name = "server", .letter = 's', .type = OPTION_STRING, .offset = AT(server),
	  .initial = "127.0.0.1:50000", .min = 1, .max = 300, .arg = "HOST:PORT",
	  .help = "the server; an IPv6 address as [ADDRESS]:PORT" },
	{ .name = "server_file_name", .letter = 'v', .type = OPTION_STRING,
	  .offset = AT(server_file_name), .initial = "server.txt", .min = 1, .max = 255,
	  .arg = "NAME",
	  .help = "name of the file on the server" },
	{ .name = "client_file_name", .letter = 'l', .type = OPTION_STRING,
	  .offset = AT(client_file_name), .initial = "client.txt", .min = 1, .max = 4095,
	  .arg = "NAME", .help = "name of the file here" },
	{ .name = "connect_timeout", .type = OPTION_TIME, .offset = AT(connect_timeout),
	  .initial = "10s", .min = 1, .max = DAY_MS, .arg = "TIME",
	  .help = "how long to wait for a connection, for each address" },
	{ .name = "timeout", .type = OPTION_TIME, .offset = AT(timeout),
	  .initial = "60s", .min = 1, .max = DAY_MS, .arg = "TIME",
	  .help = "how long to wait while nothing moves" },
	{ .name = "close_timeout", .type = OPTION_TIME, .offset = AT(close_timeout),
	  .initial = "600s", .min = 1, .max = DAY_MS, .arg = "TIME",
	  .help = "upload: how long to wait for the server to have stored the file" },
	{ .name = "tcp_congestion", .type = OPTION_STRING, .offset = AT(tcp_congestion),
	  .initial = "", .max = 15, .arg = "NAME",
	  .help = "TCP congestion control of what is sent (empty: the system's)" },
	{ .name = "sendfile", .type = OPTION_CHOICE, .offset = AT(sendfile),
	  .initial = "auto", .words = way_words,
	  .help = "whether large files are sent without a copy (auto: if that is cheaper)" },
	{ .name = "splice", .type = OPTION_CHOICE, .offset = AT(splice),
	  .initial = "auto", .words = way_words,
	  .help = "likewise received (auto: on the loopback)" },
	{ .name = "quiet", .letter = 'q', .type = OPTION_BOOL, .offset = AT(quiet),
	  .initial = "false", .help = "say nothing but errors" },
	{ .name = "debug", .letter = 'd', .type = OPTION_BOOL, .offset = AT(debug),
	  .initial = "false", .help = "print debug messages, each change of state among them" },
	{ .name = "print_options", .type = OPTION_ACTION, .offset = AT(print_options),
	  .flags = OPTION_CLI_ONLY | OPTION_HIDDEN, .help = "print the options' names, and exit" },
	{ .name = "version", .letter = 'V', .type = OPTION_ACTION, .offset = AT(version),
	  .flags = OPTION_CLI_ONLY, .help = "print the program's and libraries' versions, and exit" },
	{ .name = "help", .letter = 'h', .type = OPTION_ACTION, .offset = AT(help),
	  .flags = OPTION_CLI_ONLY, .help = "print this text, and exit" },
	{ .name = "usage", .letter = '?', .type = OPTION_ACTION, .offset = AT(help),
	  .flags = OPTION_CLI_ONLY, .help = "likewise" },
};
/* clang-format on */

const size_t cli_option_count = sizeof(cli_option_defs) / sizeof(cli_option_defs[0]);
