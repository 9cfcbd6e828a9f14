/*
 * Receives an event when the status of an order changes, and reconnects when the server restarts.
 *
 * Needs hiredis (Debian: libhiredis-dev). FANFARE_HOST and FANFARE_PORT name the server;
 * with COUNT it exits after that many events. In a Makefile:
 *
 *	subscriber: subscriber.c
 *		$(CC) -std=c11 -D_GNU_SOURCE -o $@ $^ $$(pkg-config --cflags --libs hiredis)
 */
#include <hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATTERN "orders.*"

static long
number_of(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text == NULL || *text == '\0' ? otherwise : strtol(text, NULL, 10);
}

/* Returns a subscribed connection, or NULL after printing the error. */
static redisContext *
subscribe(void)
{
	const char *host = getenv("FANFARE_HOST");
	redisContext *context = redisConnectWithTimeout(host == NULL ? "127.0.0.1" : host,
	    (int)number_of("FANFARE_PORT", 6379), (struct timeval){.tv_sec = 5});
	redisReply *reply;

	if (context == NULL || context->err != 0) {
		fprintf(stderr, "%s\n", context == NULL ? "out of memory" : context->errstr);
		redisFree(context);
		return NULL;
	}
	/* A receiver sends nothing most of the time. TCP keepalive detects a vanished server. */
	redisEnableKeepAlive(context);
	reply = redisCommand(context, "PSUBSCRIBE %s", PATTERN);
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
		fprintf(stderr, "%s\n", reply == NULL ? context->errstr : reply->str);
		freeReplyObject(reply);
		redisFree(context);
		return NULL;
	}
	freeReplyObject(reply);
	fprintf(stderr, "subscribed to %s\n", PATTERN);
	return context;
}

/* A message is ["pmessage", pattern, channel, payload]; the payload may hold any bytes. */
static bool
is_message(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
	       reply->element[0]->type == REDIS_REPLY_STRING &&
	       strcmp(reply->element[0]->str, "pmessage") == 0;
}

static void
handle(const redisReply *channel, const redisReply *payload)
{
	printf("%s: ", channel->str);
	fwrite(payload->str, 1, payload->len, stdout);
	putchar('\n');
	fflush(stdout);
}

/* Returns after max events (0: no limit) or when the connection is lost: the number of events. */
static long
receive(redisContext *context, long max)
{
	long received = 0;
	void *reply;

	while ((max == 0 || received < max) && redisGetReply(context, &reply) == REDIS_OK) {
		const redisReply *r = reply;

		if (is_message(r)) {
			handle(r->element[2], r->element[3]);
			received++;
		}
		freeReplyObject(reply);
	}
	if (context->err != 0)
		fprintf(stderr, "%s; what is published now is missed\n", context->errstr);
	return received;
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
main(void)
{
	long count = number_of("COUNT", 0);
	long received = 0;
	unsigned attempt = 0;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	srandom((unsigned)now.tv_nsec);
	while (count == 0 || received < count) {
		redisContext *context = subscribe();

		if (context != NULL) {
			received += receive(context, count == 0 ? 0 : count - received);
			redisFree(context);
			attempt = 0;
		}
		if (count == 0 || received < count)
			wait_before(attempt++);
	}
	return 0;
}
