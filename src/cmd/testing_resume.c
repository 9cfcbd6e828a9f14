#include "config.h"

#include "cmd/testing_resume.h"

#include <stdio.h>
#include <string.h>

#include "pubsub/hub_history.h"
#include "pubsub/testing_replay.h"
#include "server/core.h"

struct test_conn *client, *publisher;

void
resume_keep(const char *glob, const char *size)
{
	char words[64];

	snprintf(words, sizeof(words), "history-size %s history-ttl 600", size);
	testing_set_line(test_server->hub, glob, words);
}

void
resume_setup(void)
{
	test_setup();
	resume_keep("k*", "10");
	client = test_open();
	publisher = test_open();
}

void
resume_publish(const char *channel, int count)
{
	char line[64];

	for (int i = 1; i <= count; i++) {
		snprintf(line, sizeof(line), "publish %s %d", channel, i);
		test_call(publisher, line);
	}
}

const char *
resume_position(int messages)
{
	struct hub_position now = history_position(hub_history(test_server->hub));
	static char text[POSITION_TEXT_MAX + 1];

	now.seq += (uint64_t)(int64_t)messages;
	text[position_print(text, now)] = '\0';
	return text;
}

const char *
resume_origin(void)
{
	return resume_position(-(int)history_position(hub_history(test_server->hub)).seq);
}

const char *
resume_call(const char *command, const char *name, int messages)
{
	char line[200];

	snprintf(line, sizeof(line), "%s %s %s", command, name, resume_position(messages));
	return test_call(client, line);
}

const char *
resume_row_at(const char *name, const char *verdict, const char *at, int count)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "*1\r\n*4\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:%d\r\n", strlen(name), name,
	    strlen(verdict), verdict, strlen(at), at, count);
	return text;
}

const char *
resume_row(const char *name, const char *verdict, int messages, int count)
{
	return resume_row_at(name, verdict, resume_position(messages), count);
}

bool
resume_send_many(const char *command, const char *since)
{
	static struct slice args[1 + 2 * RESUME_MANY];
	static char names[RESUME_MANY][16];
	size_t count = 0;

	args[count++] = slice_of(command);
	for (int i = 0; i < RESUME_MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "k%d", i);
		args[count++] = slice_of(names[i]);
		if (since != NULL)
			args[count++] = slice_of(since);
	}
	return test_send_args(client, args, count);
}
