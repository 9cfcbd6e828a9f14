#include "config.h"

#include "pubsub/presence_image.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "pubsub/presence.h"

/* The presence of a process passes to its successor. */

#define SECOND ((uint64_t)1000000)

enum { OWNERS = 3, CHANNELS = 4, NAMES = 5, LINES_MAX = 256 };

static struct presence *before, *after;
static struct presence_limits limits = {
    .members = 1000, .joins = 1000, .memory_bytes = (size_t)1 << 30};
static struct presence_options options; /* of all channels */
static struct presence_owner owners[OWNERS], elsewhere;
static struct buffer channel_name;
static uint64_t now_us;

static void
read_options(void *arg, struct slice channel, struct presence_options *out)
{
	(void)arg;
	(void)channel;
	*out = options;
}

static struct presence *
new_presence(void)
{
	return presence_new(&(struct presence_config){.limits = &limits, .options = read_options});
}

static void
setup(void)
{
	options = (struct presence_options){.mode = PRESENCE_MEMBERS,
	    .announces = PRESENCE_ANNOUNCES_OCCUPIED | PRESENCE_ANNOUNCES_JOINS,
	    .leave_delay_us = 10 * SECOND,
	    .vacate_delay_us = 3 * SECOND};
	before = new_presence();
	after = new_presence();
	for (int i = 0; i < OWNERS; i++)
		presence_owner_init(&owners[i]);
	presence_owner_init(&elsewhere);
	now_us = SECOND;
}

static void
end_connections(void)
{
	for (int i = 0; i < OWNERS; i++)
		ck_assert(presence_detach(before, &owners[i], now_us, SIZE_MAX));
	ck_assert(presence_detach(after, &elsewhere, now_us, SIZE_MAX));
}

static void
teardown(void)
{
	end_connections();
	presence_free(before);
	presence_free(after);
	buffer_release(&channel_name);
}

static bool
add_channel(void *arg, const struct presence_image_channel *channel)
{
	(void)arg;
	buffer_clear(&channel_name);
	buffer_append_slice(&channel_name, channel->name);
	ck_assert(presence_image_add_channel(after, channel));
	ck_assert(!presence_image_add_channel(after, channel));
	return true;
}

static bool
add_member(void *arg, const struct presence_image_member *member)
{
	struct slice channel = buffer_slice(&channel_name);

	(void)arg;
	ck_assert(presence_image_add_member(after, &elsewhere, channel, member, now_us));
	return true;
}

static void
pass_on(void)
{
	const struct presence_image_sink sink = {add_channel, add_member, NULL};

	ck_assert(presence_image_write(before, &sink));
	presence_image_end(after);
}

/* Lines, to be sorted. */
struct lines {
	char *line[LINES_MAX];
	int count;
};

static void
add_line(struct lines *lines, char *line)
{
	ck_assert_int_lt(lines->count, LINES_MAX);
	lines->line[lines->count++] = line;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
assert_equal(struct lines *a, struct lines *b)
{
	qsort(a->line, (size_t)a->count, sizeof(a->line[0]), compare);
	qsort(b->line, (size_t)b->count, sizeof(b->line[0]), compare);
	for (int i = 0; i < a->count || i < b->count; i++)
		ck_assert_str_eq(i < a->count ? a->line[i] : "", i < b->count ? b->line[i] : "");
	for (int i = 0; i < a->count; i++) {
		xfree(a->line[i]);
		xfree(b->line[i]);
	}
	a->count = b->count = 0;
}

static void
take_events(struct presence *p, struct lines *lines, int most)
{
	struct presence_event e;

	while (most-- > 0 && presence_next_event(p, now_us, &e))
		if (e.kind != PRESENCE_NO_EVENT)
			add_line(lines, xasprintf("%d %.*s %.*s %.*s", (int)e.kind,
					    (int)e.channel.len, e.channel.ptr, (int)e.member.len,
					    e.member.ptr, (int)e.info.len, e.info.ptr));
}

static void
list_member(void *arg, const struct presence_member *member)
{
	add_line(arg, xasprintf("%.*s %.*s %s", (int)member->name.len, member->name.ptr,
			  (int)member->info.len, member->info.ptr,
			  member->connections > 0 ? "connected" : "timed"));
}

static void
list(struct presence *p, struct slice channel, struct lines *lines)
{
	uint64_t cursor = 0;

	do
		cursor = presence_scan(p, channel, cursor, list_member, lines);
	while (cursor != 0);
	ck_assert_int_eq((int)presence_count(p, channel), lines->count);
}

static struct slice
name_of(char kind, uint64_t number)
{
	static char text[2][2];
	char *at = text[kind == 'c'];

	at[0] = kind;
	at[1] = (char)('0' + number);
	return (struct slice){at, 2};
}

static void
assert_same_members(void)
{
	static struct lines a, b;

	for (uint64_t i = 0; i < CHANNELS; i++) {
		list(before, name_of('c', i), &a);
		list(after, name_of('c', i), &b);
		assert_equal(&a, &b);
	}
}

static void
happen(uint64_t random)
{
	struct slice channel = name_of('c', random % CHANNELS),
		     member = name_of('m', random / 8 % NAMES);
	struct slice info = (struct slice){"info", random / 64 % 5};
	struct presence_owner *owner = &owners[random / 512 % OWNERS];
	static struct lines unheard;

	switch (random >> 20 & 7) {
	case 0:
	case 1:
		(void)!presence_join(before, owner, channel, member, info, now_us);
		break;
	case 2:
		(void)presence_leave(before, owner, channel, member, now_us);
		break;
	case 3:
		(void)!presence_touch(
		    before, channel, member, (random >> 24 & 15) * SECOND, info, now_us);
		break;
	case 4:
		(void)!presence_detach(before, owner, now_us, random >> 24 & 3);
		break;
	case 5:
		now_us += (random >> 24 & 7) * SECOND;
		while (presence_turn(before, now_us, 100))
			;
		break;
	default:
		take_events(before, &unheard, (int)(random >> 24 & 7));
		while (unheard.count > 0)
			xfree(unheard.line[--unheard.count]);
		break;
	}
}

static void
pass_time(void)
{
	static struct lines a, b;

	for (int step = 0; step < 60; step++, now_us += SECOND / 2) {
		(void)!presence_turn(before, now_us, SIZE_MAX);
		(void)!presence_turn(after, now_us, SIZE_MAX);
		take_events(before, &a, INT32_MAX);
		take_events(after, &b, INT32_MAX);
		assert_equal(&a, &b);
		assert_same_members();
	}
}

/* The same events come at the same times as without the upgrade. */
START_TEST(whatever_happened_before_the_successor_goes_on_in_the_same_way)
{
	uint64_t seed = 7;

	for (int trial = 0; trial < testing_steps(3000); trial++) {
		uint64_t count = testing_random(&seed) % 60;

		while (count-- > 0)
			happen(testing_random(&seed));
		pass_on();
		assert_same_members();
		if (testing_random(&seed) % 2 == 0)
			pass_time();
		end_connections();
		pass_time();
		ck_assert_uint_eq(presence_figures(after).joins, 0);
		presence_free(before);
		presence_free(after);
		before = new_presence();
		after = new_presence();
	}
}
END_TEST

START_TEST(a_returning_member_has_no_event)
{
	struct presence_event event;
	struct presence_owner owner;

	ck_assert_int_eq(
	    presence_join(before, &owners[0], SLICE("c"), SLICE("ann"), SLICE("x"), now_us),
	    PRESENCE_NEW);
	while (presence_next_event(before, now_us, &event))
		;
	pass_on();
	presence_owner_init(&owner);
	ck_assert_int_eq(
	    presence_join(after, &owner, SLICE("c"), SLICE("ann"), (struct slice){NULL, 0}, now_us),
	    PRESENCE_PRESENT);
	ck_assert(presence_leave(after, &elsewhere, SLICE("c"), SLICE("ann"), now_us));
	now_us += 60 * SECOND;
	(void)!presence_turn(after, now_us, SIZE_MAX);
	ck_assert(!presence_next_event(after, now_us, &event));
	ck_assert_uint_eq(presence_count(after, SLICE("c")), 1);
	ck_assert(presence_detach(after, &owner, now_us, SIZE_MAX));
}
END_TEST

START_TEST(members_leave_if_the_successor_has_no_presence_and_have_no_info_if_it_counts)
{
	static struct lines lines;
	struct presence_event event;

	(void)!presence_join(before, &owners[0], SLICE("c"), SLICE("ann"), SLICE("x"), now_us);
	(void)!presence_touch(before, SLICE("d"), SLICE("ben"), SECOND, SLICE("y"), now_us);
	while (presence_next_event(before, now_us, &event))
		;
	options.mode = PRESENCE_COUNT;
	pass_on();
	list(after, SLICE("c"), &lines);
	ck_assert_str_eq(lines.line[0], "ann  connected");
	xfree(lines.line[--lines.count]);
	options.mode = PRESENCE_NO;
	presence_reconfigured(after);
	while (presence_turn(after, now_us, 1))
		;
	ck_assert_uint_eq(presence_figures(after).members, 0);
	take_events(after, &lines, INT32_MAX);
	ck_assert_int_eq(lines.count, 2); /* LEFT; VACATED has its delay */
	while (lines.count > 0)
		xfree(lines.line[--lines.count]);
}
END_TEST

START_TEST(an_inconsistent_image_is_refused)
{
	struct presence_image_channel channel = {.name = SLICE("c"), .vacant_at_us = UINT64_MAX};
	struct presence_image_member member = {.name = SLICE("ann"), .is_connected = true};

	ck_assert(!presence_image_add_channel(after, &channel));
	channel.vacant_at_us = 0;
	ck_assert(!presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	ck_assert(presence_image_add_channel(after, &channel));
	member.name.len = 0;
	ck_assert(!presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	member.name.len = 3;
	member.info = (struct slice){"", PRESENCE_INFO_MAX + 1};
	ck_assert(!presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	member.info.len = 0;
	member.lease_until_us = UINT64_MAX;
	ck_assert(!presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	member.lease_until_us = 0;
	ck_assert(presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	ck_assert(!presence_image_add_member(after, &elsewhere, SLICE("c"), &member, now_us));
	presence_image_end(after);
	ck_assert_uint_eq(presence_count(after, SLICE("c")), 1);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/presence_image", setup, teardown,
	    (const TTest *[]){whatever_happened_before_the_successor_goes_on_in_the_same_way,
		a_returning_member_has_no_event,
		members_leave_if_the_successor_has_no_presence_and_have_no_info_if_it_counts,
		an_inconsistent_image_is_refused, NULL});
}
