#include "config.h"

#include "acl/key_spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acl/command.h"

static const char *const flag_names[KEYSPEC_FLAGS] = {
    "RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "variable_flags"};

const char *
key_spec_flag_name(unsigned i)
{
	assert(i < KEYSPEC_FLAGS);
	return flag_names[i];
}

/* The next word before `end`; false if there is none. */
static bool
next_word(const char **at, const char *end, struct slice *word)
{
	while (*at < end && **at == ' ')
		++*at;
	*word = (struct slice){*at, 0};
	while (*at < end && **at != ' ') {
		++*at;
		word->len++;
	}
	return word->len > 0;
}

static int
number_of(struct slice word)
{
	int64_t number;
	bool is_number = slice_to_i64(word, &number);

	assert(is_number && number >= INT32_MIN && number <= INT32_MAX);
	return (int)number;
}

static uint32_t
flag_of(struct slice word)
{
	unsigned i;

	for (i = 0; i < KEYSPEC_FLAGS; i++)
		if (slice_is(word, flag_names[i]))
			return (uint32_t)1 << i;
	assert(!"no flag of a key specification");
	return 0;
}

/* "1", "?", or "STREAMS:1", which is a word and where it may be at the earliest. */
static void
parse_begin(struct slice text, struct key_spec *spec)
{
	const char *colon = memchr(text.ptr, ':', text.len);

	if (colon != NULL) {
		spec->word = (struct slice){text.ptr, (size_t)(colon - text.ptr)};
		text = (struct slice){colon + 1, text.len - spec->word.len - 1};
	}
	if (text.ptr[0] != '?')
		spec->begin = number_of(text);
}

/* "RW access @1 range 0 1 0 -- why", without the ';' behind it. The rows are constants, and a test
 * parses all of them: hence the assertions. */
static struct key_spec
parse_spec(const char *at, const char *end)
{
	struct key_spec spec = {0};
	const char *note = strstr(at, " -- ");
	struct slice word;
	int i;

	if (note != NULL && note < end) {
		spec.note = (struct slice){note + 4, (size_t)(end - note) - 4};
		end = note;
	}
	while (next_word(&at, end, &word) && word.ptr[0] != '@')
		spec.flags |= flag_of(word);
	assert(word.len > 1);
	parse_begin((struct slice){word.ptr + 1, word.len - 1}, &spec);
	next_word(&at, end, &word);
	if (slice_is(word, "range"))
		spec.find = KEYS_RANGE;
	else if (slice_is(word, "keynum"))
		spec.find = KEYS_KEYNUM;
	for (i = 0; i < 3 && next_word(&at, end, &word); i++)
		spec.numbers[i] = number_of(word);
	return spec;
}

size_t
key_specs_parse(const char *keys, struct key_spec specs[KEY_SPECS_MAX])
{
	const char *at = keys;
	size_t count = 0;

	while (at != NULL && *at != '\0') {
		const char *end = strchr(at, ';');

		if (end == NULL)
			end = at + strlen(at);
		assert(count < KEY_SPECS_MAX);
		specs[count++] = parse_spec(at, end);
		at = *end == ';' ? end + 1 : end;
	}
	return count;
}

/* The first argument that the specification covers; argc: there is none. */
static int64_t
find_begin(const struct key_spec *spec, const struct slice *argv, int64_t argc)
{
	int64_t at;

	if (spec->word.len == 0)
		return spec->begin;
	for (at = spec->begin; at < argc - 1; at++)
		if (argv[at].len == spec->word.len &&
		    strncasecmp(argv[at].ptr, spec->word.ptr, spec->word.len) == 0)
			return at + 1;
	return argc;
}

/* The last key of a range. */
static int64_t
find_last(const struct key_spec *spec, int64_t first, int64_t argc)
{
	if (spec->numbers[0] >= 0)
		return first + spec->numbers[0];
	if (spec->numbers[2] > 1)
		return first + (argc - first) / spec->numbers[2] + spec->numbers[0];
	return argc + spec->numbers[0];
}

/* False: the request does not have these arguments. */
static bool
find_range(
    const struct key_spec *spec, const struct slice *argv, int64_t argc, struct key_range *out)
{
	int64_t first = find_begin(spec, argv, argc), last, count;

	if (spec->begin == 0 || spec->find == KEYS_UNKNOWN)
		return false;
	if (spec->find == KEYS_RANGE) {
		last = find_last(spec, first, argc);
		out->step = (size_t)spec->numbers[1];
	} else {
		if (first + spec->numbers[0] >= argc ||
		    !slice_to_i64(argv[first + spec->numbers[0]], &count) || count < 1 ||
		    count > argc)
			return false;
		first += spec->numbers[1];
		last = first + count - 1;
		out->step = (size_t)spec->numbers[2];
	}
	if (last >= argc || last < first)
		return false;
	out->first = (size_t)first;
	out->last = (size_t)last;
	out->flags = spec->flags;
	return true;
}

static bool
has_word(const struct slice *argv, size_t argc, size_t from, const char *word)
{
	for (; from < argc; from++)
		if (slice_is_nocase(argv[from], word))
			return true;
	return false;
}

/* SET reads the old value only with the option GET. */
static size_t
set_keys(const struct slice *argv, size_t argc, struct key_range ranges[KEY_SPECS_MAX])
{
	ranges[0] = (struct key_range){1, 1, 1, KEYSPEC_OW | KEYSPEC_UPDATE};
	if (has_word(argv, argc, 3, "get"))
		ranges[0].flags = KEYSPEC_RW | KEYSPEC_ACCESS | KEYSPEC_UPDATE;
	return 1;
}

/*
 * SORT writes to the key of its last option STORE. The keys that BY and GET read depend on the
 * sorted elements: SORT checks the right to them itself.
 */
static size_t
sort_keys(const struct slice *argv, size_t argc, struct key_range ranges[KEY_SPECS_MAX])
{
	size_t count = 1, i;

	ranges[0] = (struct key_range){1, 1, 1, KEYSPEC_RO | KEYSPEC_ACCESS};
	for (i = 2; i < argc; i++) {
		if (slice_is_nocase(argv[i], "limit")) {
			i += 2;
		} else if (slice_is_nocase(argv[i], "get") || slice_is_nocase(argv[i], "by")) {
			i++;
		} else if (slice_is_nocase(argv[i], "store") && i + 1 < argc) {
			ranges[1] =
			    (struct key_range){i + 1, i + 1, 1, KEYSPEC_OW | KEYSPEC_UPDATE};
			count = 2;
		}
	}
	return count;
}

static size_t
sort_ro_keys(const struct slice *argv, size_t argc, struct key_range ranges[KEY_SPECS_MAX])
{
	sort_keys(argv, argc, ranges);
	return 1;
}

/* BITFIELD changes the key unless all its operations are valid ones that read. */
static size_t
bitfield_keys(const struct slice *argv, size_t argc, struct key_range ranges[KEY_SPECS_MAX])
{
	size_t i = 2;

	while (i < argc) {
		if (slice_is_nocase(argv[i], "get") && argc - i > 2)
			i += 3;
		else if (slice_is_nocase(argv[i], "overflow") && argc - i > 1)
			i += 2;
		else
			break;
	}
	ranges[0] = (struct key_range){1, 1, 1,
	    i < argc ? KEYSPEC_RW | KEYSPEC_ACCESS | KEYSPEC_UPDATE : KEYSPEC_RO | KEYSPEC_ACCESS};
	return 1;
}

/* Commands whose keys no specification can describe. */
static const struct {
	const char *name;
	size_t (*find)(
	    const struct slice *argv, size_t argc, struct key_range ranges[KEY_SPECS_MAX]);
} own_rules[] = {
    {"bitfield", bitfield_keys},
    {"set", set_keys},
    {"sort", sort_keys},
    {"sort_ro", sort_ro_keys},
};

size_t
key_spec_ranges(const struct acl_command *row, const struct slice *argv, size_t argc,
    struct key_range ranges[KEY_SPECS_MAX])
{
	struct key_spec specs[KEY_SPECS_MAX];
	size_t count = key_specs_parse(row->keys, specs), found = 0, i;
	bool unclear = false;

	for (i = 0; i < count; i++)
		unclear |=
		    specs[i].find == KEYS_UNKNOWN || (specs[i].flags & KEYSPEC_VARIABLE_FLAGS) != 0;
	for (i = 0; unclear && i < sizeof(own_rules) / sizeof(own_rules[0]); i++)
		if (strcmp(row->name, own_rules[i].name) == 0)
			return own_rules[i].find(argv, argc, ranges);
	for (i = 0; i < count; i++) {
		if ((specs[i].flags & KEYSPEC_NOT_KEY) != 0)
			continue;
		if (!find_range(&specs[i], argv, (int64_t)argc, &ranges[found++]))
			return 0;
	}
	return found;
}

bool
key_specs_have_keys(const char *keys)
{
	struct key_spec specs[KEY_SPECS_MAX];
	size_t count = key_specs_parse(keys, specs), i;

	for (i = 0; i < count; i++)
		if ((specs[i].flags & KEYSPEC_NOT_KEY) == 0)
			return true;
	return false;
}
