#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/loop.h"
#include "cli/options.h"
#include "cli/target.h"
#include "cli/tls.h"

/* In the order of --help. A new command needs a file, a line here and one in cli.h. */
static const struct cli_command *const commands[] = {
    &sub_command,
    &pub_command,
    &history_command,
    &channels_command,
    &presence_command,
    &ping_command,
    &info_command,
    &call_command,
    &bench_command,
    &aof_command,
    &import_command,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

struct common_options {
	struct target_choice choice;
	uint64_t timeout_us;
	uint64_t connect_timeout_us;
	bool help;
	bool version;
};

#define AT(field) .offset = offsetof(struct common_options, field)

static const struct option_row common_rows[] = {
    {"host", 'h', OPTION_TEXT, "HOST", AT(choice.host), .text = "server (127.0.0.1)"},
    {"port", 'p', OPTION_NUMBER, "PORT", AT(choice.port), .min = 1, .max = 65535,
	.text = "port of the server (6379)"},
    {"socket", 's', OPTION_TEXT, "PATH", AT(choice.socket_path),
	.text = "connect to a Unix socket instead"},
    {"user", 0, OPTION_TEXT, "USER", AT(choice.user), .text = "authenticate as USER"},
    {"password", 0, OPTION_TEXT, "PASSWORD", AT(choice.password),
	.text = "password (or FANFARE_PASSWORD)"},
    {"url", 'u', OPTION_TEXT, "URL", AT(choice.url),
	.text = "redis[s]://[user[:password]@]host[:port] or unix:///path (or FANFARE_URL)"},
    {"tls", 0, OPTION_FLAG, AT(choice.tls.enabled), .text = "connect with TLS"},
    {"cacert", 0, OPTION_TEXT, "FILE", AT(choice.tls.ca_path),
	.text = "trusted authorities (the system's)"},
    {"cacertdir", 0, OPTION_TEXT, "DIR", AT(choice.tls.ca_dir),
	.text = "directory of them, made by openssl rehash"},
    {"cert", 0, OPTION_TEXT, "FILE", AT(choice.tls.cert_path), .text = "certificate to present"},
    {"key", 0, OPTION_TEXT, "FILE", AT(choice.tls.key_path),
	.text = "its key (in the certificate file)"},
    {"sni", 0, OPTION_TEXT, "NAME", AT(choice.tls.sni), .text = "the server's name (the host)"},
    {"tls-ciphers", 0, OPTION_TEXT, "LIST", AT(choice.tls.ciphers), .text = "ciphers for TLS 1.2"},
    {"tls-ciphersuites", 0, OPTION_TEXT, "LIST", AT(choice.tls.ciphersuites),
	.text = "ciphers for TLS 1.3"},
    {"insecure", 0, OPTION_FLAG, AT(choice.tls.insecure), .text = "accept any certificate"},
    {"connect-timeout", 0, OPTION_SECONDS, "S", AT(connect_timeout_us), .max = 86400,
	.text = "time limit for each address, in seconds (5)"},
    {"timeout", 0, OPTION_SECONDS, "S", AT(timeout_us), .max = 1000000000,
	.text = "exit with status 3 after S seconds"},
    {"help", 0, OPTION_FLAG, AT(help), .text = "print this and exit"},
    {"version", 0, OPTION_FLAG, AT(version), .text = "print the version and exit"},
    {0},
};

static void
put_usage(struct buffer *out, const struct cli_command *command)
{
	if (command == NULL)
		buffer_append_str(out, "usage: fanfare [OPTION...] COMMAND [OPTION...] [ARG...]\n");
	else
		buffer_appendf(out, "usage: fanfare %s [OPTION...]%s%s\n", command->name,
		    command->operands[0] != '\0' ? " " : "", command->operands);
}

static void
put_help(struct buffer *out, const struct cli_command *command)
{
	put_usage(out, command);
	if (command == NULL) {
		buffer_append_str(out, "\nCommands (for details: fanfare COMMAND --help):\n");
		for (size_t i = 0; i < COMMAND_COUNT; i++)
			buffer_appendf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	} else {
		buffer_appendf(out, "  %s\n", command->summary);
		if (command->options->name != NULL)
			buffer_append_str(out, "\nOptions:\n");
		options_describe(command->options, out);
	}
	buffer_append_str(out, "\nOptions of every command (defaults in parentheses):\n");
	options_describe(common_rows, out);
}

static enum cli_status
print_help(const struct cli_command *command)
{
	struct buffer text = {0};
	bool ok;

	put_help(&text, command);
	ok = fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
	buffer_release(&text);
	return ok ? CLI_OK : CLI_FAILED;
}

static enum cli_status
print_version(void)
{
	return puts("fanfare " PACKAGE_VERSION) >= 0 && fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* Printed after the error. */
static void
print_usage(const struct cli_command *command)
{
	struct buffer text = {0};

	put_usage(&text, command);
	fwrite(text.ptr, 1, text.len, stderr);
	buffer_release(&text);
}

static enum cli_status
refuse(const struct cli_command *command, const char *why)
{
	cli_warn("%s", why);
	print_usage(command);
	return CLI_USAGE;
}

static int
parse(int argc, char **argv, const struct cli_command *command, struct common_options *common,
    void *options)
{
	const struct option_set sets[] = {
	    {common_rows, common}, {command == NULL ? NULL : command->options, options}};
	struct buffer error = {0};
	int first = options_parse(argc, argv, sets, command == NULL ? 1 : 2,
	    command == NULL || command->ends_options, &error);

	if (first < 0) {
		buffer_append(&error, "", 1);
		refuse(command, error.ptr);
	}
	buffer_release(&error);
	return first;
}

/* False, after printing the error, if a file for TLS is invalid. */
static bool
set_up_tls(struct cli *cli)
{
	struct buffer error = {0};

	if (!cli->target->tls.enabled)
		return true;
	cli->tls = tls_client_new(&cli->target->tls, cli->target->host, &error);
	if (cli->tls == NULL)
		cli_warn("%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
	return cli->tls != NULL;
}

static enum cli_status
run(const struct cli_command *command, struct cli *cli, struct common_options *common)
{
	struct target target;
	const char *error;
	enum cli_status status = CLI_USAGE;

	if (command->url != NULL && command->url(cli->options) != NULL)
		common->choice.url = command->url(cli->options);
	common->choice.env_url = getenv("FANFARE_URL");
	common->choice.env_password = getenv("FANFARE_PASSWORD");
	if (!target_choose(&target, &common->choice, &error))
		return refuse(command, error);
	cli->target = &target;
	cli->timeout_us = common->timeout_us;
	cli->connect_timeout_us = common->connect_timeout_us;
	if (set_up_tls(cli)) {
		cli->loop = loop_new();
		status = command->run(cli);
		if (status == CLI_USAGE)
			print_usage(command);
		if (status == CLI_TIMEOUT)
			cli_warn("timed out after %g s", (double)cli->timeout_us / 1e6);
		loop_free(cli->loop);
		buffer_release(&cli->out);
	}
	tls_client_free(cli->tls);
	cli->tls = NULL;
	cli->target = NULL;
	target_release(&target);
	return status;
}

/* argv[0] is the name of the command. */
static enum cli_status
dispatch(const struct cli_command *command, int argc, char **argv, struct common_options *common)
{
	void *options = xcalloc(1, command->options_bytes);
	struct cli cli = {.options = options};
	enum cli_status status = CLI_USAGE;
	int first;

	if (command->defaults != NULL)
		memcpy(options, command->defaults, command->options_bytes);
	first = parse(argc, argv, command, common, options);
	if (first >= 0) {
		cli.operands = argv + first;
		cli.operand_count = (size_t)(argc - first);
		if (common->help)
			status = print_help(command);
		else if (common->version)
			status = print_version();
		else if (cli.operand_count < command->min_operands)
			status = refuse(command, "an argument is missing");
		else if (cli.operand_count > command->max_operands)
			status = refuse(command, "too many arguments");
		else
			status = run(command, &cli, common);
	}
	xfree(options);
	return status;
}

/* Otherwise a socket could get the descriptor of stdout. */
static void
keep_standard_fds_taken(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct common_options common = {.connect_timeout_us = 5000000};
	int first;

	keep_standard_fds_taken();
	signal(SIGPIPE, SIG_IGN);
	first = parse(argc, argv, NULL, &common, NULL);
	if (first < 0)
		return CLI_USAGE;
	if (common.help)
		return print_help(NULL);
	if (common.version)
		return print_version();
	if (first == argc)
		return refuse(NULL, "a command is missing");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, argv[first]) == 0)
			return dispatch(commands[i], argc - first, argv + first, &common);
	cli_warn("unknown command: %s", argv[first]);
	return refuse(NULL, "fanfare --help lists the commands");
}
