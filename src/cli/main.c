#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libconfig.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "client/ftxfer.h"
#include "loop/signal.h"

#define REDRAW_MS         100
#define PATIENCE_MS       2000 /* for cleaning up after a cancelled transfer */
#define PATIENCE_SLICE_MS 20   /* between two looks whether it has */

static const char epilog[] =
    "Exit codes: 0 done, 64 usage, 66 no such local file, 68 unknown host, 69 refused by the\n"
    "server, 70 internal error, 73 the name exists on the server or the local file cannot be\n"
    "created, 74 local read or write error, 75 try again, 76 not this protocol. See ftxfer(1).";

struct cli {
	const struct cli_options *options; /* borrowed */
	struct event_base *base;           /* owned */
	struct ftxfer_job *job;            /* owned */
	struct event *redraw;              /* owned; only where there is a bar */
	struct signal_watch *signals;      /* owned */
	struct progress progress;
	char label[LOG_QUOTE_SIZE]; /* of the bar: the local name, safe for a terminal */
	int signo;                  /* that ended it, or 0 */
	enum ftxfer_status status;
	bool done;
};

/* A line for a person, above the bar. */
static void
say(struct cli *cli, const char *format, const char *name)
{
	char quoted[LOG_QUOTE_SIZE];

	if (cli->options->quiet)
		return;
	progress_hide(&cli->progress);
	fprintf(stderr, format, log_quote(quoted, sizeof(quoted), name, strlen(name)));
}

static void
on_notice(void *arg, enum ftxfer_notice notice)
{
	struct cli *cli = arg;

	if (notice == FTXFER_NOTICE_REPLACES)
		say(cli, "ftxfer: client file %s exists, will overwrite\n",
		    cli->options->client_file_name);
}

static void
say_complete(struct cli *cli)
{
	struct ftxfer_progress p = ftxfer_progress(cli->job);
	uint64_t ms = clock_now_ms() - cli->progress.started;
	char bytes[16], rate[16];

	if (cli->options->quiet)
		return;
	progress_bytes(bytes, sizeof(bytes), p.total);
	progress_bytes(rate, sizeof(rate), p.total * 1000 / (ms > 0 ? ms : 1));
	fprintf(stderr, "ftxfer: file transfer complete: %s in %" PRIu64 ".%03u s, %s/s%s\n", bytes,
	    ms / 1000, (unsigned)(ms % 1000), rate,
	    strcmp(cli->options->mode, "upload") == 0 ? "; the server closed cleanly" : "");
}

static void
on_done(void *arg, enum ftxfer_status status, const char *text)
{
	struct cli *cli = arg;

	cli->status = status;
	cli->done = true;
	progress_hide(&cli->progress);
	if (status == FTXFER_OK)
		say_complete(cli);
	else
		log_error("%s", text);
	event_base_loopbreak(cli->base);
}

static void
on_redraw(evutil_socket_t fd, short what, void *arg)
{
	struct cli *cli = arg;
	struct ftxfer_progress p = ftxfer_progress(cli->job);

	(void)fd;
	(void)what;
	if (!cli->done)
		progress_show(&cli->progress, p.moved, p.total);
}

static void
on_signal(void *arg, int signo)
{
	struct cli *cli = arg;

	if (cli->done)
		return;
	cli->signo = signo;
	ftxfer_cancel(cli->job);
}

/*
 * The program dies of the signal it was sent, as who sent it expects; what could not be tidied up
 * by then is left.
 */
static void
die_of_signal(struct cli *cli)
{
	uint64_t until = clock_now_ms() + PATIENCE_MS;
	struct timeval slice = { .tv_usec = PATIENCE_SLICE_MS * 1000L };

	while (ftxfer_busy(cli->job) && clock_now_ms() < until) {
		event_base_loopexit(cli->base, &slice);
		event_base_loop(cli->base, EVLOOP_ONCE);
	}
	signal_watch_free(cli->signals);
	cli->signals = NULL;
	signal(cli->signo, SIG_DFL);
	raise(cli->signo);
}

static bool
watch(struct cli *cli)
{
	int signos[] = { SIGINT, SIGTERM, SIGHUP };
	size_t count = signal_drop_ignored(signos, 3);
	struct timeval every = { .tv_usec = REDRAW_MS * 1000L };

	if (signal_watch_new(&cli->signals, cli->base, signos, count, on_signal, cli) != FTX_OK)
		return false;
	if (!cli->progress.enabled)
		return true;
	cli->redraw = event_new(cli->base, -1, EV_PERSIST, on_redraw, cli);
	return cli->redraw != NULL && event_add(cli->redraw, &every) == 0;
}

/* The permissions of a file that a program makes: umask(2) can be read only by setting it. */
static unsigned
new_file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int
transfer(const struct cli_options *options, enum ftxfer_mode mode)
{
	static const struct ftxfer_callbacks callbacks = { on_notice, on_done };
	const struct ftxfer_spec spec = {
		.mode = mode,
		.server = options->server,
		.remote_name = options->server_file_name,
		.local_name = options->client_file_name,
		.file_mode = new_file_mode(),
		.connect_timeout = options->connect_timeout,
		.idle_timeout = options->timeout,
		.close_timeout = options->close_timeout,
		.sendfile = (enum ftxfer_way)options->sendfile,
		.splice = (enum ftxfer_way)options->splice,
		.congestion = options->tcp_congestion,
	};
	struct cli cli = { .options = options, .status = FTXFER_INTERNAL };

	log_quote(cli.label, sizeof(cli.label), options->client_file_name,
	    strlen(options->client_file_name));
	progress_init(&cli.progress, cli.label, options->quiet);
	cli.base = event_base_new();
	if (cli.base != NULL && watch(&cli))
		cli.job = ftxfer_start(cli.base, &spec, &callbacks, &cli);
	if (cli.job == NULL)
		log_error("out of memory or file descriptors");
	while (cli.job != NULL && !cli.done) {
		if (event_base_loop(cli.base, EVLOOP_ONCE) < 0)
			break;
	}
	if (cli.signo != 0)
		die_of_signal(&cli);
	/* How it ended has been said. */
	signal_watch_end(cli.signals);
	ftxfer_free(cli.job);
	if (cli.redraw != NULL)
		event_free(cli.redraw);
	if (cli.base != NULL)
		event_base_free(cli.base);
	return cli_exit_code(cli.status);
}

static int
output_status(void)
{
	return option_print_end(stdout) ? EX_OK : EX_IOERR;
}

/* Of version 1; but who asks here may not know yet that there are commands. */
static int
print_help(const struct option_set *set)
{
	char synopsis[512] = "ftxfer COMMAND [OPTION...] NAME...\n"
			     "       ftxfer [OPTION...]\n\n"
			     "The commands, of which ftxfer help says more, are";
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
		size_t used = strlen(synopsis);

		snprintf(synopsis + used, sizeof(synopsis) - used, "%s%s%s", i == 0 ? "\n" : ", ",
		    command->name, command_at(i + 1) == NULL ? "." : "");
	}
	strncat(synopsis, "\n\nWithout one, a file is moved by version 1 of the protocol:",
	    sizeof(synopsis) - strlen(synopsis) - 1);
	option_help(set, stdout, synopsis, epilog);
	return output_status();
}

static int
print_version(void)
{
	printf("ftxfer %s (libevent %s, libconfig %d.%d.%d)\n", PACKAGE_VERSION,
	    event_get_version(), LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION);
	return output_status();
}

static int
run(const struct option_set *set, const struct cli_options *options)
{
	if (options->help)
		return print_help(set);
	if (options->version)
		return print_version();
	if (options->print_options) {
		option_print_names(set, stdout);
		return output_status();
	}
	if (options->debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (strcmp(options->mode, "upload") == 0)
		return transfer(options, FTXFER_UPLOAD);
	if (strcmp(options->mode, "download") == 0)
		return transfer(options, FTXFER_DOWNLOAD);
	log_error("mode is upload or download, not %s (try ftxfer --help)", options->mode);
	return EX_USAGE;
}

/* A detail of what is said to the user in a sentence. */
static void
on_event_log(int severity, const char *text)
{
	(void)severity;
	log_debug("libevent: %s", text);
}

/* Version 1 of the protocol, and the first program's command line. */
static int
run_seed(int argc, char **argv)
{
	struct cli_options options;
	struct option_set set;
	struct option_error err;
	int first, code;

	if (!option_set_init(&set, cli_option_defs, cli_option_count, &options, &err))
		log_fatal(EX_SOFTWARE, "%s", err.text);
	if (!cmdline_parse(&set, argc, argv, &first, &err)) {
		log_error("%s (try ftxfer --help)", err.text);
		code = EX_USAGE;
	} else if (first < argc && options.help) {
		code = command_help(argv[first]);
	} else if (first < argc && command_find(argv[first]) != NULL) {
		log_error("a command stands before its options (try ftxfer help %s)", argv[first]);
		code = EX_USAGE;
	} else if (first < argc) {
		log_error("unexpected argument %s (try ftxfer --help)", argv[first]);
		code = EX_USAGE;
	} else
		code = run(&set, &options);
	option_set_clear(&set);
	return code;
}

/*
 * Of the standard descriptors none is left closed: what is opened next would take its place, and
 * the content of a file. To read or to write fails as before.
 */
static bool
occupy_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", mode | O_CLOEXEC) != fd) {
			log_error("/dev/null: %s", ftx_errno_text(errno));
			return false;
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;

	setlocale(LC_CTYPE, ""); /* NOLINT(concurrency-mt-unsafe): before there are threads */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);   /* store/reader holds a lease for a moment */
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit (RLIMIT_FSIZE) is an error like others */
	log_open("ftxfer", LOG_STYLE_TOOL, LOG_LEVEL_WARN);
	if (!occupy_descriptors())
		return EX_SOFTWARE;
	event_set_log_callback(on_event_log);
	if (command != NULL)
		return command_main(command, argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "help") == 0)
		return command_help(argc > 2 ? argv[2] : NULL);
	if (argc > 1 && strcmp(argv[1], "version") == 0)
		return print_version();
	/* The first program's command line is of options only. */
	if (argc > 1 && argv[1][0] != '-')
		return command_unknown(argv[1]);
	return run_seed(argc, argv);
}
