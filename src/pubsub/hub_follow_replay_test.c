#include "config.h"

#include "pubsub/hub_follow.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_replay.h"
#include "pubsub/queue_group.h"
#include "pubsub/testing_form.h"
#include "pubsub/testing_replay.h"

/* Replays in hubs that follow, and messages that are missing: what subscribers read. */

#define S UINT64_C(1000000)
#define EPOCH 7
#define SUBS 4

static struct hub *hub;
static struct subscriber subs[SUBS];
static int overtakens, overflows;

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_overflow(struct subscriber *s)
{
	outbox_seal(&s->outbox);
	overflows++;
}

static void
on_overtaken(struct subscriber *s)
{
	ck_assert(s->outbox.sealed);
	overtakens++;
}

static const struct subscriber_ops ops = {ignore, on_overflow, ignore, on_overtaken};

static struct hub *
make_hub(void)
{
	struct hub *made = testing_replay_hub(&testing_name_form);

	hub_follow(made);
	hub_follow_from(made, (struct hub_position){EPOCH, 0});
	testing_set_line(made, "k*", "history-size 100 history-ttl 60");
	hub_follow_to(made, 100);
	return made;
}

static void
detach(int i)
{
	while (!hub_detach(&subs[i], 100))
		continue;
}

static void
attach(int i, struct hub *to, uint32_t most, bool notify)
{
	const struct outbox_limits limits = {.messages = most, .notify = notify};

	hub_attach(to, &subs[i], &ops, &limits, 0, NULL);
}

static void
setup(void)
{
	hub = make_hub();
	for (int i = 0; i < SUBS; i++)
		attach(i, hub, 0, true);
	overtakens = overflows = 0;
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		detach(i);
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
	hub_free(hub);
}

static void
post_to(struct hub *to, const char *channel, uint64_t seq)
{
	const struct hub_post message = {
	    .kind = HUB_CHANNEL, .channel = slice_of(channel), .payload = SLICE("x"), .seq = seq};
	struct hub_outcome outcome;

	hub_set_time(to, S);
	ck_assert_int_eq(hub_post_now(to, &message, HUB_WITHIN_LIMITS, &outcome), HUB_OK);
}

static void
post(const char *channel, uint64_t seq)
{
	post_to(hub, channel, seq);
}

/* With `count` messages up to newest_seq, which is at most 100 or was posted. */
static void
load_to(struct hub *to, const char *channel, uint64_t newest_seq, size_t count)
{
	struct hub_loaded_message messages[100];
	const struct hub_loaded loaded = {.channel = slice_of(channel),
	    .messages = messages,
	    .newest_seq = newest_seq,
	    .trimmed_seq = newest_seq - count,
	    .number = newest_seq + 1000,
	    .count = count};

	for (size_t i = 0; i < count; i++)
		messages[i] = (struct hub_loaded_message){
		    .seq = newest_seq - count + 1 + i, .payload = SLICE("x")};
	hub_load_history(to, &loaded, S);
}

static void
load(const char *channel, uint64_t newest_seq, size_t count)
{
	load_to(hub, channel, newest_seq, count);
}

/* What the subscriber has to read; replays go on. */
static const char *
take(int i)
{
	static char text[65536];
	struct iovec piece;
	size_t len = 0;
	bool more = true;

	while (more) {
		while (hub_replay(subs[i].hub, S) == HUB_REPLAY_MORE)
			continue;
		more = false;
		while (outbox_peek(&subs[i].outbox, &piece, 1) > 0) {
			ck_assert_uint_lt(len + piece.iov_len, sizeof(text));
			memcpy(text + len, piece.iov_base, piece.iov_len);
			len += piece.iov_len;
			outbox_consume(&subs[i].outbox, piece.iov_len);
			more = true;
		}
	}
	text[len] = '\0';
	return text;
}

static void
subscribe_after(int i, const char *channel, uint64_t after_seq)
{
	ck_assert(hub_can_resume(subs[i].hub, slice_of(channel), after_seq, S));
	ck_assert_int_eq(hub_subscribe_after(&subs[i], slice_of(channel), after_seq, S), HUB_OK);
}

static void
subscribe(int i, const char *channel)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], HUB_CHANNEL, slice_of(channel)), HUB_OK);
}

static void
ck_judged(const char *channel, struct position_since since, enum hub_verdict verdict, uint64_t seq,
    uint64_t count)
{
	struct hub_resumption r = hub_judge(&subs[0], slice_of(channel), &since, S);

	ck_assert_int_eq(r.verdict, verdict);
	ck_assert_uint_eq(r.position.epoch, EPOCH);
	ck_assert_uint_eq(r.position.seq, seq);
	ck_assert_uint_eq(r.count, count);
}

static struct position_since
at(uint64_t epoch, uint64_t seq)
{
	return (struct position_since){.kind = POSITION_AT, .at = {epoch, seq}};
}

static struct position_since
last(uint64_t count)
{
	return (struct position_since){.kind = POSITION_LAST, .count = count};
}

START_TEST(positions_are_judged_by_what_was_loaded)
{
	load("k1", 50, 10);
	ck_judged("k1", at(EPOCH, 45), HUB_RESUMED, 45, 5);
	ck_judged("k1", at(EPOCH, 40), HUB_RESUMED, 40, 10);
	ck_judged("k1", at(EPOCH, 39), HUB_LOST, 40, 10);
	ck_judged("k1", at(EPOCH, 100), HUB_RESUMED, 100, 0);
	ck_judged("k1", at(EPOCH, 101), HUB_LOST, 40, 10);
	ck_judged("k1", at(EPOCH + 1, 45), HUB_LOST, 40, 10);
	ck_judged("k1", last(3), HUB_NEW, 47, 3);
	ck_judged("k1", last(11), HUB_NEW, 40, 10);
	ck_judged("k1", (struct position_since){.kind = POSITION_ALL}, HUB_NEW, 40, 10);
	ck_judged("k1", (struct position_since){.kind = POSITION_NEW}, HUB_NEW, 100, 0);
	/* Of a channel that is not loaded nothing is known. */
	ck_judged("k2", at(EPOCH, 100), HUB_LOST, 100, 0);
	ck_judged("k2", last(3), HUB_NEW, 100, 0);
}
END_TEST

START_TEST(a_subscriber_reads_loaded_messages_and_then_new_ones)
{
	load("k1", 50, 3);
	load("k2", 49, 1);
	subscribe_after(0, "k1", 48);
	subscribe_after(0, "k2", 40 + 8);
	post("k1", 101);
	post("k2", (uint64_t)1 << 33);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "49 k1 x;49 k2 x;50 k1 x;101 k1 x;8589934592 k2 x;");
	post("k1", ((uint64_t)1 << 33) + 1);
	ck_assert_str_eq(take(0), "8589934593 k1 x;");
}
END_TEST

START_TEST(a_subscriber_goes_on_at_another_hub)
{
	struct hub *other = make_hub();

	load("k1", 50, 2);
	load("k2", 40, 1);
	subscribe_after(0, "k1", 48);
	hub_start_replay(&subs[0]);
	post("k1", 101);
	ck_assert_str_eq(take(0), "49 k1 x;50 k1 x;101 k1 x;");
	detach(0);
	hub_follow_to(other, 102); /* k2 is not for it */
	load_to(other, "k1", 102, 54);
	attach(0, other, 0, true);
	subscribe_after(0, "k1", 101);
	hub_start_replay(&subs[0]);
	post_to(other, "k1", 110);
	ck_assert_str_eq(take(0), "102 k1 x;110 k1 x;");
	/* And back: this hub has seen other messages meanwhile. */
	detach(0);
	post("k1", 102);
	post("k2", 103);
	post("k1", 110);
	post("k1", 111);
	attach(0, hub, 0, true);
	subscribe_after(0, "k1", 110);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "111 k1 x;");
	hub_free(other);
}
END_TEST

START_TEST(a_channel_is_loaded_again_while_its_ring_was_read)
{
	load("k1", 50, 3);
	load("k2", 60, 1);
	subscribe_after(0, "k1", 47);
	subscribe_after(0, "k2", 59);
	hub_drop_history(hub, SLICE("k1"), S);
	load("k1", 70, 30);
	post("k1", 101);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "<3;60 k2 x;101 k1 x;");
}
END_TEST

START_TEST(a_channel_is_loaded_while_a_pattern_is_replayed)
{
	load("k1", 50, 3);
	testing_psubscribe_after(&subs[0], SLICE("k*"), 48, S);
	testing_psubscribe_after(&subs[1], SLICE("k*"), 48, S);
	testing_psubscribe_after(&subs[2], SLICE("l*"), 48, S);
	hub_start_replay(&subs[1]);
	load("k2", 60, 9);
	load("k3", 48, 9); /* not behind the position */
	load("k4", 90, 0);
	post("k2", 101);
	post("k3", 102);
	post("k4", 103);
	hub_start_replay(&subs[0]);
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(take(i), "49 k* x;50 k* x;101 k* x;102 k* x;103 k* x;");
	/* Another one begins with them. */
	testing_psubscribe_after(&subs[3], SLICE("k*"), 58, S);
	hub_start_replay(&subs[3]);
	ck_assert_str_eq(take(3), "59 k* x;60 k* x;101 k* x;102 k* x;103 k* x;");
}
END_TEST

START_TEST(a_replay_of_too_many_channels_overflows)
{
	char name[16];

	testing_history_limits.channels = 100000;
	testing_psubscribe_after(&subs[0], SLICE("k*"), 48, S);
	for (int i = 0; i < CURSOR_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		load(name, 60, 1);
	}
	ck_assert_uint_eq(hub_replay_entries(&subs[0]), CURSOR_ENTRIES_MAX);
	ck_assert_int_eq(overflows, 0);
	load("kk", 60, 1);
	ck_assert_int_eq(overflows, 1);
	load("kkk", 60, 1);
	ck_assert_int_eq(overflows, 1);
}
END_TEST

START_TEST(live_subscribers_are_told_how_many_messages_are_missing)
{
	load("k1", 50, 3);
	detach(1);
	attach(1, hub, 0, false);
	for (int i = 0; i < 2; i++)
		subscribe(i, "k1");
	subscribe(2, "k2");
	post("k1", 101);
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 4);
	post("k1", 111);
	hub_follow_to(hub, 120);
	hub_miss_history(hub, SLICE("k1"), 118, 1);
	hub_miss_history(hub, SLICE("k1"), 119, 2);
	hub_miss_history(hub, SLICE("k9"), 120, 2);
	ck_assert_str_eq(take(0), "101 k1 x;<4;111 k1 x;<3;");
	ck_assert_str_eq(take(1), "101 k1 x;111 k1 x;");
	ck_assert_str_eq(take(2), "");
	/* The ring was cut: the messages before are gone, too. */
	ck_judged("k2", at(EPOCH, 120), HUB_LOST, 120, 0);
	ck_assert(!hub_can_resume(hub, SLICE("k1"), 118, S));
	ck_assert(hub_can_resume(hub, SLICE("k1"), 119, S));
	ck_assert_uint_eq(hub_ring(hub, SLICE("k1"), S)->count, 0);
	post("k1", 121);
	subscribe_after(3, "k1", 119);
	hub_start_replay(&subs[3]);
	ck_assert_str_eq(take(3), "121 k1 x;");
}
END_TEST

START_TEST(a_replay_counts_missing_messages_once)
{
	load("k1", 50, 5);
	load("k2", 60, 1);
	subscribe_after(0, "k1", 47);
	subscribe_after(0, "k2", 59);
	testing_psubscribe_after(&subs[1], SLICE("k1*"), 48, S);
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 4);
	post("k1", 111);
	for (int i = 0; i < 2; i++)
		hub_start_replay(&subs[i]);
	/* Three that it had not read, and four that nobody has. */
	ck_assert_str_eq(take(0), "<7;60 k2 x;111 k1 x;");
	ck_assert_str_eq(take(1), "<6;111 k1* x;");
	ck_assert_uint_eq(hub_replay_figures(hub).cursors, 0);
}
END_TEST

START_TEST(a_replay_that_has_read_the_ring_is_told_what_is_missing)
{
	load("k1", 50, 5);
	load("k2", 90, 3);
	subscribe_after(0, "k1", 70);
	subscribe_after(0, "k2", 87);
	testing_psubscribe_after(&subs[1], SLICE("k*"), 87, S);
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 2);
	post("k1", 111);
	for (int i = 0; i < 2; i++)
		hub_start_replay(&subs[i]);
	ck_assert_str_eq(take(0), "<2;88 k2 x;89 k2 x;90 k2 x;111 k1 x;");
	ck_assert_str_eq(take(1), "<2;88 k* x;89 k* x;90 k* x;111 k* x;");
}
END_TEST

START_TEST(a_replay_is_told_that_the_number_is_not_known)
{
	load("k1", 50, 2);
	subscribe_after(0, "k1", 48);
	subscribe(1, "k1");
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, WIRE_MISSED_UNKNOWN);
	post("k1", 111);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "<?;111 k1 x;");
	ck_assert_str_eq(take(1), "<?;111 k1 x;");
	ck_assert(!hub_can_resume(hub, SLICE("k1"), 109, S));
}
END_TEST

START_TEST(a_replay_without_notices_ends_if_messages_are_missing)
{
	detach(0);
	attach(0, hub, 0, false);
	load("k1", 50, 2);
	subscribe_after(0, "k1", 60);
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 1);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "");
	ck_assert_int_eq(overtakens, 1);
}
END_TEST

START_TEST(a_replay_whose_ring_is_gone_is_told_what_is_missing)
{
	load("k1", 50, 2);
	load("k2", 60, 1);
	subscribe_after(0, "k1", 48);
	subscribe_after(0, "k2", 59);
	subscribe(1, "k1");
	hub_drop_history(hub, SLICE("k1"), S);
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 4);
	post("k1", 111);
	hub_start_replay(&subs[0]);
	ck_assert_str_eq(take(0), "<6;60 k2 x;111 k1 x;");
	ck_assert_str_eq(take(1), "<4;111 k1 x;");
	ck_assert(!hub_can_resume(hub, SLICE("k1"), 109, S));
	ck_assert(hub_can_resume(hub, SLICE("k1"), 110, S));
}
END_TEST

START_TEST(members_of_a_queue_group_do_not_know_which_one_misses_messages)
{
	load("k1", 50, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(hub_join_queue(&subs[i], QUEUE_BY_COMMAND, SLICE("g"), HUB_CHANNEL,
				     SLICE("k1")),
		    HUB_OK);
	subscribe(2, "k1");
	hub_follow_to(hub, 110);
	hub_miss_history(hub, SLICE("k1"), 110, 4);
	ck_assert_str_eq(take(0), "<?;");
	ck_assert_str_eq(take(1), "<?;");
	ck_assert_str_eq(take(2), "<4;");
}
END_TEST

START_TEST(replays_end_when_the_history_begins_anew)
{
	load("k1", 50, 5);
	load("k2", 90, 3);
	subscribe_after(0, "k1", 48);
	subscribe_after(0, "k2", 90);
	testing_psubscribe_after(&subs[1], SLICE("k*"), 47, S);
	hub_follow_from(hub, (struct hub_position){EPOCH + 1, 200});
	load("k1", 180, 2);
	post("k1", 204);
	post("k2", 205);
	for (int i = 0; i < 2; i++)
		hub_start_replay(&subs[i]);
	ck_assert_str_eq(take(0), "<2;204 k1 x;205 k2 x;");
	ck_assert_str_eq(take(1), "<6;204 k* x;205 k* x;");
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_follow_replay", setup, teardown,
	    (const TTest *[]){positions_are_judged_by_what_was_loaded,
		a_subscriber_reads_loaded_messages_and_then_new_ones,
		a_subscriber_goes_on_at_another_hub,
		a_channel_is_loaded_again_while_its_ring_was_read,
		a_channel_is_loaded_while_a_pattern_is_replayed,
		a_replay_of_too_many_channels_overflows,
		live_subscribers_are_told_how_many_messages_are_missing,
		a_replay_counts_missing_messages_once,
		a_replay_that_has_read_the_ring_is_told_what_is_missing,
		a_replay_is_told_that_the_number_is_not_known,
		a_replay_without_notices_ends_if_messages_are_missing,
		a_replay_whose_ring_is_gone_is_told_what_is_missing,
		members_of_a_queue_group_do_not_know_which_one_misses_messages,
		replays_end_when_the_history_begins_anew, NULL});
}
