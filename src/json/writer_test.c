#include "config.h"

#include "json/writer.h"

#include <string.h>

#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

#define ASSERT_OUT(text)                                                                           \
	do {                                                                                       \
		ck_assert_uint_eq(out.len, strlen(text));                                          \
		ck_assert_mem_eq(out.ptr, text, strlen(text));                                     \
		buffer_clear(&out);                                                                \
	} while (0)

START_TEST(plain_text_stands_as_it_is)
{
	json_put_string(&out, SLICE("hello, world/é€😀\x7f"));
	ASSERT_OUT("\"hello, world/é€😀\x7f\"");
	json_put_string(&out, (struct slice){NULL, 0});
	ASSERT_OUT("\"\"");
}
END_TEST

START_TEST(quotes_backslashes_and_controls_are_escaped)
{
	json_put_string(&out, SLICE("\"a\\b\"\n\r\t\b\f\x1f\0z"));
	ASSERT_OUT("\"\\\"a\\\\b\\\"\\n\\r\\t\\u0008\\u000c\\u001f\\u0000z\"");
}
END_TEST

START_TEST(base64_pads_to_four)
{
	/* RFC 4648, section 10 */
	json_put_base64(&out, SLICE(""));
	ASSERT_OUT("\"\"");
	json_put_base64(&out, SLICE("f"));
	ASSERT_OUT("\"Zg==\"");
	json_put_base64(&out, SLICE("fo"));
	ASSERT_OUT("\"Zm8=\"");
	json_put_base64(&out, SLICE("foobar"));
	ASSERT_OUT("\"Zm9vYmFy\"");
	json_put_base64(&out, SLICE("\xff\xfe\xfb\x00"));
	ASSERT_OUT("\"//77AA==\"");
}
END_TEST

START_TEST(a_member_says_in_its_name_that_it_is_base64)
{
	json_put_member(&out, "payload", SLICE("x"));
	ASSERT_OUT("\"payload\":\"x\"");
	json_put_member(&out, "payload", SLICE("\xff"));
	ASSERT_OUT("\"payload_base64\":\"/w==\"");
}
END_TEST

int
main(void)
{
	return testing_main("json/writer", NULL, teardown,
	    (const TTest *[]){plain_text_stands_as_it_is,
		quotes_backslashes_and_controls_are_escaped, base64_pads_to_four,
		a_member_says_in_its_name_that_it_is_base64, NULL});
}
