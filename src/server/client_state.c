#include "config.h"

#include "server/client_state.h"

#define NO UINT8_MAX /* the event has no effect in this state */
#define REFUSED CLIENT_REFUSED
#define FINISHING CLIENT_FINISHING
#define PARTING CLIENT_PARTING
#define KILLED CLIENT_KILLED
#define CUT CLIENT_CUT
#define GONE CLIENT_GONE
#define GONE_CUT CLIENT_GONE_CUT

/* clang-format off */
static const uint8_t states_after[CLIENT_STATES][CLIENT_EVENTS] = {
/*                     refuse   finish     part     kill    cut       close */
[CLIENT_OPEN] =      { REFUSED, FINISHING, PARTING, KILLED, NO,       GONE },
[CLIENT_REFUSED] =   { NO,      NO,        NO,      NO,     NO,       GONE },
[CLIENT_FINISHING] = { NO,      NO,        NO,      KILLED, NO,       GONE },
[CLIENT_PARTING] =   { NO,      NO,        NO,      KILLED, NO,       GONE },
[CLIENT_KILLED] =    { NO,      NO,        NO,      NO,     CUT,      GONE },
[CLIENT_CUT] =       { NO,      NO,        NO,      NO,     NO,       GONE_CUT },
[CLIENT_GONE] =      { NO,      NO,        NO,      NO,     GONE_CUT, NO },
[CLIENT_GONE_CUT] =  { NO,      NO,        NO,      NO,     NO,       NO },
};
/* clang-format on */

enum client_state
client_state_after(enum client_state state, enum client_event event)
{
	uint8_t after = states_after[state][event];

	return after == NO ? state : (enum client_state)after;
}

bool
client_state_move(uint8_t *state, enum client_event event)
{
	uint8_t after = states_after[*state][event];

	if (after == NO)
		return false;
	*state = after;
	return true;
}
