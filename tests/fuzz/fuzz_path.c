/*
 * Any bytes as a name: refused, or brought to a spelling that stays beneath the root and stays as
 * it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_component(const char *s, size_t len)
{
	if (len == 0 || len > PATH_COMPONENT_MAX || path_is_reserved(s, len))
		abort();
	if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		abort();
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[PATH_NAME_MAX + 1], again[PATH_NAME_MAX + 1];

	if (path_normalize(data, size, out, sizeof(out)) != FTX_OK)
		return 0;
	if (path_normalize(out, strlen(out), again, sizeof(again)) != FTX_OK ||
	    strcmp(out, again) != 0)
		abort();
	for (const char *s = out;; s++) {
		size_t len = strcspn(s, "/");

		check_component(s, len);
		s += len;
		if (*s == '\0')
			break;
	}
	return 0;
}
