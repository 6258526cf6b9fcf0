#include "loop/counters.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

#define VALUE_MAX 48 /* bytes of ` NAME=VALUE` */

static const char *const names[] = {
	[COUNT_TURNS] = "turns",
	[COUNT_LONGEST_TURN] = "longest-turn-us",
	[COUNT_CONNECTIONS] = "connections",
	[COUNT_HANDED_OVER] = "handed-over",
	[COUNT_SENDFILE] = "sendfile",
	[COUNT_COPY_SENT] = "copy-sent",
	[COUNT_COPY_RECEIVED] = "copy-received",
	[COUNT_SPLICE] = "splice",
	[COUNT_DIRECT] = "direct",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == COUNTERS, "each counter has a name");

const char *
counter_name(enum counter which)
{
	return names[which];
}

void
counters_log(const struct counters *c, unsigned worker)
{
	char text[COUNTERS * VALUE_MAX];
	size_t len = 0;

	if (!log_is_debug())
		return;
	for (int i = 0; i < COUNTERS; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, " %s=%" PRIu64, names[i], c->value[i]);
	log_debug("worker %u:%s", worker, text);
}
