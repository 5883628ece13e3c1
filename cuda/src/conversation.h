// Conversations in a shape that a model's chat template takes.
#pragma once

#include "failure.h"

#include "chat.h"
#include "server-common.h"

namespace nrn {

struct model;

/*
 * Which shapes of a conversation a template renders whole and in order. Found out once per model by
 * rendering probes: templates drop, hoist or throw on what their author did not think of.
 */
struct template_traits {
    bool system_first = true;      /* a system message before everything else */
    bool systems_first = true;     /* several of them */
    bool system_later = true;      /* one anywhere else, where it stands */
    bool system_alone = true;      /* a conversation without any user */
    bool user_repeats = true;      /* two user messages in a row */
    bool assistant_repeats = true; /* two assistant messages in a row */
    bool assistant_first = true;   /* an assistant message before any user's */
    bool user_after_tool = true;   /* a user message right after a tool's result */
};

/* Never throws: what does not render is a trait that is false. */
template_traits probe_template(const common_chat_templates * templates);

json to_json(const template_traits & traits);

/*
 * Brings messages into a shape that the template takes, changing nothing where it takes them as
 * they are. A system message that cannot stay where it is becomes text of the user at the same
 * place, within <system> tags: moving it to the front would change the prompt's prefix, and with it
 * every cache, at each turn.
 */
void arrange_messages(json & messages, const template_traits & traits);

/*
 * llama.cpp's oaicompat_chat_params_parse for a conversation of any shape: what the model's
 * template does not take is arranged first, and a last message of the assistant is continued.
 * Changes the body.
 */
json render_chat(const model & owner, json & body, std::vector<raw_buffer> & files);

/*
 * Settles whether the answer continues the last message. It does when that is the assistant's and
 * the client does not say otherwise; `continue_final_message` and `add_generation_prompt` mean what
 * they mean in vLLM.
 */
void settle_continuation(json & body);

} // namespace nrn
