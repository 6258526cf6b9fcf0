#include <errno.h>
#include <event2/event.h>
#include <libconfig.h>
#include <locale.h>
#ifdef HAVE_MALLOC_H
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/rc.h"
#include "base/log.h"
#include "daemon/background.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/pid_file.h"
#include "daemon/privileges.h"
#include "daemon/server.h"

static const char synopsis[] = "ftxferd [OPTION...]";
static const char epilog[] =
    "The file's options are described in ftxferd.conf(5), the daemon in ftxferd(8).";

static int
config_error(const struct option_error *err)
{
	if (err->file[0] == '\0')
		log_error("%s", err->text);
	else if (err->line == 0)
		log_error("%s: %s", err->file, err->text);
	else
		log_error("%s:%u: %s", err->file, err->line, err->text);
	return EX_CONFIG;
}

/* The file, if there is one: the default one may be *missing, one that was named may not. */
static int
load_config(struct option_set *set, const struct daemon_options *options, bool *missing)
{
	bool named = option_source(set, "config") == OPTION_FROM_COMMAND_LINE;
	struct option_error err;

	*missing = false;
	if (conf_load(set, options->config, missing, &err) || (*missing && !named))
		return 0;
	return config_error(&err);
}

static void
print_version(void)
{
	printf("ftxferd %s (libevent %s, libconfig %d.%d.%d)\n", PACKAGE_VERSION,
	    event_get_version(), LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION);
}

static int
output_status(void)
{
	return option_print_end(stdout) ? EX_OK : EX_IOERR;
}

/* Of a configuration that is right: which one it was. */
static int
print_ok(const struct daemon_options *options, bool missing)
{
	if (missing)
		printf("OK: there is no %s, and the defaults hold\n", options->config);
	else
		printf("OK: %s\n", options->config);
	return output_status();
}

/* What is asked for on the command line and needs no daemon. True: *code is the exit code. */
static bool
answer_questions(const struct option_set *set, const struct daemon_options *options, int *code)
{
	if (options->help)
		option_help(set, stdout, synopsis, epilog);
	else if (options->version)
		print_version();
	else if (options->print_options)
		option_print_names(set, stdout);
	else
		return false;
	*code = output_status();
	return true;
}

/*
 * Up to where it could serve, in this order: what takes privileges, then none, then threads. What
 * goes wrong with the former is said to the terminal.
 */
static int
start(struct server *server, const struct daemon_options *options, bool in_background,
    struct pid_file *pid_file)
{
	struct privileges_needs needs = {
		.user = options->user,
		.root_fd = server_root_fd(server),
		.storage_root = options->storage_root,
	};
	struct privileges_left left;
	int code;

	if (options->pid_file != NULL && options->pid_file[0] != '\0' &&
	    pid_file_write(pid_file, options->pid_file) != 0)
		return EX_CANTCREAT;
	needs.pid_file = pid_file->path;
	code = privileges_give_up(&needs, &left);
	if (code != 0)
		return code;
	if (in_background)
		log_open(
		    "ftxferd", LOG_STYLE_SYSLOG, options->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	privileges_log(&left);
	return server_start(server);
}

/* background: NULL in the foreground. */
static int
serve(struct server *server, const struct daemon_options *options, struct background *background)
{
	struct pid_file pid_file = { .path = NULL };
	int code = start(server, options, background != NULL, &pid_file);

	if (code == 0)
		server_print_addresses(server, stdout);
	if (background != NULL) {
		if (code == 0)
			background_detach(background);
		background_tell(background, code);
	}
	if (code == 0) {
		notify_ready();
		code = server_run(server);
	}
	pid_file_remove(&pid_file);
	return code;
}

static int
run_daemon(const struct daemon_options *options)
{
	bool in_background = options->daemonize && !options->foreground;
	struct background background;
	struct server *server = NULL;
	int code = server_open(&server, options);

	if (code != 0)
		return code;
	if (in_background) {
		if (background_enter(&background) != 0) {
			log_error("cannot go into the background: %s", ftx_errno_text(errno));
			server_close(server);
			return EX_OSERR;
		}
	}
	code = serve(server, options, in_background ? &background : NULL);
	server_close(server);
	return code;
}

static void
note_chosen(const struct option_set *set, struct daemon_options *options)
{
	options->listen_address_chosen =
	    option_source(set, "listen_address") != OPTION_FROM_DEFAULT;
	options->listen_port_chosen = option_source(set, "listen_port") != OPTION_FROM_DEFAULT;
}

/*
 * Content is held in chunks of 64 KiB and more. Each is a mapping of its own, and goes back to the
 * system when it is freed: otherwise the first one freed would move the threshold up, and what a
 * busy hour took would stay taken (mallopt(3), M_MMAP_THRESHOLD).
 */
static void
give_memory_back(void)
{
#ifdef M_MMAP_THRESHOLD
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
#endif
}

/* What libevent has to say is a line like others. */
static void
on_event_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

int
main(int argc, char **argv)
{
	struct daemon_options options;
	struct option_set set;
	struct option_error err;
	int first, code;
	bool missing;

	give_memory_back();
	setlocale(LC_CTYPE, ""); /* NOLINT(concurrency-mt-unsafe): before there are threads */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);   /* store/reader holds a lease for a moment */
	signal(SIGXFSZ, SIG_IGN); /* a log file at its limit (RLIMIT_FSIZE) ends no transfers */
	log_open("ftxferd", LOG_STYLE_TOOL, LOG_LEVEL_INFO);
	event_set_log_callback(on_event_log);
	if (!option_set_init(&set, daemon_option_defs, daemon_option_count, &options, &err))
		log_fatal(EX_SOFTWARE, "%s", err.text);
	if (!cmdline_parse(&set, argc, argv, &first, &err)) {
		log_error("%s (try ftxferd --help)", err.text);
		code = EX_USAGE;
	} else if (first < argc) {
		log_error("unexpected argument %s (try ftxferd --help)", argv[first]);
		code = EX_USAGE;
	} else if (!answer_questions(&set, &options, &code)) {
		code = load_config(&set, &options, &missing);
		if (code == 0 && options.print_config) {
			option_print(&set, stdout);
			code = output_status();
		} else if (code == 0 && options.test) {
			code = print_ok(&options, missing);
		} else if (code == 0) {
			note_chosen(&set, &options);
			log_open("ftxferd", LOG_STYLE_DAEMON,
			    options.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
			code = run_daemon(&options);
		}
	}
	option_set_clear(&set);
	return code;
}
