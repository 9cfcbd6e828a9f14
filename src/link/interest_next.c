#include "config.h"

#include "link/interest.h"

#define A INTEREST_ABSENT
#define W INTEREST_WAITING
#define S INTEREST_ASKED
#define H INTEREST_HELD
#define L INTEREST_LINGERS
#define U INTEREST_LEAVING
#define R INTEREST_REFUSED

/* In a cell: the next state if nobody wants the name, if somebody does soon, if it has subscribers.
 * What cannot happen changes nothing. */
/* clang-format off */
static const uint8_t next_states[INTEREST_STATES][INTEREST_EVENTS][INTEREST_WANTS] = {
/*                       wanted      unwanted    sent        confirmed   denied      due         left        lost */
[INTEREST_ABSENT] =  { { A, W, W }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A } },
[INTEREST_WAITING] = { { W, W, W }, { A, W, W }, { A, S, S }, { W, W, W }, { W, W, W }, { W, W, W }, { W, W, W }, { W, W, W } },
[INTEREST_ASKED] =   { { S, S, S }, { S, S, S }, { S, S, S }, { L, L, H }, { R, R, R }, { S, S, S }, { S, S, S }, { W, W, W } },
[INTEREST_HELD] =    { { H, H, H }, { L, L, H }, { H, H, H }, { H, H, H }, { H, H, H }, { H, H, H }, { H, H, H }, { W, W, W } },
[INTEREST_LINGERS] = { { L, L, H }, { L, L, L }, { L, L, L }, { L, L, L }, { L, L, L }, { U, U, U }, { L, L, L }, { W, W, W } },
[INTEREST_LEAVING] = { { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { A, W, W }, { W, W, W } },
[INTEREST_REFUSED] = { { R, R, R }, { R, R, R }, { R, R, R }, { R, R, R }, { R, R, R }, { A, W, W }, { R, R, R }, { W, W, W } },
};
/* clang-format on */

enum interest_state
interest_next(enum interest_state state, enum interest_event event, enum interest_want want)
{
	return (enum interest_state)next_states[state][event][want];
}
