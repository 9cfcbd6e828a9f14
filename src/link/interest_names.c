#include "config.h"

#include "link/interest_names.h"

#include "base/alloc.h"
#include "base/hash_map.h"

struct slice
wanted_name_bytes(const struct wanted_name *name)
{
	return (struct slice){name->bytes, name->len};
}

enum interest_state
wanted_name_state(const struct interest *interest, const struct wanted_name *name)
{
	return name->session == interest->session ? (enum interest_state)name->state
						  : INTEREST_WAITING;
}

enum interest_want
wanted_name_want(const struct wanted_name *name, uint64_t now_us)
{
	if (name->has_members)
		return INTEREST_MEMBERS;
	return name->until_us > now_us ? INTEREST_SOON : INTEREST_NOBODY;
}

/* A name that is being left may be wanted again: then it is not before the next answers that it is
 * held. */
static bool
is_unanswered(enum interest_state state)
{
	return state == INTEREST_WAITING || state == INTEREST_ASKED || state == INTEREST_LEAVING;
}

void
wanted_name_expect(struct interest *interest, struct wanted_name *name, bool is_expected)
{
	if (wanted_name_state(interest, name) == INTEREST_LINGERS) {
		interest->expected -= name->is_expected;
		interest->expected += is_expected;
	}
	name->is_expected = is_expected;
}

void
wanted_name_enter(
    struct interest *interest, struct wanted_name *name, enum interest_state next, uint64_t now_us)
{
	enum interest_state was = wanted_name_state(interest, name);

	if (was != INTEREST_ABSENT) {
		TAILQ_REMOVE(&interest->lists[was], name, link);
		interest->count[was]--;
	}
	if (was == INTEREST_LINGERS)
		interest->expected -= name->is_expected;
	if (is_unanswered(was) && !is_unanswered(next))
		interest->answered++;
	if (next == INTEREST_ABSENT) {
		interest->has_forgotten = interest->has_forgotten || name->was_held;
		hash_map_remove(interest->maps[name->kind], wanted_name_bytes(name));
		xfree(name);
		return;
	}
	name->session = interest->session;
	name->state = (uint8_t)next;
	if (next == INTEREST_ASKED)
		name->resumption = RESUMES_NOT;
	if (next == INTEREST_LEAVING) /* nobody came in time */
		name->is_expected = false;
	if (next == INTEREST_LINGERS)
		interest->expected += name->is_expected;
	if (next == INTEREST_LINGERS && name->until_us < now_us + interest->linger_us)
		name->until_us = now_us + interest->linger_us;
	if (next == INTEREST_REFUSED)
		name->retry_us = now_us + INTEREST_REFUSED_US;
	if (next == INTEREST_MOVED)
		name->retry_us = now_us + INTEREST_MOVED_US;
	TAILQ_INSERT_TAIL(&interest->lists[next], name, link);
	interest->count[next]++;
}

/* A name that is asked for again is not forgotten while the upstream sends its messages. */
static enum interest_state
next_of(const struct interest *interest, const struct wanted_name *name, enum interest_event event,
    uint64_t now_us)
{
	enum interest_state was = wanted_name_state(interest, name);
	enum interest_state next = interest_next(was, event, wanted_name_want(name, now_us));

	return next == INTEREST_ABSENT && was == INTEREST_WAITING &&
		       name->held_session == interest->session
		   ? INTEREST_LINGERS
		   : next;
}

void
wanted_name_happen(
    struct interest *interest, struct wanted_name *name, enum interest_event event, uint64_t now_us)
{
	enum interest_state next = next_of(interest, name, event, now_us);

	if (next != wanted_name_state(interest, name))
		wanted_name_enter(interest, name, next, now_us);
}

struct wanted_name *
wanted_name_find(const struct interest *interest, enum hub_kind kind, struct slice name)
{
	return hash_map_get(interest->maps[kind], name);
}
