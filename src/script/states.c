#include "config.h"

#include "script/states.h"

#define NO SCRIPT_STATES /* the event has no effect in this state */

/* clang-format off */
static const enum script_state states_after[SCRIPT_STATES][SCRIPT_EVENTS] = {
/*                   begin        suspend        late         end */
[SCRIPT_IDLE] =    { SCRIPT_RUNS, NO,            NO,          NO },
[SCRIPT_RUNS] =    { NO,          SCRIPT_WAITED, NO,          SCRIPT_IDLE },
[SCRIPT_WAITED] =  { NO,          NO,            SCRIPT_BUSY, SCRIPT_IDLE },
[SCRIPT_BUSY] =    { NO,          NO,            NO,          SCRIPT_IDLE },
};
/* clang-format on */

bool
script_states_move(enum script_state *state, enum script_event event)
{
	enum script_state after = states_after[*state][event];

	if (after == NO)
		return false;
	*state = after;
	return true;
}
