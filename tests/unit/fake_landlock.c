#include "unit/fake_landlock.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#define ASK_VERSION 1U /* LANDLOCK_CREATE_RULESET_VERSION */

struct fake_landlock fake_landlock;

static long
real(long number, const long a[5])
{
	long (*next)(long, ...);

	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4]);
}

long
syscall(long number, ...)
{
	long a[5]; /* none of ours has more */
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_landlock_create_ruleset && (unsigned)a[2] == ASK_VERSION) {
		if (fake_landlock.version < 0)
			return errno = -fake_landlock.version, -1;
		if (fake_landlock.version > 0)
			return fake_landlock.version;
	} else if (number == SYS_landlock_create_ruleset && a[0] != 0)
		memcpy(fake_landlock.asked, (const void *)a[0], sizeof(fake_landlock.asked));
	return real(number, a);
}

int
fake_landlock_version(void)
{
	long version = real(SYS_landlock_create_ruleset, (const long[]){ 0, 0, ASK_VERSION, 0, 0 });

	return version > 0 ? (int)version : 0;
}

uint64_t
fake_landlock_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &head, data) != 0)
		return UINT64_MAX;
	return (uint64_t)(data[1].permitted | data[1].effective) << 32 | data[0].permitted |
	       data[0].effective;
}
