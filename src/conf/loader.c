#include "conf/option.h"

#include <inttypes.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "conf/error.h"
#include "conf/literal.h"
#include "conf/source.h"
#include "conf/value.h"

/* What libconfig calls a type, as a bit. */
#define IS(type)  (1U << (type))
#define IS_NUMBER (IS(CONFIG_TYPE_INT) | IS(CONFIG_TYPE_INT64))
#define IS_STRING IS(CONFIG_TYPE_STRING)

/* Seconds: more are no time that value_parse() takes, and would not fit as microseconds. */
#define LOADER_SECONDS_MAX 9e12

/* How each option type may be written in a file. */
static const struct {
	unsigned accepts;
	const char *expected;
} file_forms[] = {
	[OPTION_BOOL] = { IS(CONFIG_TYPE_BOOL), "true or false" },
	[OPTION_UINT] = { IS_NUMBER, "a number" },
	[OPTION_SIZE] = { IS_NUMBER | IS_STRING, "a number of bytes or a string such as \"5G\"" },
	[OPTION_TIME] = { IS_NUMBER | IS_STRING | IS(CONFIG_TYPE_FLOAT),
	    "a number of seconds or a string such as \"90s\"" },
	[OPTION_MODE] = { IS_NUMBER | IS_STRING, "octal digits such as \"0640\"" },
	[OPTION_STRING] = { IS_STRING, "a string" },
	[OPTION_LIST] = { IS_STRING | IS(CONFIG_TYPE_ARRAY) | IS(CONFIG_TYPE_LIST),
	    "a string or a list of strings" },
	[OPTION_CHOICE] = { IS_STRING, "a string" },
};

static const char *
type_name(int type)
{
	switch (type) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a whole number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

/* Seconds as value_parse() reads them; microseconds show whether milliseconds suffice. */
static bool
format_seconds(double seconds, char buf[VALUE_TEXT_SIZE], struct option_error *err)
{
	double size = seconds < 0 ? -seconds : seconds;
	uint64_t us;
	size_t len;

	if (!(size < LOADER_SECONDS_MAX)) /* so that a NaN is refused, too */
		return option_error_set(err, "the time is too large");
	us = (uint64_t)(size * 1e6 + 0.5);
	if (us == 0 && size > 0)
		us = 1;
	snprintf(buf, VALUE_TEXT_SIZE, "%s%" PRIu64 ".%06" PRIu64, seconds < 0 ? "-" : "",
	    us / 1000000, us % 1000000);
	for (len = strlen(buf); buf[len - 1] == '0'; len--)
		buf[len - 1] = '\0';
	if (buf[len - 1] == '.')
		buf[len - 1] = '\0';
	return true;
}

/*
 * A setting that is one value, as the command line would have it: in buf, or borrowed from the
 * setting. A number for a MODE was read as decimal: its digits are what was meant.
 */
static const char *
setting_text(const config_setting_t *setting, char buf[VALUE_TEXT_SIZE], struct option_error *err)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "true" : "false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(buf, VALUE_TEXT_SIZE, "%lld", config_setting_get_int64(setting));
		return buf;
	case CONFIG_TYPE_FLOAT:
		return format_seconds(config_setting_get_float(setting), buf, err) ? buf : NULL;
	default:
		return config_setting_get_string(setting);
	}
}

static bool
assign_list(struct option_set *set, const struct option_def *def, const config_setting_t *setting,
    struct option_error *err)
{
	int count = config_setting_length(setting);
	const char **items = calloc((size_t)count + 1, sizeof(*items));
	bool ok = false;

	if (items == NULL)
		return option_error_set(err, "out of memory");
	for (int i = 0; i < count; i++) {
		const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

		if (config_setting_type(item) != CONFIG_TYPE_STRING) {
			option_error_set(err, "item %d is %s, not a string", i + 1,
			    type_name(config_setting_type(item)));
			goto out;
		}
		items[i] = config_setting_get_string(item);
	}
	ok = option_assign_list(set, def, items, (size_t)count, OPTION_FROM_FILE, err);
out:
	free(items);
	return ok;
}

static bool
assign_setting(struct option_set *set, const struct option_def *def,
    const config_setting_t *setting, struct option_error *err)
{
	int type = config_setting_type(setting);
	char buf[VALUE_TEXT_SIZE];
	const char *text;

	if ((file_forms[def->type].accepts & IS(type)) == 0)
		return option_error_set(
		    err, "expected %s, not %s", file_forms[def->type].expected, type_name(type));
	if (def->type == OPTION_MODE && config_setting_get_format(setting) == CONFIG_FORMAT_HEX)
		return option_error_set(
		    err, "expected %s, not a hexadecimal number", file_forms[def->type].expected);
	if (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST)
		return assign_list(set, def, setting, err);
	text = setting_text(setting, buf, err);
	if (text == NULL)
		return false;
	if (def->type == OPTION_LIST)
		return option_assign_list(set, def, &text, 1, OPTION_FROM_FILE, err);
	return option_assign(set, def, text, OPTION_FROM_FILE, err);
}

static bool
load_setting(struct option_set *set, const config_setting_t *setting, struct option_error *err)
{
	const char *name = config_setting_name(setting);
	const struct option_def *def = option_find(set, name), *nearest;

	if (def == NULL) {
		nearest = option_nearest(set, name, true);
		if (nearest == NULL)
			return option_error_set(err, "unknown option \"%.100s\"", name);
		return option_error_set(
		    err, "unknown option \"%.100s\" (did you mean %s?)", name, nearest->name);
	}
	if (!option_is_file_key(def))
		return option_error_set(
		    err, "option \"%s\" is for the command line, not for a file", name);
	if (assign_setting(set, def, setting, err))
		return true;
	option_error_prefix(err, "%s: ", name);
	return false;
}

/*
 * What libconfig says is wrong, and where. Of a name that is there twice it does not say which: it
 * is the one behind those that it has taken.
 */
static void
complain_parser(const config_t *config, const struct source *src, struct option_error *err)
{
	const config_setting_t *root = config_root_setting(config);
	const char *why = config_error_text(config), *name;
	size_t len;

	option_error_set(err, "%s", why != NULL ? why : "it cannot be parsed");
	if (strcmp(err->text, "syntax error") == 0)
		/* The grammar, in short, since libconfig has only these two words for it. */
		option_error_set(err,
		    "syntax error: write name = value; with a text in double quotes, a list in "
		    "[ ], and true or false");
	else if (strcmp(err->text, "duplicate setting name") == 0 && root != NULL &&
		 literal_setting_name(src->text, (size_t)config_setting_length(root), &name, &len))
		option_error_set(err, "duplicate setting name: %.*s", (int)len, name);
	source_locate(src, (unsigned)config_error_line(config), err);
}

bool
conf_load(struct option_set *set, const char *path, bool *missing, struct option_error *err)
{
	const config_setting_t *root;
	bool is_missing, ok = false;
	struct source src;
	config_t config;

	config_init(&config);
	ok = source_read(&src, path, &is_missing, err);
	if (missing != NULL)
		*missing = is_missing;
	if (!ok)
		goto out;
	ok = config_read_string(&config, src.text) == CONFIG_TRUE;
	if (!ok) {
		complain_parser(&config, &src, err);
		goto out;
	}
	root = config_root_setting(&config);
	for (int i = 0; ok && i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);

		ok = load_setting(set, setting, err);
		if (!ok)
			source_locate(&src, config_setting_source_line(setting), err);
	}
out:
	source_clear(&src);
	config_destroy(&config);
	return ok;
}
