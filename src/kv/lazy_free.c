#include "config.h"

#include "kv/lazy_free.h"

#include <assert.h>

#include "kv/key.h"
#include "kv/memory.h"

/* A value of up to this many elements is freed at once. */
#define AT_ONCE 64

/* A value, or a table of keys. */
struct kv_lazy_entry {
	struct kv_lazy_entry *next;
	void *value; /* NULL: the entry is a table of keys */
	enum kv_type type;
	struct kv_table keys;
};

static struct kv_lazy_entry *
add_entry(struct kv_lazy_list *list)
{
	struct kv_lazy_entry *entry = kv_calloc(1, sizeof(*entry));

	entry->next = list->first;
	list->first = entry;
	return entry;
}

void
kv_lazy_list_add_value(struct kv_lazy_list *list, enum kv_type type, void *value)
{
	const struct kv_type_ops *ops = &kv_types[type];
	size_t budget = SIZE_MAX;
	struct kv_lazy_entry *entry;

	if (type == KV_STRING) {
		kv_release(value);
		return;
	}
	if (ops->count(value) <= AT_ONCE) {
		if (!ops->free_some(value, &budget))
			assert(!"a small value is freed at once");
		return;
	}
	entry = add_entry(list);
	entry->type = type;
	entry->value = value;
	list->pending++;
}

void
kv_lazy_list_add_keys(struct kv_lazy_list *list, struct kv_table *table)
{
	struct kv_lazy_entry *entry = add_entry(list);

	entry->keys = *table;
	list->pending += kv_table_count(table);
	kv_table_init(table);
}

static size_t
release_key(struct kv_item *item, void *arg)
{
	struct kv_lazy_list *list = arg;
	struct kv_key *key = (struct kv_key *)item;

	if ((item->meta & KEY_EMBEDDED) == 0)
		kv_lazy_list_add_value(list, kv_type_of(key), key_pointer(key));
	kv_release(item);
	list->pending--;
	return 1;
}

/*
 * A large value of a key that is freed is added in front of the table it comes from, and freed
 * first. So the list stays short.
 */
bool
kv_lazy_list_free_some(struct kv_lazy_list *list, size_t budget)
{
	while (list->first != NULL && budget > 0) {
		struct kv_lazy_entry *entry = list->first;
		size_t share = 1;
		bool done;

		if (entry->value != NULL) {
			done = kv_types[entry->type].free_some(entry->value, &budget);
		} else {
			done = kv_table_drain(&entry->keys, release_key, list, &share);
			budget--;
		}
		if (!done)
			continue;
		if (entry->value != NULL)
			list->pending--;
		/* release_key may have added entries in front of it. */
		for (struct kv_lazy_entry **link = &list->first; *link != NULL;
		     link = &(*link)->next)
			if (*link == entry) {
				*link = entry->next;
				break;
			}
		kv_release(entry);
	}
	return list->first != NULL;
}
