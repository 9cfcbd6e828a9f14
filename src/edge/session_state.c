#include "config.h"

#include "edge/session_state.h"

#define NO UINT8_MAX /* the event is not possible in this state */
#define REQUESTS EDGE_REQUESTS
#define OPENING EDGE_OPENING
#define STREAM EDGE_STREAM
#define JOINING EDGE_JOINING
#define SOCKET EDGE_SOCKET
#define ENDED EDGE_ENDED

/* clang-format off */
static const uint8_t states_after[EDGE_STATES][EDGE_EVENTS] = {
/*                    open     refuse    stream  upgrade  connect end */
[EDGE_REQUESTS] = { OPENING, NO,       NO,     JOINING, NO,     ENDED },
[EDGE_OPENING] =  { NO,      REQUESTS, STREAM, NO,      NO,     ENDED },
[EDGE_STREAM] =   { NO,      NO,       NO,     NO,      NO,     ENDED },
[EDGE_JOINING] =  { NO,      NO,       NO,     NO,      SOCKET, ENDED },
[EDGE_SOCKET] =   { NO,      NO,       NO,     NO,      NO,     ENDED },
[EDGE_ENDED] =    { NO,      NO,       NO,     NO,      NO,     NO },
};
/* clang-format on */

bool
edge_state_move(uint8_t *state, enum edge_event event)
{
	uint8_t after = states_after[*state][event];

	if (after == NO)
		return false;
	*state = after;
	return true;
}
