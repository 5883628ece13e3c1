// ggml's RPC protocol, both ends.
#pragma once

#include "failure.h"

namespace nrn {

/* Blocks; throws when the server cannot start or ends. */
void serve_rpc(const json & options);

/* Adds another host's devices to this process's list. */
void add_rpc_server(const std::string & endpoint);

} // namespace nrn
