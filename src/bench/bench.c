#include "config.h"

#include <stdio.h>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/report.h"
#include "cli/cli.h"
#include "cli/loop.h"

static enum cli_status
run(struct cli *cli)
{
	struct bench_options options = *(const struct bench_options *)cli->options;
	struct buffer error = {0};
	struct bench_load load;
	int status;

	options.tls = cli->tls != NULL;
	if (!bench_options_check(&options, &error)) {
		cli_warn("%.*s", (int)error.len, error.ptr);
		buffer_release(&error);
		return CLI_USAGE;
	}
	status = bench_load_run(&load, cli, &options);
	if (load.error.len > 0)
		cli_warn("%.*s", (int)load.error.len, load.error.ptr);
	/* Figures measured before an early end are printed too. */
	if (load.to.at_ns > load.from.at_ns && load.from.at_ns != 0) {
		if (options.json)
			bench_report_json(&load, &cli->out);
		else
			bench_report_text(&load, &cli->out);
	}
	bench_load_release(&load);
	if (loop_is_interrupted()) {
		/* The loop has stopped already; this returns the status of the signal. */
		status = loop_run(cli->loop, 0);
		fwrite(cli->out.ptr, 1, cli->out.len, stdout);
		fflush(stdout);
	} else if (!cli_flush(cli)) {
		/* The loop decides whether that is a failure. */
		status = loop_run(cli->loop, 0);
	}
	return (enum cli_status)status;
}

const struct cli_command bench_command = {
    .name = "bench",
    .operands = "",
    .summary = "measure a server under load",
    .options = bench_option_rows,
    .defaults = &bench_option_defaults,
    .options_bytes = sizeof(struct bench_options),
    .run = run,
};
