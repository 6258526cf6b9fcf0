/*
 * torture.h - steps: the calls of our own code to the system, each of which can be made to fail or
 * to be the last one of the process.
 *
 * The programs in tests/torture are the real ones, linked with --wrap for each call that is named
 * in tests/torture/wrapped: their own objects reach wrap_*.c, which asks here before and after the
 * real call. What libraries do is not seen, except for libevent's memory. Orders come from outside,
 * in a file that is mapped by the program and by who tests it ($FTX_TORTURE; without it nothing
 * happens), so that they can be given while it runs. Any thread.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum torture_action {
	TORTURE_NONE,
	TORTURE_KILL_BEFORE, /* SIGKILL instead of the step */
	TORTURE_KILL_AFTER,  /* after it, before the code hears of its result */
	TORTURE_FAIL         /* it is not made, and fails with `error` */
};

/* For `error`: not a failure, but half of what was asked for is written. */
#define TORTURE_SHORT 4096

/* What fails whenever it is asked for, as on a system that does not have it. */
enum torture_lack {
	TORTURE_NO_TMPFILE = 1 << 0,      /* EOPNOTSUPP */
	TORTURE_NO_RENAMEAT2 = 1 << 1,    /* EINVAL */
	TORTURE_NO_LINK_UNNAMED = 1 << 2, /* EPERM */
	TORTURE_NO_OPENAT2 = 1 << 3,      /* ENOSYS */
	TORTURE_NO_FALLOCATE = 1 << 4,    /* EOPNOTSUPP */
	TORTURE_NO_MEMORY_FS = 1 << 5     /* no error: what is in memory passes for ext4 */
};

/* The mapped file. tests/torture/torture.py has the same layout. */
struct torture_control {
	atomic_uint action; /* enum torture_action */
	uint32_t error;     /* an errno value */
	uint32_t at;        /* which step of that kind, from 1 */
	uint32_t lacks;     /* of enum torture_lack */
	atomic_uint count;  /* steps of that kind until now */
	atomic_uint hit;    /* the order was carried out */
	atomic_uint hold;   /* while it is not 0, no fsync(2) of a file begins */
	char kind[32];      /* the name of a call, or of a group of them */
	char call[32];      /* the call that was hit */
};

/* Groups of calls. */
#define TORTURE_STORAGE "storage" /* what changes a directory or a file, or opens or closes one */
#define TORTURE_MEMORY  "memory"  /* what allocates */
#define TORTURE_OTHER   "other"

struct torture_step {
	const char *call;
	bool hit;
};

/* False: the call must not be made; errno is set, or s->hit says to make it by half. */
bool torture_enter(struct torture_step *s, const char *call, const char *group);
void torture_leave(const struct torture_step *s);
bool torture_is_short(const struct torture_step *s);

/* Waits while the order says so. */
void torture_hold(void);
/* True, with errno set, where the system is to lack it. */
bool torture_lacks(enum torture_lack lack, int err);

/* Wraps a call that fails with -1: the prototype of the real one, and what it is called with. */
#define TORTURE_WRAP(type, name, group, params, args)   \
	extern type __real_##name params;               \
	extern type __wrap_##name params;               \
	type __wrap_##name params                       \
	{                                               \
		struct torture_step step;               \
		type ret = -1;                          \
                                                        \
		if (torture_enter(&step, #name, group)) \
			ret = __real_##name args;       \
		torture_leave(&step);                   \
		return ret;                             \
	}

#endif
