#include "config.h"

#include "script/states.h"

#include <check.h>

#include "base/testing.h"

/* The table is repeated here, so that it is not changed by accident. */
START_TEST(each_event_in_each_state_leads_where_the_table_says)
{
	static const char *const names[SCRIPT_STATES] = {"idle", "runs", "waited", "busy"};
	/* begin, suspend, late, end; NULL: no effect */
	static const char *const rows[SCRIPT_STATES][SCRIPT_EVENTS] = {
	    {"runs", NULL, NULL, NULL},
	    {NULL, "waited", NULL, "idle"},
	    {NULL, NULL, "busy", "idle"},
	    {NULL, NULL, NULL, "idle"},
	};

	for (int from = 0; from < (int)SCRIPT_STATES; from++) {
		for (int event = 0; event < SCRIPT_EVENTS; event++) {
			enum script_state state = (enum script_state)from;
			const char *expected = rows[from][event];

			ck_assert_int_eq(
			    script_states_move(&state, (enum script_event)event), expected != NULL);
			ck_assert_str_eq(names[state], expected != NULL ? expected : names[from]);
		}
	}
}
END_TEST

int
main(void)
{
	return testing_main("script/states", NULL, NULL,
	    (const TTest *[]){each_event_in_each_state_leads_where_the_table_says, NULL});
}
