#include "loop/work.h"

#include <stddef.h>

#include "base/clock.h"

void
work_queue_init(struct work_queue *q)
{
	TAILQ_INIT(q);
}

void
work_add(struct work_queue *q, struct work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	TAILQ_INSERT_TAIL(q, work, link);
}

void
work_remove(struct work_queue *q, struct work *work)
{
	if (!work->queued)
		return;
	work->queued = false;
	TAILQ_REMOVE(q, work, link);
}

bool
work_queue_run(struct work_queue *q, uint64_t us)
{
	uint64_t until = clock_now_us() + us;
	struct work *work;

	while ((work = TAILQ_FIRST(q)) != NULL) {
		work_remove(q, work);
		work->run(work);
		if (clock_now_us() >= until)
			break;
	}
	return !TAILQ_EMPTY(q);
}
