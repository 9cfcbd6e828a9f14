#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"

#define CLIENTS 40

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[CLIENTS];
static bool attached[CLIENTS];
static int overflows;

/* Two wire forms, "a" and "b": a(channel=payload), or a(pattern|channel=payload). */
static size_t
head_len(const struct hub_message *m)
{
	return strlen("a(=") + (m->pattern.len > 0 ? m->pattern.len + 1 : 0) + m->channel.len;
}

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){head_len(m), 1};
}

static void
write_both(char form, const struct hub_message *m, const struct wire_body *body, char *out)
{
	struct buffer text = {0};

	buffer_appendf(&text, "%c(%.*s%s%.*s=", form, (int)m->pattern.len,
	    m->pattern.len > 0 ? m->pattern.ptr : "", m->pattern.len > 0 ? "|" : "",
	    (int)m->channel.len, m->channel.ptr);
	ck_assert_uint_eq(text.len, head_len(m));
	memcpy(out, text.ptr, text.len);
	out[text.len + body->len] = ')';
	buffer_release(&text);
}

static void
write_a(const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	(void)its;
	write_both('a', m, body, out);
}

static void
write_b(const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	(void)its;
	write_both('b', m, body, out);
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	return (size_t)snprintf(out, OUTBOX_NOTICE_MAX, "<%llu>", (unsigned long long)missed);
}

static const struct wire_form forms[] = {
    {.name = "a", .ends = ends, .write_ends = write_a, .notice = notice},
    {.name = "b", .ends = ends, .write_ends = write_b, .notice = notice}};

static void
on_ready(struct subscriber *s)
{
	ck_assert(attached[s - subs]);
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
	ck_assert(attached[s - subs]);
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overflow};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 2, .segment_bytes = 4096};
	struct outbox_limits outbox = {.messages = 1000};

	limits = (struct hub_limits){.subscriptions = 100, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	overflows = 0;
	for (int i = 0; i < CLIENTS; i++) {
		attached[i] = true;
		hub_attach(hub, &subs[i], &ops, &outbox, i % 2 == 1, NULL);
	}
}

static void
detach(int i)
{
	ck_assert(hub_detach(&subs[i], SIZE_MAX));
	attached[i] = false;
}

static void
teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		if (attached[i])
			detach(i);
	hub_free(hub);
}

static void
subscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static size_t
publish(const char *channel, const char *payload)
{
	struct hub_publication its = {0};
	size_t receivers;

	ck_assert_int_eq(hub_publish(hub, HUB_CHANNEL, slice_of(channel), slice_of(payload), 1,
			     &its, &receivers),
	    HUB_OK);
	return receivers;
}

static const char *
take(int i)
{
	static char text[1 << 20];
	struct iovec pieces[8];
	size_t len = 0, count;

	while ((count = outbox_peek(&subs[i].outbox, pieces, 8)) > 0) {
		size_t here = 0;

		for (size_t k = 0; k < count; here += pieces[k++].iov_len)
			memcpy(text + len + here, pieces[k].iov_base, pieces[k].iov_len);
		outbox_consume(&subs[i].outbox, here);
		len += here;
	}
	text[len] = '\0';
	return text;
}

START_TEST(a_message_reaches_channel_and_pattern_subscribers_in_their_own_form)
{
	subscribe(0, HUB_CHANNEL, "news.art");
	subscribe(1, HUB_CHANNEL, "news.art");
	subscribe(1, HUB_PATTERN, "news.*");
	subscribe(2, HUB_PATTERN, "sport.*");
	ck_assert_uint_eq(publish("news.art", "hi"), 3);
	ck_assert_str_eq(take(0), "a(news.art=hi)");
	ck_assert_str_eq(take(1), "b(news.art=hi)b(news.*|news.art=hi)");
	ck_assert_str_eq(take(2), "");
	ck_assert_uint_eq(publish("nobody", "hi"), 0);
}
END_TEST

START_TEST(shard_channels_are_a_namespace_of_their_own)
{
	struct hub_publication its = {0};
	size_t receivers;

	subscribe(0, HUB_SHARD, "x");
	subscribe(1, HUB_CHANNEL, "x");
	subscribe(1, HUB_PATTERN, "*");
	ck_assert_int_eq(
	    hub_publish(hub, HUB_SHARD, SLICE("x"), SLICE("1"), 1, &its, &receivers), HUB_OK);
	ck_assert_uint_eq(receivers, 1);
	ck_assert_str_eq(take(0), "a(x=1)");
	ck_assert_str_eq(take(1), "");
	ck_assert_uint_eq(hub_numsub(hub, HUB_SHARD, SLICE("x")), 1);
	ck_assert_uint_eq(hub_channels(hub, HUB_SHARD), 1);
}
END_TEST

START_TEST(as_many_rotations_as_subscriptions_show_each_of_them_once)
{
	const char *const names[] = {"a", "b", "c"};
	int seen[3] = {0};

	for (size_t i = 0; i < 3; i++)
		subscribe(0, HUB_CHANNEL, names[i]);
	for (uint32_t left = subs[0].count[HUB_CHANNEL]; left > 0; left--) {
		struct subscription *s = hub_first_subscription(&subs[0], HUB_CHANNEL);

		seen[topic_name(s->topic).ptr[0] - 'a']++;
		hub_rotate_subscriptions(&subs[0], HUB_CHANNEL);
	}
	ck_assert(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
	hub_rotate_subscriptions(&subs[0], HUB_PATTERN);
	ck_assert_uint_eq(publish("b", "1"), 1);
}
END_TEST

START_TEST(subscribing_twice_changes_nothing)
{
	subscribe(0, HUB_CHANNEL, "x");
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("x")), HUB_ALREADY);
	ck_assert_uint_eq(publish("x", "1"), 1);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("x")), HUB_OK);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("x")), HUB_NOT_SUBSCRIBED);
	ck_assert_uint_eq(publish("x", "1"), 0);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(limits_refuse_and_change_nothing)
{
	char name[32];

	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("123456789012345678901")),
	    HUB_NAME_TOO_LONG);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		subscribe(0, i % 3 == 0 ? HUB_PATTERN : HUB_CHANNEL, name);
	}
	ck_assert_int_eq(
	    hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("one-more")), HUB_TOO_MANY_SUBSCRIPTIONS);
	for (int i = 1; i <= 30; i++)
		subscribe(i, HUB_CHANNEL, "full");
	ck_assert_int_eq(
	    hub_subscribe(&subs[31], HUB_CHANNEL, SLICE("full")), HUB_TOO_MANY_SUBSCRIBERS);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("full")), 30);
	ck_assert_uint_eq(hub_figures(hub).subscriptions, 130);
}
END_TEST

START_TEST(a_full_outbox_under_disconnect_overflows_and_the_others_get_the_message)
{
	struct outbox_limits two = {.messages = 2};

	hub_set_limits(&subs[0], &two);
	for (int i = 0; i < 3; i++)
		subscribe(i, HUB_CHANNEL, "x");
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(publish("x", "m"), 3);
	ck_assert_int_eq(overflows, 1);
	ck_assert_uint_eq(publish("x", "m"), 2);
	ck_assert_str_eq(take(0), "a(x=m)a(x=m)");
	ck_assert_str_eq(take(2), "a(x=m)a(x=m)a(x=m)a(x=m)");
	ck_assert_uint_eq(hub_figures(hub).dropped, 1);
}
END_TEST

START_TEST(drops_are_counted_for_the_channel_whose_message_was_dropped)
{
	struct outbox_limits two = {.messages = 2, .policy = OUTBOX_DROP_OLDEST};

	hub_set_limits(&subs[0], &two);
	subscribe(0, HUB_CHANNEL, "old");
	subscribe(0, HUB_PATTERN, "new*");
	(void)publish("old", "1");
	(void)publish("old", "2");
	(void)publish("new1", "3");
	(void)publish("new1", "4");
	(void)publish("new1", "5");
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("old")), 2);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_PATTERN, SLICE("new*")), 1);
	ck_assert_uint_eq(subs[0].outbox.dropped, 3);
	ck_assert_uint_eq(hub_figures(hub).dropped, 3);
	ck_assert_uint_eq(hub_figures(hub).delivered, 5);
}
END_TEST

START_TEST(a_drop_is_not_counted_for_a_later_channel_in_the_same_slot)
{
	struct outbox_limits one = {.messages = 1, .policy = OUTBOX_DROP_OLDEST};

	hub_set_limits(&subs[0], &one);
	subscribe(0, HUB_CHANNEL, "old");
	(void)publish("old", "1");
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("old")), HUB_OK);
	subscribe(0, HUB_CHANNEL, "new");
	(void)publish("new", "2");
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("new")), 0);
	ck_assert_uint_eq(hub_figures(hub).dropped, 1);
}
END_TEST

static char large[8 << 20];

static enum hub_result
publish_large(struct hub_publication *its, char fill, size_t len, size_t *receivers)
{
	enum hub_result result;

	ck_assert_uint_le(len, sizeof(large));
	memset(large, fill, len);
	result = hub_publish(
	    hub, HUB_CHANNEL, SLICE("x"), (struct slice){large, len}, 1, its, receivers);
	if (result == HUB_PREPARING)
		ck_assert_uint_eq(*receivers, 0);
	return result;
}

/* The outbox holds a message of head, len bytes of fill, ")", and nothing else; takes it. */
static void
take_large(int i, const char *head, char fill, size_t len)
{
	struct iovec piece;

	ck_assert_uint_eq(subs[i].outbox.messages, 1);
	ck_assert_uint_eq(outbox_peek(&subs[i].outbox, &piece, 1), 1);
	ck_assert_uint_eq(piece.iov_len, strlen(head) + len + 1);
	ck_assert_mem_eq(piece.iov_base, head, strlen(head));
	memset(large, fill, len);
	ck_assert_mem_eq((char *)piece.iov_base + strlen(head), large, len);
	ck_assert_int_eq(((char *)piece.iov_base)[piece.iov_len - 1], ')');
	outbox_consume(&subs[i].outbox, piece.iov_len);
}

START_TEST(a_large_message_is_copied_in_steps_and_then_delivered_once)
{
	size_t receivers, steps = 0;
	struct hub_publication its = {0};
	enum hub_result result;

	subscribe(0, HUB_CHANNEL, "x");
	subscribe(1, HUB_CHANNEL, "x");
	subscribe(2, HUB_PATTERN, "x*");
	while ((result = publish_large(&its, 'l', 5 << 20, &receivers)) == HUB_PREPARING) {
		steps++;
		ck_assert_uint_eq(subs[0].outbox.messages, 0);
		ck_assert_uint_eq(publish("x", "small"), 3);
		for (int i = 0; i < 3; i++)
			(void)take(i);
		hub_tidy(hub);
	}
	ck_assert_int_eq(result, HUB_OK);
	ck_assert_uint_eq(receivers, 3);
	ck_assert_uint_ge(steps, 3 * 4);
	take_large(0, "a(x=", 'l', 5 << 20);
	take_large(1, "b(x=", 'l', 5 << 20);
	take_large(2, "a(x*|x=", 'l', 5 << 20);
}
END_TEST

START_TEST(large_messages_of_the_same_length_are_not_mixed_up)
{
	struct hub_publication one = {0}, two = {0}, three = {0};
	size_t receivers;

	subscribe(0, HUB_CHANNEL, "x");
	ck_assert_int_eq(publish_large(&one, '1', 5 << 20, &receivers), HUB_PREPARING);
	ck_assert_int_eq(publish_large(&two, '2', 5 << 20, &receivers), HUB_PREPARING);
	hub_tidy(hub);
	ck_assert_uint_ne(one.drafts, two.drafts);
	/* The first publication is abandoned; the second one is delivered completely, and so is a
	 * third. */
	while (publish_large(&two, '2', 5 << 20, &receivers) == HUB_PREPARING)
		hub_tidy(hub);
	take_large(0, "a(x=", '2', 5 << 20);
	while (publish_large(&three, '3', 5 << 20, &receivers) == HUB_PREPARING)
		hub_tidy(hub);
	take_large(0, "a(x=", '3', 5 << 20);
}
END_TEST

/* On a slow machine a turn has time for only one step of one publisher. */
START_TEST(publishers_of_large_messages_take_turns_and_both_come_to_an_end)
{
	struct hub_publication one = {0}, two = {0};
	bool done = false;
	size_t receivers;
	unsigned turns = 0;

	subscribe(0, HUB_CHANNEL, "x");
	for (;; turns++) {
		ck_assert_uint_lt(turns, 20);
		hub_expire(hub, turns, 1000000);
		hub_tidy(hub);
		if (turns % 2 == 1 && publish_large(&two, '2', 5 << 20, &receivers) == HUB_OK)
			break;
		if (turns % 2 == 0 && !done &&
		    publish_large(&one, '1', 5 << 20, &receivers) == HUB_OK) {
			take_large(0, "a(x=", '1', 5 << 20);
			done = true;
		}
	}
	ck_assert(done);
	take_large(0, "a(x=", '2', 5 << 20);
}
END_TEST

/* A subscriber that is added meanwhile gets the message too, and moves the others' frames. */
START_TEST(subscribers_may_come_and_go_while_a_message_is_copied)
{
	size_t receivers;
	struct hub_publication its = {0};

	subscribe(0, HUB_PATTERN, "x*");
	ck_assert_int_eq(publish_large(&its, 'l', 5 << 20, &receivers), HUB_PREPARING);
	subscribe(1, HUB_CHANNEL, "x");
	subscribe(2, HUB_PATTERN, "*");
	for (int step = 0; step < 6; step++) {
		ck_assert_int_eq(publish_large(&its, 'l', 5 << 20, &receivers), HUB_PREPARING);
		hub_tidy(hub);
	}
	detach(2);
	while (publish_large(&its, 'l', 5 << 20, &receivers) == HUB_PREPARING)
		hub_tidy(hub);
	ck_assert_uint_eq(receivers, 2);
	take_large(0, "a(x*|x=", 'l', 5 << 20);
	take_large(1, "b(x=", 'l', 5 << 20);
}
END_TEST

START_TEST(a_large_message_to_nobody_needs_no_room)
{
	size_t receivers;
	struct hub_publication its = {0};

	ck_assert_int_eq(publish_large(&its, 'l', 8 << 20, &receivers), HUB_OK);
	ck_assert_uint_eq(receivers, 0);
}
END_TEST

START_TEST(detaching_goes_in_slices_and_counts_for_nothing_meanwhile)
{
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		subscribe(0, HUB_CHANNEL, name);
	}
	ck_assert(!hub_detach(&subs[0], 49));
	ck_assert_uint_eq(publish("c49", "x"), 0);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 1);
	ck_assert(hub_detach(&subs[0], 49));
	attached[0] = false;
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 0);
}
END_TEST

START_TEST(a_subscriber_detached_during_a_write_is_not_counted_and_stays_until_the_write_ends)
{
	struct iovec piece;

	subscribe(0, HUB_CHANNEL, "c");
	ck_assert_uint_eq(publish("c", "x"), outbox_peek(&subs[0].outbox, &piece, 1));
	outbox_begin_write(&subs[0].outbox, &piece, 1);
	ck_assert(!hub_detach(&subs[0], 49));
	ck_assert_uint_eq(hub_figures(hub).subscriptions, 0);
	outbox_end_write(&subs[0].outbox, 1);
	ck_assert(!(attached[0] = !hub_detach(&subs[0], 49)));
}
END_TEST

START_TEST(channels_are_walked_in_order)
{
	struct topic *topic;
	char all[64] = "";
	struct slice after = {NULL, 0};

	subscribe(0, HUB_CHANNEL, "b");
	subscribe(0, HUB_CHANNEL, "a");
	subscribe(1, HUB_CHANNEL, "c");
	subscribe(1, HUB_PATTERN, "aa*");
	while ((topic = hub_next_channel(hub, HUB_CHANNEL, after)) != NULL) {
		after = topic_name(topic);
		strncat(all, after.ptr, after.len);
	}
	ck_assert_str_eq(all, "abc");
	ck_assert_uint_eq(hub_numpat(hub), 1);
}
END_TEST

/* The model: the subscriptions as a plain table. */
START_TEST(a_hundred_thousand_random_steps_agree_with_a_plain_table)
{
	static const char *const names[] = {"a", "b", "ab", "a*", "*", "?b", "[ab]", "ba", "*b"};
	enum { NAMES = sizeof(names) / sizeof(*names) };
	static bool table[CLIENTS][2][NAMES];
	uint64_t seed = 99;

	memset(table, 0, sizeof(table));
	for (int step = 0; step < testing_steps(100000); step++) {
		uint64_t r = testing_random(&seed);
		int c = (int)(r % CLIENTS), kind = (int)(r >> 16 & 1), n = (int)((r >> 20) % NAMES);
		size_t expected = 0;
		bool *is = &table[c][kind][n];

		switch (r >> 40 & 3) {
		case 0:
		case 1:
			if (*is) {
				ck_assert_int_eq(hub_unsubscribe(&subs[c], (enum hub_kind)kind,
						     slice_of(names[n])),
				    HUB_OK);
				*is = false;
				break;
			}
			*is = hub_subscribe(&subs[c], (enum hub_kind)kind, slice_of(names[n])) ==
			      HUB_OK;
			break;
		case 2:
			for (int i = 0; i < CLIENTS; i++)
				for (int p = 0; p < NAMES; p++) {
					bool matches = strcmp(names[p], "*") == 0 ||
						       strcmp(names[p], "a*") == 0 ||
						       strcmp(names[p], "?b") == 0 ||
						       strcmp(names[p], "*b") == 0 ||
						       strcmp(names[p], "ab") == 0;

					expected += table[i][HUB_CHANNEL][p] && p == 2;
					expected += table[i][HUB_PATTERN][p] && matches;
				}
			ck_assert_uint_eq(publish("ab", "x"), expected);
			break;
		default:
			(void)take(c);
			for (int i = 0; i < CLIENTS; i++)
				expected += table[i][HUB_CHANNEL][n];
			ck_assert_uint_eq(
			    hub_numsub(hub, HUB_CHANNEL, slice_of(names[n])), expected);
			hub_tidy(hub);
		}
		for (int i = 0; step % 500 == 0 && i < CLIENTS; i++)
			(void)take(i);
	}
	ck_assert_int_eq(overflows, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub", setup, teardown,
	    (const TTest *[]){a_message_reaches_channel_and_pattern_subscribers_in_their_own_form,
		shard_channels_are_a_namespace_of_their_own, subscribing_twice_changes_nothing,
		as_many_rotations_as_subscriptions_show_each_of_them_once,
		limits_refuse_and_change_nothing,
		a_full_outbox_under_disconnect_overflows_and_the_others_get_the_message,
		drops_are_counted_for_the_channel_whose_message_was_dropped,
		a_drop_is_not_counted_for_a_later_channel_in_the_same_slot,
		a_large_message_is_copied_in_steps_and_then_delivered_once,
		large_messages_of_the_same_length_are_not_mixed_up,
		publishers_of_large_messages_take_turns_and_both_come_to_an_end,
		subscribers_may_come_and_go_while_a_message_is_copied,
		a_large_message_to_nobody_needs_no_room,
		detaching_goes_in_slices_and_counts_for_nothing_meanwhile,
		a_subscriber_detached_during_a_write_is_not_counted_and_stays_until_the_write_ends,
		channels_are_walked_in_order,
		a_hundred_thousand_random_steps_agree_with_a_plain_table, NULL});
}
