#ifndef SCRIPT_CJSON_CONFIG_H
#define SCRIPT_CJSON_CONFIG_H

#include <stdbool.h>

/* What encode does with numbers that JSON lacks: infinities and NaN. */
enum cjson_invalid {
	CJSON_INVALID_ERROR,
	CJSON_INVALID_KEEP, /* as "inf", "-inf" and "nan" */
	CJSON_INVALID_NULL,
};

enum { CJSON_PRECISION_MAX = 14 };

/* The settings of one copy of the library: scripts can change them, and make more copies. */
struct cjson_config {
	int encode_invalid;     /* enum cjson_invalid */
	int encode_max_depth;   /* tables in each other, the outermost one included */
	int encode_precision;   /* significant digits of numbers */
	int encode_keep_buffer; /* without effect: no buffer outlives its call */
	/* An array with this many times more places than items, and more places than sparse_safe,
	 * is an error or, with sparse_convert, an object. 0: never. */
	int sparse_ratio;
	int sparse_safe;
	int sparse_convert;
	int decode_invalid; /* numbers that only C reads are accepted: "0x10", "inf", "nan" */
	int decode_max_depth;
};

#endif
