#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/random.h>

/*
 * Not by xxh_x86dispatch.h: that is for what is longer than our keys, and its first call, which
 * chooses its code, is not for several threads.
 */
#include <xxhash.h>

/* XXH3 takes any from XXH3_SECRET_SIZE_MIN on; getrandom(2) gives up to 256 bytes whole. */
#define SECRET_SIZE 192

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the drawing of what follows */
static uint8_t secret[SECRET_SIZE];
static bool drawn;

enum ftx_rc
hash_start(void)
{
	enum ftx_rc rc = FTX_OK;

	pthread_mutex_lock(&lock);
	if (!drawn) {
		drawn = getrandom(secret, sizeof(secret), 0) == (ssize_t)sizeof(secret);
		if (!drawn)
			rc = ftx_rc_from_errno(errno);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

unsigned
hash_bytes(const void *p, size_t len)
{
	assert(drawn);
	return (unsigned)XXH3_64bits_withSecret(p, len, secret, sizeof(secret));
}
