#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "server/metrics_page.h"

/*
 * Metrics: the statistics of server/info.def as a page to scrape, and more that INFO shows in
 * another way: commands, errors, loops, databases, limits, subscribers by policy and wire form.
 * Other layers add families of their own as a source. Labels never have names of channels or keys,
 * so the number of time series is bounded.
 */
struct server;

/* Called for each page. The families' names are the source's own. */
struct metrics_source {
	void (*put)(const struct metrics_source *source, struct metrics_page *page);
	struct metrics_source *next; /* set by server_add_metrics */
};

/* Borrows source as long as the server lives. */
void server_add_metrics(struct server *server, struct metrics_source *source);

/* Appends a whole page: about 40 KiB, in less than 1 ms. */
void metrics_put(struct server *server, enum metrics_format format, struct buffer *out);

#endif
