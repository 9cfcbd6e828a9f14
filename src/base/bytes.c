#include "config.h"

#include "base/bytes.h"

#include <string.h>

struct slice
slice_of(const char *str)
{
	return (struct slice){str, strlen(str)};
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
slice_is(struct slice a, const char *str)
{
	return slice_eq(a, slice_of(str));
}

/* Whether two characters are the same letter: the cases of a letter differ in this bit only. */
#define CASE_BIT 0x20

static inline bool
is_nocase(unsigned a, unsigned b)
{
	return a == b || ((a ^ b) == CASE_BIT && (a | CASE_BIT) - 'a' <= 'z' - 'a');
}

/* The same for eight characters at once: bit 7 of a byte says what is true for its character. */
static inline bool
are_nocase(uint64_t a, uint64_t b)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t differ = a ^ b, low = (a | CASE_BIT * each) & 0x7f * each;
	uint64_t from_a = low + (0x80 - 'a') * each, behind_z = low + (0x7f - 'z') * each;
	uint64_t letters = from_a & ~behind_z & ~a & 0x80 * each;

	return (differ & ~(CASE_BIT * each)) == 0 && (differ << 2 & ~letters) == 0;
}

static inline uint64_t
first_8(const char *ptr)
{
	uint64_t word;

	memcpy(&word, ptr, sizeof(word));
	return word;
}

/* The characters of a text of 4 to 8 characters, some of them twice. */
static inline uint64_t
all_of(const char *ptr, size_t len)
{
	uint32_t first, last;

	memcpy(&first, ptr, sizeof(first));
	memcpy(&last, ptr + len - sizeof(last), sizeof(last));
	return (uint64_t)last << 32 | first;
}

/* The names of commands and options are compared: mostly 4 to 8 characters. */
bool
slice_is_nocase(struct slice a, const char *str)
{
	size_t i = 0;

	if (strlen(str) != a.len)
		return false;
	if (a.len >= 4 && a.len <= 8)
		return are_nocase(all_of(a.ptr, a.len), all_of(str, a.len));
	for (; a.len - i >= 8; i += 8)
		if (!are_nocase(first_8(a.ptr + i), first_8(str + i)))
			return false;
	for (; i < a.len; i++)
		if (!is_nocase((unsigned char)a.ptr[i], (unsigned char)str[i]))
			return false;
	return true;
}

bool
slice_eq_secret(struct slice secret, struct slice given)
{
	/* volatile, so that the compiler does not leave the loop at the first difference */
	volatile unsigned char difference = secret.len != given.len;
	size_t i;

	for (i = 0; i < given.len; i++)
		difference =
		    (unsigned char)(difference |
				    (given.ptr[i] ^
					(secret.len > 0 ? secret.ptr[i % secret.len] : 0)));
	return difference == 0;
}

bool
slice_begins_with(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

int
slice_compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

bool
slice_to_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.len == 0 || s.len > 20 || (s.ptr[0] == '0' && s.len > 1))
		return false;
	for (i = 0; i < s.len; i++) {
		unsigned int digit = (unsigned int)(unsigned char)s.ptr[i] - '0';

		if (digit > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool
slice_to_i64(struct slice s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t v;

	if (!negative) {
		if (!slice_to_u64(s, &v) || v > INT64_MAX)
			return false;
		*out = (int64_t)v;
		return true;
	}
	/* "-0" is refused, as string2ll does: no two spellings of one number. */
	if (!slice_to_u64((struct slice){s.ptr + 1, s.len - 1}, &v) || v == 0 ||
	    v > (uint64_t)INT64_MAX + 1)
		return false;
	*out = (int64_t)-v;
	return true;
}

size_t
bytes_u64_len(uint64_t v)
{
	size_t len = 1;

	for (; v >= 10000; v /= 10000)
		len += 4;
	return len + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Positions are written in every message that is kept: two digits for each division. */
size_t
bytes_from_u64(char *out, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	size_t len = bytes_u64_len(v);
	char *at = out + len;

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(at, pairs + v % 100 * 2, 2);
	}
	if (v >= 10)
		memcpy(out, pairs + v * 2, 2);
	else
		out[0] = (char)('0' + v);
	return len;
}

size_t
bytes_from_i64(char *out, int64_t v)
{
	if (v >= 0)
		return bytes_from_u64(out, (uint64_t)v);
	out[0] = '-';
	return 1 + bytes_from_u64(out + 1, -(uint64_t)v);
}
