#include "config.h"

#include "app/uplink_cluster.h"

#include "app/setting_upstream.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "link/cluster.h"
#include "net/outgoing.h"

#define CONNECT_TIMEOUT_MS 5000

struct uplink_cluster {
	const struct upstream_settings *settings;
	struct net *net;
	struct cluster *cluster;
	bool is_tls;
};

/* A connection to a node. */
struct node {
	struct shard *shard;
	struct outgoing *outgoing;
};

static void
on_opened(void *arg)
{
	struct node *node = arg;

	cluster_opened(node->shard, clock_mono_us());
}

static void
on_received(void *arg, struct slice bytes)
{
	struct node *node = arg;

	cluster_received(node->shard, bytes, clock_mono_us());
}

static void
on_drained(void *arg)
{
	struct node *node = arg;

	cluster_drained(node->shard);
}

static void
on_lost(void *arg, const char *why, uint64_t retry_us)
{
	struct node *node = arg;

	cluster_lost(node->shard, why, retry_us, clock_mono_us());
}

static const struct outgoing_handler handler = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .lost = on_lost};

static struct outgoing *
connect_to(const struct uplink_cluster *uplink, const char *host, uint16_t port, struct node *node,
    char *why, size_t why_len)
{
	struct outgoing_config config = {
	    .host = host,
	    .port = port,
	    .tls = uplink->is_tls ? &uplink->settings->tls : NULL,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};

	return outgoing_new(uplink->net, &config, &handler, node, why, why_len);
}

static void *
connect_node(void *arg, struct shard *shard, const char *host, uint16_t port)
{
	const struct uplink_cluster *uplink = arg;
	struct node *node = xcalloc(1, sizeof(*node));
	char why[256];

	node->shard = shard;
	node->outgoing = connect_to(uplink, host, port, node, why, sizeof(why));
	if (node->outgoing != NULL)
		return node;
	log_warn("cannot use the TLS settings of the upstream: %s", why);
	xfree(node);
	return NULL;
}

static void
release(void *connection)
{
	struct node *node = connection;

	outgoing_free(node->outgoing);
	xfree(node);
}

static bool
send_bytes(void *connection, struct slice bytes)
{
	struct node *node = connection;

	return outgoing_send(node->outgoing, bytes);
}

static size_t
queued_bytes(void *connection)
{
	struct node *node = connection;

	return outgoing_queued_bytes(node->outgoing);
}

static void
drop(void *connection, const char *why)
{
	struct node *node = connection;

	outgoing_drop(node->outgoing, why);
}

/* The URLs of the seeds; false: error says what is wrong. */
static bool
read_seeds(const char *value, struct buffer *urls, struct buffer *address, struct buffer *error)
{
	struct redis_url url;
	const char *why = NULL;
	char *text;

	while (why == NULL && (text = setting_upstream_next(&value)) != NULL) {
		if (setting_upstream_parse(&url, text, &why)) {
			if (urls->len > 0)
				buffer_append_str(address, " ");
			redis_url_describe(&url, address);
			buffer_append(urls, &url, sizeof(url));
		}
		xfree(text);
	}
	buffer_append(address, "", 1);
	if (why != NULL)
		buffer_appendf(error, "upstream: %s", why);
	return why == NULL && urls->len > 0;
}

/* Files of TLS that cannot be used are noticed at the start. */
static bool
can_connect(const struct uplink_cluster *uplink, const struct redis_url *url, struct buffer *error)
{
	char why[256];
	struct outgoing *outgoing =
	    connect_to(uplink, url->host, url->port, NULL, why, sizeof(why));

	if (outgoing == NULL)
		buffer_appendf(error, "upstream: %s", why);
	outgoing_free(outgoing);
	return outgoing != NULL;
}

static void
begin(struct uplink_cluster *uplink, const struct redis_url *urls, size_t count,
    const char *address, const struct leaf_settings *leaf_settings, struct server *server)
{
	struct cluster_seed *seeds = xcalloc(count, sizeof(*seeds));

	for (size_t i = 0; i < count; i++)
		seeds[i] = (struct cluster_seed){urls[i].host, urls[i].port};
	uplink->cluster = cluster_new(server,
	    &(struct cluster_config){
		.address = address,
		.user = urls[0].user,
		.password = urls[0].password,
		.seeds = seeds,
		.seed_count = count,
		.settings = leaf_settings,
	    },
	    &(struct cluster_io){connect_node, release, send_bytes, queued_bytes, drop, uplink});
	xfree(seeds);
}

struct uplink_cluster *
uplink_cluster_new(const struct upstream_settings *settings,
    const struct leaf_settings *leaf_settings, struct net *net, struct server *server,
    struct buffer *error)
{
	struct uplink_cluster *uplink = xcalloc(1, sizeof(*uplink));
	struct buffer urls = {0}, address = {0};
	struct redis_url *url;
	size_t count;

	uplink->settings = settings;
	uplink->net = net;
	if (read_seeds(settings->url, &urls, &address, error)) {
		url = (struct redis_url *)(void *)urls.ptr;
		uplink->is_tls = url->is_tls;
		if (can_connect(uplink, url, error))
			begin(uplink, url, urls.len / sizeof(*url), address.ptr, leaf_settings,
			    server);
	}
	url = (struct redis_url *)(void *)urls.ptr;
	count = urls.len / sizeof(*url);
	for (size_t i = 0; i < count; i++)
		redis_url_release(&url[i]);
	buffer_release(&urls);
	buffer_release(&address);
	if (uplink->cluster != NULL)
		return uplink;
	xfree(uplink);
	return NULL;
}

void
uplink_cluster_free(struct uplink_cluster *uplink)
{
	if (uplink == NULL)
		return;
	cluster_free(uplink->cluster);
	xfree(uplink);
}

uint64_t
uplink_cluster_turn(struct uplink_cluster *uplink, uint64_t now_us)
{
	return cluster_turn(uplink->cluster, now_us);
}
