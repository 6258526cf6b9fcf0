#include "stammer/options.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "stammer/latency.h"

#define DEFAULT_SERVER_PORT 50001

#define AT(member) offsetof(struct stammer_options, member)

/* clang-format off */
const struct option_def stammer_option_defs[] = {
	{ .name = "listen_port", .letter = 'l', .alias = "listenPort", .type = OPTION_UINT,
	  .offset = AT(listen_port), .initial = "50000", .max = 65535, .flags = OPTION_CLI_ONLY,
	  .arg = "PORT", .help = "port to listen on; 0: any free one" },
	{ .name = "listen_address", .type = OPTION_STRING,
	  .offset = AT(listen_address), .initial = "127.0.0.1", .flags = OPTION_CLI_ONLY,
	  .arg = "ADDRESS", .help = "numeric address to listen on" },
	{ .name = "server", .letter = 's', .type = OPTION_STRING,
	  .offset = AT(server), .initial = "127.0.0.1:50001", .flags = OPTION_CLI_ONLY,
	  .arg = "HOST:PORT", .help = "where connections are forwarded to" },
	{ .name = "delay", .type = OPTION_TIME,
	  .offset = AT(delay), .initial = "0.1", .max = UINT64_C(3600) * 1000, .flags = OPTION_CLI_ONLY,
	  .arg = "TIME", .help = "pause between two fragments" },
	{ .name = "latency", .type = OPTION_TIME,
	  .offset = AT(latency), .initial = "0", .max = LATENCY_MAX_MS, .flags = OPTION_CLI_ONLY,
	  .arg = "TIME", .help = "how long each byte is on its way, in each direction" },
	{ .name = "buffer", .type = OPTION_SIZE,
	  .offset = AT(buffer), .initial = "1000", .min = 1, .max = UINT64_C(1) << 30,
	  .flags = OPTION_CLI_ONLY, .arg = "BYTES", .help = "bytes held in each direction" },
	{ .name = "seed", .type = OPTION_UINT,
	  .offset = AT(seed), .flags = OPTION_CLI_ONLY,
	  .arg = "NUMBER", .help = "repeat the fragments of an earlier run" },
	{ .name = "cut_after", .type = OPTION_STRING,
	  .offset = AT(cut_after), .flags = OPTION_CLI_ONLY,
	  .arg = "[up:|down:]BYTES", .help = "close both ways (FIN) after so many bytes" },
	{ .name = "reset_after", .type = OPTION_STRING,
	  .offset = AT(reset_after), .flags = OPTION_CLI_ONLY,
	  .arg = "[up:|down:]BYTES", .help = "reset both ways (RST) after so many bytes" },
	{ .name = "stall_after", .type = OPTION_STRING,
	  .offset = AT(stall_after), .flags = OPTION_CLI_ONLY,
	  .arg = "[up:|down:]BYTES", .help = "forward nothing more after so many bytes" },
	{ .name = "faulty", .type = OPTION_UINT,
	  .offset = AT(faulty), .initial = "0", .max = UINT64_C(1) << 32, .flags = OPTION_CLI_ONLY,
	  .arg = "NUMBER", .help = "only the first so many connections meet a fault; 0: all" },
	{ .name = "debug", .letter = 'd', .type = OPTION_BOOL,
	  .offset = AT(debug), .flags = OPTION_CLI_ONLY,
	  .help = "print debug messages: what happens to each connection" },
	{ .name = "help", .letter = 'h', .type = OPTION_ACTION,
	  .offset = AT(help), .flags = OPTION_CLI_ONLY, .help = "print this text, and exit" },
	{ .name = "usage", .letter = '?', .type = OPTION_ACTION,
	  .offset = AT(help), .flags = OPTION_CLI_ONLY, .help = "likewise" },
	{ .name = "version", .letter = 'V', .type = OPTION_ACTION,
	  .offset = AT(version), .flags = OPTION_CLI_ONLY,
	  .help = "print the program's and libraries' versions, and exit" },
	{ .name = "print_options", .type = OPTION_ACTION,
	  .offset = AT(print_options), .flags = OPTION_CLI_ONLY | OPTION_HIDDEN,
	  .help = "print the names of all options, for the lint" },
};
/* clang-format on */
const size_t stammer_option_count = sizeof(stammer_option_defs) / sizeof(stammer_option_defs[0]);

static const char epilog[] =
    "Faults count the bytes forwarded on one connection: from client to server (up:),\n"
    "from server to client (down:), or in whichever direction gets there first.\n"
    "See stammerproxy(1).";

static int
usage_error(const char *text)
{
	log_error("%s (try stammerproxy --help)", text);
	return EX_USAGE;
}

static int
output_status(void)
{
	return option_print_end(stdout) ? EX_OK : EX_IOERR;
}

/* 63 bits, so that it can be given as an option again. */
static uint64_t
draw_seed(void)
{
	struct timespec now;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
		clock_gettime(CLOCK_REALTIME, &now);
		seed =
		    (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 40;
	}
	return seed & INT64_MAX;
}

static int
read_faults(struct stammer_options *o)
{
	const struct {
		enum fault_kind kind;
		const char *text;
	} given[] = {
		{ FAULT_CUT, o->cut_after },
		{ FAULT_RESET, o->reset_after },
		{ FAULT_STALL, o->stall_after },
	};
	char text[128];

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (given[i].text == NULL ||
		    fault_parse(&o->script, given[i].kind, given[i].text) == FTX_OK)
			continue;
		snprintf(text, sizeof(text), "--%s-after: [up:|down:]BYTES expected",
		    fault_name(given[i].kind));
		return usage_error(text);
	}
	return STAMMER_GO_ON;
}

int
stammer_options_init(struct stammer_options *o, int argc, char **argv)
{
	struct option_error err;
	int first, status;

	memset(o, 0, sizeof(*o));
	if (!option_set_init(&o->set, stammer_option_defs, stammer_option_count, o, &err)) {
		log_error("%s", err.text);
		return EX_SOFTWARE;
	}
	if (!cmdline_parse(&o->set, argc, argv, &first, &err))
		return usage_error(err.text);
	if (o->help) {
		option_help(&o->set, stdout, "stammerproxy [OPTION...]", epilog);
		return output_status();
	}
	if (o->version) {
		printf("stammerproxy %s (libevent %s)\n", PACKAGE_VERSION, event_get_version());
		return output_status();
	}
	if (o->print_options) {
		option_print_names(&o->set, stdout);
		return output_status();
	}
	if (first < argc)
		return usage_error("no arguments are expected");
	if (addr_parse(&o->listen, o->listen_address, (uint16_t)o->listen_port) != FTX_OK)
		return usage_error("--listen-address: a numeric IPv4 or IPv6 address expected");
	if (addr_split(o->server, o->server_host, sizeof(o->server_host), &o->server_port,
		DEFAULT_SERVER_PORT) != FTX_OK)
		return usage_error("--server: HOST or HOST:PORT expected");
	status = read_faults(o);
	if (option_source(&o->set, "seed") == OPTION_FROM_DEFAULT)
		o->seed = draw_seed();
	return status;
}

void
stammer_options_clear(struct stammer_options *o)
{
	option_set_clear(&o->set);
}
