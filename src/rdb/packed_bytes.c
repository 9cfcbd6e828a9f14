#include "config.h"

#include "rdb/packed_bytes.h"

/* The number of elements in a header, if it does not fit there. */
#define MANY 0xffff

enum rdb_packed_result
rdb_packed_fail(struct rdb_packed *packed, const char *fault)
{
	packed->fault = fault;
	return RDB_PACKED_BAD;
}

enum rdb_packed_result
rdb_packed_number(struct rdb_element *element, int64_t number)
{
	element->is_number = true;
	element->number = number;
	element->text = (struct slice){element->digits, bytes_from_i64(element->digits, number)};
	return RDB_PACKED_ELEMENT;
}

uint64_t
rdb_packed_bits(const struct rdb_packed *packed, size_t at, size_t count)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < count; i++)
		bits |= (uint64_t)(unsigned char)packed->bytes.ptr[at + i] << (8 * i);
	return bits;
}

enum rdb_packed_result
rdb_packed_begin(struct rdb_packed *packed, const struct rdb_packed_header *header)
{
	uint64_t count;

	if (packed->bytes.len < header->len + 1)
		return rdb_packed_fail(packed, header->missing);
	if (rdb_packed_bits(packed, 0, 4) != packed->bytes.len)
		return rdb_packed_fail(packed, header->other_length);
	count = rdb_packed_bits(packed, header->len - 2, 2);
	packed->announced = count == MANY ? RDB_COUNT_UNKNOWN : count;
	packed->at = header->len;
	return RDB_PACKED_ELEMENT;
}

int64_t
rdb_packed_signed(const struct rdb_packed *packed, size_t at, size_t count)
{
	uint64_t bits = rdb_packed_bits(packed, at, count);
	uint64_t sign = UINT64_C(1) << (8 * count - 1);

	if (count < 8 && (bits & sign) != 0)
		bits |= ~(sign - 1);
	return (int64_t)bits;
}
