#include "config.h"

#include "net/conn_state.h"

#define TO(state) (1u << CONN_##state)

static const struct {
	const char *name;
	unsigned next; /* one bit for each state that may follow */
} states[CONN_STATES] = {
    [CONN_SECURING] = {"securing", TO(READING) | TO(DEAD)},
    [CONN_READING] = {"reading", TO(HELD) | TO(BLOCKED) | TO(PAUSED) | TO(FINISHING) | TO(DEAD)},
    [CONN_HELD] = {"held", TO(READING) | TO(BLOCKED) | TO(RESUMED) | TO(FINISHING) | TO(DEAD)},
    [CONN_BLOCKED] = {"blocked", TO(RESUMED) | TO(FINISHING) | TO(DEAD)},
    [CONN_RESUMED] = {"resumed", TO(READING) | TO(HELD) | TO(FINISHING) | TO(DEAD)},
    [CONN_PAUSED] = {"paused", TO(READING) | TO(FINISHING) | TO(DEAD)},
    [CONN_FINISHING] = {"finishing", TO(LINGERING) | TO(DEAD)},
    [CONN_LINGERING] = {"lingering", TO(DEAD)},
    [CONN_DEAD] = {"dead", TO(STOPPED)},
    [CONN_STOPPED] = {"stopped", 0},
};

bool
conn_state_may_follow(enum conn_state from, enum conn_state to)
{
	return from == to || (states[from].next & 1u << to) != 0;
}

const char *
conn_state_name(enum conn_state state)
{
	return states[state].name;
}
