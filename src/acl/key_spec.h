#ifndef ACL_KEY_SPEC_H
#define ACL_KEY_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Which arguments of a request are keys and how the command accesses them, according to the key
 * specifications of its row (struct acl_command, keys). Syntax and meaning are those of Redis 7.2:
 * https://redis.io/docs/latest/develop/reference/key-specs/.
 */
struct acl_command;

enum key_spec_flag {
	KEYSPEC_RO = 1 << 0,     /* one of these four: at most reads the value */
	KEYSPEC_RW = 1 << 1,     /* changes it depending on the old value */
	KEYSPEC_OW = 1 << 2,     /* replaces it whatever the old value */
	KEYSPEC_RM = 1 << 3,     /* removes it */
	KEYSPEC_ACCESS = 1 << 4, /* returns or copies data of the user */
	KEYSPEC_UPDATE = 1 << 5,
	KEYSPEC_INSERT = 1 << 6,
	KEYSPEC_DELETE = 1 << 7,
	KEYSPEC_NOT_KEY = 1 << 8,        /* a name that only selects the shard of a cluster */
	KEYSPEC_VARIABLE_FLAGS = 1 << 9, /* the access depends on other arguments */
};

/* How many flags there are; flag i is called key_spec_flag_name(i), as COMMAND INFO shows it. */
#define KEYSPEC_FLAGS 10
const char *key_spec_flag_name(unsigned i);

/* One parsed specification. */
struct key_spec {
	uint32_t flags;    /* enum key_spec_flag */
	struct slice word; /* borrows; not empty: the keys begin behind this word, wherever it is */
	int begin; /* the first argument that it covers, or where the word may be; 0: unknown */
	enum { KEYS_UNKNOWN, KEYS_RANGE, KEYS_KEYNUM } find;
	/* RANGE: the last key, counted from `begin` or, if negative, from the end of the arguments;
	 * the step; the limit: above 1, only that part of the arguments is keys. KEYNUM: the
	 * positions of the number of keys and of the first key, counted from `begin`; the step. */
	int numbers[3];
	struct slice note; /* borrows; empty: none */
};

#define KEY_SPECS_MAX 3

/* Parses keys (of struct acl_command; may be NULL); returns the number of specifications. */
size_t key_specs_parse(const char *keys, struct key_spec specs[KEY_SPECS_MAX]);

/* Keys of a request: the arguments first, first + step, ... up to last, and the access to them. */
struct key_range {
	size_t first, last, step;
	uint32_t flags;
};

/*
 * Finds the keys of a request; returns the number of ranges. 0: it has no keys, or invalid
 * arguments, which the command will refuse.
 */
size_t key_spec_ranges(const struct acl_command *row, const struct slice *argv, size_t argc,
    struct key_range ranges[KEY_SPECS_MAX]);

/* True if requests of a command with these specifications may have keys. */
bool key_specs_have_keys(const char *keys);

#endif
