#include "config.h"

#include "pubsub/presence.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

/*
 * Presence against a plain model: which owner has joined which member, and the ends of leases and
 * delays, with a clock. After each step the members of a channel are those of the model, each event
 * fits the moment at which it is given out, and the events of a member alternate. A listing runs
 * beside the steps and must show each member that was present from its beginning to its end.
 */

#define CHANNELS 3
#define MEMBERS 40
#define OWNERS 6
#define STEPS 1000000

static struct presence *presence;
static struct presence_limits limits;
static struct presence_owner owners[OWNERS];
static uint64_t now_us, seed;
static uint64_t joined, left, occupied, vacated, listed, switched;

static struct {
	struct presence_options options;
	bool announced; /* the last event was OCCUPIED */
	uint64_t empty_since_us;
	size_t count;
} channels[CHANNELS];

static struct {
	bool joins[OWNERS];
	uint64_t lease_until_us, leave_at_us;
	bool present;
	bool announced;
	bool owed;    /* it came while joins were announced, and nothing was switched since */
	bool through; /* present since the listing of its channel began */
	bool seen;    /* by that listing */
	char info;
} members[CHANNELS][MEMBERS];

static struct {
	int channel;
	uint64_t cursor;
	bool runs;
} listing;

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static struct slice
channel_name(int c)
{
	static const char *const names[CHANNELS] = {"", "room", "room:1"};

	return slice_of(names[c]);
}

static struct slice
member_name(int m)
{
	static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";

	return (struct slice){&names[m], 1};
}

static int
channel_at(struct slice name)
{
	for (int c = 0; c < CHANNELS; c++)
		if (slice_eq(channel_name(c), name))
			return c;
	ck_abort_msg("an unknown channel");
	return -1;
}

static int
member_at(struct slice name)
{
	for (int m = 0; m < MEMBERS; m++)
		if (slice_eq(member_name(m), name))
			return m;
	ck_abort_msg("an unknown member");
	return -1;
}

static void
read_options(void *arg, struct slice channel, struct presence_options *out)
{
	(void)arg;
	*out = channels[channel_at(channel)].options;
}

static bool
is_connected(int c, int m)
{
	for (int o = 0; o < OWNERS; o++)
		if (members[c][m].joins[o])
			return true;
	return false;
}

static bool
is_held(int c, int m)
{
	return is_connected(c, m) || members[c][m].lease_until_us > now_us ||
	       members[c][m].leave_at_us > now_us;
}

/* Brings the model to the present time. */
static void
settle(void)
{
	for (int c = 0; c < CHANNELS; c++) {
		size_t count = 0;

		for (int m = 0; m < MEMBERS; m++) {
			bool present = is_held(c, m);

			if (present && !members[c][m].present)
				members[c][m].owed = channels[c].options.mode == PRESENCE_MEMBERS;
			if (!present) {
				members[c][m].owed = members[c][m].through = false;
				members[c][m].lease_until_us = members[c][m].leave_at_us = 0;
			}
			members[c][m].present = present;
			count += present;
		}
		if (count == 0 && channels[c].count > 0)
			channels[c].empty_since_us = now_us;
		channels[c].count = count;
	}
}

static void
turn(void)
{
	while (presence_turn(presence, now_us, below(20) + 1))
		continue;
	settle();
}

static void
join(int c, int m, int o)
{
	bool has_info = below(2) == 0, was_present = members[c][m].present;
	char info = (char)('a' + below(26));
	enum presence_result result = presence_join(presence, &owners[o], channel_name(c),
	    member_name(m), (struct slice){has_info ? &info : NULL, has_info}, now_us);

	if (channels[c].options.mode == PRESENCE_NO) {
		ck_assert_int_eq(result, PRESENCE_OFF);
		return;
	}
	if (!was_present && channels[c].count >= limits.members) {
		ck_assert_int_eq(result, PRESENCE_TOO_MANY_MEMBERS);
		return;
	}
	ck_assert_int_eq(result, was_present ? PRESENCE_PRESENT : PRESENCE_NEW);
	if (!was_present || has_info)
		members[c][m].info = has_info ? info : '\0';
	if (has_info && channels[c].options.mode == PRESENCE_COUNT)
		members[c][m].info = '\0';
	members[c][m].joins[o] = true;
}

static void
touch(int c, int m)
{
	uint64_t lease_us = below(4) == 0 ? 0 : below(50000) + 1;
	bool was_present = members[c][m].present;
	enum presence_result result = presence_touch(
	    presence, channel_name(c), member_name(m), lease_us, (struct slice){NULL, 0}, now_us);

	if (channels[c].options.mode == PRESENCE_NO) {
		ck_assert_int_eq(result, PRESENCE_OFF);
		return;
	}
	if (lease_us > 0 && !was_present && channels[c].count >= limits.members) {
		ck_assert_int_eq(result, PRESENCE_TOO_MANY_MEMBERS);
		return;
	}
	ck_assert_int_eq(result, was_present || lease_us == 0 ? PRESENCE_PRESENT : PRESENCE_NEW);
	if (!was_present)
		members[c][m].info = '\0';
	members[c][m].lease_until_us = lease_us > 0 ? now_us + lease_us : 0;
}

static void
forget_join(int c, int m, int o)
{
	members[c][m].joins[o] = false;
	if (!is_connected(c, m))
		members[c][m].leave_at_us = now_us + channels[c].options.leave_delay_us;
}

static void
leave(int c, int m, int o)
{
	ck_assert_int_eq(
	    presence_leave(presence, &owners[o], channel_name(c), member_name(m), now_us),
	    members[c][m].joins[o]);
	if (members[c][m].joins[o])
		forget_join(c, m, o);
}

static void
detach(int o)
{
	while (!presence_detach(presence, &owners[o], now_us, below(5) + 1))
		continue;
	for (int c = 0; c < CHANNELS; c++)
		for (int m = 0; m < MEMBERS; m++)
			if (members[c][m].joins[o])
				forget_join(c, m, o);
}

static void
switch_options(int c)
{
	channels[c].options.mode = (enum presence_mode)below(3);
	channels[c].options.leave_delay_us = below(3) * 10000;
	channels[c].options.vacate_delay_us = below(3) * 10000;
	presence_reconfigured(presence);
	for (int m = 0; m < MEMBERS; m++) {
		members[c][m].owed = false;
		if (channels[c].options.mode != PRESENCE_NO)
			continue;
		memset(members[c][m].joins, 0, sizeof(members[c][m].joins));
		members[c][m].lease_until_us = members[c][m].leave_at_us = 0;
	}
	turn();
	switched++;
}

static void
check_event(const struct presence_event *event)
{
	int c, m = -1;

	if (event->kind == PRESENCE_NO_EVENT)
		return;
	c = channel_at(event->channel);
	if (event->kind == PRESENCE_JOINED || event->kind == PRESENCE_LEFT) {
		bool is_join = event->kind == PRESENCE_JOINED;

		m = member_at(event->member);
		ck_assert(members[c][m].present == is_join);
		ck_assert(members[c][m].announced != is_join);
		ck_assert(!is_join || channels[c].announced);
		ck_assert(!is_join || channels[c].options.mode == PRESENCE_MEMBERS);
		members[c][m].announced = is_join;
		*(is_join ? &joined : &left) += 1;
		return;
	}
	ck_assert(channels[c].announced == (event->kind == PRESENCE_VACATED));
	channels[c].announced = event->kind == PRESENCE_OCCUPIED;
	if (event->kind == PRESENCE_VACATED) {
		ck_assert_uint_eq(channels[c].count, 0);
		for (m = 0; m < MEMBERS; m++)
			ck_assert(!members[c][m].announced);
		vacated++;
	} else {
		occupied++;
	}
}

static void
take_events(uint64_t count)
{
	struct presence_event event;

	while (count-- > 0 && presence_next_event(presence, now_us, &event))
		check_event(&event);
}

static void
see(void *arg, const struct presence_member *member)
{
	int c = *(int *)arg, m = member_at(member->name);
	uint32_t connections = 0;

	ck_assert(members[c][m].present);
	for (int o = 0; o < OWNERS; o++)
		connections += members[c][m].joins[o];
	ck_assert_uint_eq(member->connections, connections);
	ck_assert_uint_eq(member->info.len, members[c][m].info != '\0');
	ck_assert(member->info.len == 0 || member->info.ptr[0] == members[c][m].info);
	members[c][m].seen = true;
}

static void
count_one(void *arg, const struct presence_member *member)
{
	(void)member;
	++*(size_t *)arg;
}

/* The members at this moment: no change comes in between, so each is visited once. */
static void
check_channel(int c)
{
	size_t count = 0;
	uint64_t cursor = 0;

	do
		cursor = presence_scan(presence, channel_name(c), cursor, count_one, &count);
	while (cursor != 0);
	ck_assert_uint_eq(count, channels[c].count);
	ck_assert_uint_eq(presence_count(presence, channel_name(c)), channels[c].count);
}

static void
continue_listing(void)
{
	int c = listing.channel;

	if (!listing.runs) {
		listing.channel = c = (int)below(CHANNELS);
		listing.runs = true;
		listing.cursor = 0;
		for (int m = 0; m < MEMBERS; m++) {
			members[c][m].through = members[c][m].present;
			members[c][m].seen = false;
		}
	}
	listing.cursor = presence_scan(presence, channel_name(c), listing.cursor, see, &c);
	if (listing.cursor != 0)
		return;
	for (int m = 0; m < MEMBERS; m++)
		ck_assert(!members[c][m].through || members[c][m].seen);
	listing.runs = false;
	listed++;
}

static void
step(void)
{
	int c = (int)below(CHANNELS), m = (int)below(MEMBERS), o = (int)below(OWNERS);
	uint64_t what = below(1000);

	if (what < 350)
		join(c, m, o);
	else if (what < 650)
		leave(c, m, o);
	else if (what < 750)
		touch(c, m);
	else if (what < 770)
		detach(o);
	else if (what < 772)
		switch_options(c);
	else if (what < 850)
		now_us += below(5000);
	else if (what < 950)
		continue_listing();
	else
		take_events(below(20));
	turn();
	check_channel(c);
}

static void
check_announced(void)
{
	for (int c = 0; c < CHANNELS; c++)
		for (int m = 0; m < MEMBERS; m++) {
			ck_assert(!members[c][m].announced || members[c][m].present);
			ck_assert(!members[c][m].owed || members[c][m].announced);
		}
}

/* All events that wait are given out, at the rate. */
static void
drain_events(void)
{
	while (presence_figures(presence).waiting > 0) {
		take_events(UINT64_MAX);
		now_us += 1000;
		turn();
	}
	check_announced();
}

/* Everyone leaves; the channels become vacant after their delays. */
static void
empty(void)
{
	for (int o = 0; o < OWNERS; o++)
		detach(o);
	now_us += 100000;
	turn();
	drain_events();
	now_us += 100000;
	turn();
	drain_events();
	for (int c = 0; c < CHANNELS; c++)
		ck_assert(!channels[c].announced);
}

static void
setup(void)
{
	struct presence_config config = {.limits = &limits, .options = read_options};

	limits = (struct presence_limits){
	    .members = MEMBERS - 4, .joins = UINT32_MAX, .memory_bytes = SIZE_MAX};
	memset(channels, 0, sizeof(channels));
	memset(members, 0, sizeof(members));
	memset(&listing, 0, sizeof(listing));
	for (int c = 0; c < CHANNELS; c++)
		channels[c].options = (struct presence_options){.mode = PRESENCE_MEMBERS,
		    .announces = PRESENCE_ANNOUNCES_OCCUPIED | PRESENCE_ANNOUNCES_JOINS,
		    .leave_delay_us = 10000,
		    .vacate_delay_us = 3000};
	presence = presence_new(&config);
	for (int o = 0; o < OWNERS; o++)
		presence_owner_init(&owners[o]);
	now_us = 1;
}

static void
teardown(void)
{
	for (int o = 0; o < OWNERS; o++)
		while (!presence_detach(presence, &owners[o], now_us, 1))
			continue;
	presence_free(presence);
}

START_TEST(members_counts_and_events_are_those_of_the_model)
{
	int steps = testing_steps(STEPS);

	joined = left = occupied = vacated = listed = switched = 0;
	seed = 1;
	for (int i = 0; i < steps; i++) {
		step();
		if (below(5000) == 0)
			drain_events();
		if (below(20000) == 0)
			empty();
	}
	ck_assert(joined > 0 && left > 0 && listed > 0 && switched > 0);
	ck_assert(steps < STEPS || (occupied > 10 && vacated > 10));
}
END_TEST

START_TEST(nothing_is_left_when_all_have_gone)
{
	struct presence_figures figures;

	seed = 99;
	for (int i = 0; i < testing_steps(20000); i++)
		step();
	empty();
	figures = presence_figures(presence);
	ck_assert_uint_eq(figures.members, 0);
	ck_assert_uint_eq(figures.joins, 0);
	ck_assert_uint_eq(figures.channels, 0);
	ck_assert_uint_eq(figures.bytes, 0);
	ck_assert_uint_eq(presence_due_us(presence, now_us), UINT64_MAX);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/presence_model", setup, teardown,
	    (const TTest *[]){members_counts_and_events_are_those_of_the_model,
		nothing_is_left_when_all_have_gone, NULL});
}
