#include "base/log.h"
#include "base/rc.h"
#include "conf/option.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "conf/error.h"
#include "conf/value.h"

#define HELP_COLUMNS 80
#define HELP_TEXT    30   /* the column that the explanations start in */
#define HELP_GAP     2    /* blanks before them, at least */
#define UNBREAKABLE  '\t' /* a blank where no line ends */

static const void *
value_of(const struct option_set *set, const struct option_def *def)
{
	return (const char *)set->values + def->offset;
}

static uint64_t
number_of(const struct option_set *set, const struct option_def *def)
{
	const void *value = value_of(set, def);

	switch (def->type) {
	case OPTION_BOOL:
		return *(const bool *)value;
	case OPTION_MODE:
		return *(const mode_t *)value;
	default:
		return *(const uint64_t *)value;
	}
}

/*
 * Writes text word by word, going to a new line (that starts with prefix, filled up to `column`)
 * where it would reach HELP_COLUMNS. The cursor stands in `column` already.
 */
static void
print_wrapped(FILE *out, const char *text, const char *prefix, int column)
{
	int at = column;

	while (*(text += strspn(text, " ")) != '\0') {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_COLUMNS) {
			fprintf(out, "\n%-*s", column, prefix);
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		at += len;
		for (; len > 0; len--, text++)
			fputc(*text == UNBREAKABLE ? ' ' : *text, out);
	}
	fputc('\n', out);
}

/* As libconfig's scanner reads it back; bytes above 0x7f stand as they are. */
static void
print_quoted(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02X", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void
print_list(FILE *out, const struct option_list *list)
{
	fputc('(', out);
	for (size_t i = 0; i < list->count; i++) {
		fputs(i == 0 ? " " : ", ", out);
		print_quoted(out, list->items[i]);
	}
	fputs(" )", out);
}

/* A bare number needs an L where libconfig would cut it. */
static void
print_number(FILE *out, const struct option_def *def, uint64_t value)
{
	char text[VALUE_TEXT_SIZE];

	value_format(def->type, value, text);
	if (def->type == OPTION_MODE || def->type == OPTION_TIME ||
	    (def->type == OPTION_SIZE && strpbrk(text, "kMGT") != NULL))
		fprintf(out, "\"%s\"", text);
	else
		fprintf(out, "%s%s", text, value > INT32_MAX ? "L" : "");
}

/*
 * Whether the value would be accepted when the file is read back. One that nobody set, of an option
 * without a default, may lie outside the option's own range.
 */
static bool
is_readable_back(const struct option_set *set, const struct option_def *def)
{
	const struct option_list *list = value_of(set, def);

	if (def->type == OPTION_STRING)
		return *(const char *const *)value_of(set, def) != NULL;
	if (def->type == OPTION_LIST)
		return list->count >= def->min;
	if (def->type == OPTION_CHOICE)
		return true;
	return number_of(set, def) >= def->min;
}

static void
print_value(const struct option_set *set, const struct option_def *def, FILE *out)
{
	const char *text;

	switch (def->type) {
	case OPTION_STRING:
		text = *(const char *const *)value_of(set, def);
		print_quoted(out, text != NULL ? text : "");
		break;
	case OPTION_LIST:
		print_list(out, value_of(set, def));
		break;
	case OPTION_CHOICE:
		print_quoted(out, def->words[*(const unsigned *)value_of(set, def)]);
		break;
	default:
		print_number(out, def, number_of(set, def));
		break;
	}
}

void
option_print(const struct option_set *set, FILE *out)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];

		if (!option_is_file_key(def) || !option_is_first_spelling(set, def))
			continue;
		fputs("# ", out);
		print_wrapped(out, def->help, "#", 2);
		fprintf(out, "%s%s = ", is_readable_back(set, def) ? "" : "# ", def->name);
		print_value(set, def, out);
		fprintf(out, ";%s\n\n",
		    option_source(set, def->name) == OPTION_FROM_DEFAULT ? " # default" : "");
	}
}

/* "  -l, --listen-port PORT"; returns its length. */
static int
print_left(FILE *out, const struct option_def *def)
{
	int n = 0;

	if (def->letter != 0)
		n += fprintf(out, "  -%c, --", def->letter);
	else
		n += fprintf(out, "      --");
	for (const char *p = def->name; *p != '\0'; p++, n++)
		fputc(*p == '_' ? '-' : *p, out);
	if (def->arg != NULL)
		n += fprintf(out, " %s", def->arg);
	for (size_t i = 0; def->words != NULL && def->words[i] != NULL; i++)
		n += fprintf(out, "%c%s", i == 0 ? ' ' : '|', def->words[i]);
	return n;
}

static bool
has_default_to_show(const struct option_def *def)
{
	if (def->initial == NULL || def->initial[0] == '\0' || def->type == OPTION_ACTION)
		return false;
	return def->type != OPTION_BOOL || strcmp(def->initial, "false") != 0;
}

void
option_help(const struct option_set *set, FILE *out, const char *synopsis, const char *epilog)
{
	char text[1024];

	fprintf(out, "usage: %s\n\n", synopsis);
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];
		bool show = has_default_to_show(def);
		int n;

		if ((def->flags & OPTION_HIDDEN) != 0)
			continue;
		n = print_left(out, def);
		if (n + HELP_GAP > HELP_TEXT)
			fprintf(out, "\n%*s", HELP_TEXT, "");
		else
			fprintf(out, "%*s", HELP_TEXT - n, "");
		snprintf(text, sizeof(text), "%s%s%s%s", def->help, show ? " (default:\t" : "",
		    show ? def->initial : "", show ? ")" : "");
		print_wrapped(out, text, "", HELP_TEXT);
	}
	if (epilog != NULL)
		fprintf(out, "\n%s\n", epilog);
}

void
option_print_names(const struct option_set *set, FILE *out)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];

		fprintf(out, "%s %s%s\n", def->name, option_is_file_key(def) ? "file" : "cli",
		    (def->flags & OPTION_HIDDEN) != 0 ? " hidden" : "");
	}
}

bool
option_print_end(FILE *out)
{
	errno = 0;
	if (fflush(out) == 0 && !ferror(out))
		return true;
	log_error("cannot write to standard output: %s",
	    errno != 0 ? ftx_errno_text(errno) : "not all has arrived");
	return false;
}
