#include "config.h"

#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/request.h"

/* MODULE: there are no modules. */

enum command_result
cmd_module_list(struct request *rq)
{
	resp_put_array(rq->reply, 0);
	return COMMAND_DONE;
}

enum command_result
cmd_module_refused(struct request *rq)
{
	request_error(rq, "ERR MODULE command not allowed: modules are not supported");
	return COMMAND_DONE;
}

enum command_result
cmd_module_help(struct request *rq)
{
	static const char loadex[] =
	    "    Load a module library from <path>, while passing it module configurations and "
	    "optional arguments.";
	static const char *const lines[] = {
	    "LIST",
	    "    Return a list of loaded modules.",
	    "LOAD <path> [<arg> ...]",
	    "    Load a module library from <path>, passing to it any optional arguments.",
	    "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
	    loadex,
	    "UNLOAD <name>",
	    "    Unload a module.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
