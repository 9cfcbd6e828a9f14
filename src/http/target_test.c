#include "config.h"

#include "http/target.h"

#include <check.h>

#include "base/testing.h"

static void
expect_slice(struct slice s, const char *expected)
{
	ck_assert_msg(slice_is(s, expected), "%.*s, not %s", (int)s.len, s.ptr, expected);
}

static void
expect_split(const char *target, const char *path, const char *query)
{
	struct http_target split = http_split_target(slice_of(target));

	expect_slice(split.path, path);
	expect_slice(split.query, query);
}

START_TEST(target_is_split_at_its_first_question_mark)
{
	expect_split("/a/b?c=d?e", "/a/b", "c=d?e");
	expect_split("/a", "/a", "");
	expect_split("/?", "/", "");
	expect_split("*", "*", "");
}
END_TEST

START_TEST(pairs_have_names_and_values)
{
	struct slice rest = SLICE("&a=1&&b&=c&d=e=f&"), name, value;
	const char *expected[] = {"a", "1", "b", "", "", "c", "d", "e=f"};

	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i += 2) {
		ck_assert(http_next_pair(&rest, &name, &value));
		expect_slice(name, expected[i]);
		expect_slice(value, expected[i + 1]);
	}
	ck_assert(!http_next_pair(&rest, &name, &value));
	ck_assert(!http_next_pair(&rest, &name, &value));
}
END_TEST

START_TEST(path_has_segments)
{
	struct slice path = SLICE("/sse//a%2fb/"), segment;
	const char *expected[] = {"sse", "", "a%2fb", ""};

	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		ck_assert(http_next_segment(&path, &segment));
		expect_slice(segment, expected[i]);
	}
	ck_assert(!http_next_segment(&path, &segment));
	path = SLICE("a/b");
	ck_assert(!http_next_segment(&path, &segment));
}
END_TEST

static void
expect_decoded(struct slice s, unsigned flags, struct slice expected)
{
	char out[64];
	size_t len;

	ck_assert_uint_le(s.len, sizeof(out));
	ck_assert(http_unescape(s, flags, out, &len));
	ck_assert(slice_eq((struct slice){out, len}, expected));
}

START_TEST(escapes_are_decoded)
{
	expect_decoded(SLICE(""), 0, SLICE(""));
	expect_decoded(SLICE("a+b%2Bc%2bd%2f%ff%01"), HTTP_PATH, SLICE("a+b+c+d/\xff\x01"));
	expect_decoded(SLICE("a+b%2Bc"), HTTP_FORM, SLICE("a b+c"));
	expect_decoded(SLICE("%2541"), HTTP_FORM, SLICE("%41"));
	expect_decoded(SLICE("a%2E/%2e"), HTTP_ONE_SEGMENT, SLICE("a./."));
}
END_TEST

START_TEST(invalid_escapes_are_refused)
{
	const char *invalid[] = {
	    "%", "a%4", "%zz", "%4z", "%%41", "% 41", "%-1", "a%00b", "%u0041"};
	char out[16];
	size_t len;

	for (size_t i = 0; i < sizeof(invalid) / sizeof(*invalid); i++)
		ck_assert(!http_unescape(slice_of(invalid[i]), HTTP_FORM, out, &len));
	ck_assert(!http_unescape(SLICE("a%2Fb"), HTTP_ONE_SEGMENT, out, &len));
	ck_assert(!http_unescape(SLICE("a%2fb"), HTTP_ONE_SEGMENT, out, &len));
}
END_TEST

int
main(void)
{
	return testing_main("http/target", NULL, NULL,
	    (const TTest *[]){target_is_split_at_its_first_question_mark,
		pairs_have_names_and_values, path_has_segments, escapes_are_decoded,
		invalid_escapes_are_refused, NULL});
}
