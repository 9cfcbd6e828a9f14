#include "config.h"

#include "kv/keyspace.h"

/* The types of values, one row each; of strings nothing but the name is asked. */
const struct kv_type_ops kv_types[KV_TYPES] = {
    [KV_STRING] = {.name = "string"},
};
