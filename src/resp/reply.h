#ifndef RESP_REPLY_H
#define RESP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Reader of replies, RESP2 and RESP3, for clients (the fanfare tool, tests). It takes bytes in any
 * pieces and builds one value at a time. The memory of a value depends on the bytes that have
 * arrived, never on an announced length. Source: the RESP3 specification (antirez/RESP3). Streamed
 * values ("$?"), which Redis does not send, are refused.
 */
enum resp_type {
	RESP_TYPE_SIMPLE,
	RESP_TYPE_ERROR,
	RESP_TYPE_INT,
	RESP_TYPE_BULK,
	RESP_TYPE_NULL,
	RESP_TYPE_ARRAY,
	RESP_TYPE_MAP,
	RESP_TYPE_SET,
	RESP_TYPE_PUSH,
	RESP_TYPE_DOUBLE,
	RESP_TYPE_BOOL,
	RESP_TYPE_VERBATIM,
	RESP_TYPE_BIGNUM,
};

struct resp_value {
	enum resp_type type;
	struct slice text; /* simple, error, bulk, verbatim (without "txt:"), bignum, double as
			      sent; a NUL follows */
	int64_t number;    /* int, bool */
	double real;       /* double */
	size_t count;      /* array, set, push: items; map: items, so twice its pairs */
	struct resp_value *items;
};

struct resp_reader;

/*
 * max_bytes limits one value: its text, and sizeof(struct resp_value) for each item. max_depth, 1
 * to 1024, limits how deeply aggregates may be nested. Returns owned (resp_reader_free).
 */
struct resp_reader *resp_reader_new(size_t max_bytes, size_t max_depth);
void resp_reader_free(struct resp_reader *reader);

/* Copies the bytes. Call resp_reader_next until it returns 0 before the next feed: only
 * resp_reader_next checks the limits. */
void resp_reader_feed(struct resp_reader *reader, const char *ptr, size_t len);

/*
 * The next whole value: 1 and *value (returns owned: resp_value_free); 0 if more bytes are needed;
 * -1 if the bytes are not valid RESP or exceed a limit, and then for every further call. Attributes
 * (|) are read and dropped.
 */
int resp_reader_next(struct resp_reader *reader, struct resp_value **value)
    __attribute__((warn_unused_result));
void resp_value_free(struct resp_value *value);

#endif
