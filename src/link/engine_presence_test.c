#include "config.h"

#include "link/engine_presence.h"

#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "link/expected.h"
#include "link/presence_script.h"
#include "resp/reply.h"
#include "server/upstream_presence.h"

/* When a node speaks of presence with its engine at all, and what it does with one change that is
 * refused for good. The conversation as a whole is in link_presence_test.c. */
#define SECOND_US ((uint64_t)1000000)
#define FIRST_ID "0000000000000001"
#define SECOND_ID "0000000000000002"

static struct buffer out, heard;
static struct link_expected expected;
static struct engine_presence *presence;
static uint64_t randoms;

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return ++randoms;
}

static void
on_told(void *arg, bool is_published)
{
	(void)arg;
	(void)is_published;
	buffer_append_str(&heard, "told ");
}

static void
on_skipped(void *arg)
{
	(void)arg;
	buffer_append_str(&heard, "skipped ");
}

static void
on_registers(void *arg)
{
	(void)arg;
	buffer_append_str(&heard, "registers ");
}

static void
on_room(void *arg)
{
	(void)arg;
	buffer_append_str(&heard, "room ");
}

static const struct engine_presence_ops ops = {
    .random = on_random,
    .told = on_told,
    .skipped = on_skipped,
    .registers = on_registers,
    .has_room = on_room,
};

static void
setup(void)
{
	randoms = 0;
	out = heard = (struct buffer){0};
	expected = (struct link_expected){0};
	presence = engine_presence_new(&ops, NULL, &out, &expected);
}

static void
teardown(void)
{
	engine_presence_free(presence);
	link_expected_release(&expected);
	buffer_release(&out);
	buffer_release(&heard);
}

static void
assert_heard(const char *text)
{
	buffer_append(&heard, "", 1);
	ck_assert_str_eq(heard.ptr, text);
	buffer_clear(&heard);
}

/* Whether the text is in what was sent since the last call. */
static bool
was_sent(const char *text)
{
	bool is = out.len > 0 && memmem(out.ptr, out.len, text, strlen(text)) != NULL;

	buffer_clear(&out);
	return is;
}

static const char *
take(const struct resp_value *value)
{
	enum link_answer_kind kind = link_first_expected(&expected)->kind;

	link_take_expected(&expected, 1);
	return engine_presence_take(presence, kind, value, SECOND_US);
}

static void
take_scripts(void)
{
	struct resp_value sha = {
	    .type = RESP_TYPE_BULK, .text = SLICE("0123456789012345678901234567890123456789")};

	while (link_count_expected(&expected, ANSWER_PRESENCE_SCRIPT) > 0)
		ck_assert_ptr_null(take(&sha));
}

static void
take_lease(void)
{
	struct resp_value number = {.type = RESP_TYPE_INT, .number = PRESENCE_LEASED};
	struct resp_value lease = {.type = RESP_TYPE_ARRAY, .items = &number, .count = 1};

	ck_assert_int_eq(link_first_expected(&expected)->kind, ANSWER_PRESENCE_LEASED);
	ck_assert_ptr_null(take(&lease));
}

/* A connection to an engine, until the link is up. */
static void
connect_to(const char *run)
{
	engine_presence_opened(presence, slice_of(run));
	take_scripts();
	engine_presence_greeted(presence, SECOND_US);
	(void)engine_presence_turn(presence, SECOND_US, SECOND_US);
	if (link_count_expected(&expected, ANSWER_PRESENCE_LEASED) > 0)
		take_lease();
	engine_presence_linked(presence, SECOND_US);
}

static void
lose(void)
{
	engine_presence_lost(presence);
	link_expected_release(&expected);
	buffer_clear(&out);
	buffer_clear(&heard);
}

START_TEST(a_node_that_tells_and_asks_nothing_sends_nothing)
{
	connect_to("one");
	ck_assert_uint_eq(engine_presence_turn(presence, 9 * SECOND_US, SECOND_US), UINT64_MAX);
	engine_presence_end(presence, 1000);
	ck_assert_uint_eq(out.len, 0);
	assert_heard("");
}
END_TEST

START_TEST(the_lease_begins_with_what_is_wanted_first)
{
	connect_to("one");
	ck_assert(!engine_presence_want(presence));
	ck_assert(!engine_presence_want(presence));
	ck_assert(was_sent("LOAD"));
	ck_assert_uint_eq(link_count_expected(&expected, ANSWER_PRESENCE_SCRIPT), PRESENCE_SCRIPTS);
	take_scripts();
	assert_heard("room ");
	ck_assert(engine_presence_want(presence));
	ck_assert(!engine_presence_has_room(presence));
	(void)engine_presence_turn(presence, SECOND_US, SECOND_US);
	ck_assert(was_sent(FIRST_ID));
	take_lease();
	assert_heard("registers ");
	ck_assert(engine_presence_has_room(presence));
	lose();
	connect_to("one");
	ck_assert(was_sent(FIRST_ID));
	ck_assert(engine_presence_has_room(presence));
}
END_TEST

START_TEST(what_was_wanted_in_vain_is_not_wanted_at_the_next_connection)
{
	struct resp_value error = {.type = RESP_TYPE_ERROR, .text = SLICE("NOPERM no")};

	connect_to("one");
	(void)engine_presence_want(presence);
	take_scripts();
	(void)engine_presence_turn(presence, SECOND_US, SECOND_US);
	ck_assert_ptr_nonnull(take(&error));
	lose();
	connect_to("one");
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(the_former_id_ends_when_all_is_told_under_the_next_one)
{
	(void)engine_presence_want(presence);
	connect_to("one");
	engine_presence_registered(presence);
	ck_assert_uint_eq(link_count_expected(&expected, ANSWER_PRESENCE_LEASED), 0);
	lose();
	connect_to("two");
	ck_assert(was_sent(SECOND_ID));
	engine_presence_registered(presence);
	ck_assert_uint_eq(link_count_expected(&expected, ANSWER_PRESENCE_LEASED), 1);
	ck_assert(was_sent(FIRST_ID));
	take_lease();
	engine_presence_registered(presence);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_change_that_is_refused_for_good_is_skipped)
{
	const struct upstream_presence_change change = {
	    .kind = PRESENCE_JOINED, .channel = SLICE("room"), .member = SLICE("ann")};
	struct resp_value error = {.type = RESP_TYPE_ERROR, .text = SLICE("WRONGTYPE no")};

	(void)engine_presence_want(presence);
	connect_to("one");
	buffer_clear(&heard);
	engine_presence_change(presence, &change);
	ck_assert_ptr_null(take(&error));
	assert_heard("skipped ");
	engine_presence_change(presence, &change);
	error.text = SLICE("ERR Error running script: @user_script:35: WRONGTYPE no");
	ck_assert_ptr_null(take(&error));
	assert_heard("skipped ");
	engine_presence_change(presence, &change);
	error.text = SLICE("NOSCRIPT no");
	ck_assert_ptr_nonnull(take(&error));
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_presence", setup, teardown,
	    (const TTest *[]){a_node_that_tells_and_asks_nothing_sends_nothing,
		the_lease_begins_with_what_is_wanted_first,
		what_was_wanted_in_vain_is_not_wanted_at_the_next_connection,
		the_former_id_ends_when_all_is_told_under_the_next_one,
		a_change_that_is_refused_for_good_is_skipped, NULL});
}
