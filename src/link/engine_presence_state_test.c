#include "config.h"

#include "link/engine_presence_state.h"

#include "base/testing.h"

#define D ENGINE_PRESENCE_DOWN
#define I ENGINE_PRESENCE_IDLE
#define O ENGINE_PRESENCE_LOADING
#define A ENGINE_PRESENCE_LEASING
#define L ENGINE_PRESENCE_LEASED
#define J ENGINE_PRESENCE_JOINED
#define R ENGINE_PRESENCE_READY
#define E ENGINE_PRESENCE_ENDED

START_TEST(each_event_leads_to_one_state)
{
	/* greeted, wanted, loaded, lease, linked, died, lost, end */
	static const enum engine_presence_state next[ENGINE_PRESENCE_STATES]
						    [ENGINE_PRESENCE_EVENTS] = {
							[D] = {A, D, D, D, I, D, D, E},
							[I] = {I, O, I, I, I, I, D, E},
							[O] = {O, O, J, O, O, O, D, E},
							[A] = {A, A, A, L, J, A, D, E},
							[L] = {L, L, L, L, R, A, D, E},
							[J] = {J, J, J, R, J, J, D, E},
							[R] = {R, R, R, R, R, J, D, E},
							[E] = {E, E, E, E, E, E, E, E},
						    };

	for (int state = 0; state < ENGINE_PRESENCE_STATES; state++)
		for (int event = 0; event < ENGINE_PRESENCE_EVENTS; event++)
			ck_assert_int_eq(engine_presence_next((enum engine_presence_state)state,
					     (enum engine_presence_event)event),
			    next[state][event]);
}
END_TEST

START_TEST(a_node_with_nothing_to_tell_is_idle)
{
	enum engine_presence_state state = engine_presence_next(D, ENGINE_PRESENCE_LINKED);

	ck_assert_int_eq(state, I);
	state = engine_presence_next(state, ENGINE_PRESENCE_WANTED);
	state = engine_presence_next(state, ENGINE_PRESENCE_LOADED);
	ck_assert_int_eq(engine_presence_next(state, ENGINE_PRESENCE_LEASE), R);
}
END_TEST

START_TEST(a_node_is_ready_when_it_has_the_lease_and_the_link_is_up_in_either_order)
{
	enum engine_presence_state state = engine_presence_next(D, ENGINE_PRESENCE_GREETED);

	ck_assert_int_eq(engine_presence_next(engine_presence_next(state, ENGINE_PRESENCE_LEASE),
			     ENGINE_PRESENCE_LINKED),
	    R);
	ck_assert_int_eq(engine_presence_next(engine_presence_next(state, ENGINE_PRESENCE_LINKED),
			     ENGINE_PRESENCE_LEASE),
	    R);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_presence_state", NULL, NULL,
	    (const TTest *[]){each_event_leads_to_one_state, a_node_with_nothing_to_tell_is_idle,
		a_node_is_ready_when_it_has_the_lease_and_the_link_is_up_in_either_order, NULL});
}
