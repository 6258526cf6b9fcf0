#include "stammer/fault.h"

#include <stddef.h>
#include <string.h>

/* Decimal digits and nothing else, no more than 64 bits. */
static bool
parse_bytes(const char *text, uint64_t *out)
{
	uint64_t n = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		uint64_t digit = (uint64_t)(unsigned char)*text - '0';

		if (*text < '0' || *text > '9' || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}

enum ftx_rc
fault_parse(struct fault_script *script, enum fault_kind kind, const char *text)
{
	struct fault fault = { .on = { true, true } };

	for (enum way way = 0; way < WAY_COUNT; way++) {
		size_t len = strlen(way_name(way));

		if (strncmp(text, way_name(way), len) != 0 || text[len] != ':')
			continue;
		memset(fault.on, 0, sizeof(fault.on));
		fault.on[way] = true;
		text += len + 1;
		break;
	}
	if (!parse_bytes(text, &fault.at))
		return FTX_USAGE;
	script->of[kind] = fault;
	return FTX_OK;
}

uint64_t
fault_limit(const struct fault_script *script, enum way way, uint64_t forwarded)
{
	uint64_t limit = UINT64_MAX;

	for (enum fault_kind kind = FAULT_NONE + 1; kind < FAULT_KIND_COUNT; kind++) {
		const struct fault *fault = &script->of[kind];

		if (fault->on[way] && fault->at >= forwarded && fault->at - forwarded < limit)
			limit = fault->at - forwarded;
	}
	return limit;
}

enum fault_kind
fault_due(const struct fault_script *script, enum way way, uint64_t forwarded)
{
	for (enum fault_kind kind = FAULT_NONE + 1; kind < FAULT_KIND_COUNT; kind++) {
		if (script->of[kind].on[way] && script->of[kind].at == forwarded)
			return kind;
	}
	return FAULT_NONE;
}

const char *
fault_name(enum fault_kind kind)
{
	static const char *const names[] = {
		[FAULT_NONE] = "none",
		[FAULT_RESET] = "reset",
		[FAULT_CUT] = "cut",
		[FAULT_STALL] = "stall",
	};

	return (unsigned)kind < FAULT_KIND_COUNT ? names[kind] : "none";
}

const char *
way_name(enum way way)
{
	return way == WAY_UP ? "up" : "down";
}
