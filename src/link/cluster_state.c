#include "config.h"

#include "link/cluster_state.h"

#include <stdint.h>

#define S CLUSTER_SEEKING
#define L CLUSTER_LINKING
#define P CLUSTER_PARTIAL
#define U CLUSTER_UP

/* clang-format off */
static const uint8_t next_states[CLUSTER_STATES][CLUSTER_EVENTS] = {
/*                     mapped none some all late */
[CLUSTER_SEEKING] =  { L,     S,   P,   U,  S },
[CLUSTER_LINKING] =  { L,     L,   P,   U,  S },
[CLUSTER_PARTIAL] =  { P,     S,   P,   U,  P },
[CLUSTER_UP] =       { U,     S,   P,   U,  U },
};
/* clang-format on */

enum cluster_state
cluster_next(enum cluster_state state, enum cluster_event event)
{
	return (enum cluster_state)next_states[state][event];
}

const char *
cluster_state_name(enum cluster_state state)
{
	static const char *const names[CLUSTER_STATES] = {
	    [CLUSTER_SEEKING] = "seeking",
	    [CLUSTER_LINKING] = "linking",
	    [CLUSTER_PARTIAL] = "partial",
	    [CLUSTER_UP] = "up",
	};

	return names[state];
}
