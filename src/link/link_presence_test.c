#include "config.h"

#include "link/link.h"

#include <inttypes.h>
#include <string.h>

#include "base/testing.h"
#include "link/engine_presence.h"
#include "link/testing_conversation.h"
#include "link/testing_engine.h"
#include "link/testing_link.h"
#include "link/testing_presence.h"
#include "link/testing_wrong.h"
#include "server/upstream_presence.h"

/*
 * A link whose engine has the members of all nodes: what is told and asked, and what happens if one
 * reply is another one, if the input comes in two pieces, or if a send fails, at every place.
 */
#define OTHER "00000000000000ff" /* another node */

static struct testing_engine engine;
static struct testing_presence presence;
static struct rig rig;
static uint64_t randoms;
static bool ann_is_here;
static size_t replies;

/* What presence calls */

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return ++randoms;
}

static bool
on_keeps(void *arg, struct slice channel, struct slice event, uint32_t *size, uint64_t *ttl_ms)
{
	(void)arg;
	(void)channel;
	(void)event;
	(void)size;
	(void)ttl_ms;
	return false;
}

static void
on_told(void *arg, bool is_published)
{
	(void)arg;
	buffer_append_str(&rig.heard, is_published ? "told published\n" : "told\n");
}

static void
on_skipped(void *arg)
{
	(void)arg;
	buffer_append_str(&rig.heard, "skipped\n");
}

static void
on_registers(void *arg)
{
	(void)arg;
	buffer_append_str(&rig.heard, "registers\n");
}

static void
on_room(void *arg)
{
	(void)arg;
	buffer_append_str(&rig.heard, "room\n");
}

static struct upstream_presence_change
change_of(enum presence_event_kind kind)
{
	bool is_member = kind == PRESENCE_JOINED || kind == PRESENCE_LEFT;

	return (struct upstream_presence_change){.kind = kind,
	    .channel = SLICE("room"),
	    .member = is_member ? SLICE("ann") : SLICE(""),
	    .info = is_member ? SLICE("i") : SLICE(""),
	    .is_connected = kind == PRESENCE_JOINED,
	    .event_channel = SLICE("events"),
	    .event = kind == PRESENCE_JOINED     ? SLICE("join")
		     : kind == PRESENCE_LEFT     ? SLICE("leave")
		     : kind == PRESENCE_OCCUPIED ? SLICE("occupied")
						 : SLICE("vacated")};
}

static void
on_state(void *arg, struct slice channel, struct slice member, struct upstream_presence_change *out)
{
	(void)arg;
	ck_assert(slice_is(channel, "room"));
	if (ann_is_here)
		*out = change_of(member.len > 0 ? PRESENCE_JOINED : PRESENCE_OCCUPIED);
}

static void
on_expired(void *arg, struct slice channel, struct slice member, struct slice info,
    struct upstream_presence_change *out)
{
	(void)arg;
	*out = change_of(member.len > 0 ? PRESENCE_LEFT : PRESENCE_VACATED);
	out->channel = channel;
	out->member = member;
	out->info = info;
}

static void
on_answered(void *arg, uint64_t ticket, const struct upstream_presence_answer *answer)
{
	(void)arg;
	buffer_appendf(&rig.heard, "answer %" PRIu64 "%s %" PRIu64, ticket,
	    answer->is_refused ? " refused" : "", answer->cursor);
	for (size_t i = 0; i < answer->count; i++)
		buffer_appendf(&rig.heard, " %.*s=%.*s:%" PRIu64, (int)answer->items[i].name.len,
		    answer->items[i].name.ptr, (int)answer->items[i].info.len,
		    answer->items[i].info.ptr, answer->items[i].number);
	buffer_append_str(&rig.heard, "\n");
}

static const struct engine_presence_ops ops = {
    .random = on_random,
    .keeps = on_keeps,
    .told = on_told,
    .skipped = on_skipped,
    .registers = on_registers,
    .state = on_state,
    .expired = on_expired,
    .answered = on_answered,
    .has_room = on_room,
};

static void
setup(void)
{
	testing_engine_init(&engine, "another");
	presence = (struct testing_presence){.now_ms = 1000};
	randoms = 0;
	ann_is_here = false;
	rig_new_with_presence(&rig, &engine, &presence, &ops);
	(void)engine_presence_want(link_presence(rig.link));
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
assert_heard(const char *text)
{
	buffer_append(&rig.heard, "", 1);
	ck_assert_str_eq(rig.heard.ptr, text);
	buffer_clear(&rig.heard);
}

static void
go_up(void)
{
	(void)engine_presence_want(link_presence(rig.link));
	rig_go_up(&rig);
	buffer_clear(&rig.heard);
}

/* Without an answer yet. */
static void
tell(enum presence_event_kind kind)
{
	struct upstream_presence_change what = change_of(kind);

	ann_is_here = kind == PRESENCE_JOINED || kind == PRESENCE_OCCUPIED;
	if (engine_presence_has_room(link_presence(rig.link)))
		engine_presence_change(link_presence(rig.link), &what);
}

static uint64_t
ask(enum upstream_presence_asks asks)
{
	static const struct slice names[] = {{"room", 4}, {"none", 4}};
	struct upstream_presence_query query = {
	    .asks = asks, .channel = names[0], .channels = names, .count = 2, .bytes = 1000};

	if (link_state_of(rig.link) != LINK_UP)
		return 0;
	return engine_presence_ask(link_presence(rig.link), &query);
}

static bool
is_there(const char *name)
{
	return testing_presence_find(&presence, SLICE("room"), slice_of(name)) != NULL;
}

/* Another node, whose members are being removed. */
static void
leave_behind(void)
{
	static const char *const names[] = {"ben", "cat", "dan", ""};
	struct testing_presence_node *node = testing_presence_node(&presence, SLICE(""));

	ck_assert_ptr_nonnull(node);
	memcpy(node->id, OTHER, sizeof(OTHER));
	for (size_t i = 0; i < 4; i++) {
		struct testing_presence_member *member =
		    &presence.members[TESTING_PRESENCE_MEMBERS - 4 + i];

		*member = (struct testing_presence_member){.channel = "room", .count = 1};
		memcpy(member->name, names[i], strlen(names[i]) + 1);
		memcpy(member->at[0].node, OTHER, sizeof(OTHER));
	}
}

START_TEST(changes_are_told_when_the_link_is_up)
{
	ck_assert(!engine_presence_has_room(link_presence(rig.link)));
	rig_add(&rig, "events");
	rig_go_up(&rig);
	assert_heard("joined missed 0 events\nregisters\n");
	tell(PRESENCE_JOINED);
	tell(PRESENCE_OCCUPIED);
	rig_settle(&rig);
	assert_heard("message 0 events join\ntold published\n"
		     "message 0 events occupied\ntold published\n");
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	assert_heard("told\n");
	tell(PRESENCE_LEFT);
	tell(PRESENCE_VACATED);
	rig_settle(&rig);
	assert_heard("message 0 events leave\ntold published\n"
		     "message 0 events vacated\ntold published\n");
}
END_TEST

START_TEST(there_is_room_for_so_many_changes_without_an_answer)
{
	size_t count = 0;

	go_up();
	for (; engine_presence_has_room(link_presence(rig.link)); count++)
		tell(PRESENCE_JOINED);
	ck_assert_uint_eq(count, ENGINE_PRESENCE_CHANGES);
	rig_settle(&rig);
	ck_assert(engine_presence_has_room(link_presence(rig.link)));
}
END_TEST

START_TEST(a_change_without_an_answer_is_told_again_as_it_is_then)
{
	go_up();
	tell(PRESENCE_JOINED);
	rig_lose(&rig);
	rig_go_up(&rig);
	ck_assert(is_there("ann"));
	assert_heard("room\ntold published\n");
	tell(PRESENCE_LEFT);
	rig_lose(&rig);
	rig_go_up(&rig);
	ck_assert(!is_there("ann"));
	assert_heard("room\ntold published\n");
	tell(PRESENCE_LEFT);
	ann_is_here = true;
	rig_lose(&rig);
	rig_go_up(&rig);
	ck_assert(is_there("ann"));
	tell(PRESENCE_JOINED);
	ann_is_here = false;
	rig_lose(&rig);
	rig_go_up(&rig); /* the server tells it */
	ck_assert(is_there("ann"));
}
END_TEST

START_TEST(a_change_that_is_refused_for_a_while_is_told_later)
{
	go_up();
	presence.error = "MISCONF no";
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	assert_heard("refused MISCONF no\n");
	presence.error = NULL;
	rig_pass(&rig, 1000000);
	assert_heard("told published\n");
	ck_assert(is_there("ann"));
}
END_TEST

START_TEST(a_lease_that_is_refused_for_a_while_is_asked_for_again)
{
	presence.error = "OOM no";
	rig_go_up(&rig);
	assert_heard("refused OOM no\n");
	presence.error = NULL;
	rig_pass(&rig, 1000000);
	assert_heard("registers\n");
}
END_TEST

START_TEST(other_errors_end_the_connection)
{
	presence.error = "NOPERM no";
	rig_open(&rig);
	rig_settle(&rig);
	ck_assert_str_eq(rig.why, "the upstream cannot be an engine: NOPERM no");
	presence.error = NULL;
	go_up();
	presence.error = "ERR no";
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	ck_assert_str_eq(rig.why, "the upstream cannot be an engine: ERR no");
	presence.error = NULL;
	rig_go_up(&rig);
	ck_assert(is_there("ann"));
}
END_TEST

START_TEST(an_event_that_is_refused_is_logged_and_its_change_is_made)
{
	go_up();
	rig.wrong_at = rig.replies + 1;
	rig.wrong = SLICE("$9\r\nNOPERM no\r\n");
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	assert_heard("told\nrefused NOPERM no\n");
}
END_TEST

START_TEST(a_node_whose_lease_has_ended_tells_everything_under_another_id)
{
	for (int noticed_by_a_change = 0; noticed_by_a_change < 2; noticed_by_a_change++) {
		again();
		go_up();
		tell(PRESENCE_JOINED);
		rig_settle(&rig);
		ck_assert_str_eq(presence.nodes[0].id, "0000000000000001");
		presence.nodes[0].ends_ms = 0;
		buffer_clear(&rig.heard);
		if (noticed_by_a_change)
			tell(PRESENCE_JOINED);
		rig_pass(&rig, 2 * RIG_PROBE_US);
		assert_heard("registers\n");
		ck_assert_int_eq(rig.drops, 0);
		tell(PRESENCE_JOINED);
		rig_pass(&rig, 2 * RIG_PROBE_US);
		ck_assert_uint_eq(
		    testing_presence_find(&presence, SLICE("room"), SLICE("ann"))->count, 1);
		ck_assert_ptr_null(testing_presence_node(&presence, SLICE("0000000000000001")));
	}
}
END_TEST

START_TEST(an_engine_that_has_forgotten_the_node_is_told_everything)
{
	go_up();
	testing_presence_flush(&presence);
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	assert_heard("registers\n");
	testing_presence_flush(&presence);
	rig_pass(&rig, 2 * RIG_PROBE_US);
	assert_heard("registers\n");
	ck_assert_int_eq(rig.drops, 0);
}
END_TEST

START_TEST(what_a_node_had_that_has_ended_is_removed_in_portions)
{
	presence.expired_max = 2;
	rig_add(&rig, "events");
	go_up();
	leave_behind();
	rig_pass(&rig, RIG_PROBE_US);
	assert_heard("message 0 events leave\nmessage 0 events leave\nmessage 0 events leave\n"
		     "message 0 events vacated\n");
	ck_assert_ptr_null(testing_presence_node(&presence, slice_of(OTHER)));
}
END_TEST

START_TEST(leases_begin_anew_when_the_engine_was_away)
{
	leave_behind();
	testing_presence_node(&presence, slice_of(OTHER))->ends_ms = 500;
	go_up();
	rig_pass(&rig, 2 * RIG_PROBE_US);
	ck_assert(is_there("ben"));
	presence.now_ms += 3 * RIG_PROBE_US / 1000;
	rig_pass(&rig, 2 * RIG_PROBE_US);
	ck_assert(is_there("ben")); /* there was no other lease either */
	for (int i = 0; i < 2; i++) {
		presence.now_ms += 2 * RIG_PROBE_US / 1000;
		rig_pass(&rig, 2 * RIG_PROBE_US);
	}
	ck_assert(!is_there("ben"));
}
END_TEST

START_TEST(queries_are_answered_in_their_order)
{
	go_up();
	tell(PRESENCE_JOINED);
	ck_assert_uint_eq(ask(UPSTREAM_PRESENCE_MEMBERS), 1);
	ck_assert_uint_eq(ask(UPSTREAM_PRESENCE_COUNT), 2);
	ck_assert_uint_eq(ask(UPSTREAM_PRESENCE_CHANNELS), 3);
	rig_settle(&rig);
	assert_heard("told published\nanswer 1 0 ann=i:1\nanswer 2 0 =:1 =:0\n"
		     "answer 3 0 room=:1\n");
	rig.wrong_at = rig.replies + 1;
	rig.wrong = SLICE("-NOPERM no\r\n");
	(void)ask(UPSTREAM_PRESENCE_MEMBERS);
	rig_settle(&rig);
	assert_heard("answer 4 refused 0\nrefused NOPERM no\n");
}
END_TEST

START_TEST(only_so_many_answers_are_awaited)
{
	size_t count = 0;

	go_up();
	while (ask(UPSTREAM_PRESENCE_CHANNELS) > 0)
		count++;
	ck_assert_uint_eq(count, 8);
	rig_settle(&rig);
	ck_assert_uint_eq(ask(UPSTREAM_PRESENCE_CHANNELS), 9);
}
END_TEST

START_TEST(a_node_that_ends_shortens_its_lease_and_tells_nothing_more)
{
	go_up();
	ck_assert_uint_eq(presence.nodes[0].ends_ms, 1000 + 3 * RIG_PROBE_US / 1000);
	tell(PRESENCE_JOINED);
	engine_presence_end(link_presence(rig.link), 7000);
	rig_settle(&rig);
	ck_assert_uint_eq(presence.nodes[0].ends_ms, 8000);
	ck_assert(!engine_presence_has_room(link_presence(rig.link)));
	rig_pass(&rig, 3 * RIG_PROBE_US);
	ck_assert_uint_eq(presence.nodes[0].ends_ms, 8000);
	rig_lose(&rig);
	go_up();
	ck_assert(!engine_presence_has_room(link_presence(rig.link)));
}
END_TEST

/* Wrong replies */

static void
converse(void)
{
	rig_add(&rig, "events");
	rig_open(&rig);
	rig_settle(&rig);
	tell(PRESENCE_JOINED);
	tell(PRESENCE_OCCUPIED);
	rig_settle(&rig);
	leave_behind();
	rig_pass(&rig, RIG_PROBE_US);
	for (int asks = 0; asks < 3; asks++)
		(void)ask((enum upstream_presence_asks)asks);
	rig_settle(&rig);
	tell(PRESENCE_LEFT);
	tell(PRESENCE_JOINED);
	rig_pass(&rig, RIG_PROBE_US);
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
	(void)engine_presence_want(link_presence(rig.link));
	rig_go_up(&rig);
	rig_pass(&rig, 3 * RIG_PROBE_US);
	ck_assert_int_eq(link_state_of(rig.link), LINK_UP);
	buffer_clear(&rig.heard);
	tell(PRESENCE_JOINED);
	rig_settle(&rig);
	ck_assert_ptr_nonnull(memmem(rig.heard.ptr, rig.heard.len, "told", 4));
	(void)ask(UPSTREAM_PRESENCE_COUNT);
	rig_settle(&rig);
	buffer_append(&rig.heard, "", 1);
	ck_assert_msg(strstr(rig.heard.ptr, " 0 =:1 =:0\n") != NULL, "%s", rig.heard.ptr);
}

static bool
goes_on(size_t at, enum wrong wrong)
{
	(void)at;
	switch (rig.wrong_is) {
	case RIG_HELLO:
		return wrong == MAP;
	case RIG_AHEAD:
	case RIG_JOINED:
		return wrong == ERROR;
	case RIG_PROBE_SENT:
		return wrong == NUMBER;
	case RIG_MESSAGE:
		return wrong == NOTHING;
	case RIG_ASKED:
	case RIG_LEASED:
		return wrong == ERROR;
	case RIG_CHANGED:
		return wrong == ERROR || wrong == TEXT;
	default:
		return false;
	}
}

static struct rig_conversation conversation = {
    .rig = &rig,
    .again = again,
    .converse = converse,
    .recovers = assert_recovers,
    .goes_on = goes_on,
    .replies = &replies,
    .replies_min = 40,
    .stride = 9,
    .more = wrong_presence_replies,
};

START_TEST(a_wrong_reply_at_any_place_ends_the_connection_with_a_reason)
{
	conversation.more_count = wrong_presence_replies_count;
	rig_replace_each_reply(&conversation);
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
	return testing_main("link/link_presence", setup, teardown,
	    (const TTest *[]){changes_are_told_when_the_link_is_up,
		there_is_room_for_so_many_changes_without_an_answer,
		a_change_without_an_answer_is_told_again_as_it_is_then,
		a_change_that_is_refused_for_a_while_is_told_later,
		a_lease_that_is_refused_for_a_while_is_asked_for_again,
		other_errors_end_the_connection,
		an_event_that_is_refused_is_logged_and_its_change_is_made,
		a_node_whose_lease_has_ended_tells_everything_under_another_id,
		an_engine_that_has_forgotten_the_node_is_told_everything,
		what_a_node_had_that_has_ended_is_removed_in_portions,
		leases_begin_anew_when_the_engine_was_away, queries_are_answered_in_their_order,
		only_so_many_answers_are_awaited,
		a_node_that_ends_shortens_its_lease_and_tells_nothing_more,
		a_wrong_reply_at_any_place_ends_the_connection_with_a_reason,
		a_failed_send_at_any_place_ends_the_connection, NULL});
}
