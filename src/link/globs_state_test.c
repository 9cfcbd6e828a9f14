#include "config.h"

#include "link/globs_state.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

/* In the order of the events: hears, lost, denied, sent, answered, failed. */
START_TEST(every_event_in_every_state_does_what_the_table_says)
{
	static const char letters[] = "ORJAKN";
	static const char *const expected[GLOBS_STATES] = {
	    "JOROOO", "JORRRR", "JOJAJJ", "JOAAKJ", "JOKNKK", "JONNKK"};

	for (int state = 0; state < GLOBS_STATES; state++) {
		ck_assert_uint_eq(strlen(expected[state]), GLOBS_EVENTS);
		for (int event = 0; event < GLOBS_EVENTS; event++)
			ck_assert_msg(letters[globs_next_state((enum globs_state)state,
					  (enum globs_event)event)] == expected[state][event],
			    "state %d, event %d", state, event);
	}
}
END_TEST

/* wanted, unwanted, joined, left. */
START_TEST(every_event_of_a_feed_does_what_the_table_says)
{
	static const char letters[] = "NJVL";
	static const char *const expected[FEED_STATES] = {"JNNN", "JLVJ", "VLVV", "JLLN"};

	for (int state = 0; state < FEED_STATES; state++) {
		ck_assert_uint_eq(strlen(expected[state]), FEED_EVENTS);
		for (int event = 0; event < FEED_EVENTS; event++)
			ck_assert_msg(letters[feed_next_state((enum feed_state)state,
					  (enum feed_event)event)] == expected[state][event],
			    "state %d, event %d", state, event);
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/globs_state", NULL, NULL,
	    (const TTest *[]){every_event_in_every_state_does_what_the_table_says,
		every_event_of_a_feed_does_what_the_table_says, NULL});
}
