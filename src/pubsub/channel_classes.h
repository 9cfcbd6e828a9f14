#ifndef PUBSUB_CHANNEL_CLASSES_H
#define PUBSUB_CHANNEL_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_options.h"

/*
 * Classes of channels: which options a channel has, given the lines (channel_lines.h).
 *
 * The globs of the lines are patterns of a channel tree of their own, so that the cost of a lookup
 * does not depend on the number of lines that do not match. Channels with equal values of all
 * options have the same class, a number of one byte: ten thousand lines with few different values
 * need few classes. A class keeps its number and its values while it has references. Without
 * references it may lose its number to another class, but only when no number is free.
 */
struct channel_classes;

enum {
	CHANNEL_CLASS_DEFAULT = 0,   /* all options have their defaults */
	CHANNEL_CLASS_BY_NAME = 255, /* all numbers are in use: the options are looked up by name */
};

struct channel_classes *channel_classes_new(void); /* returns owned (channel_classes_free) */
void channel_classes_free(struct channel_classes *classes);

const struct channel_lines *channel_classes_lines(const struct channel_classes *classes);

/* As channel_lines_set() and channel_lines_unset(). Classes that were returned before keep their
 * values: the owner looks up the class of each of its channels again. */
bool channel_classes_set(struct channel_classes *classes, struct slice glob,
    const struct slice *words, size_t count, struct channel_error *error)
    __attribute__((warn_unused_result));
bool channel_classes_unset(struct channel_classes *classes, struct slice glob,
    const struct slice *names, size_t count, struct channel_error *error)
    __attribute__((warn_unused_result));
/* Replaces all lines; takes lines. */
void channel_classes_replace(struct channel_classes *classes, struct channel_lines *lines);

/* The class of the channel of that name, with a reference: the caller calls channel_classes_unref()
 * once. O(length of the name) if few lines match. The default class has no references, so that a
 * caller may assume it while there are no lines. */
uint8_t channel_classes_ref(struct channel_classes *classes, struct slice name);
void channel_classes_unref(struct channel_classes *classes, uint8_t class);

/* The values of a class that the caller has a reference to, and that is not CHANNEL_CLASS_BY_NAME.
 * Valid as long as the reference. */
const struct channel_options *channel_classes_options(
    const struct channel_classes *classes, uint8_t class);

/*
 * The options of the channel of that name: for channels without a reference to a class, and of
 * CHANNEL_CLASS_BY_NAME. A small cache makes it cheap for names that are asked for again. Valid
 * until the next call of a function here that may change something.
 */
const struct channel_options *channel_classes_of_name(
    struct channel_classes *classes, struct slice name);

/* For introspection: the value of each option for that name, and the line that it comes from (NULL:
 * the default). Borrows from the lines. */
struct channel_explanation {
	struct channel_options options; /* not to be released */
	const struct channel_line *from[CHANNEL_OPTIONS];
};
void channel_classes_explain(
    struct channel_classes *classes, struct slice name, struct channel_explanation *out);

/* Lines that matched a name, by all lookups so far: what lookups cost. */
uint64_t channel_classes_matched(const struct channel_classes *classes);

size_t channel_classes_count(const struct channel_classes *classes); /* with references */
size_t channel_classes_bytes(const struct channel_classes *classes); /* memory, lines included */

#endif
