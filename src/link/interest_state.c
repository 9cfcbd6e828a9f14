#include "config.h"

#include "link/interest_state.h"

#include <stdint.h>

#define A INTEREST_ABSENT
#define W INTEREST_WAITING
#define S INTEREST_ASKED
#define H INTEREST_HELD
#define L INTEREST_LINGERS
#define U INTEREST_LEAVING
#define R INTEREST_REFUSED
#define M INTEREST_MOVED

/* In a cell: the next state if nobody wants the name, if somebody does soon, if it has subscribers.
 * What cannot happen changes nothing. */
/* clang-format off */
static const uint8_t next_states[INTEREST_STATES][INTEREST_EVENTS][INTEREST_WANTS] = {
/*                       wanted      unwanted    sent        confirmed   denied      due         left        lost        redirected */
[INTEREST_ABSENT] =  { { A, W, W }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A }, { A, A, A } },
[INTEREST_WAITING] = { { W, W, W }, { A, W, W }, { A, S, S }, { W, W, W }, { W, W, W }, { W, W, W }, { W, W, W }, { W, W, W }, { W, W, W } },
[INTEREST_ASKED] =   { { S, S, S }, { S, S, S }, { S, S, S }, { L, L, H }, { R, R, R }, { S, S, S }, { S, S, S }, { W, W, W }, { A, A, M } },
[INTEREST_HELD] =    { { H, H, H }, { L, L, H }, { H, H, H }, { H, H, H }, { H, H, H }, { H, H, H }, { A, W, W }, { W, W, W }, { A, A, M } },
[INTEREST_LINGERS] = { { L, L, H }, { L, L, L }, { L, L, L }, { L, L, L }, { L, L, L }, { U, U, U }, { A, W, W }, { W, W, W }, { A, A, M } },
[INTEREST_LEAVING] = { { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { U, U, U }, { A, W, W }, { W, W, W }, { U, U, U } },
[INTEREST_REFUSED] = { { R, R, R }, { R, R, R }, { R, R, R }, { R, R, R }, { R, R, R }, { A, W, W }, { R, R, R }, { W, W, W }, { R, R, R } },
[INTEREST_MOVED] =   { { M, M, M }, { A, A, M }, { M, M, M }, { M, M, M }, { M, M, M }, { A, W, W }, { M, M, M }, { W, W, W }, { M, M, M } },
};
/* clang-format on */

enum interest_state
interest_next(enum interest_state state, enum interest_event event, enum interest_want want)
{
	return (enum interest_state)next_states[state][event][want];
}
