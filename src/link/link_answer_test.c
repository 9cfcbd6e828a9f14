#include "config.h"

#include "link/link.h"

#include <string.h>

#include "base/testing.h"
#include "link/testing_conversation.h"
#include "link/testing_link.h"
#include "link/testing_wrong.h"

/*
 * One conversation, and what happens to it if one reply of the upstream is another one, if the
 * input comes in two pieces, or if a send fails, at every place.
 */
static struct rig rig;
static size_t replies; /* of which the loss is noticed before the end of the conversation */

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
publish(const char *channel, const char *payload)
{
	if (link_state_of(rig.link) != LINK_UP)
		return;
	link_publish(rig.link, HUB_CHANNEL, slice_of(channel), slice_of(payload));
	rig_settle(&rig);
}

static void
converse(void)
{
	rig_add(&rig, "a");
	rig_add(&rig, "b");
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("a*"));
	interest_add(link_interest(rig.link), HUB_SHARD, SLICE("s"));
	rig_open(&rig);
	rig_settle(&rig);
	publish("a", "1");
	publish("a", "1");
	publish("b", "2");
	publish("nobody", "3");
	rig_add(&rig, "c");
	rig_remove(&rig, "b");
	rig_settle(&rig);
	rig_pass(&rig, 2 * RIG_LINGER_US);
	publish("c", "4");
	rig_pass(&rig, 2 * RIG_PROBE_US);
	replies = rig.replies;
	rig_pass(&rig, 3 * RIG_PROBE_US);
}

/* The next connection must not be harmed by what happened on this one. */
static void
assert_recovers(void)
{
	if (link_state_of(rig.link) != LINK_DOWN)
		rig_lose(&rig);
	rig.wrong_at = rig.fail_at = 0;
	rig_go_up(&rig);
	rig_settle(&rig);
	rig_pass(&rig, 2 * RIG_LINGER_US);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	ck_assert_int_eq(rig_name(&rig, "a"), INTEREST_HELD);
	ck_assert_int_eq(rig_name(&rig, "b"), INTEREST_ABSENT);
	ck_assert_int_eq(rig_name(&rig, "c"), INTEREST_HELD);
	ck_assert_int_eq(
	    interest_of(link_interest(rig.link), HUB_PATTERN, SLICE("a*")), INTEREST_HELD);
	buffer_clear(&rig.heard);
	publish("c", "again");
	ck_assert(slice_is(buffer_slice(&rig.heard), "message 0 c again\n"));
}

static bool
goes_on(size_t at, enum wrong wrong)
{
	(void)at;
	switch (rig.wrong_is) {
	case RIG_HELLO:
		return wrong == MAP;
	case RIG_PROBE_JOINED:
	case RIG_PROBE_BACK:
	case RIG_LEFT:
		return false;
	case RIG_INFO_TEXT:
		return wrong == ERROR || wrong == TEXT;
	case RIG_JOINED:
		return wrong == ERROR;
	case RIG_PROBE_SENT:
		return wrong == NUMBER;
	case RIG_MESSAGE:
		return wrong == NOTHING;
	case RIG_SENT:
		return wrong == ERROR || wrong == NUMBER;
	case RIG_AHEAD: /* of an engine */
	case RIG_SCRIPT:
	case RIG_KEPT:
	case RIG_CHECKED:
	case RIG_CLAIMED:
	case RIG_LEASED:
	case RIG_CHANGED:
	case RIG_ASKED:
		break;
	}
	return false;
}

static bool replies_first;

static void
again(void)
{
	rig_free(&rig);
	rig_new(&rig);
	rig.replies_first = replies_first;
}

static const struct rig_conversation conversation = {
    .rig = &rig,
    .again = again,
    .converse = converse,
    .recovers = assert_recovers,
    .goes_on = goes_on,
    .replies = &replies,
    .replies_min = 25,
    .stride = 5,
};

START_TEST(a_wrong_reply_at_any_place_ends_the_connection_with_a_reason)
{
	replies_first = false;
	rig_replace_each_reply(&conversation);
}
END_TEST

START_TEST(a_wrong_reply_of_an_upstream_that_replies_first_does_the_same)
{
	replies_first = true;
	rig_replace_each_reply(&conversation);
}
END_TEST

START_TEST(the_input_may_come_in_any_pieces)
{
	struct buffer whole = {0};
	size_t bytes;

	converse();
	bytes = rig.given;
	buffer_append_slice(&whole, buffer_slice(&rig.heard));
	ck_assert_uint_gt(whole.len, 100);
	for (size_t at = 1; at < bytes; at += (size_t)testing_stride(1, 50)) {
		rig_free(&rig);
		rig_new(&rig);
		rig.split_at = at;
		converse();
		ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
		ck_assert(slice_eq(buffer_slice(&rig.heard), buffer_slice(&whole)));
		ck_assert_uint_eq(link_figures(rig.link).bytes_in, bytes);
	}
	buffer_release(&whole);
}
END_TEST

START_TEST(a_failed_send_at_any_place_ends_the_connection)
{
	size_t sends;

	converse();
	sends = rig.sends;
	ck_assert_uint_gt(sends, 5);
	for (size_t at = 1; at <= 2 * sends; at++) {
		rig_free(&rig);
		rig_new(&rig);
		rig.fail_at = (at + 1) / 2;
		rig.loses_at_once = at % 2 == 1;
		converse();
		ck_assert_int_eq(link_state_of(rig.link), LINK_DOWN);
		ck_assert_int_eq(rig.drops, !rig.loses_at_once);
		ck_assert(rig.loses_at_once || strstr(rig.why, "cannot be written to") != NULL);
		assert_recovers();
	}
}
END_TEST

START_TEST(bytes_after_the_end_of_a_connection_are_not_read)
{
	rig_add(&rig, "a");
	rig_go_up(&rig);
	buffer_clear(&rig.heard);
	rig_give_text(&rig, "+OK\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n*garbage\r\n");
	ck_assert_int_eq(rig.drops, 1);
	ck_assert_uint_eq(rig.heard.len, 0);
	rig_remove(&rig, "a");
	rig_add(&rig, "c");
}
END_TEST

int
main(void)
{
	return testing_main("link/link_answer", setup, teardown,
	    (const TTest *[]){a_wrong_reply_at_any_place_ends_the_connection_with_a_reason,
		a_wrong_reply_of_an_upstream_that_replies_first_does_the_same,
		the_input_may_come_in_any_pieces, a_failed_send_at_any_place_ends_the_connection,
		bytes_after_the_end_of_a_connection_are_not_read, NULL});
}
