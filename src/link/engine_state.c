#include "config.h"

#include "link/engine_state.h"

#include <stdint.h>

#define D ENGINE_DOWN
#define C ENGINE_CATCHING_UP
#define S ENGINE_DELIVERING
#define L ENGINE_LIVE

/* clang-format off */
static const uint8_t next_states[ENGINE_STATES][ENGINE_EVENTS] = {
/*                       anew again joined delivered lost */
[ENGINE_DOWN] =        { L,   C,    D,     D,        D },
[ENGINE_CATCHING_UP] = { C,   C,    S,     C,        D },
[ENGINE_DELIVERING] =  { S,   S,    S,     L,        D },
[ENGINE_LIVE] =        { L,   L,    L,     L,        D },
};
/* clang-format on */

enum engine_state
engine_next(enum engine_state state, enum engine_event event)
{
	return (enum engine_state)next_states[state][event];
}

const char *
engine_state_name(enum engine_state state)
{
	static const char *const names[ENGINE_STATES] = {
	    [ENGINE_DOWN] = "down",
	    [ENGINE_CATCHING_UP] = "catching-up",
	    [ENGINE_DELIVERING] = "delivering",
	    [ENGINE_LIVE] = "live",
	};

	return names[state];
}
