#include "unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define NOBODY   65534 /* user and group of that name, by old custom */
#define KEPT_MAX 256   /* log lines */

static char base_dir[256]; /* of all the program's tests; empty: none was made */
static char test_dir[300];

/* Removes all that is in the directory fd, which it closes. */
static void
remove_content(int fd)
{
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		if (fchmodat(dirfd(d), e->d_name, 0700, 0) != 0)
			continue;
		remove_content(
		    openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

static bool
make_base_dir(const char *name)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base_dir, sizeof(base_dir), "%s/unit-%s-XXXXXX",
	    tmp != NULL && tmp[0] == '/' && strlen(tmp) < 200 ? tmp : "/tmp", name);
	/* Others may look in, for what goes on as another user. */
	return mkdtemp(base_dir) != NULL && chmod(base_dir, 0755) == 0;
}

int
unit_run(const char *name, void (*add_cases)(Suite *s))
{
	Suite *s = suite_create(name);
	SRunner *sr;
	int failed;

	if (!make_base_dir(name)) {
		perror(base_dir);
		return EXIT_FAILURE;
	}
	add_cases(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	remove_content(open(base_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (rmdir(base_dir) != 0)
		perror(base_dir);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

TCase *
unit_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

void
unit_enter_dir(void)
{
	snprintf(test_dir, sizeof(test_dir), "%s/XXXXXX", base_dir);
	ck_assert_ptr_nonnull(mkdtemp(test_dir));
	ck_assert_int_eq(chdir(test_dir), 0);
}

const char *
unit_dir(void)
{
	return test_dir;
}

void
unit_write(const char *path, const void *content, size_t len)
{
	FILE *f = fopen(path, "wb");

	ck_assert_msg(f != NULL, "cannot make %s", path);
	ck_assert_uint_eq(fwrite(content, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

void
unit_holds(const char *path, const void *content, size_t len)
{
	char *got = malloc(len + 1);
	FILE *f = fopen(path, "rb");

	ck_assert_ptr_nonnull(got);
	ck_assert_msg(f != NULL, "there is no %s", path);
	ck_assert_msg(fread(got, 1, len + 1, f) == len, "%s has not %zu bytes", path, len);
	ck_assert_msg(memcmp(got, content, len) == 0, "%s holds something else", path);
	fclose(f);
	free(got);
}

int
unit_names_in(const char *dir)
{
	DIR *d = opendir(dir);
	int n = -2;

	ck_assert_msg(d != NULL, "cannot open %s", dir);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

int
unit_descriptors(void)
{
	return unit_names_in("/proc/self/fd") - 1; /* less the one that looks */
}

void
unit_drop_root(void)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(".", NOBODY, NOBODY), 0);
	ck_assert_int_eq(setgid(NOBODY), 0);
	ck_assert_int_eq(setuid(NOBODY), 0);
	/* The leak checker looks into its own process. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

static bool
write_proc(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return false;
	fputs(text, f);
	return fclose(f) == 0;
}

/* As root, or as one's own root in a user namespace. */
static bool
new_mount_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!write_proc("/proc/self/uid_map", map) || !write_proc("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_proc("/proc/self/gid_map", map);
}

bool
unit_mount_tmpfs(const char *dir, unsigned bytes)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%u", bytes);
	return new_mount_namespace() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

static _Atomic uint64_t stopped_clock;

static uint64_t
read_stopped_clock(void)
{
	return atomic_load(&stopped_clock);
}

uint64_t
unit_clock_stop(void)
{
	atomic_store(&stopped_clock, 1000 * 1000);
	clock_set_hook(read_stopped_clock);
	return 1000 * 1000;
}

void
unit_clock_add(uint64_t ms)
{
	atomic_fetch_add(&stopped_clock, ms);
}

uint64_t
unit_real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
unit_sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

void
unit_pause(void)
{
	struct timespec ts = { 0, 100000 };

	nanosleep(&ts, NULL);
}

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static char *kept[KEPT_MAX];
static int kept_count;

static void
keep_line(enum log_level level, const char *line)
{
	(void)level;
	pthread_mutex_lock(&kept_lock);
	if (kept_count < KEPT_MAX)
		kept[kept_count++] = strdup(line);
	pthread_mutex_unlock(&kept_lock);
}

void
unit_log_keep(void)
{
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_hook(keep_line);
}

int
unit_log_count(const char *text)
{
	int n = 0;

	pthread_mutex_lock(&kept_lock);
	for (int i = 0; i < kept_count; i++)
		n += strstr(kept[i], text) != NULL;
	pthread_mutex_unlock(&kept_lock);
	return n;
}

uint64_t
unit_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
