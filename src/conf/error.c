#include "conf/error.h"

#include <stdarg.h>
#include <string.h>

#define NEAREST_MAX 48 /* longer names are not compared */

bool
option_error_set(struct option_error *err, const char *fmt, ...)
{
	va_list ap;

	err->file[0] = '\0';
	err->line = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return false;
}

void
option_error_prefix(struct option_error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	int n;

	memcpy(text, err->text, sizeof(text));
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, "%s", text);
}

void
option_error_locate(struct option_error *err, const char *file, unsigned line)
{
	size_t len = strlen(file);

	if (len < sizeof(err->file))
		memcpy(err->file, file, len + 1);
	else
		snprintf(err->file, sizeof(err->file), "...%s",
		    file + len - (sizeof(err->file) - sizeof("...")));
	err->line = line;
}

bool
option_is_file_key(const struct option_def *def)
{
	return (def->flags & OPTION_CLI_ONLY) == 0 && def->type != OPTION_ACTION;
}

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance of two names of at most NEAREST_MAX bytes; - and _ are the same. */
static unsigned
name_distance(const char *a, const char *b)
{
	unsigned row[NEAREST_MAX + 1];
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			char ca = (char)(a[i - 1] == '-' ? '_' : a[i - 1]);
			unsigned cost = ca != b[j - 1];
			unsigned best = min3(row[j] + 1, row[j - 1] + 1, diagonal + cost);

			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const struct option_def *
option_nearest(const struct option_set *set, const char *written, bool in_file)
{
	const struct option_def *nearest = NULL;
	size_t len = strlen(written);
	unsigned best = len > 8 ? 4 : len > 3 ? 3 : 2; /* near is less: longer names, more typos */

	if (len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];
		unsigned distance;

		if ((def->flags & OPTION_HIDDEN) != 0 || (in_file && !option_is_file_key(def)) ||
		    strlen(def->name) > NEAREST_MAX)
			continue;
		distance = name_distance(written, def->name);
		if (distance < best) {
			best = distance;
			nearest = def;
		}
	}
	return nearest;
}
