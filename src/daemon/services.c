#include "daemon/services.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/counters.h"

unsigned
services_default_count(void)
{
	long count;
#ifdef HAVE_SCHED_GETAFFINITY
	cpu_set_t set;

	count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
	if (count < 1)
#endif
		count = sysconf(_SC_NPROCESSORS_ONLN);
	if (count < 1)
		return 1;
	return count < WORKERS_MAX ? (unsigned)count : WORKERS_MAX;
}

enum ftx_rc
services_init(struct services *s, unsigned count, struct sockets *sockets, size_t sessions_max,
    const struct session_group *model, struct root *root, struct pool *pool)
{
	int fds[SOCKETS_ADDRESSES_MAX];

	s->list = calloc(count, sizeof(*s->list));
	if (s->list == NULL)
		return FTX_NOMEM;
	s->places_max = sessions_max < SIZE_MAX - count ? sessions_max + count : SIZE_MAX;
	atomic_store(&s->places, count);
	atomic_store(&s->accepting, count);
	for (unsigned i = 0; i < count; i++) {
		struct service *each = &s->list[s->count++];
		enum ftx_rc rc = service_init(each, s, model, root, pool);
		size_t given;

		if (rc != FTX_OK)
			return rc;
		given = sockets_take(sockets, i, fds);
		rc = service_listen(each, fds, given);
		if (rc != FTX_OK)
			return rc;
	}
	return FTX_OK;
}

enum ftx_rc
services_start(struct services *s)
{
	enum ftx_rc rc = FTX_OK;
	unsigned started = 1;

	while (started < s->count && rc == FTX_OK) {
		rc = worker_start(s->list[started].worker);
		if (rc == FTX_OK)
			started++;
	}
	if (rc == FTX_OK) {
		services_order(s, ORDER_GO_ON);
		return FTX_OK;
	}
	while (--started > 0) {
		service_order(&s->list[started], ORDER_FINISH);
		(void)!worker_join(s->list[started].worker);
	}
	return rc;
}

void
services_order(struct services *s, unsigned order)
{
	for (unsigned i = 0; i < s->count; i++)
		service_order(&s->list[i], order);
}

enum ftx_rc
services_run(struct services *s)
{
	enum ftx_rc result = worker_serve(s->list[0].worker);

	for (unsigned i = 1; i < s->count; i++) {
		enum ftx_rc rc = worker_join(s->list[i].worker);

		if (rc != FTX_OK)
			result = rc;
	}
	for (unsigned i = 0; i < s->count; i++)
		counters_log(worker_counters(s->list[i].worker), i);
	return result;
}

size_t
services_sessions(const struct services *s)
{
	size_t accepting = atomic_load(&s->accepting), places = atomic_load(&s->places);

	return places > accepting ? places - accepting : 0;
}

void
services_clear(struct services *s)
{
	for (unsigned i = 0; i < s->count; i++)
		service_clear(&s->list[i]);
	free(s->list);
}

bool
services_enter(struct services *s)
{
	size_t taken = atomic_load(&s->places);

	do {
		if (taken >= s->places_max)
			return false;
	} while (!atomic_compare_exchange_weak(&s->places, &taken, taken + 1));
	return true;
}

void
services_leave(struct services *s, struct service *from)
{
	size_t taken = atomic_fetch_sub(&s->places, 1);

	if (taken == 1) {
		services_order(s, ORDER_FINISH);
		return;
	}
	if (taken < s->places_max)
		return;
	/* It was the last one: those that wait look all whether somebody has come for it. */
	for (unsigned i = 0; i < s->count; i++) {
		struct service *each = &s->list[i];

		if (atomic_exchange(&each->waiting, false) && each != from)
			service_order(each, ORDER_GO_ON);
	}
}

void
services_are_full(struct services *s)
{
	if (log_is_due(&s->say_full_next))
		log_warn("%zu connections: the limit of open files allows no more at a time",
		    services_sessions(s));
}

struct service *
services_choose(struct services *s, struct service *from)
{
	size_t own = atomic_load(&from->live), least = own;
	struct service *to = from;
	size_t at = (size_t)(from - s->list);

	for (unsigned i = 1; i < s->count; i++) {
		struct service *each = &s->list[(at + i) % s->count];
		size_t live = atomic_load(&each->live);

		if (live < least) {
			least = live;
			to = each;
		}
	}
	if (to != from && !balance_hand_over(&from->balance, own, least, worker_now(from->worker)))
		to = from;
	return to;
}

void
services_stopped(struct services *s, struct service *from)
{
	size_t open;

	services_leave(s, from);
	if (atomic_fetch_sub(&s->accepting, 1) > 1)
		return;
	open = services_sessions(s);
	if (open > 0)
		log_info("stopping; connections still open: %zu; they have %llu ms to end", open,
		    (unsigned long long)s->grace_ms);
}
