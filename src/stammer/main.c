/*
 * stammerproxy - a TCP proxy that stammers, and breaks connections on purpose. See
 * stammerproxy(1).
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "loop/signal.h"
#include "net/addr.h"
#include "stammer/connection.h"
#include "stammer/options.h"
#include "stammer/relay.h"

#define SERVERS_MAX 8 /* addresses of one server that are tried */

/* Started without standard streams, a connection would get their number, and our messages. */
static void
fill_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A base that can watch edge-triggered, or NULL. */
static struct event_base *
open_loop(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL && event_config_require_features(config, EV_FEATURE_ET) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	return base;
}

static void
on_stop_signal(void *arg, int signo)
{
	log_debug("signal %d: stopping", signo);
	event_base_loopbreak(arg);
}

/* Forwards until a signal says stop. The status to exit with. */
static int
serve(struct stammer_options *o, const struct addr *servers, size_t count)
{
	static const int stop_signals[] = { SIGTERM, SIGINT };
	struct signal_watch *stops = NULL;
	struct connection_settings settings = {
		.base = open_loop(),
		.servers = servers,
		.server_count = count,
		.script = &o->script,
		.faulty = o->faulty,
		.seed = o->seed,
		.delay = o->delay,
		.latency = o->latency,
		.buffer = (size_t)o->buffer,
	};
	struct relay *relay = NULL;
	char text[ADDR_TEXT_SIZE];
	int status = EX_OSERR;
	enum ftx_rc rc;

	if (settings.base == NULL) {
		log_error("no event loop: %s", ftx_errno_text(errno));
		goto out;
	}
	rc =
	    signal_watch_new(&stops, settings.base, stop_signals, 2, on_stop_signal, settings.base);
	if (rc != FTX_OK) {
		log_error("cannot start: %s", ftx_rc_text(rc));
		goto out;
	}
	rc = relay_new(&relay, &settings, &o->listen);
	if (rc != FTX_OK) {
		log_error(
		    "cannot listen on %s: %s", addr_text(&o->listen, text), ftx_errno_text(errno));
		status = rc == FTX_IO ? EX_UNAVAILABLE : EX_OSERR;
		goto out;
	}
	log_debug("seed %" PRIu64, o->seed);
	printf("listening on %s\n", addr_text(&o->listen, text));
	if (fflush(stdout) != 0) {
		log_error("standard output: %s", ftx_errno_text(errno));
		status = EX_IOERR;
		goto out;
	}
	if (event_base_dispatch(settings.base) >= 0)
		status = EX_OK;
	else
		log_error("the event loop failed");
out:
	relay_free(relay);
	signal_watch_free(stops);
	if (settings.base != NULL)
		event_base_free(settings.base);
	return status;
}

int
main(int argc, char **argv)
{
	struct stammer_options o;
	struct addr servers[SERVERS_MAX];
	enum ftx_rc rc;
	size_t count;
	int status;

	fill_standard_streams();
	log_open("stammerproxy", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	status = stammer_options_init(&o, argc, argv);
	if (status != STAMMER_GO_ON)
		goto out;
	if (o.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	rc = addr_resolve(o.server_host, o.server_port, servers, SERVERS_MAX, &count);
	if (rc == FTX_OK)
		status = serve(&o, servers, count);
	else {
		log_error("%s: %s", o.server_host, ftx_rc_text(rc));
		status = rc == FTX_HOST_UNKNOWN ? EX_NOHOST : EX_OSERR;
	}
out:
	stammer_options_clear(&o);
	return status;
}
