#include "conf/error.h"

#include <stdarg.h>
#include <string.h>

#include "conf/nearest.h"

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

const struct option_def *
option_nearest(const struct option_set *set, const char *written, bool in_file)
{
	const struct option_def *nearest = NULL;
	struct nearest n = nearest_init(written);

	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *def = &set->defs[i];

		if ((def->flags & OPTION_HIDDEN) == 0 && (!in_file || option_is_file_key(def)) &&
		    nearest_take(&n, def->name))
			nearest = def;
	}
	return nearest;
}
