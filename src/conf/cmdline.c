#include "conf/option.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "conf/error.h"

#define LONG_BASE 256 /* getopt's value of a long option is this plus its row; letters are below */

/* What getopt_long(3) wants. */
struct cmdline_table {
	char *letters;        /* owned */
	struct option *longs; /* owned; ends with a row of zeros */
	size_t count;         /* of longs, without that */
	char *names;          /* owned: the texts that longs[].name point into, but for aliases */
};

static void
table_clear(struct cmdline_table *t)
{
	free(t->letters);
	free(t->longs);
	free(t->names);
}

static int
needs_value(const struct option_def *def)
{
	if (def->type == OPTION_ACTION)
		return no_argument;
	return def->type == OPTION_BOOL ? optional_argument : required_argument;
}

static void
table_add_long(struct cmdline_table *t, const struct option_def *def, const char *name, size_t row)
{
	t->longs[t->count++] = (struct option){
		.name = name, .has_arg = needs_value(def), .val = LONG_BASE + (int)row
	};
}

static bool
table_init(struct cmdline_table *t, const struct option_set *set)
{
	size_t size = 1;
	char *name, *letter;

	for (size_t i = 0; i < set->count; i++)
		size += strlen(set->defs[i].name) + 1;
	*t = (struct cmdline_table){ .letters = malloc(2 * set->count + 2),
		.longs = calloc(2 * set->count + 1, sizeof(*t->longs)),
		.names = malloc(size) };
	if (t->letters == NULL || t->longs == NULL || t->names == NULL)
		return false;
	name = t->names;
	letter = t->letters;
	*letter++ = ':'; /* a missing value is told from an unknown option */
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];

		table_add_long(t, def, name, i);
		for (const char *p = def->name; *p != '\0'; p++)
			*name++ = (char)(*p == '_' ? '-' : *p);
		*name++ = '\0';
		if (def->alias != NULL)
			table_add_long(t, def, def->alias, i);
		if (def->letter == 0 || def->letter == '?')
			continue; /* getopt needs not know -? to report it: see next_option() */
		*letter++ = def->letter;
		if (needs_value(def) == required_argument)
			*letter++ = ':';
	}
	*letter = '\0';
	return true;
}

/* The row that getopt's value stands for, or NULL. */
static const struct option_def *
find_row(const struct option_set *set, int value)
{
	if (value >= LONG_BASE && (size_t)(value - LONG_BASE) < set->count)
		return &set->defs[value - LONG_BASE];
	for (size_t i = 0; i < set->count; i++) {
		if (value > 0 && set->defs[i].letter == value)
			return &set->defs[i];
	}
	return NULL;
}

/* "listen-port", in place of size bytes. */
static const char *
long_name(char *buf, size_t size, const struct option_def *def)
{
	snprintf(buf, size, "%s", def->name);
	for (char *p = buf; *p != '\0'; p++) {
		if (*p == '_')
			*p = '-';
	}
	return buf;
}

/* A long option that getopt did not take, as it was typed, without dashes and value. */
static bool
complain_long(const struct option_set *set, const struct cmdline_table *t, const char *typed,
    struct option_error *err)
{
	const struct option_def *nearest;
	char name[128], near[128];
	size_t matches = 0;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
	for (size_t i = 0; i < t->count; i++)
		matches += strncmp(t->longs[i].name, name, strlen(name)) == 0;
	if (matches > 1)
		return option_error_set(err, "option --%s is ambiguous", name);
	nearest = option_nearest(set, name, false);
	if (nearest == NULL)
		return option_error_set(err, "unknown option --%s", name);
	return option_error_set(err, "unknown option --%s (did you mean --%s?)", name,
	    long_name(near, sizeof(near), nearest));
}

/* What getopt_long(3) refused; argv[optind - 1] is the word that a long option stood in. */
static bool
complain(const struct option_set *set, const struct cmdline_table *t, bool no_value, char **argv,
    struct option_error *err)
{
	const struct option_def *def = find_row(set, optopt);
	char name[128];

	if (def != NULL)
		return option_error_set(err, "option --%s %s", long_name(name, sizeof(name), def),
		    no_value ? "needs a value" : "takes no value");
	if (optopt == 0)
		return complain_long(set, t, argv[optind - 1] + 2, err);
	if (optopt > 0 && isprint(optopt))
		return option_error_set(err, "unknown option -%c", optopt);
	return option_error_set(err, "unknown option -\\x%02X", (unsigned)optopt & 0xff);
}

/*
 * The row of the next option; NULL: err says what is wrong with it. getopt_long(3) returns '?' for
 * a mistake. It does not know -? and reports it as an unknown letter, in optopt: so it is told from
 * every other mistake, also in -x?.
 */
static const struct option_def *
next_option(const struct option_set *set, const struct cmdline_table *t, int got, char **argv,
    struct option_error *err)
{
	const struct option_def *def = NULL;

	if (got != ':' && got != '?')
		return find_row(set, got);
	if (got == '?' && optopt == '?')
		def = find_row(set, '?');
	if (def == NULL)
		complain(set, t, got == ':', argv, err);
	return def;
}

bool
cmdline_parse(struct option_set *set, int argc, char **argv, int *first, struct option_error *err)
{
	struct cmdline_table t;
	char name[128];
	bool ok = false;
	int got;

	if (!table_init(&t, set)) {
		option_error_set(err, "out of memory");
		goto out;
	}
	opterr = 0; /* we say it ourselves */
	optind = 0; /* start anew, also inside getopt */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
	while ((got = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		const struct option_def *def = next_option(set, &t, got, argv, err);

		if (def == NULL)
			goto out;
		if (!option_assign(set, def, optarg != NULL ? optarg : "true",
			OPTION_FROM_COMMAND_LINE, err)) {
			option_error_prefix(
			    err, "option --%s: ", long_name(name, sizeof(name), def));
			goto out;
		}
	}
	*first = optind;
	ok = true;
out:
	table_clear(&t);
	return ok;
}
