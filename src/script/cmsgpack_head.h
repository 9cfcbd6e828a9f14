#ifndef SCRIPT_CMSGPACK_HEAD_H
#define SCRIPT_CMSGPACK_HEAD_H

/*
 * The first bytes of MessagePack's values, of the kinds that Redis's cmsgpack has: no binary
 * strings, which came later, no extensions and no times. A length or a number follows in the bytes
 * that the name says, the highest one first; the FIX kinds have it in the first byte itself.
 * https://github.com/msgpack/msgpack/blob/master/spec.md
 */
enum cmsgpack_head {
	HEAD_POSITIVE_FIX = 0x00, /* to 0x7f */
	HEAD_FIX_MAP = 0x80,      /* to 0x8f */
	HEAD_FIX_ARRAY = 0x90,    /* to 0x9f */
	HEAD_FIX_STRING = 0xa0,   /* to 0xbf */
	HEAD_NIL = 0xc0,
	HEAD_FALSE = 0xc2,
	HEAD_TRUE = 0xc3,
	HEAD_FLOAT = 0xca,
	HEAD_DOUBLE = 0xcb,
	HEAD_UNSIGNED_8 = 0xcc,
	HEAD_UNSIGNED_16 = 0xcd,
	HEAD_UNSIGNED_32 = 0xce,
	HEAD_UNSIGNED_64 = 0xcf,
	HEAD_SIGNED_8 = 0xd0,
	HEAD_SIGNED_16 = 0xd1,
	HEAD_SIGNED_32 = 0xd2,
	HEAD_SIGNED_64 = 0xd3,
	HEAD_STRING_8 = 0xd9,
	HEAD_STRING_16 = 0xda,
	HEAD_STRING_32 = 0xdb,
	HEAD_ARRAY_16 = 0xdc,
	HEAD_ARRAY_32 = 0xdd,
	HEAD_MAP_16 = 0xde,
	HEAD_MAP_32 = 0xdf,
	HEAD_NEGATIVE_FIX = 0xe0, /* to 0xff */
};

#endif
