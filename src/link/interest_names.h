#ifndef LINK_INTEREST_NAMES_H
#define LINK_INTEREST_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/interest_state.h"
#include "link/wanted_name.h"
#include "pubsub/wire_form.h"

/* Interest names: the names of an interest, and the steps in their lives. For interest.c and
 * interest_moved.c only. */
struct hash_map;

struct interest {
	struct hash_map *maps[HUB_KINDS];
	struct wanted_names lists[INTEREST_STATES]; /* by state, the oldest first */
	size_t count[INTEREST_STATES];
	size_t expected;   /* names of INTEREST_LINGERS that are */
	uint64_t answered; /* names that left the states of is_unanswered() */
	uint64_t linger_us;
	size_t batch; /* names of a command, at most */
	void (*visit)(void *arg, enum hub_kind kind, struct slice name); /* or NULL */
	void *visitor;
	uint32_t session;
	bool has_live_pattern; /* see interest_has_live_pattern() */
	bool has_forgotten;    /* a name that was held and not left; see interest_confirm() */
};

struct slice wanted_name_bytes(const struct wanted_name *name); /* borrows */

/* After the connection was lost all names wait, whatever their record says. */
enum interest_state wanted_name_state(
    const struct interest *interest, const struct wanted_name *name);
enum interest_want wanted_name_want(const struct wanted_name *name, uint64_t now_us);

void wanted_name_expect(struct interest *interest, struct wanted_name *name, bool is_expected);

/* Both free the name if its next state is INTEREST_ABSENT. */
void wanted_name_enter(
    struct interest *interest, struct wanted_name *name, enum interest_state next, uint64_t now_us);
void wanted_name_happen(struct interest *interest, struct wanted_name *name,
    enum interest_event event, uint64_t now_us);

struct wanted_name *wanted_name_find(
    const struct interest *interest, enum hub_kind kind, struct slice name); /* or NULL */

#endif
