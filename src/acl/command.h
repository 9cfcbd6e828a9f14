#ifndef ACL_COMMAND_H
#define ACL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * What access control knows of the commands: names, categories, which arguments are keys and which
 * are channels. It is made once from the table of commands, which is in a higher layer.
 */
#define ACL_COMMAND_WORDS 8 /* bits for 512 commands */
#define ACL_COMMANDS_MAX ((size_t)64 * ACL_COMMAND_WORDS)

/* What the names are. ACL_NAMES_EITHER: as QSUBSCRIBE decides, queue_topic_kind(). */
enum acl_names { ACL_NAMES_CHANNELS, ACL_NAMES_PATTERNS, ACL_NAMES_EITHER };

/* Which arguments are names of channels, or patterns of names. */
struct acl_channels {
	uint8_t first; /* index of the first one, counted with the command's names; 0: none is */
	uint8_t step;  /* each step-th argument after it is one too; 0: only the first one is */
	enum acl_names names;
	bool may_be_queues; /* a queue name stands for its topic, if acl_look.queue_names */
};

struct acl_command {
	size_t index;           /* in the table of commands */
	const char *container;  /* "client" for "client|list", else NULL */
	const char *name;       /* lower case; "list" for "client|list" */
	const char *categories; /* "@pubsub @slow" */
	const char *keys;       /* key specifications, see key_spec.h; NULL: no keys */
	struct acl_channels channels;
	bool is_container;
	bool always_allowed; /* AUTH, HELLO and their like: allowed to every user */
};

/* A set of commands: bit acl_command.index. */
struct acl_command_set {
	uint64_t bits[ACL_COMMAND_WORDS];
};

struct acl_commands;

/*
 * Calls describe for each of count rows, with index set; describe fills in the rest and lends its
 * strings. count is at most ACL_COMMANDS_MAX; no two commands have the same name. Returns owned
 * (acl_commands_free).
 */
struct acl_commands *acl_commands_new(
    size_t count, void (*describe)(struct acl_command *row, const void *arg), const void *arg);
void acl_commands_free(struct acl_commands *commands); /* NULL is allowed */

const struct acl_command *acl_commands_at(const struct acl_commands *commands, size_t index);

/* The command of this name in any case, "client|list" for a subcommand; NULL if there is none. */
const struct acl_command *acl_commands_find(const struct acl_commands *commands, struct slice name);

/* Adds the command; with a container, its subcommands as well. */
void acl_commands_add(const struct acl_commands *commands, const struct acl_command *row,
    struct acl_command_set *set);

/* Categories of commands, without @, in Redis's order; NULL at the end. */
extern const char *const acl_categories[];
#define ACL_CATEGORIES_MAX 32

bool acl_category_holds(struct slice category, const struct acl_command *row);

/* The commands of acl_categories[i]. */
const struct acl_command_set *acl_commands_of_category(
    const struct acl_commands *commands, size_t category);

#endif
