#include "daemon/listeners.h"

#include <unistd.h>

#include "base/rc.h"

enum ftx_rc
listeners_open(struct listeners *l, struct worker *w, const int *fds, size_t count,
    const struct listener_taker *taker)
{
	enum ftx_rc rc = FTX_OK;

	for (size_t i = 0; i < count; i++) {
		if (rc == FTX_OK)
			rc = listener_new(&l->list[i], w, fds[i], taker);
		else
			close(fds[i]);
		if (rc == FTX_OK)
			l->count++;
	}
	if (rc != FTX_OK)
		listeners_close(l);
	return rc;
}

void
listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		listener_free(l->list[i]);
	l->count = 0;
}

void
listeners_pause(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		listener_pause(l->list[i]);
}

/*
 * Of those with somebody waiting, the first to go on is the first to be served (epoll(7)). So they
 * take turns at it: else one of them could take every place that becomes free.
 */
void
listeners_resume(struct listeners *l)
{
	for (size_t i = 0; i < l->count; i++)
		listener_resume(l->list[(l->next + i) % l->count]);
}

void
listeners_served(struct listeners *l, const struct listener *one)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->list[i] == one)
			l->next = i + 1;
	}
}
