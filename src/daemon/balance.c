#include "daemon/balance.h"

#define EACH UINT64_C(1000)

bool
balance_hand_over(struct balance *b, size_t own, size_t least, uint64_t now)
{
	uint64_t ms = now - b->counted, paid_back;

	if (own <= least)
		return false;
	if (own >= BALANCE_FACTOR * least + BALANCE_MORE)
		return true;
	/* EACH thousandths and as many ms: the rate by itself. An hour pays back any burst. */
	paid_back = (ms < 3600 * EACH ? ms : 3600 * EACH) * BALANCE_RATE;
	b->spent -= paid_back < b->spent ? paid_back : b->spent;
	b->counted = now;
	if (b->spent + EACH > BALANCE_BURST * EACH)
		return false;
	b->spent += EACH;
	return true;
}
