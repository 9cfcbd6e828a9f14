#include "config.h"

#include "pubsub/presence.h"

#include <check.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"

/* presence_tell_all(): what somebody knows who is told every change. */

#define SECOND ((uint64_t)1000000)
#define CHANNELS 3
#define MEMBERS 6
#define OWNERS 3
#define STEPS 60000

static struct presence *presence;
static struct presence_limits limits;
static struct presence_options options; /* of all channels */
static struct presence_owner owners[OWNERS];
static struct buffer told;
static uint64_t seed;

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
	    .members = 1000, .joins = 1000, .memory_bytes = (size_t)1 << 30};
	options = (struct presence_options){
	    .mode = PRESENCE_MEMBERS, .leave_delay_us = 10 * SECOND, .vacate_delay_us = 3 * SECOND};
	presence = presence_new(&config);
	for (int o = 0; o < OWNERS; o++)
		presence_owner_init(&owners[o]);
	presence_tell_all(presence);
}

static void
teardown(void)
{
	for (int o = 0; o < OWNERS; o++)
		ck_assert(presence_detach(presence, &owners[o], UINT64_MAX / 4, SIZE_MAX));
	presence_free(presence);
	buffer_release(&told);
}

static enum presence_result
join(int owner, const char *member, const char *info, uint64_t now_us)
{
	return presence_join(
	    presence, &owners[owner], SLICE("room"), slice_of(member), slice_of(info), now_us);
}

static void
leave(int owner, const char *member, uint64_t now_us)
{
	ck_assert(
	    presence_leave(presence, &owners[owner], SLICE("room"), slice_of(member), now_us));
}

static void
note(const struct presence_event *event)
{
	static const char *const names[] = {[PRESENCE_JOINED] = "join",
	    [PRESENCE_LEFT] = "leave",
	    [PRESENCE_OCCUPIED] = "occupied",
	    [PRESENCE_VACATED] = "vacated"};

	if (event->kind == PRESENCE_NO_EVENT)
		return;
	buffer_append_str(&told, names[event->kind]);
	if (event->member.len > 0)
		buffer_appendf(&told, " %.*s=%.*s%s", (int)event->member.len, event->member.ptr,
		    (int)event->info.len, event->info.ptr, event->is_connected ? "*" : "");
	buffer_append_str(&told, "\n");
}

/* What was told since the last call. */
static const char *
events(uint64_t now_us)
{
	struct presence_event event;

	buffer_clear(&told);
	while (presence_turn(presence, now_us, 1000))
		continue;
	while (presence_next_event(presence, now_us, &event))
		note(&event);
	buffer_append(&told, "", 1);
	return told.ptr;
}

START_TEST(every_change_is_told_whatever_is_announced)
{
	ck_assert_int_eq(join(0, "ann", "x", 1), PRESENCE_NEW);
	ck_assert_str_eq(events(1), "join ann=x*\noccupied\n");
	leave(0, "ann", SECOND);
	ck_assert_str_eq(events(SECOND), "join ann=x\n");
	ck_assert_str_eq(events(11 * SECOND), "leave ann=x\n");
	ck_assert_str_eq(events(14 * SECOND), "vacated\n");
	ck_assert_uint_eq(presence_figures(presence).bytes, 0);
}
END_TEST

START_TEST(members_that_are_only_counted_are_told)
{
	options.mode = PRESENCE_COUNT;
	ck_assert_int_eq(join(0, "ann", "x", 1), PRESENCE_NEW);
	ck_assert_str_eq(events(1), "join ann=*\noccupied\n");
}
END_TEST

START_TEST(a_member_is_told_again_only_if_it_differs)
{
	(void)!join(0, "ann", "x", 1);
	(void)events(1);
	(void)!join(1, "ann", "x", 1);
	ck_assert_str_eq(events(1), "");
	(void)!join(1, "ann", "y", 1);
	ck_assert_str_eq(events(1), "join ann=y*\n");
	leave(0, "ann", 1);
	ck_assert_str_eq(events(1), "");
	leave(1, "ann", 1);
	(void)!join(1, "ann", "y", 2);
	ck_assert_str_eq(events(2), "");
}
END_TEST

START_TEST(a_member_that_was_never_told_is_forgotten)
{
	options.leave_delay_us = options.vacate_delay_us = 0;
	(void)!join(0, "ann", "x", 1);
	leave(0, "ann", 1);
	ck_assert_str_eq(events(1), "");
	ck_assert_uint_eq(presence_figures(presence).bytes, 0);
}
END_TEST

START_TEST(a_channel_is_occupied_again_if_it_was_not_vacated)
{
	options.leave_delay_us = 0;
	(void)!join(0, "ann", "", 1);
	(void)events(1);
	leave(0, "ann", 1);
	ck_assert_str_eq(events(1), "leave ann=\n");
	(void)!join(0, "ben", "", SECOND);
	ck_assert_str_eq(events(SECOND), "join ben=*\noccupied\n");
	(void)!join(0, "ann", "", SECOND);
	ck_assert_str_eq(events(SECOND), "join ann=*\n");
}
END_TEST

/* The member of which the event waited first leaves before that. */
START_TEST(a_channel_is_occupied_behind_a_member_and_vacated_behind_the_last)
{
	options.leave_delay_us = options.vacate_delay_us = 0;
	(void)!join(0, "ann", "", 1);
	(void)!join(0, "ben", "", 1);
	leave(0, "ann", 1);
	ck_assert_str_eq(events(1), "join ben=*\noccupied\n");
	(void)!join(0, "ann", "", 1);
	leave(0, "ben", 1);
	leave(0, "ann", 1);
	ck_assert_str_eq(events(1), "leave ben=\nvacated\n");
}
END_TEST

START_TEST(all_is_told_again)
{
	(void)!join(0, "ann", "x", 1);
	(void)!join(0, "ben", "", 1);
	leave(0, "ben", 1);
	(void)events(1);
	presence_retell(presence);
	ck_assert_uint_eq(presence_turn_due_us(presence, 1), 1);
	(void)events(1);
	ck_assert_ptr_nonnull(strstr(told.ptr, "join ann=x*\n"));
	ck_assert_ptr_nonnull(strstr(told.ptr, "join ben=\n"));
	ck_assert_str_eq(strstr(told.ptr, "occupied"), "occupied\n");
	ck_assert_str_eq(events(1), "");
}
END_TEST

START_TEST(events_that_wait_make_no_turn_due)
{
	(void)!join(0, "ann", "", 5);
	while (presence_turn(presence, 5, 1000))
		continue;
	ck_assert_uint_eq(presence_due_us(presence, 5), 5);
	ck_assert_uint_eq(presence_turn_due_us(presence, 5), UINT64_MAX);
}
END_TEST

/* What was told, as the upstream keeps it for this node. */
static struct {
	bool is_occupied;
	struct {
		bool is_there, is_connected;
		char info;
	} members[MEMBERS];
} known[CHANNELS];

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static struct slice
name_of(int i)
{
	static const char names[] = "abcdef";

	return (struct slice){&names[i], 1};
}

static size_t
known_count(int c)
{
	size_t count = 0;

	for (int m = 0; m < MEMBERS; m++)
		count += known[c].members[m].is_there;
	return count;
}

/* Another node vacates a channel without members at once. */
static void
learn(const struct presence_event *event)
{
	int c, m;

	if (event->kind == PRESENCE_NO_EVENT)
		return;
	c = event->channel.ptr[0] - 'a';
	switch (event->kind) {
	case PRESENCE_OCCUPIED:
		known[c].is_occupied = known_count(c) > 0;
		break;
	case PRESENCE_VACATED:
		ck_assert_uint_eq(known_count(c), 0);
		known[c].is_occupied = false;
		break;
	default:
		m = event->member.ptr[0] - 'a';
		known[c].members[m].is_there = event->kind == PRESENCE_JOINED;
		known[c].members[m].is_connected = event->is_connected;
		known[c].members[m].info = event->info.len > 0 ? event->info.ptr[0] : '\0';
		break;
	}
}

static void
check_known(void)
{
	struct presence_member member;

	for (int c = 0; c < CHANNELS; c++) {
		ck_assert(!known[c].is_occupied || presence_is_occupied(presence, name_of(c)));
		ck_assert(known[c].is_occupied || presence_count(presence, name_of(c)) == 0);
		for (int m = 0; m < MEMBERS; m++) {
			bool is_there = presence_look(presence, name_of(c), name_of(m), &member);

			ck_assert_int_eq(known[c].members[m].is_there, is_there);
			if (!is_there)
				continue;
			ck_assert_int_eq(known[c].members[m].is_connected, member.connections > 0);
			ck_assert_int_eq(known[c].members[m].info,
			    member.info.len > 0 ? member.info.ptr[0] : '\0');
		}
	}
}

static void
step(uint64_t now_us)
{
	struct slice channel = name_of((int)below(CHANNELS)), member = name_of((int)below(MEMBERS));
	struct presence_owner *owner = &owners[below(OWNERS)];
	char info = (char)('x' + below(2));
	struct slice with = {below(3) == 0 ? &info : NULL, 0};

	with.len = with.ptr != NULL;
	if (below(5) == 0)
		(void)!presence_touch(presence, channel, member, below(50), with, now_us);
	else if (below(2) == 0)
		(void)!presence_join(presence, owner, channel, member, with, now_us);
	else
		(void)presence_leave(presence, owner, channel, member, now_us);
}

START_TEST(who_is_told_all_knows_all)
{
	uint64_t now_us = 1, checked = 0;
	struct presence_event event;

	options.leave_delay_us = 20;
	options.vacate_delay_us = 10;
	seed = 7;
	for (int i = 0; i < STEPS; i++) {
		step(now_us += below(20));
		if (below(300) == 0) {
			memset(known, 0, sizeof(known));
			presence_retell(presence);
		}
		if (below(2) == 0)
			(void)!presence_turn(presence, now_us, below(4));
		now_us += 200; /* of the rate */
		for (uint64_t n = below(4); n > 0 && presence_next_event(presence, now_us, &event);
		     n--)
			learn(&event);
		if (below(40) != 0)
			continue;
		while (presence_turn(presence, now_us, 100))
			continue;
		for (now_us += SECOND; presence_next_event(presence, now_us, &event); now_us += 200)
			learn(&event);
		while (presence_turn(presence, now_us, 100))
			continue;
		for (; presence_next_event(presence, now_us, &event); now_us += 200)
			learn(&event);
		if (presence_figures(presence).waiting == 0) {
			check_known();
			checked++;
		}
	}
	ck_assert_uint_gt(checked, STEPS / 80);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/presence_tell", setup, teardown,
	    (const TTest *[]){every_change_is_told_whatever_is_announced,
		members_that_are_only_counted_are_told, a_member_is_told_again_only_if_it_differs,
		a_member_that_was_never_told_is_forgotten,
		a_channel_is_occupied_again_if_it_was_not_vacated,
		a_channel_is_occupied_behind_a_member_and_vacated_behind_the_last,
		all_is_told_again, events_that_wait_make_no_turn_due, who_is_told_all_knows_all,
		NULL});
}
