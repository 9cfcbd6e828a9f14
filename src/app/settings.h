#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/seccomp_filter.h"
#include "app/setting.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/log.h"
#include "edge/edge_config.h"
#include "net/net.h"
#include "net/outgoing_tls.h"
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
struct channel_lines;

enum supervision { SUPERVISED_NO, SUPERVISED_SYSTEMD, SUPERVISED_AUTO };

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

enum upstream_mode { UPSTREAM_LEAF, UPSTREAM_ENGINE, UPSTREAM_CLUSTER };
enum upstream_down { UPSTREAM_DOWN_REFUSE, UPSTREAM_DOWN_LOCAL };

/* The link to another server. Strings are owned, also those of tls. */
struct upstream_settings {
	char *url; /* "": none. see setting_upstream.h */
	enum upstream_mode mode;
	enum upstream_down down;
	uint32_t linger_s;
	uint64_t output_bytes;
	uint32_t probe_s;
	struct outgoing_tls_settings tls; /* for a rediss:// URL */
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
	struct setting_list latency_percentiles; /* server.latency_percentiles is derived from it */
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
	struct upstream_settings upstream;
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
	bool names_save, names_bind;
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
