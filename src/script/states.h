#ifndef SCRIPT_STATES_H
#define SCRIPT_STATES_H

#include <stdbool.h>

#include "server/scripts.h"

/* What happens to the script in execution: one table says where each event leads. */
enum script_event {
	SCRIPT_EVENT_BEGIN,
	SCRIPT_EVENT_SUSPEND,
	SCRIPT_EVENT_LATE, /* busy-reply-threshold is over */
	SCRIPT_EVENT_END,
};
#define SCRIPT_EVENTS (SCRIPT_EVENT_END + 1)

/* False, and nothing changed, if the event has no effect in this state. */
bool script_states_move(enum script_state *state, enum script_event event);

#endif
