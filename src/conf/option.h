/*
 * option.h - ONE table of options: it drives the command line, the configuration file, --print-config,
 * --help, the unknown-key error and the lint that holds man pages and sample files against it.
 * Layer: conf. Threads: start-up only.
 * Tests: tests/unit/test_conf.c
 *
 * A program declares a struct of values and an array of struct option_def that says where each value
 * lives. A new option is one row. Names are written as in a file (listen_port); on the command line
 * the same option is --listen-port.
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_BOOL, /* bool: true or false; on the command line a flag (--x, or --x=false) */
	OPTION_UINT, /* uint64_t: a plain decimal number */
	OPTION_SIZE, /* uint64_t bytes: a number, or a string with k, M, G, T (powers of 1024: "5G", "64KiB", "10MB") */
	OPTION_TIME, /* uint64_t milliseconds: a number of seconds, or a string with ms, s, m, h, d ("90s", "0.5s") */
	OPTION_MODE, /* mode_t permission bits, octal digits ("0640"; a bare 0640 in a file means the same) */
	OPTION_STRING, /* char *, owned by the set; min and max bound its length */
	OPTION_LIST, /* struct option_list: one string, or a list of them; on the command line comma-separated */
	OPTION_ACTION /* no value: the command line's --help, --version, ...; sets int to 1 */
};

struct option_list {
	char **items; /* owned by the set */
	size_t count;
};

enum option_flag {
	OPTION_CLI_ONLY = 1 << 0,   /* not allowed in a file */
	OPTION_RELOADABLE = 1 << 1, /* takes effect on reload */
	OPTION_HIDDEN = 1 << 2      /* an old spelling: works, but is not in --help */
};

struct option_def {
	const char *name;  /* as in a file: listen_port */
	char letter;       /* its short form, or 0 */
	const char *alias; /* a second long form, used as it stands (usage, listenPort), or NULL */
	enum option_type type;
	size_t offset; /* of the value in the program's struct */
	const char *
	    initial; /* the default, written as on the command line; NULL: 0, false, no string, empty list */
	uint64_t min, max; /* of a number (TIME: in ms), or of a string's length; max 0: no bound */
	unsigned flags;
	const char *arg;  /* the value's name in --help: "PORT"; NULL for BOOL and ACTION */
	const char *help; /* one line */
};

enum option_source { OPTION_FROM_DEFAULT, OPTION_FROM_FILE, OPTION_FROM_COMMAND_LINE };

/* A program's values and where each came from. */
struct option_set {
	const struct option_def *defs; /* borrowed, static */
	size_t count;
	void *values;          /* borrowed: the program's struct */
	unsigned char *source; /* owned: an enum option_source each */
};

/* Where and what is wrong, in one sentence that can stand behind "file:line: ". */
struct option_error {
	char file[256]; /* empty: the command line */
	unsigned line;
	char text[512];
};

/*
 * Fills every value with its default. False: out of memory, or a default that its own row refuses
 * (our bug; the unit test checks each program's table).
 */
bool option_set_init(struct option_set *set, const struct option_def *defs, size_t count,
    void *values, struct option_error *err);
/* Frees what the values own; tolerates a set that was never filled. */
void option_set_clear(struct option_set *set);

/* The row of that name (as in a file), or NULL. */
const struct option_def *option_find(const struct option_set *set, const char *name);
enum option_source option_source(const struct option_set *set, const char *name);

/*
 * Sets a value from text, written as on the command line, and remembers the source. Checks type and
 * range; on false err->text says what was expected and the old value stands.
 */
bool option_assign(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err);
/* The same for a list, item by item (copied). */
bool option_assign_list(struct option_set *set, const struct option_def *def,
    const char *const *items, size_t count, enum option_source source, struct option_error *err);

/* Every option but the CLI_ONLY ones, as a configuration file that reads back equal. */
void option_print(const struct option_set *set, FILE *out);
/* "usage: SYNOPSIS", a line per option with its default, then the epilog (may be NULL). */
void option_help(const struct option_set *set, FILE *out, const char *synopsis, const char *epilog);
/* One name per line, for the lint (also those a file may hold: "file" or "cli" behind the name). */
void option_print_names(const struct option_set *set, FILE *out);

/*
 * cmdline: parses argv with getopt_long(3) from the same table. `-?` works as an option when a row has
 * that letter. False: unknown option, missing or bad value (err->text says which). *first is the
 * index of the first argument that is no option.
 */
bool cmdline_parse(
    struct option_set *set, int argc, char **argv, int *first, struct option_error *err);

/*
 * loader: reads a libconfig file. What the command line has set stands, but the file's value is
 * checked all the same. False: cannot be read, syntax, unknown key (the nearest name is suggested), wrong
 * type, out of range, a number that libconfig would cut silently; err says file, line and why. *missing (may be NULL)
 * is set when there is no such file.
 */
bool conf_load(struct option_set *set, const char *path, bool *missing, struct option_error *err);

#endif
