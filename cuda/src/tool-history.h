// Tools and calls as text, for templates that know neither.
#pragma once

#include "failure.h"

#include <string>

namespace nrn {

/* The tags of our own convention, which is Hermes': a call is a JSON object between them. */
extern const char * const CALL_START;
extern const char * const CALL_END;

/* Whether a conversation holds calls or results of tools. */
bool has_tool_history(const json & messages);

/*
 * Makes every call of a conversation one that any template can render: type and id present,
 * arguments the text of a JSON object. What is no JSON object is kept as {"raw": text}, since it is
 * what the model wrote and a conversation must not end over it.
 */
void repair_calls(json & messages);

/* Replaces every id of a call by nine letters and digits made from it: some templates throw on any
 * other. */
void shorten_call_ids(json & messages);

/*
 * Renders calls and results as text turns: a call as <tool_call>…</tool_call> after the text of its
 * assistant turn, results as one user turn of <tool_response>…</tool_response> each, joined with
 * the user turn that follows.
 */
void render_history(json & messages);

/* Adds the description of the tools to the leading system message, which is made when there is
 * none. */
void describe_tools(json & messages, const json & tools);

/* Adds one more paragraph to the leading system message. */
void add_system_text(json & messages, const std::string & text);

} // namespace nrn
