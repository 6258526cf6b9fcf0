#include "conf/value.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define VALUE_MODE_MAX        07777
#define VALUE_FRACTION_DIGITS 9 /* of a time; no more can matter */

/* As ctype(3), but the same in every locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *
skip_blanks(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* Reads digits of that base at *p and moves it behind them; BAD where none stands. */
static enum value_result
parse_digits(const char **p, unsigned base, uint64_t *out)
{
	enum value_result res = VALUE_OK;
	uint64_t v = 0;

	if (!is_digit(**p))
		return VALUE_BAD;
	for (; is_digit(**p); (*p)++) {
		unsigned digit = (unsigned)(**p - '0');

		if (digit >= base)
			return VALUE_BAD;
		if (v > ((uint64_t)INT64_MAX - digit) / base)
			res = VALUE_TOO_LARGE; /* but it may still turn out to be no number */
		else
			v = v * base + digit;
	}
	*out = v;
	return res;
}

static enum value_result
parse_bool(const char *text, uint64_t *out)
{
	static const char *const words[] = { "false", "no", "off", "0", "true", "yes", "on", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i >= 4;
			return VALUE_OK;
		}
	}
	return VALUE_BAD;
}

static enum value_result
parse_uint(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	enum value_result res = parse_digits(&text, 10, &v);

	if (*text != '\0')
		return VALUE_BAD;
	if (res == VALUE_OK)
		*out = v;
	return res;
}

/* k, kB, KiB and so on, in any case, nothing and B: how many bits to shift by. */
static bool
parse_size_unit(const char *p, unsigned *shift)
{
	static const char letters[] = "kmgt";

	*shift = 0;
	for (unsigned i = 0; letters[i] != '\0'; i++) {
		if ((*p | 0x20) == letters[i]) {
			*shift = 10 * (i + 1);
			p++;
			if (*p == 'i' || *p == 'I')
				return (p[1] == 'B' || p[1] == 'b') && p[2] == '\0';
			break;
		}
	}
	if (*p == 'B' || *p == 'b')
		p++;
	return *p == '\0';
}

static enum value_result
parse_size(const char *text, uint64_t *out)
{
	unsigned shift;
	uint64_t v = 0;
	enum value_result res = parse_digits(&text, 10, &v);

	if (res == VALUE_BAD || !parse_size_unit(skip_blanks(text), &shift))
		return VALUE_BAD;
	if (res != VALUE_OK || v > (uint64_t)INT64_MAX >> shift)
		return VALUE_TOO_LARGE;
	*out = v << shift;
	return VALUE_OK;
}

static bool
parse_time_unit(const char *p, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", UINT64_C(60) * 1000 },
		{ "h", UINT64_C(3600) * 1000 }, { "d", UINT64_C(24) * 3600 * 1000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(p, units[i].name) == 0) {
			*ms = units[i].ms;
			return true;
		}
	}
	return false;
}

/* The digits behind a point: *num of *den parts. Zeros at the end do not count. */
static enum value_result
parse_fraction(const char **p, uint64_t *num, uint64_t *den)
{
	size_t len = strspn(*p, "0123456789"), used = len;

	if (len == 0)
		return VALUE_BAD;
	while (used > 0 && (*p)[used - 1] == '0')
		used--;
	if (used <= VALUE_FRACTION_DIGITS) {
		for (size_t i = 0; i < used; i++) {
			*num = *num * 10 + (uint64_t)((*p)[i] - '0');
			*den *= 10;
		}
	}
	*p += len;
	return used > VALUE_FRACTION_DIGITS ? VALUE_TOO_FINE : VALUE_OK;
}

static enum value_result
parse_time(const char *text, uint64_t *out)
{
	uint64_t whole = 0, num = 0, den = 1, unit;
	enum value_result res = parse_digits(&text, 10, &whole), fine = VALUE_OK;

	if (res == VALUE_BAD)
		return VALUE_BAD;
	if (*text == '.') {
		text++;
		fine = parse_fraction(&text, &num, &den);
	}
	if (fine == VALUE_BAD || !parse_time_unit(skip_blanks(text), &unit))
		return VALUE_BAD;
	if (res != VALUE_OK)
		return res;
	if (fine != VALUE_OK || num * unit % den != 0) /* < 10^9 * 10^8: fits */
		return VALUE_TOO_FINE;
	if (whole > (INT64_MAX - num * unit / den) / unit)
		return VALUE_TOO_LARGE;
	*out = whole * unit + num * unit / den;
	return VALUE_OK;
}

static enum value_result
parse_mode(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	enum value_result res = parse_digits(&text, 8, &v);

	if (res == VALUE_BAD || *text != '\0')
		return VALUE_BAD;
	if (res != VALUE_OK || v > VALUE_MODE_MAX)
		return VALUE_TOO_LARGE;
	*out = v;
	return VALUE_OK;
}

enum value_result
value_parse(enum option_type type, const char *text, uint64_t *out)
{
	enum value_result res;

	if (type != OPTION_BOOL && text[0] == '-' && is_digit(text[1])) {
		uint64_t ignored;

		res = value_parse(type, text + 1, &ignored);
		return res == VALUE_BAD ? VALUE_BAD : VALUE_NEGATIVE;
	}
	switch (type) {
	case OPTION_BOOL:
		return parse_bool(text, out);
	case OPTION_UINT:
		return parse_uint(text, out);
	case OPTION_SIZE:
		return parse_size(text, out);
	case OPTION_TIME:
		return parse_time(text, out);
	case OPTION_MODE:
		return parse_mode(text, out);
	default:
		return VALUE_BAD; /* not a number: our bug */
	}
}

const char *
value_format(enum option_type type, uint64_t value, char buf[VALUE_TEXT_SIZE])
{
	static const char size_units[] = "kMGT";
	char unit[2] = "";

	switch (type) {
	case OPTION_BOOL:
		snprintf(buf, VALUE_TEXT_SIZE, "%s", value != 0 ? "true" : "false");
		break;
	case OPTION_SIZE:
		for (size_t i = 0; size_units[i] != '\0' && value != 0 && value % 1024 == 0; i++) {
			value /= 1024;
			unit[0] = size_units[i];
		}
		snprintf(buf, VALUE_TEXT_SIZE, "%" PRIu64 "%s", value, unit);
		break;
	case OPTION_TIME:
		if (value % 1000 == 0)
			snprintf(buf, VALUE_TEXT_SIZE, "%" PRIu64 "s", value / 1000);
		else
			snprintf(buf, VALUE_TEXT_SIZE, "%" PRIu64 "ms", value);
		break;
	case OPTION_MODE:
		snprintf(buf, VALUE_TEXT_SIZE, "%04" PRIo64, value);
		break;
	default:
		snprintf(buf, VALUE_TEXT_SIZE, "%" PRIu64, value);
		break;
	}
	return buf;
}

uint64_t
value_limit(enum option_type type)
{
	return type == OPTION_MODE ? VALUE_MODE_MAX : INT64_MAX;
}

const char *
value_describe(enum option_type type)
{
	switch (type) {
	case OPTION_BOOL:
		return "true or false";
	case OPTION_UINT:
		return "a number";
	case OPTION_SIZE:
		return "a size such as 1048576, 64KiB or 5G";
	case OPTION_TIME:
		return "a time such as 90, 90s, 500ms or 15m";
	case OPTION_MODE:
		return "an octal mode such as 0640";
	default:
		return "a text";
	}
}
