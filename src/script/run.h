#ifndef SCRIPT_RUN_H
#define SCRIPT_RUN_H

#include "script/state.h"

/* Run: executes the script of engine->run. */

/* Memory of a reply that is kept for the next one. */
#define SCRIPT_KEEP_BYTES 65536

#define SCRIPT_MEMORY_ERROR "OOM the script needs more memory than script-maxmemory allows"

/* False: the system has no memory for its stack. */
bool script_run_prepare(struct script_engine *engine) __attribute__((warn_unused_result));

/*
 * Runs it: the reply is put into rq->reply, or comes later from a job, which begins when the script
 * is suspended. The members of engine->run that describe the script and its request are set.
 */
void script_run_start(struct script_engine *engine, struct request *rq);

/* See struct scripts_ops. */
void script_settle(struct scripts *scripts);

/* Makes this error the reply, and counts it. */
void script_put_error(struct script_engine *engine, struct slice text);

#endif
