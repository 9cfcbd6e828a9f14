#include "config.h"

#include "link/shared_names.h"

#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "link/slots.h"

struct shared_name {
	LIST_ENTRY(shared_name) link; /* in the list of its slot */
	unsigned kinds;               /* a bit for each enum hub_kind that has subscribers */
	uint32_t len;
	char bytes[];
};

LIST_HEAD(shared_list, shared_name);

struct shared_names {
	struct hash_map *map;
	struct shared_list slots[SLOTS];
};

struct shared_names *
shared_names_new(void)
{
	struct shared_names *names = xcalloc(1, sizeof(*names));

	names->map = hash_map_new();
	return names;
}

void
shared_names_free(struct shared_names *names)
{
	struct shared_name *name;

	for (size_t slot = 0; slot < SLOTS; slot++)
		while ((name = LIST_FIRST(&names->slots[slot])) != NULL) {
			LIST_REMOVE(name, link);
			xfree(name);
		}
	hash_map_free(names->map);
	xfree(names);
}

bool
shared_names_add(struct shared_names *names, enum hub_kind kind, struct slice bytes)
{
	struct shared_name *name = hash_map_get(names->map, bytes);

	if (name != NULL) {
		name->kinds |= 1U << kind;
		return false;
	}
	name = xcalloc(1, sizeof(*name) + bytes.len);
	name->kinds = 1U << kind;
	name->len = (uint32_t)bytes.len;
	memcpy(name->bytes, bytes.ptr, bytes.len);
	hash_map_set(names->map, bytes, name);
	LIST_INSERT_HEAD(&names->slots[slot_of(bytes)], name, link);
	return true;
}

bool
shared_names_remove(struct shared_names *names, enum hub_kind kind, struct slice bytes)
{
	struct shared_name *name = hash_map_get(names->map, bytes);

	if (name == NULL || (name->kinds & (1U << kind)) == 0)
		return false;
	name->kinds &= ~(1U << kind);
	if (name->kinds != 0)
		return false;
	hash_map_remove(names->map, bytes);
	LIST_REMOVE(name, link);
	xfree(name);
	return true;
}

bool
shared_names_has(const struct shared_names *names, enum hub_kind kind, struct slice bytes)
{
	const struct shared_name *name = hash_map_get(names->map, bytes);

	return name != NULL && (name->kinds & (1U << kind)) != 0;
}

void
shared_names_each(const struct shared_names *names, uint16_t slot,
    void (*visit)(void *arg, struct slice name), void *arg)
{
	const struct shared_name *name;

	LIST_FOREACH (name, &names->slots[slot], link)
		visit(arg, (struct slice){name->bytes, name->len});
}
