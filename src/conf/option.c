#include "conf/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/log.h"
#include "conf/error.h"
#include "conf/value.h"

#define OPTION_QUOTE_SIZE 128 /* of a wrong value in an error; a longer one is cut */

static void *
value_at(const struct option_set *set, const struct option_def *def)
{
	return (char *)set->values + def->offset;
}

/* The first row of this value: it keeps the source for all its spellings. */
static size_t
value_slot(const struct option_set *set, const struct option_def *def)
{
	size_t i = 0;

	while (set->defs[i].offset != def->offset || set->defs[i].type != def->type)
		i++;
	return i;
}

bool
option_is_first_spelling(const struct option_set *set, const struct option_def *def)
{
	return &set->defs[value_slot(set, def)] == def;
}

static void
list_clear(struct option_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct option_list){ 0 };
}

/* Frees what the value owns; then it is zero. */
static void
value_clear(const struct option_set *set, const struct option_def *def)
{
	char **text;

	switch (def->type) {
	case OPTION_STRING:
		text = value_at(set, def);
		free(*text);
		*text = NULL;
		break;
	case OPTION_LIST:
		list_clear(value_at(set, def));
		break;
	default:
		break;
	}
}

/* Makes the value zero without looking at what it was. */
static void
value_zero(const struct option_set *set, const struct option_def *def)
{
	static const size_t sizes[] = { [OPTION_BOOL] = sizeof(bool),
		[OPTION_UINT] = sizeof(uint64_t),
		[OPTION_SIZE] = sizeof(uint64_t),
		[OPTION_TIME] = sizeof(uint64_t),
		[OPTION_MODE] = sizeof(mode_t),
		[OPTION_STRING] = sizeof(char *),
		[OPTION_LIST] = sizeof(struct option_list),
		[OPTION_CHOICE] = sizeof(unsigned),
		[OPTION_ACTION] = sizeof(int) };

	memset(value_at(set, def), 0, sizes[def->type]);
}

static bool
same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* No name, alias or letter stands for two rows. */
static bool
table_check(const struct option_set *set, struct option_error *err)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct option_def *a = &set->defs[i];

		for (size_t j = 0; j < i; j++) {
			const struct option_def *b = &set->defs[j];

			if (same_name(a->name, b->name) || same_name(a->alias, b->alias) ||
			    same_name(a->name, b->alias) || same_name(a->alias, b->name) ||
			    (a->letter != 0 && a->letter == b->letter))
				return option_error_set(err,
				    "the table of options is wrong: %s and %s share a name or "
				    "letter",
				    b->name, a->name);
		}
	}
	return true;
}

bool
option_set_init(struct option_set *set, const struct option_def *defs, size_t count, void *values,
    struct option_error *err)
{
	*set = (struct option_set){ .defs = defs, .count = count, .values = values };
	for (size_t i = 0; i < count; i++)
		value_zero(set, &defs[i]);
	set->source = calloc(count + 1, sizeof(*set->source)); /* all OPTION_FROM_DEFAULT */
	if (set->source == NULL) {
		option_error_set(err, "out of memory");
		goto fail;
	}
	if (!table_check(set, err))
		goto fail;
	for (size_t i = 0; i < count; i++) {
		if (defs[i].initial == NULL || !option_is_first_spelling(set, &defs[i]))
			continue;
		if (!option_assign(set, &defs[i], defs[i].initial, OPTION_FROM_DEFAULT, err)) {
			option_error_prefix(err, "the default of %s: ", defs[i].name);
			goto fail;
		}
	}
	return true;

fail:
	option_set_clear(set);
	return false;
}

void
option_set_clear(struct option_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		value_clear(set, &set->defs[i]);
	free(set->source);
	*set = (struct option_set){ 0 };
}

const struct option_def *
option_find(const struct option_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->defs[i].name, name) == 0)
			return &set->defs[i];
	}
	return NULL;
}

enum option_source
option_source(const struct option_set *set, const char *name)
{
	const struct option_def *def = option_find(set, name);

	return def == NULL ? OPTION_FROM_DEFAULT
			   : (enum option_source)set->source[value_slot(set, def)];
}

/* Whether a value from that source is to be stored; if so, notes the source. */
static bool
take_source(struct option_set *set, const struct option_def *def, enum option_source source)
{
	size_t slot = value_slot(set, def);

	if (source < set->source[slot])
		return false;
	set->source[slot] = (unsigned char)source;
	return true;
}

/* A wrong value as it stands in an error: in quotes, but for what looks like a number. */
static const char *
quote_value(char buf[OPTION_QUOTE_SIZE], const char *text)
{
	static const char plain[] =
	    "0123456789.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strlen(text), sign = text[0] == '-';

	if (len < OPTION_QUOTE_SIZE && text[sign] >= '0' && text[sign] <= '9' &&
	    strspn(text + sign, plain) + sign == len)
		memcpy(buf, text, len + 1);
	else
		log_quote(buf, OPTION_QUOTE_SIZE, text, len);
	return buf;
}

/* "X is not between 0 and 65535", in the option's own unit. */
static bool
complain_range(const struct option_def *def, const char *shown, struct option_error *err)
{
	char min[VALUE_TEXT_SIZE], max[VALUE_TEXT_SIZE];

	value_format(def->type, def->min, min);
	value_format(def->type, def->max, max);
	if (def->max == 0)
		return option_error_set(err, "%s is less than %s", shown, min);
	return option_error_set(err, "%s is not between %s and %s", shown, min, max);
}

static bool
complain_value(
    const struct option_def *def, enum value_result res, const char *text, struct option_error *err)
{
	char quoted[OPTION_QUOTE_SIZE], limit[VALUE_TEXT_SIZE];
	const char *shown = quote_value(quoted, text);

	switch (res) {
	case VALUE_NEGATIVE:
		if (def->max != 0)
			return complain_range(def, shown, err);
		return option_error_set(err, "%s is negative", shown);
	case VALUE_TOO_LARGE:
		if (def->max != 0)
			return complain_range(def, shown, err);
		return option_error_set(err, "%s is too large: at most %s", shown,
		    value_format(def->type, value_limit(def->type), limit));
	case VALUE_TOO_FINE:
		return option_error_set(err, "%s is finer than a millisecond", shown);
	default:
		return option_error_set(err, "%s is not %s",
		    log_quote(quoted, sizeof(quoted), text, strlen(text)),
		    value_describe(def->type));
	}
}

/* What is the contrary of a flag that is set now: whoever says the one does not mean the other. */
static void
unset_opposite(struct option_set *set, const struct option_def *def, enum option_source source)
{
	const struct option_def *other = option_find(set, def->opposite);

	if (other != NULL && take_source(set, other, source))
		*(bool *)value_at(set, other) = false;
}

static bool
assign_number(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err)
{
	char quoted[OPTION_QUOTE_SIZE];
	uint64_t value;
	enum value_result res = value_parse(def->type, text, &value);

	if (res != VALUE_OK)
		return complain_value(def, res, text, err);
	if (def->type != OPTION_BOOL && (value < def->min || (def->max != 0 && value > def->max)))
		return complain_range(def, quote_value(quoted, text), err);
	if (!take_source(set, def, source))
		return true;
	switch (def->type) {
	case OPTION_BOOL:
		*(bool *)value_at(set, def) = value != 0;
		if (value != 0 && def->opposite != NULL)
			unset_opposite(set, def, source);
		break;
	case OPTION_MODE:
		*(mode_t *)value_at(set, def) = (mode_t)value;
		break;
	default:
		*(uint64_t *)value_at(set, def) = value;
		break;
	}
	return true;
}

/* Whether a length or a number of items is in range; if not: "4 items, but 1 to 3 allowed". */
static bool
check_count(const struct option_def *def, size_t count, const char *unit, struct option_error *err)
{
	if (count >= def->min && (def->max == 0 || count <= def->max))
		return true;
	if (def->max == 0)
		return option_error_set(
		    err, "%zu %s, but at least %" PRIu64 " needed", count, unit, def->min);
	return option_error_set(
	    err, "%zu %s, but %" PRIu64 " to %" PRIu64 " allowed", count, unit, def->min, def->max);
}

static bool
assign_string(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err)
{
	char **value = value_at(set, def);
	char *copy;

	if (!check_count(def, strlen(text), "bytes", err))
		return false;
	copy = strdup(text);
	if (copy == NULL)
		return option_error_set(err, "out of memory");
	if (!take_source(set, def, source)) {
		free(copy);
		return true;
	}
	free(*value);
	*value = copy;
	return true;
}

static bool
assign_choice(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err)
{
	char quoted[OPTION_QUOTE_SIZE], words[256] = "";
	size_t used = 0;

	for (unsigned i = 0; def->words[i] != NULL; i++) {
		if (strcmp(text, def->words[i]) == 0) {
			if (take_source(set, def, source))
				*(unsigned *)value_at(set, def) = i;
			return true;
		}
		if (used < sizeof(words))
			used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s",
			    i == 0 ? "" : ", ", def->words[i]);
	}
	return option_error_set(
	    err, "%s is none of: %s", log_quote(quoted, sizeof(quoted), text, strlen(text)), words);
}

/* Splits at the commas. */
static bool
assign_items(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err)
{
	size_t count = 0, room = 1;
	const char **items = NULL;
	char *copy = strdup(text), *rest = copy;
	bool ok = false;

	for (const char *p = text; *p != '\0'; p++)
		room += *p == ',';
	items = calloc(room, sizeof(*items));
	if (copy == NULL || items == NULL) {
		option_error_set(err, "out of memory");
		goto out;
	}
	while (*text != '\0' && rest != NULL)
		items[count++] = strsep(&rest, ",");
	ok = option_assign_list(set, def, items, count, source, err);
out:
	free(items);
	free(copy);
	return ok;
}

bool
option_assign_list(struct option_set *set, const struct option_def *def, const char *const *items,
    size_t count, enum option_source source, struct option_error *err)
{
	struct option_list list = { 0 }, *value = value_at(set, def);

	if (def->type != OPTION_LIST)
		return option_error_set(err, "expected one value, not a list");
	if (!check_count(def, count, "items", err))
		return false;
	list.items = calloc(count + 1, sizeof(*list.items));
	if (list.items == NULL)
		return option_error_set(err, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (items[i][0] == '\0')
			option_error_set(err, "item %zu is empty", i + 1);
		else if ((list.items[i] = strdup(items[i])) == NULL)
			option_error_set(err, "out of memory");
		else
			list.count++;
		if (list.count != i + 1) {
			list_clear(&list);
			return false;
		}
	}
	if (!take_source(set, def, source)) {
		list_clear(&list);
		return true;
	}
	list_clear(value);
	*value = list;
	return true;
}

bool
option_assign(struct option_set *set, const struct option_def *def, const char *text,
    enum option_source source, struct option_error *err)
{
	switch (def->type) {
	case OPTION_STRING:
		return assign_string(set, def, text, source, err);
	case OPTION_LIST:
		return assign_items(set, def, text, source, err);
	case OPTION_CHOICE:
		return assign_choice(set, def, text, source, err);
	case OPTION_ACTION:
		if (take_source(set, def, source))
			*(int *)value_at(set, def) = 1;
		return true;
	default:
		return assign_number(set, def, text, source, err);
	}
}
