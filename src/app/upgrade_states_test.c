#include "config.h"

#include "app/upgrade_states.h"

#include <check.h>
#include <stdbool.h>

#include "base/testing.h"

/* The whole table once more, by state: the next state and the actions for each event. */
struct expected {
	enum upgrade_state next;
	uint32_t actions;
};

#define NOTHING(state)                                                                             \
	{                                                                                          \
		state, 0                                                                           \
	}
#define BREAKS(state)                                                                              \
	{                                                                                          \
		state, UPGRADE_FAIL                                                                \
	}
#define AGAIN(state)                                                                               \
	{                                                                                          \
		state, UPGRADE_REFUSE                                                              \
	}

#define UNDONE (UPGRADE_CANCEL | UPGRADE_DROP)

/* clang-format off */
static const struct expected table[UPGRADE_STATES][UPGRADE_EVENTS] = {
[UPGRADE_NONE] = {
	[UPGRADE_EVENT_BEGIN] = {UPGRADE_STARTS, 0},
	[UPGRADE_EVENT_HELLO] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_READY] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_NONE),
	[UPGRADE_EVENT_FAILED] = NOTHING(UPGRADE_NONE),
},
[UPGRADE_STARTS] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_STARTS),
	[UPGRADE_EVENT_HELLO] = {UPGRADE_WAITS, UPGRADE_RESERVE},
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_STARTS),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_STARTS),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_STARTS),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_STARTS),
	[UPGRADE_EVENT_READY] = BREAKS(UPGRADE_STARTS),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_STARTS),
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UPGRADE_DROP},
},
[UPGRADE_WAITS] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_WAITS),
	[UPGRADE_EVENT_HELLO] = BREAKS(UPGRADE_WAITS),
	[UPGRADE_EVENT_IDLE] = {UPGRADE_COPIES, UPGRADE_COPY},
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_WAITS),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_WAITS),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_WAITS),
	[UPGRADE_EVENT_READY] = BREAKS(UPGRADE_WAITS),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_WAITS),
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UNDONE},
},
[UPGRADE_COPIES] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_COPIES),
	[UPGRADE_EVENT_HELLO] = BREAKS(UPGRADE_COPIES),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_COPIES),
	[UPGRADE_EVENT_COPIED] = {UPGRADE_FOLLOWS, 0},
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_COPIES),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_COPIES),
	[UPGRADE_EVENT_READY] = BREAKS(UPGRADE_COPIES),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_COPIES),
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UNDONE},
},
[UPGRADE_FOLLOWS] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_HELLO] = BREAKS(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_CLOSE] = {UPGRADE_FREEZES, UPGRADE_FREEZE},
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_READY] = BREAKS(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_FOLLOWS),
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UNDONE},
},
[UPGRADE_FREEZES] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_FREEZES),
	[UPGRADE_EVENT_HELLO] = BREAKS(UPGRADE_FREEZES),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_FREEZES),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_FREEZES),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_FREEZES),
	[UPGRADE_EVENT_EMPTY] = {UPGRADE_CONCLUDES, UPGRADE_SEAL},
	[UPGRADE_EVENT_READY] = BREAKS(UPGRADE_FREEZES),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_FREEZES),
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UNDONE | UPGRADE_THAW},
},
[UPGRADE_CONCLUDES] = {
	[UPGRADE_EVENT_BEGIN] = AGAIN(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_HELLO] = BREAKS(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_CONCLUDES),
	[UPGRADE_EVENT_READY] = {UPGRADE_CONCLUDES, UPGRADE_TELL},
	[UPGRADE_EVENT_TOLD] = {UPGRADE_DONE, UPGRADE_TAKE_LEAVE},
	[UPGRADE_EVENT_FAILED] = {UPGRADE_NONE, UNDONE | UPGRADE_THAW},
},
[UPGRADE_DONE] = {
	[UPGRADE_EVENT_BEGIN] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_HELLO] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_IDLE] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_COPIED] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_CLOSE] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_EMPTY] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_READY] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_TOLD] = NOTHING(UPGRADE_DONE),
	[UPGRADE_EVENT_FAILED] = NOTHING(UPGRADE_DONE),
},
};
/* clang-format on */

START_TEST(the_table_has_exactly_these_transitions)
{
	for (int from = 0; from < UPGRADE_STATES; from++) {
		for (int event = 0; event < UPGRADE_EVENTS; event++) {
			enum upgrade_state state = (enum upgrade_state)from;
			uint32_t actions = upgrade_step(&state, (enum upgrade_event)event);

			ck_assert_msg(state == table[from][event].next &&
					  actions == table[from][event].actions,
			    "state %d, event %d: next %d, actions %x", from, event, (int)state,
			    (unsigned)actions);
		}
	}
}
END_TEST

/* The state of the process, as the actions change it. */
struct effects {
	bool is_reserved, is_frozen, has_left, has_connection;
};

static void
carry_out(struct effects *e, uint32_t actions)
{
	if ((actions & UPGRADE_RESERVE) != 0)
		e->is_reserved = true;
	if ((actions & UPGRADE_FREEZE) != 0)
		e->is_frozen = true;
	if ((actions & UPGRADE_SEAL) != 0)
		ck_assert(e->is_frozen && e->is_reserved);
	if ((actions & (UPGRADE_TELL | UPGRADE_TAKE_LEAVE)) != 0)
		ck_assert(e->is_frozen && e->has_connection && !e->has_left);
	if ((actions & UPGRADE_TAKE_LEAVE) != 0)
		*e = (struct effects){.has_left = true, .is_frozen = true};
	if ((actions & UPGRADE_CANCEL) != 0) {
		ck_assert(e->is_reserved);
		e->is_reserved = false;
	}
	if ((actions & UPGRADE_THAW) != 0) {
		ck_assert(e->is_frozen);
		e->is_frozen = false;
	}
	if ((actions & UPGRADE_DROP) != 0)
		e->has_connection = false;
}

/* Random events: in UPGRADE_NONE nothing is left of an upgrade that failed. */
START_TEST(a_failure_undoes_exactly_what_was_done)
{
	uint64_t seed = 2026;
	int done = 0;

	for (int run = 0; run < testing_steps(20000); run++) {
		enum upgrade_state state = UPGRADE_NONE;
		struct effects e = {0};

		for (int step = 0; step < 40 && state != UPGRADE_DONE; step++) {
			/* Each second time the event that leads on. */
			enum upgrade_event event =
			    (enum upgrade_event)(testing_random(&seed) % 2 == 0
						     ? (uint64_t)state
						     : testing_random(&seed) % UPGRADE_EVENTS);
			uint32_t actions;

			if (state == UPGRADE_NONE && event == UPGRADE_EVENT_BEGIN)
				e.has_connection = true;
			actions = upgrade_step(&state, event);
			carry_out(&e, actions);
			if ((actions & UPGRADE_FAIL) != 0)
				carry_out(&e, upgrade_step(&state, UPGRADE_EVENT_FAILED));
			ck_assert(state != UPGRADE_NONE ||
				  (!e.is_reserved && !e.is_frozen && !e.has_connection));
		}
		done += state == UPGRADE_DONE;
	}
	ck_assert_int_gt(done, 0);
}
END_TEST

int
main(void)
{
	return testing_main("app/upgrade_states", NULL, NULL,
	    (const TTest *[]){the_table_has_exactly_these_transitions,
		a_failure_undoes_exactly_what_was_done, NULL});
}
