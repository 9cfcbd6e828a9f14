#include "config.h"

#include "rdb/ziplist.h"

/*
 * A ziplist: total length, offset of the last entry (32 bits each), number of entries (16 bits),
 * the entries, and 0xff. An entry: the length of the one before (1 byte, or 0xfe and 4 bytes), an
 * encoding, the bytes. `detail` is the length of the last entry read.
 */
enum { ZIPLIST_HEADER = 10, ZIPLIST_END = 0xff, ZIPLIST_LONG = 0xfe };

enum rdb_packed_result
rdb_ziplist_init(struct rdb_packed *packed)
{
	static const struct rdb_packed_header header = {.len = ZIPLIST_HEADER,
	    .missing = "a ziplist without header",
	    .other_length = "a ziplist has another length than it says"};

	return rdb_packed_begin(packed, &header);
}

static enum rdb_packed_result
end(struct rdb_packed *packed)
{
	if (packed->at + 1 != packed->bytes.len)
		return rdb_packed_fail(packed, "a ziplist ends too early");
	if (rdb_packed_bits(packed, 4, 4) != packed->at - packed->detail)
		return rdb_packed_fail(packed, "the last entry of a ziplist is elsewhere");
	return RDB_PACKED_END;
}

/* The bytes of a string's encoding, and the string's length. 0: not a string, or not all there. */
static size_t
string_head(const unsigned char *bytes, size_t left, size_t *len)
{
	switch (bytes[0] >> 6) {
	case 0:
		*len = bytes[0] & 0x3f;
		return 1;
	case 1:
		if (left < 2)
			return 0;
		*len = (size_t)(bytes[0] & 0x3f) << 8 | bytes[1];
		return 2;
	case 2:
		if (left < 5)
			return 0;
		*len = (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 |
		       bytes[4];
		return 5;
	default:
		return 0;
	}
}

/* The number of bytes of an integer. 0 and *number: it is in the encoding. SIZE_MAX: invalid. */
static size_t
integer_width(unsigned char encoding, int64_t *number)
{
	switch (encoding) {
	case 0xc0:
		return 2;
	case 0xd0:
		return 4;
	case 0xe0:
		return 8;
	case 0xf0:
		return 3;
	case 0xfe:
		return 1;
	default:
		if (encoding < 0xf1 || encoding > 0xfd)
			return SIZE_MAX;
		*number = (encoding & 0x0f) - 1;
		return 0;
	}
}

/* The entry's bytes from its encoding on. Returns their number in *used. */
static enum rdb_packed_result
read_content(struct rdb_packed *packed, size_t at, struct rdb_element *element, size_t *used)
{
	const unsigned char *bytes = (const unsigned char *)packed->bytes.ptr + at;
	size_t left = packed->bytes.len - at, head, len = 0;
	int64_t number = 0;

	if (bytes[0] >> 6 < 3) {
		head = string_head(bytes, left, &len);
		if (head == 0 || len > left - head)
			return rdb_packed_fail(packed, "an element is longer than its ziplist");
		element->text = (struct slice){packed->bytes.ptr + at + head, len};
		*used = head + len;
		return RDB_PACKED_ELEMENT;
	}
	len = integer_width(bytes[0], &number);
	if (len == SIZE_MAX)
		return rdb_packed_fail(packed, "unknown encoding in a ziplist");
	if (len > left - 1)
		return rdb_packed_fail(packed, "an element is longer than its ziplist");
	*used = 1 + len;
	return rdb_packed_number(
	    element, len == 0 ? number : rdb_packed_signed(packed, at + 1, len));
}

enum rdb_packed_result
rdb_ziplist_next(struct rdb_packed *packed, struct rdb_element *element)
{
	size_t at = packed->at, left = packed->bytes.len - at, head = 1, used = 0;
	enum rdb_packed_result result;
	uint64_t before;

	if (left == 0)
		return rdb_packed_fail(packed, "a ziplist has no end");
	before = (unsigned char)packed->bytes.ptr[at];
	if (before == ZIPLIST_END)
		return end(packed);
	if (before == ZIPLIST_LONG) {
		if (left < 5)
			return rdb_packed_fail(packed, "a ziplist ends within a length");
		before = rdb_packed_bits(packed, at + 1, 4);
		head = 5;
	}
	if (before != packed->detail)
		return rdb_packed_fail(packed, "a ziplist links to another entry");
	if (left <= head)
		return rdb_packed_fail(packed, "a ziplist has no end");
	result = read_content(packed, at + head, element, &used);
	if (result != RDB_PACKED_ELEMENT)
		return result;
	packed->at += head + used;
	packed->detail = (uint32_t)(head + used);
	return RDB_PACKED_ELEMENT;
}
