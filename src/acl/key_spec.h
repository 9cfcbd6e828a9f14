#ifndef ACL_KEY_SPEC_H
#define ACL_KEY_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Which arguments of a request are keys, and what is done to them, from the key specifications of
 * its row (struct acl_command, keys). What they mean, and where they say nothing, is as in
 * Redis 7.2.
 */
struct acl_command;

enum key_spec_flag {
	KEYSPEC_RO = 1 << 0, /* one of these four: reads the value, or not even that */
	KEYSPEC_RW = 1 << 1, /* changes it, depending on what it was */
	KEYSPEC_OW = 1 << 2, /* replaces it, whatever it was */
	KEYSPEC_RM = 1 << 3, /* removes it */
	KEYSPEC_ACCESS =
	    1 << 4, /* some of the user's data can be seen in the answer, or gets elsewhere */
	KEYSPEC_UPDATE = 1 << 5,
	KEYSPEC_INSERT = 1 << 6,
	KEYSPEC_DELETE = 1 << 7,
	KEYSPEC_NOT_KEY = 1 << 8, /* it only says to which shard of a cluster the request goes */
	KEYSPEC_VARIABLE_FLAGS = 1 << 9, /* what is done to it depends on other arguments */
};

/* How many flags there are; flag i is called key_spec_flag_name(i), as COMMAND INFO shows it. */
#define KEYSPEC_FLAGS 10
const char *key_spec_flag_name(unsigned i);

/* One specification, as it stands in a row. */
struct key_spec {
	uint32_t flags; /* enum key_spec_flag */
	int begin;      /* the argument where it begins; 0: nobody knows */
	enum { KEYS_UNKNOWN, KEYS_RANGE, KEYS_KEYNUM } find;
	/* RANGE: the last key, from the beginning, or if negative from the arguments' end; step;
	 * limit. KEYNUM: where their number is, and the first, from the beginning; step. */
	int numbers[3];
	struct slice note; /* borrows; empty: none */
};

#define KEY_SPECS_MAX 3

/* keys as in struct acl_command, or NULL: how many there are. */
size_t key_specs_parse(const char *keys, struct key_spec specs[KEY_SPECS_MAX]);

/* Keys of a request: arguments first, first + step, ... up to last, and what is done to them. */
struct key_range {
	size_t first, last, step;
	uint32_t flags;
};

/*
 * Where the keys of a request are; how many ranges. 0 if it has none, which is so as well where its
 * arguments make no sense: the command will refuse them.
 */
size_t key_spec_ranges(const struct acl_command *row, const struct slice *argv, size_t argc,
    struct key_range ranges[KEY_SPECS_MAX]);

/* True if requests of a command with these specifications may have keys. */
bool key_specs_have_keys(const char *keys);

#endif
