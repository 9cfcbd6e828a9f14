#include "config.h"

#include "resp/inline.h"

#include <check.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"

static struct buffer heard;

static void
teardown(void)
{
	buffer_release(&heard);
}

/* Each argument goes to a block of the length of the rest, so that a sanitizer notices a byte too
 * many. */
static const char *
split(struct slice line)
{
	struct slice rest = line;
	enum resp_inline got;

	buffer_clear(&heard);
	for (;;) {
		char *room = xmalloc(rest.len);
		size_t len = 0;

		got = resp_inline_next(&rest, room, &len);
		if (got == RESP_INLINE_ARG) {
			buffer_append_str(&heard, "[");
			buffer_append_escaped(&heard, (struct slice){room, len});
			buffer_append_str(&heard, "]");
		}
		xfree(room);
		if (got != RESP_INLINE_ARG)
			break;
	}
	if (got == RESP_INLINE_UNBALANCED)
		buffer_append_str(&heard, "!");
	buffer_append(&heard, "", 1);
	return heard.ptr;
}

#define SPLITS(literal, expected) ck_assert_str_eq(split(SLICE(literal)), (expected))

START_TEST(words_lie_between_blanks)
{
	SPLITS("", "");
	SPLITS("  \t\v\f\r\n ", "");
	SPLITS("a", "[a]");
	SPLITS(" bind  127.0.0.1\t::1 ", "[bind][127.0.0.1][::1]");
	SPLITS("\va\vb\v c", "[a\\x0bb\\x0b][c]");
	SPLITS("\xff\x01 \x80", "[\\xff\\x01][\\x80]");
}
END_TEST

START_TEST(double_quotes_have_escapes)
{
	SPLITS("\"\"", "[]");
	SPLITS("\"a b\" c", "[a b][c]");
	SPLITS("\"\\n\\r\\t\\b\\a\\\"\\\\\\z\"", "[\\n\\r\\t\\b\\a\\\"\\\\z]");
	SPLITS("\"\\x00\\xfF\\xAb\"", "[\\x00\\xff\\xab]");
	SPLITS("\"\\x\\x1\\xg0\\X41\"", "[xx1xg0X41]");
	SPLITS("\"it's\"", "[it's]");
}
END_TEST

START_TEST(single_quotes_have_one_escape)
{
	SPLITS("''", "[]");
	SPLITS("'a \"b\"' c", "[a \\\"b\\\"][c]");
	SPLITS("'it\\'s'", "[it's]");
	SPLITS("'\\n\\x41\\\\ '", "[\\\\n\\\\x41\\\\\\\\ ]");
	SPLITS("'\\\\'", "!"); /* the second backslash escapes the quote */
}
END_TEST

START_TEST(a_quote_may_begin_in_a_word_and_ends_it)
{
	SPLITS("pre\"fix ed\" x", "[prefix ed][x]");
	SPLITS("a'b c'\td", "[ab c][d]");
	SPLITS("\"a\"\vb", "[a][b]");
}
END_TEST

START_TEST(what_is_not_closed_well_is_unbalanced)
{
	SPLITS("\"", "!");
	SPLITS("'", "!");
	SPLITS("a \"b", "[a]!");
	SPLITS("\"a\"b", "!");
	SPLITS("\"a\"'b'", "!");
	SPLITS("'a''b'", "!");
	SPLITS("\"a\\\"", "!");
	SPLITS("'a\\'", "!");
	SPLITS("\"a\\", "!");
	SPLITS("\"\\x4", "!");
	SPLITS("\"\\x41", "!");
}
END_TEST

int
main(void)
{
	return testing_main("resp/inline", NULL, teardown,
	    (const TTest *[]){words_lie_between_blanks, double_quotes_have_escapes,
		single_quotes_have_one_escape, a_quote_may_begin_in_a_word_and_ends_it,
		what_is_not_closed_well_is_unbalanced, NULL});
}
