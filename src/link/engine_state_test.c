#include "config.h"

#include "link/engine_state.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(each_event_does_to_each_state_what_the_table_says)
{
	/* One letter for each event: anew again joined delivered lost. */
	static const char *const expected[ENGINE_STATES] = {
	    [ENGINE_DOWN] = "LCDDD",
	    [ENGINE_CATCHING_UP] = "CCSCD",
	    [ENGINE_DELIVERING] = "SSSLD",
	    [ENGINE_LIVE] = "LLLLD",
	};

	for (int state = 0; state < ENGINE_STATES; state++) {
		ck_assert_uint_eq(strlen(expected[state]), ENGINE_EVENTS);
		for (int event = 0; event < ENGINE_EVENTS; event++)
			ck_assert_int_eq(
			    "DCSL"[engine_next((enum engine_state)state, (enum engine_event)event)],
			    expected[state][event]);
	}
}
END_TEST

START_TEST(each_state_has_a_name_of_its_own)
{
	static const char *const names[ENGINE_STATES] = {
	    "down", "catching-up", "delivering", "live"};

	for (int state = 0; state < ENGINE_STATES; state++)
		ck_assert_str_eq(engine_state_name((enum engine_state)state), names[state]);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_state", NULL, NULL,
	    (const TTest *[]){each_event_does_to_each_state_what_the_table_says,
		each_state_has_a_name_of_its_own, NULL});
}
