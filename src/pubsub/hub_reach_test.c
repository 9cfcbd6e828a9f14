#include "config.h"

#include "pubsub/hub.h"
#include "pubsub/hub_reach.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/hub_replay.h"
#include "pubsub/queue_group.h"
#include "pubsub/testing_form.h"

/* Messages that are not published here: their receivers, and the notices that some are missing. */

#define SUBS 8

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static int overflows;

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	(void)s;
	overflows++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_ready, on_overflow};

static void
attach(int i, enum outbox_policy policy)
{
	const struct outbox_limits outbox = {.messages = 4, .policy = policy, .notify = i != 0};

	hub_attach(hub, &subs[i], &ops, &outbox, 0, NULL);
}

static void
setup(void)
{
	struct hub_config config = {.limits = &limits,
	    .epoch = 1,
	    .forms = &testing_name_form,
	    .form_count = 1,
	    .segment_bytes = 4096};
	const struct slice words[] = {
	    SLICE("history-size"), SLICE("10"), SLICE("history-ttl"), SLICE("60")};
	struct channel_error error;

	limits = (struct hub_limits){.subscriptions = 100, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	ck_assert(hub_set_channel_line(hub, SLICE("k*"), words, 4, &error));
	hub_set_time(hub, 1);
	overflows = 0;
	for (int i = 0; i < SUBS; i++)
		attach(i, OUTBOX_DROP_OLDEST);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static void
subscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static void
join(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(
	    hub_join_queue(&subs[i], QUEUE_BY_COMMAND, SLICE("g"), kind, slice_of(name)), HUB_OK);
}

static size_t
reached(const char *channel)
{
	return hub_receivers(hub, HUB_CHANNEL, slice_of(channel));
}

static size_t
publish(enum hub_kind kind, struct slice channel)
{
	size_t receivers;

	ck_assert_int_eq(
	    hub_publish_now(hub, kind, channel, SLICE("m"), HUB_IGNORE_LIMITS, &receivers), HUB_OK);
	return receivers;
}

/* Takes all that is queued. */
static const char *
take(int i)
{
	static char text[4096];
	struct iovec piece;
	size_t len = 0;

	while (outbox_peek(&subs[i].outbox, &piece, 1) > 0) {
		ck_assert_uint_lt(len + piece.iov_len, sizeof(text));
		memcpy(text + len, piece.iov_base, piece.iov_len);
		len += piece.iov_len;
		outbox_consume(&subs[i].outbox, piece.iov_len);
	}
	outbox_flushed(&subs[i].outbox);
	text[len] = '\0';
	return text;
}

static void
drain(int i)
{
	struct iovec piece;

	while (outbox_peek(&subs[i].outbox, &piece, 1) > 0)
		outbox_consume(&subs[i].outbox, piece.iov_len);
	outbox_flushed(&subs[i].outbox);
}

START_TEST(a_message_would_reach_each_subscription_to_its_channel)
{
	ck_assert_uint_eq(reached("a"), 0);
	subscribe(0, HUB_CHANNEL, "a");
	subscribe(1, HUB_CHANNEL, "a");
	subscribe(1, HUB_PATTERN, "a*");
	subscribe(2, HUB_PATTERN, "?");
	subscribe(3, HUB_SHARD, "a");
	ck_assert_uint_eq(reached("a"), 4);
	ck_assert_uint_eq(reached("b"), 1);
	ck_assert_uint_eq(reached("ab"), 1);
	ck_assert_uint_eq(hub_receivers(hub, HUB_SHARD, SLICE("a")), 1);
	ck_assert_uint_eq(hub_receivers(hub, HUB_SHARD, SLICE("b")), 0);
	ck_assert_str_eq(take(1), "");
	ck_assert_uint_eq(hub_figures(hub).published, 0);
}
END_TEST

START_TEST(a_subscriber_that_wants_one_copy_counts_once)
{
	subscribe(0, HUB_CHANNEL, "a");
	subscribe(0, HUB_PATTERN, "a*");
	subscribe(1, HUB_PATTERN, "a*");
	ck_assert_uint_eq(reached("a"), 3);
	hub_set_dedup(&subs[0], true);
	ck_assert_uint_eq(reached("a"), 2);
	ck_assert_uint_eq(reached("a"), 2); /* and leaves no mark */
	ck_assert_uint_eq(publish(HUB_CHANNEL, SLICE("a")), 2);
	hub_set_dedup(&subs[0], false);
}
END_TEST

START_TEST(a_group_counts_once_if_a_member_can_take_the_message)
{
	join(0, HUB_CHANNEL, "a");
	join(1, HUB_CHANNEL, "a");
	ck_assert_uint_eq(reached("a"), 1);
	outbox_seal(&subs[0].outbox);
	ck_assert_uint_eq(reached("a"), 1);
	outbox_seal(&subs[1].outbox);
	ck_assert_uint_eq(reached("a"), 0);
}
END_TEST

START_TEST(a_sealed_outbox_does_not_count)
{
	subscribe(0, HUB_CHANNEL, "a");
	subscribe(1, HUB_CHANNEL, "a");
	outbox_seal(&subs[0].outbox);
	ck_assert_uint_eq(reached("a"), 1);
}
END_TEST

static struct slice
random_name(uint64_t r)
{
	static const char *const names[] = {"a", "ab", "b", "k", "ka"};

	return slice_of(names[r % 5]);
}

static struct slice
random_pattern(uint64_t r)
{
	static const char *const patterns[] = {"a*", "*", "?", "k*", "*b"};

	return slice_of(patterns[r % 5]);
}

/* One change, whose result does not matter. */
static void
change(int i, uint64_t r)
{
	struct subscriber *s = &subs[i];
	enum hub_kind kind = (enum hub_kind)((r >> 8) % HUB_KINDS);
	struct slice name = kind == HUB_PATTERN ? random_pattern(r >> 12) : random_name(r >> 12);
	bool is_group = kind != HUB_SHARD && (r >> 20) % 3 == 0;

	switch (r % 8) {
	case 0:
	case 1:
	case 2:
		(void)!(is_group ? hub_join_queue(s, QUEUE_BY_COMMAND, SLICE("g"), kind, name)
				 : hub_subscribe(s, kind, name));
		break;
	case 3:
		(void)!(is_group ? hub_leave_queue(s, SLICE("g"), kind, name)
				 : hub_unsubscribe(s, kind, name));
		break;
	case 4:
		hub_set_dedup(s, (r >> 20) % 2 > 0);
		break;
	case 5:
		if ((r >> 20) % 4 > 0)
			break;
		hub_set_dedup(s, false);
		ck_assert(hub_detach(s, SIZE_MAX));
		attach(i, (enum outbox_policy)((r >> 24) % OUTBOX_POLICIES));
		break;
	case 6:
		(void)hub_replay(hub, 1);
		break;
	default:
		drain(i);
	}
}

START_TEST(what_is_foretold_is_what_a_publish_reaches)
{
	uint64_t seed = 5, compared = 0, sealed = 0;

	for (int step = 0; step < testing_steps(100000); step++) {
		uint64_t r = testing_random(&seed);
		enum hub_kind kind = (r >> 40) % 4 > 0 ? HUB_CHANNEL : HUB_SHARD;
		struct slice name = random_name(r >> 44);
		size_t foretold, receivers;

		change((int)((r >> 52) % SUBS), r);
		foretold = hub_receivers(hub, kind, name);
		overflows = 0;
		receivers = publish(kind, name);
		sealed += overflows > 0;
		compared += receivers > 0;
		if (overflows == 0)
			ck_assert_uint_eq(receivers, foretold);
		else
			ck_assert_uint_le(receivers, foretold);
	}
	ck_assert_uint_gt(compared, (unsigned)testing_steps(50000));
	ck_assert_uint_gt(sealed, (unsigned)testing_steps(500));
	for (int i = 0; i < SUBS; i++)
		hub_set_dedup(&subs[i], false);
}
END_TEST

static void
mark(enum hub_kind kind, const char *name)
{
	hub_mark_gap(hub, kind, slice_of(name));
}

START_TEST(a_gap_is_told_to_the_subscribers_of_its_topic_in_its_place)
{
	subscribe(1, HUB_CHANNEL, "a");
	subscribe(2, HUB_PATTERN, "a*");
	subscribe(3, HUB_PATTERN, "?");
	subscribe(4, HUB_SHARD, "a");
	(void)publish(HUB_CHANNEL, SLICE("a"));
	mark(HUB_CHANNEL, "a");
	(void)publish(HUB_CHANNEL, SLICE("a"));
	mark(HUB_PATTERN, "a*");
	mark(HUB_SHARD, "a");
	mark(HUB_CHANNEL, "a*");
	mark(HUB_PATTERN, "b*");
	ck_assert_str_eq(take(1), "0 a m;<?;0 a m;");
	ck_assert_str_eq(take(2), "0 a* m;0 a* m;<?;");
	ck_assert_str_eq(take(3), "0 ? m;0 ? m;");
	ck_assert_str_eq(take(4), "<?;");
	ck_assert_uint_eq(hub_figures(hub).dropped, 0);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("a")), 0);
}
END_TEST

static bool
is_short(void *arg, enum hub_kind kind, struct slice name)
{
	++*(int *)arg;
	return kind == HUB_SHARD || name.len == 1;
}

START_TEST(a_gap_is_told_to_those_that_a_message_would_reach)
{
	int asked = 0;

	subscribe(1, HUB_CHANNEL, "a");
	subscribe(2, HUB_PATTERN, "a*");
	subscribe(3, HUB_PATTERN, "?");
	subscribe(4, HUB_SHARD, "a");
	hub_mark_gaps(hub, HUB_CHANNEL, SLICE("b"), is_short, &asked);
	ck_assert_int_eq(asked, 1);
	hub_mark_gaps(hub, HUB_CHANNEL, SLICE("a"), is_short, &asked);
	ck_assert_int_eq(asked, 4);
	ck_assert_str_eq(take(1), "<?;");
	ck_assert_str_eq(take(2), "");
	ck_assert_str_eq(take(3), "<?;");
	ck_assert_str_eq(take(4), "");
	hub_mark_gaps(hub, HUB_SHARD, SLICE("a"), is_short, &asked);
	ck_assert_str_eq(take(4), "<?;");
	hub_mark_gaps(hub, HUB_CHANNEL, SLICE("a"), NULL, NULL);
	ck_assert_str_eq(take(2), "<?;");
}
END_TEST

START_TEST(a_gap_is_not_told_without_notify_or_in_a_sealed_outbox)
{
	subscribe(0, HUB_CHANNEL, "a"); /* it has no notify */
	subscribe(1, HUB_CHANNEL, "a");
	outbox_seal(&subs[1].outbox);
	mark(HUB_CHANNEL, "a");
	ck_assert_str_eq(take(0), "");
	ck_assert_str_eq(take(1), "");
}
END_TEST

START_TEST(a_gap_is_told_to_each_member_of_a_group)
{
	join(1, HUB_CHANNEL, "a");
	join(2, HUB_CHANNEL, "a");
	join(3, HUB_PATTERN, "a");
	mark(HUB_CHANNEL, "a");
	(void)publish(HUB_CHANNEL, SLICE("a"));
	mark(HUB_PATTERN, "a");
	ck_assert_str_eq(take(1), "<?;0 a m;");
	ck_assert_str_eq(take(2), "<?;");
	ck_assert_str_eq(take(3), "0 a m;<?;");
}
END_TEST

START_TEST(a_gap_is_told_behind_what_a_replay_has_queued)
{
	uint64_t before = history_position(hub_history(hub)).seq;

	for (int i = 0; i < 3; i++)
		(void)publish(HUB_CHANNEL, SLICE("k"));
	ck_assert_int_eq(hub_subscribe_after(&subs[1], SLICE("k"), before, 1), HUB_OK);
	hub_start_replay(&subs[1]);
	ck_assert_int_eq(hub_replay(hub, 1), HUB_REPLAY_MORE);
	ck_assert_uint_eq(subs[1].outbox.messages, 1); /* a quarter of its limits */
	mark(HUB_CHANNEL, "k");
	while (hub_replay(hub, 1) == HUB_REPLAY_MORE)
		continue;
	ck_assert_str_eq(take(1), "2 k m;<?;3 k m;4 k m;");
}
END_TEST

START_TEST(a_message_for_patterns_only_goes_to_no_subscriber_of_the_channel)
{
	struct hub_post post = {.kind = HUB_CHANNEL,
	    .channel = SLICE("a"),
	    .payload = SLICE("m"),
	    .only_patterns = true};
	struct hub_outcome out;

	ck_assert_int_eq(hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &out), HUB_OK);
	subscribe(0, HUB_CHANNEL, "a");
	ck_assert_int_eq(hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &out), HUB_OK);
	ck_assert_uint_eq(out.receivers, 0);
	subscribe(1, HUB_PATTERN, "a*");
	subscribe(0, HUB_PATTERN, "?");
	ck_assert_int_eq(hub_post_now(hub, &post, HUB_WITHIN_LIMITS, &out), HUB_OK);
	ck_assert_uint_eq(out.receivers, 2);
	ck_assert_uint_eq(publish(HUB_CHANNEL, SLICE("a")), 3);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_reach", setup, teardown,
	    (const TTest *[]){a_message_would_reach_each_subscription_to_its_channel,
		a_subscriber_that_wants_one_copy_counts_once,
		a_group_counts_once_if_a_member_can_take_the_message,
		a_sealed_outbox_does_not_count, what_is_foretold_is_what_a_publish_reaches,
		a_gap_is_told_to_the_subscribers_of_its_topic_in_its_place,
		a_gap_is_told_to_those_that_a_message_would_reach,
		a_gap_is_not_told_without_notify_or_in_a_sealed_outbox,
		a_gap_is_told_to_each_member_of_a_group,
		a_gap_is_told_behind_what_a_replay_has_queued,
		a_message_for_patterns_only_goes_to_no_subscriber_of_the_channel, NULL});
}
