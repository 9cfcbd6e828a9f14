#include "config.h"

#include "link/interest.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "resp/parser.h"

#define LINGER ((uint64_t)60000000)
#define SECOND ((uint64_t)1000000)

static struct interest *in;
static struct buffer out;
static uint64_t now;
static struct slice since; /* empty: names do not resume */

static void
setup(void)
{
	in = interest_new();
	interest_set_linger(in, LINGER);
	now = 1000 * SECOND;
}

static void
teardown(void)
{
	interest_free(in);
	buffer_release(&out);
}

static struct slice
text(const char *str)
{
	return slice_of(str);
}

static enum interest_state
of(const char *name)
{
	return interest_of(in, HUB_CHANNEL, text(name));
}

static void
add(const char *name)
{
	interest_add(in, HUB_CHANNEL, text(name));
}

static void
leave(const char *name)
{
	interest_remove(in, HUB_CHANNEL, text(name), now);
}

/* The next command as "VERB name name", or "". */
static const char *
written(void)
{
	static char line[65536];
	static const struct protocol_limits limits = {
	    .arg_bytes = 1 << 20, .arg_count = 1024, .line_bytes = 65536, .request_bytes = 1 << 24};
	struct resp_parser *parser = resp_parser_new(&limits);
	struct protocol_request request;
	struct interest_command command;
	size_t taken, len = 0;

	buffer_clear(&out);
	command = interest_write(in, now, since, &out);
	line[0] = '\0';
	if (command.names > 0) {
		ck_assert_int_eq(
		    resp_parser_feed(parser, out.ptr, out.len, false, &taken, &request),
		    PROTOCOL_REQUEST);
		ck_assert_uint_eq(taken, out.len);
		ck_assert_uint_eq(request.count, command.names + 1);
		for (size_t i = 0; i < request.count; i++)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%.*s",
			    i > 0 ? " " : "", (int)request.args[i].len, request.args[i].ptr);
	} else
		ck_assert_uint_eq(out.len, 0);
	resp_parser_free(parser);
	return line;
}

/* True if messages were or may have been missed. */
static bool
confirm(const char *name)
{
	enum interest_join how = INTEREST_JOINED;

	ck_assert(interest_confirm(in, HUB_CHANNEL, text(name), now, &how));
	return how != INTEREST_JOINED;
}

static void
left(const char *name)
{
	ck_assert(interest_left(in, HUB_CHANNEL, text(name), now));
}

static void
hold(const char *name)
{
	char line[256];

	interest_need(in, HUB_CHANNEL, text(name), now);
	snprintf(line, sizeof(line), "SUBSCRIBE %s", name);
	ck_assert_str_eq(written(), line);
	ck_assert(!confirm(name));
	add(name);
	ck_assert_int_eq(of(name), INTEREST_HELD);
}

/* The states by their letters: absent, waiting, sent (asked), held, lingers, unsubscribing
 * (leaving), refused, moved. Each word is a cell: wanted by nobody, soon, by members. */
static const char *const table[INTEREST_STATES] = {
    /* wanted unwanted sent confirmed denied due left lost redirected */
    "aww aaa aaa aaa aaa aaa aaa aaa aaa",
    "www aww ass www www www www www www",
    "sss sss sss llh rrr sss sss www aam",
    "hhh llh hhh hhh hhh hhh aww www aam",
    "llh lll lll lll lll uuu aww www aam",
    "uuu uuu uuu uuu uuu uuu aww www uuu",
    "rrr rrr rrr rrr rrr aww rrr www rrr",
    "mmm aam mmm mmm mmm aww mmm www mmm",
};

START_TEST(every_event_in_every_state_does_what_the_table_says)
{
	static const char letters[] = "awshlurm";

	for (int state = 0; state < INTEREST_STATES; state++) {
		ck_assert_uint_eq(strlen(table[state]), 4 * INTEREST_EVENTS - 1);
		for (int event = 0; event < INTEREST_EVENTS; event++)
			for (int want = 0; want < INTEREST_WANTS; want++)
				ck_assert_msg(
				    letters[interest_next((enum interest_state)state,
					(enum interest_event)event, (enum interest_want)want)] ==
					table[state][4 * event + want],
				    "state %d, event %d, want %d", state, event, want);
	}
}
END_TEST

START_TEST(a_name_is_asked_for_confirmed_and_left_after_it_lingered)
{
	hold("a");
	leave("a");
	ck_assert_int_eq(of("a"), INTEREST_LINGERS);
	ck_assert_uint_eq(interest_due_us(in), now + LINGER);
	now += LINGER - 1;
	ck_assert_str_eq(written(), "");
	now++;
	ck_assert_str_eq(written(), "UNSUBSCRIBE a");
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(of("a"), INTEREST_LEAVING);
	left("a");
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	ck_assert_uint_eq(interest_figures(in).names, 0);
	ck_assert_uint_eq(interest_due_us(in), UINT64_MAX);
}
END_TEST

START_TEST(a_name_with_members_may_have_missed_messages_before_its_confirmation)
{
	add("a");
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert(confirm("a"));
	hold("b");
	interest_lost(in);
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	ck_assert(confirm("a"));
	leave("b");
	ck_assert(confirm("b")); /* it was held before */
}
END_TEST

START_TEST(a_name_that_was_left_has_missed_nothing_when_it_comes_back)
{
	hold("a");
	leave("a");
	now += LINGER + SECOND;
	ck_assert_str_eq(written(), "UNSUBSCRIBE a");
	interest_need(in, HUB_CHANNEL, text("a"), now);
	left("a");
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert(!confirm("a"));
}
END_TEST

/* Its history here is from before the connection was lost. */
START_TEST(a_held_name_that_was_forgotten_while_the_link_was_down_has_missed_messages)
{
	hold("a");
	interest_lost(in);
	leave("a");
	now += 2 * LINGER;
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	interest_need(in, HUB_CHANNEL, text("a"), now);
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert(confirm("a"));
	interest_need(in, HUB_CHANNEL, text("b"), now);
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	ck_assert(!confirm("b")); /* said once */
}
END_TEST

START_TEST(a_held_name_that_was_refused_and_forgotten_has_missed_messages)
{
	hold("a");
	interest_lost(in);
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	interest_refuse(in, 1, now);
	leave("a");
	now += INTEREST_REFUSED_US + 2 * LINGER;
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
	interest_need(in, HUB_CHANNEL, text("a"), now);
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert(confirm("a"));
}
END_TEST

START_TEST(a_refused_command_is_repeated_name_by_name)
{
	add("a");
	add("b");
	add("c");
	ck_assert_str_eq(written(), "SUBSCRIBE a b c");
	interest_refuse(in, 3, now);
	add("d");
	add("e");
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	ck_assert_str_eq(written(), "SUBSCRIBE c");
	ck_assert_str_eq(written(), "SUBSCRIBE d e");
	confirm("a");
	interest_refuse(in, 1, now);
	ck_assert_int_eq(of("b"), INTEREST_REFUSED);
	confirm("c");
	interest_refuse(in, 2, now);
	ck_assert_int_eq(of("d"), INTEREST_WAITING);
	ck_assert_uint_eq(interest_figures(in).count[INTEREST_HELD], 2);
}
END_TEST

START_TEST(a_name_is_alone_in_its_command_until_it_is_confirmed)
{
	add("a");
	add("b");
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	interest_lost(in);
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	interest_refuse(in, 2, now);
	interest_lost(in);
	add("c");
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	ck_assert_str_eq(written(), "SUBSCRIBE c");
	confirm("a");
	interest_lost(in); /* now b, c, a */
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	ck_assert_str_eq(written(), "SUBSCRIBE c a");
	interest_lost(in);
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	interest_lost(in); /* c, a, b */
	ck_assert_str_eq(written(), "SUBSCRIBE c a");
	ck_assert_str_eq(written(), "SUBSCRIBE b");
}
END_TEST

START_TEST(a_refused_name_is_asked_for_again_after_a_minute_if_it_is_wanted)
{
	add("a");
	add("b");
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	interest_refuse(in, 2, now);
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_str_eq(written(), "SUBSCRIBE b");
	interest_refuse(in, 1, now);
	interest_refuse(in, 1, now);
	ck_assert_int_eq(interest_need(in, HUB_CHANNEL, text("a"), now), INTEREST_REFUSED);
	leave("b");
	ck_assert_uint_eq(interest_due_us(in), now + INTEREST_REFUSED_US);
	now += INTEREST_REFUSED_US - 1;
	ck_assert_str_eq(written(), "");
	now++;
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_int_eq(of("b"), INTEREST_ABSENT);
}
END_TEST

START_TEST(a_refused_name_that_nobody_wants_is_not_asked_for_after_a_loss)
{
	add("a");
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	interest_refuse(in, 1, now);
	leave("a");
	interest_lost(in);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(of("a"), INTEREST_ABSENT);
}
END_TEST

START_TEST(a_mark_covers_a_name_that_is_being_left)
{
	uint64_t mark;

	hold("a");
	leave("a");
	now += LINGER + SECOND;
	ck_assert_str_eq(written(), "UNSUBSCRIBE a");
	ck_assert_int_eq(interest_need(in, HUB_CHANNEL, text("a"), now), INTEREST_LEAVING);
	mark = interest_mark(in);
	ck_assert_uint_lt(interest_answered(in), mark);
	left("a");
	ck_assert_uint_lt(interest_answered(in), mark);
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_uint_lt(interest_answered(in), mark);
	confirm("a");
	ck_assert_uint_eq(interest_answered(in), mark);
}
END_TEST

START_TEST(a_name_misses_messages_until_it_is_confirmed_again)
{
	add("a");
	add("b");
	ck_assert(interest_is_joining(in));
	ck_assert(interest_misses(in, HUB_CHANNEL, text("a")));
	ck_assert(!interest_misses(in, HUB_CHANNEL, text("a"))); /* it was said */
	ck_assert(!interest_misses(in, HUB_PATTERN, text("a")));
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	confirm("a");
	ck_assert(interest_misses(in, HUB_CHANNEL, text("b")));
	confirm("b");
	ck_assert(!interest_is_joining(in));
	interest_lost(in);
	ck_assert(interest_is_joining(in));
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	ck_assert(interest_misses(in, HUB_CHANNEL, text("b")));
	confirm("a");
	ck_assert(!interest_misses(in, HUB_CHANNEL, text("a")));
	confirm("b");
	/* Nobody has heard this one yet. */
	interest_need(in, HUB_CHANNEL, text("c"), now);
	ck_assert(!interest_misses(in, HUB_CHANNEL, text("c")));
}
END_TEST

START_TEST(answers_that_do_not_fit_change_nothing)
{
	enum interest_join how = INTEREST_JOINED;

	ck_assert(!interest_confirm(in, HUB_CHANNEL, text("a"), now, &how));
	ck_assert(!interest_left(in, HUB_CHANNEL, text("a"), now));
	add("a");
	add("b");
	ck_assert(!interest_confirm(in, HUB_CHANNEL, text("a"), now, &how));
	ck_assert_str_eq(written(), "SUBSCRIBE a b");
	ck_assert(!interest_confirm(in, HUB_CHANNEL, text("b"), now, &how));
	ck_assert(!interest_confirm(in, HUB_PATTERN, text("a"), now, &how));
	ck_assert(!interest_confirm(in, HUB_CHANNEL, text("aa"), now, &how));
	ck_assert(!interest_left(in, HUB_CHANNEL, text("a"), now));
	interest_refuse(in, 0, now);
	ck_assert_uint_eq(interest_figures(in).count[INTEREST_ASKED], 2);
	confirm("a");
	ck_assert(!interest_confirm(in, HUB_CHANNEL, text("a"), now, &how));
	confirm("b");
}
END_TEST

START_TEST(a_command_has_names_of_one_kind)
{
	interest_add(in, HUB_CHANNEL, text("a"));
	interest_add(in, HUB_PATTERN, text("a"));
	interest_add(in, HUB_PATTERN, text("b*"));
	interest_add(in, HUB_SHARD, text("a"));
	ck_assert_str_eq(written(), "SUBSCRIBE a");
	ck_assert_str_eq(written(), "PSUBSCRIBE a b*");
	ck_assert_str_eq(written(), "SSUBSCRIBE a");
	ck_assert_str_eq(written(), "");
}
END_TEST

static struct slice
numbered(uint32_t i)
{
	static char name[16];

	return (struct slice){name, (size_t)snprintf(name, sizeof(name), "n%u", i)};
}

static size_t
names_written(void)
{
	buffer_clear(&out);
	return interest_write(in, now, since, &out).names;
}

START_TEST(a_command_has_at_most_a_batch_of_names)
{
	for (uint32_t i = 0; i < 2 * INTEREST_BATCH + 1; i++)
		interest_add(in, HUB_PATTERN, numbered(i));
	ck_assert_uint_eq(names_written(), INTEREST_BATCH);
	ck_assert_uint_eq(names_written(), INTEREST_BATCH);
	ck_assert_uint_eq(names_written(), 1);
	ck_assert_uint_eq(names_written(), 0);
}
END_TEST

START_TEST(a_command_ends_when_its_names_are_long)
{
	char *name = xmalloc(65536);

	memset(name, '\n', 65536);
	for (size_t i = 0; i < 4; i++) {
		name[0] = (char)i;
		interest_add(in, HUB_CHANNEL, (struct slice){name, 65536 - (i < 2 ? 0 : 40000)});
	}
	ck_assert_uint_eq(names_written(), 1);
	ck_assert_uint_eq(names_written(), 1);
	ck_assert_uint_eq(names_written(), 2);
	ck_assert_uint_eq(names_written(), 0);
	xfree(name);
}
END_TEST

/* Holds n names, which then linger. */
static void
let_linger(uint32_t n)
{
	enum interest_join how = INTEREST_JOINED;
	size_t names;

	for (uint32_t i = 0, at = 0; i < n; i++) {
		interest_add(in, HUB_CHANNEL, numbered(i));
		if (i % 512 != 511 && i + 1 < n)
			continue;
		for (names = names_written(); names > 0; names--)
			ck_assert(interest_confirm(in, HUB_CHANNEL, numbered(at++), now, &how));
	}
	ck_assert_uint_eq(interest_figures(in).count[INTEREST_HELD], n);
	for (uint32_t i = 0; i < n; i++)
		interest_remove(in, HUB_CHANNEL, numbered(i), now + i / 100);
	ck_assert_uint_eq(interest_figures(in).count[INTEREST_LINGERS], n);
	now += n / 100;
}

START_TEST(the_oldest_of_too_many_lingering_names_leave_at_once)
{
	size_t names, total = 0;

	let_linger(INTEREST_LINGERING_MAX + 2000);
	ck_assert_uint_le(interest_due_us(in), now);
	while ((names = names_written()) > 0)
		total += names;
	ck_assert_uint_eq(total, 2000);
	ck_assert_uint_gt(interest_due_us(in), now);
	ck_assert(interest_left(in, HUB_CHANNEL, numbered(0), now));
	ck_assert_int_eq(interest_of(in, HUB_CHANNEL, numbered(0)), INTEREST_ABSENT);
	for (uint32_t i = 500; i < INTEREST_LINGERING_MAX + 2000; i += 500)
		ck_assert_int_eq(interest_of(in, HUB_CHANNEL, numbered(i)),
		    i < 2000 ? INTEREST_LEAVING : INTEREST_LINGERS);
}
END_TEST

START_TEST(names_that_somebody_is_about_to_subscribe_to_are_not_too_many)
{
	enum interest_join how = INTEREST_JOINED;
	const uint32_t n = INTEREST_LINGERING_MAX + 5000;
	size_t names, total = 0;

	let_linger(1000);
	for (uint32_t i = 1000; i < n; i++)
		interest_need(in, HUB_CHANNEL, numbered(i), now);
	for (uint32_t at = 1000; (names = names_written()) > 0;)
		for (; names > 0; names--)
			ck_assert(interest_confirm(in, HUB_CHANNEL, numbered(at++), now, &how));
	ck_assert_uint_eq(interest_figures(in).count[INTEREST_LINGERS], n);
	ck_assert_uint_gt(interest_due_us(in), now);
	/* Nor do they keep those from leaving that linger behind them, when these are too many. */
	for (uint32_t i = 1000; i < n; i++)
		interest_add(in, HUB_CHANNEL, numbered(i));
	interest_need(in, HUB_CHANNEL, numbered(0), now);
	for (uint32_t i = 1000; i < n; i++)
		interest_remove(in, HUB_CHANNEL, numbered(i), now);
	while (interest_due_us(in) <= now)
		total += names_written();
	ck_assert_uint_eq(total, n - 1 - INTEREST_LINGERING_MAX);
	ck_assert_int_eq(interest_of(in, HUB_CHANNEL, numbered(0)), INTEREST_LINGERS);
	/* They leave when nobody has come in time. */
	now += 3 * LINGER;
	while ((names = names_written()) > 0)
		total += names;
	ck_assert_uint_eq(total, n);
	ck_assert_int_eq(interest_of(in, HUB_CHANNEL, numbered(0)), INTEREST_LEAVING);
}
END_TEST

START_TEST(after_a_loss_there_is_more_to_do_while_unwanted_names_are_freed)
{
	int calls = 0;

	let_linger(20000);
	interest_lost(in);
	interest_add(in, HUB_CHANNEL, text("last"));
	now += 2 * LINGER;
	while (names_written() == 0) {
		ck_assert_uint_eq(interest_due_us(in), 0);
		ck_assert_int_lt(calls++, 100);
	}
	ck_assert_uint_eq(interest_figures(in).names, 1);
	ck_assert(confirm("last"));
}
END_TEST

/* Sets *took to the time of the call. */
static void
lose(uint64_t *took)
{
	uint64_t begin = clock_mono_us();

	interest_lost(in);
	*took = clock_mono_us() - begin;
}

START_TEST(a_loss_takes_the_same_time_for_any_number_of_names)
{
	uint32_t n = (uint32_t)testing_steps(1000000);
	uint64_t least = UINT64_MAX, took;
	size_t names, total = 0;

	for (uint32_t i = 0; i < n; i++)
		interest_add(in, HUB_CHANNEL, numbered(i));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 100; i++)
			names_written();
		lose(&took);
		least = took < least ? took : least;
		ck_assert_uint_eq(interest_figures(in).count[INTEREST_WAITING], n);
	}
	ck_assert_uint_lt(least, 1000);
	while ((names = names_written()) > 0)
		total += names;
	ck_assert_uint_eq(total, n);
}
END_TEST

START_TEST(a_shorter_linger_applies_behind_names_with_a_longer_one)
{
	hold("long");
	hold("short");
	leave("long");
	interest_set_linger(in, SECOND);
	leave("short");
	now += LINGER + SECOND;
	ck_assert_str_eq(written(), "UNSUBSCRIBE long short");
}
END_TEST

int
main(void)
{
	return testing_main("link/interest", setup, teardown,
	    (const TTest *[]){every_event_in_every_state_does_what_the_table_says,
		a_name_is_asked_for_confirmed_and_left_after_it_lingered,
		a_name_with_members_may_have_missed_messages_before_its_confirmation,
		a_name_that_was_left_has_missed_nothing_when_it_comes_back,
		a_held_name_that_was_forgotten_while_the_link_was_down_has_missed_messages,
		a_held_name_that_was_refused_and_forgotten_has_missed_messages,
		a_refused_command_is_repeated_name_by_name,
		a_name_is_alone_in_its_command_until_it_is_confirmed,
		a_refused_name_is_asked_for_again_after_a_minute_if_it_is_wanted,
		a_refused_name_that_nobody_wants_is_not_asked_for_after_a_loss,
		a_mark_covers_a_name_that_is_being_left,
		a_name_misses_messages_until_it_is_confirmed_again,
		answers_that_do_not_fit_change_nothing, a_command_has_names_of_one_kind,
		a_command_has_at_most_a_batch_of_names, a_command_ends_when_its_names_are_long,
		the_oldest_of_too_many_lingering_names_leave_at_once,
		names_that_somebody_is_about_to_subscribe_to_are_not_too_many,
		after_a_loss_there_is_more_to_do_while_unwanted_names_are_freed,
		a_loss_takes_the_same_time_for_any_number_of_names,
		a_shorter_linger_applies_behind_names_with_a_longer_one, NULL});
}
