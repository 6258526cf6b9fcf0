/*
 * confine - starts a program the way a unit of systemd does: what the unit forbids can be tested
 * where there is no systemd.
 *
 *     confine [-k] -s LIST [-r] [-b] [-u USER-ID] [-w DIR] [-l DESCRIPTOR,...] PROGRAM ARGUMENT...
 *
 * -s  the file LIST holds the names of the system calls that are allowed (from `allowed`)
 * -k  one that is not kills the program (SIGSYS); without it, it fails with EPERM
 * -r  ftxferd.service's other filters: address families, namespaces, writable code, set-ID bits
 * -w  only DIR can be written to; and namespaces: no network, a /proc with oneself only
 * -u  the user and group to become, when started as root
 * -b  and to stay in no namespace, with one capability: to bind ports below 1024
 * -l  the listening sockets to pass on (sd_listen_fds(3))
 *
 * The process id stays the same. Exit 77: not permitted here, or not possible.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#define SKIP          77
#define LISTEN_FIRST  3
#define LISTEN_MAX    16
#define LISTEN_PARKED 100 /* where they wait for their places */
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER | CLONE_NEWPID | \
	    CLONE_NEWCGROUP)

struct plan {
	bool kill;
	const char *list;
	bool restrict_rest;
	const char *writable;
	bool change_user;
	bool bind_service;
	unsigned user;
	int listen[LISTEN_MAX];
	int listen_count;
};

static void fail(int code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

static void
fail(int code, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fputs("confine: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(code);
}

/*
 * Namespaces
 */

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(SKIP, "%s", path);
	close(fd);
}

/* A user namespace in which `inside` is who we are: for rights in the others (0), or for none. */
static void
enter_user_namespace(unsigned inside)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER) != 0)
		fail(SKIP, "user namespace");
	snprintf(map, sizeof(map), "%u %u 1", inside, uid);
	write_file("/proc/self/uid_map", map);
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", inside, gid);
	write_file("/proc/self/gid_map", map);
}

static void
make_read_only(const char *writable)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	struct mount_attr rw = { .attr_clr = MOUNT_ATTR_RDONLY };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount(writable, writable, NULL, MS_BIND, NULL) != 0 ||
	    mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &ro, sizeof(ro)) != 0 ||
	    mount_setattr(AT_FDCWD, writable, 0, &rw, sizeof(rw)) != 0 ||
	    mount_setattr(AT_FDCWD, "/proc", 0, &rw, sizeof(rw)) != 0)
		fail(SKIP, "a file system that is read-only but for %s", writable);
}

/* ProtectProc=invisible, ProcSubset=pid. Many a container does not permit it. */
static void
narrow_proc(void)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"hidepid=invisible,subset=pid") != 0)
		fprintf(stderr, "confine: /proc stays as it is: %s\n", strerror(errno));
}

static void
enter_namespaces(const char *writable)
{
	if (geteuid() != 0)
		enter_user_namespace(0);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
		fail(SKIP, "namespaces");
	make_read_only(writable);
	narrow_proc();
}

/*
 * The user
 */

/* With PrivateUsers=yes: nobody else is known here. as_root: not in a namespace only. */
static void
become(unsigned id, bool as_root)
{
	if (as_root &&
	    (setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0))
		fail(SKIP, "user %u", id);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or its own /proc is not its own */
	enter_user_namespace(id);
}

/* User, PrivateUsers=no, AmbientCapabilities=CAP_NET_BIND_SERVICE. */
static void
become_binder(unsigned id)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	const uint32_t bit = 1U << CAP_NET_BIND_SERVICE;

	data[0] = (struct __user_cap_data_struct){
		.effective = bit, .permitted = bit, .inheritable = bit
	};
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
	    setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0 ||
	    syscall(SYS_capset, &head, data) != 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0)
		fail(SKIP, "user %u with a capability", id);
}

/*
 * Sockets
 */

static void
pass_sockets(const struct plan *plan)
{
	char text[16];

	for (int i = 0; i < plan->listen_count; i++) {
		if (dup2(plan->listen[i], LISTEN_PARKED + i) < 0)
			fail(EX_USAGE, "descriptor %d", plan->listen[i]);
	}
	for (int i = 0; i < plan->listen_count; i++) {
		if (dup2(LISTEN_PARKED + i, LISTEN_FIRST + i) < 0)
			fail(EX_OSERR, "descriptor %d", LISTEN_FIRST + i);
		close(LISTEN_PARKED + i);
	}
	snprintf(text, sizeof(text), "%d", plan->listen_count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	setenv("LISTEN_PID", text, 1);
}

/*
 * System calls
 */

static void
add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name, int count, struct scmp_arg_cmp arg)
{
	int nr = seccomp_syscall_resolve_name(name), err;

	if (nr == __NR_SCMP_ERROR)
		return; /* of another architecture */
	err = seccomp_rule_add_array(ctx, action, nr, (unsigned)count, &arg);
	errno = -err;
	if (err != 0 && err != -EACCES) /* EACCES: that is the default action, too */
		fail(EX_OSERR, "a rule for %s", name);
}

/* The calls of the list, but for the one that has rules of its own; or all there are. */
static void
add_list(scmp_filter_ctx ctx, const char *path, const char *const *apart)
{
	char line[128];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		fail(EX_NOINPUT, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL) {
		bool plain = true;

		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; apart[i] != NULL; i++)
			plain = plain && strcmp(line, apart[i]) != 0;
		if (plain)
			add_rule(ctx, SCMP_ACT_ALLOW, line, 0, (struct scmp_arg_cmp){ 0 });
	}
	fclose(f);
}

#define MASKED(arg, mask, value) SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value)

/* What may be called with some arguments only. Each must be in the list as well. */
static void
add_restricted(scmp_filter_ctx ctx)
{
	/* RestrictAddressFamilies=AF_UNIX */
	add_rule(ctx, SCMP_ACT_ALLOW, "socket", 1, SCMP_CMP64(0, SCMP_CMP_EQ, AF_UNIX, 0));
	/* RestrictNamespaces=yes; the flags of clone3(2) cannot be seen: systemd has ENOSYS */
	add_rule(ctx, SCMP_ACT_ALLOW, "clone", 1, MASKED(0, NAMESPACES, 0));
	add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, (struct scmp_arg_cmp){ 0 });
	/* MemoryDenyWriteExecute=yes */
	add_rule(ctx, SCMP_ACT_ALLOW, "mmap", 1, MASKED(2, PROT_WRITE, 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "mmap", 1, MASKED(2, PROT_EXEC, 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "mprotect", 1, MASKED(2, PROT_EXEC, 0));
	/* RestrictSUIDSGID=yes */
	add_rule(ctx, SCMP_ACT_ALLOW, "chmod", 1, MASKED(1, S_ISUID | S_ISGID, 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "fchmod", 1, MASKED(1, S_ISUID | S_ISGID, 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "fchmodat", 1, MASKED(2, S_ISUID | S_ISGID, 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "mkdirat", 1, MASKED(2, S_ISUID | S_ISGID, 0));
	add_rule(
	    ctx, SCMP_ACT_ALLOW, "openat", 1, MASKED(2, O_CREAT | (O_TMPFILE & ~O_DIRECTORY), 0));
	add_rule(ctx, SCMP_ACT_ALLOW, "openat", 1, MASKED(3, S_ISUID | S_ISGID, 0));
	/* it answers openat2(2), likewise, with ENOSYS */
	add_rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "openat2", 0, (struct scmp_arg_cmp){ 0 });
}

static void
filter_calls(const struct plan *plan)
{
	static const char *const restricted[] = { "socket", "clone", "clone3", "mmap", "mprotect",
		"pkey_mprotect", "chmod", "fchmod", "fchmodat", "mkdirat", "openat", "openat2",
		NULL };
	uint32_t other = plan->kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx ctx = seccomp_init(other);
	int err;

	if (ctx == NULL)
		fail(SKIP, "seccomp");
	add_list(ctx, plan->list, plan->restrict_rest ? restricted : restricted + 12);
	if (plan->restrict_rest)
		add_restricted(ctx);
	err = seccomp_load(ctx); /* with NO_NEW_PRIVS, unless told otherwise */
	errno = -err;
	if (err != 0)
		fail(SKIP, "seccomp");
	seccomp_release(ctx);
}

static void
parse_listen(struct plan *plan, char *text)
{
	for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
		if (plan->listen_count == LISTEN_MAX) {
			errno = E2BIG;
			fail(EX_USAGE, "-l");
		}
		plan->listen[plan->listen_count++] = atoi(word);
	}
}

int
main(int argc, char **argv)
{
	struct plan plan = { .kill = false };
	bool as_root = geteuid() == 0;
	int opt;

	while ((opt = getopt(argc, argv, "+ks:rbw:u:l:")) != -1) {
		switch (opt) {
		case 'k':
			plan.kill = true;
			break;
		case 's':
			plan.list = optarg;
			break;
		case 'r':
			plan.restrict_rest = true;
			break;
		case 'b':
			plan.bind_service = true;
			break;
		case 'w':
			plan.writable = optarg;
			break;
		case 'u':
			plan.change_user = true;
			plan.user = (unsigned)atoi(optarg);
			break;
		case 'l':
			parse_listen(&plan, optarg);
			break;
		default:
			return EX_USAGE;
		}
	}
	errno = EINVAL;
	if (plan.list == NULL || optind == argc)
		fail(EX_USAGE, "-s LIST PROGRAM");
	if (plan.writable != NULL)
		enter_namespaces(plan.writable);
	if (plan.change_user && plan.bind_service)
		become_binder(plan.user);
	else if (plan.change_user)
		become(plan.user, as_root);
	if (plan.listen_count > 0)
		pass_sockets(&plan);
	filter_calls(&plan);
	execv(argv[optind], argv + optind);
	fail(EX_OSERR, "%s", argv[optind]);
}
