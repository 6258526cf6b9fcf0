#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/run.h"

#define WHY_SIZE 1024

bool
run_usage(const struct run *run, const char *what)
{
	log_error("%s (try ftxfer help %s)", what, run->command->name);
	return false;
}

static bool
parse_names(struct run *run)
{
	char why[WHY_SIZE];

	run->remotes = calloc(run->count, sizeof(struct ftxfer_remote *));
	if (run->remotes == NULL)
		return run_usage(run, "out of memory");
	for (size_t i = 0; i < run->count; i++) {
		if (ftxfer_remote_parse(run->args[i], run->aliases, run->options.aliases.count,
			&run->remotes[i], why, sizeof(why)) == FTXFER_NAME_WRONG)
			return run_usage(run, why);
	}
	return true;
}

/* Which arguments of a command have to be remote. */
static bool
must_be_remote(const struct run *run, size_t i)
{
	switch (run->command->word) {
	case COMMAND_PUT:
	case COMMAND_VERIFY:
		return i + 1 == run->count;
	case COMMAND_SYNC:
		return i == 1 ? run->remotes[0] == NULL : run->remotes[1] == NULL;
	default:
		return true;
	}
}

/* Why a name that has to be remote is not, with what may have been meant. */
static bool
not_remote(const struct run *run, const char *name)
{
	size_t host = strcspn(name, ":/");
	size_t digits = name[host] == ':' ? strspn(name + host + 1, "0123456789") : 0;
	size_t port = host + 1 + digits;
	char what[WHY_SIZE], quoted[300], hint[330] = "", meant[300];

	if (host > 0 && digits > 0 && (name[port] == '\0' || name[port] == ':')) {
		const char *path = name + port + (name[port] == ':');

		snprintf(
		    meant, sizeof(meant), "%.*s/%s", (int)port, name, path + strspn(path, "/"));
		log_quote(quoted, sizeof(quoted), meant, strlen(meant));
		snprintf(hint, sizeof(hint), "; did you mean %s?", quoted);
	} else if (host > 0 && name[host] == ':') {
		log_quote(quoted, sizeof(quoted), name, host);
		snprintf(hint, sizeof(hint), "; there is no alias %s", quoted);
	}
	log_quote(quoted, sizeof(quoted), name, strlen(name));
	snprintf(what, sizeof(what),
	    "%s is not on a server: write ftx://HOST/PATH, HOST:/PATH, HOST:PORT/PATH or "
	    "ALIAS:PATH%s",
	    quoted, hint);
	return run_usage(run, what);
}

static bool
check_names(const struct run *run)
{
	const struct ftxfer_remote *first = NULL;
	char what[WHY_SIZE];

	for (size_t i = 0; i < run->count; i++) {
		const struct ftxfer_remote *r = run->remotes[i];
		char quoted[512];

		if (r == NULL && must_be_remote(run, i))
			return not_remote(run, run->args[i]);
		if (r != NULL && !must_be_remote(run, i)) {
			log_quote(quoted, sizeof(quoted), run->args[i], strlen(run->args[i]));
			snprintf(what, sizeof(what),
			    "%s is on a server, but has to be here: ./NAME is local", quoted);
			return run_usage(run, what);
		}
		if (r == NULL)
			continue;
		if (first == NULL)
			first = r;
		if (strcmp(first->host, r->host) != 0 || first->port != r->port)
			return run_usage(run, "all names of one command are on one server");
		if (r->path[0] == '\0' &&
		    (run->command->word == COMMAND_RM ||
			(run->command->word == COMMAND_MV && i == 0) ||
			run->command->word == COMMAND_MKDIR || run->command->word == COMMAND_SUM))
			return run_usage(run, "the root of the server cannot be meant here");
		if (r->path[0] == '\0' && r->pattern == NULL && run->command->word == COMMAND_GET &&
		    !run->options.recursive)
			return run_usage(run,
			    run_to_stdout(run) ? "the root of the server is a directory, and one "
						 "file goes to standard output"
					       : "the root of the server is a directory: -r takes "
						 "it with all that is in it");
	}
	return true;
}

const struct ftxfer_remote *
run_server(const struct run *run)
{
	size_t i = 0;

	while (run->remotes[i] == NULL)
		i++;
	return run->remotes[i];
}

bool
run_to_stdout(const struct run *run)
{
	return run->command->word == COMMAND_GET && strcmp(run->options.output, "-") == 0;
}

static bool
check_options(const struct run *run)
{
	size_t dashes = 0;

	for (size_t i = 0; run->command->word == COMMAND_PUT && i < run->count; i++)
		dashes += strcmp(run->args[i], "-") == 0;
	if (dashes > 1)
		return run_usage(run, "standard input can be read once");
	if (dashes == 1 && run_server(run)->is_dir)
		return run_usage(
		    run, "what comes from standard input has no name: REMOTE must be one");
	if (dashes == 1 && run->count > 2)
		return run_usage(run, "standard input goes alone");
	if (!run_to_stdout(run))
		return true;
	if (run->count != 1 || run->options.recursive)
		return run_usage(run, "one file goes to standard output");
	if (run->options.json)
		return run_usage(run, "standard output cannot have both the file and JSON");
	return true;
}

/* mv: what is written as a directory is what the file goes into. */
static bool
make_target(struct run *run)
{
	const struct ftxfer_remote *from = run->remotes[0], *to;
	const char *slash, *name;

	if (run->command->word != COMMAND_MV)
		return true;
	to = run->remotes[1];
	slash = strrchr(from->path, '/');
	name = slash != NULL ? slash + 1 : from->path;
	if (asprintf(&run->to, "%s%s%s", to->path, to->is_dir && *to->path != '\0' ? "/" : "",
		to->is_dir ? name : "") >= 0)
		return true;
	run->to = NULL;
	return run_usage(run, "out of memory");
}

bool
run_arguments(struct run *run)
{
	return parse_names(run) && check_names(run) && check_options(run) && make_target(run);
}
