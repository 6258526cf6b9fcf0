#include "core/limits.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* What is counted as one: the family, and the address or its network. */
struct limits_key {
	uint8_t family;
	uint8_t bytes[8];
};

/* An address in use; all its connections share it. */
struct limits_place {
	UT_hash_handle hh;
	struct limits_key key;
	struct limits *limits; /* borrowed */
	uint64_t connections;  /* that share it; the last one to leave frees it */
	bool unlisted;         /* base/hash: the table had no memory to add it */
};

struct limits {
	atomic_int_fast64_t shares; /* that are left */
	int_fast64_t all_shares;
	pthread_mutex_t lock; /* guards what follows */
	uint64_t max, max_per_address, connections;
	struct limits_place *places; /* owned: a hash by key */
};

enum ftx_rc
limits_new(struct limits **out, uint64_t max, uint64_t max_per_address)
{
	struct limits *l;
	enum ftx_rc rc = hash_start();

	if (rc != FTX_OK)
		return rc;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return FTX_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	atomic_init(&l->shares, INT64_MAX);
	l->all_shares = INT64_MAX;
	l->max = max;
	l->max_per_address = max_per_address;
	*out = l;
	return FTX_OK;
}

void
limits_free(struct limits *l)
{
	if (l == NULL)
		return;
	assert(l->connections == 0);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* All of 127.0.0.0/8 is this machine: whoever has an account may connect from any of it. */
static void
set_ipv4(struct limits_key *key, const void *address)
{
	key->family = AF_INET;
	memcpy(key->bytes, address, 4);
	if (key->bytes[0] == IN_LOOPBACKNET)
		memset(key->bytes + 1, 0, 3);
}

static struct limits_key
key_of(const struct sockaddr *sa)
{
	struct limits_key key;

	memset(&key, 0, sizeof(key));
	key.family = (uint8_t)sa->sa_family;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		set_ipv4(&key, &in->sin_addr);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			set_ipv4(&key, in6->sin6_addr.s6_addr + 12);
		else
			memcpy(key.bytes, &in6->sin6_addr, 8);
	}
	return key;
}

/* The lock is held. */
static enum ftx_rc
enter(struct limits *l, const struct limits_key *key, struct limits_place **out)
{
	struct limits_place *p;

	if (l->max > 0 && l->connections >= l->max)
		return FTX_LIMIT;
	HASH_FIND(hh, l->places, key, sizeof(*key), p);
	if (p != NULL && l->max_per_address > 0 && p->connections >= l->max_per_address)
		return FTX_LIMIT;
	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return FTX_NOMEM;
		p->key = *key;
		p->limits = l;
		HASH_ADD(hh, l->places, key, sizeof(p->key), p);
		if (p->unlisted) {
			free(p);
			return FTX_NOMEM;
		}
	}
	p->connections++;
	l->connections++;
	*out = p;
	return FTX_OK;
}

enum ftx_rc
limits_enter(struct limits *l, const struct sockaddr *sa, struct limits_place **out)
{
	struct limits_key key = key_of(sa);
	enum ftx_rc rc;

	pthread_mutex_lock(&l->lock);
	rc = enter(l, &key, out);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void
limits_leave(struct limits_place *p)
{
	struct limits *l = p->limits;

	pthread_mutex_lock(&l->lock);
	l->connections--;
	if (--p->connections == 0) {
		HASH_DEL(l->places, p);
		free(p);
	}
	pthread_mutex_unlock(&l->lock);
}

void
limits_set_shares(struct limits *l, uint64_t shares)
{
	l->all_shares = shares < INT64_MAX ? (int_fast64_t)shares : INT64_MAX;
	atomic_store(&l->shares, l->all_shares);
}

uint64_t
limits_shares(const struct limits *l)
{
	return (uint64_t)l->all_shares;
}

bool
limits_take_share(struct limits *l)
{
	if (atomic_fetch_sub(&l->shares, 1) > 0)
		return true;
	atomic_fetch_add(&l->shares, 1);
	return false;
}

void
limits_give_share(void *arg)
{
	struct limits *l = arg;

	atomic_fetch_add(&l->shares, 1);
}
