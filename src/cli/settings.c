#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"

char *
command_user_file(const char *variable, const char *fallback, const char *name)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): before there are threads */
	const char *dir = getenv(variable), *home = getenv("HOME");
	/* NOLINTEND(concurrency-mt-unsafe) */
	char *path;
	int n;

	/* A relative one is to be ignored (XDG base directory specification). */
	if (dir != NULL && dir[0] == '/')
		n = asprintf(&path, "%s/ftxfer/%s", dir, name);
	else if (home != NULL && home[0] == '/')
		n = asprintf(&path, "%s/%s/ftxfer/%s", home, fallback, name);
	else
		return NULL;
	return n < 0 ? NULL : path;
}

/* FTXFER_RETRY_TIME for retry_time. NULL: not set. */
static const char *
variable_of(const struct option_def *def, char *name, size_t size)
{
	size_t n = (size_t)snprintf(name, size, "FTXFER_%s", def->name);

	for (size_t i = 0; i < n && i < size; i++)
		name[i] = (char)toupper((unsigned char)name[i]);
	return getenv(name); /* NOLINT(concurrency-mt-unsafe): before there are threads */
}

static bool
load_file(struct option_set *set, const char *path, struct option_error *err)
{
	bool missing = false;

	return conf_load(set, path, &missing, err) || missing;
}

/* Of the sources that rank alike, the later one stands. */
bool
command_settings(struct option_set *set, const char *system_file, struct option_error *err)
{
	char *user = command_user_file("XDG_CONFIG_HOME", ".config", "config");
	bool ok = load_file(set, system_file, err) && (user == NULL || load_file(set, user, err));

	free(user);
	for (size_t i = 0; ok && i < set->count; i++) {
		const struct option_def *def = &set->defs[i];
		char name[64];
		const char *text;

		if ((def->flags & OPTION_CLI_ONLY) != 0 || def->type == OPTION_ACTION)
			continue;
		text = variable_of(def, name, sizeof(name));
		if (text == NULL || option_assign(set, def, text, OPTION_FROM_FILE, err))
			continue;
		ok = false;
		snprintf(err->text + strnlen(err->text, sizeof(err->text) / 2),
		    sizeof(err->text) / 2, " (in the environment variable %s)", name);
	}
	return ok;
}

static char *
trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s + strspn(s, " \t");
}

bool
command_aliases(const struct option_list *list, struct ftxfer_alias *out, struct option_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		char *equals = strchr(list->items[i], '=');

		if (equals == NULL || equals == list->items[i]) {
			snprintf(err->text, sizeof(err->text),
			    "an alias is written NAME=ftx://HOST/PATH, not %.200s", list->items[i]);
			return false;
		}
		*equals = '\0';
		out[i].name = trim(list->items[i]);
		out[i].target = trim(equals + 1);
	}
	return true;
}
