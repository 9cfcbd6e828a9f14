#include "config.h"

#include "core/testing_core.h"

#include <stdio.h>

struct fanfare_hub *
testing_hub(const struct fanfare_hub_options *options, const char *line)
{
	struct fanfare_hub *hub;
	char error[FANFARE_ERROR_TEXT];
	size_t at;

	ck_assert_ok(fanfare_hub_new(options, &hub));
	if (line == NULL)
		return hub;
	at = strcspn(line, ":");
	ck_assert_msg(fanfare_channel_set(hub, (struct fanfare_bytes){line, at}, B(line + at + 1),
			  error) == FANFARE_OK,
	    "%s", error);
	return hub;
}

struct fanfare_subscriber *
testing_subscriber(
    struct fanfare_hub *hub, enum fanfare_policy policy, uint32_t messages, bool notify)
{
	struct fanfare_limits limits = {
	    .size = sizeof(limits), .messages = messages, .policy = policy, .notify = notify};
	struct fanfare_subscriber_options options = {.size = sizeof(options), .limits = &limits};
	struct fanfare_subscriber *s;

	ck_assert_ok(fanfare_subscriber_new(hub, &options, &s));
	return s;
}

static size_t
print(char *out, size_t room, const struct fanfare_message *m)
{
	int len;

	if (m->kind == FANFARE_MISSED)
		len = snprintf(out, room, "missed:%llu ", (unsigned long long)m->missed);
	else
		len = snprintf(out, room, "%.*s%s%.*s=%.*s ", (int)m->pattern.len,
		    m->pattern.data != NULL ? m->pattern.data : "",
		    m->pattern.data != NULL ? ">" : "", (int)m->channel.len, m->channel.data,
		    (int)m->payload.len, m->payload.data);
	ck_assert_int_lt(len, (int)room);
	return (size_t)len;
}

const char *
testing_read(struct fanfare_subscriber *s)
{
	static char text[65536];
	struct fanfare_message message;
	enum fanfare_result result;
	size_t len = 0;

	while ((result = fanfare_subscriber_next(s, &message)) == FANFARE_OK)
		len += print(text + len, sizeof(text) - len, &message);
	snprintf(text + len, sizeof(text) - len, "%s", result == FANFARE_CLOSED ? "closed" : "");
	return text;
}

size_t
testing_publish(struct fanfare_hub *hub, const char *channel, const char *payload)
{
	struct fanfare_outcome outcome;

	ck_assert_ok(fanfare_publish(hub, B(channel), B(payload), TESTING_NOW_US, &outcome));
	return outcome.receivers;
}

void
testing_work(struct fanfare_hub *hub, uint64_t now_us)
{
	enum fanfare_result result;

	while ((result = fanfare_hub_work(hub, now_us, NULL)) == FANFARE_MORE)
		continue;
	ck_assert_ok(result);
}
