#include "config.h"

#include "token/base64url.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "token/testing_token.h"

static unsigned char out[BASE64URL_ROOM(1024)];
static size_t out_len;

static bool
decodes(const char *text)
{
	return base64url_decode(slice_of(text), out, &out_len);
}

START_TEST(vectors_of_rfc_4648_decode_without_their_padding)
{
	static const char *const vectors[][2] = {{"", ""}, {"Zg", "f"}, {"Zm8", "fo"},
	    {"Zm9v", "foo"}, {"Zm9vYg", "foob"}, {"Zm9vYmE", "fooba"}, {"Zm9vYmFy", "foobar"}};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		ck_assert(decodes(vectors[i][0]));
		ck_assert_uint_eq(out_len, strlen(vectors[i][1]));
		ck_assert_int_eq(memcmp(out, vectors[i][1], out_len), 0);
	}
}
END_TEST

START_TEST(the_two_characters_of_the_url_alphabet_decode)
{
	ck_assert(decodes("-_8"));
	ck_assert_uint_eq(out_len, 2);
	ck_assert_int_eq(out[0], 0xFB);
	ck_assert_int_eq(out[1], 0xFF);
}
END_TEST

START_TEST(other_characters_and_padding_are_refused)
{
	static const char *const texts[] = {
	    "Zg==", "Zg=", "Zm8=", "+/8", "Zm 9", "Zm9v\n", "Zm.v", "Zm9\xC3", "=", "Zg%3D"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(!decodes(texts[i]), "%s", texts[i]);
	ck_assert(!base64url_decode(SLICE("Zm9\0"), out, &out_len));
}
END_TEST

START_TEST(a_single_character_behind_a_group_is_refused)
{
	ck_assert(!decodes("Z"));
	ck_assert(!decodes("Zm9vY"));
}
END_TEST

START_TEST(bits_behind_the_last_byte_must_be_zero)
{
	ck_assert(decodes("Zg"));
	ck_assert(!decodes("Zh"));
	ck_assert(!decodes("Zv"));
	ck_assert(decodes("Zm8"));
	ck_assert(!decodes("Zm9"));
	ck_assert(!decodes("Zm-"));
}
END_TEST

START_TEST(random_bytes_of_each_length_come_back)
{
	uint64_t seed = 42;
	unsigned char bytes[300];

	for (size_t len = 0; len < sizeof(bytes); len++) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = (unsigned char)testing_random(&seed);
		char *text = testing_base64url(bytes, len);

		ck_assert(decodes(text));
		ck_assert_uint_eq(out_len, len);
		ck_assert_int_eq(memcmp(out, bytes, len), 0);
		xfree(text);
	}
}
END_TEST

int
main(void)
{
	return testing_main("token/base64url", NULL, NULL,
	    (const TTest *[]){vectors_of_rfc_4648_decode_without_their_padding,
		the_two_characters_of_the_url_alphabet_decode,
		other_characters_and_padding_are_refused,
		a_single_character_behind_a_group_is_refused,
		bits_behind_the_last_byte_must_be_zero, random_bytes_of_each_length_come_back,
		NULL});
}
