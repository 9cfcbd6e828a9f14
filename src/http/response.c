#include "config.h"

#include "http/response.h"

#include <assert.h>
#include <stddef.h>

#include "http/syntax.h"

static const struct {
	unsigned status;
	const char *phrase;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *
http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].phrase;
	return "Unknown";
}

void
http_put_status(struct buffer *out, unsigned status)
{
	buffer_appendf(out, "HTTP/1.1 %u %s\r\n", status, http_reason(status));
}

void
http_put_header(struct buffer *out, const char *name, struct slice value)
{
	char *at;

	buffer_append_str(out, name);
	buffer_append_str(out, ": ");
	at = buffer_reserve(out, value.len);
	for (size_t i = 0; i < value.len; i++)
		at[i] = http_is_field_value((struct slice){value.ptr + i, 1}) ? value.ptr[i] : ' ';
	out->len += value.len;
	http_put_head_end(out);
}

void
http_put_connection(struct buffer *out, bool keep_alive)
{
	/* A client of HTTP/1.0 that asked for it has to be told. */
	http_put_header(out, "Connection", keep_alive ? SLICE("keep-alive") : SLICE("close"));
}

void
http_put_head_end(struct buffer *out)
{
	buffer_append_str(out, "\r\n");
}

void
http_put_response(struct buffer *out, const struct http_response *response)
{
	bool has_body = response->status != 204 && response->status != 304;

	assert(has_body || response->body.len == 0);
	http_put_status(out, response->status);
	buffer_append_slice(out, response->extra);
	if (response->content_type != NULL)
		http_put_header(out, "Content-Type", slice_of(response->content_type));
	if (has_body)
		buffer_appendf(out, "Content-Length: %zu\r\n", response->body.len);
	http_put_connection(out, response->keep_alive);
	http_put_head_end(out);
	if (!response->is_head)
		buffer_append_slice(out, response->body);
}

/* The code at the start of an error, or 400. */
static unsigned
status_of(const char *error)
{
	unsigned status = 0;

	for (size_t i = 0; i < 3; i++) {
		if (!http_is_digit(error[i]))
			return 400;
		status = status * 10 + (unsigned)(error[i] - '0');
	}
	return status;
}

void
http_put_error(struct buffer *out, const char *error)
{
	struct buffer body = {0};

	buffer_appendf(&body, "%s\n", error);
	http_put_response(out, &(struct http_response){.status = status_of(error),
				   .content_type = "text/plain; charset=utf-8",
				   .body = buffer_slice(&body)});
	buffer_release(&body);
}
