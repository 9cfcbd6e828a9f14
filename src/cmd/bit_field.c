#include "config.h"

#include "kv/bit_field.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/*
 * BITFIELD and BITFIELD_RO. The arguments are parsed twice, the first time to refuse the whole
 * request if one of them is invalid, so that no list of operations is stored.
 */
enum operation { FIELD_GET, FIELD_SET, FIELD_INCRBY, FIELD_OVERFLOW };

/* The operations in the request's order. */
struct reader {
	size_t at; /* the next argument */
	enum operation op;
	enum bit_overflow overflow; /* of the operations that follow */
	struct bit_field field;
	int64_t number; /* of SET and INCRBY */
};

static bool
parse_overflow(struct request *rq, struct reader *r)
{
	static const char *const names[] = {"wrap", "sat", "fail"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_is_nocase(rq->argv[r->at + 1], names[i])) {
			r->overflow = (enum bit_overflow)i;
			return true;
		}
	}
	request_error(rq, "ERR Invalid OVERFLOW type specified");
	return false;
}

/* i1 to i64, u1 to u63. */
static bool
parse_type(struct request *rq, struct slice arg, struct bit_field *field)
{
	int64_t bits;

	if (arg.len > 1 && (arg.ptr[0] == 'i' || arg.ptr[0] == 'u') &&
	    slice_to_i64((struct slice){arg.ptr + 1, arg.len - 1}, &bits) && bits >= 1 &&
	    bits <= (arg.ptr[0] == 'i' ? 64 : 63)) {
		field->is_signed = arg.ptr[0] == 'i';
		field->bits = (unsigned)bits;
		return true;
	}
	request_error(rq, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is "
			  "not supported but i64 is.");
	return false;
}

/*
 * A number of bits, or of fields of this width if it begins with #. A field that is written must
 * lie within the longest string.
 */
static bool
parse_offset(struct request *rq, struct slice arg, bool is_write, struct bit_field *field)
{
	bool in_fields = arg.len > 0 && arg.ptr[0] == '#';
	struct slice digits = {arg.ptr + in_fields, arg.len - in_fields};
	int64_t offset, last;

	if (slice_to_i64(digits, &offset) && offset >= 0 &&
	    !__builtin_mul_overflow(offset, in_fields ? field->bits : 1, &offset) &&
	    !__builtin_add_overflow(offset, is_write ? field->bits - 1 : 0, &last) &&
	    (uint64_t)last >> 3 < request_max_string(rq)) {
		field->offset = (uint64_t)offset;
		return true;
	}
	request_error(rq, "ERR bit offset is not an integer or out of range");
	return false;
}

/* Parses the operation at r->at and moves on. Returns false after replying with an error. */
static bool
parse_operation(struct request *rq, struct reader *r)
{
	static const struct {
		const char *name;
		size_t args;
	} operations[] = {
	    [FIELD_GET] = {"get", 2},
	    [FIELD_SET] = {"set", 3},
	    [FIELD_INCRBY] = {"incrby", 3},
	    [FIELD_OVERFLOW] = {"overflow", 1},
	};
	const struct slice *argv = rq->argv + r->at;
	size_t left = rq->argc - r->at - 1, i;

	for (i = FIELD_GET; i <= FIELD_OVERFLOW; i++)
		if (slice_is_nocase(argv[0], operations[i].name) && left >= operations[i].args)
			break;
	if (i > FIELD_OVERFLOW) {
		request_syntax_error(rq);
		return false;
	}
	r->op = (enum operation)i;
	if (r->op == FIELD_OVERFLOW ? !parse_overflow(rq, r)
				    : !parse_type(rq, argv[1], &r->field) ||
					  !parse_offset(rq, argv[2], r->op != FIELD_GET, &r->field))
		return false;
	if ((r->op == FIELD_SET || r->op == FIELD_INCRBY) && !args_i64(rq, argv[3], &r->number))
		return false;
	r->at += 1 + operations[i].args;
	return true;
}

/* What a whole request does. */
struct plan {
	size_t count; /* of its replies */
	size_t bytes; /* the string must have, because of SET and INCRBY; 0: it only reads */
};

static bool
check_all(struct request *rq, struct plan *plan)
{
	struct reader r = {.at = 2};

	while (r.at < rq->argc) {
		if (!parse_operation(rq, &r))
			return false;
		if (r.op == FIELD_OVERFLOW)
			continue;
		plan->count++;
		size_t end = (size_t)((r.field.offset + r.field.bits - 1) >> 3) + 1;

		if (r.op != FIELD_GET && end > plan->bytes)
			plan->bytes = end;
	}
	return true;
}

/* Writes a field and replies; false: nothing was written. `at` is the string's bytes. */
static bool
change(struct request *rq, const struct reader *r, struct slice s, char *at)
{
	int64_t was = bit_field_get(s, &r->field), now;
	bool adds = r->op == FIELD_INCRBY;

	if (!bit_field_add(
		&r->field, r->overflow, adds ? was : r->number, adds ? r->number : 0, &now)) {
		resp_put_null(rq->reply, rq->proto);
		return false;
	}
	bit_field_put(at, &r->field, now);
	resp_put_int(rq->reply, adds ? now : was);
	return now != was;
}

/* Executes all operations; at is NULL if none writes. True if a field was changed. */
static bool
execute_all(struct request *rq, struct slice s, char *at)
{
	struct reader r = {.at = 2};
	bool changed = false;

	while (r.at < rq->argc && parse_operation(rq, &r)) {
		if (r.op == FIELD_GET)
			resp_put_int(rq->reply, bit_field_get(s, &r.field));
		else if (r.op != FIELD_OVERFLOW)
			changed |= change(rq, &r, s, at);
	}
	return changed;
}

static void
read_fields(struct request *rq, const struct plan *plan)
{
	const struct kv_key *key = key_read(rq, rq->argv[1]);

	if (!key_is_of(rq, key, KV_STRING))
		return;
	resp_put_array(rq->reply, plan->count);
	execute_all(rq, key != NULL ? kv_string(key) : SLICE(""), NULL);
}

/* As in Redis, the string grows even if all its changes are refused because of an overflow. */
static void
write_fields(struct request *rq, const struct plan *plan)
{
	struct slice name = rq->argv[1];
	struct kv_key *key = key_write(rq, name);
	bool changed, grows;
	size_t len;
	char *at;

	if (!key_is_of(rq, key, KV_STRING))
		return;
	len = key != NULL ? kv_string(key).len : 0;
	grows = plan->bytes > len;
	if (key == NULL)
		key = key_put_string(rq, NULL, name, SLICE(""));
	at = kv_string_room(request_db(rq), &key, grows ? plan->bytes : len);
	resp_put_array(rq->reply, plan->count);
	changed = execute_all(rq, kv_string(key), at);
	if (changed || grows)
		key_changed(rq, name, KEY_STRING, "setbit");
}

enum command_result
cmd_bitfield(struct request *rq)
{
	struct plan plan = {0};

	if (!check_all(rq, &plan))
		return COMMAND_DONE;
	if (plan.bytes > 0)
		write_fields(rq, &plan);
	else
		read_fields(rq, &plan);
	return COMMAND_DONE;
}

enum command_result
cmd_bitfield_ro(struct request *rq)
{
	struct plan plan = {0};

	if (!check_all(rq, &plan))
		return COMMAND_DONE;
	if (plan.bytes > 0)
		request_error(rq, "ERR BITFIELD_RO only supports the GET subcommand");
	else
		read_fields(rq, &plan);
	return COMMAND_DONE;
}
