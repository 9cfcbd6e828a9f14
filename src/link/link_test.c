#include "config.h"

#include "link/link.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "link/testing_link.h"

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

static void
assert_heard(const char *expected)
{
	ck_assert_msg(slice_is(buffer_slice(&rig.heard), expected), "heard: %.*s",
	    (int)rig.heard.len, rig.heard.ptr);
	buffer_clear(&rig.heard);
}

static void
assert_sent(const char *expected)
{
	ck_assert_msg(slice_is(buffer_slice(&rig.sent), expected), "sent: %.*s", (int)rig.sent.len,
	    rig.sent.ptr);
}

static void
assert_dropped(const char *about)
{
	ck_assert_int_eq(link_state_of(rig.link), LINK_DOWN);
	ck_assert_int_eq(rig.drops, 1);
	ck_assert_msg(strstr(rig.why, about) != NULL, "%s", rig.why);
	ck_assert_uint_eq(link_queued_bytes(rig.link), 0);
	rig.drops = 0;
}

static void
publish(const char *channel, const char *payload)
{
	link_publish(rig.link, HUB_CHANNEL, slice_of(channel), slice_of(payload));
}

static size_t
count_of(enum interest_state state)
{
	return interest_figures(link_interest(rig.link)).count[state];
}

START_TEST(every_event_in_every_state_does_what_the_table_says)
{
	static const enum link_state table[LINK_STATES][LINK_EVENTS] = {
	    /* opened, greeted, checked, joined, lost */
	    {LINK_GREETING, LINK_DOWN, LINK_DOWN, LINK_DOWN, LINK_DOWN},
	    {LINK_GREETING, LINK_CHECKING, LINK_GREETING, LINK_GREETING, LINK_DOWN},
	    {LINK_CHECKING, LINK_CHECKING, LINK_JOINING, LINK_CHECKING, LINK_DOWN},
	    {LINK_JOINING, LINK_JOINING, LINK_JOINING, LINK_UP, LINK_DOWN},
	    {LINK_UP, LINK_UP, LINK_UP, LINK_UP, LINK_DOWN},
	};

	for (int state = 0; state < LINK_STATES; state++)
		for (int event = 0; event < LINK_EVENTS; event++)
			ck_assert_int_eq(link_next((enum link_state)state, (enum link_event)event),
			    table[state][event]);
}
END_TEST

START_TEST(the_states_have_different_names)
{
	static const char *const names[] = {"down", "greeting", "checking", "joining", "up"};

	for (int state = 0; state < LINK_STATES; state++)
		ck_assert_str_eq(link_state_name((enum link_state)state), names[state]);
}
END_TEST

START_TEST(it_goes_up_step_by_step)
{
	rig_add(&rig, "a");
	ck_assert_uint_eq(rig_turn(&rig), UINT64_MAX);
	rig_open(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_GREETING);
	ck_assert_uint_gt(rig_turn(&rig), 0);
	assert_sent("*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$12\r\nfanfare-link\r\n");
	rig_serve(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_CHECKING);
	ck_assert_str_eq(link_peer(rig.link), "");
	rig_turn(&rig);
	assert_sent("*1\r\n$4\r\nINFO\r\n");
	rig_serve(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	ck_assert_str_eq(link_peer(rig.link), "redis 7.0.15");
	rig_turn(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	assert_sent("*2\r\n$9\r\nSUBSCRIBE\r\n$28\r\n" RIG_PROBES
		    "\r\n*3\r\n$7\r\nPUBLISH\r\n$28\r\n" RIG_PROBES
		    "\r\n$1\r\n1\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n");
	rig_serve(&rig);
	assert_heard("joined missed 0 a\n");
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	ck_assert_uint_eq(rig_turn(&rig), RIG_PROBE_US);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	ck_assert_uint_eq(link_figures(rig.link).connections, 1);
	assert_sent("");
	rig_lose(&rig);
	ck_assert_str_eq(link_peer(rig.link), "");
	ck_assert_int_eq(rig_name(&rig, "a"), INTEREST_WAITING);
	rig_lose(&rig);
}
END_TEST

START_TEST(it_authenticates_if_there_is_a_password)
{
	static const struct {
		const char *user, *password, *hello;
	} cases[] = {
	    {NULL, NULL, "*4\r\n$5\r\nHELLO\r\n"},
	    {"ann", "", "*4\r\n$5\r\nHELLO\r\n"},
	    {"ann", NULL, "*4\r\n$5\r\nHELLO\r\n"},
	    {"ann", "pw",
		"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\npw\r\n"},
	    {"", "pw",
		"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n"},
	    {NULL, "p\r\nw",
		"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$4\r\np\r\nw\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig.config.user = cases[i].user;
		rig.config.password = cases[i].password;
		rig_open(&rig);
		rig_turn(&rig);
		ck_assert_uint_ge(rig.sent.len, strlen(cases[i].hello));
		ck_assert_mem_eq(rig.sent.ptr, cases[i].hello, strlen(cases[i].hello));
		rig_settle(&rig);
		ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
		rig_free(&rig);
		rig_new(&rig);
	}
}
END_TEST

START_TEST(a_message_is_told_once_whatever_subscriptions_it_came_by)
{
	rig_add(&rig, "a");
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("*"));
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("a*"));
	interest_add(link_interest(rig.link), HUB_SHARD, SLICE("a"));
	rig_go_up(&rig);
	assert_heard(
	    "joined missed 0 a\njoined missed 1 *\njoined missed 1 a*\njoined missed 2 a\n");
	publish("a", "1");
	publish("a", "1");
	link_publish(rig.link, HUB_SHARD, SLICE("a"), SLICE("1"));
	publish("ab", "");
	publish("ab", "");
	rig_settle(&rig);
	assert_heard("message 0 a 1\nmessage 0 a 1\nmessage 2 a 1\nmessage 0 ab \nmessage 0 ab \n");
	ck_assert_uint_eq(link_figures(rig.link).received, 5);
	ck_assert_uint_eq(link_figures(rig.link).copies, 6);
	ck_assert_uint_eq(link_figures(rig.link).sent, 5);
	ck_assert_uint_eq(link_figures(rig.link).refused, 0);
}
END_TEST

START_TEST(after_a_change_of_subscriptions_an_equal_message_is_another_one)
{
	static const char equal[] = ">4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$1\r\n1\r\n";

	rig_add(&rig, "a");
	rig_go_up(&rig);
	publish("a", "1");
	rig_settle(&rig);
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("a*"));
	rig_settle(&rig);
	buffer_clear(&rig.heard);
	rig_give_text(&rig, equal);
	assert_heard("message 0 a 1\n");
	rig_pass(&rig, RIG_PROBE_US + 1000000); /* a probe changes no subscription */
	rig_give_text(&rig, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n");
	assert_heard("");
	rig_remove(&rig, "a");
	rig_pass(&rig, 2 * RIG_LINGER_US);
	rig_give_text(&rig, equal);
	assert_heard("left 0 a\nmessage 0 a 1\n");
}
END_TEST

START_TEST(a_probe_without_a_reply_ends_the_connection)
{
	static const char back[] = ">3\r\n$7\r\nmessage\r\n$28\r\n" RIG_PROBES "\r\n$1\r\n2\r\n";

	rig_go_up(&rig);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	buffer_clear(&rig.sent);
	rig_give_text(&rig, "%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n");
	rig_give_text(&rig, ">3\r\n$9\r\nsubscribe\r\n$28\r\n" RIG_PROBES "\r\n:1\r\n");
	rig_give_text(&rig, back);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	assert_dropped("does not reply to PUBLISH");
}
END_TEST

START_TEST(a_message_can_be_published_while_one_is_told)
{
	rig.echoes = true;
	rig_add(&rig, "a");
	rig_go_up(&rig);
	publish("a", "1");
	publish("a", "2");
	rig_settle(&rig);
	ck_assert_uint_eq(link_figures(rig.link).sent, 4);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(messages_without_an_answer_are_unconfirmed_when_the_link_is_lost)
{
	rig_go_up(&rig);
	publish("a", "1");
	publish("a", "2");
	rig_turn(&rig);
	rig_give_text(&rig, ":0\r\n");
	publish("a", "3"); /* not sent */
	ck_assert_uint_gt(link_queued_bytes(rig.link), 0);
	rig_lose(&rig);
	ck_assert_uint_eq(link_queued_bytes(rig.link), 0);
	ck_assert_uint_eq(link_figures(rig.link).sent, 3);
	ck_assert_uint_eq(link_figures(rig.link).unconfirmed, 2);
	rig_lose(&rig);
	ck_assert_uint_eq(link_figures(rig.link).unconfirmed, 2);
}
END_TEST

START_TEST(only_refused_messages_count_as_such)
{
	rig_go_up(&rig);
	rig.refuses = "no";
	rig.refused = "NOPERM no \n\1";
	publish("no", "1");
	publish("yes", "1");
	publish("no", "2");
	rig_add(&rig, "no");
	rig_settle(&rig);
	assert_heard(
	    "refused NOPERM no  \\x01\nrefused NOPERM no  \\x01\nrefused NOPERM no  \\x01\n");
	ck_assert_uint_eq(link_figures(rig.link).refused, 2);
	ck_assert_uint_eq(link_figures(rig.link).unconfirmed, 0);
	ck_assert_int_eq(rig_name(&rig, "no"), INTEREST_REFUSED);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

START_TEST(names_of_a_refused_command_are_asked_for_one_by_one)
{
	rig_add(&rig, "a");
	rig_add(&rig, "no");
	rig_add(&rig, "b");
	rig.refuses = "no";
	rig.refused = "NOPERM no";
	rig_go_up(&rig);
	assert_heard(
	    "refused NOPERM no\njoined missed 0 a\nrefused NOPERM no\njoined missed 0 b\n");
	ck_assert_int_eq(rig_name(&rig, "a"), INTEREST_HELD);
	ck_assert_int_eq(rig_name(&rig, "b"), INTEREST_HELD);
	ck_assert_int_eq(rig_name(&rig, "no"), INTEREST_REFUSED);
	rig.refuses = "";
	rig_pass(&rig, INTEREST_REFUSED_US + 1000000);
	ck_assert_int_eq(rig_name(&rig, "no"), INTEREST_HELD);
}
END_TEST

START_TEST(an_error_after_some_confirmations_is_that_of_the_other_names)
{
	rig_go_up(&rig);
	rig_add(&rig, "a");
	rig_add(&rig, "b");
	rig_add(&rig, "c");
	rig_turn(&rig);
	buffer_clear(&rig.sent);
	rig_give_text(&rig, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n-ERR no\r\n");
	ck_assert_int_eq(rig_name(&rig, "a"), INTEREST_HELD);
	ck_assert_int_eq(rig_name(&rig, "b"), INTEREST_WAITING);
	ck_assert_int_eq(rig_name(&rig, "c"), INTEREST_WAITING);
	rig_turn(&rig);
	assert_sent("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nb\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
	rig_settle(&rig);
	ck_assert_uint_eq(count_of(INTEREST_HELD), 3);
}
END_TEST

START_TEST(errors_that_pass_end_the_connection)
{
	static const char *const errors[] = {"LOADING Redis is loading the dataset in memory",
	    "MASTERDOWN Link with MASTER is down", "NOAUTH Authentication required.",
	    "READONLY You can't write against a read only replica.",
	    "BUSY Redis is busy running a script.", NULL};
	static const char *const places[] = {"a", "m", RIG_PROBES, NULL};

	for (size_t i = 0; errors[i] != NULL; i++)
		for (size_t k = 0; places[k] != NULL; k++) {
			rig.refused = errors[i];
			rig.refuses = places[k];
			rig_add(&rig, "a");
			rig_open(&rig);
			rig_settle(&rig);
			if (link_state_of(rig.link) == LINK_UP) {
				publish("x", "m");
				rig_settle(&rig);
			}
			assert_dropped(errors[i]);
			rig.refused = NULL;
			rig_go_up(&rig);
			ck_assert_int_eq(rig_name(&rig, "a"), INTEREST_HELD);
			rig_free(&rig);
			rig_new(&rig);
		}
}
END_TEST

START_TEST(a_link_without_the_right_to_probe_says_so)
{
	rig.refused = "NOPERM No permissions to access a channel";
	rig.refuses = RIG_PROBES;
	rig_open(&rig);
	rig_settle(&rig);
	assert_dropped("__fanfare__:probe:*");
}
END_TEST

START_TEST(a_refused_hello_says_why)
{
	rig.refused = "WRONGPASS invalid username-password pair or user is disabled.";
	rig.refuses = "HELLO";
	rig_open(&rig);
	rig_settle(&rig);
	assert_dropped(": WRONGPASS invalid");
	ck_assert_ptr_null(strstr(rig.why, "Redis 6"));
	rig.refused = "ERR unknown command 'HELLO'";
	rig_open(&rig);
	rig_settle(&rig);
	assert_dropped("Redis 6 or later is needed");
}
END_TEST

START_TEST(a_user_without_the_right_to_info_can_link)
{
	rig.refused = "NOPERM this user has no permissions to run the 'info' command";
	rig.refuses = "INFO";
	rig_go_up(&rig);
}
END_TEST

START_TEST(a_user_without_the_right_to_unsubscribe_is_told_so)
{
	rig_add(&rig, "a");
	rig_go_up(&rig);
	rig_remove(&rig, "a");
	rig.refused = "NOPERM no";
	rig.refuses = "UNSUBSCRIBE";
	rig_pass(&rig, 2 * RIG_LINGER_US);
	assert_dropped("NOPERM no");
}
END_TEST

START_TEST(silence_ends_each_state_in_time)
{
	for (int replies = 0; replies < 8; replies++) {
		uint64_t wait_us = 0;

		rig_open(&rig);
		for (int i = 0; i < replies; i++) {
			rig_turn(&rig);
			rig_serve(&rig);
		}
		for (int turns = 0; link_state_of(rig.link) != LINK_DOWN; turns++) {
			wait_us = rig_turn(&rig);
			ck_assert_uint_gt(wait_us, 0);
			ck_assert_int_lt(turns, 10);
			rig.now += wait_us < RIG_PROBE_US ? wait_us : RIG_PROBE_US;
		}
		ck_assert_uint_eq(wait_us, UINT64_MAX);
		assert_dropped(replies < 2 ? "HELLO" : "no message comes back");
	}
}
END_TEST

START_TEST(a_probe_is_sent_regularly_and_its_time_is_known)
{
	rig_go_up(&rig);
	rig.now += RIG_PROBE_US - 1;
	ck_assert_uint_eq(rig_turn(&rig), 1);
	ck_assert_uint_eq(rig.sent.len, 0);
	rig.now++;
	ck_assert_uint_eq(rig_turn(&rig), RIG_PROBE_US);
	ck_assert_uint_gt(rig.sent.len, 0);
	rig.now += 777;
	rig_serve(&rig);
	ck_assert_uint_eq(link_figures(rig.link).probe_us, 777);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	rig.now += RIG_PROBE_US - 1;
	rig_turn(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	rig.now++;
	rig_turn(&rig);
	assert_dropped("no message comes back");
	rig_go_up(&rig);
}
END_TEST

START_TEST(only_its_own_newest_probe_counts)
{
	static const char *const others[] = {">3\r\n$7\r\nmessage\r\n$28\r\n" RIG_PROBES
					     "\r\n$1\r\n1\r\n",
	    ">3\r\n$7\r\nmessage\r\n$28\r\n" RIG_PROBES "\r\n$1\r\n3\r\n",
	    ">3\r\n$7\r\nmessage\r\n$28\r\n" RIG_PROBES "\r\n$2\r\n02\r\n",
	    ">3\r\n$7\r\nmessage\r\n$28\r\n" RIG_PROBES "\r\n$0\r\n\r\n",
	    ">3\r\n$7\r\nmessage\r\n$27\r\n__fanfare__:probe:012345678\r\n$1\r\n2\r\n",
	    ">3\r\n$7\r\nmessage\r\n$18\r\n__fanfare__:probe:\r\n$1\r\n2\r\n",
	    ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$28\r\n" RIG_PROBES "\r\n$1\r\n2\r\n",
	    ">3\r\n$8\r\nsmessage\r\n$28\r\n" RIG_PROBES "\r\n$1\r\n2\r\n", NULL};

	rig_go_up(&rig);
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	for (size_t i = 0; others[i] != NULL; i++)
		rig_give_text(&rig, others[i]);
	assert_heard(""); /* nobody hears probes */
	rig.now += RIG_PROBE_US;
	rig_turn(&rig);
	assert_dropped("no message comes back");
}
END_TEST

START_TEST(clients_that_leave_the_channel_of_probes_do_not_end_the_link)
{
	rig_add(&rig, RIG_PROBES);
	rig_go_up(&rig);
	rig_remove(&rig, RIG_PROBES);
	rig_pass(&rig, 2 * RIG_LINGER_US);
	ck_assert_int_eq(rig_name(&rig, RIG_PROBES), INTEREST_ABSENT);
	rig_pass(&rig, 4 * RIG_PROBE_US);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

START_TEST(an_upstream_that_left_out_messages_is_left)
{
	rig_add(&rig, "a");
	rig_go_up(&rig);
	rig_give_text(&rig, ">2\r\n$6\r\nlagged\r\n:3\r\n");
	assert_dropped("left out messages");
	buffer_clear(&rig.heard);
	rig_go_up(&rig);
	assert_heard("joined missed 0 a\n");
}
END_TEST

static void
add_numbered(int from, int to)
{
	for (int i = from; i < to; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		rig_add(&rig, name);
	}
}

static void
remove_numbered(int from, int to)
{
	for (int i = from; i < to; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		rig_remove(&rig, name);
	}
}

START_TEST(no_more_names_are_asked_for_than_a_window_and_it_waits_for_their_answers)
{
	rig_add(&rig, "lingers");
	rig_go_up(&rig);
	rig_remove(&rig, "lingers");
	rig.now += RIG_LINGER_US - 1;
	add_numbered(0, 4096);
	rig_turn(&rig);
	ck_assert_uint_eq(count_of(INTEREST_ASKED), 4096);
	rig.now += 1000;
	ck_assert_uint_gt(rig_turn(&rig), 1000); /* though a name is due */
	add_numbered(4096, 9000);
	ck_assert_uint_gt(rig_turn(&rig), 1000);
	ck_assert_uint_eq(count_of(INTEREST_ASKED), 4096);
	rig_settle(&rig);
	ck_assert_uint_eq(count_of(INTEREST_HELD), 9000);
	ck_assert_int_eq(rig_name(&rig, "lingers"), INTEREST_ABSENT);
}
END_TEST

START_TEST(many_names_that_nobody_wants_any_more_do_not_delay_it)
{
	int turns = 0;

	add_numbered(0, 9000);
	rig_go_up(&rig);
	remove_numbered(0, 9000);
	rig_give_text(&rig, "nonsense\r\n");
	rig.drops = 0;
	rig.now += 2 * RIG_LINGER_US;
	rig_open(&rig);
	while (link_state_of(rig.link) != LINK_UP) {
		uint64_t wait_us = rig_turn(&rig);

		ck_assert(wait_us == 0 || rig.sent.len > 0 || link_state_of(rig.link) == LINK_UP);
		rig_serve(&rig);
		ck_assert_int_lt(turns++, 20);
	}
	ck_assert_uint_eq(interest_figures(link_interest(rig.link)).names, 0);
}
END_TEST

START_TEST(input_is_ignored_while_there_is_no_connection)
{
	link_received(rig.link, SLICE("+OK\r\n"), rig.now);
	rig_go_up(&rig);
	rig_lose(&rig);
	link_received(rig.link, SLICE("+OK\r\n"), rig.now);
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

int
main(void)
{
	return testing_main("link/link", setup, teardown,
	    (const TTest *[]){every_event_in_every_state_does_what_the_table_says,
		the_states_have_different_names, it_goes_up_step_by_step,
		it_authenticates_if_there_is_a_password,
		a_message_is_told_once_whatever_subscriptions_it_came_by,
		after_a_change_of_subscriptions_an_equal_message_is_another_one,
		a_probe_without_a_reply_ends_the_connection,
		a_message_can_be_published_while_one_is_told,
		messages_without_an_answer_are_unconfirmed_when_the_link_is_lost,
		only_refused_messages_count_as_such,
		names_of_a_refused_command_are_asked_for_one_by_one,
		an_error_after_some_confirmations_is_that_of_the_other_names,
		errors_that_pass_end_the_connection, a_link_without_the_right_to_probe_says_so,
		a_refused_hello_says_why, a_user_without_the_right_to_info_can_link,
		a_user_without_the_right_to_unsubscribe_is_told_so, silence_ends_each_state_in_time,
		a_probe_is_sent_regularly_and_its_time_is_known, only_its_own_newest_probe_counts,
		clients_that_leave_the_channel_of_probes_do_not_end_the_link,
		an_upstream_that_left_out_messages_is_left,
		no_more_names_are_asked_for_than_a_window_and_it_waits_for_their_answers,
		many_names_that_nobody_wants_any_more_do_not_delay_it,
		input_is_ignored_while_there_is_no_connection, NULL});
}
