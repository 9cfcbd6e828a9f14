#include "config.h"

#include "bench/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/load.h"
#include "json/writer.h"

#define PROGRESS_NS UINT64_C(500000000)
#define BUSY 0.9 /* of a core: above this the generator is probably the bottleneck */

/* The figures of both formats, derived from the counts. */
struct figures {
	double wall_s;
	double deliveries_per_s;
	double messages_per_s;
	double bytes_per_s;
	double own_load; /* cores */
	double own_us;   /* for each delivery */
	double server_load;
	double server_us;
	double server_message_us;
	double idle_connection_bytes;
	double idle_subscription_bytes;
	double subscriber_bytes;
};

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* Growth between two readings; 0 if memory was returned meanwhile. */
static double
growth(uint64_t from, uint64_t to, uint64_t count)
{
	return to > from ? ratio((double)(to - from), (double)count) : 0;
}

static struct figures
figures_of(const struct bench_load *load)
{
	const struct bench_cost *from = &load->from;
	const struct bench_cost *to = &load->to;
	const struct bench_memory *m = &load->memory;
	const struct bench_options *o = load->options;
	double wall_ns = (double)(to->at_ns - from->at_ns);
	double deliveries = (double)(to->delivered - from->delivered);
	double own_ns = (double)(to->own_cpu_ns - from->own_cpu_ns);
	double server_ns = (double)(to->server.cpu_ns - from->server.cpu_ns);

	return (struct figures){
	    .wall_s = wall_ns / 1e9,
	    .deliveries_per_s = ratio(deliveries, wall_ns / 1e9),
	    .messages_per_s = ratio((double)(to->sent - from->sent), wall_ns / 1e9),
	    .bytes_per_s = ratio((double)(to->bytes - from->bytes), wall_ns / 1e9),
	    .own_load = ratio(own_ns, wall_ns),
	    .own_us = ratio(own_ns / 1e3, deliveries),
	    .server_load = ratio(server_ns, wall_ns),
	    .server_us = ratio(server_ns / 1e3, deliveries),
	    .server_message_us = ratio(server_ns / 1e3, (double)(to->sent - from->sent)),
	    .idle_connection_bytes =
		growth(m->at_start, m->with_idle_connections, o->idle_connections),
	    .idle_subscription_bytes = growth(m->with_idle_connections, m->with_idle_subscriptions,
		o->idle_channels + o->idle_patterns),
	    .subscriber_bytes =
		growth(m->with_idle_subscriptions, m->with_subscribers, o->subscribers),
	};
}

static double
quantile_us(const struct bench_load *load, unsigned permille)
{
	return (double)bench_histogram_quantile(load->latency, permille) / 1e3;
}

static void
put_server(const struct bench_load *load, const struct figures *f, struct buffer *out)
{
	const struct bench_options *o = load->options;
	const struct bench_memory *m = &load->memory;

	if (o->pid == 0)
		return;
	buffer_appendf(out,
	    "server CPU      %.4g us a delivery, %.4g us a message, %.0f %% of a core\n",
	    f->server_us, f->server_message_us, f->server_load * 100);
	buffer_appendf(out, "server memory   %.1f MiB at first, %.1f MiB at most\n",
	    (double)m->at_start / 1048576, (double)m->at_peak / 1048576);
	if (o->subscribers > 0)
		buffer_appendf(
		    out, "                %.0f bytes a subscriber\n", f->subscriber_bytes);
	if (o->idle_connections > 0)
		buffer_appendf(out, "                %.0f bytes an idle connection\n",
		    f->idle_connection_bytes);
	if (o->idle_channels + o->idle_patterns > 0)
		buffer_appendf(out, "                %.0f bytes an idle subscription\n",
		    f->idle_subscription_bytes);
}

void
bench_report_text(const struct bench_load *load, struct buffer *out)
{
	struct figures f = figures_of(load);

	buffer_appendf(out, "deliveries      %.0f a second, %.1f MB a second\n", f.deliveries_per_s,
	    f.bytes_per_s / 1e6);
	buffer_appendf(
	    out, "messages        %.0f a second, in %.2f s\n", f.messages_per_s, f.wall_s);
	put_server(load, &f, out);
	buffer_appendf(out,
	    "latency         p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n",
	    quantile_us(load, 500) / 1e3, quantile_us(load, 990) / 1e3,
	    quantile_us(load, 999) / 1e3, (double)load->latency->max / 1e6);
	buffer_appendf(out,
	    "lost            %" PRIu64 " of %" PRIu64 " deliveries, %" PRIu64 " came twice\n",
	    bench_load_lost(load), load->due, load->duplicated);
	if (load->options->stuck > 0)
		buffer_appendf(out,
		    "stuck           %" PRIu64 ", of which the server closed %" PRIu64 "\n",
		    load->options->stuck, load->stuck_closed);
	buffer_appendf(out, "load generator  %.4g us a delivery, %.0f %% of a core%s\n", f.own_us,
	    f.own_load * 100, f.own_load > BUSY ? ": it may have been what limited the rate" : "");
}

static void
put_options(const struct bench_options *o, struct buffer *out)
{
	buffer_append_str(out, "{\"protocol\":");
	json_put_string(out, slice_of(o->protocol));
	buffer_appendf(out,
	    ",\"resp3_share\":%" PRIu64 ",\"tls\":%s,\"subscribers\":%" PRIu64
	    ",\"channels\":%" PRIu64 ",\"publishers\":%" PRIu64 ",\"size\":%" PRIu64
	    ",\"pipeline\":%" PRIu64 ",\"window\":%" PRIu64 ",\"rate\":%.9g,\"messages\":%" PRIu64
	    ",\"pattern\":%s,\"idle_patterns\":%" PRIu64 ",\"idle_channels\":%" PRIu64
	    ",\"idle_connections\":%" PRIu64 ",\"stuck\":%" PRIu64 "}",
	    o->resp3_share, o->tls ? "true" : "false", o->subscribers, o->channels, o->publishers,
	    o->size, o->pipeline, o->window, o->rate, o->messages, o->pattern ? "true" : "false",
	    o->idle_patterns, o->idle_channels, o->idle_connections, o->stuck);
}

static void
put_server_json(const struct bench_load *load, const struct figures *f, struct buffer *out)
{
	const struct bench_memory *m = &load->memory;

	if (load->options->pid == 0) {
		buffer_append_str(out, "null");
		return;
	}
	buffer_appendf(out,
	    "{\"cpu_us_per_delivery\":%.9g,\"cpu_us_per_message\":%.9g,\"cores\":%.6g,\"cpu_"
	    "seconds\":%.9g,"
	    "\"resident_bytes\":{\"at_start\":%" PRIu64 ",\"with_idle_connections\":%" PRIu64
	    ",\"with_idle_subscriptions\":%" PRIu64 ",\"with_subscribers\":%" PRIu64
	    ",\"at_peak\":%" PRIu64 ",\"at_end\":%" PRIu64 "},\"bytes_per_subscriber\":%.9g,"
	    "\"bytes_per_idle_connection\":%.9g,\"bytes_per_idle_subscription\":%.9g}",
	    f->server_us, f->server_message_us, f->server_load,
	    (double)(load->to.server.cpu_ns - load->from.server.cpu_ns) / 1e9, m->at_start,
	    m->with_idle_connections, m->with_idle_subscriptions, m->with_subscribers, m->at_peak,
	    m->at_end, f->subscriber_bytes, f->idle_connection_bytes, f->idle_subscription_bytes);
}

void
bench_report_json(const struct bench_load *load, struct buffer *out)
{
	struct figures f = figures_of(load);

	buffer_append_str(out, "{\"options\":");
	put_options(load->options, out);
	buffer_appendf(out,
	    ",\"seconds\":%.9g,\"messages_sent\":%" PRIu64 ",\"messages_per_second\":%.9g,"
	    "\"deliveries\":%" PRIu64 ",\"deliveries_per_second\":%.9g,\"bytes_per_second\":%.9g,",
	    f.wall_s, load->to.sent - load->from.sent, f.messages_per_s,
	    load->to.delivered - load->from.delivered, f.deliveries_per_s, f.bytes_per_s);
	buffer_appendf(out,
	    "\"total\":{\"messages\":%" PRIu64 ",\"due\":%" PRIu64 ",\"delivered\":%" PRIu64
	    ",\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"strays\":%" PRIu64
	    ",\"given_up\":%" PRIu64 ",\"stuck_closed\":%" PRIu64 "},",
	    load->sent, load->due, load->delivered, bench_load_lost(load), load->duplicated,
	    load->strays, load->given_up, load->stuck_closed);
	buffer_appendf(out,
	    "\"latency_us\":{\"count\":%" PRIu64
	    ",\"p50\":%.9g,\"p99\":%.9g,\"p99_9\":%.9g,\"max\":%.9g},\"server\":",
	    load->latency->total, quantile_us(load, 500), quantile_us(load, 990),
	    quantile_us(load, 999), (double)load->latency->max / 1e3);
	put_server_json(load, &f, out);
	buffer_appendf(out, ",\"generator\":{\"cpu_us_per_delivery\":%.9g,\"cores\":%.6g}}\n",
	    f.own_us, f.own_load);
}

void
bench_progress_show(struct bench_progress *p, const struct bench_load *load, uint64_t now_ns)
{
	double seconds = (double)(now_ns - p->shown_ns) / 1e9;

	if (now_ns - p->shown_ns < PROGRESS_NS || load->options->quiet ||
	    isatty(STDERR_FILENO) != 1)
		return;
	if (p->shown_ns != 0) {
		fprintf(stderr,
		    "\r%.0f s  %.0f deliveries/s  p99 %.3f ms  pending %" PRIu64 "\033[K",
		    (double)(now_ns - load->started_ns) / 1e9,
		    (double)(load->delivered - p->delivered) / seconds,
		    quantile_us(load, 990) / 1e3, bench_load_lost(load));
		fflush(stderr);
		p->shown = 1;
	}
	p->shown_ns = now_ns;
	p->delivered = load->delivered;
}

void
bench_progress_clear(struct bench_progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = 0;
}
