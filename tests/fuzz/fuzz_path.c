/*
 * Any bytes as a name, under several rules: refused or brought to one spelling just as a second
 * implementation does it, which is written from what the manual pages say and not from store/path;
 * and the spelling stays as it is.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz/target.h"
#include "store/path.h"

/* RFC 3629, section 4: the first byte, and the second one's range; the others are 80-BF. */
static const struct {
	uint8_t first, last, second_first, second_last;
	size_t len;
} utf8_forms[] = {
	{ 0x20, 0x7e, 0x00, 0xff, 1 }, /* without the control characters */
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 }, /* likewise: U+0080 to U+009F */
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

#define FORMS (sizeof(utf8_forms) / sizeof(utf8_forms[0]))

/* Well-formed, and no control character in it. */
static bool
is_clean_utf8(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;

	while (*p != '\0') {
		size_t i = 0, n;

		while (i < FORMS && (p[0] < utf8_forms[i].first || p[0] > utf8_forms[i].last))
			i++;
		if (i == FORMS)
			return false;
		n = utf8_forms[i].len;
		if (n > 1 &&
		    (p[1] < utf8_forms[i].second_first || p[1] > utf8_forms[i].second_last))
			return false;
		for (size_t j = 2; j < n; j++) {
			if (p[j] < 0x80 || p[j] > 0xbf) /* a NUL, too: nothing is read behind it */
				return false;
		}
		p += n;
	}
	return true;
}

static bool
is_allowed(const struct path_rules *rules, const char *component)
{
	return strcmp(component, "..") != 0 && strlen(component) <= 255 &&
	       strcasecmp(component, ".ftxferd") != 0 &&
	       strncasecmp(component, ".ftxferd-", 9) != 0 &&
	       (rules->alphabet == PATH_BYTES || is_clean_utf8(component));
}

/* What path_normalize() must say; out has room for PATH_NAME_MAX + 1 bytes. */
static enum ftx_rc
expected(const struct path_rules *rules, const uint8_t *data, size_t size, char *out)
{
	static char copy[PATH_NAME_MAX + 1];
	char *rest = copy, *component;
	uint64_t components = 0;

	if (size == 0 || size > PATH_NAME_MAX || memchr(data, '\0', size) != NULL ||
	    data[0] == '/' || data[size - 1] == '/')
		return FTX_BAD_NAME;
	memcpy(copy, data, size);
	copy[size] = '\0';
	out[0] = '\0';
	while ((component = strsep(&rest, "/")) != NULL) {
		if (component[0] == '\0' || strcmp(component, ".") == 0)
			continue;
		if (!is_allowed(rules, component))
			return FTX_BAD_NAME;
		if (components++ > 0)
			strcat(out, "/");
		strcat(out, component);
	}
	if (components == 0)
		return FTX_BAD_NAME;
	return rules->max_depth > 0 && components - 1 > rules->max_depth ? FTX_TOO_DEEP : FTX_OK;
}

static void
try_name(const struct path_rules *rules, const uint8_t *data, size_t size)
{
	static char out[PATH_NAME_MAX + 1], again[PATH_NAME_MAX + 1], other[PATH_NAME_MAX + 1];
	enum ftx_rc rc = path_normalize(rules, data, size, out, sizeof(out));

	if (rc != expected(rules, data, size, other))
		abort();
	if (rc != FTX_OK)
		return;
	if (strcmp(out, other) != 0)
		abort();
	if (path_normalize(rules, out, strlen(out), again, sizeof(again)) != FTX_OK ||
	    strcmp(out, again) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_name(&(struct path_rules){ .alphabet = PATH_UTF8 }, data, size);
	try_name(&(struct path_rules){ .alphabet = PATH_UTF8, .max_depth = 2 }, data, size);
	try_name(&(struct path_rules){ .alphabet = PATH_BYTES }, data, size);
	return 0;
}
