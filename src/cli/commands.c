#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct command_options, member)
#define DAY_MS     ((uint64_t)24 * 3600 * 1000)
#define BIT(word)  (1U << COMMAND_##word)
#define IDLE(word) (BIT(word) << 16) /* it has the option, and no use for it */
#define ALL        ((1U << COMMAND_COUNT) - 1)
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

static const char *const digest_words[] = { "xxh128", "sha256", NULL };

/* clang-format off */
static const struct command commands[] = {
	{ COMMAND_PUT, "put", "[OPTION...] FILE|DIR|-... REMOTE",
	  "Send files to a server. REMOTE is created, or, if it is a directory, gets them.", 2, SIZE_MAX },
	{ COMMAND_GET, "get", "[OPTION...] REMOTE... [-o LOCAL|-]",
	  "Fetch files from a server. A REMOTE may have the wildcards * ? [.", 1, SIZE_MAX },
	{ COMMAND_LS, "ls", "[OPTION...] REMOTE...", "List directories of a server.", 1, SIZE_MAX },
	{ COMMAND_STAT, "stat", "[OPTION...] REMOTE...", "Say what there is of a name on a server.", 1, SIZE_MAX },
	{ COMMAND_MKDIR, "mkdir", "[OPTION...] REMOTE...", "Make directories on a server.", 1, SIZE_MAX },
	{ COMMAND_RM, "rm", "[OPTION...] REMOTE...", "Remove files from a server.", 1, SIZE_MAX },
	{ COMMAND_MV, "mv", "[OPTION...] REMOTE REMOTE", "Rename a file on a server.", 2, 2 },
	{ COMMAND_SUM, "sum", "[OPTION...] REMOTE...", "Print the digests of files on a server.", 1, SIZE_MAX },
	{ COMMAND_SYNC, "sync", "[OPTION...] DIR REMOTE | REMOTE DIR",
	  "Make the second directory as the first: send, or fetch, what differs.", 2, 2 },
	{ COMMAND_VERIFY, "verify", "[OPTION...] DIR REMOTE",
	  "Compare a directory with one on a server, by digests. Changes nothing.", 2, 2 },
};

/*
 * One table for all commands; each has the rows with its bit. Those that all have, files may set:
 * so who has no use for one takes it, but does not offer it.
 */
static const struct row {
	unsigned commands;
	struct option_def def;
} rows[] = {
	{ BIT(PUT) | BIT(GET) | BIT(RM),
	  { .name = "recursive", .letter = 'r', .type = OPTION_BOOL, .offset = AT(recursive), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "directories with all that is in them" } },
	{ BIT(LS),
	  { .name = "recursive", .letter = 'R', .type = OPTION_BOOL, .offset = AT(recursive), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "directories below, too" } },
	{ BIT(PUT) | BIT(MKDIR) | BIT(SYNC),
	  { .name = "parents", .letter = 'p', .type = OPTION_BOOL, .offset = AT(parents), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "make missing directories above REMOTE" } },
	{ BIT(PUT) | BIT(MV),
	  { .name = "replace", .type = OPTION_BOOL, .offset = AT(replace), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "replace a file that has the name" } },
	{ BIT(GET),
	  { .name = "output", .letter = 'o', .type = OPTION_STRING, .offset = AT(output), .initial = ".",
	    .min = 1, .max = 4095, .flags = OPTION_CLI_ONLY, .arg = "LOCAL",
	    .help = "the file, or the directory for several; - is standard output" } },
	{ BIT(LS),
	  { .name = "long", .letter = 'l', .type = OPTION_BOOL, .offset = AT(long_form), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "with permissions, size and time" } },
	{ BIT(SYNC),
	  { .name = "delete", .type = OPTION_BOOL, .offset = AT(delete_extra), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "remove what only the second directory has, or is in the way" } },
	{ BIT(SYNC),
	  { .name = "checksum", .letter = 'c', .type = OPTION_BOOL, .offset = AT(checksum), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "compare digests, not size and time" } },
	{ BIT(SYNC),
	  { .name = "dry_run", .letter = 'n', .type = OPTION_BOOL, .offset = AT(dry_run), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "change nothing; say what would be done" } },
	{ BIT(PUT) | BIT(GET) | BIT(SYNC),
	  { .name = "no_attributes", .type = OPTION_BOOL, .offset = AT(no_attrs), .initial = "false",
	    .flags = OPTION_CLI_ONLY, .help = "do not keep times and permissions" } },
	{ ALL | IDLE(MV), { .name = "jobs", .letter = 'j', .type = OPTION_UINT, .offset = AT(jobs), .initial = "1",
	    .min = 1, .max = 64, .arg = "N", .help = "so many connections share the work" } },
	{ ALL | IDLE(LS) | IDLE(STAT) | IDLE(MKDIR) | IDLE(RM) | IDLE(MV),
	  { .name = "digest", .type = OPTION_CHOICE, .offset = AT(digest), .initial = "xxh128",
	    .words = digest_words, .help = "by which content is checked" } },
	{ ALL, { .name = "connect_timeout", .type = OPTION_TIME, .offset = AT(connect_timeout), .initial = "10s",
	    .min = 1, .max = DAY_MS, .arg = "TIME", .help = "how long to wait for a connection, for each address" } },
	{ ALL, { .name = "retry_time", .type = OPTION_TIME, .offset = AT(retry_time), .initial = "5m",
	    .max = 365 * DAY_MS, .arg = "TIME",
	    .help = "how long to try again what can be, while nothing moves (0: not at all)" } },
	{ ALL, { .name = "tcp_congestion", .type = OPTION_STRING, .offset = AT(tcp_congestion), .initial = "",
	    .max = 15, .arg = "NAME", .help = "TCP congestion control of what is sent (empty: the system's)" } },
	{ ALL, { .name = "aliases", .type = OPTION_LIST, .offset = AT(aliases), .max = 1000, .arg = "LIST",
	    .help = "short names, each written NAME=ftx://HOST/PATH" } },
	{ ALL, { .name = "verbose", .letter = 'v', .type = OPTION_BOOL, .offset = AT(verbose), .initial = "false",
	    .opposite = "quiet", .help = "a line for each file" } },
	{ ALL, { .name = "quiet", .letter = 'q', .type = OPTION_BOOL, .offset = AT(quiet), .initial = "false",
	    .opposite = "verbose", .help = "say nothing but errors" } },
	{ ALL, { .name = "json", .type = OPTION_BOOL, .offset = AT(json), .initial = "false",
	    .help = "say everything on standard output, as JSON, an object a line" } },
	{ ALL, { .name = "debug", .letter = 'd', .type = OPTION_BOOL, .offset = AT(debug), .initial = "false",
	    .help = "print debug messages" } },
	{ ALL, { .name = "print_options", .type = OPTION_ACTION, .offset = AT(print_options),
	    .flags = OPTION_CLI_ONLY | OPTION_HIDDEN, .help = "print the options' names, and exit" } },
	{ ALL, { .name = "print_aliases", .type = OPTION_ACTION, .offset = AT(print_aliases),
	    .flags = OPTION_CLI_ONLY | OPTION_HIDDEN, .help = "print the aliases that there are, and exit" } },
	{ ALL, { .name = "help", .letter = 'h', .type = OPTION_ACTION, .offset = AT(help),
	    .flags = OPTION_CLI_ONLY, .help = "print this text, and exit" } },
};
/* clang-format on */

const struct command *
command_at(size_t i)
{
	return i < COUNT(commands) ? &commands[i] : NULL;
}

const struct command *
command_find(const char *word)
{
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (strcmp(commands[i].name, word) == 0)
			return &commands[i];
	}
	return NULL;
}

struct option_def *
command_defs(enum command_word word, size_t *count)
{
	struct option_def *defs = calloc(COUNT(rows), sizeof(*defs));

	*count = 0;
	for (size_t i = 0; defs != NULL && i < COUNT(rows); i++) {
		if ((rows[i].commands & 1U << word) == 0)
			continue;
		defs[*count] = rows[i].def;
		if ((rows[i].commands & 1U << word << 16) != 0)
			defs[*count].flags |= OPTION_HIDDEN;
		++*count;
	}
	return defs;
}
