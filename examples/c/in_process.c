/*
 * Publish/subscribe in one process, with libfanfare-core: two subscribers of a small news service,
 * one of which missed some messages. In a Makefile:
 *
 *	in_process: in_process.c
 *		$(CC) -std=c11 -o $@ $^ $$(pkg-config --cflags --libs fanfare-core)
 */
#include <fanfare/core.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(string) fanfare_bytes_of(string)

/* Times of the library are the caller's: any clock that does not go back. */
static uint64_t now_us = 1;

static void
must(enum fanfare_result result, const char *what)
{
	if (result == FANFARE_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, fanfare_result_text(result));
	exit(1);
}

/* Messages are read after the hub's function has returned, so this only says that there are some.
 */
static void
on_ready(void *arg, struct fanfare_subscriber *s)
{
	(void)s;
	*(int *)arg = 1;
}

static void
print_all(const char *name, struct fanfare_subscriber *s)
{
	struct fanfare_message m;

	while (fanfare_subscriber_next(s, &m) == FANFARE_OK)
		printf("%s: %.*s: %.*s\n", name, (int)m.channel.len, m.channel.data,
		    (int)m.payload.len, m.payload.data);
}

int
main(void)
{
	static const char *const news[] = {"rain", "wind", "sun"};
	struct fanfare_hub *hub;
	struct fanfare_subscriber *live, *late;
	struct fanfare_resumption resumption;
	int live_is_ready = 0;
	struct fanfare_subscriber_options options = {
	    .size = sizeof(options), .ready = on_ready, .arg = &live_is_ready};

	must(fanfare_hub_new(NULL, &hub), "hub");
	must(
	    fanfare_channel_set(hub, TEXT("news.*"), TEXT("history-size 100 history-ttl 60"), NULL),
	    "options");
	must(fanfare_subscriber_new(hub, &options, &live), "subscriber");
	must(fanfare_psubscribe(live, TEXT("news.*")), "subscribe");
	for (size_t i = 0; i < sizeof(news) / sizeof(*news); i++)
		must(fanfare_publish(hub, TEXT("news.weather"), TEXT(news[i]), now_us, NULL),
		    "publish");
	if (live_is_ready)
		print_all("live", live);

	/* The last two messages, and then what is published from now on. */
	must(fanfare_subscriber_new(hub, NULL, &late), "subscriber");
	must(fanfare_resume(late, TEXT("news.weather"), TEXT("-2"), now_us, &resumption), "resume");
	printf("late: %d kept messages follow\n", (int)resumption.count);
	while (fanfare_hub_work(hub, now_us, NULL) == FANFARE_MORE)
		continue;
	print_all("late", late);
	must(fanfare_hub_free(hub), "end");
	return 0;
}
