#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "conf/error.h"
#include "conf/literal.h"

#define SOURCE_NAME_SIZE 300 /* of a file's name in an error; a longer one is cut */

/* A file being read, and the one that includes it. */
struct frame {
	const struct frame *parent; /* NULL: the main file */
	size_t file;
	unsigned depth;
	dev_t dev;
	ino_t ino;
};

static bool source_include(struct source *src, const struct frame *parent, const char *path,
    bool *missing, struct option_error *err);

/*
 * The array with room for one more, maybe moved; NULL: out of memory, and it stands where it was.
 */
static void *
grow(void *items, size_t count, size_t size)
{
	return count % 16 != 0 ? items : realloc(items, (count + 16) * size);
}

static bool
source_append(struct source *src, const char *p, size_t len, struct option_error *err)
{
	if (src->len + len + 1 > src->room) {
		size_t room = (src->len + len + 1) * 2;
		char *bigger = realloc(src->text, room);

		if (bigger == NULL)
			return option_error_set(err, "out of memory");
		src->text = bigger;
		src->room = room;
	}
	memcpy(src->text + src->len, p, len);
	src->len += len;
	src->text[src->len] = '\0';
	for (size_t i = 0; i < len; i++)
		src->line += p[i] == '\n';
	return true;
}

/*
 * What is appended from now on is that file's, from that line on. The text ends with a newline
 * here, or is empty.
 */
static bool
source_start_part(struct source *src, size_t file, unsigned line, struct option_error *err)
{
	struct source_part *parts = grow(src->parts, src->part_count, sizeof(*parts));

	if (parts == NULL)
		return option_error_set(err, "out of memory");
	src->parts = parts;
	src->parts[src->part_count++] = (struct source_part){ src->line, file, line };
	return true;
}

/* Takes a copy. */
static bool
source_add_file(struct source *src, const char *path, struct option_error *err)
{
	char **files = grow(src->files, src->file_count, sizeof(*files));

	if (files == NULL)
		return option_error_set(err, "out of memory");
	src->files = files;
	files[src->file_count] = strdup(path);
	if (files[src->file_count] == NULL)
		return option_error_set(err, "out of memory");
	src->file_count++;
	return true;
}

static bool
complain_file(const char *what, const char *path, const char *why, struct option_error *err)
{
	char name[SOURCE_NAME_SIZE];

	return option_error_set(
	    err, "%s %s: %s", what, log_quote(name, sizeof(name), path, strlen(path)), why);
}

/*
 * Opens it. The main file may be anything that can be read to an end, a pipe too; an included one
 * is a regular file. Neither hangs on a FIFO that an @include names.
 */
static int
open_file(const char *path, struct frame *f, bool *missing, struct option_error *err)
{
	bool main_file = f->parent == NULL;
	const char *what = main_file ? "cannot read" : "cannot include";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (main_file ? 0 : O_NONBLOCK));
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		*missing = errno == ENOENT;
		complain_file(what, path, ftx_errno_text(errno), err);
		goto fail;
	}
	if (S_ISDIR(st.st_mode)) {
		complain_file(what, path, ftx_errno_text(EISDIR), err);
		goto fail;
	}
	if (!main_file && !S_ISREG(st.st_mode)) {
		complain_file(what, path, "it is not a regular file", err);
		goto fail;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	for (const struct frame *up = f->parent; up != NULL; up = up->parent) {
		if (up->dev == f->dev && up->ino == f->ino) {
			complain_file(what, path, "it includes itself", err);
			goto fail;
		}
	}
	return fd;

fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The whole file, ending with NUL; owned by the caller. NULL: err says why. */
static char *
read_file(struct source *src, const char *path, int fd, size_t *size, struct option_error *err)
{
	size_t len = 0, room = 4096;
	char *text = malloc(room);

	while (text != NULL) {
		ssize_t n = read(fd, text + len, room - len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain_file("cannot read", path, ftx_errno_text(errno), err);
			goto fail;
		}
		len += (size_t)n;
		src->read += (size_t)n;
		text[len] = '\0';
		*size = len;
		if (n == 0)
			return text;
		if (src->read > SOURCE_SIZE_MAX) {
			complain_file("cannot read", path, "a configuration of over 1 MiB", err);
			goto fail;
		}
		if (len + 1 == room) {
			char *bigger = realloc(text, room * 2);

			if (bigger == NULL)
				break;
			text = bigger;
			room *= 2;
		}
	}
	option_error_set(err, "out of memory");
fail:
	free(text);
	return NULL;
}

/*
 * What an @include names: without the escapes, and beside the main file if it is relative. NULL:
 * out of memory.
 */
static char *
include_name(const struct source *src, const struct literal *l)
{
	const char *slash = strrchr(src->files[0], '/'), *p = l->path;
	size_t dir = l->path[0] == '/' || slash == NULL ? 0 : (size_t)(slash - src->files[0]) + 1;
	char *name = malloc(dir + l->path_len + 1), *to;

	if (name == NULL)
		return NULL;
	memcpy(name, src->files[0], dir);
	for (to = name + dir; p < l->path + l->path_len; p++) {
		p += p[0] == '\\' && (p[1] == '\\' || p[1] == '"');
		*to++ = *p;
	}
	*to = '\0';
	return name;
}

static bool
source_follow(
    struct source *src, const struct frame *f, const struct literal *l, struct option_error *err)
{
	char *name = include_name(src, l);
	bool missing, ok = false;

	if (name == NULL)
		option_error_set(err, "out of memory");
	else if (f->depth == SOURCE_DEPTH_MAX)
		complain_file("cannot include", name, "includes are nested too deep", err);
	else
		ok = source_include(src, f, name, &missing, err);
	free(name);
	return ok && source_start_part(src, f->file, l->line, err);
}

/* Without the zeros in front: libconfig 1.7 and 1.8 read 010 as 8, 1.5 and 1.8.2 as 10. */
static bool
source_append_integer(struct source *src, const struct literal *l, struct option_error *err)
{
	const char *p = l->start, *end = l->start + l->len;

	if (*p == '-' || *p == '+') {
		if (!source_append(src, p, 1, err))
			return false;
		p++;
	}
	while (p + 1 < end && p[0] == '0' && p[1] >= '0' && p[1] <= '9')
		p++;
	return source_append(src, p, (size_t)(end - p), err);
}

/* Copies a file's text, with the includes in their places. An error without a place gets l's. */
static bool
source_expand(struct source *src, const struct frame *f, const char *text, struct option_error *err)
{
	struct literal_scan scan = literal_scan_init(text);
	const char *copied = text;
	struct literal l;
	bool ok = source_start_part(src, f->file, 1, err);

	do {
		literal_next(&scan, &l);
		if (l.kind == LITERAL_INTEGER)
			literal_check(&l);
		if (l.kind == LITERAL_MISTAKE)
			ok = option_error_set(err, "%s", l.why);
		if (!ok || l.kind == LITERAL_END)
			break;
		ok = source_append(src, copied, (size_t)(l.start - copied), err);
		copied = l.start + l.len;
		if (ok && l.kind == LITERAL_INTEGER)
			ok = source_append_integer(src, &l, err);
		else if (ok)
			ok = source_follow(src, f, &l, err);
	} while (ok);
	if (!ok && err->line == 0)
		option_error_locate(err, src->files[f->file], l.line);
	/*
	 * The last line needs its end: what follows may be the includer's next line, or a comment
	 * without one.
	 */
	return ok && source_append(src, copied, strlen(copied), err) &&
	       (src->len == 0 || src->text[src->len - 1] == '\n' ||
		   source_append(src, "\n", 1, err));
}

/* libconfig takes a NUL for the end of the text. */
static bool
check_nul(const char *text, size_t len, const char *path, struct option_error *err)
{
	const char *nul = memchr(text, '\0', len);
	unsigned line = 1;

	if (nul == NULL)
		return true;
	for (const char *p = text; p < nul; p++)
		line += *p == '\n';
	option_error_set(err, "there is a NUL byte here: this is not a text");
	option_error_locate(err, path, line);
	return false;
}

/* The main file, or one that it includes: reads, checks and appends it. */
static bool
source_include(struct source *src, const struct frame *parent, const char *path, bool *missing,
    struct option_error *err)
{
	struct frame f = { .parent = parent,
		.file = src->file_count,
		.depth = parent == NULL ? 0 : parent->depth + 1 };
	int fd = open_file(path, &f, missing, err);
	char *text;
	size_t len;
	bool ok = false;

	if (fd < 0)
		return false;
	text = read_file(src, path, fd, &len, err);
	close(fd);
	if (text != NULL && check_nul(text, len, path, err) && source_add_file(src, path, err))
		ok = source_expand(src, &f, text, err);
	free(text);
	return ok;
}

bool
source_read(struct source *src, const char *path, bool *missing, struct option_error *err)
{
	*src = (struct source){ .line = 1 };
	*missing = false;
	if (source_include(src, NULL, path, missing, err))
		return true;
	source_clear(src);
	return false;
}

void
source_clear(struct source *src)
{
	for (size_t i = 0; i < src->file_count; i++)
		free(src->files[i]);
	free(src->files);
	free(src->parts);
	free(src->text);
	*src = (struct source){ 0 };
}

void
source_locate(const struct source *src, unsigned text_line, struct option_error *err)
{
	const struct source_part *part;
	size_t i = src->part_count;

	if (text_line >= src->line && src->line > 1)
		text_line = src->line - 1; /* the end is said to be on the last line */
	while (i > 1 && src->parts[i - 1].text_line > text_line)
		i--;
	part = &src->parts[i - 1];
	option_error_locate(err, src->files[part->file], part->line + text_line - part->text_line);
}
