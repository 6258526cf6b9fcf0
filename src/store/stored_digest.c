#include "store/stored_digest.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifdef HAVE_SYS_XATTR_H
#include <sys/xattr.h>
#endif

#include "store/digest.h"

/* All but the digest: the longest kind, the largest numbers, and blanks. */
#define HEAD_SIZE 96
#define TEXT_SIZE (HEAD_SIZE + DIGEST_HEX_SIZE)

/* In decimal, as wide as that at least. (snprintf(3) takes about as long as a system call.) */
static size_t
put_decimal(char *out, uint64_t v, size_t width)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0 || n < width);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

/* What stands before the digest of a file that is like this. Returns its length. */
static size_t
head_of(char head[HEAD_SIZE], enum digest_kind kind, const struct stat *st)
{
	const char *name = digest_name(kind);
	size_t name_len = strlen(name), len = 0;
	int64_t seconds = st->st_mtim.tv_sec;

	head[len++] = '1';
	head[len++] = ' ';
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): more follows */
	memcpy(head + len, name, name_len);
	len += name_len;
	head[len++] = ' ';
	len += put_decimal(head + len, (uint64_t)st->st_size, 1);
	head[len++] = ' ';
	if (seconds < 0)
		head[len++] = '-';
	len += put_decimal(head + len, seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds, 1);
	head[len++] = '.';
	len += put_decimal(head + len, (uint64_t)st->st_mtim.tv_nsec, 9);
	head[len++] = ' ';
	return len;
}

#ifdef HAVE_SYS_XATTR_H

bool
stored_digest_write_for(int fd, const struct stat *st, const struct digest_value *v)
{
	char text[TEXT_SIZE], hex[DIGEST_HEX_SIZE];
	size_t len;

	if (v->kind == DIGEST_NONE)
		return false;
	len = head_of(text, v->kind, st);
	digest_hex(v, hex);
	memcpy(text + len, hex, strlen(hex));
	return fsetxattr(fd, STORED_DIGEST_XATTR, text, len + strlen(hex), 0) == 0;
}

static ssize_t
read_text(int fd, char text[TEXT_SIZE])
{
	return fgetxattr(fd, STORED_DIGEST_XATTR, text, TEXT_SIZE);
}

#else

bool
stored_digest_write_for(int fd, const struct stat *st, const struct digest_value *v)
{
	(void)fd;
	(void)st;
	(void)v;
	return false;
}

static ssize_t
read_text(int fd, char text[TEXT_SIZE])
{
	(void)fd;
	(void)text;
	return -1;
}

#endif

bool
stored_digest_write(int fd, const struct digest_value *v)
{
	struct stat st;

	return v->kind != DIGEST_NONE && fstat(fd, &st) == 0 && stored_digest_write_for(fd, &st, v);
}

/* -1: it is no digit as digest_hex() writes them. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_hex(const char *hex, size_t len, struct digest_value *v)
{
	if (len != 2 * digest_size(v->kind))
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return false;
		v->bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/*
 * Nothing is taken apart: for each kind we know what must stand there, and compare. So what
 * somebody else wrote has no way to be misunderstood.
 */
bool
stored_digest_read(int fd, const struct stat *st, struct digest_value *v)
{
	char text[TEXT_SIZE], head[HEAD_SIZE];
	ssize_t n = read_text(fd, text);

	for (int kind = DIGEST_NONE + 1; n > 0 && kind < DIGEST_KINDS; kind++) {
		size_t len = head_of(head, (enum digest_kind)kind, st);

		*v = (struct digest_value){ .kind = (enum digest_kind)kind };
		if ((size_t)n > len && memcmp(text, head, len) == 0 &&
		    read_hex(text + len, (size_t)n - len, v))
			return true;
	}
	*v = (struct digest_value){ .kind = DIGEST_NONE };
	return false;
}
