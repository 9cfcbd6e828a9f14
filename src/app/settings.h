#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/seccomp_filter.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/log.h"
#include "edge/edge_config.h"
#include "net/net.h"
#include "server/server.h"

/*
 * Settings: every directive's value, and the table that says what each may be.
 *
 * Everything that reads, writes or shows a setting uses its row of settings.def. Invariant: each
 * member has a value that its row allows. Nothing here opens a file or makes a system call.
 *
 * The directives of Redis that fanfared does not have (foreign_directives.def) are rows as well,
 * behind the others. Their values have no effect; they are kept so that CONFIG can show them.
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
	SETTING_SAVE_RULES, /* a list of seconds and changes */
	SETTING_EVENTS,     /* notify-keyspace-events: letters, see server/notify.h */
	SETTING_USERS,      /* a directive that may be repeated; see setting_users.h */
	SETTING_CHANNELS,   /* the same; see setting_channels.h */
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
	size_t offset;        /* SETTING_OWN: of its member in struct settings */
	size_t size;          /* of its member */
	int64_t min, max;     /* see settings.def */
	enum setting_type type;
	enum setting_change change;
	enum setting_class class;
};

/* The number of rows of foreign_directives.def. */
enum {
	SETTINGS_FOREIGN = 0
#define IGNORED(label, kind, value, low, high, names, when) +1
#define LIMITED(label, kind, value, low, high, names, when, allowed, why) +1
#define REFUSED(label, why) +1
#define ALIAS(label, today)
#include "app/foreign_directives.def"
#undef ALIAS
#undef REFUSED
#undef LIMITED
#undef IGNORED
};

struct channel_lines;

enum supervision { SUPERVISED_NO, SUPERVISED_SYSTEMD, SUPERVISED_AUTO };

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

/* The services of the daemon: how net numbers them. */
enum {
	SERVICE_RESP,
	SERVICE_HTTP,
	SERVICE_WS,         /* WebSocket: an HTTP connection after its upgrade */
	SERVICE_WS_DEFLATE, /* ... with compression */
	SERVICES
};

/* What is kept on disk. */
struct disk_settings {
	bool appendonly;
	char *appendfilename;
	char *appenddirname;
	uint32_t appendfsync; /* enum aof_sync */
	bool no_fsync_on_rewrite;
	uint32_t rewrite_percentage;
	uint64_t rewrite_min_bytes;
	bool load_truncated;
	struct setting_list save; /* pairs of seconds and changes */
	char *dbfilename;
	bool stop_on_save_error;
	uint64_t unsynced_max_bytes;
	uint32_t shutdown_timeout_s;
	bool ignore_redis_files;
	bool history_save;
};

/* Whose tokens are accepted. Strings are owned. */
struct token_settings {
	char *hmac_secret;
	char *public_key_file;
	char *jwks_file;
};

#define SETTINGS_NETWORKS_MAX 64

struct setting_networks {
	struct address_network items[SETTINGS_NETWORKS_MAX];
	size_t count;
};

struct settings {
	struct server_config server; /* the settings own requirepass */
	struct net_config net;
	struct setting_list bind;
	struct tls_settings net_tls;
	struct setting_list tls_sni; /* net_tls.sni is derived from it */
	int tls_port;
	int http_port;
	int https_port;
	struct setting_list http_bind;
	struct edge_config edge;             /* the settings own its strings */
	struct setting_list allowed_origins; /* edge.allowed_origins is derived from it */
	struct setting_list http_hosts;      /* edge.hosts is derived from it */
	struct setting_list admin_from;      /* admin_networks are derived from it */
	struct setting_networks admin_networks;
	struct setting_list forwarded_from; /* net.shared_from is derived from it */
	struct token_settings tokens;
	struct setting_list proxy_from; /* net.proxy_from is derived from it */
	char *unixsocket;
	uint32_t unixsocketperm;
	bool daemonize;
	char *pidfile;
	enum supervision supervised;
	char *dir;
	char *run_as_user;
	char *run_as_group;
	char *chroot;
	enum seccomp_mode seccomp;
	char *aclfile;
	struct disk_settings disk;
	struct setting_list users; /* "NAME rule ..." each */
	/* Owned. The lines of the start are moved to the hub, which CHANNEL SET changes: the
	 * current settings have none, so that copying them stays cheap. */
	struct channel_lines *channels;
	enum log_level log_level;
	char *logfile;
	bool syslog_enabled;
	char *syslog_ident;
	uint32_t syslog_facility; /* index in the row's choices */
	union foreign_value foreign[SETTINGS_FOREIGN];
	/* What the configuration names: set by settings_add, and not copied. */
	bool names_foreign[SETTINGS_FOREIGN];
	bool names_save;
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
	SETTING_BAD_EVENTS,
	SETTING_BAD_USER, /* users: no name, or an invalid rule */
	SETTING_DUPLICATE_USER,
	SETTING_TOO_MANY_USERS,
	SETTING_BAD_CHANNEL, /* channels: an invalid line */
	SETTING_DUPLICATE_CHANNEL,
	SETTING_TOO_MANY_CHANNELS,
	SETTING_NOT_HERE, /* a foreign directive, or a value of one, that is refused */
};

/* Every setting at its default. Owns memory: settings_release. */
void settings_init(struct settings *s);
void settings_copy(
    struct settings *to, const struct settings *from); /* to is not initialised before */
void settings_release(struct settings *s);

size_t settings_count(void);
const struct setting *settings_row(size_t index);
const struct setting *settings_find(
    struct slice name); /* in any case; by an old name as well; NULL: unknown */

/* The name as the tables spell it: an old name stays one. The directive is known. */
const char *settings_spell(struct slice name);

/* The old names, and the rows that they stand for. */
size_t settings_alias_count(void);
const char *settings_alias(size_t index, const struct setting **row);

/* One setting from the values given for it. Not SETTING_OK: nothing was changed. */
enum setting_fault settings_set(struct settings *s, const struct setting *row,
    const struct slice *values, size_t count) __attribute__((warn_unused_result));

/* The same for a line of a file: lines of `save` add up, and an empty one removes those before.
 * Notes what was named. */
enum setting_fault settings_add(struct settings *s, const struct setting *row,
    const struct slice *values, size_t count) __attribute__((warn_unused_result));

/* Append what is wrong: in Redis's words for CONFIG SET; for a file, with what is allowed. */
void setting_describe_fault(
    const struct setting *row, enum setting_fault fault, struct buffer *out);
void setting_explain_fault(const struct setting *row, enum setting_fault fault,
    const struct slice *values, size_t count, struct buffer *out);

/* Appends the value as CONFIG GET shows it. */
void settings_show(const struct settings *s, const struct setting *row, struct buffer *out);

/* Appends "name value", as a line of a configuration file, without the newline; reading it gives
 * the same value. */
void settings_write(const struct settings *s, const struct setting *row, struct buffer *out);

/* Appends such a line for each setting that is fanfared's own. */
void settings_write_all(const struct settings *s, struct buffer *out);

bool settings_equal(const struct settings *a, const struct settings *b, const struct setting *row);
void settings_assign(
    struct settings *to, const struct settings *from, const struct setting *row); /* copies */

/* Checks what no row can: values that depend on each other. False: error says what is wrong, and
 * the name of a directive to blame is in *blamed. */
bool settings_agree(const struct settings *s, const char **blamed, struct buffer *error)
    __attribute__((warn_unused_result));

/* The same, but error has a line for each mistake, behind those that it has already. */
bool settings_agree_all(const struct settings *s, struct buffer *error)
    __attribute__((warn_unused_result));

/* Sets the derived members; to be called after the last settings_set or settings_assign. */
void settings_derive(struct settings *s);

/* For log_open; borrows. */
struct log_config settings_log(const struct settings *s);

#endif
