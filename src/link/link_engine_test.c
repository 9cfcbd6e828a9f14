#include "config.h"

#include "link/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "link/engine.h"
#include "link/testing_conversation.h"
#include "link/testing_engine.h"
#include "link/testing_link.h"
#include "link/testing_wrong.h"
#include "pubsub/history.h"
#include "pubsub/hub_follow.h"

/*
 * A link whose upstream is an engine: one conversation, and what happens to it if one reply is
 * another one, if the input comes in two pieces, or if a send fails, at every place. Channels that
 * begin with 'k' are kept.
 */
static struct testing_engine engine;
static struct rig rig;
static uint64_t newest_seq;
/* In the conversation: replies of which the loss is noticed before its end, but for some. */
static size_t replies, unnoticed_from, unnoticed_to;

static bool
on_keeps(void *arg, struct slice channel, struct engine_limits *limits)
{
	(void)arg;
	*limits = (struct engine_limits){100, 1 << 20};
	return channel.len > 0 && channel.ptr[0] == 'k';
}

static bool
on_has_history(void *arg, struct slice channel)
{
	struct engine_limits limits;

	return on_keeps(arg, channel, &limits);
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return 0x123456789abcdef;
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
	ck_assert_uint_ge(position.seq, newest_seq);
	newest_seq = position.seq;
	buffer_append_str(&rig.heard, "begins\n");
}

static void
on_moved(void *arg, uint64_t seq)
{
	(void)arg;
	ck_assert_uint_gt(seq, newest_seq);
	newest_seq = seq;
}

static void
hear(const char *what, struct slice channel)
{
	buffer_appendf(&rig.heard, "%s ", what);
	buffer_append_escaped(&rig.heard, channel);
}

static void
on_loaded(void *arg, const struct hub_loaded *loaded)
{
	(void)arg;
	hear("loaded", loaded->channel);
	for (size_t i = 0; i < loaded->count; i++) {
		buffer_append_str(&rig.heard, " ");
		buffer_append_escaped(&rig.heard, loaded->messages[i].payload);
	}
	buffer_append_str(&rig.heard, "\n");
}

static void
on_message(void *arg, struct slice channel, struct slice payload, uint64_t seq, bool is_kept)
{
	(void)arg;
	ck_assert_uint_gt(seq, newest_seq);
	hear(is_kept ? "kept" : "not kept", channel);
	buffer_append_str(&rig.heard, " ");
	buffer_append_escaped(&rig.heard, payload);
	buffer_append_str(&rig.heard, "\n");
}

static void
on_deleted(void *arg, struct slice channel, uint64_t seq)
{
	(void)arg;
	ck_assert_uint_gt(seq, newest_seq);
	hear("deleted", channel);
	buffer_append_str(&rig.heard, "\n");
}

static void
on_missed(void *arg, struct slice channel, uint64_t seq, uint64_t count)
{
	(void)arg;
	ck_assert_uint_le(seq, newest_seq);
	hear("missed", channel);
	buffer_appendf(&rig.heard, " %" PRIu64 "\n", count);
}

static void
on_forgotten(void *arg, struct slice channel)
{
	(void)arg;
	hear("forgotten", channel);
	buffer_append_str(&rig.heard, "\n");
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	(void)arg;
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_le(holes[i].first, holes[i].last);
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
    .message = on_message,
    .deleted = on_deleted,
    .missed = on_missed,
    .forgotten = on_forgotten,
};

static void
setup(void)
{
	testing_engine_init(&engine, "another");
	newest_seq = 0;
	rig_new_of_engine(&rig, &engine, &ops);
}

static void
teardown(void)
{
	rig_free(&rig);
}

static void
again(void)
{
	teardown();
	setup();
}

static void
publish(const char *channel, const char *payload)
{
	struct engine_message message = {
	    .channel = slice_of(channel), .payload = slice_of(payload), .size = 3, .ttl_ms = 1000};

	if (link_state_of(rig.link) != LINK_UP)
		return;
	if (channel[0] == 'k')
		link_publish_kept(rig.link, &message);
	else
		link_publish(rig.link, HUB_CHANNEL, message.channel, message.payload);
	rig_settle(&rig);
}

static void
assert_heard(const char *text)
{
	buffer_append(&rig.heard, "", 1);
	ck_assert_str_eq(rig.heard.ptr, text);
	buffer_clear(&rig.heard);
}

START_TEST(kept_messages_are_loaded_and_come)
{
	rig_go_up(&rig);
	publish("ka", "1");
	publish("ka", "2");
	ck_assert(rig.kept.epoch == rig.engine->epoch && rig.kept.seq == rig.engine->seq);
	assert_heard("begins\n");
	rig_add(&rig, "ka");
	rig_add(&rig, "plain");
	rig_settle(&rig);
	assert_heard("loaded ka 1 2\njoined missed 0 ka\njoined missed 0 plain\n");
	publish("ka", "3");
	publish("plain", "4");
	assert_heard("kept ka 3\nmessage 0 plain 4\n");
	link_delete_kept(rig.link, SLICE("ka"), 1000);
	link_delete_kept(rig.link, SLICE("kz"), 1000); /* nothing is kept */
	rig_settle(&rig);
	publish("ka", "5");
	assert_heard("deleted ka\nkept ka 5\n");
	ck_assert_int_eq(engine_state_of(link_engine(rig.link)), ENGINE_LIVE);
	ck_assert(engine_has(link_engine(rig.link), SLICE("ka")));
	ck_assert(!engine_has(link_engine(rig.link), SLICE("plain")));
	rig_pass(&rig, 3 * RIG_PROBE_US);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

/* As a second node does; nobody is connected. */
static void
publish_elsewhere(const char *channel, const char *payload)
{
	static const char sha[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
	const struct slice args[] = {SLICE("EVALSHA"), slice_of(sha), SLICE("3"), SLICE("e"),
	    SLICE("c"), SLICE("h"), slice_of(channel), slice_of(payload), SLICE("3"),
	    SLICE("1000")};
	struct buffer reply = {0};

	ck_assert(testing_engine_execute(&engine, args, sizeof(args) / sizeof(args[0]), &reply));
	ck_assert(reply.ptr[0] == '$');
	buffer_release(&reply);
}

START_TEST(messages_that_were_missed_are_delivered_after_a_loss)
{
	rig_add(&rig, "ka");
	rig_add(&rig, "kb");
	rig_go_up(&rig);
	publish("ka", "1");
	publish("kb", "2");
	rig_lose(&rig);
	buffer_clear(&rig.heard);
	publish_elsewhere("kb", "3");
	for (const char *payload = "4\0005\0006\0007\000"; payload[0] != '\0'; payload += 2)
		publish_elsewhere("ka", payload);
	publish_elsewhere("kb", "8");
	rig_go_up(&rig);
	assert_heard("joined missed 0 ka\njoined missed 0 kb\nkept kb 3\nmissed ka 1\n"
		     "kept ka 5\nkept ka 6\nkept ka 7\nkept kb 8\n");
	publish("ka", "9");
	assert_heard("kept ka 9\n");
}
END_TEST

START_TEST(nobody_publishes_for_a_while_when_another_server_took_over)
{
	rig_add(&rig, "ka");
	rig_go_up(&rig);
	publish("ka", "1");
	rig_lose(&rig);
	snprintf(engine.seen_run, sizeof(engine.seen_run), "before");
	rig_open(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	ck_assert_int_eq(engine_state_of(link_engine(rig.link)), ENGINE_LIVE);
	rig_pass(&rig, ENGINE_QUIET_US - 500000);
	ck_assert_int_eq(link_state_of(rig.link), LINK_JOINING);
	rig_pass(&rig, 500000);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	engine.now_ms += ENGINE_QUIET_US / 1000 - 1; /* for other nodes it is over soon */
	rig_lose(&rig);
	rig_open(&rig);
	rig_settle(&rig);
	rig_pass(&rig, 1000);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

START_TEST(a_message_that_looks_like_a_frame_is_forged)
{
	rig_add(&rig, "plain");
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("k*"));
	rig_go_up(&rig);
	publish("ka", "1");
	buffer_clear(&rig.heard);
	for (int i = 0; i < 3; i++) {
		link_publish(rig.link, HUB_CHANNEL, SLICE("plain"),
		    SLICE("\0ff1 0123456789abcdef 1-9007199254740991 7 x"));
		rig_settle(&rig);
	}
	assert_heard("");
	publish("ka", "2");
	assert_heard("not kept ka 2\n");
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
}
END_TEST

/* Nobody but a client with access to the server itself can know the secret. */
START_TEST(a_frame_with_a_bad_position_ends_the_connection)
{
	rig_add(&rig, "plain");
	rig_go_up(&rig);
	link_publish(rig.link, HUB_CHANNEL, SLICE("plain"),
	    SLICE("\0ff1 0123456789abcdef0123456789abcdef 1-0 7 x"));
	rig_settle(&rig);
	ck_assert_str_eq(rig.why, "the upstream sent a kept message without a valid position");
	rig_go_up(&rig);
}
END_TEST

START_TEST(a_message_that_is_lost_on_the_way_ends_the_connection)
{
	for (int checks = 0; checks < 2; checks++) {
		again();
		rig_add(&rig, "ka");
		rig_go_up(&rig);
		publish("ka", "1");
		rig.wrong_at = rig.replies + 1;
		rig.wrong = SLICE("");
		publish("ka", "2");
		ck_assert_int_eq(rig.wrong_is, RIG_MESSAGE);
		ck_assert_int_eq(rig.drops, 0);
		if (checks)
			rig_pass(&rig, 2 * RIG_PROBE_US);
		else
			publish("ka", "3");
		ck_assert_int_eq(rig.drops, 1);
		ck_assert_str_eq(rig.why, "a message of a channel is missing");
		buffer_clear(&rig.heard);
		rig_go_up(&rig);
		assert_heard(checks ? "joined missed 0 ka\nkept ka 2\n"
				    : "joined missed 0 ka\nkept ka 2\nkept ka 3\n");
	}
}
END_TEST

/* Wrong replies */

static void
converse(void)
{
	rig_add(&rig, "ka");
	rig_add(&rig, "plain");
	rig_add(&rig, "kb");
	interest_add(link_interest(rig.link), HUB_PATTERN, SLICE("ka*"));
	rig_open(&rig);
	rig_settle(&rig);
	publish("ka", "1");
	publish("kb", "2");
	publish("plain", "3");
	unnoticed_from = rig.replies;
	rig_pass(&rig, 3 * RIG_PROBE_US);
	unnoticed_to = rig.replies;
	rig_lose(&rig); /* then it catches up */
	rig_open(&rig);
	rig_settle(&rig);
	publish("ka", "4");
	rig_add(&rig, "kc");
	rig_remove(&rig, "kb");
	rig_settle(&rig);
	rig_pass(&rig, 2 * RIG_LINGER_US);
	publish("kc", "5");
	publish("ka", "6");
	publish("plain", "7");
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
	ck_assert_int_eq(rig_name(&rig, "ka"), INTEREST_HELD);
	ck_assert_int_eq(rig_name(&rig, "kb"), INTEREST_ABSENT);
	ck_assert(engine_has(link_engine(rig.link), SLICE("kc")));
	buffer_clear(&rig.heard);
	publish("kc", "again");
	assert_heard("kept kc again\n");
}

/* Besides wrong_replies[]. */
static const struct wrong_reply of_engine[] = {
    {ERROR, SLICE("-OOM command not allowed when used memory > 'maxmemory'.\r\n")},
    {ERROR, SLICE("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")},
    {DROPS, SLICE("-NOSCRIPT No matching script. Please use EVAL.\r\n")},
    {DROPS, SLICE("-CLUSTERDOWN no\r\n")},
    {DROPS, SLICE("-READONLY You can't write against a read only replica.\r\n")},
    {DROPS, SLICE("-BUSY no\r\n")},
    {TEXT, SLICE("=39\r\ntxt:# Server\r\nrun_id:0123456789012345678\r\n")},
    {DROPS, SLICE("$3\r\n0-1\r\n")},
    {DROPS, SLICE("*1\r\n*0\r\n")},
    {DROPS, SLICE("*2\r\n$1\r\n1\r\n$1\r\n1\r\n")},
    {DROPS, SLICE("*3\r\n$1\r\n0\r\n$1\r\n0\r\n:1\r\n")},
    {DROPS, SLICE("*3\r\n$1\r\n1\r\n$1\r\n1\r\n:1\r\n")},
    {DROPS, SLICE("*3\r\n$9\r\n999999999\r\n$1\r\n0\r\n:1\r\n")},
    {DROPS, SLICE("*3\r\n*1\r\n:1\r\n*1\r\n:1\r\n*1\r\n:1\r\n")},
    {DROPS, SLICE("*6\r\n$2\r\nka\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n$5\r\n0 0 0\r\n")},
    {NOTHING, SLICE(">3\r\n$7\r\nmessage\r\n$2\r\nka\r\n$5\r\n\0ff1 \r\n")},
    {DROPS, SLICE(">3\r\n$7\r\nmessage\r\n$2\r\nka\r\n:1\r\n")},
    {DROPS, SLICE("*99999999999999\r\n")},
};

static bool
goes_on(size_t at, enum wrong wrong)
{
	if (at > unnoticed_from && at <= unnoticed_to)
		return true;
	switch (rig.wrong_is) {
	case RIG_HELLO:
		return wrong == MAP;
	case RIG_JOINED:
		return wrong == ERROR;
	case RIG_AHEAD:
		return wrong == ERROR || wrong == JOINS;
	case RIG_PROBE_SENT:
		return wrong == NUMBER;
	case RIG_MESSAGE:
		return wrong == NOTHING;
	case RIG_SENT:
	case RIG_KEPT:
		return wrong == ERROR || wrong == NUMBER;
	default:
		return false;
	}
}

static const struct rig_conversation conversation = {
    .rig = &rig,
    .again = again,
    .converse = converse,
    .recovers = assert_recovers,
    .goes_on = goes_on,
    .replies = &replies,
    .replies_min = 60,
    .stride = 9,
    .more = of_engine,
    .more_count = sizeof(of_engine) / sizeof(of_engine[0]),
};

START_TEST(a_wrong_reply_at_any_place_ends_the_connection_with_a_reason)
{
	rig_replace_each_reply(&conversation);
}
END_TEST

START_TEST(an_upstream_that_cannot_be_an_engine_is_refused_with_its_error)
{
	static const struct {
		const char *refuses, *error, *why;
	} cases[] = {
	    {"LOAD", "-NOPERM no SCRIPT", "the upstream cannot be an engine: NOPERM no SCRIPT"},
	    {"fanfare:channels", "-WRONGTYPE no hash",
		"the upstream cannot be an engine: WRONGTYPE no hash"},
	    {"fanfare:history:ka", "-NOPERM no key",
		"the upstream cannot be an engine: NOPERM no key"},
	    {"fanfare:engine", "-OOM no room", "the upstream cannot be an engine: OOM no room"},
	    {"fanfare:engine", "-NOSCRIPT no", "the upstream does not serve: NOSCRIPT no"},
	    {"fanfare:engine", "-READONLY no", "the upstream does not serve: READONLY no"},
	    {"fanfare:engine", "-CLUSTERDOWN no", "the upstream does not serve: CLUSTERDOWN no"},
	    {"INFO", "-NOPERM no",
		"the upstream's reply to INFO has no run_id; its user needs the command"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		again();
		rig.refuses = cases[i].refuses;
		rig.refused = cases[i].error + 1;
		rig_add(&rig, "ka");
		rig_open(&rig);
		rig_settle(&rig);
		ck_assert_int_eq(rig.drops, 1);
		ck_assert_str_eq(rig.why, cases[i].why);
		rig.refuses = rig.refused = NULL;
		rig_go_up(&rig);
	}
}
END_TEST

START_TEST(a_refused_message_is_told_and_the_connection_stays)
{
	rig_add(&rig, "ka");
	rig_go_up(&rig);
	buffer_clear(&rig.heard);
	rig.refuses = "1";
	rig.refused = "OOM no room";
	publish("ka", "1");
	assert_heard("refused OOM no room\n");
	ck_assert_uint_eq(link_figures(rig.link).refused, 1);
	rig.refused = NULL;
	publish("ka", "2");
	assert_heard("kept ka 2\n");
}
END_TEST

START_TEST(the_input_may_come_in_any_pieces)
{
	struct buffer whole = {0};
	size_t bytes;

	converse();
	bytes = rig.given;
	buffer_append_slice(&whole, buffer_slice(&rig.heard));
	for (size_t at = 1; at < bytes; at += (size_t)testing_stride(1, 50)) {
		again();
		rig.split_at = at;
		converse();
		ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
		ck_assert(slice_eq(buffer_slice(&rig.heard), buffer_slice(&whole)));
	}
	buffer_release(&whole);
}
END_TEST

START_TEST(a_failed_send_at_any_place_ends_the_connection)
{
	rig_fail_each_send(&conversation);
}
END_TEST

int
main(void)
{
	return testing_main("link/link_engine", setup, teardown,
	    (const TTest *[]){nobody_publishes_for_a_while_when_another_server_took_over,
		kept_messages_are_loaded_and_come,
		messages_that_were_missed_are_delivered_after_a_loss,
		a_message_that_looks_like_a_frame_is_forged,
		a_frame_with_a_bad_position_ends_the_connection,
		a_message_that_is_lost_on_the_way_ends_the_connection,
		a_wrong_reply_at_any_place_ends_the_connection_with_a_reason,
		an_upstream_that_cannot_be_an_engine_is_refused_with_its_error,
		a_refused_message_is_told_and_the_connection_stays,
		the_input_may_come_in_any_pieces, a_failed_send_at_any_place_ends_the_connection,
		NULL});
}
