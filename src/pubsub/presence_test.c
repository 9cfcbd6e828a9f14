#include "config.h"

#include "pubsub/presence.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"

#define SECOND ((uint64_t)1000000)
#define MANY 100000

static struct presence *presence;
static struct presence_limits limits;
static struct presence_options options; /* of all channels */
static struct presence_owner a, b;
static struct buffer told; /* the events so far, as one line each */

static void
read_options(void *arg, struct slice channel, struct presence_options *out)
{
	(void)arg;
	(void)channel;
	*out = options;
}

static void
setup(void)
{
	struct presence_config config = {.limits = &limits, .options = read_options};

	limits = (struct presence_limits){
	    .members = MANY, .joins = MANY, .memory_bytes = (size_t)1 << 30};
	options = (struct presence_options){.mode = PRESENCE_MEMBERS,
	    .announces = PRESENCE_ANNOUNCES_OCCUPIED | PRESENCE_ANNOUNCES_JOINS,
	    .leave_delay_us = 10 * SECOND,
	    .vacate_delay_us = 3 * SECOND};
	presence = presence_new(&config);
	presence_owner_init(&a);
	presence_owner_init(&b);
}

static void
teardown(void)
{
	ck_assert(presence_detach(presence, &a, UINT32_MAX, SIZE_MAX));
	ck_assert(presence_detach(presence, &b, UINT32_MAX, SIZE_MAX));
	presence_free(presence);
	buffer_release(&told);
}

static enum presence_result
join(struct presence_owner *owner, const char *channel, const char *member, const char *info,
    uint64_t now_us)
{
	return presence_join(presence, owner, slice_of(channel), slice_of(member),
	    info != NULL ? slice_of(info) : (struct slice){NULL, 0}, now_us);
}

static enum presence_result
touch(const char *member, uint64_t lease_us, uint64_t now_us)
{
	return presence_touch(
	    presence, SLICE("room"), slice_of(member), lease_us, (struct slice){NULL, 0}, now_us);
}

static bool
leave(struct presence_owner *owner, const char *member, uint64_t now_us)
{
	return presence_leave(presence, owner, SLICE("room"), slice_of(member), now_us);
}

static size_t
count(void)
{
	return presence_count(presence, SLICE("room"));
}

static void
tell(const struct presence_event *event)
{
	static const char *const names[] = {[PRESENCE_NO_EVENT] = "dropped",
	    [PRESENCE_JOINED] = "join",
	    [PRESENCE_LEFT] = "leave",
	    [PRESENCE_OCCUPIED] = "occupied",
	    [PRESENCE_VACATED] = "vacated"};

	buffer_appendf(&told, "%s", names[event->kind]);
	if (event->kind != PRESENCE_NO_EVENT) {
		buffer_append_str(&told, " ");
		buffer_append_slice(&told, event->channel);
	}
	if (event->member.len > 0) {
		buffer_append_str(&told, " ");
		buffer_append_slice(&told, event->member);
		buffer_append_str(&told, "=");
		buffer_append_slice(&told, event->info);
	}
	buffer_append_str(&told, "\n");
}

/* What has happened up to now_us, and was not told yet. */
static const char *
events(uint64_t now_us)
{
	struct presence_event event;

	buffer_clear(&told);
	ck_assert(!presence_turn(presence, now_us, 1000));
	while (presence_next_event(presence, now_us, &event))
		tell(&event);
	buffer_append(&told, "", 1);
	return told.ptr;
}

START_TEST(the_first_member_occupies_the_channel_and_then_joins)
{
	ck_assert_int_eq(join(&a, "room", "ann", "{}", 1), PRESENCE_NEW);
	ck_assert_str_eq(events(1), "occupied room\njoin room ann={}\n");
	ck_assert_int_eq(join(&b, "room", "ben", NULL, 1), PRESENCE_NEW);
	ck_assert_str_eq(events(1), "join room ben=\n");
	ck_assert_uint_eq(count(), 2);
}
END_TEST

START_TEST(a_member_with_two_connections_joins_once_and_leaves_with_the_last)
{
	ck_assert_int_eq(join(&a, "room", "ann", NULL, 1), PRESENCE_NEW);
	ck_assert_int_eq(join(&b, "room", "ann", NULL, 1), PRESENCE_PRESENT);
	ck_assert_str_eq(events(1), "occupied room\njoin room ann=\n");
	ck_assert(leave(&a, "ann", SECOND));
	ck_assert_str_eq(events(30 * SECOND), "");
	ck_assert(leave(&b, "ann", 30 * SECOND));
	ck_assert_str_eq(events(40 * SECOND - 1), "");
	ck_assert_uint_eq(count(), 1);
	ck_assert_str_eq(events(40 * SECOND), "leave room ann=\n");
	ck_assert_uint_eq(count(), 0);
	ck_assert_str_eq(events(43 * SECOND - 1), "");
	ck_assert_str_eq(events(43 * SECOND), "vacated room\n");
	ck_assert_uint_eq(presence_figures(presence).bytes, 0);
}
END_TEST

START_TEST(joining_again_by_the_same_connection_counts_once)
{
	ck_assert_int_eq(join(&a, "room", "ann", "1", 1), PRESENCE_NEW);
	ck_assert_int_eq(join(&a, "room", "ann", "2", 1), PRESENCE_PRESENT);
	ck_assert_uint_eq(a.count, 1);
	ck_assert_str_eq(events(1), "occupied room\njoin room ann=2\n");
	ck_assert(leave(&a, "ann", 1));
	ck_assert(!leave(&a, "ann", 1));
}
END_TEST

START_TEST(a_member_that_returns_in_time_has_not_left)
{
	(void)join(&a, "room", "ann", NULL, 1);
	(void)events(1);
	for (uint64_t now_us = SECOND; now_us < 100 * SECOND; now_us += 9 * SECOND) {
		ck_assert(leave(&a, "ann", now_us));
		ck_assert_str_eq(events(now_us + 9 * SECOND), "");
		ck_assert_int_eq(
		    join(&a, "room", "ann", NULL, now_us + 9 * SECOND), PRESENCE_PRESENT);
	}
	ck_assert_str_eq(events(1000 * SECOND), "");
}
END_TEST

START_TEST(a_channel_that_gets_a_member_in_time_is_not_vacated)
{
	(void)join(&a, "room", "ann", NULL, 1);
	(void)events(1);
	ck_assert(leave(&a, "ann", 1));
	ck_assert_str_eq(events(10 * SECOND + 1), "leave room ann=\n");
	(void)join(&b, "room", "ben", NULL, 12 * SECOND);
	ck_assert_str_eq(events(14 * SECOND), "join room ben=\n");
}
END_TEST

START_TEST(without_delays_a_member_leaves_at_once)
{
	options.leave_delay_us = options.vacate_delay_us = 0;
	(void)join(&a, "room", "ann", NULL, 1);
	(void)events(1);
	ck_assert(leave(&a, "ann", 1));
	ck_assert_uint_eq(count(), 0);
	ck_assert_str_eq(events(1), "leave room ann=\nvacated room\n");
}
END_TEST

START_TEST(an_event_that_was_not_given_out_is_cancelled_by_its_opposite)
{
	options.leave_delay_us = options.vacate_delay_us = 0;
	(void)join(&a, "room", "ann", NULL, 1);
	ck_assert(leave(&a, "ann", 1));
	ck_assert_str_eq(events(1), "");
	ck_assert_uint_eq(presence_figures(presence).bytes, 0);
	(void)join(&a, "room", "ann", NULL, 1);
	(void)events(1);
	ck_assert(leave(&a, "ann", 2));
	ck_assert_int_eq(join(&a, "room", "ann", NULL, 2), PRESENCE_NEW);
	ck_assert_str_eq(events(2), "");
}
END_TEST

START_TEST(a_lease_ends_when_it_is_not_renewed)
{
	ck_assert_int_eq(touch("ann", 5 * SECOND, 0), PRESENCE_NEW);
	ck_assert_int_eq(touch("ann", 5 * SECOND, 4 * SECOND), PRESENCE_PRESENT);
	ck_assert_str_eq(events(9 * SECOND - 1), "occupied room\njoin room ann=\n");
	ck_assert_uint_eq(presence_due_us(presence, 0), 9 * SECOND);
	ck_assert_str_eq(events(9 * SECOND), "leave room ann=\n");
}
END_TEST

START_TEST(a_lease_can_be_shortened_and_ended)
{
	(void)touch("ann", 100 * SECOND, 0);
	ck_assert_int_eq(touch("ann", 5 * SECOND, 0), PRESENCE_PRESENT);
	(void)touch("ben", 100 * SECOND, 0);
	(void)events(5 * SECOND);
	ck_assert_uint_eq(count(), 1);
	ck_assert_int_eq(touch("ben", 0, 5 * SECOND), PRESENCE_PRESENT);
	ck_assert_uint_eq(count(), 0);
	ck_assert_int_eq(touch("nobody", 0, 5 * SECOND), PRESENCE_PRESENT);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(a_lease_and_a_connection_each_keep_a_member)
{
	(void)join(&a, "room", "ann", NULL, 0);
	(void)touch("ann", 20 * SECOND, 0);
	(void)events(0);
	ck_assert(leave(&a, "ann", SECOND));
	ck_assert_str_eq(events(20 * SECOND - 1), "");
	(void)join(&a, "room", "ann", NULL, 20 * SECOND - 1);
	ck_assert_str_eq(events(100 * SECOND), "");
	(void)touch("ann", 1, 100 * SECOND);
	ck_assert(leave(&a, "ann", 100 * SECOND));
	ck_assert_str_eq(events(110 * SECOND - 1), "");
	ck_assert_str_eq(events(110 * SECOND), "leave room ann=\n");
}
END_TEST

START_TEST(a_connection_that_ends_leaves_in_slices)
{
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		ck_assert_int_eq(join(&a, "room", name, NULL, 0), PRESENCE_NEW);
	}
	ck_assert(!presence_detach(presence, &a, 0, 999));
	ck_assert_uint_eq(a.count, 1);
	ck_assert(presence_detach(presence, &a, 0, 1));
	ck_assert_uint_eq(count(), 1000);
	ck_assert(presence_turn(presence, 10 * SECOND, 400));
	ck_assert_uint_eq(count(), 600);
	ck_assert(!presence_turn(presence, 10 * SECOND, 1000));
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(no_second_has_more_events_than_the_rate)
{
	struct presence_event event;
	size_t given = 0;
	char name[16];

	options.announces = PRESENCE_ANNOUNCES_JOINS;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		ck_assert_int_eq(join(&a, "room", name, NULL, 0), PRESENCE_NEW);
	}
	for (uint64_t now_us = 0; now_us < SECOND; now_us += 100)
		while (presence_next_event(presence, now_us, &event))
			given++;
	ck_assert_uint_le(given, PRESENCE_EVENTS_A_SECOND);
	ck_assert_uint_gt(given, PRESENCE_EVENTS_A_SECOND - 200);
	ck_assert_uint_eq(presence_figures(presence).waiting, MANY - given);
	ck_assert_uint_gt(presence_due_us(presence, SECOND - 100), SECOND - 100);
}
END_TEST

START_TEST(a_channel_whose_presence_is_only_counted_tells_no_names)
{
	options.mode = PRESENCE_COUNT;
	ck_assert_int_eq(join(&a, "room", "ann", "secret", 0), PRESENCE_NEW);
	ck_assert_str_eq(events(0), "occupied room\n");
	ck_assert_uint_eq(count(), 1);
	ck_assert_int_eq(presence_mode_of(presence, SLICE("room")), PRESENCE_COUNT);
	ck_assert_int_eq(presence_mode_of(presence, SLICE("hall")), PRESENCE_COUNT);
}
END_TEST

START_TEST(only_the_events_asked_for_are_given_out)
{
	options.announces = 0;
	(void)join(&a, "quiet", "ann", NULL, 0);
	options.announces = PRESENCE_ANNOUNCES_OCCUPIED;
	(void)join(&a, "seen", "ann", NULL, 0);
	options.announces = PRESENCE_ANNOUNCES_JOINS;
	(void)join(&a, "heard", "ann", NULL, 0);
	ck_assert_str_eq(events(0), "occupied seen\njoin heard ann=\n");
	ck_assert(presence_detach(presence, &a, 0, SIZE_MAX));
	ck_assert_str_eq(events(20 * SECOND), "leave heard ann=\n");
	ck_assert_str_eq(events(30 * SECOND), "vacated seen\n");
}
END_TEST

START_TEST(an_event_that_is_not_wanted_any_more_is_dropped)
{
	(void)join(&a, "room", "ann", NULL, 0);
	options.announces = 0;
	presence_reconfigured(presence);
	ck_assert_str_eq(events(0), "dropped\ndropped\n");
	options.announces = PRESENCE_ANNOUNCES_JOINS;
	presence_reconfigured(presence);
	(void)join(&a, "room", "ben", NULL, 0);
	ck_assert(presence_detach(presence, &a, 0, SIZE_MAX));
	ck_assert_str_eq(events(0), "join room ben=\n");
	ck_assert_str_eq(events(10 * SECOND), "leave room ben=\n");
}
END_TEST

START_TEST(members_leave_when_presence_is_switched_off)
{
	(void)join(&a, "room", "ann", NULL, 0);
	(void)join(&b, "room", "ann", NULL, 0);
	(void)touch("ben", SECOND, 0);
	(void)events(0);
	options.mode = PRESENCE_NO;
	options.vacate_delay_us = 0;
	presence_reconfigured(presence);
	ck_assert_int_eq(join(&a, "room", "eve", NULL, 0), PRESENCE_OFF);
	ck_assert_int_eq(touch("ann", 0, 0), PRESENCE_OFF);
	ck_assert_uint_eq(presence_due_us(presence, 0), 0);
	ck_assert(presence_turn(presence, 0, 2));
	ck_assert_str_eq(events(0), "leave room ben=\nleave room ann=\nvacated room\n");
	ck_assert_uint_eq(a.count + b.count, 0);
	ck_assert_uint_eq(presence_figures(presence).bytes, 0);
}
END_TEST

START_TEST(a_join_after_the_change_stays)
{
	(void)join(&a, "room", "ann", NULL, 0);
	(void)join(&b, "room", "ann", NULL, 0);
	options.mode = PRESENCE_NO;
	presence_reconfigured(presence);
	ck_assert(presence_turn(presence, 0, 1));
	options.mode = PRESENCE_MEMBERS;
	presence_reconfigured(presence);
	ck_assert_int_eq(join(&a, "room", "ann", NULL, 0), PRESENCE_PRESENT);
	(void)events(0);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(each_bound_refuses_and_changes_nothing)
{
	size_t bytes;

	limits.members = 1;
	ck_assert_int_eq(join(&a, "room", "ann", NULL, 0), PRESENCE_NEW);
	bytes = presence_figures(presence).bytes;
	ck_assert_int_eq(join(&a, "room", "ben", NULL, 0), PRESENCE_TOO_MANY_MEMBERS);
	ck_assert_int_eq(touch("ben", SECOND, 0), PRESENCE_TOO_MANY_MEMBERS);
	limits.joins = 1;
	ck_assert_int_eq(join(&a, "hall", "ann", NULL, 0), PRESENCE_TOO_MANY_JOINS);
	limits.memory_bytes = bytes;
	ck_assert_int_eq(join(&b, "hall", "ann", NULL, 0), PRESENCE_NO_MEMORY);
	ck_assert_int_eq(join(&b, "room", "ann", NULL, 0), PRESENCE_NO_MEMORY);
	ck_assert_int_eq(join(&a, "room", "ann", "x", 0), PRESENCE_NO_MEMORY);
	ck_assert_int_eq(join(&a, "room", "ann", NULL, 0), PRESENCE_PRESENT);
	ck_assert_int_eq(touch("ann", SECOND, 0), PRESENCE_PRESENT);
	ck_assert_uint_eq(presence_figures(presence).bytes, bytes);
}
END_TEST

static void
append_member(void *arg, const struct presence_member *member)
{
	buffer_append_slice(arg, member->name);
	buffer_append_str(arg, "=");
	buffer_append_slice(arg, member->info);
	buffer_appendf(arg, " %u\n", (unsigned)member->connections);
}

/* The members of the channel, as one line each. */
static const char *
listed(void)
{
	uint64_t cursor = 0;

	buffer_clear(&told);
	do
		cursor = presence_scan(presence, SLICE("room"), cursor, append_member, &told);
	while (cursor != 0);
	buffer_append(&told, "", 1);
	return told.ptr;
}

START_TEST(a_listing_has_info_and_connections)
{
	ck_assert_str_eq(listed(), "");
	(void)join(&a, "room", "ann", "old", 0);
	(void)join(&b, "room", "ann", NULL, 0);
	ck_assert_str_eq(listed(), "ann=old 2\n");
	ck_assert(leave(&a, "ann", 0) && leave(&b, "ann", 0));
	ck_assert_str_eq(listed(), "ann=old 0\n");
}
END_TEST

START_TEST(a_member_that_comes_again_has_no_old_info)
{
	options.leave_delay_us = 0;
	(void)join(&a, "room", "ann", "old", 0);
	(void)events(0);
	ck_assert(leave(&a, "ann", 0));
	ck_assert_str_eq(listed(), "");
	(void)join(&b, "room", "ann", NULL, 0);
	ck_assert_str_eq(listed(), "ann= 1\n");
}
END_TEST

START_TEST(channels_are_walked_in_order_while_they_change)
{
	struct slice name;
	size_t members;

	(void)join(&a, "b", "ann", NULL, 0);
	(void)join(&a, "", "ann", NULL, 0);
	(void)join(&a, "c", "ann", NULL, 0);
	(void)join(&b, "c", "ben", NULL, 0);
	ck_assert(presence_next_channel(presence, (struct slice){NULL, 0}, &name, &members));
	ck_assert(slice_is(name, "") && members == 1);
	options.leave_delay_us = 0;
	presence_reconfigured(presence);
	ck_assert(presence_leave(presence, &a, SLICE(""), SLICE("ann"), 0));
	ck_assert(presence_next_channel(presence, SLICE(""), &name, &members));
	ck_assert(slice_is(name, "b"));
	ck_assert(presence_next_channel(presence, SLICE("b"), &name, &members));
	ck_assert(slice_is(name, "c") && members == 2);
	ck_assert(!presence_next_channel(presence, SLICE("c"), &name, &members));
}
END_TEST

START_TEST(the_joins_of_an_owner_are_visited_in_turn)
{
	struct slice channel;

	ck_assert(!presence_first_join(&a, &channel));
	presence_rotate_joins(&a);
	(void)join(&a, "one", "ann", NULL, 0);
	(void)join(&a, "two", "ann", NULL, 0);
	ck_assert(presence_first_join(&a, &channel) && slice_is(channel, "one"));
	presence_rotate_joins(&a);
	ck_assert(presence_first_join(&a, &channel) && slice_is(channel, "two"));
	presence_rotate_joins(&a);
	ck_assert(presence_first_join(&a, &channel) && slice_is(channel, "one"));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/presence", setup, teardown,
	    (const TTest *[]){the_first_member_occupies_the_channel_and_then_joins,
		a_member_with_two_connections_joins_once_and_leaves_with_the_last,
		joining_again_by_the_same_connection_counts_once,
		a_member_that_returns_in_time_has_not_left,
		a_channel_that_gets_a_member_in_time_is_not_vacated,
		without_delays_a_member_leaves_at_once,
		an_event_that_was_not_given_out_is_cancelled_by_its_opposite,
		a_lease_ends_when_it_is_not_renewed, a_lease_can_be_shortened_and_ended,
		a_lease_and_a_connection_each_keep_a_member,
		a_connection_that_ends_leaves_in_slices, no_second_has_more_events_than_the_rate,
		a_channel_whose_presence_is_only_counted_tells_no_names,
		only_the_events_asked_for_are_given_out,
		an_event_that_is_not_wanted_any_more_is_dropped,
		members_leave_when_presence_is_switched_off, a_join_after_the_change_stays,
		each_bound_refuses_and_changes_nothing, a_listing_has_info_and_connections,
		a_member_that_comes_again_has_no_old_info,
		channels_are_walked_in_order_while_they_change,
		the_joins_of_an_owner_are_visited_in_turn, NULL});
}
