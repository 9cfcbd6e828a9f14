#include "config.h"

#include "rdb/crc64.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static struct crc64 crc64;

static void
setup(void)
{
	crc64_init(&crc64);
}

/* The vector is the one of crc64.c in Redis. */
START_TEST(checksum_is_the_one_of_redis)
{
	ck_assert(crc64_add(&crc64, 0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
	ck_assert(crc64_add(&crc64, 0, "", 0) == 0);
}
END_TEST

START_TEST(pieces_give_the_same_checksum_as_the_whole)
{
	static const char text[] = "This is a test of the emergency broadcast system.";
	size_t len = strlen(text);
	uint64_t whole = crc64_add(&crc64, 0, text, len);

	for (size_t cut = 0; cut <= len; cut++) {
		uint64_t first = crc64_add(&crc64, 0, text, cut);

		ck_assert(crc64_add(&crc64, first, text + cut, len - cut) == whole);
	}
}
END_TEST

START_TEST(eight_bytes_at_once_give_the_same_as_one_by_one)
{
	unsigned char bytes[300];
	uint64_t state = 7, one_by_one = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)testing_random(&state);
	for (size_t i = 0; i < sizeof(bytes); i++)
		one_by_one = crc64_add(&crc64, one_by_one, bytes + i, 1);
	ck_assert(crc64_add(&crc64, 0, bytes, sizeof(bytes)) == one_by_one);
}
END_TEST

int
main(void)
{
	return testing_main("rdb/crc64", setup, NULL,
	    (const TTest *[]){checksum_is_the_one_of_redis,
		pieces_give_the_same_checksum_as_the_whole,
		eight_bytes_at_once_give_the_same_as_one_by_one, NULL});
}
