#include "config.h"

#include "kv/graveyard.h"

#include <assert.h>

#include "kv/key.h"
#include "kv/memory.h"

/* Elements that are freed at once. */
#define AT_ONCE 64

/* Either a value or keys. */
struct kv_grave {
	struct kv_grave *next;
	void *value; /* NULL: keys */
	enum kv_type type;
	struct kv_table keys;
};

static struct kv_grave *
add_grave(struct kv_graveyard *yard)
{
	struct kv_grave *grave = kv_calloc(1, sizeof(*grave));

	grave->next = yard->first;
	yard->first = grave;
	return grave;
}

void
kv_bury_value(struct kv_graveyard *yard, enum kv_type type, void *value)
{
	const struct kv_type_ops *ops = &kv_types[type];
	size_t budget = SIZE_MAX;
	struct kv_grave *grave;

	if (type == KV_STRING) {
		kv_release(value);
		return;
	}
	if (ops->count(value) <= AT_ONCE) {
		if (!ops->free_some(value, &budget))
			assert(!"a small value is freed at once");
		return;
	}
	grave = add_grave(yard);
	grave->type = type;
	grave->value = value;
	yard->waiting++;
}

void
kv_bury_keys(struct kv_graveyard *yard, struct kv_table *table)
{
	struct kv_grave *grave = add_grave(yard);

	grave->keys = *table;
	yard->waiting += kv_table_count(table);
	kv_table_init(table);
}

static size_t
release_key(struct kv_item *item, void *arg)
{
	struct kv_graveyard *yard = arg;
	struct kv_key *key = (struct kv_key *)item;

	if ((item->meta & KEY_EMBEDDED) == 0)
		kv_bury_value(yard, kv_type_of(key), key_pointer(key));
	kv_release(item);
	yard->waiting--;
	return 1;
}

/* Values that turn up while keys are freed come before them, so there are never many graves. */
bool
kv_graveyard_tidy(struct kv_graveyard *yard, size_t budget)
{
	while (yard->first != NULL && budget > 0) {
		struct kv_grave *grave = yard->first;
		size_t share = 1;
		bool done;

		if (grave->value != NULL) {
			done = kv_types[grave->type].free_some(grave->value, &budget);
		} else {
			done = kv_table_drain(&grave->keys, release_key, yard, &share);
			budget--;
		}
		if (!done)
			continue;
		if (grave->value != NULL)
			yard->waiting--;
		/* Others may have come before it meanwhile. */
		for (struct kv_grave **link = &yard->first; *link != NULL; link = &(*link)->next)
			if (*link == grave) {
				*link = grave->next;
				break;
			}
		kv_release(grave);
	}
	return yard->first != NULL;
}
