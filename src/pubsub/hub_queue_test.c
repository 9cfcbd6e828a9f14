#include "config.h"

#include "pubsub/queue_group.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub.h"

/* Queue groups: turns, room, policies, and messages of members that leave. */

#define SUBS 8
#define TEXT_MAX 65536

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static bool attached[SUBS];
static int overflows, rooms;

/* Two forms: "a<payload>." and "b<payload>.", which can be read, and a third one that cannot. */
static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)m;
	(void)body;
	return (struct wire_ends){1, 1};
}

#define FORM(letter)                                                                               \
	static void write_##letter(const struct hub_message *m, const struct wire_body *body,      \
	    struct wire_ends its, char *out)                                                       \
	{                                                                                          \
		(void)m;                                                                           \
		out[0] = #letter[0];                                                               \
		out[its.head + body->len] = '.';                                                   \
	}
FORM(a)
FORM(b)
FORM(c)

static bool
read_frame(const char *frame, size_t len, struct hub_message *message)
{
	*message = (struct hub_message){
	    .kind = HUB_CHANNEL, .channel = SLICE("q"), .payload = {frame + 1, len - 2}};
	return true;
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	(void)missed;
	(void)out;
	return 0;
}

static const struct wire_form forms[] = {
    {.name = "a", .ends = ends, .write_ends = write_a, .read = read_frame, .notice = notice},
    {.name = "b", .ends = ends, .write_ends = write_b, .read = read_frame, .notice = notice},
    {.name = "c", .ends = ends, .write_ends = write_c, .notice = notice}};

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

static void
on_room(struct subscriber *s)
{
	(void)s;
	rooms++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overflow};

static void
attach(int i, uint32_t messages, enum outbox_policy policy, uint8_t form)
{
	struct outbox_limits outbox = {.messages = messages, .policy = policy};

	hub_attach(hub, &subs[i], &ops, &outbox, form, NULL);
	attached[i] = true;
}

static void
detach(int i)
{
	while (!hub_detach(&subs[i], 3))
		continue;
	attached[i] = false;
}

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 3, .segment_bytes = 4096};

	limits = (struct hub_limits){.subscriptions = 5, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	overflows = rooms = 0;
	for (int i = 0; i < SUBS; i++)
		attach(i, 100, OUTBOX_DISCONNECT, 0);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		if (attached[i])
			detach(i);
	hub_free(hub);
}

static void
join(int i, const char *group, const char *name)
{
	ck_assert_int_eq(hub_join_queue(&subs[i], QUEUE_BY_COMMAND, slice_of(group), HUB_CHANNEL,
			     slice_of(name)),
	    HUB_OK);
}

static void
join_as(int i, enum queue_style style)
{
	ck_assert_int_eq(
	    hub_join_queue(&subs[i], style, SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
}

static enum hub_result
try_publish(const char *payload, struct hub_publication *p, struct hub_outcome *outcome)
{
	struct hub_post post = {
	    .kind = HUB_CHANNEL, .channel = SLICE("q"), .payload = slice_of(payload)};

	return hub_post(hub, &post, 1, p, outcome);
}

static size_t
publish(const char *payload)
{
	struct hub_publication its = {0};
	struct hub_outcome outcome;

	ck_assert_int_eq(try_publish(payload, &its, &outcome), HUB_OK);
	return outcome.receivers;
}

/* Takes at most max bytes of the queued output. */
static const char *
take(int i, size_t max)
{
	static char text[TEXT_MAX];
	struct iovec pieces[64];
	size_t len = 0, count;

	while (max > 0 && (count = outbox_peek(&subs[i].outbox, pieces, 64)) > 0) {
		size_t taken = 0;

		for (size_t p = 0; p < count && max > 0; p++) {
			size_t n = pieces[p].iov_len < max ? pieces[p].iov_len : max;

			ck_assert_uint_lt(len + n, sizeof(text));
			memcpy(text + len, pieces[p].iov_base, n);
			len += n;
			taken += n;
			max -= n;
		}
		outbox_consume(&subs[i].outbox, taken);
	}
	text[len] = '\0';
	return text;
}

#define assert_takes(i, text) ck_assert_str_eq(take(i, TEXT_MAX - 1), text)

START_TEST(members_get_messages_in_turn_and_count_as_one_receiver)
{
	for (int i = 0; i < 3; i++)
		join(i, "g", "q");
	join(3, "other", "q");
	ck_assert_int_eq(hub_subscribe(&subs[4], HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("q")), 3);
	for (int i = 0; i < 7; i++)
		ck_assert_uint_eq(publish((const char[]){(char)('0' + i), '\0'}), 3);
	assert_takes(0, "a0.a3.a6.");
	assert_takes(1, "a1.a4.");
	assert_takes(2, "a2.a5.");
	assert_takes(3, "a0.a1.a2.a3.a4.a5.a6.");
	assert_takes(4, "a0.a1.a2.a3.a4.a5.a6.");
}
END_TEST

START_TEST(memberships_have_the_limits_of_subscriptions)
{
	static const char *const names[] = {"1", "2", "3", "4"};

	for (int i = 0; i < 4; i++)
		join(0, "g", names[i]);
	ck_assert_int_eq(
	    hub_join_queue(&subs[0], QUEUE_BY_COMMAND, SLICE("g"), HUB_CHANNEL, SLICE("1")),
	    HUB_ALREADY);
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("1")), HUB_OK);
	ck_assert_int_eq(
	    hub_join_queue(&subs[0], QUEUE_BY_COMMAND, SLICE("g"), HUB_PATTERN, SLICE("1")),
	    HUB_TOO_MANY_SUBSCRIPTIONS);
	ck_assert_int_eq(
	    hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("x")), HUB_TOO_MANY_SUBSCRIPTIONS);
	ck_assert_uint_eq(hub_queues_of(&subs[0]), 4);
	limits.name_bytes = 3;
	ck_assert_int_eq(
	    hub_join_queue(&subs[1], QUEUE_BY_COMMAND, SLICE("long"), HUB_CHANNEL, SLICE("1")),
	    HUB_NAME_TOO_LONG);
	ck_assert_int_eq(
	    hub_join_queue(&subs[1], QUEUE_BY_COMMAND, SLICE("g"), HUB_CHANNEL, SLICE("long")),
	    HUB_NAME_TOO_LONG);
	limits.subscribers = 1;
	ck_assert_int_eq(
	    hub_join_queue(&subs[1], QUEUE_BY_COMMAND, SLICE("g"), HUB_CHANNEL, SLICE("1")),
	    HUB_TOO_MANY_SUBSCRIBERS);
	ck_assert_int_eq(
	    hub_join_queue(&subs[1], QUEUE_BY_COMMAND, SLICE("h"), HUB_CHANNEL, SLICE("2")),
	    HUB_TOO_MANY_SUBSCRIBERS);
}
END_TEST

START_TEST(a_membership_ends_alone_and_the_group_with_the_last_one)
{
	join(0, "g", "q");
	join(0, "h", "q");
	join(1, "g", "q");
	ck_assert_int_eq(
	    hub_leave_queue(&subs[0], SLICE("g"), HUB_PATTERN, SLICE("q")), HUB_NOT_SUBSCRIBED);
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_int_eq(
	    hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_NOT_SUBSCRIBED);
	ck_assert_uint_eq(publish("1"), 2);
	assert_takes(0, "a1.");
	assert_takes(1, "a1.");
	ck_assert_int_eq(hub_leave_queue(&subs[1], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("h"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(publish("2"), 0);
	ck_assert_uint_eq(hub_channels(hub, HUB_CHANNEL), 0);
	ck_assert_ptr_null(hub_first_queue(&subs[0]));
}
END_TEST

START_TEST(memberships_can_be_walked)
{
	join(0, "g", "q");
	ck_assert_int_eq(
	    hub_join_queue(&subs[0], QUEUE_BY_COMMAND, SLICE("h"), HUB_PATTERN, SLICE("q*")),
	    HUB_OK);
	ck_assert(slice_is(queue_member_group(hub_first_queue(&subs[0])), "g"));
	hub_rotate_queues(&subs[0]);
	ck_assert(slice_is(queue_member_group(hub_first_queue(&subs[0])), "h"));
	ck_assert(slice_is(queue_member_name(hub_first_queue(&subs[0])), "q*"));
	ck_assert_int_eq(queue_member_kind(hub_first_queue(&subs[0])), HUB_PATTERN);
	ck_assert_uint_eq(publish("1"), 2);
	assert_takes(0, "a1.a1.");
}
END_TEST

START_TEST(members_without_room_are_passed_over)
{
	detach(0);
	attach(0, 1, OUTBOX_DISCONNECT, 0);
	join(0, "g", "q");
	join(1, "g", "q");
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(publish((const char[]){(char)('0' + i), '\0'}), 1);
	ck_assert_int_eq(overflows, 0);
	assert_takes(0, "a0.");
	assert_takes(1, "a1.a2.a3.");
}
END_TEST

START_TEST(without_room_the_policy_of_the_member_in_turn_decides)
{
	struct hub_outcome outcome;
	struct hub_publication its = {0};

	detach(0);
	detach(1);
	attach(0, 1, OUTBOX_DROP_NEWEST, 0);
	attach(1, 1, OUTBOX_DISCONNECT, 0);
	join(0, "g", "q");
	join(1, "g", "q");
	publish("0");
	publish("1");
	ck_assert_int_eq(try_publish("2", &its, &outcome), HUB_OK); /* dropped by 0 */
	ck_assert_uint_eq(outcome.receivers, 1);
	ck_assert_uint_eq(outcome.queued, 0);
	ck_assert_int_eq(overflows, 0);
	publish("3");
	ck_assert_int_eq(overflows, 1);
	assert_takes(0, "a0.");
	publish("4"); /* 1 is closed */
	assert_takes(0, "a4.");
	detach(1);
	assert_takes(0, "a1."); /* handed over */
}
END_TEST

START_TEST(publishers_wait_until_a_member_that_blocks_has_room)
{
	struct hub_outcome outcome;
	struct hub_publication its = {0};

	detach(0);
	detach(1);
	attach(0, 1, OUTBOX_BLOCK, 0);
	attach(1, 1, OUTBOX_BLOCK, 0);
	join(0, "g", "q");
	join(1, "g", "q");
	publish("0");
	publish("1");
	ck_assert_int_eq(try_publish("2", &its, &outcome), HUB_BLOCKED);
	rooms = 0;
	assert_takes(1, "a1.");
	ck_assert_int_gt(rooms, 0);
	hub_begin_round(hub);
	ck_assert_int_eq(try_publish("2", &its, &outcome), HUB_OK);
	hub_end_round(hub);
	assert_takes(1, "a2.");
	ck_assert_int_eq(subs[0].awaited, HUB_NOT_AWAITED);
	ck_assert_int_eq(subs[1].awaited, HUB_NOT_AWAITED);
	assert_takes(0, "a0.");
}
END_TEST

START_TEST(what_a_leaver_had_not_begun_goes_to_others_in_order_and_in_their_form)
{
	hub_set_form(&subs[1], 1);
	join(0, "g", "q");
	for (int i = 0; i < 4; i++)
		publish((const char[]){(char)('0' + i), '\0'});
	ck_assert_str_eq(take(0, 4), "a0.a"); /* 1 is begun */
	join(1, "g", "q");
	detach(0);
	assert_takes(1, "b2.b3.");
	ck_assert_uint_eq(hub_figures(hub).dropped, 0);
}
END_TEST

START_TEST(messages_of_other_subscriptions_are_not_handed_over)
{
	join(0, "g", "q");
	join(1, "g", "q");
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("q")), HUB_OK);
	publish("0");
	publish("1");
	detach(0);
	assert_takes(1, "a1.a0.");
}
END_TEST

START_TEST(without_members_or_a_form_that_can_be_read_messages_are_dropped_and_counted)
{
	join(0, "g", "q");
	publish("0");
	publish("1");
	detach(0);
	ck_assert_uint_eq(hub_figures(hub).dropped, 2);
	hub_set_form(&subs[1], 2);
	join(1, "g", "q");
	join(2, "g", "q");
	publish("2");
	detach(1);
	ck_assert_uint_eq(hub_figures(hub).dropped, 3);
	ck_assert_uint_eq(hub_channel_dropped(hub, HUB_CHANNEL, SLICE("q")), 1);
	assert_takes(2, "");
}
END_TEST

START_TEST(a_member_that_leaves_the_group_only_gets_what_was_queued)
{
	join(0, "g", "q");
	join(1, "g", "q");
	publish("0");
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	publish("1");
	assert_takes(0, "a0.");
	assert_takes(1, "a1.");
}
END_TEST

/* Random members that come, read, and leave: each message gets to exactly one of them. */
static uint8_t got[100000];

/* A message is 7 bytes: "a00001.". */
static void
take_messages(int i, size_t count)
{
	for (const char *text = take(i, count * 7); *text != '\0'; text += 7)
		got[atoi(text + 1)]++;
}

START_TEST(no_message_is_lost_or_doubled_when_members_leave_at_random)
{
	uint64_t seed = 5;
	int steps = testing_steps(90000), last = 0, members = 0;
	bool in[SUBS] = {0};
	char payload[16];

	memset(got, 0, sizeof(got));
	for (int i = 0; i < steps; i++) {
		int s = (int)(testing_random(&seed) % SUBS);

		switch (testing_random(&seed) % 6) {
		case 0: /* comes, or leaves for good unless it is the last member */
			if (!in[s]) {
				join_as(s, (enum queue_style)(testing_random(&seed) % 2));
				in[s] = true;
				members++;
			} else if (members > 1) {
				detach(s);
				attach(s, testing_random(&seed) % 5 + 1, OUTBOX_BLOCK,
				    testing_random(&seed) % 2);
				in[s] = false;
				members--;
			}
			break;
		case 1:
			take_messages(s, testing_random(&seed) % 4);
			break;
		default: {
			struct hub_publication its = {0};
			struct hub_outcome outcome;

			if (members == 0)
				break;
			snprintf(payload, sizeof(payload), "%05d", last);
			if (try_publish(payload, &its, &outcome) == HUB_OK) {
				ck_assert_uint_eq(outcome.receivers, 1);
				ck_assert_uint_eq(outcome.queued, 1);
				last++;
			}
			hub_end_publication(hub, &its);
		}
		}
	}
	for (int i = 0; i < SUBS; i++)
		take_messages(i, TEXT_MAX / 7 - 1);
	ck_assert_int_gt(last, steps / 20);
	for (int i = 0; i < last; i++)
		ck_assert_msg(got[i] == 1, "message %d: %d times", i, got[i]);
	ck_assert_uint_eq(hub_figures(hub).dropped, 0);
	ck_assert_int_eq(overflows, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_queue", setup, teardown,
	    (const TTest *[]){members_get_messages_in_turn_and_count_as_one_receiver,
		memberships_have_the_limits_of_subscriptions,
		a_membership_ends_alone_and_the_group_with_the_last_one, memberships_can_be_walked,
		members_without_room_are_passed_over,
		without_room_the_policy_of_the_member_in_turn_decides,
		publishers_wait_until_a_member_that_blocks_has_room,
		what_a_leaver_had_not_begun_goes_to_others_in_order_and_in_their_form,
		messages_of_other_subscriptions_are_not_handed_over,
		without_members_or_a_form_that_can_be_read_messages_are_dropped_and_counted,
		a_member_that_leaves_the_group_only_gets_what_was_queued,
		no_message_is_lost_or_doubled_when_members_leave_at_random, NULL});
}
