#include "config.h"

#include "link/globs_known.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "base/testing.h"
#include "link/globs_frame.h"

static struct globs_known *known;

static void
setup(void)
{
	known = globs_known_new();
}

static void
teardown(void)
{
	globs_known_free(known);
}

/* NULL-terminated globs. */
static bool
set(const char *id, const char *const *names, uint64_t now_us)
{
	struct buffer globs = {0};
	size_t count = 0;
	bool ok;

	for (; names[count] != NULL; count++)
		globs_put(&globs, slice_of(names[count]));
	ok = globs_known_set(known, slice_of(id), buffer_slice(&globs), count, 100, now_us);
	buffer_release(&globs);
	return ok;
}

#define SET(id, now_us, ...) ck_assert(set(id, (const char *const[]){__VA_ARGS__, NULL}, now_us))

static const char *
matched(const char *channel)
{
	static char text[256];
	struct slice ids[GLOBS_NODES_MAX];
	size_t count = globs_known_match(known, slice_of(channel), ids), len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%.*s ", (int)ids[i].len, ids[i].ptr);
	return text;
}

START_TEST(a_node_is_matched_once_by_any_of_its_globs)
{
	ck_assert_str_eq(matched("a"), "");
	SET("x", 0, "a*", "*b", "a*");
	SET("y", 0, "a?");
	ck_assert_str_eq(matched("ab"), "x y ");
	ck_assert_str_eq(matched("abc"), "x ");
	ck_assert_str_eq(matched("c"), "");
	ck_assert_uint_eq(globs_known_nodes(known), 2);
	SET("x", 0, "c");
	ck_assert_str_eq(matched("ab"), "y ");
	ck_assert_str_eq(matched("c"), "x ");
	ck_assert(set("x", (const char *const[]){NULL}, 0));
	ck_assert_str_eq(matched("c"), "");
	ck_assert_uint_eq(globs_known_nodes(known), 1);
}
END_TEST

START_TEST(a_lease_ends_unless_it_is_renewed)
{
	SET("x", 0, "a");
	SET("y", 50, "a");
	globs_known_expire(known, 99);
	ck_assert_str_eq(matched("a"), "x y ");
	globs_known_expire(known, 100);
	ck_assert_str_eq(matched("a"), "y ");
	SET("y", 120, "a");
	globs_known_expire(known, 219);
	ck_assert_str_eq(matched("a"), "y ");
	globs_known_renew(known, 200);
	globs_known_expire(known, 299);
	ck_assert_str_eq(matched("a"), "y ");
	globs_known_expire(known, 300);
	ck_assert_uint_eq(globs_known_nodes(known), 0);
}
END_TEST

START_TEST(one_node_too_many_is_refused)
{
	char id[16];

	for (int i = 0; i < GLOBS_NODES_MAX; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		SET(id, 0, "a");
	}
	ck_assert(!set("more", (const char *const[]){"a", NULL}, 0));
	ck_assert(set("more", (const char *const[]){NULL}, 0)); /* it has none */
	ck_assert(set("n7", (const char *const[]){NULL}, 0));
	SET("more", 0, "a");
}
END_TEST

#define NODES 6
#define GLOBS 4

/* Against a list of globs for each node. */
START_TEST(matches_are_those_of_the_lists)
{
	static const char *const pool[] = {
	    "*", "a", "a*", "?", "b*", "[ab]*", "*c", "ab", "", "a?c", "\\a", "b"};
	static const char *const names[] = {"a", "b", "ab", "abc", "c", "bc", "aac", ""};
	static const char *const ids[NODES] = {"0", "1", "2", "3", "4", "5"};
	const char *sets[NODES][GLOBS + 1] = {{NULL}};
	uint64_t until_us[NODES] = {0}, seed = 3, now_us = 0;

	for (int step = 0; step < testing_steps(20000); step++) {
		size_t node = testing_random(&seed) % NODES;
		size_t count = testing_random(&seed) % (GLOBS + 1);
		const char *name = names[testing_random(&seed) % 8];
		char expected[64] = "";

		now_us += testing_random(&seed) % 30;
		for (size_t i = 0; i < count; i++)
			sets[node][i] = pool[testing_random(&seed) % 12];
		sets[node][count] = NULL;
		until_us[node] = now_us + 100;
		ck_assert(set(ids[node], sets[node], now_us));
		globs_known_expire(known, now_us);
		for (size_t n = 0; n < NODES; n++) {
			bool matches = false;

			for (size_t i = 0; sets[n][i] != NULL && until_us[n] > now_us; i++)
				matches = matches ||
					  glob_match(slice_of(sets[n][i]), slice_of(name), false);
			if (until_us[n] <= now_us)
				sets[n][0] = NULL;
			if (matches) {
				strcat(expected, ids[n]);
				strcat(expected, " ");
			}
		}
		/* Places of nodes are in the order in which they came: compare as sets. */
		for (const char *c = matched(name); *c != '\0'; c++)
			ck_assert_ptr_nonnull(strchr(expected, *c));
		ck_assert_uint_eq(strlen(matched(name)), strlen(expected));
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/globs_known", setup, teardown,
	    (const TTest *[]){a_node_is_matched_once_by_any_of_its_globs,
		a_lease_ends_unless_it_is_renewed, one_node_too_many_is_refused,
		matches_are_those_of_the_lists, NULL});
}
