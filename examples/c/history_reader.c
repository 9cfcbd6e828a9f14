/*
 * Reads every event of the channel `orders`, also those that were published while it was not
 * running. Its argument is a file for the position, by default orders.position. The channel must
 * keep a history, in fanfared.conf or by CHANNEL SET:
 *
 *	channel orders history-size 10000 history-ttl 86400
 *
 * Needs hiredis (Debian: libhiredis-dev). FANFARE_HOST and FANFARE_PORT name the server;
 * with COUNT it exits after that many events. In a Makefile:
 *
 *	history_reader: history_reader.c
 *		$(CC) -std=c11 -D_GNU_SOURCE -o $@ $^ $$(pkg-config --cflags --libs hiredis)
 */
#include <hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANNEL "orders"
#define BLOCK_MS 5000

/* A position is two numbers of up to 20 digits. Empty: before the first run. */
struct position {
	char text[48];
};

static long
number_of(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text == NULL || *text == '\0' ? otherwise : strtol(text, NULL, 10);
}

static void
load(const char *path, struct position *position)
{
	FILE *file = fopen(path, "r");

	*position = (struct position){""};
	if (file == NULL)
		return;
	if (fscanf(file, "%47s", position->text) != 1)
		*position = (struct position){""};
	fclose(file);
}

/* Replaces the file in one step, so that it is complete whenever this program is killed. */
static void
save(const char *path, const struct position *position)
{
	char half[4096];
	FILE *file;

	snprintf(half, sizeof(half), "%s.new", path);
	file = fopen(half, "w");
	if (file == NULL || fputs(position->text, file) < 0 || fclose(file) != 0 ||
	    rename(half, path) != 0) {
		perror(path);
		exit(1);
	}
}

/* Returns a connection, or NULL after printing the error. */
static redisContext *
connect_to_server(void)
{
	const char *host = getenv("FANFARE_HOST");
	redisContext *context = redisConnectWithTimeout(host == NULL ? "127.0.0.1" : host,
	    (int)number_of("FANFARE_PORT", 6379), (struct timeval){.tv_sec = 5});

	if (context == NULL || context->err != 0) {
		fprintf(stderr, "%s\n", context == NULL ? "out of memory" : context->errstr);
		redisFree(context);
		return NULL;
	}
	/* Longer than BLOCK_MS: only a server that has vanished is silent for this long. */
	redisSetTimeout(context, (struct timeval){.tv_sec = BLOCK_MS / 1000 + 10});
	return context;
}

/* An error that trying again does not mend. */
static void
refuse(const redisReply *reply)
{
	fprintf(stderr, "history_reader: %s\n", reply->str != NULL ? reply->str : "no reply");
	exit(1);
}

static bool
copy_position(struct position *to, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING || reply->len >= sizeof(to->text))
		return false;
	memcpy(to->text, reply->str, reply->len + 1);
	return true;
}

/* The position behind which the server has everything. False: the connection is lost. */
static bool
find_oldest(redisContext *context, struct position *position)
{
	redisReply *reply = redisCommand(context, "HISTORY INFO %s", CHANNEL);
	bool found = false;

	if (reply == NULL)
		return false;
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
		if (strcmp(reply->element[i]->str, "complete-since") == 0)
			found = copy_position(position, reply->element[i + 1]);
	if (!found)
		refuse(reply);
	freeReplyObject(reply);
	return true;
}

static bool
find_newest(redisContext *context, struct position *position)
{
	redisReply *reply = redisCommand(context, "HISTORY POSITION");

	if (reply == NULL)
		return false;
	if (!copy_position(position, reply))
		refuse(reply);
	freeReplyObject(reply);
	return true;
}

/* An entry is [position, payload]; the payload may hold any bytes. */
static void
handle(const redisReply *payload)
{
	printf("%s: ", CHANNEL);
	fwrite(payload->str, 1, payload->len, stdout);
	putchar('\n');
	fflush(stdout);
}

/* The reply is [[channel, entries]]. Handles at most max entries and returns their number. */
static long
handle_all(const redisReply *reply, long max, const char *path, struct position *position)
{
	const redisReply *entries = reply->element[0]->element[1];
	size_t i;

	for (i = 0; i < entries->elements && (max == 0 || (long)i < max); i++) {
		const redisReply *entry = entries->element[i];

		handle(entry->element[1]);
		/* After the event: it may come again, but is never missed. */
		if (copy_position(position, entry->element[0]))
			save(path, position);
	}
	return (long)i;
}

/* Waits for events behind the position. Returns their number, or -1: the connection is lost. */
static long
read_some(redisContext *context, long max, const char *path, struct position *position)
{
	struct position newest;
	redisReply *reply;
	long handled = 0;

	if (position->text[0] == '\0') {
		if (!find_oldest(context, position))
			return -1;
		save(path, position);
	}
	if (!find_newest(context, &newest))
		return -1;
	reply = redisCommand(context, "HISTORY READ COUNT 100 BLOCK %d CHANNELS %s %s", BLOCK_MS,
	    CHANNEL, position->text);
	if (reply == NULL)
		return -1;
	if (reply->type == REDIS_REPLY_NIL) {
		/* There is nothing up to `newest`. A position that stayed behind for longer than
		 * history-ttl might count as lost. */
		*position = newest;
		save(path, position);
	} else if (reply->type == REDIS_REPLY_ARRAY) {
		handled = handle_all(reply, max, path, position);
	} else if (reply->str != NULL && strncmp(reply->str, "LOST ", 5) == 0) {
		printf("lost: events after %s\n", position->text);
		fflush(stdout);
		position->text[0] = '\0';
	} else {
		refuse(reply);
	}
	freeReplyObject(reply);
	return handled;
}

/* The delay doubles up to 10 s; a random part spreads the reconnections of many clients. */
static void
wait_before(unsigned attempt)
{
	long ms = attempt < 6 ? 200L << attempt : 10000;

	ms = ms / 2 + random() % (ms / 2);
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

int
main(int argc, char *argv[])
{
	const char *path = argc > 1 ? argv[1] : "orders.position";
	struct position position;
	long count = number_of("COUNT", 0);
	long handled = 0;
	unsigned attempt = 0;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	srandom((unsigned)now.tv_nsec);
	load(path, &position);
	while (count == 0 || handled < count) {
		redisContext *context = connect_to_server();
		long some = context == NULL ? -1 : 0;

		while (some >= 0 && (count == 0 || handled < count)) {
			some =
			    read_some(context, count == 0 ? 0 : count - handled, path, &position);
			if (some >= 0) {
				handled += some;
				attempt = 0;
			}
		}
		if (some < 0) {
			if (context != NULL)
				fprintf(stderr, "%s; trying again\n", context->errstr);
			wait_before(attempt++);
		}
		redisFree(context);
	}
	return 0;
}
