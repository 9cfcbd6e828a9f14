#include "config.h"

#include "base/siphash.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static unsigned char input[512];

/* Bytes 0, 1, 2 and so on, as in the paper's own examples. */
static void
setup(void)
{
	size_t i;

	for (i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
}

/* Key 00 01 .. 0f, input of 0 to 63 bytes: the test vectors of Rust's standard library. */
START_TEST(every_length_up_to_eight_words_has_its_known_value)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const uint64_t expected[64] = {
	    0xabac0158050fc4dc,
	    0xc9f49bf37d57ca93,
	    0x82cb9b024dc7d44d,
	    0x8bf80ab8e7ddf7fb,
	    0xcf75576088d38328,
	    0xdef9d52f49533b67,
	    0xc50d2b50c59f22a7,
	    0xd3927d989bb11140,
	    0x369095118d299a8e,
	    0x25a48eb36c063de4,
	    0x79de85ee92ff097f,
	    0x70c118c1f94dc352,
	    0x78a384b157b4d9a2,
	    0x306f760c1229ffa7,
	    0x605aa111c0f95d34,
	    0xd320d86d2a519956,
	    0xcc4fdd1a7d908b66,
	    0x9cf2689063dbd80c,
	    0x8ffc389cb473e63e,
	    0xf21f9de58d297d1c,
	    0xc0dc2f46a6cce040,
	    0xb992abfe2b45f844,
	    0x7ffe7b9ba320872e,
	    0x525a0e7fdae6c123,
	    0xf464aeb267349c8c,
	    0x45cd5928705b0979,
	    0x3a3e35e3ca9913a5,
	    0xa91dc74e4ade3b35,
	    0xfb0bed02ef6cd00d,
	    0x88d93cb44ab1e1f4,
	    0x540f11d643c5e663,
	    0x2370dd1f8c21d1bc,
	    0x81157b6c16a7b60d,
	    0x4d54b9e57a8ff9bf,
	    0x759f12781f2a753e,
	    0xcea1a3bebf186b91,
	    0x2cf508d3ada26206,
	    0xb6101c2da3c33057,
	    0xb3f47496ae3a36a1,
	    0x626b57547b108392,
	    0xc1d2363299e41531,
	    0x667cc1923f1ad944,
	    0x65704ffec8138825,
	    0x24f280d1c28949a6,
	    0xc2ca1cedfaf8876b,
	    0xc2164bfc9f042196,
	    0xa16e9c9368b1d623,
	    0x49fb169c8b5114fd,
	    0x9f3143f8df074c46,
	    0xc6fdaf2412cc86b3,
	    0x7eaf49d10a52098f,
	    0x1cf313559d292f9a,
	    0xc44a30dda2f41f12,
	    0x36fae98943a71ed0,
	    0x318fb34c73f0bce6,
	    0xa27abf3670a7e980,
	    0xb4bcc0db243c6d75,
	    0x23f8d852fdb71513,
	    0x8f035f4da67d8a08,
	    0xd89cd0e5b7e8f148,
	    0xf6f4e6bcf7a644ee,
	    0xaec59ad80f1837f2,
	    0xc3b2f6154b6694e0,
	    0x9d199062b7bbb3a8,
	};
	size_t len;

	for (len = 0; len < 64; len++)
		ck_assert_uint_eq(siphash(key, input, len), expected[len]);
}
END_TEST

/* CPython hashes bytes with SipHash-1-3 too; with PYTHONHASHSEED=0 its key is zero. */
START_TEST(the_values_are_those_of_another_implementation)
{
	static const uint64_t key[2] = {0, 0};
	static const struct {
		size_t len;
		uint64_t hash;
	} expected[] = {{1, 0x68a914128e01e473}, {2, 0x010bac45c41e3669}, {7, 0x2f098ab0c751325a},
	    {8, 0xead411e67ebe2eea}, {9, 0x75927f9d95124362}, {15, 0xf30eb725bb91c9ea},
	    {16, 0x8972188433a5c5b7}, {63, 0x385d3e39e5f37359}, {64, 0x75e05fd5bbc870c6},
	    {255, 0x5dc1f93ea135eb43}, {256, 0x31ae646afba70308}};
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		ck_assert_uint_eq(siphash(key, input, expected[i].len), expected[i].hash);
}
END_TEST

START_TEST(the_place_of_the_bytes_in_memory_does_not_matter)
{
	static const uint64_t key[2] = {1, 2};
	unsigned char moved[64 + 8];
	uint64_t expected = siphash(key, input, 64);
	size_t offset;

	for (offset = 0; offset < 8; offset++) {
		memcpy(moved + offset, input, 64);
		ck_assert_uint_eq(siphash(key, moved + offset, 64), expected);
	}
}
END_TEST

START_TEST(each_half_of_the_key_changes_the_value)
{
	uint64_t plain = siphash((const uint64_t[2]){0, 0}, input, 20);

	ck_assert_uint_ne(siphash((const uint64_t[2]){1, 0}, input, 20), plain);
	ck_assert_uint_ne(siphash((const uint64_t[2]){0, 1}, input, 20), plain);
}
END_TEST

START_TEST(the_key_of_the_process_is_set_before_its_first_use_and_never_again)
{
	uint64_t key[2] = {3, 4};

	ck_assert(siphash_set_process_key(key));
	key[0] = 5;
	ck_assert_uint_eq(siphash_process_key()[0], 3);
	ck_assert_uint_eq(siphash_process_key()[1], 4);
	ck_assert(!siphash_set_process_key(key));
	ck_assert_uint_eq(siphash_process_key()[0], 3);
}
END_TEST

int
main(void)
{
	return testing_main("base/siphash", setup, NULL,
	    (const TTest *[]){every_length_up_to_eight_words_has_its_known_value,
		the_values_are_those_of_another_implementation,
		the_place_of_the_bytes_in_memory_does_not_matter,
		each_half_of_the_key_changes_the_value,
		the_key_of_the_process_is_set_before_its_first_use_and_never_again, NULL});
}
