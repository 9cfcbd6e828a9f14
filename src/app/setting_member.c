#include "config.h"

#include "app/setting_member.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

void *
setting_member(struct settings *s, const struct setting *row)
{
	return (char *)s + row->offset;
}

const void *
setting_const_member(const struct settings *s, const struct setting *row)
{
	return (const char *)s + row->offset;
}

void
setting_store_number(struct settings *s, const struct setting *row, int64_t number)
{
	uint32_t narrow = (uint32_t)number;
	bool truth = number != 0;

	switch (row->size) {
	case sizeof(bool):
		memcpy(setting_member(s, row), &truth, sizeof(truth));
		break;
	case sizeof(narrow):
		memcpy(setting_member(s, row), &narrow, sizeof(narrow));
		break;
	default:
		assert(row->size == sizeof(number));
		memcpy(setting_member(s, row), &number, sizeof(number));
	}
}

int64_t
setting_number(const struct settings *s, const struct setting *row)
{
	uint32_t narrow;
	bool truth;
	int64_t number;

	switch (row->size) {
	case sizeof(bool):
		memcpy(&truth, setting_const_member(s, row), sizeof(truth));
		return truth;
	case sizeof(narrow):
		memcpy(&narrow, setting_const_member(s, row), sizeof(narrow));
		return row->min < 0 ? (int32_t)narrow : (int64_t)narrow;
	default:
		assert(row->size == sizeof(number));
		memcpy(&number, setting_const_member(s, row), sizeof(number));
		return number;
	}
}

/* By memcpy, because some members are pointers to const although the settings own what they point
 * to. */
char *
setting_string(const struct settings *s, const struct setting *row)
{
	char *str;

	assert(row->size == sizeof(str));
	memcpy(&str, setting_const_member(s, row), sizeof(str));
	return str;
}

bool
setting_is_string(const struct setting *row)
{
	return row->type == SETTING_STRING || row->type == SETTING_SECRET ||
	       row->type == SETTING_UPSTREAM;
}

void
setting_store_string(struct settings *s, const struct setting *row, char *str)
{
	xfree(setting_string(s, row));
	memcpy(setting_member(s, row), &str, sizeof(str));
}

bool
setting_is_list(const struct setting *row)
{
	return row->type == SETTING_LIST || row->type == SETTING_ORIGINS ||
	       row->type == SETTING_NETWORKS || row->type == SETTING_SAVE_RULES ||
	       row->type == SETTING_PERCENTILES;
}

const struct setting_list *
setting_list_of(const struct settings *s, const struct setting *row)
{
	return setting_const_member(s, row);
}
