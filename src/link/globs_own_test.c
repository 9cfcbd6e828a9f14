#include "config.h"

#include "link/globs_own.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "base/testing.h"
#include "link/globs_frame.h"

static struct globs_own *own;
static char early[1024];

static void
setup(void)
{
	own = globs_own_new();
	early[0] = '\0';
}

static void
teardown(void)
{
	globs_own_free(own);
}

static void
on_early(void *arg, struct slice glob)
{
	ck_assert_ptr_eq(arg, &own);
	snprintf(
	    early + strlen(early), sizeof(early) - strlen(early), "%.*s ", (int)glob.len, glob.ptr);
}

static void
add(const char *glob)
{
	globs_own_add(own, slice_of(glob));
}

static void
leave(const char *glob, uint64_t until_us)
{
	globs_own_remove(own, slice_of(glob), until_us);
}

static bool
need(const char *glob)
{
	return globs_own_need(own, slice_of(glob), 100);
}

static void
acknowledge(void)
{
	globs_own_acknowledged(own, on_early, &own);
}

static const char *
set(void)
{
	static char text[65536];
	size_t count, len = 0;
	struct slice globs = globs_own_set(own, &count), glob;

	text[0] = '\0';
	for (; globs_next(&globs, &glob); count--)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%.*s ", (int)glob.len, glob.ptr);
	ck_assert_uint_eq(count, 0);
	return text;
}

/* Tells what has changed, if it has, and the others acknowledge it. */
static void
tell_all(void)
{
	enum globs_change change = globs_own_change(own, true);

	if (change == GLOBS_SAME)
		return;
	globs_own_tell(own, change == GLOBS_MORE);
	if (change == GLOBS_MORE)
		acknowledge();
}

START_TEST(a_pattern_is_in_force_when_its_set_is_acknowledged)
{
	ck_assert_int_eq(globs_own_change(own, true), GLOBS_SAME);
	ck_assert(!need("a*"));
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_MORE);
	ck_assert_str_eq(set(), "a* ");
	globs_own_tell(own, true);
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_SAME);
	ck_assert(!need("a*"));
	ck_assert(!need("b"));
	acknowledge();
	ck_assert(need("a*"));
	ck_assert(!need("b"));
	add("a*");
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_MORE);
	globs_own_tell(own, true);
	acknowledge();
	ck_assert(need("b"));
	ck_assert_str_eq(early, "");
}
END_TEST

START_TEST(subscribers_that_were_early_are_named_once)
{
	add("a");
	need("b");
	tell_all();
	ck_assert_str_eq(early, "a ");
	add("b");
	globs_own_lose(own);
	ck_assert(!need("a"));
	(void)globs_own_change(own, true);
	globs_own_tell(own, true);
	acknowledge();
	ck_assert_str_eq(early, "a a b ");
	ck_assert(need("a"));
}
END_TEST

START_TEST(patterns_without_subscribers_stay_for_a_while)
{
	add("a");
	add("b");
	tell_all();
	leave("a", 50);
	globs_own_expire(own, 49);
	ck_assert_int_eq(globs_own_change(own, true), GLOBS_SAME);
	globs_own_expire(own, 50);
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_FEWER);
	ck_assert_str_eq(set(), "b ");
	globs_own_tell(own, false);
	ck_assert(need("b"));
	leave("b", 60);
	globs_own_expire(own, 70); /* somebody needs it until 100 */
	ck_assert_uint_eq(globs_own_count(own), 1);
	globs_own_expire(own, 100);
	ck_assert_uint_eq(globs_own_count(own), 0);
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_FEWER);
	ck_assert_str_eq(set(), "");
}
END_TEST

START_TEST(what_nobody_has_heard_is_told_again)
{
	add("a");
	(void)globs_own_change(own, false);
	globs_own_tell(own, true);
	globs_own_unheard(own);
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_MORE);
	globs_own_tell(own, true);
	acknowledge();
	ck_assert(need("a"));
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_SAME);
}
END_TEST

START_TEST(many_patterns_become_their_beginnings)
{
	char glob[32];
	size_t count;

	for (int i = 0; i < 2000; i++) {
		snprintf(glob, sizeof(glob), "user:%d:*", i);
		add(glob);
	}
	add("x?");
	tell_all();
	(void)globs_own_set(own, &count);
	ck_assert_uint_le(count, GLOBS_MAX / 2);
	ck_assert_ptr_nonnull(strstr(set(), "user:1"));
	ck_assert_ptr_nonnull(strstr(set(), "x* "));
	/* Others that these cover change nothing, and are in force at once. */
	ck_assert(!need("user:55x"));
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_SAME);
	ck_assert(need("user:55x"));
	ck_assert(!need("z"));
	ck_assert_int_eq(globs_own_change(own, false), GLOBS_MORE);
}
END_TEST

START_TEST(a_long_pattern_becomes_its_beginning)
{
	struct buffer glob = {0};

	for (int i = 0; i <= GLOBS_BYTES_MAX; i++)
		buffer_append(&glob, "a", 1);
	globs_own_add(own, buffer_slice(&glob));
	tell_all();
	ck_assert_uint_eq(strlen(set()), 62 + 2); /* bytes, * and a space */
	buffer_release(&glob);
	add("");
	add("*");
	tell_all();
	ck_assert_str_eq(set(), "*  ");
}
END_TEST

static bool
set_matches(struct slice channel)
{
	size_t count;
	struct slice globs = globs_own_set(own, &count), glob;

	while (globs_next(&globs, &glob))
		if (glob_match(glob, channel, false))
			return true;
	return false;
}

#define NAMES 600

/* Any operations: what is in force is covered by the set that was told, whose size has bounds. */
START_TEST(sets_cover_all_patterns_that_are_in_force)
{
	static bool has[NAMES];
	uint64_t seed = 5, now_us = 0;
	char name[64];
	size_t count;

	for (int step = 0; step < testing_steps(30000); step++) {
		size_t i = testing_random(&seed) % NAMES;
		int len = snprintf(name, sizeof(name), "%c:%zu", (char)('a' + i % 7), i * i);
		struct slice channel = {name, (size_t)len}, glob;
		size_t bytes;

		if (i % 3 == 0)
			name[len++] = '*';
		glob = (struct slice){name, (size_t)len};
		now_us++;
		switch (testing_random(&seed) % 8) {
		case 0:
			globs_own_add(own, glob);
			has[i] = true;
			break;
		case 1:
			globs_own_remove(own, glob, now_us + 20);
			has[i] = false;
			break;
		case 2:
			if (globs_own_need(own, glob, now_us + 30))
				ck_assert(set_matches(channel));
			break;
		case 3:
			globs_own_expire(own, now_us);
			break;
		case 4:
			if (testing_random(&seed) % 50 != 0)
				break;
			globs_own_lose(own);
			(void)globs_own_change(own, true);
			globs_own_tell(own, true);
			acknowledge();
			break;
		default:
			tell_all();
			ck_assert(!has[i] || globs_own_need(own, glob, 0));
			ck_assert(!has[i] || set_matches(channel));
			(void)globs_own_set(own, &count);
			bytes = strlen(set());
			ck_assert_uint_le(count, GLOBS_MAX);
			ck_assert_uint_le(bytes, GLOBS_BYTES_MAX + count);
			break;
		}
		early[0] = '\0';
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/globs_own", setup, teardown,
	    (const TTest *[]){a_pattern_is_in_force_when_its_set_is_acknowledged,
		subscribers_that_were_early_are_named_once,
		patterns_without_subscribers_stay_for_a_while, what_nobody_has_heard_is_told_again,
		many_patterns_become_their_beginnings, a_long_pattern_becomes_its_beginning,
		sets_cover_all_patterns_that_are_in_force, NULL});
}
