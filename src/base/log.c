#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define LOG_LINE_MAX 2048 /* bytes; a longer line is cut */
#define LOG_HELD_MAX 4096 /* bytes: PIPE_BUF, what a pipe takes whole (pipe(7)) */
#define AGAIN_MS     (60 * UINT64_C(1000))

static struct {
	const char *ident;
	enum log_style style;
	atomic_int level;
	void (*hook)(enum log_level level, const char *line);
} log_sink = { .ident = "ftxfer", .style = LOG_STYLE_TOOL, .level = LOG_LEVEL_INFO };

/* What a thread has said since log_hold(). */
struct held_lines {
	unsigned depth;
	size_t len;
	char text[LOG_HELD_MAX];
};

/* C11's _Thread_local, by the name that cppcheck knows, too. */
static __thread struct held_lines held;

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int level_priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Standard error is the journal's socket: systemd.exec(5), $JOURNAL_STREAM. */
static bool
stderr_is_journal(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
	const char *env = getenv("JOURNAL_STREAM");
	char own[48]; /* two numbers of 64 bits */
	struct stat st;

	if (env == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(env, own) == 0;
}

void
log_open(const char *ident, enum log_style style, enum log_level level)
{
	if (style == LOG_STYLE_DAEMON && stderr_is_journal())
		style = LOG_STYLE_JOURNAL;
	log_sink.ident = ident;
	log_sink.style = style;
	log_set_level(level);
	if (style == LOG_STYLE_SYSLOG)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_sink.level, level, memory_order_relaxed);
}

bool
log_is_debug(void)
{
	return atomic_load_explicit(&log_sink.level, memory_order_relaxed) >= LOG_LEVEL_DEBUG;
}

void
log_set_hook(void (*hook)(enum log_level level, const char *line))
{
	log_sink.hook = hook;
}

/* RFC 3339, of this second: there are many lines in one. */
static const char *
date_of(time_t second)
{
	static __thread char date[32];
	static __thread time_t of;
	struct tm tm;

	if (second != of || date[0] == '\0') {
		gmtime_r(&second, &tm);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
		of = second;
	}
	return date;
}

/* What stands before the message, in the sink's style. Returns its length. */
static size_t
log_prefix(char *buf, size_t size, enum log_level level)
{
	struct timespec ts;
	int n;

	switch (log_sink.style) {
	case LOG_STYLE_JOURNAL:
		n = snprintf(buf, size, "<%d>", level_priorities[level]);
		break;
	case LOG_STYLE_DAEMON:
		clock_gettime(CLOCK_REALTIME, &ts);
		n = snprintf(buf, size, "%s.%03ldZ %s[%ld] %s: ", date_of(ts.tv_sec),
		    ts.tv_nsec / 1000000, log_sink.ident, (long)getpid(), level_names[level]);
		break;
	case LOG_STYLE_TOOL:
		n = snprintf(buf, size, "%s: %s", log_sink.ident,
		    level == LOG_LEVEL_WARN ? "warning: " : "");
		break;
	case LOG_STYLE_SYSLOG:
	default:
		return 0;
	}
	return n < 0 ? 0 : (size_t)n;
}

/*
 * The length of the character at s, or 0 if it is not fit for a terminal: no UTF-8, a control
 * character, or a mark that reorders or hides text (Unicode Bidi_Control, line separators).
 */
static size_t
printable_length(const void *s, size_t len)
{
	uint8_t first = len > 0 ? *(const uint8_t *)s : 0;
	uint32_t cp;
	size_t n;

	if (first >= ' ' && first < 0x7f)
		return 1;
	n = utf8_decode(s, len, &cp);
	if (n == 0 || utf8_is_control(cp) || cp == 0x61c || (cp >= 0x200b && cp <= 0x200f) ||
	    (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff)
		return 0;
	return n;
}

/*
 * Nothing survives in a finished line that could end it or drive a terminal: control characters,
 * those of two bytes (C1) and marks that reorder text among them, and whatever is no UTF-8 (half of
 * a character, say, where a long line was cut).
 */
static void
log_clean(char *s, size_t left)
{
	while (left > 0) {
		size_t n = printable_length(s, left);

		if (n == 0) {
			*s = '?';
			n = 1;
		}
		s += n;
		left -= n;
	}
}

/* Nobody can be told if it fails. */
static void
write_out(const char *text, size_t len)
{
	if (len > 0 && write(STDERR_FILENO, text, len) < 0)
		return;
}

static void
write_held(void)
{
	write_out(held.text, held.len);
	held.len = 0;
}

/* Lines of several threads never mix: each write is of whole lines. */
static void
put_line(enum log_level level, const char *line, size_t len)
{
	if (held.depth == 0 || log_is_debug()) {
		write_held();
		write_out(line, len);
		return;
	}
	if (len > sizeof(held.text) - held.len)
		write_held();
	memcpy(held.text + held.len, line, len);
	held.len += len;
	if (level <= LOG_LEVEL_WARN)
		write_held();
}

void
log_hold(void)
{
	held.depth++;
}

void
log_flush(void)
{
	write_held();
}

void
log_release(void)
{
	assert(held.depth > 0);
	if (--held.depth == 0)
		write_held();
}

static void
log_write(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t prefix, len;
	int n;

	if ((int)level > atomic_load_explicit(&log_sink.level, memory_order_relaxed))
		return;
	prefix = log_prefix(line, sizeof(line), level);
	n = vsnprintf(line + prefix, sizeof(line) - prefix - 1, fmt, ap);
	if (n < 0)
		return;
	len = strlen(line + prefix); /* shorter than n where it is cut */
	log_clean(line + prefix, len);
	if (log_sink.hook != NULL) {
		log_sink.hook(level, line + prefix);
		return;
	}
	if (log_sink.style == LOG_STYLE_SYSLOG) {
		syslog(level_priorities[level], "%s", line + prefix);
		return;
	}
	len += prefix;
	line[len++] = '\n';
	put_line(level, line, len);
}

#define LOG_AT(level)                      \
	do {                               \
		va_list ap;                \
		va_start(ap, fmt);         \
		log_write(level, fmt, ap); \
		va_end(ap);                \
	} while (0)

void
log_error(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_ERROR);
}

void
log_warn(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_WARN);
}

void
log_info(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_INFO);
}

void
log_debug(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_DEBUG);
}

bool
log_is_due(_Atomic uint64_t *next)
{
	uint64_t now = clock_now_ms(), due = atomic_load(next);

	return now >= due && atomic_compare_exchange_strong(next, &due, now + AGAIN_MS);
}

void
log_fatal(int exit_code, const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_ERROR);
	exit(exit_code); /* NOLINT(concurrency-mt-unsafe): before there are threads */
}

const char *
log_quote(char *buf, size_t size, const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *s = data;
	size_t out = 0;

	buf[out++] = '"';
	for (size_t i = 0; i < len;) {
		size_t n = printable_length(s + i, len - i);
		bool plain = n > 0 && s[i] != '"' && s[i] != '\\';

		/* Kept free: the longest piece (4 bytes), "..." , the closing quote and the NUL. */
		if (out + 4 + 3 + 2 > size) {
			memcpy(buf + out, "...", 3);
			out += 3;
			break;
		}
		if (plain) {
			memcpy(buf + out, s + i, n);
			out += n;
			i += n;
		} else {
			buf[out++] = '\\';
			buf[out++] = 'x';
			buf[out++] = hex[s[i] >> 4];
			buf[out++] = hex[s[i] & 15];
			i++;
		}
	}
	buf[out++] = '"';
	buf[out] = '\0';
	return buf;
}
