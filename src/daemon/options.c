#include "daemon/options.h"

#include "loop/pool.h"
#include "store/path.h"

#define AT(member) offsetof(struct daemon_options, member)
#define HOUR_MS    ((uint64_t)3600 * 1000)

static const char *const name_words[] = { [PATH_UTF8] = "utf8", [PATH_BYTES] = "bytes", NULL };

/* clang-format off */
const struct option_def daemon_option_defs[] = {
	{ .name = "config", .letter = 'f', .type = OPTION_STRING, .offset = AT(config),
	  .flags = OPTION_CLI_ONLY, .arg = "FILE",
	  .initial = SYSCONFDIR "/ftxferd/ftxferd.conf",
	  .help = "configuration file" },
	{ .name = "storage_root", .letter = 'r', .type = OPTION_STRING, .offset = AT(storage_root),
	  .initial = "/var/lib/ftxferd", .min = 1, .max = 4095, .arg = "DIR",
	  .help = "directory that files are uploaded to and downloaded from; must exist" },
	{ .name = "listen_address", .type = OPTION_LIST, .offset = AT(listen_address),
	  .initial = "127.0.0.1,::1", .min = 1, .max = 255, .arg = "ADDR,...",
	  .help = "addresses to listen on" },
	{ .name = "listen_port", .letter = 'l', .type = OPTION_UINT, .offset = AT(listen_port),
	  .initial = "50001", .min = 0, .max = 65535, .arg = "PORT",
	  .help = "TCP port to listen on; 0 takes a free one and prints it" },
	{ .name = "max_connections", .type = OPTION_UINT, .offset = AT(max_connections),
	  .initial = "4096", .min = 0, .max = 1000000, .arg = "N",
	  .help = "connections at a time; one more is reset (0: no limit)" },
	{ .name = "max_connections_per_address", .type = OPTION_UINT,
	  .offset = AT(max_connections_per_address),
	  .initial = "1024", .min = 0, .max = 1000000, .arg = "N",
	  .help = "likewise per IPv4 address or IPv6 /64 network (0: no limit)" },
	{ .name = "request_timeout", .type = OPTION_TIME, .offset = AT(request_timeout),
	  .initial = "10s", .min = 1, .max = 24 * HOUR_MS, .arg = "TIME",
	  .help = "time for the whole handshake, before content flows" },
	{ .name = "idle_timeout", .type = OPTION_TIME, .offset = AT(idle_timeout),
	  .initial = "60s", .min = 1, .max = 24 * HOUR_MS, .arg = "TIME",
	  .help = "time without a byte moving after which a transfer is cut off" },
	{ .name = "grace_time", .type = OPTION_TIME, .offset = AT(grace_time),
	  .initial = "30s", .min = 0, .max = 24 * HOUR_MS, .arg = "TIME",
	  .help = "time that running transfers get to end when the daemon is told to stop" },
	{ .name = "max_file_size", .type = OPTION_SIZE, .offset = AT(max_file_size),
	  .initial = "0", .min = 0, .max = INT64_MAX, .arg = "SIZE",
	  .help = "largest file that may be uploaded (0: no limit)" },
	{ .name = "names", .type = OPTION_CHOICE, .offset = AT(names),
	  .initial = "utf8", .words = name_words,
	  .help = "what the names of uploaded files may be made of: UTF-8 without control "
		  "characters, or any bytes" },
	{ .name = "max_depth", .type = OPTION_UINT, .offset = AT(max_depth),
	  .initial = "32", .min = 0, .max = PATH_NAME_MAX / 2, .arg = "N",
	  .help = "directories in a file's name, at the most (0: no limit)" },
	{ .name = "file_mode", .type = OPTION_MODE, .offset = AT(file_mode),
	  .initial = "0640", .min = 0, .max = 0777, .arg = "MODE",
	  .help = "permissions of uploaded files, whatever the umask" },
	{ .name = "pool_threads", .type = OPTION_UINT, .offset = AT(pool_threads),
	  .initial = "4", .min = 3, .max = POOL_THREADS_MAX, .arg = "N",
	  .help = "threads that wait for the disk, at the most" },
	{ .name = "daemonize", .type = OPTION_BOOL, .offset = AT(daemonize),
	  .initial = "false",
	  .help = "go into the background once listening, and log to syslog" },
	{ .name = "foreground", .letter = 'F', .type = OPTION_BOOL, .offset = AT(foreground),
	  .flags = OPTION_CLI_ONLY, .initial = "false",
	  .help = "stay in the foreground, whatever daemonize says" },
	{ .name = "pid_file", .type = OPTION_STRING, .offset = AT(pid_file), .arg = "FILE",
	  .max = 4095,
	  .help = "file that holds the process number while the daemon runs" },
	{ .name = "debug", .letter = 'd', .type = OPTION_BOOL, .offset = AT(debug),
	  .initial = "false",
	  .help = "log debug messages, each change of state among them" },
	{ .name = "test", .letter = 't', .type = OPTION_ACTION, .offset = AT(test),
	  .flags = OPTION_CLI_ONLY,
	  .help = "check the configuration, say OK or what is wrong where, and exit" },
	{ .name = "print_config", .type = OPTION_ACTION, .offset = AT(print_config),
	  .flags = OPTION_CLI_ONLY,
	  .help = "print the configuration in force as a file, and exit" },
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

const size_t daemon_option_count = sizeof(daemon_option_defs) / sizeof(daemon_option_defs[0]);
