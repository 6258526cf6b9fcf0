#include "conf/literal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LITERAL_SHOWN 40 /* bytes of a wrong literal in an error */

#define DIGITS "0123456789"
#define HEX    DIGITS "abcdefABCDEF"
#define WORD   DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_*"

struct literal_scan
literal_scan_init(const char *text)
{
	return (struct literal_scan){ .begin = text, .p = text, .line = 1 };
}

static bool literal_fail(struct literal *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false. */
static bool
literal_fail(struct literal *l, const char *fmt, ...)
{
	va_list ap;

	l->kind = LITERAL_MISTAKE;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
	return false;
}

/* Goes to `to`, counting lines. */
static void
scan_move(struct literal_scan *s, const char *to)
{
	for (; s->p < to; s->p++)
		s->line += *s->p == '\n';
}

static bool
scan_comment(struct literal_scan *s, struct literal *l)
{
	const char *end = strstr(s->p + 2, "*/");

	if (end == NULL)
		return literal_fail(l, "a comment starts here and does not end");
	scan_move(s, end + 2);
	return true;
}

/* The closing quote of a string that has its first byte at p; NULL: none. */
static const char *
string_end(const char *p)
{
	for (; *p != '"' && *p != '\0'; p++) {
		if (*p == '\\' && (p[1] == '\\' || p[1] == '"'))
			p++;
	}
	return *p == '"' ? p : NULL;
}

static bool
scan_string(struct literal_scan *s, struct literal *l)
{
	const char *end = string_end(s->p + 1);

	if (end == NULL)
		return literal_fail(l, "a string starts here and does not end");
	for (const char *p = s->p + 1; p < end; p++) {
		if (*p != '\\')
			continue;
		if ((p[1] == 'x' || p[1] == 'X') && p[2] == '0' && p[3] == '0')
			return literal_fail(l, "a string cannot hold a NUL (\\x00)");
		p += p[1] == '\\';
	}
	scan_move(s, end + 1);
	return true;
}

/*
 * Where the number at p ends, as libconfig's scanner cuts it out of the text; p itself where it is
 * none. A lone point would be 0.0 to libconfig: not to us.
 */
static const char *
number_end(const char *p, bool *is_float)
{
	const char *start = p;
	size_t digits, exponent;

	*is_float = false;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && strspn(p + 2, HEX) > 0) {
		p += 2 + strspn(p + 2, HEX);
	} else {
		p += *p == '-' || *p == '+';
		digits = strspn(p, DIGITS);
		p += digits;
		if (*p == '.') {
			*is_float = true;
			digits += strspn(p + 1, DIGITS);
			p += 1 + strspn(p + 1, DIGITS);
		}
		if (digits == 0)
			return start;
		exponent = *p != 'e' && *p != 'E' ? 0 : p[1] == '-' || p[1] == '+' ? 2 : 1;
		if (exponent > 0 && strspn(p + exponent, DIGITS) > 0) {
			*is_float = true;
			p += exponent + strspn(p + exponent, DIGITS);
		}
	}
	if (!*is_float && *p == 'L')
		p += p[1] == 'L' ? 2 : 1;
	return p;
}

/*
 * What runs on into letters (5G, 127.0.0.1) is a string whose quotes were forgotten: libconfig has
 * only "syntax error" for that, or takes the letters for a name.
 */
static bool
scan_number(struct literal_scan *s, struct literal *l)
{
	bool is_float;
	const char *end = number_end(s->p, &is_float);
	int shown = (int)strspn(s->p, WORD "+-.:/");

	if (end == s->p && *s->p != '.') {
		s->p++; /* a lone sign: the parser will not like it */
		return true;
	}
	if (end == s->p || strspn(end, WORD ".") > 0) {
		shown = shown < LITERAL_SHOWN ? shown : LITERAL_SHOWN;
		return literal_fail(l, "%.*s is not a number: a text needs quotes, \"%.*s\"", shown,
		    s->p, shown, s->p);
	}
	if (!is_float)
		l->kind = LITERAL_INTEGER;
	l->len = (size_t)(end - s->p);
	s->p = end;
	return true;
}

/* An @include, at the beginning of a line and with its opening quote; libconfig sees no other. */
static const char *
include_path(const struct literal_scan *s)
{
	const char *p = s->p;
	size_t blanks;

	if (p > s->begin && p[-1] != '\n')
		return NULL;
	p += strspn(p, " \t");
	if (strncmp(p, "@include", strlen("@include")) != 0)
		return NULL;
	p += strlen("@include");
	blanks = strspn(p, " \t");
	return blanks > 0 && p[blanks] == '"' ? p + blanks + 1 : NULL;
}

static void
scan_include(struct literal_scan *s, struct literal *l, const char *path)
{
	const char *end = string_end(path);

	if (end == NULL || memchr(path, '\n', (size_t)(end - path)) != NULL) {
		literal_fail(l, "the name of the include file does not end on its line");
		return;
	}
	l->kind = LITERAL_INCLUDE;
	l->path = path;
	l->path_len = (size_t)(end - path);
	s->p = end + 1;
	l->len = (size_t)(s->p - l->start);
}

/* Passes over what stands at p; false: l is a mistake. It may also have become an integer. */
static bool
scan_token(struct literal_scan *s, struct literal *l)
{
	switch (*s->p) {
	case '#':
		s->p += strcspn(s->p, "\n");
		return true;
	case '/':
		if (s->p[1] == '*')
			return scan_comment(s, l);
		s->p += s->p[1] == '/' ? strcspn(s->p, "\n") : 1;
		return true;
	case '"':
		return scan_string(s, l);
	case '@':
		return literal_fail(
		    l, "@ is only for a line of the form @include \"FILE\", at its beginning");
	default:
		if (*s->p != '\0' && strchr(DIGITS "+-.", *s->p) != NULL)
			return scan_number(s, l);
		if (*s->p != '\0' && strchr(WORD, *s->p) != NULL)
			s->p += strspn(s->p, WORD "-");
		else
			scan_move(s, s->p + 1);
		return true;
	}
}

void
literal_next(struct literal_scan *s, struct literal *l)
{
	*l = (struct literal){ .kind = LITERAL_END };
	while (*s->p != '\0' && l->kind == LITERAL_END) {
		const char *path = include_path(s);

		l->start = s->p;
		l->line = s->line;
		if (path != NULL) {
			scan_include(s, l, path);
			return;
		}
		if (!scan_token(s, l))
			return;
	}
}

/* What stands at p, behind blanks and comments, makes a setting of the name before it. */
static bool
is_assigned(struct literal_scan s)
{
	struct literal l = { .kind = LITERAL_END };

	while (*s.p != '\0' && (strchr(" \t\r\n\f", *s.p) != NULL || *s.p == '#' || *s.p == '/')) {
		if (!scan_token(&s, &l))
			return false;
	}
	return *s.p == '=' || *s.p == ':';
}

bool
literal_setting_name(const char *text, size_t index, const char **name, size_t *len)
{
	struct literal_scan s = literal_scan_init(text);
	unsigned depth = 0;

	while (*s.p != '\0') {
		struct literal l = { .kind = LITERAL_END };
		const char *start = s.p;

		if (!scan_token(&s, &l))
			return false;
		if (strchr("{[(", *start) != NULL)
			depth++;
		else if (strchr("}])", *start) != NULL && depth > 0)
			depth--;
		else if (depth == 0 && strchr(WORD, *start) != NULL && is_assigned(s) &&
			 index-- == 0) {
			*name = start;
			*len = (size_t)(s.p - start);
			return true;
		}
	}
	return false;
}

/* The magnitude of an integer; false: over 64 bits. */
static bool
literal_magnitude(const struct literal *l, bool hex, uint64_t *out)
{
	const char *p = l->start + (hex ? 2 : 0), *end = l->start + l->len;
	unsigned base = hex ? 16 : 10;

	*out = 0;
	for (p += *p == '-' || *p == '+'; p < end && *p != 'L'; p++) {
		int c = tolower((unsigned char)*p);
		unsigned digit = (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');

		if (*out > (UINT64_MAX - digit) / base)
			return false;
		*out = *out * base + digit;
	}
	return true;
}

bool
literal_check(struct literal *l)
{
	int shown = l->len < LITERAL_SHOWN ? (int)l->len : LITERAL_SHOWN;
	bool hex = l->len > 1 && (l->start[1] == 'x' || l->start[1] == 'X');
	bool is_long = l->start[l->len - 1] == 'L', negative = l->start[0] == '-';
	const char units[] = " kMGT";
	unsigned unit = 0;
	uint64_t v;

	if (!literal_magnitude(l, hex, &v) || v > (uint64_t)INT64_MAX + negative)
		return literal_fail(l, "%.*s does not fit in 64 bits", shown, l->start);
	if (is_long || v <= (uint64_t)INT32_MAX + negative)
		return true;
	for (uint64_t n = v; unit < 4 && n % 1024 == 0; n /= 1024)
		unit++;
	if (unit == 0)
		return literal_fail(l, "%.*s does not fit in 32 bits and would be cut: write %.*sL",
		    shown, l->start, shown, l->start);
	return literal_fail(l,
	    "%.*s does not fit in 32 bits and would be cut: "
	    "write %.*sL, or \"%s%" PRIu64 "%c\" for a size",
	    shown, l->start, shown, l->start, negative ? "-" : "", v >> (10 * unit), units[unit]);
}
