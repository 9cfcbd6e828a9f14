#include "config.h"

#include "link/engine_claim_state.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(each_event_does_to_each_state_what_the_table_says)
{
	/* One letter for each event: looks asks won taken free forgotten lost. */
	static const char *const expected[CLAIM_STATES] = {
	    [CLAIM_WAITING] = "LAWWWWW",
	    [CLAIM_LOOKING] = "LLOTWTW",
	    [CLAIM_ASKED] = "AAOTATU",
	    [CLAIM_UNSURE] = "UGUUUUU",
	    [CLAIM_ASKED_AGAIN] = "GGOTGMU",
	    [CLAIM_WON] = "OOOOOOO",
	    [CLAIM_TAKEN] = "TTTTTTT",
	    [CLAIM_MISSED] = "MMMMMMM",
	};

	for (int state = 0; state < CLAIM_STATES; state++) {
		ck_assert_uint_eq(strlen(expected[state]), CLAIM_EVENTS);
		for (int event = 0; event < CLAIM_EVENTS; event++)
			ck_assert_int_eq("WLAUGOTM"[claim_next(
					     (enum claim_state)state, (enum claim_event)event)],
			    expected[state][event]);
	}
}
END_TEST

START_TEST(a_state_awaits_a_reply_or_is_decided_or_neither)
{
	for (int state = 0; state < CLAIM_STATES; state++) {
		bool is_in_flight = strchr("LAG", "WLAUGOTM"[state]) != NULL;
		bool is_decided = strchr("OTM", "WLAUGOTM"[state]) != NULL;

		ck_assert(claim_is_in_flight((enum claim_state)state) == is_in_flight);
		ck_assert(claim_is_decided((enum claim_state)state) == is_decided);
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_claim_state", NULL, NULL,
	    (const TTest *[]){each_event_does_to_each_state_what_the_table_says,
		a_state_awaits_a_reply_or_is_decided_or_neither, NULL});
}
