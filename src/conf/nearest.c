#include "conf/nearest.h"

#include <string.h>

#define NEAREST_MAX 48 /* longer names are not compared */

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance of two names of at most NEAREST_MAX bytes; - and _ are the same. */
static unsigned
name_distance(const char *a, const char *b)
{
	unsigned row[NEAREST_MAX + 1];
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			char ca = (char)(a[i - 1] == '-' ? '_' : a[i - 1]);
			unsigned cost = ca != b[j - 1];
			unsigned best = min3(row[j] + 1, row[j - 1] + 1, diagonal + cost);

			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

struct nearest
nearest_init(const char *written)
{
	size_t len = strlen(written);

	/* Near is less than that: longer names, more typos. */
	return (struct nearest){ .written = written, .best = len > 8 ? 4 : len > 3 ? 3 : 2 };
}

bool
nearest_take(struct nearest *n, const char *name)
{
	unsigned distance;

	if (strlen(n->written) > NEAREST_MAX || strlen(name) > NEAREST_MAX)
		return false;
	distance = name_distance(n->written, name);
	if (distance >= n->best)
		return false;
	n->best = distance;
	return true;
}
