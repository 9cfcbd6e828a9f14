#ifndef APP_SETTING_H
#define APP_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Setting: a row of the tables of directives, and what can be wrong with a value of it (in words:
 * app/setting_fault.h).
 *
 * It does not know the values: those are in struct settings (app/settings.h).
 */
enum setting_type {
	SETTING_BOOL,
	SETTING_ENUM,
	SETTING_FLAGS,
	SETTING_NUMBER,
	SETTING_SECONDS,
	SETTING_MILLISECONDS,
	SETTING_MICROSECONDS,
	SETTING_BYTES,
	SETTING_OCTAL,
	SETTING_STRING,
	SETTING_SECRET,
	SETTING_LIST,
	SETTING_ORIGINS,  /* a list of origins of pages, or * */
	SETTING_NETWORKS, /* a list of ADDRESS[/BITS] */
	SETTING_BUFFER_LIMITS,
	SETTING_SAVE_RULES,  /* a list of seconds and changes */
	SETTING_PERCENTILES, /* a list of numbers from 0 to 100 */
	SETTING_EVENTS,      /* notify-keyspace-events: letters, see server/notify.h */
	SETTING_USERS,       /* a directive that may be repeated; see setting_users.h */
	SETTING_CHANNELS,    /* the same; see setting_channels.h */
	SETTING_UPSTREAM,    /* a URL; see setting_upstream.h */
};

enum setting_change {
	SETTING_LIVE,  /* CONFIG SET and a reload change it */
	SETTING_FIXED, /* needs a restart */
};

enum setting_class {
	SETTING_OWN,     /* of settings.def; the others are of foreign_directives.def */
	SETTING_IGNORED, /* any valid value is accepted */
	SETTING_LIMITED, /* only some values are */
	SETTING_REFUSED, /* none is */
};

struct setting {
	const char *name;
	const char *initial;  /* the default, as in a file */
	const char *choices;  /* SETTING_ENUM, SETTING_FLAGS: names separated by blanks; the value
				 is the index, or has the bit of each index */
	const char *accepted; /* SETTING_LIMITED: the values; see foreign_directives.def */
	const char *text;     /* SETTING_LIMITED, SETTING_REFUSED: why, and what to do */
	size_t offset;        /* of its member in struct settings */
	size_t size;          /* of its member */
	int64_t min, max;     /* see settings.def */
	enum setting_type type;
	enum setting_change change;
	enum setting_class class;
};

/* The value may contain a password: no line of the log and no error shows it. */
static inline bool
setting_is_secret(const struct setting *row)
{
	return row->type == SETTING_SECRET || row->type == SETTING_UPSTREAM;
}

/* The number of rows of foreign_directives.def. */
enum {
	SETTINGS_FOREIGN = 0
/* NOLINTBEGIN(bugprone-macro-parentheses): the rows make one sum */
#define IGNORED(label, kind, value, low, high, names, when) +1
#define LIMITED(label, kind, value, low, high, names, when, allowed, why) +1
#define REFUSED(label, why) +1
/* NOLINTEND(bugprone-macro-parentheses) */
#define ALIAS(label, today)
#include "app/foreign_directives.def"
#undef ALIAS
#undef REFUSED
#undef LIMITED
#undef IGNORED
};

struct setting_list {
	char **items; /* owned */
	size_t count;
};

/* The value of a foreign directive, by the type of its row. */
union foreign_value {
	int64_t number;
	char *string;
	struct setting_list list;
};

/* What can be wrong with a value. */
enum setting_fault {
	SETTING_OK,
	SETTING_BAD_COUNT, /* too many values, or too few */
	SETTING_BAD_BOOL,
	SETTING_BAD_CHOICE,
	SETTING_BAD_NUMBER,
	SETTING_BAD_BYTES,
	SETTING_BAD_OCTAL,
	SETTING_BAD_RANGE,
	SETTING_BAD_LENGTH,
	SETTING_BAD_TEXT,    /* a NUL inside */
	SETTING_BAD_NETWORK, /* not ADDRESS[/BITS] */
	SETTING_BAD_ORIGIN,
	SETTING_BAD_LIMIT_COUNT, /* buffer limits: not groups of four */
	SETTING_BAD_LIMIT_CLASS, /* ... an unknown class */
	SETTING_BAD_LIMIT_VALUE, /* ... a limit that is not a number */
	SETTING_BAD_SAVE_RULES,  /* not pairs of numbers */
	SETTING_BAD_PERCENTILE,
	SETTING_BAD_PERCENTILE_RANGE,
	SETTING_BAD_EVENTS,
	SETTING_BAD_USER, /* users: no name, or an invalid rule */
	SETTING_DUPLICATE_USER,
	SETTING_TOO_MANY_USERS,
	SETTING_BAD_CHANNEL, /* channels: an invalid line */
	SETTING_DUPLICATE_CHANNEL,
	SETTING_TOO_MANY_CHANNELS,
	SETTING_BAD_URL,
	SETTING_NOT_HERE, /* a foreign directive, or a value of one, that is refused */
};

#endif
