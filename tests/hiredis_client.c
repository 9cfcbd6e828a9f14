/*
 * Drives hiredis, its blocking and its asynchronous interface, against the daemon:
 *
 *     hiredis_client PORT sync|async|pipeline|reconnect
 *     hiredis_client PORT read|subscribe CHANNEL...
 *
 * Exit status 0 if all went as with Redis; else the first thing that did not is told on stderr.
 */
#include <errno.h>
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGES 1000

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: not true: %s\n", __LINE__, #condition);          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static int port;

static redisContext *
connected(void)
{
	redisContext *context = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){20, 0});

	EXPECT(context != NULL && context->err == 0);
	EXPECT(redisSetTimeout(context, (struct timeval){20, 0}) == REDIS_OK);
	return context;
}

static redisReply *
next_reply(redisContext *context)
{
	void *reply = NULL;

	EXPECT(redisGetReply(context, &reply) == REDIS_OK && reply != NULL);
	return reply;
}

/* The elements of an array reply as text; NULL stands for "any", and a number is compared as text.
 */
static void
expect_elements(redisReply *reply, const char *const *texts, size_t count)
{
	char number[32];

	EXPECT(reply->type == REDIS_REPLY_ARRAY && reply->elements == count);
	for (size_t i = 0; i < count; i++) {
		const char *text = reply->element[i]->str;

		if (reply->element[i]->type == REDIS_REPLY_INTEGER) {
			snprintf(number, sizeof(number), "%lld", reply->element[i]->integer);
			text = number;
		}
		EXPECT(texts[i] == NULL || (text != NULL && strcmp(text, texts[i]) == 0));
	}
	freeReplyObject(reply);
}

static void
expect_integer(redisReply *reply, long long value)
{
	EXPECT(reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == value);
	freeReplyObject(reply);
}

static void
run_sync(void)
{
	redisContext *subscriber = connected();
	redisContext *publisher = connected();
	redisReply *reply;

	expect_elements(
	    redisCommand(subscriber, "SUBSCRIBE a"), (const char *[]){"subscribe", "a", "1"}, 3);
	expect_elements(redisCommand(subscriber, "PSUBSCRIBE n*"),
	    (const char *[]){"psubscribe", "n*", "2"}, 3);
	expect_integer(redisCommand(publisher, "PUBLISH a %b", "x\0y", (size_t)3), 1);
	reply = next_reply(subscriber);
	EXPECT(reply->elements == 3 && reply->element[2]->len == 3);
	EXPECT(memcmp(reply->element[2]->str, "x\0y", 3) == 0);
	freeReplyObject(reply);
	expect_integer(redisCommand(publisher, "PUBLISH news hello"), 1);
	expect_elements(
	    next_reply(subscriber), (const char *[]){"pmessage", "n*", "news", "hello"}, 4);
	reply = redisCommand(publisher, "NOSUCHCOMMAND x");
	EXPECT(reply->type == REDIS_REPLY_ERROR &&
	       strncmp(reply->str, "ERR unknown command", 19) == 0);
	freeReplyObject(reply);
	expect_elements(
	    redisCommand(subscriber, "UNSUBSCRIBE"), (const char *[]){"unsubscribe", "a", "1"}, 3);
	expect_elements(redisCommand(subscriber, "PUNSUBSCRIBE"),
	    (const char *[]){"punsubscribe", "n*", "0"}, 3);
	redisFree(subscriber);
	redisFree(publisher);
}

static void
run_pipeline(void)
{
	redisContext *context = connected();

	for (int i = 0; i < MESSAGES; i++)
		EXPECT(redisAppendCommand(context, "ECHO %d", i) == REDIS_OK);
	for (int i = 0; i < MESSAGES; i++) {
		redisReply *reply = next_reply(context);

		EXPECT(reply->type == REDIS_REPLY_STRING && atoi(reply->str) == i);
		freeReplyObject(reply);
	}
	redisFree(context);
}

/* Asynchronous: a publisher and a subscriber in one event loop. */

struct async_run {
	struct event_base *base;
	redisAsyncContext *publisher;
	redisAsyncContext *subscriber;
	int received;
	int replies;
	int connections;
	bool unsubscribed;
};

static void
published(redisAsyncContext *context, void *answer, void *arg)
{
	struct async_run *run = arg;
	redisReply *reply = answer;

	(void)context;
	EXPECT(reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
	run->replies++;
}

static void
got_message(redisAsyncContext *context, void *answer, void *arg)
{
	struct async_run *run = arg;
	redisReply *reply = answer;
	const char *kind;

	EXPECT(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3);
	kind = reply->element[0]->str;
	if (strcmp(kind, "subscribe") == 0) {
		EXPECT(reply->element[2]->integer == 1);
		for (int i = 0; i < MESSAGES; i++)
			EXPECT(redisAsyncCommand(
				   run->publisher, published, run, "PUBLISH c %d", i) == REDIS_OK);
	} else if (strcmp(kind, "message") == 0) {
		EXPECT(atoi(reply->element[2]->str) == run->received);
		if (++run->received == MESSAGES)
			EXPECT(redisAsyncCommand(context, NULL, NULL, "UNSUBSCRIBE c") == REDIS_OK);
	} else {
		EXPECT(strcmp(kind, "unsubscribe") == 0 && reply->element[2]->integer == 0);
		run->unsubscribed = true;
		redisAsyncDisconnect(run->subscriber);
		redisAsyncDisconnect(run->publisher);
	}
}

static void
disconnected(const redisAsyncContext *context, int status)
{
	struct async_run *run = context->data;

	EXPECT(status == REDIS_OK);
	if (--run->connections == 0)
		event_base_loopexit(run->base, NULL);
}

static redisAsyncContext *
async_connected(struct async_run *run)
{
	redisAsyncContext *context = redisAsyncConnect("127.0.0.1", port);

	EXPECT(context != NULL && context->err == 0);
	EXPECT(redisLibeventAttach(context, run->base) == REDIS_OK);
	EXPECT(redisAsyncSetDisconnectCallback(context, disconnected) == REDIS_OK);
	context->data = run;
	run->connections++;
	return context;
}

static void
run_async(void)
{
	struct async_run run = {.base = event_base_new()};

	run.publisher = async_connected(&run);
	run.subscriber = async_connected(&run);
	EXPECT(redisAsyncCommand(run.subscriber, got_message, &run, "SUBSCRIBE c") == REDIS_OK);
	event_base_loopexit(run.base, &(struct timeval){30, 0});
	event_base_dispatch(run.base);
	EXPECT(run.unsubscribed && run.received == MESSAGES && run.replies == MESSAGES);
	event_base_free(run.base);
}

/* A line on stdout when subscribed; a line on stdin when the daemon was restarted. */
static void
run_reconnect(void)
{
	redisContext *context = connected();
	void *reply = NULL;

	expect_elements(
	    redisCommand(context, "SUBSCRIBE a"), (const char *[]){"subscribe", "a", "1"}, 3);
	puts("subscribed");
	fflush(stdout);
	EXPECT(redisGetReply(context, &reply) == REDIS_ERR);
	EXPECT(context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO);
	puts("lost");
	fflush(stdout);
	EXPECT(getchar() != EOF);
	EXPECT(redisReconnect(context) == REDIS_OK);
	expect_elements(
	    redisCommand(context, "SUBSCRIBE a"), (const char *[]){"subscribe", "a", "1"}, 3);
	puts("subscribed");
	fflush(stdout);
	expect_elements(next_reply(context), (const char *[]){"message", "a", "after"}, 3);
	redisFree(context);
}

/* Scenarios read and subscribe: see tests/lib/resuming_client.py. */
#define RESUMED_MAX 8

static struct {
	const char *names[RESUMED_MAX];
	char since[RESUMED_MAX][64];
	size_t count;
} resumed;

static size_t
index_of(const char *name)
{
	size_t i = 0;

	while (i < resumed.count && strcmp(resumed.names[i], name) != 0)
		i++;
	EXPECT(i < resumed.count);
	return i;
}

static void
go_on_behind(const char *name, const char *position)
{
	char *since = resumed.since[index_of(name)];

	EXPECT(strlen(position) < sizeof(resumed.since[0]));
	strcpy(since, position);
}

static void
say(const char *name, const char *word)
{
	printf("%s %s\n", name, word);
	fflush(stdout);
}

/* False: the connection has ended. */
static bool
find_begin(redisContext *context, const char *name)
{
	redisReply *reply = redisCommand(context, "HISTORY INFO %s", name);

	if (reply == NULL)
		return false;
	EXPECT(reply->type == REDIS_REPLY_ARRAY);
	for (size_t i = 0; i + 1 < reply->elements; i += 2)
		if (strcmp(reply->element[i]->str, "complete-since") == 0)
			go_on_behind(name, reply->element[i + 1]->str);
	freeReplyObject(reply);
	return true;
}

static void
take_read(const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR) {
		EXPECT(strncmp(reply->str, "LOST ", 5) == 0);
		for (size_t i = 0; i < resumed.count; i++) {
			say(resumed.names[i], "lost");
			go_on_behind(resumed.names[i], "0");
		}
		return;
	}
	for (size_t i = 0; i < reply->elements; i++) {
		const char *name = reply->element[i]->element[0]->str;
		const redisReply *messages = reply->element[i]->element[1];

		for (size_t m = 0; m < messages->elements; m++) {
			say(name, messages->element[m]->element[1]->str);
			go_on_behind(name, messages->element[m]->element[0]->str);
		}
	}
}

static bool
read_once(redisContext *context)
{
	const char *words[6 + 2 * RESUMED_MAX] = {"HISTORY", "READ", "BLOCK", "1000", "CHANNELS"};
	size_t count = 5;
	redisReply *reply;

	for (size_t i = 0; i < resumed.count; i++) {
		if (strcmp(resumed.since[i], "0") == 0 && !find_begin(context, resumed.names[i]))
			return false;
		words[count + i] = resumed.names[i];
		words[count + resumed.count + i] = resumed.since[i];
	}
	count += 2 * resumed.count;
	reply = redisCommandArgv(context, (int)count, words, NULL);
	if (reply == NULL)
		return false;
	take_read(reply);
	freeReplyObject(reply);
	return true;
}

/* RESUME of all channels, or again of those that are lost. *lost tells whether some are. */
static bool
resume_channels(redisContext *context, bool *lost)
{
	const char *words[1 + 2 * RESUMED_MAX] = {"RESUME"};
	redisReply *reply;

	for (size_t i = 0; i < resumed.count; i++) {
		words[1 + 2 * i] = resumed.names[i];
		words[2 + 2 * i] = resumed.since[i];
	}
	reply = redisCommandArgv(context, (int)(1 + 2 * resumed.count), words, NULL);
	*lost = false;
	if (reply == NULL)
		return false;
	EXPECT(reply->type == REDIS_REPLY_ARRAY);
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *row = reply->element[i];

		go_on_behind(row->element[0]->str, row->element[2]->str);
		if (strcmp(row->element[1]->str, "lost") == 0) {
			say(row->element[0]->str, "lost");
			*lost = true;
		}
	}
	freeReplyObject(reply);
	return true;
}

static bool
begin_subscription(redisContext *context)
{
	redisReply *reply = redisCommand(context, "OUTBOX SET POSITIONS yes");
	const char *words[1 + RESUMED_MAX] = {"SUBSCRIBE"};
	bool lost = true;

	if (reply == NULL)
		return false;
	freeReplyObject(reply);
	while (lost)
		if (!resume_channels(context, &lost))
			return false;
	for (size_t i = 0; i < resumed.count; i++)
		words[1 + i] = resumed.names[i];
	return redisAppendCommandArgv(context, (int)(1 + resumed.count), words, NULL) == REDIS_OK;
}

static void
subscribe_until_end(redisContext *context)
{
	void *answer;

	if (!begin_subscription(context))
		return;
	while (redisGetReply(context, &answer) == REDIS_OK) {
		redisReply *reply = answer;
		char *payload;

		EXPECT(reply->type == REDIS_REPLY_ARRAY && reply->elements == 3);
		if (strcmp(reply->element[0]->str, "message") == 0) {
			payload = strchr(reply->element[2]->str, ' ');
			EXPECT(payload != NULL);
			*payload = '\0';
			say(reply->element[1]->str, payload + 1);
			go_on_behind(reply->element[1]->str, reply->element[2]->str);
		}
		freeReplyObject(reply);
	}
}

static void
run_resuming(bool reads, char **names, size_t count)
{
	EXPECT(count <= RESUMED_MAX);
	for (; resumed.count < count; resumed.count++) {
		resumed.names[resumed.count] = names[resumed.count];
		strcpy(resumed.since[resumed.count], "0");
	}
	for (;;) {
		redisContext *context = redisConnect("127.0.0.1", port);

		EXPECT(context != NULL);
		if (context->err == 0 && reads)
			while (read_once(context))
				continue;
		else if (context->err == 0)
			subscribe_until_end(context);
		redisFree(context);
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenarios[] = {{"sync", run_sync}, {"pipeline", run_pipeline}, {"async", run_async},
	    {"reconnect", run_reconnect}};

	if (argc > 1)
		port = atoi(argv[1]);
	if (argc > 3 && (strcmp(argv[2], "read") == 0 || strcmp(argv[2], "subscribe") == 0))
		run_resuming(argv[2][0] == 'r', argv + 3, (size_t)argc - 3);
	if (argc == 3) {
		for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
			if (strcmp(argv[2], scenarios[i].name) == 0) {
				scenarios[i].run();
				return 0;
			}
		}
	}
	fprintf(stderr, "usage: hiredis_client PORT sync|pipeline|async|reconnect, "
			"or PORT read|subscribe CHANNEL...\n");
	return 2;
}
