#include "config.h"

#include "acl/rules.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

static const struct {
	const char *name;
	const char *subcommands;
} foreign[] = {
#define ACL_FOREIGN(name, subcommands) {name, subcommands},
#include "acl/foreign.def"
#undef ACL_FOREIGN
};

const char *
acl_fault_text(enum acl_fault fault)
{
	switch (fault) {
	case ACL_UNKNOWN_COMMAND:
		return "Unknown command or category name in ACL";
	case ACL_BAD_SYNTAX:
		return "Syntax error";
	case ACL_KEYS_AFTER_ALL:
		return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid "
		       "and does not have any effect. Try 'resetkeys' to start with an empty list "
		       "of patterns";
	case ACL_CHANNELS_AFTER_ALL:
		return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not "
		       "valid and does not have any effect. Try 'resetchannels' to start with an "
		       "empty list of channels";
	case ACL_NO_SUCH_PASSWORD:
		return "The password you are trying to remove from the user does not exist";
	case ACL_BAD_HASH:
		return "The password hash must be exactly 64 characters and contain only lowercase "
		       "hexadecimal characters";
	case ACL_FIRST_ARG_OF_SUBCOMMAND:
		return "Allowing first-arg of a subcommand is not supported";
	case ACL_UNMATCHED:
		return "Unmatched parenthesis in acl selector";
	case ACL_TOO_MANY:
		return "Too many rules for one user";
	case ACL_OK:
		break;
	}
	return "Wrong format";
}

void
acl_selector_init(struct acl_selector *s, bool all_channels)
{
	*s = (struct acl_selector){.all_channels = all_channels};
}

static void
patterns_release(struct acl_patterns *patterns)
{
	for (size_t i = 0; i < patterns->count; i++)
		xfree(patterns->items[i].ptr);
	xfree(patterns->items);
	*patterns = (struct acl_patterns){NULL, 0};
}

static void
drop_first_args(struct acl_selector *s)
{
	for (size_t i = 0; i < s->first_arg_count; i++)
		xfree(s->first_args[i].ptr);
	xfree(s->first_args);
	s->first_args = NULL;
	s->first_arg_count = 0;
}

void
acl_selector_release(struct acl_selector *s)
{
	patterns_release(&s->keys);
	patterns_release(&s->channels);
	drop_first_args(s);
	buffer_release(&s->rules);
}

static void
patterns_copy(struct acl_patterns *to, const struct acl_patterns *from)
{
	*to = (struct acl_patterns){xcalloc(from->count + 1, sizeof(*to->items)), from->count};
	for (size_t i = 0; i < from->count; i++) {
		to->items[i] = from->items[i];
		to->items[i].ptr = xmemdup(from->items[i].ptr, from->items[i].len);
	}
}

void
acl_selector_copy(struct acl_selector *to, const struct acl_selector *from)
{
	*to = *from;
	patterns_copy(&to->keys, &from->keys);
	patterns_copy(&to->channels, &from->channels);
	to->first_args = xcalloc(from->first_arg_count + 1, sizeof(*to->first_args));
	for (size_t i = 0; i < from->first_arg_count; i++) {
		to->first_args[i] = from->first_args[i];
		to->first_args[i].ptr = xmemdup(from->first_args[i].ptr, from->first_args[i].len);
	}
	to->rules = (struct buffer){0};
	buffer_append_slice(&to->rules, buffer_slice(&from->rules));
}

static bool
has_blank(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\0' || isspace((unsigned char)s.ptr[i]))
			return true;
	return false;
}

/* A pattern that is given twice is kept once, with the access of both. */
static enum acl_fault
add_pattern(struct acl_patterns *patterns, struct slice pattern, uint32_t access)
{
	size_t i;

	if (has_blank(pattern))
		return ACL_BAD_SYNTAX;
	for (i = 0; i < patterns->count; i++) {
		struct acl_pattern *known = &patterns->items[i];

		if (slice_eq((struct slice){known->ptr, known->len}, pattern)) {
			known->access |= access;
			return ACL_OK;
		}
	}
	if (i == ACL_ITEMS_MAX)
		return ACL_TOO_MANY;
	patterns->items = xrealloc(patterns->items, (i + 1) * sizeof(*patterns->items));
	patterns->items[i] =
	    (struct acl_pattern){xmemdup(pattern.ptr, pattern.len), pattern.len, access};
	patterns->count++;
	return ACL_OK;
}

static enum acl_fault
apply_key(struct acl_selector *s, struct slice rule)
{
	uint32_t access = 0;
	size_t at = 1;

	if (s->all_keys)
		return ACL_KEYS_AFTER_ALL;
	if (rule.ptr[0] == '~') {
		access = ACL_READ | ACL_WRITE;
	} else {
		for (; at < rule.len && rule.ptr[at] != '~'; at++) {
			int letter = toupper((unsigned char)rule.ptr[at]);
			uint32_t one = letter == 'R' ? ACL_READ : letter == 'W' ? ACL_WRITE : 0;

			if (one == 0 || (access & one) != 0)
				return ACL_BAD_SYNTAX;
			access |= one;
		}
		if (access == 0)
			return ACL_BAD_SYNTAX;
		/* As Redis: without a ~ the pattern is empty. */
		at += at < rule.len;
	}
	return add_pattern(&s->keys, (struct slice){rule.ptr + at, rule.len - at}, access);
}

static bool
has_word(const char *words, struct slice word)
{
	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		if (word.len == len && strncasecmp(words, word.ptr, len) == 0)
			return true;
		words += len;
		words += *words == ' ';
	}
	return false;
}

/* Commands that Redis has and Fanfare does not. */
static bool
is_foreign(struct slice name, bool *is_container)
{
	const char *bar = name.len > 0 ? memchr(name.ptr, '|', name.len) : NULL;
	struct slice head = {name.ptr, bar != NULL ? (size_t)(bar - name.ptr) : name.len};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		if (!slice_is_nocase(head, foreign[i].name))
			continue;
		*is_container = bar == NULL && foreign[i].subcommands[0] != '\0';
		return bar == NULL || has_word(foreign[i].subcommands,
					  (struct slice){bar + 1, name.len - head.len - 1});
	}
	return false;
}

bool
acl_selector_has_command(const struct acl_selector *s, size_t index)
{
	return (s->commands.bits[index / 64] >> (index % 64) & 1) != 0;
}

static void
set_rows(struct acl_selector *s, const struct acl_command_set *rows, bool allowed)
{
	size_t kept = 0;

	for (size_t i = 0; i < ACL_COMMAND_WORDS; i++) {
		if (allowed)
			s->commands.bits[i] |= rows->bits[i];
		else
			s->commands.bits[i] &= ~rows->bits[i];
		if (!allowed && rows->bits[i] != 0)
			s->all_commands = false;
	}
	for (size_t i = 0; i < s->first_arg_count; i++) {
		size_t index = s->first_args[i].index;

		if ((rows->bits[index / 64] >> (index % 64) & 1) != 0)
			xfree(s->first_args[i].ptr);
		else
			s->first_args[kept++] = s->first_args[i];
	}
	s->first_arg_count = kept;
}

/* Removes the rules that name the same command or category, or a subcommand of it. */
static void
forget_rules(struct buffer *rules, struct slice name)
{
	size_t from = 0, to = 0;

	while (from < rules->len) {
		const char *word = rules->ptr + from;
		const char *end = memchr(word, ' ', rules->len - from);
		size_t len = end != NULL ? (size_t)(end - word) : rules->len - from;
		bool same = len > name.len && memcmp(word + 1, name.ptr, name.len) == 0 &&
			    (len == name.len + 1 || word[name.len + 1] == '|');

		from += len + 1;
		if (same)
			continue;
		if (to > 0)
			rules->ptr[to++] = ' ';
		memmove(rules->ptr + to, word, len);
		to += len;
	}
	rules->len = to;
}

/* Keeps the rule, in place of earlier ones that it makes void. */
static void
note_rule(struct acl_selector *s, struct slice rule)
{
	char lower[ACL_RULE_BYTES_MAX];

	for (size_t i = 0; i < rule.len; i++)
		lower[i] = (char)tolower((unsigned char)rule.ptr[i]);
	forget_rules(&s->rules, (struct slice){lower + 1, rule.len - 1});
	if (s->rules.len > 0)
		buffer_append_str(&s->rules, " ");
	buffer_append(&s->rules, lower, rule.len);
}

static enum acl_fault
apply_category(
    struct acl_selector *s, const struct acl_commands *commands, struct slice rule, bool allowed)
{
	struct slice category = {rule.ptr + 2, rule.len - 2};
	size_t i = 0;

	while (acl_categories[i] != NULL && !slice_is_nocase(category, acl_categories[i]))
		i++;
	if (acl_categories[i] == NULL)
		return ACL_UNKNOWN_COMMAND;
	set_rows(s, acl_commands_of_category(commands, i), allowed);
	note_rule(s, rule);
	return ACL_OK;
}

static enum acl_fault
allow_first_arg(struct acl_selector *s, const struct acl_command *row, struct slice arg)
{
	size_t n = s->first_arg_count;

	for (size_t i = 0; i < n; i++)
		if (s->first_args[i].index == row->index && s->first_args[i].len == arg.len &&
		    strncasecmp(s->first_args[i].ptr, arg.ptr, arg.len) == 0)
			return ACL_OK;
	if (n == ACL_ITEMS_MAX)
		return ACL_TOO_MANY;
	s->first_args = xrealloc(s->first_args, (n + 1) * sizeof(*s->first_args));
	s->first_args[n] = (struct acl_first_arg){row->index, xmemdup(arg.ptr, arg.len), arg.len};
	s->first_arg_count++;
	return ACL_OK;
}

/* +command|word which is not the name of a subcommand: word is a first argument. */
static enum acl_fault
apply_first_arg(struct acl_selector *s, const struct acl_commands *commands, struct slice rule)
{
	struct slice name = {rule.ptr + 1, rule.len - 1};
	const char *bar = memrchr(name.ptr, '|', name.len);
	struct slice head = {name.ptr, (size_t)(bar - name.ptr)};
	struct slice arg = {bar + 1, name.len - head.len - 1};
	const struct acl_command *row = acl_commands_find(commands, head);
	bool is_container = false;
	enum acl_fault fault = ACL_OK;

	if (row == NULL && !is_foreign(head, &is_container))
		return ACL_UNKNOWN_COMMAND;
	if (memchr(head.ptr, '|', head.len) != NULL)
		return ACL_FIRST_ARG_OF_SUBCOMMAND;
	if (arg.len == 0)
		return ACL_BAD_SYNTAX;
	if (is_container || (row != NULL && row->is_container))
		return ACL_UNKNOWN_COMMAND;
	if (row != NULL)
		fault = allow_first_arg(s, row, arg);
	if (fault == ACL_OK)
		note_rule(s, rule);
	return fault;
}

static enum acl_fault
apply_command(struct acl_selector *s, const struct acl_commands *commands, struct slice rule)
{
	struct slice name = {rule.ptr + 1, rule.len - 1};
	bool allowed = rule.ptr[0] == '+', is_container;
	struct acl_command_set rows = {0};
	const struct acl_command *row;

	if (s->rules.len + rule.len > ACL_RULES_BYTES_MAX)
		return ACL_TOO_MANY;
	if (has_blank(name))
		return ACL_BAD_SYNTAX;
	if (name.len > 0 && name.ptr[0] == '@')
		return apply_category(s, commands, rule, allowed);
	row = acl_commands_find(commands, name);
	if (row == NULL && !is_foreign(name, &is_container)) {
		if (allowed && name.len > 0 && memchr(name.ptr, '|', name.len) != NULL)
			return apply_first_arg(s, commands, rule);
		return ACL_UNKNOWN_COMMAND;
	}
	if (row != NULL)
		acl_commands_add(commands, row, &rows);
	set_rows(s, &rows, allowed);
	note_rule(s, rule);
	return ACL_OK;
}

static void
set_all_commands(struct acl_selector *s, bool allowed)
{
	memset(&s->commands, allowed ? 0xff : 0, sizeof(s->commands));
	s->all_commands = s->starts_with_all = allowed;
	buffer_clear(&s->rules);
	drop_first_args(s);
}

static void
set_all(struct acl_patterns *patterns, bool *all, bool allowed)
{
	*all = allowed;
	patterns_release(patterns);
}

static bool
is_either(struct slice rule, const char *a, const char *b)
{
	return slice_is_nocase(rule, a) || slice_is_nocase(rule, b);
}

enum acl_fault
acl_selector_apply(struct acl_selector *s, const struct acl_commands *commands, struct slice rule)
{
	if (rule.len > ACL_RULE_BYTES_MAX || rule.len == 0)
		return ACL_BAD_SYNTAX;
	if (is_either(rule, "allkeys", "~*"))
		set_all(&s->keys, &s->all_keys, true);
	else if (slice_is_nocase(rule, "resetkeys"))
		set_all(&s->keys, &s->all_keys, false);
	else if (is_either(rule, "allchannels", "&*"))
		set_all(&s->channels, &s->all_channels, true);
	else if (slice_is_nocase(rule, "resetchannels"))
		set_all(&s->channels, &s->all_channels, false);
	else if (is_either(rule, "allcommands", "+@all"))
		set_all_commands(s, true);
	else if (is_either(rule, "nocommands", "-@all"))
		set_all_commands(s, false);
	else if (rule.ptr[0] == '~' || rule.ptr[0] == '%')
		return apply_key(s, rule);
	else if (rule.ptr[0] == '&')
		return s->all_channels ? ACL_CHANNELS_AFTER_ALL
				       : add_pattern(&s->channels,
					     (struct slice){rule.ptr + 1, rule.len - 1}, 0);
	else if (rule.ptr[0] == '+' || rule.ptr[0] == '-')
		return apply_command(s, commands, rule);
	else
		return ACL_BAD_SYNTAX;
	return ACL_OK;
}

static void
blank(struct buffer *out, size_t from)
{
	if (out->len > from)
		buffer_append_str(out, " ");
}

void
acl_selector_describe_keys(const struct acl_selector *s, struct buffer *out)
{
	static const char *const heads[] = {"", "%R~", "%W~", "~"};
	size_t from = out->len;

	if (s->all_keys)
		buffer_append_str(out, "~*");
	for (size_t i = 0; i < s->keys.count; i++) {
		blank(out, from);
		buffer_append_str(out, heads[s->keys.items[i].access]);
		buffer_append(out, s->keys.items[i].ptr, s->keys.items[i].len);
	}
}

void
acl_selector_describe_channels(const struct acl_selector *s, struct buffer *out)
{
	size_t from = out->len;

	if (s->all_channels)
		buffer_append_str(out, "&*");
	for (size_t i = 0; i < s->channels.count; i++) {
		blank(out, from);
		buffer_append_str(out, "&");
		buffer_append(out, s->channels.items[i].ptr, s->channels.items[i].len);
	}
}

void
acl_selector_describe_commands(const struct acl_selector *s, struct buffer *out)
{
	buffer_append_str(out, s->starts_with_all ? "+@all" : "-@all");
	if (s->rules.len > 0)
		buffer_append_str(out, " ");
	buffer_append_slice(out, buffer_slice(&s->rules));
}

void
acl_selector_describe(const struct acl_selector *s, struct buffer *out)
{
	size_t from = out->len;

	acl_selector_describe_keys(s, out);
	blank(out, from);
	if (!s->all_channels)
		buffer_append_str(out, s->channels.count > 0 ? "resetchannels " : "resetchannels");
	acl_selector_describe_channels(s, out);
	buffer_append_str(out, " ");
	acl_selector_describe_commands(s, out);
}
