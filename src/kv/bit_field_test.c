#include "config.h"

#include "kv/bit_field.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/testing.h"

#define BYTES 24

static struct random source;

static void
setup(void)
{
	random_seed(&source, 1);
}

static void
fill(void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)to)[i] = (unsigned char)random_next(&source);
}

static struct bit_field
field_of(char sign, unsigned bits, uint64_t offset)
{
	return (struct bit_field){.offset = offset, .bits = bits, .is_signed = sign == 'i'};
}

/* The model: bit by bit. */
static int
model_bit(const char *text, size_t bit)
{
	return (unsigned char)text[bit / 8] >> (7 - bit % 8) & 1;
}

static int64_t
model_get(const char *text, const struct bit_field *field)
{
	uint64_t raw = field->is_signed && model_bit(text, field->offset) ? UINT64_MAX : 0;

	for (unsigned i = 0; i < field->bits; i++)
		raw = raw << 1 | (uint64_t)model_bit(text, field->offset + i);
	return (int64_t)raw;
}

static struct bit_field
random_field(void)
{
	bool is_signed = random_below(&source, 2) != 0;
	unsigned bits = 1 + (unsigned)random_below(&source, is_signed ? 64 : 63);

	return field_of(is_signed ? 'i' : 'u', bits, random_below(&source, BYTES * 8 - bits + 1));
}

START_TEST(a_field_is_read_as_its_bits_say)
{
	char text[BYTES];

	for (int i = 0; i < 20000; i++) {
		struct bit_field field = random_field();

		fill(text, sizeof(text));
		ck_assert_int_eq(bit_field_get((struct slice){text, sizeof(text)}, &field),
		    model_get(text, &field));
	}
}
END_TEST

START_TEST(what_was_put_is_read_and_no_other_bit_changes)
{
	char text[BYTES], was[BYTES];

	for (int i = 0; i < 20000; i++) {
		struct bit_field field = random_field();
		int64_t value;

		fill(text, sizeof(text));
		fill(&value, sizeof(value));
		memcpy(was, text, sizeof(was));
		bit_field_put(text, &field, value);
		ck_assert(bit_field_add(&field, BIT_OVERFLOW_WRAP, value, 0, &value));
		ck_assert_int_eq(bit_field_get((struct slice){text, sizeof(text)}, &field), value);
		for (size_t bit = 0; bit < BYTES * 8; bit++)
			if (bit < field.offset || bit >= field.offset + field.bits)
				ck_assert_int_eq(model_bit(text, bit), model_bit(was, bit));
	}
}
END_TEST

START_TEST(bits_behind_the_end_are_zero)
{
	struct bit_field across = field_of('u', 16, 4), behind = field_of('i', 64, 8),
			 far = field_of('u', 8, (uint64_t)1 << 40);

	ck_assert_int_eq(bit_field_get(SLICE("\xff"), &across), 0xf000);
	ck_assert_int_eq(bit_field_get(SLICE("\xff"), &behind), 0);
	ck_assert_int_eq(bit_field_get(SLICE(""), &far), 0);
}
END_TEST

/* The result of bit_field_add, or -999 if it is refused. */
static int64_t
added(const char *type, enum bit_overflow overflow, int64_t value, int64_t incr)
{
	struct bit_field field = field_of(type[0], (unsigned)atoi(type + 1), 0);
	int64_t result;

	return bit_field_add(&field, overflow, value, incr, &result) ? result : -999;
}

START_TEST(a_sum_that_fits_is_the_same_whatever_the_policy)
{
	for (int overflow = BIT_OVERFLOW_WRAP; overflow <= BIT_OVERFLOW_FAIL; overflow++) {
		ck_assert_int_eq(added("u8", (enum bit_overflow)overflow, 250, 5), 255);
		ck_assert_int_eq(added("u8", (enum bit_overflow)overflow, 250, -250), 0);
		ck_assert_int_eq(added("i8", (enum bit_overflow)overflow, 120, 7), 127);
		ck_assert_int_eq(added("i8", (enum bit_overflow)overflow, -120, -8), -128);
		ck_assert_int_eq(
		    added("i64", (enum bit_overflow)overflow, INT64_MAX, INT64_MIN), -1);
	}
}
END_TEST

START_TEST(a_sum_that_does_not_fit_wraps_saturates_or_is_refused)
{
	static const struct {
		const char *type;
		int64_t value, incr, wrapped, saturated;
	} cases[] = {
	    {"u8", 250, 6, 0, 255}, {"u8", 3, -4, 255, 0}, {"u1", 1, 1, 0, 1},
	    {"u63", INT64_MAX, 1, 0, INT64_MAX}, {"u63", 0, INT64_MIN, 0, 0},
	    {"u63", INT64_MAX, INT64_MAX, INT64_MAX - 1, INT64_MAX}, {"i8", 127, 1, -128, 127},
	    {"i8", -128, -1, 127, -128}, {"i1", -1, -1, 0, -1},
	    {"i64", INT64_MAX, 1, INT64_MIN, INT64_MAX},
	    {"i64", INT64_MIN, -1, INT64_MAX, INT64_MIN}, {"i8", 300, 0, 44, 127},
	    {"i8", -300, 0, -44, -128}, {"u8", 300, 0, 44, 255},
	    {"u8", -1, 0, 255, 255},      /* as in Redis */
	    {"i8", INT64_MIN, 0, 0, 127}, /* as in Redis */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *type = cases[i].type;

		ck_assert_int_eq(added(type, BIT_OVERFLOW_WRAP, cases[i].value, cases[i].incr),
		    cases[i].wrapped);
		ck_assert_int_eq(added(type, BIT_OVERFLOW_SAT, cases[i].value, cases[i].incr),
		    cases[i].saturated);
		ck_assert_int_eq(
		    added(type, BIT_OVERFLOW_FAIL, cases[i].value, cases[i].incr), -999);
	}
}
END_TEST

int
main(void)
{
	return testing_main("kv/bit_field", setup, NULL,
	    (const TTest *[]){a_field_is_read_as_its_bits_say,
		what_was_put_is_read_and_no_other_bit_changes, bits_behind_the_end_are_zero,
		a_sum_that_fits_is_the_same_whatever_the_policy,
		a_sum_that_does_not_fit_wraps_saturates_or_is_refused, NULL});
}
