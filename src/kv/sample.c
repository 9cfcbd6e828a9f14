#include "config.h"

#include "kv/sample.h"

#include <assert.h>
#include <stdint.h>

#include "kv/memory.h"

/* If more than one in this many is wanted, a walk over all items selects them: most random picks
 * would be repeats. */
#define SELECT_ONE_IN 3

struct selecting {
	struct kv_selection selection;
	kv_visit *visit;
	void *arg;
};

static bool
select_item(struct kv_item *item, void *arg)
{
	struct selecting *s = arg;

	if (!kv_selection_takes(&s->selection))
		return true;
	return s->visit(item, s->arg) && s->selection.wanted > 0;
}

/* Adds to an open-addressing hash of pointers; false if it was there already. mask is the size, a
 * power of two, minus one. */
static bool
note(struct kv_item **seen, size_t mask, struct kv_item *item)
{
	size_t at = (size_t)(((uint64_t)(uintptr_t)item * 0x9e3779b97f4a7c15) >> 32) & mask;

	for (; seen[at] != NULL; at = (at + 1) & mask)
		if (seen[at] == item)
			return false;
	seen[at] = item;
	return true;
}

static void
guess(const struct kv_table *t, size_t count, struct random *random, kv_visit *visit, void *arg)
{
	struct kv_item **seen;
	size_t size = 4;

	while (size < 2 * count)
		size *= 2;
	seen = kv_calloc(size, sizeof(struct kv_item *));
	while (count > 0) {
		struct kv_item *item = kv_table_draw(t, random);

		if (!note(seen, size - 1, item))
			continue;
		if (!visit(item, arg))
			break;
		count--;
	}
	kv_release(seen);
}

void
kv_table_sample(
    const struct kv_table *t, size_t count, struct random *random, kv_visit *visit, void *arg)
{
	size_t total = kv_table_count(t);
	struct selecting selecting = {{count, total, random}, visit, arg};

	assert(count <= total);
	if (count == 0)
		return;
	if (count > total / SELECT_ONE_IN)
		kv_table_each(t, select_item, &selecting);
	else
		guess(t, count, random, visit, arg);
}
