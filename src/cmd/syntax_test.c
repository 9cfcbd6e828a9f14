#include "config.h"

#include "cmd/syntax.h"

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/table.h"

/*
 * Writes the tree as text: T(token) is a token; ?, + and * mark what is optional, may be repeated,
 * and is repeated with its token.
 */
static void
write_out(const struct syntax *list, struct buffer *out)
{
	for (; list != NULL; list = list->next) {
		if (list->token.ptr != NULL)
			buffer_appendf(out, "%.*s=", (int)list->token.len, list->token.ptr);
		if (list->kind == SYNTAX_ARGUMENT)
			buffer_append_slice(out, list->name);
		if (list->children != NULL) {
			buffer_append_str(out, list->kind == SYNTAX_ONEOF ? "one(" : "all(");
			write_out(list->children, out);
			buffer_append_str(out, ")");
		}
		buffer_append_str(out, list->optional ? "?" : "");
		buffer_append_str(out, list->multiple_token ? "*" : list->multiple ? "+" : "");
		buffer_append_str(out, list->next != NULL ? " " : "");
	}
}

static void
assert_parses(const char *text, const char *expected)
{
	struct syntax *list = syntax_parse(text);
	struct buffer out = {0};

	write_out(list, &out);
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, expected);
	buffer_release(&out);
	syntax_free(list);
}

START_TEST(no_arguments_are_an_empty_list)
{
	ck_assert_ptr_null(syntax_parse(""));
}
END_TEST

START_TEST(words_are_arguments_and_capitals_are_tokens)
{
	assert_parses("channel message", "channel message");
	assert_parses("YES", "YES=");
	assert_parses("[COUNT count] key", "COUNT=count? key");
}
END_TEST

START_TEST(alternatives_reach_to_the_brackets)
{
	assert_parses("ON | OFF", "one(ON= OFF=)");
	assert_parses("timeout [WRITE | ALL]", "timeout one(WRITE= ALL=)?");
	assert_parses("A a b | c", "one(all(A=a b) c)");
	assert_parses("[TYPE <NORMAL | PUBSUB>]", "TYPE=one(NORMAL= PUBSUB=)?");
}
END_TEST

START_TEST(a_repeating_bracket_makes_what_stands_before_it_multiple)
{
	assert_parses("channel [channel ...]", "channel+");
	assert_parses("[channel [channel ...]]", "channel?+");
	assert_parses("name value [name value ...]", "all(name value)+");
	assert_parses("x name value [name value ...]", "x all(name value)+");
	assert_parses("[ID id [id ...]]", "ID=id?+");
	assert_parses("[PREFIX p [PREFIX p ...]]", "PREFIX=p?*");
}
END_TEST

START_TEST(a_repeating_bracket_without_a_beginning_is_itself_multiple)
{
	assert_parses("command [arg ...]", "command arg?+");
	assert_parses("<[A a] [B b] ...>", "all(A=a? B=b?)+");
}
END_TEST

START_TEST(the_syntax_of_every_command_can_be_read)
{
	size_t i;

	for (i = 0; i < cmd_table()->count; i++) {
		struct syntax *list = syntax_parse(cmd_table()->rows[i].syntax);

		ck_assert((list == NULL) == (cmd_table()->rows[i].syntax[0] == '\0'));
		syntax_free(list);
	}
}
END_TEST

int
main(void)
{
	return testing_main("cmd/syntax", NULL, NULL,
	    (const TTest *[]){no_arguments_are_an_empty_list,
		words_are_arguments_and_capitals_are_tokens, alternatives_reach_to_the_brackets,
		a_repeating_bracket_makes_what_stands_before_it_multiple,
		a_repeating_bracket_without_a_beginning_is_itself_multiple,
		the_syntax_of_every_command_can_be_read, NULL});
}
