#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define COLUMNS_DEFAULT 80
#define LINE_MAX_BYTES  1024

void
progress_init(struct progress *p, const char *label, bool quiet)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): before there are threads */
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	/* NOLINTEND(concurrency-mt-unsafe) */

	memset(p, 0, sizeof(*p));
	p->label = label;
	p->enabled = !quiet && isatty(STDERR_FILENO);
	p->colour = p->enabled && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
		    strcmp(term, "dumb") != 0;
	p->started = clock_now_ms();
}

const char *
progress_bytes(char *buf, size_t size, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(buf, size, "%u B", (unsigned)bytes);
		return buf;
	}
	for (v /= 1024; v >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		v /= 1024;
	snprintf(buf, size, "%.1f %s", v, units[unit]);
	return buf;
}

static void
time_left(char *buf, size_t size, uint64_t moved, uint64_t total, uint64_t elapsed)
{
	double seconds;

	if (moved == 0 || moved >= total) {
		snprintf(buf, size, "--:--");
		return;
	}
	seconds = (double)(total - moved) * ((double)elapsed / 1000) / (double)moved;
	if (seconds > 359999)
		snprintf(buf, size, "--:--");
	else if (seconds >= 3600)
		snprintf(buf, size, "%u:%02u:%02u", (unsigned)seconds / 3600,
		    (unsigned)seconds / 60 % 60, (unsigned)seconds % 60);
	else
		snprintf(buf, size, "%02u:%02u", (unsigned)seconds / 60, (unsigned)seconds % 60);
}

/* How many bytes of it are shown: not to the middle of a letter (UTF-8). */
static int
cut_at(const char *text, unsigned room)
{
	int cut = (int)strnlen(text, room);

	while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

void
progress_line(char *buf, size_t size, const char *label, uint64_t moved, uint64_t total,
    uint64_t elapsed, unsigned columns)
{
	char bytes[16], rate[16], left[16], figures[80], bar[64] = "";
	double share = total > 0 ? (double)moved / (double)total : 0;
	double speed = elapsed > 0 ? (double)moved * 1000 / (double)elapsed : 0;
	unsigned percent = share < 1 ? (unsigned)(share * 100) : 100;
	unsigned room, width;

	progress_bytes(bytes, sizeof(bytes), moved);
	progress_bytes(rate, sizeof(rate), speed < 0x1p63 ? (uint64_t)speed : INT64_MAX);
	time_left(left, sizeof(left), moved, total, elapsed);
	snprintf(figures, sizeof(figures), "%3u%%  %10s  %10s/s  %s", percent, bytes, rate, left);
	/* The figures always; then the name, cut; a bar in what is left between them. */
	room = columns > strlen(figures) + 3 ? columns - (unsigned)strlen(figures) - 3 : 0;
	width = room >= 34 ? room - 24 : 0;
	if (width > sizeof(bar) - 3)
		width = sizeof(bar) - 3;
	if (width >= 8) {
		unsigned full = (width * percent + 50) / 100;

		bar[0] = '[';
		memset(bar + 1, '#', full);
		memset(bar + 1 + full, '-', width - full);
		bar[width + 1] = ']';
		bar[width + 2] = '\0';
		room -= width + 3;
	}
	snprintf(buf, size, "%-*.*s %s%s%s", (int)room, cut_at(label, room), label, bar,
	    bar[0] != '\0' ? " " : "", figures);
	if (room == 0 && columns < size)
		buf[columns] = '\0'; /* the figures alone are wider than that */
}

static unsigned
terminal_columns(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return COLUMNS_DEFAULT;
}

static void
draw(struct progress *p, const char *line, int len)
{
	fprintf(stderr, "\r%s%.*s%s\033[K", p->colour ? "\033[36m" : "", len, line,
	    p->colour ? "\033[0m" : "");
	(void)fflush(stderr);
	p->shown = true;
}

void
progress_show(struct progress *p, uint64_t moved, uint64_t total)
{
	char line[LINE_MAX_BYTES];

	if (!p->enabled)
		return;
	progress_line(line, sizeof(line), p->label, moved, total, clock_now_ms() - p->started,
	    terminal_columns());
	draw(p, line, (int)strlen(line));
}

void
progress_say(struct progress *p, const char *text)
{
	if (p->enabled)
		draw(p, text, cut_at(text, terminal_columns() - 1));
}

void
progress_hide(struct progress *p)
{
	if (!p->shown)
		return;
	fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	p->shown = false;
}
