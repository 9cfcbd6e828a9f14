#include "config.h"

#include "app/uplink.h"

#include "app/setting_upstream.h"
#include "app/uplink_cluster.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "link/leaf.h"
#include "net/outgoing.h"

#define CONNECT_TIMEOUT_MS 5000

struct uplink {
	const struct upstream_settings *settings;
	struct leaf_settings leaf_settings; /* what the leaf needs of them */
	struct outgoing *outgoing;
	struct leaf *leaf;
	struct uplink_cluster *cluster; /* then there is neither of the two before */
};

static void
on_opened(void *arg)
{
	struct uplink *uplink = arg;

	leaf_opened(uplink->leaf, clock_mono_us());
}

static void
on_received(void *arg, struct slice bytes)
{
	struct uplink *uplink = arg;

	leaf_received(uplink->leaf, bytes, clock_mono_us());
}

static void
on_drained(void *arg)
{
	struct uplink *uplink = arg;

	leaf_drained(uplink->leaf);
}

static void
on_lost(void *arg, const char *why, uint64_t retry_us)
{
	struct uplink *uplink = arg;

	leaf_lost(uplink->leaf, why, retry_us, clock_mono_us());
}

static const struct outgoing_handler handler = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .lost = on_lost};

static bool
send_bytes(void *arg, struct slice bytes)
{
	struct uplink *uplink = arg;

	return outgoing_send(uplink->outgoing, bytes);
}

static size_t
queued_bytes(void *arg)
{
	struct uplink *uplink = arg;

	return outgoing_queued_bytes(uplink->outgoing);
}

static void
drop(void *arg, const char *why)
{
	struct uplink *uplink = arg;

	outgoing_drop(uplink->outgoing, why);
}

static void
take_settings(struct uplink *uplink)
{
	uplink->leaf_settings = (struct leaf_settings){
	    .delivers_alone = uplink->settings->down == UPSTREAM_DOWN_LOCAL,
	    .linger_s = uplink->settings->linger_s,
	    .probe_s = uplink->settings->probe_s,
	    .queued_bytes = uplink->settings->output_bytes,
	};
}

static struct outgoing *
begin_to_connect(
    struct uplink *uplink, const struct redis_url *url, struct net *net, struct buffer *error)
{
	struct outgoing_config config = {
	    .host = url->host,
	    .port = url->port,
	    .tls = url->is_tls ? &uplink->settings->tls : NULL,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	char why[256];
	struct outgoing *outgoing = outgoing_new(net, &config, &handler, uplink, why, sizeof(why));

	if (outgoing == NULL)
		buffer_appendf(error, "upstream: %s", why);
	return outgoing;
}

static struct leaf *
begin_leaf(struct uplink *uplink, const struct redis_url *url, struct server *server)
{
	struct buffer address = {0};
	struct leaf *leaf;

	redis_url_describe(url, &address);
	buffer_append(&address, "", 1);
	leaf = leaf_new(server,
	    &(struct leaf_config){
		.address = address.ptr,
		.user = url->user,
		.password = url->password,
		.is_of_engine = uplink->settings->mode == UPSTREAM_ENGINE,
		.settings = &uplink->leaf_settings,
	    },
	    &(struct leaf_io){send_bytes, queued_bytes, drop, uplink});
	buffer_release(&address);
	return leaf;
}

bool
uplink_new(struct uplink **result, const struct settings *settings, struct net *net,
    struct server *server, struct buffer *error)
{
	struct uplink *uplink;
	struct redis_url url;
	const char *why;

	*result = NULL;
	if (settings->upstream.url[0] == '\0')
		return true;
	uplink = xcalloc(1, sizeof(*uplink));
	uplink->settings = &settings->upstream;
	take_settings(uplink);
	if (uplink->settings->mode == UPSTREAM_CLUSTER) {
		uplink->cluster = uplink_cluster_new(
		    uplink->settings, &uplink->leaf_settings, net, server, error);
		if (uplink->cluster == NULL) {
			xfree(uplink);
			return false;
		}
		*result = uplink;
		return true;
	}
	if (!setting_upstream_parse(&url, settings->upstream.url, &why)) {
		buffer_appendf(error, "upstream: %s", why);
		xfree(uplink);
		return false;
	}
	uplink->outgoing = begin_to_connect(uplink, &url, net, error);
	if (uplink->outgoing != NULL)
		uplink->leaf = begin_leaf(uplink, &url, server);
	redis_url_release(&url);
	if (uplink->outgoing == NULL) {
		xfree(uplink);
		return false;
	}
	*result = uplink;
	return true;
}

void
uplink_free(struct uplink *uplink)
{
	if (uplink == NULL)
		return;
	uplink_cluster_free(uplink->cluster);
	leaf_free(uplink->leaf);
	outgoing_free(uplink->outgoing);
	xfree(uplink);
}

uint64_t
uplink_turn(struct uplink *uplink, uint64_t now_us)
{
	if (uplink == NULL)
		return UINT64_MAX;
	take_settings(uplink);
	if (uplink->cluster != NULL)
		return uplink_cluster_turn(uplink->cluster, now_us);
	return leaf_turn(uplink->leaf, now_us);
}
