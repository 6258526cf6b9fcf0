#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/run.h"
#include "loop/signal.h"

#define REDRAW_MS   100
#define PATIENCE_MS 2000 /* for cleaning up after a signal */

/* --- Items --- */

static bool
add(struct run *run, const struct ftxfer_item_spec *spec)
{
	if (ftxfer_session_add(run->session, spec) != 0)
		return true;
	log_error("out of memory");
	return false;
}

static unsigned
flags_of(const struct run *run)
{
	const struct command_options *o = &run->options;

	return (o->recursive ? FTXFER_RECURSIVE : 0U) | (o->parents ? FTXFER_PARENTS : 0U) |
	       (o->replace ? FTXFER_REPLACE : 0U) | (o->delete_extra ? FTXFER_DELETE : 0U) |
	       (o->checksum ? FTXFER_CHECKSUM : 0U) | (o->dry_run ? FTXFER_DRY_RUN : 0U) |
	       (o->no_attrs ? FTXFER_NO_ATTRS : 0U);
}

static bool
add_put(struct run *run, struct ftxfer_item_spec spec, size_t i)
{
	const struct ftxfer_remote *target = run->remotes[run->count - 1];

	if (i + 1 == run->count)
		return true;
	spec.op = FTXFER_OP_PUT;
	spec.remote = target->path;
	if (strcmp(run->args[i], "-") == 0)
		spec.fd = STDIN_FILENO;
	else
		spec.local = run->args[i];
	spec.flags |= target->is_dir || run->count > 2 ? FTXFER_MUST_INTO : FTXFER_INTO;
	return add(run, &spec);
}

static bool
add_get(struct run *run, struct ftxfer_item_spec spec, size_t i)
{
	const char *output = run->options.output;
	size_t len = strlen(output);

	spec.op = FTXFER_OP_GET;
	spec.remote = run->remotes[i]->path;
	spec.pattern = run->remotes[i]->pattern;
	if (run_to_stdout(run))
		spec.fd = STDOUT_FILENO;
	else
		spec.local = output;
	spec.flags |= FTXFER_INTO;
	if (run->count > 1 || (spec.pattern != NULL && spec.local != NULL) ||
	    output[len - 1] == '/')
		spec.flags |= FTXFER_MUST_INTO;
	return add(run, &spec);
}

static bool
add_item(struct run *run, size_t i)
{
	static const enum ftxfer_op ops[COMMAND_COUNT] = {
		[COMMAND_LS] = FTXFER_OP_LIST,
		[COMMAND_STAT] = FTXFER_OP_STAT,
		[COMMAND_MKDIR] = FTXFER_OP_MKDIR,
		[COMMAND_RM] = FTXFER_OP_REMOVE,
		[COMMAND_MV] = FTXFER_OP_RENAME,
		[COMMAND_SUM] = FTXFER_OP_SUM,
	};
	struct ftxfer_item_spec spec = { .size = sizeof(spec), .flags = flags_of(run), .fd = -1 };

	switch (run->command->word) {
	case COMMAND_PUT:
		return add_put(run, spec, i);
	case COMMAND_GET:
		return add_get(run, spec, i);
	case COMMAND_SYNC:
	case COMMAND_VERIFY:
		if (i == 1)
			return true;
		spec.op = run->remotes[0] != NULL ? FTXFER_OP_SYNC_DOWN : FTXFER_OP_SYNC_UP;
		if (run->command->word == COMMAND_VERIFY)
			spec.op = FTXFER_OP_VERIFY;
		spec.remote = run_server(run)->path;
		spec.local = run->args[run->remotes[0] != NULL ? 1 : 0];
		return add(run, &spec);
	case COMMAND_MV:
		if (i == 1)
			return true;
		spec.to = run->to;
		break;
	default:
		break;
	}
	spec.op = ops[run->command->word];
	spec.remote = run->remotes[i]->path;
	return add(run, &spec);
}

/* --- The session --- */

static void
on_event(void *arg, const struct ftxfer_event *e)
{
	struct run *run = arg;

	report_event(&run->report, e);
}

static void
on_idle(void *arg)
{
	struct run *run = arg;

	run->idle = true;
	event_base_loopbreak(run->base);
}

static struct ftxfer_totals
totals(const struct run *run)
{
	struct ftxfer_totals t = { .size = sizeof(t) };

	ftxfer_session_totals(run->session, &t);
	return t;
}

static void
on_redraw(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	struct ftxfer_totals t;

	(void)fd;
	(void)what;
	if (!run->unread && !run->report.moves && ferror(stdout)) {
		/* Nobody hears what was asked for. */
		run->unread = run->report.cancelled = true;
		ftxfer_session_cancel(run->session);
	}
	if (!report_shows_progress(&run->report))
		return; /* to ask for it takes a look at each item */
	t = totals(run);
	report_progress(&run->report, &t);
}

static void
on_signal(void *arg, int signo)
{
	struct run *run = arg;

	if (run->idle)
		return; /* all is done */
	run->signo = signo;
	ftxfer_session_cancel(run->session);
}

/* The permissions of a file that a program makes: umask(2) can be read only by setting it. */
static unsigned
new_file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* Where upload ids come from; its directory is made if it is not there. NULL: nowhere. */
static char *
key_file(void)
{
	char *path = command_user_file("XDG_STATE_HOME", ".local/state", "upload-key");

	for (char *p = path != NULL ? strchr(path + 1, '/') : NULL; p != NULL;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdirat(
		    AT_FDCWD, path, 0700); /* if that fails the key cannot be made, that is all */
		*p = '/';
	}
	return path;
}

static bool
start(struct run *run)
{
	const struct command_options *o = &run->options;
	const struct ftxfer_session_callbacks callbacks = { sizeof(callbacks), on_event, on_idle,
		NULL };
	char *key = key_file();
	const struct ftxfer_session_spec spec = {
		.size = sizeof(spec),
		.host = run_server(run)->host,
		.port = run_server(run)->port,
		.connections = (unsigned)o->jobs,
		.connect_timeout = o->connect_timeout,
		.retry_time = o->retry_time,
		.congestion = o->tcp_congestion,
		.agent = "ftxfer " PACKAGE_VERSION,
		.file_mode = new_file_mode(),
		.sha256 = o->digest == 1,
		.key_file = key,
	};
	int signos[] = { SIGINT, SIGTERM, SIGHUP };
	size_t count = signal_drop_ignored(signos, 3);
	struct timeval every = { .tv_usec = REDRAW_MS * 1000L };

	run->base = event_base_new();
	if (run->base != NULL &&
	    signal_watch_new(&run->signals, run->base, signos, count, on_signal, run) == FTX_OK) {
		run->redraw = event_new(run->base, -1, EV_PERSIST, on_redraw, run);
		run->session = ftxfer_session_new(run->base, &spec, &callbacks, run);
	}
	free(key);
	if (run->session == NULL || run->redraw == NULL || event_add(run->redraw, &every) != 0) {
		log_error("out of memory or file descriptors");
		return false;
	}
	return true;
}

static void
die_of_signal(struct run *run)
{
	uint64_t until = clock_now_ms() + PATIENCE_MS;
	struct timeval slice = { .tv_usec = 20000 };

	while (ftxfer_session_busy(run->session) && clock_now_ms() < until) {
		event_base_loopexit(run->base, &slice);
		event_base_loop(run->base, EVLOOP_ONCE);
	}
	signal_watch_free(run->signals);
	run->signals = NULL;
	signal(run->signo, SIG_DFL);
	raise(run->signo);
}

static int
work(struct run *run)
{
	struct ftxfer_totals t;
	bool ok = start(run);

	for (size_t i = 0; ok && i < run->count; i++)
		ok = add_item(run, i);
	if (!ok)
		return EX_SOFTWARE;
	while (!run->idle) {
		if (event_base_loop(run->base, EVLOOP_ONCE) < 0)
			return EX_SOFTWARE;
	}
	t = totals(run);
	if (run->signo == 0) {
		/* What is said now is how it ends, whatever comes until then. */
		signal_watch_end(run->signals);
		run->signals = NULL;
	}
	report_end(&run->report, &t);
	if (run->signo != 0) {
		(void)fflush(stdout);
		die_of_signal(run);
	}
	if (!option_print_end(stdout))
		return EX_IOERR;
	return cli_exit_code(run->report.status);
}

/* What files and the environment say, too. Logs what is wrong. */
static int
take_settings(struct run *run)
{
	struct option_error err = { .line = 0 };

	if (!command_settings(&run->set, COMMAND_SYSTEM_FILE, &err)) {
		if (err.line > 0)
			log_error("%s:%u: %s", err.file, err.line, err.text);
		else
			log_error("%s", err.text);
		return EX_USAGE;
	}
	run->aliases = calloc(run->options.aliases.count + 1, sizeof(*run->aliases));
	if (run->aliases == NULL)
		return EX_SOFTWARE;
	if (!command_aliases(&run->options.aliases, run->aliases, &err)) {
		log_error("%s", err.text);
		return EX_USAGE;
	}
	return EX_OK;
}

static int
run_parsed(struct run *run)
{
	int code = take_settings(run);

	if (code != EX_OK)
		return code;
	if (run->options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (run->count < run->command->least || run->count > run->command->most) {
		(void)run_usage(run, run->count < run->command->least ? "a name is missing"
								      : "there are too many names");
		return EX_USAGE;
	}
	if (!run_arguments(run))
		return EX_USAGE;
	report_init(&run->report, run->command, &run->options, run_server(run),
	    run->options.recursive || run->count > 1, run_to_stdout(run));
	return work(run);
}

static void
run_clear(struct run *run)
{
	/* A session that ends may still turn the loop: nothing is said or taken back by then. */
	if (run->redraw != NULL)
		event_free(run->redraw);
	signal_watch_free(run->signals);
	ftxfer_session_free(run->session);
	if (run->base != NULL)
		event_base_free(run->base);
	for (size_t i = 0; run->remotes != NULL && i < run->count; i++)
		ftxfer_remote_free(run->remotes[i]);
	free(run->remotes);
	free(run->to);
	free(run->aliases);
	option_set_clear(&run->set);
}

static void
print_help(const struct run *run)
{
	char synopsis[256];

	snprintf(synopsis, sizeof(synopsis), "ftxfer %s %s\n\n%s", run->command->name,
	    run->command->synopsis, run->command->help);
	option_help(&run->set, stdout, synopsis,
	    "REMOTE is ftx://HOST[:PORT]/PATH, HOST:/PATH, HOST:PORT/PATH or ALIAS:PATH.\n"
	    "See ftxfer(1).");
}

/* What was asked is not for a server, but about this program. */
static int
print_about(struct run *run)
{
	int code = EX_OK;

	if (run->options.help)
		print_help(run);
	else if (run->options.print_options)
		option_print_names(&run->set, stdout);
	else
		code = take_settings(run);
	if (code != EX_OK)
		return code;
	for (size_t i = 0; run->aliases != NULL && i < run->options.aliases.count; i++)
		printf("%s\n", run->aliases[i].name);
	return option_print_end(stdout) ? EX_OK : EX_IOERR;
}

int
command_main(const struct command *command, int argc, char **argv)
{
	struct run run = { .command = command };
	size_t def_count;
	struct option_def *defs = command_defs(command->word, &def_count);
	struct option_error err = { .line = 0 };
	int first, code = EX_SOFTWARE;

	if (defs == NULL || !option_set_init(&run.set, defs, def_count, &run.options, &err)) {
		log_error("%s", defs == NULL ? "out of memory" : err.text);
		free(defs);
		return EX_SOFTWARE;
	}
	if (!cmdline_parse(&run.set, argc, argv, &first, &err)) {
		(void)run_usage(&run, err.text);
		code = EX_USAGE;
	} else if (run.options.help || run.options.print_options || run.options.print_aliases) {
		code = print_about(&run);
	} else {
		run.args = argv + first;
		run.count = (size_t)(argc - first);
		code = run_parsed(&run);
	}
	run_clear(&run);
	free(defs);
	return code;
}
