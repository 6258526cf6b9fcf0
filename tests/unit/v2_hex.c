#include "unit/v2_hex.h"

#include <stdlib.h>
#include <string.h>

#include "unit/unit.h"

size_t
v2_hex(const char *hex, uint8_t *buf, size_t size)
{
	size_t n = 0;

	for (hex += strspn(hex, " "); *hex != '\0'; hex += strspn(hex, " ")) {
		char pair[3] = { hex[0], hex[1], '\0' };
		char *end;

		UNIT_CHECK(n < size);
		buf[n++] = (uint8_t)strtoul(pair, &end, 16);
		UNIT_CHECK(end == pair + 2);
		hex += 2;
	}
	return n;
}
