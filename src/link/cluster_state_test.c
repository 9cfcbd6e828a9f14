#include "config.h"

#include "link/cluster_state.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(every_event_in_every_state_does_what_the_table_says)
{
	static const char letters[] = "slpu";
	/* mapped, none, some, all, late */
	static const char *const expected[CLUSTER_STATES] = {"lspus", "llpus", "pspup", "uspuu"};

	for (int state = 0; state < CLUSTER_STATES; state++) {
		ck_assert_uint_eq(strlen(expected[state]), CLUSTER_EVENTS);
		for (int event = 0; event < CLUSTER_EVENTS; event++)
			ck_assert_msg(letters[cluster_next((enum cluster_state)state,
					  (enum cluster_event)event)] == expected[state][event],
			    "state %d, event %d", state, event);
	}
}
END_TEST

START_TEST(each_state_has_a_name)
{
	static const char *const names[CLUSTER_STATES] = {"seeking", "linking", "partial", "up"};

	for (int state = 0; state < CLUSTER_STATES; state++)
		ck_assert_str_eq(cluster_state_name((enum cluster_state)state), names[state]);
}
END_TEST

int
main(void)
{
	return testing_main("link/cluster_state", NULL, NULL,
	    (const TTest *[]){
		every_event_in_every_state_does_what_the_table_says, each_state_has_a_name, NULL});
}
