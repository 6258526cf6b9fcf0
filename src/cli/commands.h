/*
 * commands.h - ftxfer's commands, their options, and where these come from besides.
 * Layer: cli. Threads: start-up only.
 * Tests: tests/unit/test_commands.c, tests/system/test_commands.py, tests/lint/options
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ftxfer.h"
#include "conf/option.h"

enum command_word {
	COMMAND_PUT,
	COMMAND_GET,
	COMMAND_LS,
	COMMAND_STAT,
	COMMAND_MKDIR,
	COMMAND_RM,
	COMMAND_MV,
	COMMAND_SUM,
	COMMAND_SYNC,
	COMMAND_VERIFY,
	COMMAND_COUNT
};

#define COMMAND_SYSTEM_FILE SYSCONFDIR "/ftxfer.conf"

struct command_options {
	bool recursive, parents, replace, long_form, delete_extra, checksum, dry_run, no_attrs;
	char *output;
	/* What all of them have, and files and the environment may set. */
	uint64_t jobs, connect_timeout, retry_time;
	char *tcp_congestion;
	unsigned digest; /* 0: xxh128, 1: sha256 */
	struct option_list aliases;
	bool verbose, quiet, json, debug;
	int help, print_options, print_aliases;
};

struct command {
	enum command_word word;
	const char *name;     /* as argv[1] */
	const char *synopsis; /* behind the name */
	const char *help;     /* one sentence */
	size_t least, most;   /* arguments that are no options */
};

/* NULL: it is none. */
const struct command *command_find(const char *word);
/* The one at that place of all; NULL: there are no more. */
const struct command *command_at(size_t i);

/*
 * The options of one command. defs is the caller's to free; NULL: no memory. What they set is a
 * struct command_options.
 */
struct option_def *command_defs(enum command_word word, size_t *count);

/*
 * What files and the environment say: the system's file, the user's, FTXFER_NAME for each option
 * that a file may have. What the command line has set stands. False: err says what is wrong.
 */
bool command_settings(struct option_set *set, const char *system_file, struct option_error *err);

/* The list's "name = target" taken apart, in place. False: err says which one is wrong. */
bool command_aliases(
    const struct option_list *list, struct ftxfer_alias *out, struct option_error *err);

/* A file of the user's own below a directory that the XDG base directory rules name; NULL: none. */
char *command_user_file(const char *variable, const char *fallback, const char *name);

/* argv[0] is the command's word. The exit status. */
int command_main(const struct command *command, int argc, char **argv);
/* "ftxfer help WORD"; NULL: "ftxfer help". The exit status. */
int command_help(const char *word);
/* Logs that it is no command, and what may have been meant. The exit status. */
int command_unknown(const char *word);

/* cli/main.c's one list. */
int cli_exit_code(enum ftxfer_status status);

#endif
