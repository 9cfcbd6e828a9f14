#include "config.h"

#include "link/globs_state.h"

#include <stdint.h>

#define O GLOBS_OUT
#define R GLOBS_REFUSED
#define J GLOBS_JOINED
#define A GLOBS_ASKING
#define K GLOBS_KNOWN
#define N GLOBS_ANNOUNCING

/* What cannot happen changes nothing. */
/* clang-format off */
static const uint8_t next_states[GLOBS_STATES][GLOBS_EVENTS] = {
/*                      hears lost denied sent answered failed */
[GLOBS_OUT] =         { J,    O,   R,     O,   O,       O },
[GLOBS_REFUSED] =     { J,    O,   R,     R,   R,       R },
[GLOBS_JOINED] =      { J,    O,   J,     A,   J,       J },
[GLOBS_ASKING] =      { J,    O,   A,     A,   K,       J },
[GLOBS_KNOWN] =       { J,    O,   K,     N,   K,       K },
[GLOBS_ANNOUNCING] =  { J,    O,   N,     N,   K,       K },
};
/* clang-format on */

enum globs_state
globs_next_state(enum globs_state state, enum globs_event event)
{
	return (enum globs_state)next_states[state][event];
}

/* clang-format off */
static const uint8_t next_of_feed[FEED_STATES][FEED_EVENTS] = {
/*                 wanted        unwanted      joined        left */
[FEED_NONE] =    { FEED_JOINING, FEED_NONE,    FEED_NONE,    FEED_NONE },
[FEED_JOINING] = { FEED_JOINING, FEED_LEAVING, FEED_LIVE,    FEED_JOINING },
[FEED_LIVE] =    { FEED_LIVE,    FEED_LEAVING, FEED_LIVE,    FEED_LIVE },
[FEED_LEAVING] = { FEED_JOINING, FEED_LEAVING, FEED_LEAVING, FEED_NONE },
};
/* clang-format on */

enum feed_state
feed_next_state(enum feed_state state, enum feed_event event)
{
	return (enum feed_state)next_of_feed[state][event];
}
