#include "config.h"

#include "base/glob.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "base/testing_glob.h"

/* Both as string literals, so that NUL may be in them. */
#define MATCHES(pattern, text) glob_match(SLICE(pattern), SLICE(text), false)
#define MATCHES_NOCASE(pattern, text) glob_match(SLICE(pattern), SLICE(text), true)

static const struct {
	struct slice pattern, text;
	bool matches;
} table[] = {
#define GLOB(pattern, text, matches)                                                               \
	{{pattern, sizeof(pattern) - 1}, {text, sizeof(text) - 1}, matches},
#include "base/testing_glob.def"
#undef GLOB
};

START_TEST(each_row_of_the_table_of_globs_is_true)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (glob_match(table[i].pattern, table[i].text, false) != table[i].matches)
			ck_abort_msg("row %zu: %s", i + 1, table[i].pattern.ptr);
}
END_TEST

START_TEST(without_case_letters_are_folded_but_not_escaped_members)
{
	ck_assert(MATCHES_NOCASE("NeWs*", "nEwS!"));
	ck_assert(MATCHES_NOCASE("\\N", "n"));
	ck_assert(MATCHES_NOCASE("[N]", "n"));
	ck_assert(!MATCHES_NOCASE("[\\N]", "n"));
	ck_assert(MATCHES_NOCASE("[A-C]", "b"));
	ck_assert(!MATCHES_NOCASE("\xc3", "\xe3"));
}
END_TEST

START_TEST(without_case_the_ends_of_a_range_are_folded_once_they_are_in_order)
{
	ck_assert(!MATCHES_NOCASE("[Z-a]", "z"));
	ck_assert(!MATCHES_NOCASE("[a-Z]", "m"));
	ck_assert(MATCHES_NOCASE("[A-z]", "m"));
	ck_assert(MATCHES("[Z-a]", "Z"));
}
END_TEST

START_TEST(a_pattern_is_wild_if_it_has_a_token_that_is_no_literal)
{
	ck_assert(glob_is_wild(SLICE("a*")));
	ck_assert(glob_is_wild(SLICE("a?")));
	ck_assert(glob_is_wild(SLICE("[a]")));
	ck_assert(glob_is_wild(SLICE("\\\\*")));
	ck_assert(!glob_is_wild(SLICE("")));
	ck_assert(!glob_is_wild(SLICE("a\\*b\\")));
	ck_assert(!glob_is_wild(SLICE("\\[a]")));
}
END_TEST

static bool
set_has(const struct glob_token *token, unsigned char c)
{
	return token->set[c / 64] >> (c % 64) & 1;
}

START_TEST(tokens_are_read_one_after_another)
{
	struct slice pattern = SLICE("a\\*?[^b-d]*[x");
	static const enum glob_kind kinds[] = {
	    GLOB_LITERAL, GLOB_LITERAL, GLOB_ANY, GLOB_CLASS, GLOB_STAR, GLOB_CLASS};
	static const size_t lens[] = {1, 2, 1, 6, 1, 2};
	struct glob_token tokens[6];

	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(glob_next(pattern, &tokens[i]), lens[i]);
		ck_assert_int_eq(tokens[i].kind, kinds[i]);
		pattern.ptr += lens[i];
		pattern.len -= lens[i];
	}
	ck_assert_uint_eq(pattern.len, 0);
	ck_assert_int_eq(tokens[0].literal, 'a');
	ck_assert_int_eq(tokens[1].literal, '*');
	ck_assert(set_has(&tokens[3], 'a') && !set_has(&tokens[3], 'b'));
	ck_assert(!set_has(&tokens[3], 'd') && set_has(&tokens[3], 'e'));
	ck_assert(set_has(&tokens[3], 0) && set_has(&tokens[3], 255));
	ck_assert(set_has(&tokens[5], 'x') && !set_has(&tokens[5], 'y'));
}
END_TEST

START_TEST(many_stars_cost_no_more_than_pattern_times_text)
{
	static char pattern[40001], text[60000];

	for (size_t i = 0; i + 1 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 1] = 'b';
	memset(text, 'a', sizeof(text));
	/* Trying all combinations would practically never end. */
	ck_assert(!glob_match(
	    (struct slice){pattern, sizeof(pattern)}, (struct slice){text, sizeof(text)}, false));
	text[sizeof(text) - 1] = 'b';
	ck_assert(glob_match(
	    (struct slice){pattern, sizeof(pattern)}, (struct slice){text, sizeof(text)}, false));
}
END_TEST

static struct slice
random_text(uint64_t *seed, struct slice alphabet, char *room, size_t max_len)
{
	size_t len = testing_random(seed) % (max_len + 1);

	for (size_t i = 0; i < len; i++)
		room[i] = alphabet.ptr[testing_random(seed) % alphabet.len];
	return (struct slice){room, len};
}

START_TEST(random_pairs_match_as_in_a_plain_recursive_matcher)
{
	const struct slice alphabets[] = {SLICE("ab*?"), SLICE("ab*?[]^-\\"),
	    SLICE("a[]^-\\\0\x80\xff"), SLICE("aAzZ[]^-\\*"), SLICE("ab*?[]^-\\\0\x7f\x80\xff")};
	uint64_t seed = 2024, matched = 0;
	char pattern_room[10], text_room[6];

	for (int i = 0; i < 2000000; i++) {
		struct slice alphabet = alphabets[i % 5];
		struct slice pattern =
		    random_text(&seed, alphabet, pattern_room, sizeof(pattern_room));
		struct slice text = random_text(&seed, alphabet, text_room, sizeof(text_room));
		bool nocase = i % 3 == 0, expected = testing_glob(pattern, text, nocase);

		if (glob_match(pattern, text, nocase) != expected)
			ck_abort_msg("pair %d: %s expected", i, expected ? "a match" : "no match");
		matched += expected;
	}
	/* The random input gives many matches and many mismatches. */
	ck_assert_uint_gt(matched, 50000);
	ck_assert_uint_lt(matched, 1950000);
}
END_TEST

int
main(void)
{
	return testing_main("base/glob", NULL, NULL,
	    (const TTest *[]){each_row_of_the_table_of_globs_is_true,
		without_case_letters_are_folded_but_not_escaped_members,
		without_case_the_ends_of_a_range_are_folded_once_they_are_in_order,
		a_pattern_is_wild_if_it_has_a_token_that_is_no_literal,
		tokens_are_read_one_after_another, many_stars_cost_no_more_than_pattern_times_text,
		random_pairs_match_as_in_a_plain_recursive_matcher, NULL});
}
