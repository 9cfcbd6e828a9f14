#include "config.h"

#include "app/upgrade_states.h"

#include <stddef.h>

enum {
	NONE = 1 << UPGRADE_NONE,
	STARTS = 1 << UPGRADE_STARTS,
	WAITS = 1 << UPGRADE_WAITS,
	COPIES = 1 << UPGRADE_COPIES,
	FOLLOWS = 1 << UPGRADE_FOLLOWS,
	FREEZES = 1 << UPGRADE_FREEZES,
	CONCLUDES = 1 << UPGRADE_CONCLUDES,
	DONE = 1 << UPGRADE_DONE,
	ACTIVE = STARTS | WAITS | COPIES | FOLLOWS | FREEZES | CONCLUDES,
};

#define SAME (-1)

#define UNDO (UPGRADE_CANCEL | UPGRADE_DROP)

struct transition {
	enum upgrade_event event;
	uint32_t states;
	int next;
	uint32_t actions;
};

/* The first matching row applies; without one, nothing happens. */
static const struct transition transitions[] = {
    {UPGRADE_EVENT_BEGIN, NONE, UPGRADE_STARTS, 0},
    {UPGRADE_EVENT_BEGIN, ACTIVE, SAME, UPGRADE_REFUSE},

    {UPGRADE_EVENT_HELLO, STARTS, UPGRADE_WAITS, UPGRADE_RESERVE},
    {UPGRADE_EVENT_HELLO, ACTIVE, SAME, UPGRADE_FAIL},

    {UPGRADE_EVENT_IDLE, WAITS, UPGRADE_COPIES, UPGRADE_COPY},
    {UPGRADE_EVENT_COPIED, COPIES, UPGRADE_FOLLOWS, 0},
    {UPGRADE_EVENT_CLOSE, FOLLOWS, UPGRADE_FREEZES, UPGRADE_FREEZE},
    {UPGRADE_EVENT_EMPTY, FREEZES, UPGRADE_CONCLUDES, UPGRADE_SEAL},

    {UPGRADE_EVENT_READY, CONCLUDES, SAME, UPGRADE_TELL},
    {UPGRADE_EVENT_READY, ACTIVE, SAME, UPGRADE_FAIL},
    {UPGRADE_EVENT_TOLD, CONCLUDES, UPGRADE_DONE, UPGRADE_TAKE_LEAVE},

    {UPGRADE_EVENT_FAILED, STARTS, UPGRADE_NONE, UPGRADE_DROP},
    {UPGRADE_EVENT_FAILED, WAITS | COPIES | FOLLOWS, UPGRADE_NONE, UNDO},
    {UPGRADE_EVENT_FAILED, FREEZES | CONCLUDES, UPGRADE_NONE, UNDO | UPGRADE_THAW},
};

uint32_t
upgrade_step(enum upgrade_state *state, enum upgrade_event event)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(*transitions); i++) {
		const struct transition *t = &transitions[i];

		if (t->event != event || (t->states & 1U << *state) == 0)
			continue;
		if (t->next != SAME)
			*state = (enum upgrade_state)t->next;
		return t->actions;
	}
	return 0;
}
