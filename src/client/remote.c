#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/ftxfer.h"

#define SCHEME   "ftx://"
#define HOST_MAX 255 /* bytes: RFC 1035 */

/* A text on its way through the parser. */
struct parse {
	const char *text;
	struct ftxfer_remote *r; /* owned */
	char *why;               /* borrowed */
	size_t size;
};

static enum ftxfer_naming
wrong(struct parse *p, const char *what)
{
	char quoted[LOG_QUOTE_SIZE];

	snprintf(p->why, p->size, "%s: %s",
	    log_quote(quoted, sizeof(quoted), p->text, strlen(p->text)), what);
	return FTXFER_NAME_WRONG;
}

/* As in host names, addresses and aliases. */
static bool
is_host_char(char c)
{
	return isalnum((unsigned char)c) != 0 || c == '.' || c == '-' || c == '_';
}

static size_t
word_len(const char *s)
{
	size_t n = 0;

	while (is_host_char(s[n]))
		n++;
	return n;
}

/* HOST at s; *end is behind it. False: there is none. */
static bool
take_host(struct parse *p, const char *s, const char **end)
{
	const char *from = s;
	size_t len;

	if (*s == '[') {
		len = strcspn(++from, "]/");
		if (from[len] != ']' || memchr(from, ':', len) == NULL ||
		    strspn(from, "0123456789abcdefABCDEF:.") < strcspn(from, "%]"))
			return false;
		*end = from + len + 1;
	} else {
		len = word_len(s);
		*end = s + len;
	}
	if (len == 0 || len > HOST_MAX)
		return false;
	p->r->host = strndup(from, len);
	return p->r->host != NULL;
}

/* Digits at s, if there are any: a port. False: it is none. */
static bool
take_port(struct parse *p, const char *s, const char **end)
{
	unsigned long port = 0;

	*end = s;
	while (isdigit((unsigned char)**end) != 0 && port <= UINT16_MAX)
		port = port * 10 + (unsigned long)(*(*end)++ - '0');
	if (*end == s)
		return true;
	p->r->port = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/*
 * The two readings of a path, each as long as the text at most twice: with wildcards quoted, and
 * without. NULL, or what is wrong.
 */
static const char *
read_path(const char *s, bool encoded, char *plain, char *pattern, bool *wild)
{
	while (*s != '\0') {
		bool literal = false;
		char c = *s++;

		if (encoded && c == '%') {
			int high = hex_digit(s[0]), low = high >= 0 ? hex_digit(s[1]) : -1;

			if (low < 0)
				return "a % is followed by two hexadecimal digits in an ftx:// "
				       "name";
			c = (char)(high * 16 + low);
			s += 2;
			literal = true;
			if (c == '\0' || c == '/')
				return "no name can have a %00 or a %2F";
		} else if (!encoded && c == '\\' && *s != '\0' && strchr("*?[]\\", *s) != NULL) {
			c = *s++;
			literal = true;
		}
		if (strchr("*?[", c) != NULL && !literal)
			*wild = true;
		else if (c == '\\' || (literal && strchr("*?[]", c) != NULL))
			*pattern++ = '\\';
		*pattern++ = c;
		*plain++ = c;
	}
	*plain = *pattern = '\0';
	return NULL;
}

/* plain as a pattern that nothing else matches; at most twice as long. Its length. */
static size_t
quote_path(const char *plain, char *pattern)
{
	size_t len = 0;

	for (; *plain != '\0'; plain++) {
		if (strchr("*?[]\\", *plain) != NULL)
			pattern[len++] = '\\';
		pattern[len++] = *plain;
	}
	return len;
}

/* The PATH, beneath what an alias has brought already. */
static enum ftxfer_naming
take_path(struct parse *p, const char *s, bool encoded)
{
	size_t base = strlen(p->r->path != NULL ? p->r->path : "");
	size_t room = 2 * base + 1 + 2 * strlen(s) + 1, quoted = 0;
	char *plain = calloc(2, room), *pattern;
	bool wild = false;
	const char *bad;

	if (plain == NULL)
		return wrong(p, "out of memory");
	pattern = plain + room;
	s += strspn(s, "/");
	if (base > 0) {
		memcpy(plain, p->r->path, base);
		quoted = quote_path(plain, pattern);
		if (*s != '\0')
			plain[base++] = pattern[quoted++] = '/';
	}
	bad = read_path(s, encoded, plain + base, pattern + quoted, &wild);
	free(p->r->path);
	p->r->path = NULL;
	if (bad == NULL) {
		size_t len = strlen(plain);

		p->r->is_dir = len == 0 || plain[len - 1] == '/';
		while (len > 0 && plain[len - 1] == '/')
			plain[--len] = '\0';
		len = strlen(pattern);
		while (len > 0 && pattern[len - 1] == '/')
			pattern[--len] = '\0';
		p->r->pattern = wild ? strdup(pattern) : NULL;
		p->r->path = strdup(plain);
	}
	free(plain);
	if (bad != NULL)
		return wrong(p, bad);
	if (p->r->path == NULL || (wild && p->r->pattern == NULL))
		return wrong(p, "out of memory");
	return FTXFER_NAME_REMOTE;
}

static enum ftxfer_naming
take_url(struct parse *p, const char *s)
{
	const char *end;

	if (s[strcspn(s, "@/")] == '@')
		return wrong(p, "names of users are not known yet");
	if (!take_host(p, s, &end))
		return wrong(p, "ftx:// is followed by a host");
	if (*end == ':' && !take_port(p, end + 1, &end))
		return wrong(p, "a port is a number from 1 to 65535");
	if (*end != '/' && *end != '\0')
		return wrong(p, "it is not of the form ftx://HOST[:PORT]/PATH");
	return take_path(p, end, true);
}

/* HOST:/PATH or HOST:PORT/PATH. */
static enum ftxfer_naming
take_short(struct parse *p)
{
	const char *end;

	if (p->text[strcspn(p->text, "@/:")] == '@' && strstr(p->text, ":/") != NULL)
		return wrong(p, "names of users are not known yet; a local file is written ./NAME");
	if (!take_host(p, p->text, &end) || *end != ':')
		return FTXFER_NAME_LOCAL;
	if (end[1 + strspn(end + 1, "0123456789")] != '/')
		return FTXFER_NAME_LOCAL;
	if (!take_port(p, end + 1, &end))
		return wrong(p, "a port is a number from 1 to 65535");
	return take_path(p, end, false);
}

static const struct ftxfer_alias *
find_alias(const char *text, const struct ftxfer_alias *aliases, size_t count)
{
	size_t len = word_len(text);

	for (size_t i = 0; len > 0 && text[len] == ':' && i < count; i++) {
		if (strlen(aliases[i].name) == len && strncmp(aliases[i].name, text, len) == 0)
			return &aliases[i];
	}
	return NULL;
}

static enum ftxfer_naming
take_any(struct parse *p, const struct ftxfer_alias *aliases, size_t count)
{
	const struct ftxfer_alias *alias = find_alias(p->text, aliases, count);
	struct parse target = *p;
	enum ftxfer_naming naming;

	if (strncmp(p->text, SCHEME, strlen(SCHEME)) == 0)
		return take_url(p, p->text + strlen(SCHEME));
	if (alias == NULL && strncmp(p->text + word_len(p->text), "://", 3) == 0)
		return wrong(p, "of URLs only ftx://HOST/PATH is known; a local file is ./NAME");
	if (alias == NULL)
		return take_short(p);
	target.text = alias->target;
	naming = strncmp(alias->target, SCHEME, strlen(SCHEME)) == 0
		     ? take_url(&target, alias->target + strlen(SCHEME))
		     : take_short(&target);
	if (naming == FTXFER_NAME_LOCAL || (naming == FTXFER_NAME_REMOTE && p->r->pattern != NULL))
		return wrong(p, "its alias does not stand for one place on a server");
	if (naming == FTXFER_NAME_REMOTE)
		naming = take_path(p, p->text + strlen(alias->name) + 1, false);
	return naming;
}

enum ftxfer_naming
ftxfer_remote_parse(const char *text, const struct ftxfer_alias *aliases, size_t alias_count,
    struct ftxfer_remote **out, char *why, size_t size)
{
	struct parse p = { .text = text, .why = why, .size = size };
	enum ftxfer_naming naming;

	*out = NULL;
	p.r = calloc(1, sizeof(*p.r));
	if (p.r == NULL)
		return wrong(&p, "out of memory");
	p.r->port = FTXFER_PORT;
	naming = take_any(&p, aliases, alias_count);
	if (naming == FTXFER_NAME_REMOTE)
		*out = p.r;
	else
		ftxfer_remote_free(p.r);
	return naming;
}

void
ftxfer_remote_free(struct ftxfer_remote *r)
{
	if (r == NULL)
		return;
	free(r->host);
	free(r->path);
	free(r->pattern);
	free(r);
}
