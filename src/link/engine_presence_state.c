#include "config.h"

#include "link/engine_presence_state.h"

#include <stdint.h>

#define D ENGINE_PRESENCE_DOWN
#define I ENGINE_PRESENCE_IDLE
#define O ENGINE_PRESENCE_LOADING
#define A ENGINE_PRESENCE_LEASING
#define L ENGINE_PRESENCE_LEASED
#define J ENGINE_PRESENCE_JOINED
#define R ENGINE_PRESENCE_READY
#define E ENGINE_PRESENCE_ENDED

/* clang-format off */
static const uint8_t next_states[ENGINE_PRESENCE_STATES][ENGINE_PRESENCE_EVENTS] = {
/*                            greeted wanted loaded lease linked died lost end */
[ENGINE_PRESENCE_DOWN] =    { A,      D,     D,     D,    I,     D,   D,   E },
[ENGINE_PRESENCE_IDLE] =    { I,      O,     I,     I,    I,     I,   D,   E },
[ENGINE_PRESENCE_LOADING] = { O,      O,     J,     O,    O,     O,   D,   E },
[ENGINE_PRESENCE_LEASING] = { A,      A,     A,     L,    J,     A,   D,   E },
[ENGINE_PRESENCE_LEASED] =  { L,      L,     L,     L,    R,     A,   D,   E },
[ENGINE_PRESENCE_JOINED] =  { J,      J,     J,     R,    J,     J,   D,   E },
[ENGINE_PRESENCE_READY] =   { R,      R,     R,     R,    R,     J,   D,   E },
[ENGINE_PRESENCE_ENDED] =   { E,      E,     E,     E,    E,     E,   E,   E },
};
/* clang-format on */

enum engine_presence_state
engine_presence_next(enum engine_presence_state state, enum engine_presence_event event)
{
	return (enum engine_presence_state)next_states[state][event];
}
