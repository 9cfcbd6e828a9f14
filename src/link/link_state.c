#include "config.h"

#include "link/link_state.h"

#include <stdint.h>

#define D LINK_DOWN
#define G LINK_GREETING
#define C LINK_CHECKING
#define J LINK_JOINING
#define U LINK_UP

/* clang-format off */
static const uint8_t next_states[LINK_STATES][LINK_EVENTS] = {
/*                   opened greeted checked joined lost */
[LINK_DOWN] =      { G,     D,      D,      D,     D },
[LINK_GREETING] =  { G,     C,      G,      G,     D },
[LINK_CHECKING] =  { C,     C,      J,      C,     D },
[LINK_JOINING] =   { J,     J,      J,      U,     D },
[LINK_UP] =        { U,     U,      U,      U,     D },
};
/* clang-format on */

enum link_state
link_next(enum link_state state, enum link_event event)
{
	return (enum link_state)next_states[state][event];
}

const char *
link_state_name(enum link_state state)
{
	static const char *const names[LINK_STATES] = {
	    [LINK_DOWN] = "down",
	    [LINK_GREETING] = "greeting",
	    [LINK_CHECKING] = "checking",
	    [LINK_JOINING] = "joining",
	    [LINK_UP] = "up",
	};

	return names[state];
}
