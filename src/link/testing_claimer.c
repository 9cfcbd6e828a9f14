#include "config.h"

#include "link/testing_claimer.h"

#include <check.h>
#include <string.h>

#include "base/bytes.h"
#include "link/engine_script.h"
#include "link/testing_engine.h"
#include "resp/parser.h"
#include "resp/reply.h"

static const struct protocol_limits limits = {
    .arg_bytes = 1 << 20, .arg_count = 4096, .line_bytes = 65536, .request_bytes = 1 << 24};

static void
connect(struct claimer *claimer)
{
	claimer->parser = resp_parser_new(&limits);
	claimer->reader = resp_reader_new(1 << 20, 8);
}

static void
disconnect(struct claimer *claimer)
{
	resp_parser_free(claimer->parser);
	resp_reader_free(claimer->reader);
	buffer_release(&claimer->out);
	claimer->at = claimer->executed = 0;
}

void
claimer_init(struct claimer *claimer, struct testing_engine *engine,
    const struct engine_claims_ops *ops, void *arg, const char *node)
{
	memset(claimer, 0, sizeof(*claimer));
	claimer->engine = engine;
	claimer->claims = engine_claims_new(ops, arg, node);
	connect(claimer);
}

void
claimer_release(struct claimer *claimer)
{
	disconnect(claimer);
	engine_claims_free(claimer->claims);
}

size_t
claimer_write(struct claimer *claimer, uint64_t now_us)
{
	struct engine_shas shas = {{{0}}};

	for (int i = 0; i < ENGINE_SCRIPTS; i++) {
		memset(shas.text[i], 'a' + i, sizeof(shas.text[i]) - 1);
		shas.text[i][sizeof(shas.text[i]) - 1] = '\0';
	}
	return engine_claims_write(claimer->claims, &shas, now_us, &claimer->out);
}

bool
claimer_execute(struct claimer *claimer)
{
	struct protocol_request request;
	struct buffer reply = {0};
	size_t taken;

	if (claimer->at == claimer->out.len)
		return false;
	ck_assert_int_eq(resp_parser_feed(claimer->parser, claimer->out.ptr + claimer->at,
			     claimer->out.len - claimer->at, false, &taken, &request),
	    PROTOCOL_REQUEST);
	claimer->at += taken;
	ck_assert(testing_engine_execute(claimer->engine, request.args, request.count, &reply));
	resp_reader_feed(claimer->reader, reply.ptr, reply.len);
	buffer_release(&reply);
	claimer->executed++;
	return true;
}

bool
claimer_read(struct claimer *claimer, uint64_t now_us)
{
	struct resp_value *value;
	const char *why;

	if (claimer->executed == 0)
		return false;
	ck_assert_int_eq(resp_reader_next(claimer->reader, &value), 1);
	claimer->executed--;
	why = engine_claims_take(claimer->claims, value, now_us);
	ck_assert_msg(why == NULL, "%s", why);
	resp_value_free(value);
	return true;
}

void
claimer_serve(struct claimer *claimer, uint64_t now_us)
{
	while (claimer_write(claimer, now_us) > 0 || claimer_execute(claimer))
		while (claimer_read(claimer, now_us))
			;
}

const char *
claimer_reply(struct claimer *claimer, struct slice reply, uint64_t now_us)
{
	struct resp_reader *reader = resp_reader_new(1 << 20, 8);
	struct resp_value *value;
	const char *why;

	resp_reader_feed(reader, reply.ptr, reply.len);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	why = engine_claims_take(claimer->claims, value, now_us);
	resp_value_free(value);
	resp_reader_free(reader);
	return why;
}

void
claimer_lose(struct claimer *claimer)
{
	engine_claims_lost(claimer->claims);
	disconnect(claimer);
	connect(claimer);
}
