#include "config.h"

#include "link/interest.h"

#include <string.h>

#include "base/testing.h"

/* What an engine's link needs of interest.h besides. */
#define SECOND ((uint64_t)1000000)
#define LINGER (60 * SECOND)

static struct interest *in;
static struct buffer out;
static struct buffer visits; /* names, each behind the letter of its kind */
static uint64_t now;
static const struct slice since; /* empty: names do not resume */

static void
visit(void *arg, enum hub_kind kind, struct slice name)
{
	ck_assert_ptr_eq(arg, &visits);
	buffer_append(&visits, kind == HUB_CHANNEL ? "c" : kind == HUB_PATTERN ? "p" : "s", 1);
	buffer_append_slice(&visits, name);
	buffer_append_str(&visits, " ");
}

static void
setup(void)
{
	in = interest_new();
	interest_set_linger(in, LINGER);
	interest_set_visitor(in, visit, &visits);
	now = 1000 * SECOND;
}

static void
teardown(void)
{
	interest_free(in);
	buffer_release(&out);
	buffer_release(&visits);
}

static enum interest_state
of(const char *name)
{
	return interest_of(in, HUB_CHANNEL, slice_of(name));
}

/* Writes a command, whose names were visited in this order. */
static void
assert_visits(const char *expected)
{
	struct interest_command command;

	buffer_clear(&visits);
	buffer_clear(&out);
	command = interest_write(in, now, since, &out);
	buffer_append(&visits, "", 1);
	ck_assert_str_eq(visits.ptr, expected);
	for (; expected[0] != '\0' && command.names > 0; command.names--)
		expected = strchr(expected, ' ') + 1;
	ck_assert(expected[0] == '\0');
}

static enum interest_join
confirm(const char *name)
{
	enum interest_join how = INTEREST_JOINED;

	ck_assert(interest_confirm(in, HUB_CHANNEL, slice_of(name), now, &how));
	return how;
}

static void
again(const char *name)
{
	interest_again(in, HUB_CHANNEL, slice_of(name), now);
}

static void
hold(const char *name)
{
	interest_add(in, HUB_CHANNEL, slice_of(name));
	interest_write(in, now, since, &out);
	confirm(name);
	ck_assert_int_eq(of(name), INTEREST_HELD);
}

START_TEST(each_name_of_a_command_that_subscribes_is_visited_once)
{
	interest_add(in, HUB_CHANNEL, SLICE("a"));
	interest_add(in, HUB_CHANNEL, SLICE("b"));
	interest_add(in, HUB_PATTERN, SLICE("a*"));
	interest_add(in, HUB_SHARD, SLICE("s"));
	assert_visits("ca cb ");
	assert_visits("pa* ");
	assert_visits("ss ");
	assert_visits("");
}
END_TEST

START_TEST(names_that_leave_are_not_visited)
{
	hold("a");
	interest_remove(in, HUB_CHANNEL, SLICE("a"), now);
	now += LINGER;
	assert_visits("");
	ck_assert_int_eq(of("a"), INTEREST_LEAVING);
	interest_add(in, HUB_CHANNEL, SLICE("a"));
	assert_visits("");
	ck_assert(interest_left(in, HUB_CHANNEL, SLICE("a"), now));
	assert_visits("ca ");
}
END_TEST

START_TEST(names_are_visited_again_on_another_connection_or_if_they_are_refused)
{
	interest_add(in, HUB_CHANNEL, SLICE("a"));
	interest_add(in, HUB_CHANNEL, SLICE("b"));
	assert_visits("ca cb ");
	interest_refuse(in, 2, now);
	assert_visits("ca ");
	assert_visits("cb ");
	interest_lost(in);
	assert_visits("ca ");
	assert_visits("cb ");
}
END_TEST

START_TEST(a_held_name_is_asked_for_again)
{
	uint64_t mark;

	hold("a");
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_WAITING);
	ck_assert(interest_is_joining(in));
	mark = interest_mark(in);
	assert_visits("ca ");
	ck_assert_uint_lt(interest_answered(in), mark);
	confirm("a");
	ck_assert_uint_eq(interest_answered(in), mark);
	ck_assert_int_eq(of("a"), INTEREST_HELD);
	ck_assert(!interest_is_joining(in));
}
END_TEST

START_TEST(a_lingering_name_is_asked_for_again_and_lingers_for_a_reader)
{
	hold("a");
	interest_remove(in, HUB_CHANNEL, SLICE("a"), now);
	ck_assert_int_eq(interest_need(in, HUB_CHANNEL, SLICE("a"), now), INTEREST_LINGERS);
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_WAITING);
	assert_visits("ca ");
	confirm("a");
	ck_assert_int_eq(of("a"), INTEREST_LINGERS);
	now += 2 * LINGER;
	assert_visits("");
	ck_assert_int_eq(of("a"), INTEREST_LEAVING);
}
END_TEST

START_TEST(a_name_that_nobody_wants_before_it_is_asked_for_again_is_left)
{
	hold("a");
	again("a");
	interest_remove(in, HUB_CHANNEL, SLICE("a"), now);
	ck_assert_int_eq(of("a"), INTEREST_LINGERS);
	hold("b");
	interest_remove(in, HUB_CHANNEL, SLICE("b"), now);
	(void)interest_need(in, HUB_CHANNEL, SLICE("b"), now);
	again("b");
	now += 100 * LINGER; /* who needed it is gone */
	assert_visits("");
	ck_assert_int_eq(of("a"), INTEREST_LEAVING);
	ck_assert_int_eq(of("b"), INTEREST_LINGERS);
	now += LINGER;
	assert_visits("");
	ck_assert_int_eq(of("b"), INTEREST_LEAVING);
	/* On another connection it is not subscribed to any more. */
	interest_lost(in);
	assert_visits("");
	ck_assert_uint_eq(interest_figures(in).names, 0);
}
END_TEST

START_TEST(other_names_are_not_asked_for_again)
{
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	interest_add(in, HUB_CHANNEL, SLICE("a"));
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_WAITING);
	assert_visits("ca ");
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_ASKED);
	interest_refuse(in, 1, now);
	again("a");
	ck_assert_int_eq(of("a"), INTEREST_REFUSED);
	interest_remove(in, HUB_CHANNEL, SLICE("a"), now);
	hold("b");
	interest_remove(in, HUB_CHANNEL, SLICE("b"), now);
	now += LINGER;
	assert_visits("");
	again("b");
	ck_assert_int_eq(of("b"), INTEREST_LEAVING);
	interest_again(in, HUB_PATTERN, SLICE("b"), now);
	ck_assert_uint_eq(interest_figures(in).names, 1);
	hold("c");
	interest_lost(in);
	again("c");
	ck_assert_int_eq(of("c"), INTEREST_WAITING);
}
END_TEST

START_TEST(a_name_that_is_asked_for_again_may_be_lost_or_refused)
{
	hold("a");
	again("a");
	interest_lost(in);
	assert_visits("ca ");
	confirm("a");
	again("a");
	assert_visits("ca ");
	interest_refuse(in, 1, now);
	ck_assert_int_eq(of("a"), INTEREST_REFUSED);
}
END_TEST

int
main(void)
{
	return testing_main("link/interest_again", setup, teardown,
	    (const TTest *[]){each_name_of_a_command_that_subscribes_is_visited_once,
		names_that_leave_are_not_visited,
		names_are_visited_again_on_another_connection_or_if_they_are_refused,
		a_held_name_is_asked_for_again,
		a_lingering_name_is_asked_for_again_and_lingers_for_a_reader,
		a_name_that_nobody_wants_before_it_is_asked_for_again_is_left,
		other_names_are_not_asked_for_again,
		a_name_that_is_asked_for_again_may_be_lost_or_refused, NULL});
}
