// Whether an answer can be sent as it comes, without parsing it again at each token.
#pragma once

#include "chat.h"

namespace nrn {

/*
 * True when the parser of a chat takes everything after the generation prompt as content: no tools,
 * no reasoning, no wrapping. llama.cpp parses the whole answer again for every token, which is
 * quadratic; such an answer needs none of it.
 */
bool is_plain_text(const common_chat_parser_params & params);

} // namespace nrn
