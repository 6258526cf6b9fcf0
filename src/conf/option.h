/*
 * option.h - ONE table of options: it drives the command line, the configuration file,
 * --print-config, --help, the unknown-key error and the lint that holds man pages and sample files
 * against it.
 * Layer: conf. Threads: start-up only.
 * Tests: tests/unit/test_conf.c
 *
 * A program declares a struct of values and an array of struct option_def that says where each
 * value lives. A new option is one row. Names are written as in a file (listen_port); on the
 * command line the same option is --listen-port.
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Numbers of every kind are at most 2^63-1; larger ones are refused, never cut. "The file" below is
 * libconfig's syntax, where a string stands in quotes and a number does not.
 *
 * BOOL   bool. File: true or false, without quotes. Command line: a flag (--x), or --x=WORD with
 *        true, false, yes, no, on, off, 1 or 0.
 * UINT   uint64_t. A plain decimal number (the file may write 0x.. too).
 * SIZE   uint64_t bytes. A number, or a string of digits and a unit: k, M, G, T, each also as kB or
 *        KiB; k and K, m and M mean the same, and *all* of them are powers of 1024 ("5G", "64KiB",
 *        "10MB").
 * TIME   uint64_t milliseconds. A number of seconds, or a string with ms, s, m, h or d ("90s",
 *        "0.5s", "15m"). What is finer than a millisecond is refused.
 * MODE   mode_t, permission bits: octal digits, at most 07777. The file may write "0640", 0640 or
 *        640: all the same.
 * STRING char *, owned by the set; NULL only while neither a default nor anybody gave one.
 * LIST   struct option_list. File: one string, or a list of strings in ( ) or [ ]. Command line:
 *        comma-separated, and given twice the last one stands, as with every option. An empty text
 *        is an empty list; an empty item is refused.
 * CHOICE unsigned, the place in the row's words of the one that was written (a string in the file).
 * ACTION int, set to 1: the command line's --help, --version, ... It takes no value and never
 *        stands in a file.
 */
enum option_type {
	OPTION_BOOL,
	OPTION_UINT,
	OPTION_SIZE,
	OPTION_TIME,
	OPTION_MODE,
	OPTION_STRING,
	OPTION_LIST,
	OPTION_CHOICE,
	OPTION_ACTION
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

/*
 * Rows of one type and offset are spellings of one value: the first one is how it is printed, and
 * its default counts; the others are usually hidden.
 */
struct option_def {
	const char *name;  /* as in a file: listen_port; small letters, digits, _ */
	char letter;       /* its short form, or 0 */
	const char *alias; /* a second long form, used as it stands (usage, listenPort), or NULL */
	enum option_type type;
	size_t offset;       /* of the value in the program's struct */
	const char *initial; /* the default, as on the command line; NULL: 0, false, none, empty */
	/*
	 * Of a number (TIME: in ms), of a string's length, of a list's number of items; max 0: no
	 * bound.
	 */
	uint64_t min, max;
	unsigned flags;
	const char *arg;  /* the value's name in --help: "PORT"; NULL for BOOL, CHOICE and ACTION */
	const char *help; /* one line */
	const char *const *words; /* of a CHOICE, ends with NULL; --help shows them for the value */
	/*
	 * Of a BOOL: the one that is false where this is true, unless a source that ranks higher
	 * has set it; NULL: none.
	 */
	const char *opposite;
};

enum option_source { OPTION_FROM_DEFAULT, OPTION_FROM_FILE, OPTION_FROM_COMMAND_LINE };

/* A program's values and where each came from. */
struct option_set {
	const struct option_def *defs; /* borrowed, static */
	size_t count;
	void *values;          /* borrowed: the program's struct */
	unsigned char *source; /* owned: an enum option_source each */
};

/*
 * Where and what is wrong, in one sentence that can stand behind "file:line: ". An error that has
 * no line (the command line's, a file that cannot be read at all) has no file here either: its text
 * names what it is about.
 */
struct option_error {
	char file[256]; /* its end, where it is longer; empty: none */
	unsigned line;  /* from 1; 0: none */
	char text[512];
};

/*
 * Fills every value with its default; what `values` held before is overwritten, not freed. False:
 * out of memory, or a table that is wrong (a name or letter twice, a default that its own row
 * refuses: our bug, the unit test checks each program's table). Then nothing is owned.
 */
bool option_set_init(struct option_set *set, const struct option_def *defs, size_t count,
    void *values, struct option_error *err);
/* Frees what the values own; tolerates a set that is all zero, and being called twice. */
void option_set_clear(struct option_set *set);

/* The row of that name (as in a file), or NULL. */
const struct option_def *option_find(const struct option_set *set, const char *name);
/* Where the value came from; OPTION_FROM_DEFAULT for a name that is in no row. */
enum option_source option_source(const struct option_set *set, const char *name);

/*
 * Sets a value from text, written as on the command line, and remembers the source. Checks type and
 * range; on false err->text says what is wrong with the text (not which option) and the old value
 * stands. A source that ranks lower than the one that set the value (command line, then file, then
 * default) is checked but changes nothing. text is not used for an ACTION.
 */
bool option_assign(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err);
/* The same for a list, item by item (copied). */
bool option_assign_list(struct option_set *set, const struct option_def *def,
    const char *const *items, size_t count, enum option_source source, struct option_error *err);

/*
 * Every option but the CLI_ONLY ones, as a configuration file that reads back equal; `# default`
 * stands behind what nobody has set, and a string that is NULL is written as a comment.
 */
void option_print(const struct option_set *set, FILE *out);
/*
 * "usage: SYNOPSIS", an entry per option with its default, then the epilog (may be NULL); 80
 * columns.
 */
void option_help(const struct option_set *set, FILE *out, const char *synopsis, const char *epilog);
/*
 * One option per line, for the lint: the name as in a file, then "file" (a file may hold it) or
 * "cli" (it may not), then "hidden" where it is: "listen_port file", "help cli".
 */
void option_print_names(const struct option_set *set, FILE *out);

/* After all that was printed: whether it has arrived. If not (a full disk, say), that is logged. */
bool option_print_end(FILE *out);

/*
 * conf/cmdline.c. Parses argv with getopt_long(3) from the same table; argv is permuted, options
 * first.
 * `-?` works as an option when a row has that letter. False: unknown or ambiguous option, missing
 * or bad value (err->text says which option and why; options before it are set). *first is the
 * index of the first argument that is no option.
 */
bool cmdline_parse(
    struct option_set *set, int argc, char **argv, int *first, struct option_error *err);

/*
 * conf/loader.c. Reads a libconfig file. A relative @include is looked up in the directory of
 * `path`. What the command line has set stands, but the file's value is checked all the same.
 * False: cannot be read, larger than 1 MiB with all it includes, syntax, unknown key (the nearest
 * name is suggested), wrong type, out of range, a number that libconfig would cut silently; err
 * says file, line and why. Values that were read before the error are set already: a reload, which
 * must not change anything then, loads into a set of its own. *missing (may be NULL) says whether
 * it failed because there is no such file.
 */
bool conf_load(struct option_set *set, const char *path, bool *missing, struct option_error *err);

#endif
