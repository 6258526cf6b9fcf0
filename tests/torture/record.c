#include "torture/record.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *trace; /* NULL: nothing is written down */

struct count {
	const char *kind;
	unsigned calls;
};

static struct count counts[16];

static void __attribute__((constructor)) record_start(void)
{
	const char *path = getenv("FTX_RECORD_TRACE");

	if (path == NULL)
		return;
	trace = fopen(path, "ae");
	if (trace == NULL) {
		perror(path);
		_Exit(125);
	}
}

void
record_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
record_unlock(void)
{
	int err = errno;

	pthread_mutex_unlock(&lock);
	errno = err;
}

static void
put(const char *text)
{
	if (trace != NULL)
		fputs(text, trace);
}

void
record_begin(const char *op)
{
	put("{\"op\": \"");
	put(op);
	put("\"");
}

static void
put_key(const char *key)
{
	put(", \"");
	put(key);
	put("\": ");
}

void
record_number(const char *key, long long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", number);
	put_key(key);
	put(text);
}

void
record_text(const char *key, const char *text)
{
	put_key(key);
	put("\"");
	for (const char *p = text; *p != '\0'; p++) {
		char out[8] = { *p, '\0' };

		if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			snprintf(out, sizeof(out), "\\u%04x", (unsigned)(unsigned char)*p);
		put(out);
	}
	put("\"");
}

void
record_inode(const char *key, const struct stat *st)
{
	char text[80];

	snprintf(text, sizeof(text), "[%llu, %llu, \"%s\"]", (unsigned long long)st->st_dev,
	    (unsigned long long)st->st_ino,
	    S_ISREG(st->st_mode)   ? "file"
	    : S_ISDIR(st->st_mode) ? "dir"
				   : "other");
	put_key(key);
	put(text);
}

void
record_data(const char *key, const struct iovec *iov, size_t len)
{
	char out[4];

	put_key(key);
	put("\"");
	for (; len > 0; iov++) {
		const unsigned char *p = iov->iov_base;
		size_t n = iov->iov_len < len ? iov->iov_len : len;

		for (size_t i = 0; i < n; i++) {
			snprintf(out, sizeof(out), "%02x", p[i]);
			put(out);
		}
		len -= n;
	}
	put("\"");
}

void
record_end(void)
{
	put("}\n");
	if (trace != NULL && fflush(trace) != 0)
		abort(); /* a trace with holes proves nothing */
}

/* The directory that the last component of path stands in, and that component. */
static bool
find_parent(int dir, const char *path, struct stat *st, const char **leaf)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];

	*leaf = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		return fstatat(dir, "", st, AT_EMPTY_PATH) == 0;
	if (slash == path)
		slash++;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return fstatat(dir, parent, st, 0) == 0;
}

void
record_place(const char *dir_key, const char *name_key, int dir, const char *path)
{
	const char *leaf;
	struct stat st;

	if (!find_parent(dir, path, &st, &leaf))
		abort();
	record_inode(dir_key, &st);
	record_text(name_key, leaf);
}

/* The descriptor's, where it is a regular file. */
bool
record_is_file(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode);
}

void
record_create(const struct stat *st, int dir, const char *path)
{
	record_begin(S_ISDIR(st->st_mode) ? "mkdir" : "create");
	record_inode("inode", st);
	record_number("mode", st->st_mode & 07777);
	if (path != NULL)
		record_place("dir", "name", dir, path);
	record_end();
}

/* The environment variable's list, `KIND[:N],...`, holds this kind. *nth is N, or 0 for all. */
static bool
listed(const char *variable, const char *kind, unsigned *nth)
{
	const char *list = getenv(variable);
	size_t len = strlen(kind);

	*nth = 0;
	for (const char *p = list; p != NULL && *p != '\0'; p += *p == ',') {
		size_t n = strcspn(p, ",:");

		if (n == len && memcmp(p, kind, n) == 0) {
			if (p[n] == ':')
				*nth = (unsigned)strtoul(p + n + 1, NULL, 10);
			return true;
		}
		p += strcspn(p, ",");
	}
	return false;
}

bool
record_fails(const char *kind)
{
	unsigned nth;

	return listed("FTX_RECORD_FAIL", kind, &nth);
}

bool
record_drops(const char *kind)
{
	unsigned nth;

	if (!listed("FTX_RECORD_DROP", kind, &nth))
		return false;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i].kind == NULL)
			counts[i].kind = kind;
		if (strcmp(counts[i].kind, kind) == 0) {
			counts[i].calls++;
			return nth == 0 || counts[i].calls == nth;
		}
	}
	return false;
}
