#include "config.h"

#include "server/client_state.h"

#include <check.h>

#include "base/testing.h"

/* The table is repeated here, so that it is not changed by accident. */
START_TEST(each_event_in_each_state_leads_to_the_state_that_the_table_says)
{
	static const char *const states[CLIENT_STATES] = {
	    "open", "refused", "finishing", "parting", "killed", "cut", "gone", "gone-cut"};
	static const struct {
		enum client_state state;
		const char
		    *after[CLIENT_EVENTS]; /* refuse finish part kill cut close; NULL: same */
	} rows[] = {
	    {CLIENT_OPEN, {"refused", "finishing", "parting", "killed", NULL, "gone"}},
	    {CLIENT_REFUSED, {NULL, NULL, NULL, NULL, NULL, "gone"}},
	    {CLIENT_FINISHING, {NULL, NULL, NULL, "killed", NULL, "gone"}},
	    {CLIENT_PARTING, {NULL, NULL, NULL, "killed", NULL, "gone"}},
	    {CLIENT_KILLED, {NULL, NULL, NULL, NULL, "cut", "gone"}},
	    {CLIENT_CUT, {NULL, NULL, NULL, NULL, NULL, "gone-cut"}},
	    {CLIENT_GONE, {NULL, NULL, NULL, NULL, "gone-cut", NULL}},
	    {CLIENT_GONE_CUT, {NULL, NULL, NULL, NULL, NULL, NULL}},
	};

	ck_assert_uint_eq(sizeof(rows) / sizeof(*rows), CLIENT_STATES);
	for (size_t i = 0; i < CLIENT_STATES; i++) {
		for (int event = 0; event < CLIENT_EVENTS; event++) {
			const char *expected = rows[i].after[event];

			ck_assert_str_eq(
			    states[client_state_after(rows[i].state, (enum client_event)event)],
			    expected != NULL ? expected : states[rows[i].state]);
		}
	}
}
END_TEST

START_TEST(no_event_leads_back)
{
	for (int state = 0; state < CLIENT_STATES; state++)
		for (int event = 0; event < CLIENT_EVENTS; event++)
			ck_assert_int_ge(
			    client_state_after((enum client_state)state, (enum client_event)event),
			    state);
}
END_TEST

START_TEST(a_state_moves_where_the_table_says_and_tells_whether_it_did)
{
	for (int state = 0; state < CLIENT_STATES; state++) {
		for (int event = 0; event < CLIENT_EVENTS; event++) {
			uint8_t moved = (uint8_t)state;
			enum client_state after =
			    client_state_after((enum client_state)state, (enum client_event)event);

			ck_assert_int_eq(client_state_move(&moved, (enum client_event)event),
			    (int)after != state);
			ck_assert_uint_eq(moved, after);
		}
	}
}
END_TEST

int
main(void)
{
	return testing_main("server/client_state", NULL, NULL,
	    (const TTest *[]){each_event_in_each_state_leads_to_the_state_that_the_table_says,
		no_event_leads_back, a_state_moves_where_the_table_says_and_tells_whether_it_did,
		NULL});
}
