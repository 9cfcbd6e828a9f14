#include "config.h"

#include "link/interest.h"

#include <assert.h>

#include "link/interest_names.h"

/* Names that an upstream does not serve any more, because another one does. */

void
interest_redirect(struct interest *interest, size_t count, uint64_t now_us)
{
	struct wanted_name *name;

	assert(count <= interest->count[INTEREST_ASKED]);
	for (; count > 0; count--) {
		name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);
		name->was_held = name->was_held && name->has_members;
		wanted_name_happen(interest, name, INTEREST_REDIRECTED, now_us);
	}
}

void
interest_gone(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);
	enum interest_state state;

	if (name == NULL)
		return;
	state = wanted_name_state(interest, name);
	if (state != INTEREST_HELD && state != INTEREST_LINGERS)
		return;
	name->was_held = name->has_members;
	name->held_session = 0;
	if (!name->is_expected) /* it lingers no longer */
		name->until_us = 0;
	wanted_name_happen(interest, name, INTEREST_REDIRECTED, now_us);
}

void
interest_hand_over(
    struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);

	if (name == NULL || !name->has_members)
		return;
	name->was_held = false;
	name->until_us = 0;
	interest_remove(interest, kind, bytes, now_us);
}

bool
interest_first_asked(const struct interest *interest, struct slice *bytes)
{
	const struct wanted_name *name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);

	if (name != NULL)
		*bytes = wanted_name_bytes(name);
	return name != NULL;
}

bool
interest_first_leaving(const struct interest *interest, enum hub_kind *kind, struct slice *bytes)
{
	const struct wanted_name *name = TAILQ_FIRST(&interest->lists[INTEREST_LEAVING]);

	if (name == NULL)
		return false;
	*kind = (enum hub_kind)name->kind;
	*bytes = wanted_name_bytes(name);
	return true;
}
