#include "daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif
#if defined HAVE_LINUX_CAPABILITY_H && HAVE_DECL_SYS_CAPSET
#include <linux/capability.h>
#include <sys/syscall.h>

#define ROOT_KEEPS (UINT32_C(1) << CAP_DAC_OVERRIDE)
#endif

#include "base/rc.h"
#include "base/log.h"
#include "daemon/landlock.h"

/*
 * Root
 */

/* A system without accounts (a bare container) has root nevertheless. */
static bool
stays_root(const char *user, const struct passwd *account)
{
	return account != NULL ? account->pw_uid == 0 : strcmp(user, "root") == 0;
}

/* Now, or by a way back: a program that starts us may have left the effective user only. */
static bool
may_be_root(void)
{
	uid_t ruid, euid, suid;

	return getresuid(&ruid, &euid, &suid) != 0 || ruid == 0 || euid == 0 || suid == 0;
}

static bool
is_only(uid_t uid, gid_t gid)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	return getresuid(&ruid, &euid, &suid) == 0 && getresgid(&rgid, &egid, &sgid) == 0 &&
	       ruid == uid && euid == uid && suid == uid && rgid == gid && egid == gid &&
	       sgid == gid;
}

/* Of the storage root: 0, or why not. */
static int
may_write(const struct privileges_needs *needs)
{
	if (faccessat(needs->root_fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return errno;
}

/*
 * What was opened as root must be of use to the new user, too. Tried out while there is a way back,
 * so that what a start that fails has made can be removed.
 */
static int
check_storage(const struct privileges_needs *needs, const struct passwd *account)
{
	const uid_t same = (uid_t)-1;
	int err;

	if (setresuid(same, account->pw_uid, same) != 0)
		return 0; /* said when it is tried for good */
	err = may_write(needs);
	if (setresuid(same, 0, same) == 0 && (err == 0 || err == EROFS))
		return 0;
	log_error("storage root %s: the user %s may not write to it: give it to that user (chown "
		  "%s), or name another one with the option user",
	    needs->storage_root, needs->user, needs->user);
	return EX_NOPERM;
}

static int
become(const struct privileges_needs *needs, const struct passwd *account)
{
	int code;

	if (initgroups(account->pw_name, account->pw_gid) != 0 ||
	    setresgid(account->pw_gid, account->pw_gid, account->pw_gid) != 0)
		goto fail;
	code = check_storage(needs, account);
	if (code != 0)
		return code;
	if (setresuid(account->pw_uid, account->pw_uid, account->pw_uid) != 0)
		goto fail;
	/* Not taken on trust: a way back would be there for whoever breaks in. */
	if (is_only(account->pw_uid, account->pw_gid) && setuid(0) != 0)
		return 0;
	log_error(
	    "the user %s can become root again; start ftxferd as that user", account->pw_name);
	return EX_OSERR;
fail:
	log_error("cannot become the user %s: %s; start ftxferd as that user, or give it the "
		  "right to change users",
	    account->pw_name, ftx_errno_text(errno));
	return EX_NOPERM;
}

static int
leave_root(const struct privileges_needs *needs, struct privileges_left *left)
{
	const struct passwd *account;

	if (!may_be_root())
		return 0;
	if (geteuid() != 0 && setresuid(0, 0, 0) != 0) {
		log_error("cannot become root to become another user: %s", ftx_errno_text(errno));
		return EX_NOPERM;
	}
	errno = 0;
	/* cppcheck-suppress getpwnamCalled; before there are threads */
	account = getpwnam(needs->user); /* NOLINT(concurrency-mt-unsafe): likewise */
	if (stays_root(needs->user, account)) {
		left->root = true;
		return 0;
	}
	if (account == NULL) {
		log_error("there is no user %s: make that account (systemd-sysusers, useradd), "
			  "name another one with the option user, or start ftxferd as an ordinary "
			  "user",
		    needs->user);
		return EX_NOUSER;
	}
	return become(needs, account);
}

/* Whoever we are by now. A file system that nobody may write to can still be served from. */
static int
look_at_storage(const struct privileges_needs *needs, struct privileges_left *left)
{
	int err = may_write(needs);

	if (err == EROFS)
		left->read_only = needs->storage_root;
	if (err == 0 || err == EROFS)
		return 0;
	log_error("storage root %s: files cannot be made there: %s; give it to the user that "
		  "ftxferd runs as, or name another one with storage_root or -r",
	    needs->storage_root, ftx_errno_text(err));
	return EX_NOPERM;
}

/*
 * An ordinary user may have been given some, to bind a low port as a rule: the sockets are open.
 * Root that became an ordinary user has lost its own. Root that stays keeps the one to use files
 * and directories of others, which is what it can be wanted for; not the one to search and read
 * them only, which is also a way to files by their number (open_by_handle_at(2)).
 */
static int
drop_capabilities(void)
{
#if defined HAVE_LINUX_CAPABILITY_H && HAVE_DECL_SYS_CAPSET
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3], kept[2] = { { 0 } };

	if (syscall(SYS_capget, &head, data) != 0)
		return -1;
	if (geteuid() == 0)
		kept[0].permitted = data[0].permitted & ROOT_KEEPS;
	kept[0].effective = kept[0].permitted;
	if (memcmp(data, kept, sizeof(kept)) == 0)
		return 0;
	return syscall(SYS_capset, &head, kept) == 0 ? 0 : -1;
#else
	return 0;
#endif
}

/*
 * Every process
 */

/* A core file would hold what passed through the buffers: other people's files. */
static int
forbid_cores(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit now;

	if (getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_max == 0)
		return 0;
	return setrlimit(RLIMIT_CORE, &none);
}

/*
 * No debugger of the same user, no core to a program of the administrator's (core(5)). After the
 * change of user, which sets it anew.
 */
static int
forbid_dumps(void)
{
#if defined HAVE_SYS_PRCTL_H && defined PR_SET_DUMPABLE && !defined SANITIZED
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#else
	return 0; /* the leak sanitizer attaches to its own process, like a debugger */
#endif
}

static int
forbid_new_privileges(void)
{
#if defined HAVE_SYS_PRCTL_H && defined PR_SET_NO_NEW_PRIVS
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#else
	return 0;
#endif
}

static int
harden(void)
{
	const char *what = NULL;

	if (drop_capabilities() != 0)
		what = "drop capabilities";
	else if (forbid_cores() != 0)
		what = "forbid core files";
	else if (forbid_dumps() != 0)
		what = "shut out debuggers";
	else if (forbid_new_privileges() != 0)
		what = "give up new privileges";
	if (what == NULL)
		return 0;
	log_error("cannot %s: %s", what, ftx_errno_text(errno));
	return EX_OSERR;
}

/*
 * Landlock
 */

/*
 * The directory of a file, which removing it is about. Or -1; also for a file in /, which would be
 * a grant for everything.
 */
static int
open_directory_of(const char *file)
{
	char *copy = file != NULL ? strdup(file) : NULL;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
	const char *dir = copy != NULL ? dirname(copy) : "/";
	int fd = -1;

	if (strcmp(dir, "/") != 0)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	return fd;
}

/*
 * Nothing is read any more but what is stored: not even the configuration, whose directory may be
 * somebody's home. No failure ends the daemon: without Landlock it is as safe as its user, and many
 * a kernel has none. A place that cannot be opened is not granted.
 */
static int
confine(const struct privileges_needs *needs)
{
	struct landlock_place places[3] = { { LANDLOCK_STORE, needs->root_fd } };
	size_t count = 1;
	int fd, result;

	fd = open_directory_of(needs->pid_file);
	if (fd >= 0)
		places[count++] = (struct landlock_place){ LANDLOCK_REMOVE, fd };
#ifdef SANITIZED
	/* A sanitizer reads /proc, and starts a program that puts names into its report. */
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		places[count++] = (struct landlock_place){ LANDLOCK_ALL, fd };
#endif
	result = landlock_enter(places, count);
	while (count > 1)
		close(places[--count].fd);
	return result;
}

int
privileges_give_up(const struct privileges_needs *needs, struct privileges_left *left)
{
	int code;

	tzset(); /* syslog(3) writes local time; what it is stands in a file that we lose */
	*left = (struct privileges_left){ 0 };
	code = leave_root(needs, left);
	if (code == 0)
		code = look_at_storage(needs, left);
	if (code == 0)
		code = harden();
	if (code == 0)
		left->landlock = confine(needs);
	return code;
}

void
privileges_log(const struct privileges_left *left)
{
	if (left->root)
		log_warn("ftxferd stays root, as the option user says: an ordinary user is safer");
	if (left->read_only != NULL)
		log_warn("storage root %s is on a file system that is read-only here, so files can "
			 "only be fetched; in a unit, ReadWritePaths= lets them be stored",
		    left->read_only);
	if (left->landlock > 0)
		log_debug("confined by Landlock, version %d", left->landlock);
	else if (left->landlock == -ENOSYS || left->landlock == -EOPNOTSUPP)
		log_info("this system has no Landlock: what files ftxferd can reach is up to its "
			 "user's permissions");
	else
		log_warn("not confined by Landlock: %s", ftx_errno_text(-left->landlock));
}
