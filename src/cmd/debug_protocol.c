#include "config.h"

#include "cmd/debug.h"

#include "base/buffer.h"
#include "resp/writer.h"
#include "server/request.h"

/* DEBUG PROTOCOL: a reply of each type, for the tests of client libraries, as in Redis. */

#define BIG_NUMBER "1234567999999999999999999999999999999"

static void
put_string(struct buffer *out, int proto)
{
	(void)proto;
	resp_put_bulk_str(out, "Hello World");
}

static void
put_integer(struct buffer *out, int proto)
{
	(void)proto;
	resp_put_int(out, 12345);
}

static void
put_double(struct buffer *out, int proto)
{
	resp_put_double(out, proto, 3.141);
}

static void
put_big_number(struct buffer *out, int proto)
{
	if (proto == 3)
		buffer_append_str(out, "(" BIG_NUMBER "\r\n");
	else
		resp_put_bulk_str(out, BIG_NUMBER);
}

static void
put_numbers(struct buffer *out)
{
	for (int i = 0; i < 3; i++)
		resp_put_int(out, i);
}

static void
put_array(struct buffer *out, int proto)
{
	(void)proto;
	resp_put_array(out, 3);
	put_numbers(out);
}

static void
put_set(struct buffer *out, int proto)
{
	resp_put_set(out, proto, 3);
	put_numbers(out);
}

static void
put_map(struct buffer *out, int proto)
{
	resp_put_map(out, proto, 3);
	for (int i = 0; i < 3; i++) {
		resp_put_int(out, i);
		resp_put_bool(out, proto, i == 1);
	}
}

static void
put_attribute(struct buffer *out, int proto)
{
	if (proto == 3) {
		buffer_append_str(out, "|1\r\n");
		resp_put_bulk_str(out, "key-popularity");
		resp_put_array(out, 2);
		resp_put_bulk_str(out, "key:123");
		resp_put_int(out, 90);
	}
	resp_put_bulk_str(out, "Some real reply following the attribute");
}

/* The reply behind it is for clients that do not count pushes as replies. */
static void
put_push(struct buffer *out, int proto)
{
	if (proto < 3) {
		resp_put_error(out, SLICE("ERR RESP2 is not supported by this command"));
		return;
	}
	resp_put_push(out, proto, 2);
	resp_put_bulk_str(out, "server-cpu-usage");
	resp_put_int(out, 42);
	resp_put_bulk_str(out, "Some real reply following the push reply");
}

static void
put_verbatim(struct buffer *out, int proto)
{
	resp_put_verbatim(out, proto, "txt", SLICE("This is a verbatim\nstring"));
}

static void
put_true(struct buffer *out, int proto)
{
	resp_put_bool(out, proto, true);
}

static void
put_false(struct buffer *out, int proto)
{
	resp_put_bool(out, proto, false);
}

void
debug_protocol(struct request *rq)
{
	static const struct {
		const char *name;
		void (*put)(struct buffer *out, int proto);
	} types[] = {
	    {"string", put_string},
	    {"integer", put_integer},
	    {"double", put_double},
	    {"bignum", put_big_number},
	    {"null", resp_put_null},
	    {"array", put_array},
	    {"set", put_set},
	    {"map", put_map},
	    {"attrib", put_attribute},
	    {"push", put_push},
	    {"verbatim", put_verbatim},
	    {"true", put_true},
	    {"false", put_false},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_is_nocase(rq->argv[2], types[i].name)) {
			types[i].put(rq->reply, rq->proto);
			return;
		}
	}
	request_error(rq, "ERR Wrong protocol type name. Please use one of the following: "
			  "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|"
			  "true|false");
}
