#include "config.h"

#include "base/prefix_tree.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct prefix_tree *tree;

static void
setup(void)
{
	tree = prefix_tree_new();
}

static char *
add(char *name)
{
	prefix_tree_add(tree, slice_of(name), name);
	return name;
}

static void
take_out(const char *name)
{
	ck_assert_str_eq(prefix_tree_remove(tree, slice_of(name)), name);
}

static void
append(void *value, void *arg)
{
	strcat(strcat(arg, value), " ");
}

/* The names that whole begins with, each with a blank behind it. */
static const char *
prefixes_of(const char *whole)
{
	static char found[256];

	found[0] = '\0';
	prefix_tree_each_prefix(tree, slice_of(whole), append, found);
	return found;
}

START_TEST(prefixes_of_a_string_are_found_the_shortest_first)
{
	char a[] = "a", abc[] = "abc", abd[] = "abd", b[] = "b";

	add(abc);
	add(a);
	add(abd);
	add(b);
	ck_assert_str_eq(prefixes_of("abcd"), "a abc ");
	ck_assert_str_eq(prefixes_of("abd"), "a abd ");
	ck_assert_str_eq(prefixes_of("ab"), "a ");
	ck_assert_str_eq(prefixes_of(""), "");
	ck_assert_str_eq(prefix_tree_shortest(tree, SLICE("abcd")), "a");
	ck_assert_ptr_null(prefix_tree_shortest(tree, SLICE("c")));
	take_out("a");
	ck_assert_str_eq(prefixes_of("abcd"), "abc ");
	take_out("abc");
	take_out("abd");
	take_out("b");
	ck_assert_uint_eq(prefix_tree_count(tree), 0);
	prefix_tree_free(tree);
}
END_TEST

START_TEST(the_empty_name_is_a_prefix_of_all)
{
	char empty[] = "", x[] = "x";

	add(x);
	add(empty);
	ck_assert_uint_eq(strlen(prefixes_of("xy")), 3); /* " x " */
	ck_assert_uint_eq(strlen(prefixes_of("")), 1);
	ck_assert_str_eq(prefix_tree_first(tree, SLICE("")), "");
	ck_assert_str_eq(prefix_tree_next(tree, SLICE("")), "x");
	take_out("");
	take_out("x");
	prefix_tree_free(tree);
}
END_TEST

/* The model: which of all strings of up to 4 letters of two are in the tree. */
enum { LETTERS = 2, LEN_MAX = 4, NAMES = 31 };

static struct {
	char text[LEN_MAX + 1];
	bool is_in;
} names[NAMES];

/* In the order of bytes. */
static void
make_names(void)
{
	size_t count = 0;

	for (unsigned code = 0; code < 81; code++) { /* each digit to base 3: none, a, b */
		char text[LEN_MAX + 1] = "";
		unsigned rest = code, divisor = 27, len = 0;
		bool ended = false, valid = true;

		for (; divisor > 0; rest %= divisor, divisor /= 3) {
			unsigned digit = rest / divisor;

			valid = valid && !(ended && digit > 0);
			ended = ended || digit == 0;
			if (digit > 0)
				text[len++] = digit == 1 ? 'a' : (char)0xff;
		}
		if (valid)
			memcpy(names[count++].text, text, sizeof(text));
	}
	ck_assert_uint_eq(count, NAMES);
}

static const char *
model_first(const char *start, size_t from)
{
	for (size_t i = from; i < NAMES; i++)
		if (names[i].is_in && strncmp(names[i].text, start, strlen(start)) == 0)
			return names[i].text;
	return NULL;
}

static void
check_name(size_t at)
{
	const char *name = names[at].text, *shortest = NULL;
	char expected[256] = "";

	for (size_t i = 0; i < NAMES; i++) {
		if (!names[i].is_in || strncmp(name, names[i].text, strlen(names[i].text)) != 0)
			continue;
		shortest = shortest != NULL ? shortest : names[i].text;
		strcat(strcat(expected, names[i].text), " ");
	}
	ck_assert_str_eq(prefixes_of(name), expected);
	ck_assert_ptr_eq(prefix_tree_shortest(tree, slice_of(name)), shortest);
	ck_assert_ptr_eq(
	    prefix_tree_get(tree, slice_of(name)), names[at].is_in ? names[at].text : NULL);
	ck_assert_ptr_eq(prefix_tree_first(tree, slice_of(name)), model_first(name, 0));
	ck_assert_ptr_eq(prefix_tree_next(tree, slice_of(name)), model_first("", at + 1));
}

START_TEST(random_changes_equal_the_model)
{
	uint64_t seed = 20261130;
	size_t count = 0;

	make_names();
	for (int n = 0; n < testing_steps(20000); n++) {
		size_t at = testing_random(&seed) % NAMES;

		if (names[at].is_in) {
			take_out(names[at].text);
			count--;
		} else {
			add(names[at].text);
			count++;
		}
		names[at].is_in = !names[at].is_in;
		ck_assert_uint_eq(prefix_tree_count(tree), count);
		check_name(testing_random(&seed) % NAMES);
	}
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].is_in)
			take_out(names[i].text);
	prefix_tree_free(tree);
}
END_TEST

int
main(void)
{
	return testing_main("base/prefix_tree", setup, NULL,
	    (const TTest *[]){prefixes_of_a_string_are_found_the_shortest_first,
		the_empty_name_is_a_prefix_of_all, random_changes_equal_the_model, NULL});
}
