#ifndef ACL_RULES_H
#define ACL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/command.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * A selector: which commands, keys and channels, in the rule language of Redis 7's ACLs.
 *
 * A rule either takes effect whole or changes nothing. A selector is described by rules that give
 * the same selector when they are applied: keys, channels, +@all or -@all, then the command rules
 * in the order in which they were given, without those that a later one made void (as Redis 7.2
 * shows them). Rules may name commands that only Redis has: they are kept and shown, and allow
 * nothing. It knows neither users nor clients.
 */
enum acl_fault {
	ACL_OK,
	ACL_UNKNOWN_COMMAND,
	ACL_BAD_SYNTAX,
	ACL_KEYS_AFTER_ALL,
	ACL_CHANNELS_AFTER_ALL,
	ACL_NO_SUCH_PASSWORD,
	ACL_BAD_HASH,
	ACL_FIRST_ARG_OF_SUBCOMMAND,
	ACL_UNMATCHED, /* a parenthesis is not closed */
	ACL_TOO_MANY,  /* patterns, passwords, selectors or rules of a user */
};

/* The error text, which is Redis's where Redis has one. */
const char *acl_fault_text(enum acl_fault fault);

/* Bounds of one selector, and of one user. */
enum {
	ACL_ITEMS_MAX = 1024,      /* patterns of a kind, first arguments, passwords */
	ACL_SELECTORS_MAX = 64,    /* with the root selector */
	ACL_RULE_BYTES_MAX = 4096, /* of one rule; of a selector in parentheses 16 times as much */
	ACL_RULES_BYTES_MAX = 65536, /* of the command rules of a selector */
};

enum acl_access { ACL_READ = 1, ACL_WRITE = 2 };

struct acl_pattern {
	char *ptr; /* owned */
	size_t len;
	uint32_t access; /* of a key: enum acl_access */
};

struct acl_patterns {
	struct acl_pattern *items; /* owned */
	size_t count;
};

/* The legacy form +select|0: allows a command with this first argument only. */
struct acl_first_arg {
	size_t index; /* of the command */
	char *ptr;    /* owned */
	size_t len;
};

struct acl_selector {
	struct acl_command_set commands;
	bool all_commands;    /* no command was removed since +@all */
	bool starts_with_all; /* shown as +@all ..., else as -@all ... */
	bool all_keys;
	bool all_channels;
	struct acl_patterns keys, channels;
	struct acl_first_arg *first_args; /* owned */
	size_t first_arg_count;
	struct buffer rules; /* command rules after +@all or -@all, blanks between them */
};

/* Allows nothing, or all channels and nothing else if all_channels. */
void acl_selector_init(struct acl_selector *s, bool all_channels);
void acl_selector_release(struct acl_selector *s);
void acl_selector_copy(struct acl_selector *to, const struct acl_selector *from);

/* One rule on a selector: keys, channels, commands. */
enum acl_fault acl_selector_apply(struct acl_selector *s, const struct acl_commands *commands,
    struct slice rule) __attribute__((warn_unused_result));

/* Append "~a* resetchannels &b* -@all +get", or a part of it. */
void acl_selector_describe(const struct acl_selector *s, struct buffer *out);
void acl_selector_describe_keys(const struct acl_selector *s, struct buffer *out);
void acl_selector_describe_channels(const struct acl_selector *s, struct buffer *out);
void acl_selector_describe_commands(const struct acl_selector *s, struct buffer *out);

bool acl_selector_has_command(const struct acl_selector *s, size_t index);

#endif
