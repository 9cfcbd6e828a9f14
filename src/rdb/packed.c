#include "config.h"

#include "rdb/packed.h"

#include "rdb/listpack.h"
#include "rdb/ziplist.h"

#define INTSET_HEADER 8

static enum rdb_packed_result
intset_init(struct rdb_packed *packed)
{
	if (packed->bytes.len < INTSET_HEADER)
		return rdb_packed_fail(packed, "an intset without header");
	packed->detail = (uint32_t)rdb_packed_bits(packed, 0, 4);
	packed->announced = rdb_packed_bits(packed, 4, 4);
	packed->at = INTSET_HEADER;
	if (packed->detail != 2 && packed->detail != 4 && packed->detail != 8)
		return rdb_packed_fail(packed, "unknown encoding of an intset");
	if (packed->bytes.len - INTSET_HEADER != packed->announced * packed->detail)
		return rdb_packed_fail(packed, "an intset has another length than it says");
	return RDB_PACKED_ELEMENT;
}

static enum rdb_packed_result
intset_next(struct rdb_packed *packed, struct rdb_element *element)
{
	size_t width = packed->detail, at = packed->at;
	int64_t number;

	if (at == packed->bytes.len)
		return RDB_PACKED_END;
	number = rdb_packed_signed(packed, at, width);
	if (at > INTSET_HEADER && rdb_packed_signed(packed, at - width, width) >= number)
		return rdb_packed_fail(packed, "the numbers of an intset are not in order");
	packed->at += width;
	return rdb_packed_number(element, number);
}

enum { ZIPMAP_LONG = 254, ZIPMAP_END = 255 };

static enum rdb_packed_result
zipmap_init(struct rdb_packed *packed)
{
	unsigned char pairs;

	if (packed->bytes.len < 2)
		return rdb_packed_fail(packed, "a zipmap without header");
	pairs = (unsigned char)packed->bytes.ptr[0];
	packed->announced = pairs < ZIPMAP_LONG ? UINT64_C(2) * pairs : RDB_COUNT_UNKNOWN;
	packed->at = 1;
	return RDB_PACKED_ELEMENT;
}

/* Fields and values in turn; a value has one more byte, the number of unused bytes behind it. */
static enum rdb_packed_result
zipmap_next(struct rdb_packed *packed, struct rdb_element *element)
{
	bool is_value = packed->count % 2 == 1;
	size_t left = packed->bytes.len - packed->at, head = 1, unused = 0;
	const unsigned char *bytes = (const unsigned char *)packed->bytes.ptr + packed->at;
	uint64_t len;

	if (left == 0)
		return rdb_packed_fail(packed, "a zipmap has no end");
	if (bytes[0] == ZIPMAP_END)
		return left == 1 && !is_value ? RDB_PACKED_END
					      : rdb_packed_fail(packed, "a zipmap ends too early");
	len = bytes[0];
	if (len == ZIPMAP_LONG) {
		if (left < 5)
			return rdb_packed_fail(packed, "a zipmap ends within a length");
		len = rdb_packed_bits(packed, packed->at + 1, 4);
		head = 5;
	}
	if (is_value) {
		if (left <= head)
			return rdb_packed_fail(packed, "a zipmap ends within a length");
		unused = bytes[head++];
	}
	if (len + unused > left - head)
		return rdb_packed_fail(packed, "an element is longer than its zipmap");
	element->text = (struct slice){packed->bytes.ptr + packed->at + head, (size_t)len};
	packed->at += head + (size_t)len + unused;
	return RDB_PACKED_ELEMENT;
}

static const struct {
	enum rdb_packed_result (*init)(struct rdb_packed *packed);
	enum rdb_packed_result (*next)(struct rdb_packed *packed, struct rdb_element *element);
} kinds[] = {
    [RDB_ZIPLIST] = {rdb_ziplist_init, rdb_ziplist_next},
    [RDB_LISTPACK] = {rdb_listpack_init, rdb_listpack_next},
    [RDB_INTSET] = {intset_init, intset_next},
    [RDB_ZIPMAP] = {zipmap_init, zipmap_next},
};

enum rdb_packed_result
rdb_packed_init(struct rdb_packed *packed, enum rdb_packed_kind kind, struct slice bytes)
{
	*packed = (struct rdb_packed){.kind = kind, .bytes = bytes};
	return kinds[kind].init(packed);
}

enum rdb_packed_result
rdb_packed_next(struct rdb_packed *packed, struct rdb_element *element)
{
	enum rdb_packed_result result;

	element->is_number = false;
	result = kinds[packed->kind].next(packed, element);
	if (result == RDB_PACKED_ELEMENT)
		packed->count++;
	else if (result == RDB_PACKED_END && packed->announced != RDB_COUNT_UNKNOWN &&
		 packed->announced != packed->count)
		return rdb_packed_fail(packed, "another number of elements than announced");
	return result;
}
