#include "config.h"

#include "edge/leases.h"

#include <string.h>

#include "base/alloc.h"

struct lease {
	char *name; /* owned */
	size_t len;
	bool is_pattern;
	bool is_bounded;
	uint64_t ends_us;
};

struct edge_leases {
	size_t count, room;
	struct lease leases[];
};

#define NONE SIZE_MAX

/* Its index, or NONE. */
static size_t
find(const struct edge_leases *leases, struct slice name, bool is_pattern)
{
	for (size_t i = 0; leases != NULL && i < leases->count; i++) {
		const struct lease *lease = &leases->leases[i];

		if (lease->is_pattern == is_pattern &&
		    slice_eq((struct slice){lease->name, lease->len}, name))
			return i;
	}
	return NONE;
}

bool
edge_lease_has(const struct edge_leases *leases, struct slice name, bool is_pattern)
{
	return find(leases, name, is_pattern) != NONE;
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
edge_lease_set(struct edge_leases *leases, struct slice name, bool is_pattern, uint64_t ends_us)
{
	size_t i = find(leases, name, is_pattern);

	if (i == NONE) {
		struct lease *lease;

		leases = with_room(leases);
		i = leases->count++;
		lease = &leases->leases[i];
		lease->name = xmalloc(name.len + 1);
		memcpy(lease->name, name.ptr, name.len);
		lease->len = name.len;
		lease->is_pattern = is_pattern;
		lease->is_bounded = false;
	}
	leases->leases[i].ends_us = ends_us;
	return leases;
}

void
edge_lease_bound(struct edge_leases *leases, struct slice name, bool is_pattern, bool is_bounded)
{
	size_t i = find(leases, name, is_pattern);

	if (i != NONE)
		leases->leases[i].is_bounded = is_bounded;
}

bool
edge_lease_is_bounded(const struct edge_leases *leases, struct slice name, bool is_pattern)
{
	size_t i = find(leases, name, is_pattern);

	return i != NONE && leases->leases[i].is_bounded;
}

struct edge_leases *
edge_lease_end(struct edge_leases *leases, struct slice name, bool is_pattern)
{
	size_t i = find(leases, name, is_pattern);

	if (i == NONE)
		return leases;
	xfree(leases->leases[i].name);
	leases->leases[i] = leases->leases[--leases->count];
	if (leases->count > 0)
		return leases;
	xfree(leases);
	return NULL;
}

bool
edge_lease_first(
    const struct edge_leases *leases, struct slice *name, bool *is_pattern, uint64_t *ends_us)
{
	const struct lease *first = NULL;

	for (size_t i = 0; leases != NULL && i < leases->count; i++)
		if (first == NULL || leases->leases[i].ends_us < first->ends_us)
			first = &leases->leases[i];
	if (first == NULL)
		return false;
	*name = (struct slice){first->name, first->len};
	*is_pattern = first->is_pattern;
	*ends_us = first->ends_us;
	return true;
}

void
edge_leases_free(struct edge_leases *leases)
{
	for (size_t i = 0; leases != NULL && i < leases->count; i++)
		xfree(leases->leases[i].name);
	xfree(leases);
}
