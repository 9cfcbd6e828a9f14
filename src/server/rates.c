#include "config.h"

#include "server/rates.h"

#include <string.h>

#include "server/core.h"
#include "server/io.h"
#include "server/statistics.h"

#define SAMPLES (sizeof(((struct rate *)NULL)->samples) / sizeof(uint64_t))

static void
sample(struct rate *rate, uint64_t now_us, uint64_t count)
{
	uint64_t passed_us = now_us - rate->last_us;
	/* A count that decreased was reset meanwhile. */
	uint64_t more = count >= rate->last_count ? count - rate->last_count : 0;

	if (rate->last_us != 0 && passed_us > 0) {
		rate->samples[rate->at] = more * 1000000 / passed_us;
		rate->at = (rate->at + 1) % SAMPLES;
	}
	rate->last_us = now_us;
	rate->last_count = count;
}

void
rates_sample(struct server *server, uint64_t now_us)
{
	struct net_figures io = {0};

	if (server->rates->ops.last_us != 0 &&
	    now_us - server->rates->ops.last_us < RATES_INTERVAL_US)
		return;
	server->io->figures(server->io->arg, &io);
	sample(&server->rates->ops, now_us, server->statistics->counters.commands);
	sample(&server->rates->input, now_us, io.read_bytes);
	sample(&server->rates->output, now_us, io.written_bytes);
}

uint64_t
rate_per_second(const struct rate *rate)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < SAMPLES; i++)
		sum += rate->samples[i];
	return sum / SAMPLES;
}

void
rates_reset(struct rates *rates)
{
	*rates = (struct rates){0};
}
