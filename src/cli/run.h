/*
 * run.h - one command, from its arguments to its exit status. Inner part of cli.
 * Layer: cli. Threads: the main one.
 * Tests: tests/system/test_commands.py
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "client/ftxfer.h"

struct event;
struct event_base;
struct signal_watch;

struct run {
	const struct command *command; /* borrowed */
	struct command_options options;
	struct option_set set;
	struct ftxfer_alias *aliases; /* owned; its strings are the options' */

	char **args; /* borrowed */
	size_t count;
	struct ftxfer_remote **remotes; /* owned: of each argument; NULL: it is local */

	struct event_base *base;
	struct ftxfer_session *session;
	struct event *redraw;
	struct signal_watch *signals;
	struct report report;
	char *to; /* owned: of mv, the new name */
	int signo;
	bool idle;
	bool unread; /* standard output is of no use any more */
};

/* Logs what is wrong, and where help is; false. */
bool run_usage(const struct run *run, const char *what);
/* Takes the names apart and holds them and the options against the command; logs what is wrong. */
bool run_arguments(struct run *run);
/* The one that all remote names are on. */
const struct ftxfer_remote *run_server(const struct run *run);
/* The file goes to standard output. */
bool run_to_stdout(const struct run *run);

#endif
