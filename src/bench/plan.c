#include "config.h"

#include "bench/plan.h"

#include <inttypes.h>

uint32_t
bench_plan_subscriptions(const struct bench_plan *plan, uint32_t subscriber)
{
	if (plan->pattern || plan->channels <= plan->subscribers)
		return 1;
	return plan->channels / plan->subscribers +
	       (subscriber < plan->channels % plan->subscribers);
}

uint32_t
bench_plan_channel(const struct bench_plan *plan, uint32_t subscriber, uint32_t i)
{
	if (plan->channels <= plan->subscribers)
		return subscriber % plan->channels;
	return subscriber + i * plan->subscribers;
}

uint32_t
bench_plan_fanout(const struct bench_plan *plan, uint32_t channel)
{
	if (plan->pattern || plan->subscribers == 0)
		return plan->subscribers;
	if (plan->channels > plan->subscribers)
		return 1;
	return plan->subscribers / plan->channels + (channel < plan->subscribers % plan->channels);
}

uint32_t
bench_plan_slots(const struct bench_plan *plan)
{
	if (plan->pattern)
		return plan->channels;
	return plan->subscribers == 0 ? 1 : bench_plan_subscriptions(plan, 0);
}

uint32_t
bench_plan_slot(const struct bench_plan *plan, uint32_t subscriber, uint32_t channel)
{
	if (channel >= plan->channels)
		return UINT32_MAX;
	if (plan->pattern)
		return channel;
	if (plan->channels <= plan->subscribers)
		return channel == subscriber % plan->channels ? 0 : UINT32_MAX;
	return channel % plan->subscribers == subscriber ? channel / plan->subscribers : UINT32_MAX;
}

uint32_t
bench_plan_target(const struct bench_plan *plan, uint32_t publisher, uint64_t n)
{
	return (uint32_t)((publisher + n) % plan->channels);
}

uint32_t
bench_plan_sequence(const struct bench_plan *plan, uint64_t n)
{
	return (uint32_t)(n / plan->channels);
}

void
bench_plan_put_channel(struct buffer *out, const char *prefix, char separator, uint32_t i)
{
	buffer_appendf(out, "%s%c%05" PRIu32, prefix, separator, i);
}

void
bench_plan_put_idle_channel(struct buffer *out, char separator, uint64_t i)
{
	buffer_appendf(out, "idle%c%015" PRIu64, separator, i);
}
