#include "config.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"

/* Policies of channels: the channels d, o, n and b have disconnect, drop-oldest, drop-newest and
 * block; x has none. */

enum { FOLLOWER, CHOOSER, PATTERN, SUBS };

#define ANY_POLICY 0xff

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static struct hub_publication first;
static int overflows, rooms;

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	ck_assert(s->outbox.sealed);
	overflows++;
}

static void
on_room(struct subscriber *s)
{
	(void)s;
	rooms++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overflow};

static void
set_policy(const char *glob, const char *policy)
{
	struct slice words[2] = {SLICE("outbox-policy"), slice_of(policy)};
	struct channel_error error;

	ck_assert(hub_set_channel_line(hub, slice_of(glob), words, 2, &error));
	ck_assert(hub_reclassify(hub, SIZE_MAX));
}

/* All have room for two messages. The follower and the pattern's subscriber use the policies of
 * channels; the other one has chosen drop-newest. */
static void
setup(void)
{
	static const char *const names[] = {"d", "o", "n", "b", "x"};
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};
	struct outbox_limits follow = {
	    .messages = 2, .policy = OUTBOX_DISCONNECT, .channel_policies = ANY_POLICY};
	struct outbox_limits chosen = {.messages = 2, .policy = OUTBOX_DROP_NEWEST};

	limits = (struct hub_limits){.subscriptions = 10, .subscribers = 10, .name_bytes = 10};
	hub = hub_new(&config);
	first = (struct hub_publication){0};
	overflows = rooms = 0;
	set_policy("d", "disconnect");
	set_policy("o", "drop-oldest");
	set_policy("n", "drop-newest");
	set_policy("b", "block");
	hub_attach(hub, &subs[FOLLOWER], &ops, &follow, 0, NULL);
	hub_attach(hub, &subs[CHOOSER], &ops, &chosen, 0, NULL);
	hub_attach(hub, &subs[PATTERN], &ops, &follow, 0, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_int_eq(
		    hub_subscribe(&subs[FOLLOWER], HUB_CHANNEL, slice_of(names[i])), HUB_OK);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	ck_assert_uint_eq(hub_figures(hub).blocking, 0);
	hub_free(hub);
}

static enum hub_result
publish(const char *channel, const char *payload)
{
	size_t receivers;

	return hub_publish(
	    hub, HUB_CHANNEL, slice_of(channel), slice_of(payload), 1, &first, &receivers);
}

/* What is queued, up to 100 bytes. */
static const char *
queued(int i)
{
	static char text[101];
	struct iovec pieces[8];
	size_t count = outbox_peek(&subs[i].outbox, pieces, 8), len = 0;

	for (size_t p = 0; p < count; p++) {
		ck_assert_uint_le(len + pieces[p].iov_len, 100);
		memcpy(text + len, pieces[p].iov_base, pieces[p].iov_len);
		len += pieces[p].iov_len;
	}
	text[len] = '\0';
	return text;
}

static void
read_all(int i)
{
	outbox_consume(&subs[i].outbox, subs[i].outbox.bytes);
	outbox_flushed(&subs[i].outbox);
}

START_TEST(each_channel_has_its_policy)
{
	ck_assert_int_eq(publish("o", "1"), HUB_OK);
	ck_assert_int_eq(publish("o", "2"), HUB_OK);
	ck_assert_int_eq(publish("n", "3"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "1.2.");
	ck_assert_int_eq(publish("o", "4"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "2.4.");
	ck_assert_int_eq(publish("b", "5"), HUB_BLOCKED);
	ck_assert_int_eq(overflows, 0);
	ck_assert_int_eq(publish("d", "6"), HUB_OK);
	ck_assert_int_eq(overflows, 1);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("o")), 1);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("n")), 1);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("d")), 1);
	hub_end_publication(hub, &first);
}
END_TEST

START_TEST(a_channel_without_a_policy_has_that_of_the_outbox)
{
	ck_assert_int_eq(publish("x", "1"), HUB_OK);
	ck_assert_int_eq(publish("x", "2"), HUB_OK);
	ck_assert_int_eq(publish("x", "3"), HUB_OK);
	ck_assert_int_eq(overflows, 1);
}
END_TEST

START_TEST(the_choice_of_the_client_wins)
{
	ck_assert_int_eq(hub_subscribe(&subs[CHOOSER], HUB_CHANNEL, SLICE("d2")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[CHOOSER], HUB_CHANNEL, SLICE("b2")), HUB_OK);
	set_policy("d2", "disconnect");
	set_policy("b2", "block");
	ck_assert_int_eq(publish("d2", "1"), HUB_OK);
	ck_assert_int_eq(publish("d2", "2"), HUB_OK);
	ck_assert_int_eq(publish("d2", "3"), HUB_OK);
	ck_assert_int_eq(publish("b2", "4"), HUB_OK);
	ck_assert_str_eq(queued(CHOOSER), "1.2.");
	ck_assert_int_eq(overflows, 0);
	ck_assert(!outbox_has_channel_policies(&subs[CHOOSER].outbox));
}
END_TEST

START_TEST(a_policy_that_the_subscriber_may_not_have_does_not_apply)
{
	struct outbox_limits some = {.messages = 2,
	    .policy = OUTBOX_DISCONNECT,
	    .channel_policies = 1U << OUTBOX_DROP_NEWEST};

	hub_set_limits(&subs[FOLLOWER], &some);
	ck_assert_int_eq(publish("b", "1"), HUB_OK);
	ck_assert_int_eq(publish("b", "2"), HUB_OK);
	ck_assert_int_eq(publish("n", "3"), HUB_OK);
	ck_assert_int_eq(overflows, 0);
	ck_assert_int_eq(publish("b", "4"), HUB_OK);
	ck_assert_int_eq(overflows, 1);
}
END_TEST

START_TEST(a_subscriber_of_a_pattern_follows_the_policy_of_the_channel)
{
	ck_assert_int_eq(hub_subscribe(&subs[PATTERN], HUB_PATTERN, SLICE("cold*")), HUB_OK);
	set_policy("cold1", "drop-oldest");
	set_policy("cold2", "block");
	ck_assert_int_eq(publish("cold1", "1"), HUB_OK);
	ck_assert_int_eq(publish("cold1", "2"), HUB_OK);
	ck_assert_int_eq(publish("cold1", "3"), HUB_OK);
	ck_assert_str_eq(queued(PATTERN), "2.3.");
	ck_assert_int_eq(publish("cold2", "4"), HUB_BLOCKED);
	hub_end_publication(hub, &first);
	ck_assert_int_eq(publish("cold3", "5"), HUB_OK);
	ck_assert_int_eq(overflows, 1);
}
END_TEST

START_TEST(drop_oldest_drops_messages_of_such_channels_only)
{
	ck_assert_int_eq(publish("b", "1"), HUB_OK);
	ck_assert_int_eq(publish("o", "2"), HUB_OK);
	ck_assert_int_eq(publish("o", "3"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "1.3.");
	ck_assert(outbox_has_channel_policies(&subs[FOLLOWER].outbox));
	read_all(FOLLOWER);
	ck_assert(!outbox_has_channel_policies(&subs[FOLLOWER].outbox));
	ck_assert_int_eq(publish("x", "4"), HUB_OK);
	ck_assert_int_eq(publish("d", "5"), HUB_OK);
	ck_assert(!outbox_has_channel_policies(&subs[FOLLOWER].outbox));
	ck_assert_int_eq(publish("o", "6"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "4.5.");
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("o")), 2);
	ck_assert_int_eq(overflows, 0);
}
END_TEST

/* A publisher waits for the follower under the policy of channel b. */
static void
wait_for_follower(void)
{
	ck_assert_int_eq(publish("b", "1"), HUB_OK);
	ck_assert_int_eq(publish("b", "2"), HUB_OK);
	ck_assert_int_eq(publish("b", "3"), HUB_BLOCKED);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_AWAITED);
	ck_assert_int_eq(rooms, 0);
}

static void
try_again(enum hub_result expected)
{
	rooms = 0;
	hub_begin_round(hub);
	ck_assert_int_eq(publish("b", "3"), expected);
	hub_end_round(hub);
}

START_TEST(a_publisher_waits_for_room_and_goes_on)
{
	wait_for_follower();
	ck_assert_uint_eq(hub_figures(hub).blocking, 0); /* no outbox has the policy itself */
	read_all(FOLLOWER);
	ck_assert_int_eq(rooms, 1);
	try_again(HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "3.");
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
}
END_TEST

START_TEST(a_subscriber_that_does_not_read_is_closed)
{
	wait_for_follower();
	hub_expire(hub, 1 + 1000, 1000);
	ck_assert_int_eq(overflows, 0);
	try_again(HUB_BLOCKED);
	hub_expire(hub, 1 + 1000, 1000);
	ck_assert_int_eq(overflows, 1);
	try_again(HUB_OK);
}
END_TEST

START_TEST(another_policy_of_the_channel_ends_the_waiting)
{
	wait_for_follower();
	set_policy("b", "drop-newest");
	ck_assert_int_gt(rooms, 0);
	try_again(HUB_OK);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
	ck_assert_str_eq(queued(FOLLOWER), "1.2.");
}
END_TEST

START_TEST(a_choice_of_the_client_ends_the_waiting)
{
	struct outbox_limits chosen = {.messages = 2, .policy = OUTBOX_DROP_OLDEST};

	wait_for_follower();
	hub_set_limits(&subs[FOLLOWER], &chosen);
	ck_assert_int_gt(rooms, 0);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
	try_again(HUB_OK);
	/* The messages that publishers waited for stay; the new one has no room. */
	ck_assert_str_eq(queued(FOLLOWER), "1.2.");
}
END_TEST

START_TEST(fewer_policies_of_channels_end_the_waiting)
{
	struct outbox_limits blocks = {
	    .messages = 2, .policy = OUTBOX_BLOCK, .channel_policies = 0};

	wait_for_follower();
	hub_set_limits(&subs[FOLLOWER], &blocks); /* publishers still wait, now by its own policy */
	ck_assert_int_gt(rooms, 0);
	try_again(HUB_BLOCKED);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_AWAITED);
	ck_assert_uint_eq(hub_figures(hub).blocking, 1);
	hub_end_publication(hub, &first);
}
END_TEST

START_TEST(a_subscriber_that_leaves_ends_the_waiting)
{
	wait_for_follower();
	ck_assert(hub_detach(&subs[FOLLOWER], SIZE_MAX));
	ck_assert_int_gt(rooms, 0);
	try_again(HUB_OK);
}
END_TEST

START_TEST(unsubscribing_ends_the_waiting)
{
	wait_for_follower();
	ck_assert_int_eq(hub_unsubscribe(&subs[FOLLOWER], HUB_CHANNEL, SLICE("b")), HUB_OK);
	ck_assert_int_gt(rooms, 0);
	try_again(HUB_OK);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
}
END_TEST

START_TEST(a_message_of_another_channel_that_closes_the_subscriber_ends_the_waiting)
{
	struct hub_publication other = {0};
	size_t receivers;

	wait_for_follower();
	read_all(FOLLOWER); /* the room is reserved */
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_RESERVED);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    hub_publish(hub, HUB_CHANNEL, SLICE("d"), SLICE("d"), 1, &other, &receivers),
		    HUB_OK);
	ck_assert_int_eq(overflows, 1);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
	try_again(HUB_OK);
}
END_TEST

START_TEST(messages_that_are_dropped_make_room_for_a_publisher)
{
	struct outbox_limits bytes = {
	    .bytes = 12, .policy = OUTBOX_DISCONNECT, .channel_policies = ANY_POLICY};

	hub_set_limits(&subs[FOLLOWER], &bytes);
	ck_assert_int_eq(publish("o", "123456789"), HUB_OK);
	ck_assert_int_eq(publish("b", "4567"), HUB_BLOCKED);
	/* The first message goes, the next one is shorter. */
	ck_assert_int_eq(publish("o", "12"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "12.");
	ck_assert_int_gt(rooms, 0);
	ck_assert_int_eq(publish("b", "4567"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "12.4567.");
}
END_TEST

START_TEST(a_message_that_cannot_wait_is_delivered_beyond_the_limit_or_closes)
{
	size_t receivers;

	wait_for_follower();
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("b"), SLICE("4"),
			     HUB_IGNORE_LIMITS, &receivers),
	    HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "1.2.4.");
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("n"), SLICE("5"),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_OK);
	ck_assert_int_eq(overflows, 0);
	ck_assert_int_eq(hub_publish_now(hub, HUB_CHANNEL, SLICE("b"), SLICE("6"),
			     HUB_WITHIN_LIMITS, &receivers),
	    HUB_OK);
	ck_assert_int_eq(overflows, 1);
	hub_end_publication(hub, &first);
}
END_TEST

static enum hub_result
may_publish(const char *channel, const char *payload, size_t *bytes)
{
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = slice_of(payload)};

	return hub_may_post(hub, &post, 1, &first, bytes);
}

START_TEST(messages_that_are_published_together_are_checked)
{
	size_t bytes = 0;

	ck_assert_int_eq(publish("b", "1"), HUB_OK);
	ck_assert_int_eq(may_publish("b", "2", &bytes), HUB_OK);
	ck_assert_int_eq(publish("b", "2"), HUB_OK);
	ck_assert_int_eq(may_publish("n", "3", &bytes), HUB_OK);
	ck_assert_int_eq(may_publish("b", "3", &bytes), HUB_BLOCKED);
	hub_end_publication(hub, &first);
}
END_TEST

START_TEST(room_is_reserved_while_a_large_message_is_prepared)
{
	static char large[3 << 20];
	enum hub_result result;
	size_t receivers;
	int steps = 0;

	memset(large, 'x', sizeof(large));
	result = hub_publish(hub, HUB_CHANNEL, SLICE("b"), (struct slice){large, sizeof(large)}, 1,
	    &first, &receivers);
	ck_assert_int_eq(result, HUB_PREPARING);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_RESERVED);
	while (result == HUB_PREPARING && steps++ < 100)
		result = hub_publish(hub, HUB_CHANNEL, SLICE("b"),
		    (struct slice){large, sizeof(large)}, 1, &first, &receivers);
	ck_assert_int_eq(result, HUB_OK);
	ck_assert_int_eq(subs[FOLLOWER].awaited, HUB_NOT_AWAITED);
}
END_TEST

START_TEST(without_policies_of_channels_nothing_is_guarded)
{
	struct outbox_limits chosen = {.messages = 2, .policy = OUTBOX_DROP_OLDEST};
	struct channel_error error;
	static const char *const globs[] = {"d", "o", "n", "b"};

	for (int i = 0; i < 4; i++)
		ck_assert(hub_unset_channel_line(hub, slice_of(globs[i]), NULL, 0, &error));
	ck_assert(hub_reclassify(hub, SIZE_MAX));
	ck_assert_int_eq(publish("b", "1"), HUB_OK);
	ck_assert_int_eq(publish("b", "2"), HUB_OK);
	hub_set_limits(&subs[FOLLOWER], &chosen);
	ck_assert_int_eq(publish("b", "3"), HUB_OK);
	ck_assert_str_eq(queued(FOLLOWER), "2.3.");
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_policy", setup, teardown,
	    (const TTest *[]){each_channel_has_its_policy,
		a_channel_without_a_policy_has_that_of_the_outbox, the_choice_of_the_client_wins,
		a_policy_that_the_subscriber_may_not_have_does_not_apply,
		a_subscriber_of_a_pattern_follows_the_policy_of_the_channel,
		drop_oldest_drops_messages_of_such_channels_only,
		a_publisher_waits_for_room_and_goes_on, a_subscriber_that_does_not_read_is_closed,
		another_policy_of_the_channel_ends_the_waiting,
		a_choice_of_the_client_ends_the_waiting, fewer_policies_of_channels_end_the_waiting,
		a_subscriber_that_leaves_ends_the_waiting, unsubscribing_ends_the_waiting,
		a_message_of_another_channel_that_closes_the_subscriber_ends_the_waiting,
		messages_that_are_dropped_make_room_for_a_publisher,
		a_message_that_cannot_wait_is_delivered_beyond_the_limit_or_closes,
		messages_that_are_published_together_are_checked,
		room_is_reserved_while_a_large_message_is_prepared,
		without_policies_of_channels_nothing_is_guarded, NULL});
}
