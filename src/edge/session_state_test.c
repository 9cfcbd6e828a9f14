#include "config.h"

#include "edge/session_state.h"

#include <check.h>

#include "base/testing.h"

#define NO UINT8_MAX

/* The whole table, written a second time from the description of the states. */
static const uint8_t expected[EDGE_STATES][EDGE_EVENTS] = {
    [EDGE_REQUESTS] = {EDGE_OPENING, NO, NO, EDGE_JOINING, NO, EDGE_ENDED},
    [EDGE_OPENING] = {NO, EDGE_REQUESTS, EDGE_STREAM, NO, NO, EDGE_ENDED},
    [EDGE_STREAM] = {NO, NO, NO, NO, NO, EDGE_ENDED},
    [EDGE_JOINING] = {NO, NO, NO, NO, EDGE_SOCKET, EDGE_ENDED},
    [EDGE_SOCKET] = {NO, NO, NO, NO, NO, EDGE_ENDED},
    [EDGE_ENDED] = {NO, NO, NO, NO, NO, NO},
};

START_TEST(every_event_in_every_state_does_what_the_table_says)
{
	for (uint8_t state = 0; state < EDGE_STATES; state++) {
		for (int event = 0; event < EDGE_EVENTS; event++) {
			uint8_t after = state;
			bool moved = edge_state_move(&after, (enum edge_event)event);

			ck_assert_int_eq(moved, expected[state][event] != NO);
			ck_assert_uint_eq(after, moved ? expected[state][event] : state);
		}
	}
}
END_TEST

int
main(void)
{
	return testing_main("edge/session_state", NULL, NULL,
	    (const TTest *[]){every_event_in_every_state_does_what_the_table_says, NULL});
}
