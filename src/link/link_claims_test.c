#include "config.h"

#include "link/link.h"

#include <string.h>

#include "base/testing.h"
#include "link/engine.h"
#include "link/engine_claims.h"
#include "link/testing_engine.h"
#include "link/testing_link.h"
#include "link/testing_wrong.h"
#include "pubsub/hub_follow.h"

/* A link whose upstream is an engine, at a node with a member of a queue group of all channels. */
static struct testing_engine engine;
static struct rig rig;
static struct engine_claims *claims;
static uint64_t newest_seq;
static struct buffer got; /* payloads that were delivered to the group */

static bool
on_keeps(void *arg, struct slice channel, struct engine_limits *limits)
{
	(void)arg;
	*limits = (struct engine_limits){100, 1 << 20};
	return channel.len > 0;
}

static bool
on_has_history(void *arg, struct slice channel)
{
	(void)arg;
	return channel.len > 0;
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return 1;
}

static uint64_t
on_newest_seq(void *arg)
{
	(void)arg;
	return newest_seq;
}

static void
on_begins(void *arg, struct hub_position position)
{
	(void)arg;
	newest_seq = position.seq;
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	(void)arg;
	(void)holes;
	(void)count;
}

static void
on_moved(void *arg, uint64_t seq)
{
	(void)arg;
	newest_seq = seq;
}

static void
on_loaded(void *arg, const struct hub_loaded *loaded)
{
	(void)arg;
	ck_assert(slice_is(loaded->channel, "ka"));
}

static struct queue_claims_group
group_of(uint32_t members)
{
	return (struct queue_claims_group){.id = 1,
	    .group = SLICE("g"),
	    .name = SLICE("ka"),
	    .kind = HUB_CHANNEL,
	    .members = members};
}

static void
on_kept(void *arg, struct slice channel, struct slice payload, uint64_t seq, bool is_kept)
{
	struct queue_claims_group group = group_of(1);
	struct queue_claims_message message = {.channel = channel, .payload = payload};

	(void)arg;
	ck_assert(is_kept);
	ck_assert(
	    engine_claims_add(claims, &group, &message, (struct hub_position){1, seq}, 1, rig.now));
}

static void
on_forgotten(void *arg, struct slice channel)
{
	(void)arg;
	(void)channel;
}

static void
on_lacking(void *arg, struct slice channel, uint64_t seq, uint64_t count)
{
	on_forgotten(arg, channel);
	ck_assert(seq > 0 && count > 0);
}

static const struct engine_ops ops = {
    .holes = on_holes,
    .keeps = on_keeps,
    .has_history = on_has_history,
    .random = on_random,
    .newest_seq = on_newest_seq,
    .begins = on_begins,
    .moved = on_moved,
    .loaded = on_loaded,
    .message = on_kept,
    .missed = on_lacking,
    .forgotten = on_forgotten,
};

static size_t
on_room(void *arg, uint64_t group, size_t len)
{
	(void)arg;
	ck_assert(group == 1 && len > 0);
	return 100;
}

static bool
on_deliver(void *arg, uint64_t group, const struct queue_claims_message *message)
{
	(void)arg;
	ck_assert_uint_eq(group, 1);
	buffer_append_slice(&got, message->payload);
	buffer_append_str(&got, " ");
	return true;
}

static void
on_missed(void *arg, uint64_t group)
{
	(void)arg;
	ck_assert_uint_eq(group, 1);
	buffer_append_str(&got, "missed ");
}

static const struct engine_claims_ops claims_ops = {on_room, on_deliver, on_missed};

static void
setup(void)
{
	struct queue_claims_group group = group_of(1);

	testing_engine_init(&engine, "another");
	newest_seq = 0;
	claims = engine_claims_new(&claims_ops, NULL, "node");
	rig_new_of_engine(&rig, &engine, &ops);
	rig.config.claims = claims;
	engine_claims_set(claims, &group);
	rig_add(&rig, "ka");
}

static void
teardown(void)
{
	rig_free(&rig);
	engine_claims_free(claims);
	buffer_release(&got);
}

static void
publish(const char *payload)
{
	struct engine_message message = {
	    .channel = SLICE("ka"), .payload = slice_of(payload), .size = 20, .ttl_ms = 1000};

	if (link_state_of(rig.link) != LINK_UP)
		return;
	link_publish_kept(rig.link, &message);
	rig_settle(&rig);
	engine_claims_work(claims);
}

static void
assert_got(const char *text)
{
	buffer_append(&got, "", 1);
	ck_assert_str_eq(got.ptr, text);
	buffer_clear(&got);
}

START_TEST(messages_are_claimed_and_delivered_once)
{
	rig_go_up(&rig);
	publish("1");
	publish("2");
	assert_got("1 2 ");
	rig_lose(&rig);
	rig_go_up(&rig);
	publish("3");
	assert_got("3 ");
}
END_TEST

START_TEST(the_link_is_to_be_turned_when_claims_are_due)
{
	struct queue_claims_group group = group_of(2);

	rig_go_up(&rig);
	rig_settle(&rig);
	ck_assert_uint_gt(rig_turn(&rig), 1000000);
	ck_assert_uint_le(rig_turn(&rig), ENGINE_CLAIMS_HEARD_US);
	engine_claims_set(claims, &group);
	rig_settle(&rig);
	ck_assert_uint_eq(engine.claims.claimers[0].members, 2);
}
END_TEST

/* Returns the number of replies. */
static size_t
converse(void)
{
	rig_open(&rig);
	rig_settle(&rig);
	publish("1");
	publish("2");
	publish("3");
	rig_pass(&rig, 2 * ENGINE_CLAIMS_HEARD_US);
	engine_claims_work(claims);
	return rig.replies;
}

static bool
is_for_claims(size_t at)
{
	teardown();
	setup();
	rig.wrong_at = at;
	rig.wrong = SLICE("");
	converse();
	return rig.wrong_is == RIG_CLAIMED;
}

START_TEST(a_wrong_reply_or_a_lasting_error_ends_the_connection)
{
	size_t last = converse(), tried = 0;

	for (size_t at = 1; at <= last; at++) {
		if (!is_for_claims(at))
			continue;
		for (size_t i = 0; i < wrong_replies_count; i++) {
			bool passes = slice_begins_with(wrong_replies[i].bytes, "-OOM ");

			if (wrong_replies[i].what == NOTHING || wrong_replies[i].what == JOINS)
				continue; /* the next reply is taken for it */
			teardown();
			setup();
			rig.wrong_at = at;
			rig.wrong = wrong_replies[i].bytes;
			converse();
			ck_assert_int_eq(rig.wrong_is, RIG_CLAIMED);
			ck_assert_msg(rig.drops == !passes, "reply %zu, wrong one %zu", at, i);
			ck_assert(passes || strlen(rig.why) > 20);
			if (rig.drops == 0)
				continue;
			rig.wrong_at = 0;
			rig_go_up(&rig);
			engine_claims_work(claims);
			rig_pass(&rig, 2 * ENGINE_CLAIMS_RETRY_US);
			publish("4");
			ck_assert_uint_eq(engine_claims_figures(claims).waiting, 0);
			tried++;
		}
	}
	ck_assert_uint_gt(tried, 50);
}
END_TEST

START_TEST(an_error_that_passes_is_told_and_the_message_is_claimed_later)
{
	rig_go_up(&rig);
	publish("1");
	rig.refuses = "fanfare:claimers:0:1:g:ka";
	rig.refused = "OOM no room here";
	buffer_clear(&rig.heard);
	publish("2");
	assert_got("1 ");
	ck_assert_ptr_nonnull(
	    memmem(rig.heard.ptr, rig.heard.len, "refused OOM no room here\n", 25));
	rig.refuses = rig.refused = NULL;
	rig_pass(&rig, 2 * ENGINE_CLAIMS_RETRY_US);
	engine_claims_work(claims);
	assert_got("2 ");
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

int
main(void)
{
	return testing_main("link/link_claims", setup, teardown,
	    (const TTest *[]){messages_are_claimed_and_delivered_once,
		the_link_is_to_be_turned_when_claims_are_due,
		a_wrong_reply_or_a_lasting_error_ends_the_connection,
		an_error_that_passes_is_told_and_the_message_is_claimed_later, NULL});
}
