// Grammars and parsers of calls: our own convention, and what it takes to force a template's.
#pragma once

#include "failure.h"

#include <string>

namespace nrn {

/* What an answer in our own convention may be; at least one of the three is wanted. */
struct answer_shape {
    bool text = false; /* free text, before calls or without them */
    bool calls = false;
    bool many_calls = false;
    json schema; /* of an answer that is JSON; an object, or null for none */
};

/*
 * Puts the parser and the grammar of our own convention into parameters made by
 * oaicompat_chat_params_parse: <tool_call>{"name": …, "arguments": …}</tool_call>, after the
 * reasoning where the template has one. With text the grammar waits for the tag.
 */
void set_own_grammar(
    json & params, const json & tools, const answer_shape & shape, bool extract_reasoning);

/* Whether a template's parser, as oaicompat_chat_params_parse made it for these tools, finds calls.
 */
bool parses_calls(const json & params, const json & tools);

/*
 * Makes the grammar of a template's required calls allow nothing before the first call but
 * reasoning. False when that cannot be: where text is part of the format, or where the format does
 * not hold the arguments to their schema.
 */
bool force_native_calls(json & params, const json & tools);

/* Makes the grammar of a template's calls allow one call at most; false when it cannot. */
bool limit_to_one_call(json & params);

/* Whether every answer that the grammar allows is JSON of the schema, after the reasoning. */
bool holds_to_schema(const json & params);

} // namespace nrn
