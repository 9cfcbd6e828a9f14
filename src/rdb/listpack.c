#include "config.h"

#include "rdb/listpack.h"

/*
 * A listpack: total length (32 bits), number of entries (16 bits), the entries, and 0xff. An entry:
 * an encoding, the bytes, and the length of both, 7 bits a byte, to be read backwards.
 */
enum { LISTPACK_HEADER = 6, LISTPACK_END = 0xff };

enum rdb_packed_result
rdb_listpack_init(struct rdb_packed *packed)
{
	static const struct rdb_packed_header header = {.len = LISTPACK_HEADER,
	    .missing = "a listpack without header",
	    .other_length = "a listpack has another length than it says"};

	return rdb_packed_begin(packed, &header);
}

/* The bytes before a string, and its length; 0: not a string. */
static size_t
string_head(const struct rdb_packed *packed, size_t left, size_t *len)
{
	const unsigned char *bytes = (const unsigned char *)packed->bytes.ptr + packed->at;

	if ((bytes[0] & 0xc0) == 0x80) {
		*len = bytes[0] & 0x3f;
		return 1;
	}
	if ((bytes[0] & 0xf0) == 0xe0 && left >= 2) {
		*len = (size_t)(bytes[0] & 0x0f) << 8 | bytes[1];
		return 2;
	}
	if (bytes[0] == 0xf0 && left >= 5) {
		*len = (size_t)rdb_packed_bits(packed, packed->at + 1, 4);
		return 5;
	}
	return 0;
}

/* Number of bytes of an integer with its encoding, and its value; 0: it is invalid, or not all
 * there. */
static size_t
read_integer(const struct rdb_packed *packed, size_t left, int64_t *number)
{
	const unsigned char *bytes = (const unsigned char *)packed->bytes.ptr + packed->at;
	static const unsigned char widths[] = {2, 3, 4, 8}; /* of 0xf1 to 0xf4 */
	size_t width;

	if (bytes[0] < 0x80) {
		*number = bytes[0];
		return 1;
	}
	if ((bytes[0] & 0xe0) == 0xc0 && left >= 2) {
		*number = (int64_t)(bytes[0] & 0x1f) << 8 | bytes[1];
		if (*number >= 1 << 12)
			*number -= 1 << 13;
		return 2;
	}
	if (bytes[0] < 0xf1 || bytes[0] > 0xf4)
		return 0;
	width = widths[bytes[0] - 0xf1];
	if (left < 1 + width)
		return 0;
	*number = rdb_packed_signed(packed, packed->at + 1, width);
	return 1 + width;
}

/* The length of an entry as it stands behind it. The limits are those of lpEncodeBacklen(), which
 * does not use the largest number of 2, 3 and 4 bytes. */
static size_t
back_length(size_t len, unsigned char out[5])
{
	size_t count = 1;

	if (len > 127)
		count = len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
	for (size_t i = 0; i < count; i++)
		out[count - 1 - i] =
		    (unsigned char)((len >> (7 * i) & 0x7f) | (i + 1 < count ? 0x80 : 0));
	return count;
}

static enum rdb_packed_result
check_back_length(struct rdb_packed *packed, size_t used)
{
	const char *bytes = packed->bytes.ptr + packed->at + used;
	size_t left = packed->bytes.len - packed->at - used, count;
	unsigned char expected[5] = {0};

	count = back_length(used, expected);
	if (count > left)
		return rdb_packed_fail(packed, "an element is longer than its listpack");
	for (size_t i = 0; i < count; i++)
		if ((unsigned char)bytes[i] != expected[i])
			return rdb_packed_fail(packed, "a listpack links to another entry");
	packed->at += used + count;
	return RDB_PACKED_ELEMENT;
}

enum rdb_packed_result
rdb_listpack_next(struct rdb_packed *packed, struct rdb_element *element)
{
	size_t left = packed->bytes.len - packed->at, head, len = 0, used;
	int64_t number = 0;

	if (left == 0)
		return rdb_packed_fail(packed, "a listpack has no end");
	if ((unsigned char)packed->bytes.ptr[packed->at] == LISTPACK_END)
		return left == 1 ? RDB_PACKED_END
				 : rdb_packed_fail(packed, "a listpack ends too early");
	head = string_head(packed, left, &len);
	if (head > 0) {
		if (len > left - head)
			return rdb_packed_fail(packed, "an element is longer than its listpack");
		element->text = (struct slice){packed->bytes.ptr + packed->at + head, len};
		return check_back_length(packed, head + len);
	}
	used = read_integer(packed, left, &number);
	if (used == 0)
		return rdb_packed_fail(packed, "unknown encoding in a listpack");
	(void)rdb_packed_number(element, number);
	return check_back_length(packed, used);
}
