#include "config.h"

#include "rdb/packed_bytes.h"

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

int64_t
rdb_packed_signed(const struct rdb_packed *packed, size_t at, size_t count)
{
	uint64_t bits = rdb_packed_bits(packed, at, count);
	uint64_t sign = UINT64_C(1) << (8 * count - 1);

	if (count < 8 && (bits & sign) != 0)
		bits |= ~(sign - 1);
	return (int64_t)bits;
}
