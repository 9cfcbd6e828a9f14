#include "config.h"

#include "rdb/module.h"

#include "rdb/input.h"
#include "rdb/string.h"

enum { NAME_LEN = 9, VERSION_BITS = 10 };

enum module_part {
	PART_END,
	PART_SIGNED,
	PART_UNSIGNED,
	PART_FLOAT,
	PART_DOUBLE,
	PART_STRING,
};

bool
rdb_module_name(struct rdb_input *in, struct buffer *name)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t id;

	buffer_clear(name);
	if (!rdb_length(in, &id))
		return false;
	for (int i = 0; i < NAME_LEN; i++)
		buffer_append(
		    name, &letters[id >> (VERSION_BITS + 6 * (NAME_LEN - 1 - i)) & 0x3f], 1);
	return true;
}

bool
rdb_module_skip(struct rdb_input *in)
{
	uint64_t offset, part, number;

	do {
		bool ok;

		offset = rdb_input_offset(in);
		if (!rdb_length(in, &part))
			return false;
		switch (part) {
		case PART_END:
			ok = true;
			break;
		case PART_SIGNED:
		case PART_UNSIGNED:
			ok = rdb_length(in, &number);
			break;
		case PART_FLOAT:
			ok = rdb_input_skip(in, 4);
			break;
		case PART_DOUBLE:
			ok = rdb_input_skip(in, 8);
			break;
		case PART_STRING:
			ok = rdb_skip_string(in);
			break;
		default:
			ok = rdb_input_fail(in, offset, "unknown part of a module's value");
		}
		if (!ok)
			return false;
	} while (part != PART_END);
	return true;
}

bool
rdb_module_aux(struct rdb_input *in, struct buffer *name)
{
	uint64_t offset, part, when;

	if (!rdb_module_name(in, name))
		return false;
	offset = rdb_input_offset(in);
	if (!rdb_length(in, &part) || !rdb_length(in, &when))
		return false;
	if (part != PART_UNSIGNED)
		return rdb_input_fail(in, offset, "invalid data of a module");
	return rdb_module_skip(in);
}
