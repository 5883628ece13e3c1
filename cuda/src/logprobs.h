// Probabilities of an answer's tokens, in OpenAI's two shapes.
#pragma once

#include "model.h"

namespace nrn {

/* One token as the engine sampled it, with the `top` most probable ones. */
token_probability probability_of(
    const model & owner, const completion_token_output & token, size_t top);

/* {"content":[…],"refusal":null}: chat's shape, with the bytes of each token. */
std::string chat_logprobs(const std::vector<token_probability> & tokens);

/* {"tokens","token_logprobs","top_logprobs","text_offset"}: completions' shape; moves the offset
 * on, in characters. */
std::string completion_logprobs(
    const std::vector<token_probability> & tokens, size_t top, size_t & text_offset);

} // namespace nrn
