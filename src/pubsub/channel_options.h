#ifndef PUBSUB_CHANNEL_OPTIONS_H
#define PUBSUB_CHANNEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Options of a channel: the value of each option, and the table of the options
 * (channel_options.def) with the notation of their values. It does not know to which channels the
 * values apply: see channel_lines.h and channel_classes.h.
 */
#define CHANNEL_MEMBER_NUMBER uint64_t
#define CHANNEL_MEMBER_SECONDS uint64_t
#define CHANNEL_MEMBER_BYTES uint64_t
#define CHANNEL_MEMBER_BOOL uint64_t
#define CHANNEL_MEMBER_CHOICE uint64_t
#define CHANNEL_MEMBER_FLAGS uint64_t
#define CHANNEL_MEMBER_USERS char *

/* Memory: a text is owned by the struct's owner (channel_options_release), unless a function says
 * that it borrows. */
struct channel_options {
#define CHANNEL_OPTION(member, name, type, least, most, initial, choices, text)                    \
	CHANNEL_MEMBER_##type member;
#include "pubsub/channel_options.def"
#undef CHANNEL_OPTION
};

/* The index of each option: CHANNEL_HAS_history_size ... */
enum channel_option_index {
#define CHANNEL_OPTION(member, name, type, least, most, initial, choices, text)                    \
	CHANNEL_HAS_##member,
#include "pubsub/channel_options.def"
#undef CHANNEL_OPTION
	CHANNEL_OPTIONS
};

/* The bit of an option in a set of options. */
#define CHANNEL_BIT(member) (UINT32_C(1) << CHANNEL_HAS_##member)

/* The values of `outbox_policy`: OUTBOX_x is OUTBOX_x + CHANNEL_POLICY_FIRST. */
enum { CHANNEL_POLICY_GLOBAL, CHANNEL_POLICY_FIRST };

/* The values of `presence`. */
enum { CHANNEL_PRESENCE_NO, CHANNEL_PRESENCE_COUNT, CHANNEL_PRESENCE_MEMBERS };

/* The bits of `events`. */
enum { CHANNEL_EVENT_OCCUPIED = 1, CHANNEL_EVENT_JOIN = 2 };

enum channel_option_type {
	CHANNEL_NUMBER,
	CHANNEL_SECONDS,
	CHANNEL_BYTES,
	CHANNEL_BOOL,
	CHANNEL_CHOICE,
	CHANNEL_FLAGS,
	CHANNEL_USERS,
};

struct channel_option {
	const char *name;
	const char *choices; /* names separated by blanks, or NULL */
	const char *text;    /* for the manual */
	size_t offset;       /* of its member */
	uint64_t least, most;
	enum channel_option_type type;
};

/* index < CHANNEL_OPTIONS. */
const struct channel_option *channel_option_at(size_t index);
/* The index of the option of that name, in any case; CHANNEL_OPTIONS if there is none. */
size_t channel_option_find(struct slice name);

/* The values without any line. Owned by the module; for ever. */
const struct channel_options *channel_options_default(void);

/* Reads a value. False: it is not allowed, and nothing was changed. Copies. */
bool channel_option_parse(struct channel_options *options, size_t index, struct slice value)
    __attribute__((warn_unused_result));

/* Appends the value as channel_option_parse() reads it: one word. */
void channel_option_write(const struct channel_options *options, size_t index, struct buffer *out);

/* Appends what is allowed: "a number from 0 to 10000", "one of no, count, members". */
void channel_option_write_allowed(size_t index, struct buffer *out);

/* Copies one value; `to` has been initialized. channel_option_borrow() does not copy a text: `to`
 * is then not released. */
void channel_option_copy(
    struct channel_options *to, const struct channel_options *from, size_t index);
void channel_option_borrow(
    struct channel_options *to, const struct channel_options *from, size_t index);
bool channel_option_equal(
    const struct channel_options *a, const struct channel_options *b, size_t index);

void channel_options_init(struct channel_options *options); /* to the defaults */
void channel_options_copy(
    struct channel_options *to, const struct channel_options *from); /* initializes `to` */
void channel_options_release(struct channel_options *options);
bool channel_options_equal(const struct channel_options *a, const struct channel_options *b);
uint64_t channel_options_hash(const struct channel_options *options); /* equal if they are equal */

/* Whether the channel keeps messages. */
static inline bool
channel_options_keep(const struct channel_options *options)
{
	return options->history_size > 0 && options->history_ttl > 0;
}

/* Whether publish_users has this user, or is NULL. */
bool channel_options_allow_user(const struct channel_options *options, struct slice user);

#endif
