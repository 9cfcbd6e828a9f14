#include "config.h"

#include "pubsub/queue_name.h"

#include <string.h>

#define PREFIX_LEN (sizeof(QUEUE_NAME_PREFIX) - 1)

bool
queue_name_is(struct slice name)
{
	return name.len >= PREFIX_LEN && memcmp(name.ptr, QUEUE_NAME_PREFIX, PREFIX_LEN) == 0;
}

bool
queue_name_parse(struct slice name, struct slice *group, struct slice *topic)
{
	struct slice rest;
	const char *slash;

	if (!queue_name_is(name))
		return false;
	rest = (struct slice){name.ptr + PREFIX_LEN, name.len - PREFIX_LEN};
	slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
	if (slash == NULL || slash == rest.ptr || slash + 1 == rest.ptr + rest.len)
		return false;
	*group = (struct slice){rest.ptr, (size_t)(slash - rest.ptr)};
	*topic = (struct slice){slash + 1, rest.len - group->len - 1};
	return true;
}

struct slice
queue_name_topic(struct slice name)
{
	struct slice group, topic;

	return queue_name_parse(name, &group, &topic) ? topic : name;
}

enum hub_kind
queue_topic_kind(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (memchr("*?[\\", name.ptr[i], 4) != NULL)
			return HUB_PATTERN;
	return HUB_CHANNEL;
}
