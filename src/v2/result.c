#include "v2/result.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define FIRST 100
#define LAST  299
#define RETRY 200 /* and from here to the last: may be tried again */

/* clang-format off */
#define ROW(number, name, of, rc) [(number) - FIRST] = { #name, of, rc },
static const struct row {
	const char *name; /* NULL: not known */
	enum v2_code_of of;
	enum ftx_rc rc;
} rows[LAST - FIRST + 1] = { V2_CODE_TABLE(ROW) };

/* Each of ours by its own code; 0: it has none. */
#define CODE(number, name, of, rc) [rc] = (number),
static const uint16_t codes[FTX_RC_COUNT] = { V2_CODE_TABLE(CODE) };
/* clang-format on */

/* NULL: not known. */
static const struct row *
find(uint16_t code)
{
	if (code < FIRST || code > LAST || rows[code - FIRST].name == NULL)
		return NULL;
	return &rows[code - FIRST];
}

enum ftx_rc
v2_code_rc(uint16_t code)
{
	const struct row *row = find(code);

	if (row != NULL)
		return row->rc;
	return v2_code_is_retryable(code) ? FTX_REMOTE_ERROR : FTX_REMOTE_REFUSED;
}

enum v2_code
v2_code_from_rc(enum ftx_rc rc)
{
	if ((unsigned)rc < FTX_RC_COUNT && codes[rc] != 0)
		return (enum v2_code)codes[rc];
	switch (rc) {
	case FTX_ACCESS:
		return V2_CODE_FORBIDDEN;
	case FTX_UNSUPPORTED:
		return V2_CODE_UNSUPPORTED;
	case FTX_EXCESS:
		return V2_CODE_SIZE_MISMATCH;
	case FTX_REQUEST_TIMEOUT:
	case FTX_IDLE_TIMEOUT:
	case FTX_TOO_SLOW:
		return V2_CODE_TIMED_OUT;
	case FTX_DESCRIPTORS: /* what is lacking for a moment removes no upload */
	case FTX_NOMEM:
		return V2_CODE_OVERLOADED;
	default:
		return V2_CODE_INTERNAL;
	}
}

bool
v2_code_is_retryable(uint16_t code)
{
	return code >= RETRY && code <= LAST;
}

bool
v2_code_keeps_upload(uint16_t code)
{
	return v2_code_is_retryable(code) || code == V2_CODE_TAKEN_OVER ||
	       code == V2_CODE_NO_SPACE || code == V2_CODE_QUOTA;
}

unsigned
v2_code_where(uint16_t code)
{
	const struct row *row = find(code);

	return row != NULL ? row->of : V2_OF_EITHER;
}

const char *
v2_code_name(uint16_t code)
{
	const struct row *row = find(code);

	return row != NULL ? row->name : "unknown";
}

const char *
v2_code_text(uint16_t code)
{
	return ftx_rc_text(v2_code_rc(code));
}

const char *
v2_code_of_name(enum v2_code_of of)
{
	static const char *const names[] = { "unknown", "request", "connection", "either" };

	return (unsigned)of < COUNT(names) ? names[of] : "unknown";
}
