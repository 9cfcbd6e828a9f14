#include "config.h"

#include "edge/channel.h"

#include <string.h>

#include "edge/session.h"

struct edge_channel
edge_channel_of(const struct edge_session *s, struct slice shown)
{
	const char *prefix = s->edge->config->ws_glob_prefix;
	size_t len = strlen(prefix);

	if (shown.len < len || memcmp(shown.ptr, prefix, len) != 0)
		return (struct edge_channel){shown, shown, false};
	return (struct edge_channel){shown, {shown.ptr + len, shown.len - len}, true};
}
