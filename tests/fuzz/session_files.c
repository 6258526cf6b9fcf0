#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/session.h"
#include "store/root.h"
#include "unit/fake_sys.h"

static void
write_file(const struct play *play, const char *name, unsigned content, size_t size)
{
	static uint8_t bytes[PLAY_BYTES];
	char path[256];
	int fd;

	content_fill(content, 0, bytes, size);
	snprintf(path, sizeof(path), "%s/%s", play->st.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* Never other bytes in a file that may be open: only its length. */
void
play_change_file(struct play *play, uint8_t k)
{
	bool in_dir = (k & 4) != 0;
	char path[256], to[256];

	if (play_is_client(play) || play->removed[in_dir])
		return;
	snprintf(path, sizeof(path), "%s/%s", play->st.dir, in_dir ? "dir/old" : "old");
	snprintf(to, sizeof(to), "%s/empty", play->st.dir);
	switch (k & 3) {
	case 0:
		CHECK(unlink(path) == 0);
		play->removed[in_dir] = true; /* the name may be a peer's now */
		break;
	case 1:
		CHECK(truncate(path, 1000) == 0);
		break;
	case 2:
		write_file(play, "empty", CONTENT_REPLACED, 3000);
		CHECK(rename(to, path) == 0);
		write_file(play, "empty", CONTENT_FOUND, 0);
		break;
	default:
		write_file(play, in_dir ? "dir/old" : "old", CONTENT_FOUND, 6000);
	}
}

void
play_make_files(const struct play *play)
{
	char path[256];

	if (play_is_client(play)) {
		if (play->half == PLAY_CLIENT_UPLOAD || play->replaces)
			write_file(play, PLAY_LOCAL, CONTENT_LOCAL, play->local_size);
		return;
	}
	snprintf(path, sizeof(path), "%s/dir", play->st.dir);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "%s/link", play->st.dir);
	CHECK(symlink("old", path) == 0);
	write_file(play, "old", CONTENT_FOUND, 5000);
	write_file(play, "dir/old", CONTENT_FOUND, 100000);
	write_file(play, "empty", CONTENT_FOUND, 0);
}

void
play_let_fail(struct play *play, uint8_t k)
{
	static const int errors[] = { EIO, ENOSPC, EPERM, EEXIST };
	int err = errors[(k >> 3) & 3];

	fake_orders.fsync_file = (k & 7) == 1 ? EIO : 0;
	fake_orders.fsync_dir = (k & 7) == 2 ? EIO : 0;
	play->unsynced |= (k & 7) == 2;
	fake_orders.link = (k & 7) == 3 ? err : 0;
	fake_orders.rename = (k & 7) == 4 ? err : 0;
	fake_orders.write = (k & 7) == 5 ? err : 0;
	fake_orders.free_bytes = (k & 7) == 6 ? 1 : PLAY_FREE_BYTES;
}

void
play_sweep(const struct play *play)
{
	atomic_bool stop = false;
	struct root *root;
	unsigned removed;

	fake_orders = (struct fake_orders){ 0 };
	CHECK(root_open(&root, play->st.dir, ROOT_EXCLUSIVE, 0640) == FTX_OK);
	if (root_needs_sweep(root)) {
		CHECK(root_sweep(root, play->st.dir, &stop, &removed) == FTX_OK);
		CHECK(removed == 0);
	}
	root_close(root);
}
