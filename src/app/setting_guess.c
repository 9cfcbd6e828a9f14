#include "config.h"

#include "app/setting_guess.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings.h"

enum {
	NAME_MAX_BYTES = 64, /* longer names are not guessed */
	LONG_NAME = 8,
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The number of letters to insert, remove or replace to get from one name to the other
 * (Levenshtein). Both have at most NAME_MAX_BYTES. */
static size_t
distance(struct slice name, const char *other)
{
	const size_t other_len = strlen(other);
	size_t row[NAME_MAX_BYTES + 1];

	for (size_t k = 0; k <= other_len; k++)
		row[k] = k;
	for (size_t i = 1; i <= name.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= other_len; k++) {
			bool differs = tolower((unsigned char)name.ptr[i - 1]) != other[k - 1];
			size_t replaced = diagonal + differs;

			diagonal = row[k];
			row[k] = least(replaced, least(row[k], row[k - 1]) + 1);
		}
	}
	return row[other_len];
}

const char *
setting_guess(struct slice name)
{
	size_t nearest = name.len < LONG_NAME ? 2 : 3;
	const char *guess = NULL;

	if (name.len < 3 || name.len > NAME_MAX_BYTES)
		return NULL;
	for (size_t i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);
		size_t far;

		if (row->class == SETTING_REFUSED || strlen(row->name) > NAME_MAX_BYTES)
			continue;
		far = distance(name, row->name);
		if (far < nearest) {
			nearest = far;
			guess = row->name;
		}
	}
	return guess;
}
