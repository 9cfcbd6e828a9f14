#include "config.h"

#include "link/link.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "link/testing_link.h"

/* A link to an upstream that gives positions, whose part the test plays. */

static struct rig rig;

static void
setup(void)
{
	rig_new(&rig);
}

static void
teardown(void)
{
	rig_free(&rig);
}

static size_t
count_of(enum interest_state state)
{
	return interest_figures(link_interest(rig.link)).count[state];
}

/* How often the text is in what the link has sent since the last call. */
static size_t
times_sent(const char *text)
{
	size_t times = 0;

	buffer_append(&rig.sent, "", 1);
	for (const char *at = rig.sent.ptr; (at = strstr(at, text)) != NULL; at++)
		times++;
	buffer_clear(&rig.sent);
	return times;
}

/* To the beginning of its subscriptions. */
static void
open_link(void)
{
	rig_open(&rig);
	rig_turn(&rig);
	rig_give_text(&rig, "%1\r\n$7\r\nfanfare\r\n$5\r\n0.1.0\r\n");
	rig_turn(&rig);
	rig_give_text(&rig, "$0\r\n\r\n");
	rig_turn(&rig);
	rig_give_text(&rig, "+OK\r\n");
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	buffer_clear(&rig.sent);
	rig_turn(&rig);
	rig_give_text(&rig, ">3\r\n$9\r\nsubscribe\r\n$28\r\n" RIG_PROBES "\r\n:1\r\n:1\r\n");
}

static void
confirm(const char *verb, const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), ">3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:1\r\n", strlen(verb), verb,
	    strlen(name), name);
	rig_give_text(&rig, line);
}

START_TEST(a_position_is_asked_for_when_all_names_were)
{
	char name[16];

	for (int i = 0; i < 5000; i++) { /* more than are asked for before the answers come */
		snprintf(name, sizeof(name), "n%d", i);
		interest_add(link_interest(rig.link), HUB_CHANNEL, slice_of(name));
	}
	open_link();
	ck_assert_uint_gt(count_of(INTEREST_WAITING), 0);
	ck_assert_uint_eq(times_sent("POSITION\r\n"), 0);
	for (int i = 0; count_of(INTEREST_ASKED) > 0; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		confirm("subscribe", name);
	}
	rig_turn(&rig);
	ck_assert_uint_eq(count_of(INTEREST_WAITING), 0);
	ck_assert_uint_eq(times_sent("POSITION\r\n"), 1);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

static void
check_heard(const char *heard)
{
	ck_assert_msg(rig.drops == 0, "dropped: %s", rig.why);
	ck_assert_msg(slice_is(buffer_slice(&rig.heard), heard), "heard: %.*s", (int)rig.heard.len,
	    rig.heard.ptr);
}

/* The messages of a live pattern would make older ones of a channel look like copies. */
static void
resume(const char *verdict, const char *heard)
{
	char line[128];

	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("p*"));
	interest_add(link_interest(rig.link), HUB_CHANNEL, SLICE("pa"));
	open_link();
	confirm("psubscribe", "p*");
	confirm("subscribe", "pa");
	rig_give_text(&rig, "$3\r\n7-3\r\n"); /* to HISTORY POSITION */
	ck_assert_int_eq(rig.drops, 0);
	rig_lose(&rig);
	open_link();
	ck_assert_uint_eq(times_sent("PRESUME\r\n$2\r\np*\r\n$3\r\n7-3"), 1);
	buffer_clear(&rig.heard);
	snprintf(line, sizeof(line), "*1\r\n*4\r\n$2\r\np*\r\n$%zu\r\n%s\r\n$3\r\n7-3\r\n:0\r\n",
	    strlen(verdict), verdict);
	rig_give_text(&rig, line);
	confirm("psubscribe", "p*");
	rig_give_text(&rig, "*1\r\n*4\r\n$2\r\npa\r\n$7\r\nresumed\r\n$3\r\n7-3\r\n:0\r\n");
	confirm("subscribe", "pa");
	check_heard(heard);
}

START_TEST(a_channel_resumes_behind_a_pattern_that_does)
{
	resume("resumed", "joined missed 1 p*\njoined resumed 0 pa\n");
}
END_TEST

START_TEST(a_channel_misses_messages_behind_a_pattern_that_is_live)
{
	resume("lost", "joined missed 1 p*\njoined missed 0 pa\n");
}
END_TEST

static void
deliver(const char *by, const char *channel, const char *payload)
{
	char line[160];
	bool is_pattern = strcmp(by, channel) != 0;

	snprintf(line, sizeof(line), ">%d\r\n$%d\r\n%smessage\r\n", is_pattern ? 4 : 3,
	    is_pattern ? 8 : 7, is_pattern ? "p" : "");
	rig_give_text(&rig, line);
	for (const char *const *item = (const char *const[]){is_pattern ? by : channel,
		 is_pattern ? channel : payload, is_pattern ? payload : NULL, NULL};
	     *item != NULL; item++) {
		snprintf(line, sizeof(line), "$%zu\r\n%s\r\n", strlen(*item), *item);
		rig_give_text(&rig, line);
	}
}

static void
give_verdict(const char *name, const char *verdict)
{
	char line[128];

	snprintf(line, sizeof(line), "*1\r\n*4\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$3\r\n7-3\r\n:0\r\n",
	    strlen(name), name, strlen(verdict), verdict);
	rig_give_text(&rig, line);
}

/* The connection is lost behind 7-3, and all names are asked for again. */
static void
begin_again(void)
{
	interest_add(link_interest(rig.link), HUB_CHANNEL, SLICE("pa"));
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("p*"));
	open_link();
	confirm("subscribe", "pa");
	confirm("psubscribe", "p*");
	rig_give_text(&rig, "$3\r\n7-3\r\n");
	rig_lose(&rig);
	interest_need(link_interest(rig.link), HUB_CHANNEL, SLICE("pb"), 1); /* it is new */
	open_link();
	buffer_clear(&rig.heard);
}

START_TEST(the_first_message_of_a_live_channel_jumps)
{
	begin_again();
	give_verdict("pa", "lost");
	confirm("subscribe", "pa");
	deliver("pa", "pa", "7-8 x");
	deliver("pa", "pa", "7-9 x");
	check_heard("joined missed 0 pa\nmessage jumps 0 pa x\nmessage 0 pa x\n");
	ck_assert(!interest_has_resumed(link_interest(rig.link), HUB_CHANNEL, SLICE("pa")));
	ck_assert(interest_misses(link_interest(rig.link), HUB_PATTERN, SLICE("p*")));
}
END_TEST

START_TEST(messages_of_names_that_resume_follow)
{
	begin_again();
	give_verdict("pa", "resumed");
	confirm("subscribe", "pa");
	deliver("pa", "pa", "7-8 x");
	give_verdict("p*", "resumed");
	confirm("psubscribe", "p*");
	deliver("p*", "pc", "7-5 y");
	deliver("p*", "pa", "7-7 x"); /* a copy */
	confirm("subscribe", "pb");
	deliver("pb", "pb", "7-9 z");
	deliver("pb", "pb", "7-10 z");
	deliver("p*", "pd", "0-0 z"); /* it is not kept */
	check_heard("joined resumed 0 pa\nmessage follows 0 pa x\njoined missed 1 p*\n"
		    "message follows 0 pc y\njoined 0 pb\nmessage jumps 0 pb z\n"
		    "message 0 pb z\nmessage 0 pd z\n");
	ck_assert(interest_has_resumed(link_interest(rig.link), HUB_CHANNEL, SLICE("pa")));
	ck_assert(interest_has_resumed(link_interest(rig.link), HUB_PATTERN, SLICE("p*")));
	rig_lose(&rig);
	ck_assert(!interest_has_resumed(link_interest(rig.link), HUB_PATTERN, SLICE("p*")));
	ck_assert_int_eq(
	    interest_hear(link_interest(rig.link), HUB_CHANNEL, SLICE("pa")), INTEREST_GOES_ON);
}
END_TEST

int
main(void)
{
	return testing_main("link/link_positions", setup, teardown,
	    (const TTest *const[]){
		a_position_is_asked_for_when_all_names_were,
		a_channel_resumes_behind_a_pattern_that_does,
		a_channel_misses_messages_behind_a_pattern_that_is_live,
		the_first_message_of_a_live_channel_jumps,
		messages_of_names_that_resume_follow,
		NULL,
	    });
}
