/* Part of fake_sys.h: calls that only look at files and directories. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "unit/fake_sys.h"

/* The C library's own (dlsym(3): a function's address comes as a void pointer). */
#define REAL(name) (*(void **)&real = dlsym(RTLD_NEXT, #name))

static int
fake_fails(int err)
{
	if (err != 0)
		errno = err;
	return err;
}

struct dirent *
readdir(DIR *dir)
{
	static struct dirent made_up;
	struct dirent *(*real)(DIR *);

	REAL(readdir);
	if (fake_fails(fake_orders.readdir))
		return NULL;
	if (fake_orders.found_names == NULL)
		return real(dir);
	if (*fake_orders.found_names == NULL)
		return NULL;
	snprintf(made_up.d_name, sizeof(made_up.d_name), "%s", *fake_orders.found_names++);
	return &made_up;
}

int
fstatat(int dir, const char *path, struct stat *st, int flags)
{
	int (*real)(int, const char *, struct stat *, int);

	REAL(fstatat);
	if (fake_orders.fstatat != 0 && fake_orders.fstatat_skip > 0)
		fake_orders.fstatat_skip--;
	else if (fake_fails(fake_orders.fstatat))
		return -1;
	return real(dir, path, st, flags);
}

ssize_t
fgetxattr(int fd, const char *name, void *value, size_t size)
{
	ssize_t (*real)(int, const char *, void *, size_t);

	REAL(fgetxattr);
	if (fake_fails(fake_orders.fgetxattr))
		return -1;
	return real(fd, name, value, size);
}
