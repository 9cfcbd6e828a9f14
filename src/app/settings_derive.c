#include "config.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "app/config_file.h"
#include "app/setting_upstream.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "base/float_text.h"
#include "edge/forms.h"
#include "net/address.h"

/* The members that follow from others. */

/* The most headers of an HTTP request. */
#define HTTP_HEADERS_MAX 100

/* What a WebSocket message may have beside the data of a published message: names, a token. */
#define WS_COMMAND_BYTES ((size_t)64 << 10)

/* Returns the number of networks; each was checked when it was set. */
static size_t
parse_networks(const struct setting_list *list, struct address_network *networks, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count && count < max; i++)
		if (address_network_parse(slice_of(list->items[i]), &networks[count]))
			count++;
	return count;
}

/* The most memory of a request: its bytes twice, because a parser may copy what two reads share,
 * and its slices. */
static size_t
request_bytes(const struct protocol_limits *limits)
{
	return 2 * (limits->line_bytes + limits->arg_bytes) +
	       limits->arg_count * sizeof(struct slice);
}

static void
derive_http(struct settings *s)
{
	struct protocol_limits *limits = &s->net.limits[SERVICE_HTTP];

	limits->arg_bytes = s->edge.max_body;
	limits->arg_count = 4 + 2 * HTTP_HEADERS_MAX; /* see http/protocol.h */
	limits->request_bytes = request_bytes(limits);
	s->net.times[SERVICE_HTTP].idle_s = s->edge.keepalive_s;
	s->edge.allowed_origins = (struct edge_strings){
	    .items = s->allowed_origins.items, .count = s->allowed_origins.count};
	s->edge.hosts =
	    (struct edge_strings){.items = s->http_hosts.items, .count = s->http_hosts.count};
	s->edge.outbox.messages = s->server.outbox.messages;
	s->edge.outbox.notify = true; /* events and pushes `lagged` */
	s->server.edge_user = s->edge.user;
	s->server.has_edge_port = s->http_port > 0 || s->https_port > 0;
	s->edge.connect_timeout_s = s->net.times[SERVICE_HTTP].request_s;
	s->admin_networks.count =
	    parse_networks(&s->admin_from, s->admin_networks.items, SETTINGS_NETWORKS_MAX);
	s->net.shared_from_count =
	    parse_networks(&s->forwarded_from, s->net.shared_from, NET_PROXY_FROM_MAX);
}

/* A WebSocket has no limit of time in net: the edge pings it. */
static void
derive_ws(struct settings *s)
{
	struct protocol_limits *limits = &s->net.limits[SERVICE_WS];

	limits->arg_bytes = s->edge.max_message + WS_COMMAND_BYTES;
	limits->arg_count = 2;
	limits->line_bytes = 32;
	limits->request_bytes = request_bytes(limits);
	s->net.limits[SERVICE_WS_DEFLATE] = *limits;
}

static void
derive_percentiles(struct settings *s)
{
	long double percent;
	size_t i;

	s->server.latency_percentile_count = 0;
	for (i = 0; i < s->latency_percentiles.count; i++)
		if (float_text_parse(slice_of(s->latency_percentiles.items[i]), &percent))
			s->server.latency_percentiles[s->server.latency_percentile_count++] =
			    (double)percent;
}

void
settings_derive(struct settings *s)
{
	s->net.limits[SERVICE_RESP].arg_bytes = s->server.proto_max_bulk_bytes;
	s->net.limits[SERVICE_RESP].request_bytes = s->server.query_buffer_bytes;
	s->net.times[SERVICE_RESP].idle_s = s->server.timeout_s;
	s->net_tls.sni = s->tls_sni.items;
	s->net_tls.sni_count = s->tls_sni.count;
	s->net.proxy_from_count =
	    parse_networks(&s->proxy_from, s->net.proxy_from, NET_PROXY_FROM_MAX);
	derive_http(s);
	derive_ws(s);
	derive_percentiles(s);
}

struct log_config
settings_log(const struct settings *s)
{
	static const int facilities[] = {LOG_USER, LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
	    LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};

	assert(s->syslog_facility < sizeof(facilities) / sizeof(*facilities));
	return (struct log_config){
	    .level = s->log_level,
	    .sink = s->syslog_enabled       ? LOG_TO_SYSLOG
		    : s->logfile[0] != '\0' ? LOG_TO_FILE
					    : LOG_TO_STDERR,
	    .file = s->logfile,
	    .syslog_ident = s->syslog_ident,
	    .syslog_facility = facilities[s->syslog_facility],
	};
}

/* Each checks one rule, as settings_agree does all. */
typedef bool (*agreement)(const struct settings *s, const char **blamed, struct buffer *error);

static bool
retry_times_agree(const struct settings *s, const char **blamed, struct buffer *error)
{
	if (s->edge.sse_retry_max_ms >= s->edge.sse_retry_min_ms)
		return true;
	*blamed = "sse-retry-max";
	buffer_appendf(error, "sse-retry-max %u is below sse-retry-min %u",
	    (unsigned)s->edge.sse_retry_max_ms, (unsigned)s->edge.sse_retry_min_ms);
	return false;
}

static bool
edge_user_is_good(const struct settings *s, const char **blamed, struct buffer *error)
{
	*blamed = "edge-user";
	if (strpbrk(s->edge.user, " \t\n\v\f\r") != NULL) {
		buffer_append_str(error, "edge-user: the name of a user has no blanks");
		return false;
	}
	/* It may do everything, and acl_describe() could take it for the user of doors. */
	if (strcmp(s->edge.user, "default") == 0) {
		buffer_append_str(error, "edge-user: the user default is that of Redis clients");
		return false;
	}
	return true;
}

static bool
glob_prefix_is_text(const struct settings *s, const char **blamed, struct buffer *error)
{
	if (edge_forms_allow_prefix(s->edge.ws_glob_prefix))
		return true;
	*blamed = "ws-glob-prefix";
	buffer_append_str(error, "ws-glob-prefix is not UTF-8");
	return false;
}

static bool
upstream_tls_agrees(const struct settings *s, const char **blamed, struct buffer *error)
{
	const struct outgoing_tls_settings *tls = &s->upstream.tls;
	const struct {
		const char *name;
		const char *value;
	} rows[] = {
	    {"upstream-tls-ca-cert-file", tls->ca_cert_file},
	    {"upstream-tls-ca-cert-dir", tls->ca_cert_dir},
	    {"upstream-tls-cert-file", tls->cert_file},
	    {"upstream-tls-key-file", tls->key_file},
	    {"upstream-tls-name", tls->name},
	};

	if (strncasecmp(s->upstream.url, "rediss://", strlen("rediss://")) == 0)
		return true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].value[0] == '\0')
			continue;
		*blamed = rows[i].name;
		buffer_appendf(error, "%s is set, but upstream is not a rediss:// URL", *blamed);
		return false;
	}
	return true;
}

static bool
upstream_key_agrees(const struct settings *s, const char **blamed, struct buffer *error)
{
	if (s->upstream.tls.key_file[0] == '\0' || s->upstream.tls.cert_file[0] != '\0')
		return true;
	*blamed = "upstream-tls-key-file";
	buffer_appendf(error, "%s is set, but upstream-tls-cert-file is not", *blamed);
	return false;
}

static bool
upstream_seeds_agree(const struct settings *s, const char **blamed, struct buffer *error)
{
	const char *rest = s->upstream.url;
	char *first = setting_upstream_next(&rest), *second = setting_upstream_next(&rest);
	bool agrees = second == NULL || s->upstream.mode == UPSTREAM_CLUSTER;

	xfree(first);
	xfree(second);
	if (agrees)
		return true;
	*blamed = "upstream";
	buffer_append_str(
	    error, "upstream names several servers, but upstream-mode is not cluster");
	return false;
}

static const agreement agreements[] = {retry_times_agree, edge_user_is_good, glob_prefix_is_text,
    upstream_tls_agrees, upstream_key_agrees, upstream_seeds_agree};

enum { AGREEMENTS = sizeof(agreements) / sizeof(*agreements) };

bool
settings_agree(const struct settings *s, const char **blamed, struct buffer *error)
{
	for (size_t i = 0; i < AGREEMENTS; i++)
		if (!agreements[i](s, blamed, error))
			return false;
	return true;
}

bool
settings_agree_all(const struct settings *s, struct buffer *error)
{
	struct buffer text = {0};
	const char *blamed;
	bool ok = true;

	for (size_t i = 0; i < AGREEMENTS; i++) {
		buffer_clear(&text);
		if (agreements[i](s, &blamed, &text))
			continue;
		ok = false;
		config_add_mistake(buffer_slice(&text), error);
	}
	buffer_release(&text);
	return ok;
}
