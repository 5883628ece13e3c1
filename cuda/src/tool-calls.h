// Chat and completion bodies as the engine takes them, with calls and structure enforced.
#pragma once

#include "model.h"

#include "server-common.h"

namespace nrn {

/* Member of the parameters of an answer that is nothing but calls. */
constexpr const char * CALLS_ONLY = "nrn_calls_only";

/*
 * What llama.cpp's oaicompat_chat_params_parse does, and beyond it: a required or named tool is
 * enforced from the first token after the reasoning, tools and their history work with templates
 * that know neither, and a tool call or a JSON answer can be asked for together. May change the
 * body. Throws failure or what llama.cpp throws.
 */
json chat_params(const model & owner, json & body, std::vector<raw_buffer> & files);

/* The same for /v1/completions: llama.cpp reads no response_format there. */
json completion_params(json & body);

/* Makes a call's id ours and unique, unless its form means something to the model's template. */
std::string call_id(choice & answer, size_t index, const std::string & given);

} // namespace nrn
