#include "slowfs/passthrough.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What the kernel sends before it has an answer, as a disk has a queue of some length. */
#define QUEUE_LENGTH 64
#define REQUEST_MAX  (1 << 20)

static struct passthrough *
self(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static int
dir_fd(fuse_req_t req, fuse_ino_t ino)
{
	return inode_fd(self(req)->inodes, ino);
}

static void
reply_status(fuse_req_t req, int failed)
{
	fuse_reply_err(req, failed != 0 ? errno : 0);
}

/* Reads are not background work: there they would wait until writes have left it. */
static void
on_init(void *arg, struct fuse_conn_info *conn)
{
	const struct passthrough *p = arg;

	conn->want &= ~(unsigned)(FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
				  FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ);
	if (!p->write_through)
		conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	conn->max_background = QUEUE_LENGTH;
	conn->congestion_threshold = QUEUE_LENGTH;
	conn->max_write = REQUEST_MAX;
}

/* Names */

static void
on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	int err = inode_lookup(self(req)->inodes, parent, name, &e);

	if (err != 0)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

static void
on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	inode_forget(self(req)->inodes, ino, count);
	fuse_reply_none(req);
}

static void
on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inode_forget(self(req)->inodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void
on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (mkdirat(dir_fd(req, parent), name, mode) != 0)
		fuse_reply_err(req, errno);
	else
		on_lookup(req, parent, name);
}

static void
on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_status(req, unlinkat(dir_fd(req, parent), name, 0));
}

static void
on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_status(req, unlinkat(dir_fd(req, parent), name, AT_REMOVEDIR));
}

static void
on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
    const char *new_name, unsigned flags)
{
	reply_status(
	    req, renameat2(dir_fd(req, parent), name, dir_fd(req, new_parent), new_name, flags));
}

static void
on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	char path[32];

	inode_path(self(req)->inodes, ino, path);
	if (linkat(AT_FDCWD, path, dir_fd(req, parent), name, AT_SYMLINK_FOLLOW) != 0)
		fuse_reply_err(req, errno);
	else
		on_lookup(req, parent, name);
}

/* Attributes */

static void
on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (fstat(dir_fd(req, ino), &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, FOR_EVER);
}

static int
set_times(const char *path, const struct stat *attr, int to_set)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0)
		times[0].tv_nsec = UTIME_NOW;
	else if ((to_set & FUSE_SET_ATTR_ATIME) != 0)
		times[0] = attr->st_atim;
	if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0)
		times[1].tv_nsec = UTIME_NOW;
	else if ((to_set & FUSE_SET_ATTR_MTIME) != 0)
		times[1] = attr->st_mtim;
	return utimensat(AT_FDCWD, path, times, 0);
}

static void
on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	uid_t uid = (to_set & FUSE_SET_ATTR_UID) != 0 ? attr->st_uid : (uid_t)-1;
	gid_t gid = (to_set & FUSE_SET_ATTR_GID) != 0 ? attr->st_gid : (gid_t)-1;
	int failed = 0;
	char path[32];

	inode_path(self(req)->inodes, ino, path);
	if ((to_set & FUSE_SET_ATTR_MODE) != 0)
		failed = chmod(path, attr->st_mode & 07777);
	if (failed == 0 && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0)
		failed = chown(path, uid, gid);
	if (failed == 0 && (to_set & FUSE_SET_ATTR_SIZE) != 0)
		failed = fi != NULL ? ftruncate((int)fi->fh, attr->st_size)
				    : truncate(path, attr->st_size);
	if (failed == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) != 0)
		failed = set_times(path, attr, to_set);
	if (failed != 0)
		fuse_reply_err(req, errno);
	else
		on_getattr(req, ino, fi);
}

static void
on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(dir_fd(req, ino), &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

/* Content */

/*
 * The kernel reads what it writes a part of, and itself knows where the end is. What was asked to
 * go round its cache does so, but may be in the one below.
 */
static int
open_flags(const struct fuse_file_info *fi)
{
	int flags = fi->flags & ~(O_APPEND | O_DIRECT | O_NOFOLLOW | O_SYNC | O_DSYNC);

	if ((flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return flags | O_CLOEXEC;
}

/* What is in the kernel's cache stays there from one opening to the next. */
static void
set_open(struct fuse_file_info *fi, int fd)
{
	fi->fh = (uint64_t)fd;
	fi->keep_cache = 1;
}

static void
on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	char path[32];
	int fd;

	inode_path(self(req)->inodes, ino, path);
	fd = open(path, open_flags(fi));
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	set_open(fi, fd);
	fuse_reply_open(req, fi);
}

static void
on_create(
    fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	int fd = openat(dir_fd(req, parent), name, open_flags(fi) | O_CREAT | O_NOFOLLOW, mode);
	int err = fd < 0 ? errno : inode_lookup(self(req)->inodes, parent, name, &e);

	if (err != 0) {
		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, err);
		return;
	}
	set_open(fi, fd);
	fuse_reply_create(req, &e, fi);
}

static void
on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close((int)fi->fh);
	fuse_reply_err(req, 0);
}

static void
on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)ino;
	disk_read(self(req)->disk, req, (int)fi->fh, size, offset);
}

static void
on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
    struct fuse_file_info *fi)
{
	(void)ino;
	disk_write(self(req)->disk, req, (int)fi->fh, data, size, offset);
}

static void
on_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)ino;
	disk_sync(self(req)->disk, req, (int)fi->fh, data_only != 0);
}

static void
on_fallocate(
    fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
	(void)ino;
	reply_status(req, fallocate((int)fi->fh, mode, offset, len));
}

/* Directories */

static DIR *
dir_of(const struct fuse_file_info *fi)
{
	return (DIR *)(uintptr_t)fi->fh; /* NOLINT(performance-no-int-to-ptr): ours, given back */
}

static void
on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = openat(dir_fd(req, ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, err);
		return;
	}
	fi->fh = (uintptr_t)dir;
	fuse_reply_open(req, fi);
}

static void
on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	DIR *dir = dir_of(fi);
	char *list = malloc(size);
	size_t used = 0;
	struct dirent *entry;

	(void)ino;
	if (list == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	seekdir(dir, offset);
	while ((entry = readdir(dir)) != NULL) {
		struct stat st = { .st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type) };
		size_t need = fuse_add_direntry(
		    req, list + used, size - used, entry->d_name, &st, entry->d_off);

		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, list, used);
	free(list);
}

static void
on_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	closedir(dir_of(fi));
	fuse_reply_err(req, 0);
}

/* At once: while it waits the kernel would let nobody look for a name there, as no disk's does. */
static void
on_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int fd = dirfd(dir_of(fi));

	(void)ino;
	reply_status(req, data_only != 0 ? fdatasync(fd) : fsync(fd));
}

const struct fuse_lowlevel_ops passthrough_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.link = on_link,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.statfs = on_statfs,
	.open = on_open,
	.create = on_create,
	.release = on_release,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.fallocate = on_fallocate,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.releasedir = on_releasedir,
	.fsyncdir = on_fsyncdir,
};
