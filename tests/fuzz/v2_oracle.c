#include "fuzz/v2_oracle.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"
#include "store/root.h"
#include "store/uploads.h"
#include "v2/message.h"

uint8_t letters[CONTENTS];

void
oracle_frames(const uint8_t *heard, size_t len)
{
	struct v2_gate gate = { V2_SERVER, false, V2_DATA_MIN };
	size_t at = V2_PREFACE_SIZE;

	CHECK(v2_preface_begins(heard, len < at ? len : at));
	while (at < len) {
		struct v2_fault fault;
		struct v2_frame f;
		size_t size;
		enum v2_next next = v2_frame_next(heard + at, len - at, &gate, &f, &size, &fault);

		if (next == V2_NEXT_MORE)
			return;
		CHECK(next != V2_NEXT_FAULT && fault.reach == V2_REACH_NONE);
		gate.greeted |= f.type == V2_HELLO;
		at += size + (next == V2_NEXT_DATA ? f.length : 0);
	}
}

static bool
is_stage(const char *name)
{
	return strncmp(name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) == 0;
}

static void
check_content(int fd, off_t size)
{
	static uint8_t content[CONTENTS];

	if ((size_t)size > CONTENTS)
		return;
	CHECK(read(fd, content, CONTENTS) == size);
	CHECK(memcmp(content, letters, (size_t)size) == 0);
}

/* Returns how many stages there are. u: of which each must be; NULL: that is not looked at. */
static unsigned
check_dir(int fd, struct uploads *u)
{
	DIR *d = fdopendir(fd);
	unsigned stages = 0;
	struct dirent *e;

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		struct stat s;
		int file;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (is_stage(e->d_name)) {
			CHECK(u == NULL || uploads_keep(u, e->d_name));
			stages++; /* what it holds only its digest will tell */
			continue;
		}
		if (path_is_reserved(e->d_name, strlen(e->d_name)))
			continue;
		if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		file = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (S_ISDIR(s.st_mode) && file >= 0) {
			stages += check_dir(file, u);
			continue;
		}
		if (S_ISREG(s.st_mode))
			check_content(file, s.st_size);
		if (file >= 0)
			close(file);
	}
	closedir(d);
	return stages;
}

void
oracle_files(int fd)
{
	(void)check_dir(fd, NULL);
}

static int
open_dir(const char *dir)
{
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void
oracle_kept(const char *dir)
{
	struct root *r;

	CHECK(root_open(&r, dir, ROOT_EXCLUSIVE, 0640) == FTX_OK);
	CHECK(root_keep_uploads(r) == FTX_OK);
	CHECK(!root_needs_sweep(r));
	(void)check_dir(open_dir(dir), r->uploads);
	uploads_set_limits(r->uploads, 1, 0);
	uploads_expire(r->uploads, UINT64_MAX);
	CHECK(check_dir(open_dir(dir), r->uploads) == 0);
	root_close(r);
}
