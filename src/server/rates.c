#include "config.h"

#include "server/rates.h"

#include <string.h>

#include "server/state.h"

#define SAMPLES (sizeof(((struct server_rate *)NULL)->samples) / sizeof(uint64_t))

static void
sample(struct server_rate *rate, uint64_t now_us, uint64_t count)
{
	uint64_t passed_us = now_us - rate->last_us;
	/* A count that went back was set to zero meanwhile. */
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
	struct server_io_figures io = {0};

	if (server->ops_rate.last_us != 0 && now_us - server->ops_rate.last_us < RATES_INTERVAL_US)
		return;
	server->io.figures(server->io.arg, &io);
	sample(&server->ops_rate, now_us, server->counters.commands);
	sample(&server->input_rate, now_us, io.read_bytes);
	sample(&server->output_rate, now_us, io.written_bytes);
}

uint64_t
rate_per_second(const struct server_rate *rate)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < SAMPLES; i++)
		sum += rate->samples[i];
	return sum / SAMPLES;
}

void
rates_reset(struct server *server)
{
	memset(&server->ops_rate, 0, sizeof(server->ops_rate));
	memset(&server->input_rate, 0, sizeof(server->input_rate));
	memset(&server->output_rate, 0, sizeof(server->output_rate));
}
