/*
 * Any bytes as a name: refused, or brought to a spelling that stays beneath the root and stays as
 * it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "store/path.h"

static void
check_component(enum path_alphabet alphabet, const char *s, size_t len)
{
	if (len == 0 || len > PATH_COMPONENT_MAX || path_is_reserved(s, len))
		abort();
	if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		abort();
	for (size_t i = 0; i < len && alphabet == PATH_UTF8; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			abort();
	}
}

static void
check_name(const struct path_rules *rules, const uint8_t *data, size_t size)
{
	static char out[PATH_NAME_MAX + 1], again[PATH_NAME_MAX + 1];

	if (path_normalize(rules, data, size, out, sizeof(out)) != FTX_OK)
		return;
	if (path_normalize(rules, out, strlen(out), again, sizeof(again)) != FTX_OK ||
	    strcmp(out, again) != 0)
		abort();
	for (const char *s = out;; s++) {
		size_t len = strcspn(s, "/");

		check_component(rules->alphabet, s, len);
		s += len;
		if (*s == '\0')
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_name(&(struct path_rules){ .alphabet = PATH_UTF8, .max_depth = 2 }, data, size);
	check_name(&(struct path_rules){ .alphabet = PATH_BYTES }, data, size);
	return 0;
}
