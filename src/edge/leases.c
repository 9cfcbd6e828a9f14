#include "config.h"

#include "edge/leases.h"

#include <string.h>

#include "base/alloc.h"

struct lease {
	char *shown; /* owned */
	size_t len;
	uint64_t ends_us;
};

struct edge_leases {
	size_t count, room;
	struct lease leases[];
};

#define NONE SIZE_MAX

/* Its index, or NONE. */
static size_t
find(const struct edge_leases *leases, struct slice shown)
{
	for (size_t i = 0; leases != NULL && i < leases->count; i++) {
		const struct lease *lease = &leases->leases[i];

		if (slice_eq((struct slice){lease->shown, lease->len}, shown))
			return i;
	}
	return NONE;
}

bool
edge_lease_has(const struct edge_leases *leases, struct slice shown)
{
	return find(leases, shown) != NONE;
}

static struct edge_leases *
with_room(struct edge_leases *leases)
{
	size_t room;

	if (leases != NULL && leases->count < leases->room)
		return leases;
	room = leases != NULL ? leases->room * 2 : 2;
	if (leases == NULL)
		leases = xcalloc(1, sizeof(*leases) + room * sizeof(leases->leases[0]));
	else
		leases = xrealloc(leases, sizeof(*leases) + room * sizeof(leases->leases[0]));
	leases->room = room;
	return leases;
}

struct edge_leases *
edge_lease_set(struct edge_leases *leases, struct slice shown, uint64_t ends_us)
{
	size_t i = find(leases, shown);

	if (i == NONE) {
		struct lease *lease;

		leases = with_room(leases);
		i = leases->count++;
		lease = &leases->leases[i];
		lease->shown = xmalloc(shown.len + 1);
		memcpy(lease->shown, shown.ptr, shown.len);
		lease->len = shown.len;
	}
	leases->leases[i].ends_us = ends_us;
	return leases;
}

struct edge_leases *
edge_lease_end(struct edge_leases *leases, struct slice shown)
{
	size_t i = find(leases, shown);

	if (i == NONE)
		return leases;
	xfree(leases->leases[i].shown);
	leases->leases[i] = leases->leases[--leases->count];
	if (leases->count > 0)
		return leases;
	xfree(leases);
	return NULL;
}

bool
edge_lease_first(const struct edge_leases *leases, struct slice *shown, uint64_t *ends_us)
{
	const struct lease *first = NULL;

	for (size_t i = 0; leases != NULL && i < leases->count; i++)
		if (first == NULL || leases->leases[i].ends_us < first->ends_us)
			first = &leases->leases[i];
	if (first == NULL)
		return false;
	*shown = (struct slice){first->shown, first->len};
	*ends_us = first->ends_us;
	return true;
}

void
edge_leases_free(struct edge_leases *leases)
{
	for (size_t i = 0; leases != NULL && i < leases->count; i++)
		xfree(leases->leases[i].shown);
	xfree(leases);
}
