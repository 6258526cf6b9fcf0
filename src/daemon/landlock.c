#include "daemon/landlock.h"

#include <errno.h>
#include <stdint.h>

#if defined HAVE_LINUX_LANDLOCK_H && HAVE_DECL_SYS_LANDLOCK_CREATE_RULESET
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The rights, and the version of the interface that each came with. Numbers, since the headers that
 * we are built with may be older than the kernel that we run on.
 */
#define RIGHT(n) (UINT64_C(1) << (n))

enum {
	EXECUTE = 0,
	WRITE_FILE = 1,
	READ_FILE = 2,
	READ_DIR = 3,
	REMOVE_DIR = 4,
	REMOVE_FILE = 5,
	MAKE_DIR = 7,
	MAKE_REG = 8,
	MAKE_SYM = 12, /* the last of the first version */
	REFER = 13,
	TRUNCATE = 14,
	IOCTL_DEV = 15
};

#define FILES_1 (RIGHT(MAKE_SYM + 1) - 1)
#define FILES_2 RIGHT(REFER)
#define FILES_3 RIGHT(TRUNCATE)
#define FILES_5 RIGHT(IOCTL_DEV)
#define NET_4   (RIGHT(0) | RIGHT(1)) /* bind TCP, connect TCP */
#define SCOPE_6 RIGHT(1)              /* signals; abstract Unix sockets are left to sd_notify(3) */

/* landlock_ruleset_attr, whole; an older kernel takes it as long as what it does not know is 0. */
struct ruleset {
	uint64_t files, net, scoped;
};

static const uint64_t grants[] = {
	[LANDLOCK_STORE] = RIGHT(WRITE_FILE) | RIGHT(READ_FILE) | RIGHT(READ_DIR) |
			   RIGHT(REMOVE_DIR) | RIGHT(REMOVE_FILE) | RIGHT(MAKE_DIR) |
			   RIGHT(MAKE_REG) | RIGHT(REFER) | RIGHT(TRUNCATE),
	[LANDLOCK_REMOVE] = RIGHT(REMOVE_FILE),
	[LANDLOCK_ALL] = RIGHT(EXECUTE) | RIGHT(READ_FILE) | RIGHT(READ_DIR),
};

static struct ruleset
known_to(long abi)
{
	struct ruleset r = { .files = FILES_1 };

	if (abi >= 2)
		r.files |= FILES_2;
	if (abi >= 3)
		r.files |= FILES_3;
	if (abi >= 4)
		r.net |= NET_4;
	if (abi >= 5)
		r.files |= FILES_5;
	if (abi >= 6)
		r.scoped |= SCOPE_6;
	return r;
}

static int
allow(int ruleset_fd, const struct ruleset *known, const struct landlock_place *place)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = grants[place->grant] & known->files,
		.parent_fd = place->fd,
	};

	return (int)syscall(
	    SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0U);
}

int
landlock_enter(const struct landlock_place *places, size_t count)
{
	long abi =
	    syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset known = known_to(abi);
	int fd, err = 0;

	if (abi < 1)
		return -errno;
	fd = (int)syscall(SYS_landlock_create_ruleset, &known, sizeof(known), 0U);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < count && err == 0; i++)
		err = allow(fd, &known, &places[i]) == 0 ? 0 : errno;
	if (err == 0 && syscall(SYS_landlock_restrict_self, fd, 0U) != 0)
		err = errno;
	close(fd);
	return err == 0 ? (int)abi : -err;
}

#else

int
landlock_enter(const struct landlock_place *places, size_t count)
{
	(void)places;
	(void)count;
	return -ENOSYS;
}

#endif
