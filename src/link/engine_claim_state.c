#include "config.h"

#include "link/engine_claim_state.h"

#include <stdint.h>

#define W CLAIM_WAITING
#define L CLAIM_LOOKING
#define A CLAIM_ASKED
#define U CLAIM_UNSURE
#define G CLAIM_ASKED_AGAIN
#define O CLAIM_WON
#define T CLAIM_TAKEN
#define M CLAIM_MISSED

/* clang-format off */
static const uint8_t next_states[CLAIM_STATES][CLAIM_EVENTS] = {
/*                      looks asks won taken free forgotten lost */
[CLAIM_WAITING] =     { L,    A,   W,  W,    W,   W,        W },
[CLAIM_LOOKING] =     { L,    L,   O,  T,    W,   T,        W },
[CLAIM_ASKED] =       { A,    A,   O,  T,    A,   T,        U },
[CLAIM_UNSURE] =      { U,    G,   U,  U,    U,   U,        U },
[CLAIM_ASKED_AGAIN] = { G,    G,   O,  T,    G,   M,        U },
[CLAIM_WON] =         { O,    O,   O,  O,    O,   O,        O },
[CLAIM_TAKEN] =       { T,    T,   T,  T,    T,   T,        T },
[CLAIM_MISSED] =      { M,    M,   M,  M,    M,   M,        M },
};
/* clang-format on */

enum claim_state
claim_next(enum claim_state state, enum claim_event event)
{
	return (enum claim_state)next_states[state][event];
}
