#include "config.h"

#include "edge/rights.h"

#include <check.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "edge/session.h"
#include "edge/testing_edge.h"

/* What a session may do: without a token, with one, and with one that names a user. */

#define CAPS                                                                                       \
	"\"caps\":[{\"channels\":[\"cap*\"],\"match\":\"wildcard\",\"allow\":[\"sub\",\"pub\"]}]"
#define USER "\"fanfare\":{\"user\":\"bob\"}"

enum { NONE, PLAIN, WITH_CAPS, WITH_NO_CAPS, WITH_USER, WITH_BOTH, TOKENS };

static const char *const claims[TOKENS] = {
    [NONE] = NULL,
    [PLAIN] = "{\"sub\":\"u\"}",
    [WITH_CAPS] = "{\"sub\":\"u\"," CAPS "}",
    [WITH_NO_CAPS] = "{\"sub\":\"u\",\"caps\":[]}",
    [WITH_USER] = "{\"sub\":\"u\"," USER "}",
    [WITH_BOTH] = "{\"sub\":\"u\"," USER "," CAPS "}",
};

/* The user edge may subscribe to edge*; bob may do everything with bob* and cap.bob*. */
static const struct row {
	const char *name;
	enum edge_right right;
	bool is_pattern;
	bool may[TOKENS];
} rows[] = {
    /*                                none   plain  caps   [] caps user   both */
    {"edge1", EDGE_SUBSCRIBE, false, {true, true, true, true, false, false}},
    {"edge*", EDGE_SUBSCRIBE, true, {true, true, true, true, false, false}},
    {"edge1*", EDGE_SUBSCRIBE, true, {false, false, false, false, false, false}},
    {"edge1", EDGE_PUBLISH, false, {false, false, false, false, false, false}},
    {"edge1", EDGE_HISTORY, false, {false, false, false, false, false, false}},
    {"edge1", EDGE_PRESENCE, false, {false, false, false, false, false, false}},
    {"bob1", EDGE_SUBSCRIBE, false, {false, false, false, false, true, false}},
    {"bob1", EDGE_PUBLISH, false, {false, false, false, false, true, false}},
    {"bob1", EDGE_HISTORY, false, {false, false, false, false, true, false}},
    {"bob1", EDGE_PRESENCE, false, {false, false, false, false, true, false}},
    {"bob*", EDGE_SUBSCRIBE, true, {false, false, false, false, true, false}},
    {"cap1", EDGE_SUBSCRIBE, false, {false, false, true, false, false, false}},
    {"cap1", EDGE_PUBLISH, false, {false, false, true, false, false, false}},
    {"cap1", EDGE_HISTORY, false, {false, false, false, false, false, false}},
    {"cap*", EDGE_SUBSCRIBE, true, {false, false, true, false, false, false}},
    {"cap1*", EDGE_SUBSCRIBE, true, {false, false, false, false, false, false}},
    {"cap.bob1", EDGE_SUBSCRIBE, false, {false, false, true, false, true, true}},
    {"cap.bob1", EDGE_PUBLISH, false, {false, false, true, false, true, true}},
    {"cap.bob1", EDGE_PRESENCE, false, {false, false, false, false, true, false}},
    {"*", EDGE_SUBSCRIBE, true, {false, false, false, false, false, false}},
    {"", EDGE_SUBSCRIBE, false, {false, false, false, false, false, false}},
};

static struct test_conn *
open_with(int token)
{
	char *text = claims[token] != NULL ? test_edge_token(claims[token]) : NULL;
	struct test_conn *conn = test_edge_socket(text != NULL ? text : "");

	xfree(text);
	return conn;
}

START_TEST(tokens_and_rules_allow_what_the_table_says)
{
	(void)test_call(
	    test_admin, "acl setuser edge resetchannels -@all +subscribe +psubscribe &edge*");
	(void)test_call(test_admin, "acl setuser bob on resetchannels +@all &bob* &cap.bob*");
	for (int token = 0; token < TOKENS; token++) {
		const struct edge_session *s = test_edge_session(open_with(token));

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			ck_assert_msg(edge_may(s, rows[i].right, slice_of(rows[i].name),
					  rows[i].is_pattern) == rows[i].may[token],
			    "'%s', right %d, claims %s", rows[i].name, (int)rows[i].right,
			    claims[token] != NULL ? claims[token] : "none");
	}
}
END_TEST

START_TEST(a_user_that_is_off_may_nothing)
{
	const struct edge_session *s = test_edge_session(open_with(NONE));

	ck_assert(edge_may(s, EDGE_SUBSCRIBE, SLICE("a"), false));
	(void)test_call(test_admin, "acl setuser edge off");
	ck_assert(!edge_may(s, EDGE_SUBSCRIBE, SLICE("a"), false));
	ck_assert(!edge_may(s, EDGE_PUBLISH, SLICE("a"), false));
}
END_TEST

int
main(void)
{
	return testing_main("edge/rights", test_edge_setup, test_edge_teardown,
	    (const TTest *[]){
		tokens_and_rules_allow_what_the_table_says, a_user_that_is_off_may_nothing, NULL});
}
