#include "config.h"

#include "pubsub/channel_classes.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/channel_tree.h"

enum { CLASSES = CHANNEL_CLASS_BY_NAME }; /* numbers of classes, the default included */

struct class
{
	struct channel_options options;
	uint64_t hash; /* of the options */
	size_t refs;
	uint32_t born; /* changes when the number gets other options: see struct cached */
	bool is_used;  /* has options, also while it has no references */
};

/* The cache has no references. An entry is valid while the lines are those of its generation and
 * the number of its class has the options that it had. */
#define CACHED_NAME_MAX 53
#define CACHE_SIZE 1024 /* a power of 2 */

struct cached {
	uint32_t generation; /* 0: empty */
	uint32_t born;
	uint8_t class;
	uint8_t name_len;
	char name[CACHED_NAME_MAX + 1];
};

struct channel_classes {
	struct channel_lines *lines;
	struct channel_tree *tree;      /* topic->tag: the slot of the line */
	uint32_t generation;            /* of the lines */
	unsigned next;                  /* the number that is tried next for reuse */
	struct cached *cache;           /* CACHE_SIZE of them; NULL before the first use */
	uint64_t matched;               /* lines, by all lookups */
	struct channel_options by_name; /* the last answer without a class; borrows */
	struct class classes[CLASSES];  /* the first one is the default */
};

struct channel_classes *
channel_classes_new(void)
{
	struct channel_classes *classes = xcalloc(1, sizeof(*classes));

	classes->lines = channel_lines_new();
	classes->tree = channel_tree_new();
	classes->generation = 1;
	channel_options_init(&classes->classes[CHANNEL_CLASS_DEFAULT].options);
	return classes;
}

void
channel_classes_free(struct channel_classes *classes)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (classes->classes[i].is_used)
			channel_options_release(&classes->classes[i].options);
	channel_lines_free(classes->lines);
	channel_tree_free(classes->tree);
	xfree(classes->cache);
	xfree(classes);
}

const struct channel_lines *
channel_classes_lines(const struct channel_classes *classes)
{
	return classes->lines;
}

static void
begin_generation(struct channel_classes *classes)
{
	if (++classes->generation == 0)
		classes->generation = 1;
	if (classes->cache != NULL && channel_lines_count(classes->lines) == 0) {
		xfree(classes->cache);
		classes->cache = NULL;
	}
}

static void
add_glob(struct channel_classes *classes, const struct channel_line *line)
{
	channel_tree_add(classes->tree, true, line->glob)->tag = line->slot;
}

bool
channel_classes_set(struct channel_classes *classes, struct slice glob, const struct slice *words,
    size_t count, struct channel_error *error)
{
	const struct channel_line *line;

	if (!channel_lines_set(classes->lines, glob, words, count, &line, error))
		return false;
	add_glob(classes, line);
	begin_generation(classes);
	return true;
}

bool
channel_classes_unset(struct channel_classes *classes, struct slice glob, const struct slice *names,
    size_t count, struct channel_error *error)
{
	if (!channel_lines_unset(classes->lines, glob, names, count, error))
		return false;
	if (channel_lines_find(classes->lines, glob) == NULL)
		channel_tree_remove(classes->tree, channel_tree_find(classes->tree, true, glob));
	begin_generation(classes);
	return true;
}

/* The tree keeps the globs that stay, which takes far less time than to make it anew. In most
 * files only the lines from the first change on need a search. */
void
channel_classes_replace(struct channel_classes *classes, struct channel_lines *lines)
{
	const struct channel_line *old = channel_lines_first(classes->lines);
	const struct channel_line *line = channel_lines_first(lines);

	while (old != NULL && line != NULL && old->slot == line->slot &&
	       slice_eq(old->glob, line->glob)) {
		old = channel_lines_next(old);
		line = channel_lines_next(line);
	}
	for (; old != NULL; old = channel_lines_next(old))
		if (channel_lines_find(lines, old->glob) == NULL)
			channel_tree_remove(
			    classes->tree, channel_tree_find(classes->tree, true, old->glob));
	for (; line != NULL; line = channel_lines_next(line))
		add_glob(classes, line);
	channel_lines_free(classes->lines);
	classes->lines = lines;
	begin_generation(classes);
}

/* For each option the last line in the order of the file counts, whatever the order in which the
 * tree finds them. */
static void
explain(struct channel_classes *classes, struct topic *const *topics, size_t count,
    struct channel_explanation *out)
{
	classes->matched += count;
	channel_options_init(&out->options);
	memset(out->from, 0, sizeof(out->from));
	for (size_t i = 0; i < count; i++) {
		const struct channel_line *line = channel_lines_at(classes->lines, topics[i]->tag);

		for (uint32_t set = line->set; set != 0; set &= set - 1) {
			size_t option = (size_t)__builtin_ctz(set);

			if (out->from[option] == NULL || out->from[option]->order < line->order)
				out->from[option] = line;
		}
	}
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		if (out->from[i] != NULL)
			channel_option_borrow(&out->options, &out->from[i]->values, i);
}

void
channel_classes_explain(
    struct channel_classes *classes, struct slice name, struct channel_explanation *out)
{
	size_t count;
	struct topic **topics = channel_tree_match(classes->tree, name, &count);

	explain(classes, topics, count, out);
}

static struct class *
reusable_class(struct channel_classes *classes)
{
	for (unsigned tried = 1; tried < CLASSES; tried++) {
		struct class *class = &classes->classes[1 + classes->next++ % (CLASSES - 1)];

		if (class->refs == 0)
			return class;
	}
	return NULL;
}

static struct class *
find_class(struct channel_classes *classes, const struct channel_options *options, uint64_t hash)
{
	for (size_t i = 1; i < CLASSES; i++) {
		struct class *class = &classes->classes[i];

		if (class->is_used && class->hash == hash &&
		    channel_options_equal(&class->options, options))
			return class;
	}
	return NULL;
}

/* The number of the class with these options. */
static uint8_t
intern(struct channel_classes *classes, const struct channel_options *options)
{
	uint64_t hash = channel_options_hash(options);
	struct class *class;

	if (channel_options_equal(options, channel_options_default()))
		return CHANNEL_CLASS_DEFAULT;
	class = find_class(classes, options, hash);
	if (class == NULL) {
		class = reusable_class(classes);
		if (class == NULL)
			return CHANNEL_CLASS_BY_NAME;
		if (class->is_used)
			channel_options_release(&class->options);
		channel_options_copy(&class->options, options);
		class->hash = hash;
		class->is_used = true;
		class->born++;
	}
	return (uint8_t)(class - classes->classes);
}

uint8_t
channel_classes_ref(struct channel_classes *classes, struct slice name)
{
	struct channel_explanation explanation;
	uint8_t class;

	channel_classes_explain(classes, name, &explanation);
	class = intern(classes, &explanation.options);
	if (class != CHANNEL_CLASS_DEFAULT && class != CHANNEL_CLASS_BY_NAME)
		classes->classes[class].refs++;
	return class;
}

void
channel_classes_unref(struct channel_classes *classes, uint8_t class)
{
	if (class == CHANNEL_CLASS_DEFAULT || class == CHANNEL_CLASS_BY_NAME)
		return;
	assert(classes->classes[class].refs > 0);
	classes->classes[class].refs--;
}

const struct channel_options *
channel_classes_options(const struct channel_classes *classes, uint8_t class)
{
	assert(class < CLASSES);
	return &classes->classes[class].options;
}

/* Names that collide cost a lookup each: nothing worse, so the hash needs no key. */
static struct cached *
cache_entry(struct channel_classes *classes, struct slice name)
{
	uint64_t hash = name.len;
	size_t at = 0;

	if (classes->cache == NULL)
		classes->cache = xcalloc(CACHE_SIZE, sizeof(*classes->cache));
	while (at < name.len) {
		size_t len = name.len - at < sizeof(uint64_t) ? name.len - at : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, name.ptr + at, len);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
		at += len;
	}
	return &classes->cache[hash % CACHE_SIZE];
}

static bool
is_valid(const struct channel_classes *classes, const struct cached *entry, struct slice name)
{
	return entry->generation == classes->generation && entry->name_len == name.len &&
	       memcmp(entry->name, name.ptr, name.len) == 0 &&
	       entry->born == classes->classes[entry->class].born;
}

const struct channel_options *
channel_classes_of_name(struct channel_classes *classes, struct slice name)
{
	struct channel_explanation explanation;
	struct cached *entry = NULL;
	uint8_t class = CHANNEL_CLASS_DEFAULT;
	struct topic **topics;
	size_t count;

	if (channel_lines_count(classes->lines) == 0)
		return &classes->classes[CHANNEL_CLASS_DEFAULT].options;
	if (name.len > 0 && name.len <= CACHED_NAME_MAX) {
		entry = cache_entry(classes, name);
		if (is_valid(classes, entry, name))
			return &classes->classes[entry->class].options;
	}
	topics = channel_tree_match(classes->tree, name, &count);
	if (count > 0) {
		explain(classes, topics, count, &explanation);
		class = intern(classes, &explanation.options);
		if (class == CHANNEL_CLASS_BY_NAME) {
			classes->by_name = explanation.options;
			return &classes->by_name;
		}
	}
	if (entry != NULL) {
		entry->generation = classes->generation;
		entry->born = classes->classes[class].born;
		entry->class = class;
		entry->name_len = (uint8_t)name.len;
		memcpy(entry->name, name.ptr, name.len);
	}
	return &classes->classes[class].options;
}

uint64_t
channel_classes_matched(const struct channel_classes *classes)
{
	return classes->matched;
}

size_t
channel_classes_count(const struct channel_classes *classes)
{
	size_t count = 0;

	for (size_t i = 1; i < CLASSES; i++)
		count += classes->classes[i].refs > 0;
	return count;
}

size_t
channel_classes_bytes(const struct channel_classes *classes)
{
	return sizeof(*classes) + channel_lines_bytes(classes->lines) +
	       channel_tree_bytes(classes->tree) +
	       (classes->cache != NULL ? CACHE_SIZE * sizeof(*classes->cache) : 0);
}
