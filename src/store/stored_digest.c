#include "store/stored_digest.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifdef HAVE_SYS_XATTR_H
#include <sys/xattr.h>
#endif

#include "base/cursor.h"
#include "store/digest.h"

#define FORMAT     2
#define HEAD_SIZE  22 /* all but the digest */
#define VALUE_SIZE (HEAD_SIZE + DIGEST_MAX)

/* An inode of 256 bytes has room for it (ext4(5)); if it had not, each file took a block more. */
_Static_assert(VALUE_SIZE <= 56, "it does not fit into an inode");

/* What stands before the digest of a file that is like this. */
static void
head_of(uint8_t head[HEAD_SIZE], enum digest_kind kind, const struct stat *st)
{
	struct cursor_out out = cursor_out_init(head, HEAD_SIZE);

	cursor_put_u8(&out, FORMAT);
	cursor_put_u8(&out, (uint8_t)kind);
	cursor_put_u64(&out, (uint64_t)st->st_size);
	cursor_put_u64(&out, (uint64_t)st->st_mtim.tv_sec);
	cursor_put_u32(&out, (uint32_t)st->st_mtim.tv_nsec);
}

#ifdef HAVE_SYS_XATTR_H

bool
stored_digest_write_for(int fd, const struct stat *st, const struct digest_value *v)
{
	uint8_t value[VALUE_SIZE];
	size_t len = digest_size(v->kind);

	if (v->kind == DIGEST_NONE)
		return false;
	head_of(value, v->kind, st);
	memcpy(value + HEAD_SIZE, v->bytes, len);
	return fsetxattr(fd, STORED_DIGEST_XATTR, value, HEAD_SIZE + len, 0) == 0;
}

static ssize_t
read_value(int fd, uint8_t value[VALUE_SIZE])
{
	return fgetxattr(fd, STORED_DIGEST_XATTR, value, VALUE_SIZE);
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
read_value(int fd, uint8_t value[VALUE_SIZE])
{
	(void)fd;
	(void)value;
	return -1;
}

#endif

bool
stored_digest_write(int fd, const struct digest_value *v)
{
	struct stat st;

	return v->kind != DIGEST_NONE && fstat(fd, &st) == 0 && stored_digest_write_for(fd, &st, v);
}

/*
 * Nothing is taken apart: for each kind we know what must stand there, and compare. So what
 * somebody else wrote has no way to be misunderstood.
 */
bool
stored_digest_read(int fd, const struct stat *st, struct digest_value *v)
{
	uint8_t value[VALUE_SIZE], head[HEAD_SIZE];
	ssize_t n = read_value(fd, value);

	*v = (struct digest_value){ .kind = DIGEST_NONE };
	for (int kind = DIGEST_NONE + 1; n > 0 && kind < DIGEST_KINDS; kind++) {
		size_t len = digest_size((enum digest_kind)kind);

		head_of(head, (enum digest_kind)kind, st);
		if ((size_t)n != HEAD_SIZE + len || memcmp(value, head, HEAD_SIZE) != 0)
			continue;
		v->kind = (enum digest_kind)kind;
		memcpy(v->bytes, value + HEAD_SIZE, len);
		return true;
	}
	return false;
}
