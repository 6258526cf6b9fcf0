/*
 * log.h - one line per event, to standard error or to syslog.
 * Layer: base. Threads: any (a write is of whole lines). The sink is the one global of the program.
 * Tests: tests/unit/test_log.c
 *
 * What a peer sent never reaches a log raw, so that no name can forge a line or drive a terminal:
 * names go through log_quote(), and every control character in the finished line becomes `?`.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_style {
	LOG_STYLE_TOOL,    /* "ftxfer: message", for a program that a person runs */
	LOG_STYLE_DAEMON,  /* "TIME ftxferd[PID] level: message" (RFC 3339, UTC) */
	LOG_STYLE_JOURNAL, /* "<N>message": the service manager adds the rest (sd-daemon(3)) */
	LOG_STYLE_SYSLOG   /* syslog(3), for a daemon that has no standard error any more */
};

/*
 * ident: the program's name, borrowed for ever. Lines above `level` are dropped. LOG_STYLE_DAEMON
 * becomes LOG_STYLE_JOURNAL by itself when standard error is the journal (JOURNAL_STREAM names its
 * device and inode).
 */
void log_open(const char *ident, enum log_style style, enum log_level level);
void log_set_level(enum log_level level);
bool log_is_debug(void);

/*
 * A test takes each finished line (without time and level) instead of standard error; NULL gives it
 * back.
 */
void log_set_hook(void (*hook)(enum log_level level, const char *line));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Where many lines are said in one go: this thread's lines are written together, at
 * log_release() at the latest; before that when 4 KiB are full, and with each warning or error.
 * Between the two nothing waits. They nest. With LOG_LEVEL_DEBUG each line is written as it comes:
 * the last ones are what a crash leaves to read.
 */
void log_hold(void);
void log_release(void);
/* What is held is written now: before somebody hears of what it is about. */
void log_flush(void);

/*
 * For what may come thousands of times a second: true at first, and then not again for a minute.
 * *next is one such matter's, 0 at first; threads may share it.
 */
bool log_is_due(_Atomic uint64_t *next);

/* Says why and exits; for start-up only, never once a connection is open. */
void log_fatal(int exit_code, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

/*
 * Writes len bytes of s into buf as one quoted word that is safe in a log line and on a terminal:
 * `"`, `\`, control characters and bytes that are not valid UTF-8 become \xHH. Cuts with `...`
 * where size does not suffice. Returns buf, always terminated; size must be at least 16.
 */
const char *log_quote(char *buf, size_t size, const void *s, size_t len);

/* Enough for log_quote() of any name of protocol 1 (255 bytes). */
#define LOG_QUOTE_SIZE (255 * 4 + 16)

#endif
