#include "model.h"

#include <optional>

namespace nrn {

// ---- probes ----

static json message_of(const char * role, const char * content) {
    return json{ { "role", role }, { "content", content } };
}

/* Texts that no template contains, so that their places in a prompt can be told. */
static const char * SYSTEM_0 = "Zyxsystema";
static const char * SYSTEM_1 = "Zyxsystemb";
static const char * USER_0 = "Zyxusera";
static const char * USER_1 = "Zyxuserb";
static const char * USER_2 = "Zyxuserc";
static const char * ASSISTANT_0 = "Zyxanswera";
static const char * ASSISTANT_1 = "Zyxanswerb";
static const char * RESULT = "Zyxresulta";

static json system_message(const char * content) {
    return message_of("system", content);
}

static json user_message(const char * content) {
    return message_of("user", content);
}

static json assistant_message(const char * content) {
    return message_of("assistant", content);
}

struct prober {
    const common_chat_templates * templates;
    std::string tools; /* JSON text; "" for none */

    std::optional<std::string> render(const json & messages) const {
        try {
            common_chat_templates_inputs inputs;
            inputs.messages = common_chat_msgs_parse_oaicompat(messages);
            if (!tools.empty()) {
                inputs.tools = common_chat_tools_parse_oaicompat(json::parse(tools));
            }
            return common_chat_templates_apply(templates, inputs).prompt;
        } catch (const std::exception &) {
            return std::nullopt; /* the template refuses such a conversation: that is the answer */
        }
    }

    /* Whether all contents are in the prompt, in their order. */
    bool takes(const json & messages) const {
        const auto prompt = render(messages);
        if (!prompt) {
            return false;
        }
        size_t from = 0;
        for (const json & message : messages) {
            const std::string content = message.at("content");
            const size_t at = content.empty() ? from : prompt->find(content, from);
            if (at == std::string::npos) {
                return false;
            }
            from = at + content.size();
        }
        return true;
    }
};

static json call_message() {
    const json function = { { "name", "look" }, { "arguments", "{}" } };
    json calls = json::array();
    calls.push_back(
        json{ { "id", "abcdefghi" }, { "type", "function" }, { "function", function } });
    return json{ { "role", "assistant" }, { "content", "" }, { "tool_calls", calls } };
}

static json result_message() {
    json result = message_of("tool", RESULT);
    result["tool_call_id"] = "abcdefghi";
    result["name"] = "look";
    return result;
}

static const char * PROBE_TOOLS =
    R"([{"type":"function","function":{"name":"look","description":"Looks","parameters":)"
    R"({"type":"object","properties":{"at":{"type":"string"}}}}}])";

template_traits probe_template(const common_chat_templates * templates) {
    const prober plain{ templates, "" };
    const prober with_tools{ templates, PROBE_TOOLS };
    const json system_0 = system_message(SYSTEM_0), system_1 = system_message(SYSTEM_1);
    const json user_0 = user_message(USER_0), user_1 = user_message(USER_1),
               user_2 = user_message(USER_2);
    const json answer_0 = assistant_message(ASSISTANT_0), answer_1 = assistant_message(ASSISTANT_1);

    template_traits found;
    /* llama.cpp itself joins a leading system message with what follows where the template has no
     * such role. */
    const auto caps = common_chat_templates_get_caps(templates);
    const auto knows_system = caps.find("supports_system_role");
    found.system_first = (knows_system == caps.end() || knows_system->second) &&
                         plain.takes(json::array({ system_0, user_0 }));
    found.systems_first =
        found.system_first && plain.takes(json::array({ system_0, system_1, user_0 }));
    found.system_later =
        found.system_first &&
        plain.takes(json::array({ system_0, user_0, answer_0, system_1, user_1 })) &&
        plain.takes(json::array({ user_0, system_0 })) &&
        plain.takes(json::array({ user_0, system_0, answer_0, user_1, system_1 }));
    found.system_alone = found.system_first && plain.takes(json::array({ system_0 }));
    found.user_repeats = plain.takes(json::array({ user_0, user_1 })) &&
                         plain.takes(json::array({ user_0, answer_0, user_1, user_2 }));
    found.assistant_repeats = plain.takes(json::array({ user_0, answer_0, answer_1, user_1 }));
    found.assistant_first = plain.takes(json::array({ answer_0, user_0 }));
    found.user_after_tool =
        with_tools.takes(json::array({ user_0, call_message(), result_message(), user_1 }));
    return found;
}

json to_json(const template_traits & traits) {
    return json{
        { "system_first", traits.system_first },
        { "systems_first", traits.systems_first },
        { "system_later", traits.system_later },
        { "system_alone", traits.system_alone },
        { "user_repeats", traits.user_repeats },
        { "assistant_repeats", traits.assistant_repeats },
        { "assistant_first", traits.assistant_first },
        { "user_after_tool", traits.user_after_tool },
    };
}

// ---- messages ----

static bool has_role(const json & message, const char * role) {
    return message.at("role").get<std::string>() == role;
}

static bool has_calls(const json & message) {
    return message.contains("tool_calls") && message.at("tool_calls").is_array() &&
           !message.at("tool_calls").empty();
}

static bool is_text(const json & part) {
    return part.is_object() && part.contains("text") && part.at("text").is_string();
}

/* Parts that are all text become one string, which every template takes; absent content becomes an
 * empty one. */
static void flatten_content(json & message) {
    if (!message.contains("content") || message.at("content").is_null()) {
        message["content"] = "";
        return;
    }
    const json & content = message.at("content");
    if (!content.is_array()) {
        return;
    }
    std::string text;
    bool first = true;
    for (const json & part : content) {
        if (!is_text(part)) {
            return;
        }
        text += (first ? "" : "\n") + part.at("text").get<std::string>();
        first = false;
    }
    message["content"] = text;
}

static json text_part(const std::string & text) {
    return json{ { "type", "text" }, { "text", text } };
}

static void append_parts(json & parts, const json & content) {
    if (content.is_array()) {
        parts.insert(content);
    } else if (!content.get<std::string>().empty()) {
        parts.push_back(text_part(content.get<std::string>()));
    }
}

/* Adds a message's content to one that stands before it, and its calls. */
static void append_message(json & target, const json & message) {
    const json content = message.at("content");
    const json before = target.at("content");
    if (before.is_string() && content.is_string()) {
        const std::string first = before.get<std::string>(), second = content.get<std::string>();
        target["content"] = first + (first.empty() || second.empty() ? "" : "\n\n") + second;
    } else {
        json parts = json::array();
        append_parts(parts, before);
        append_parts(parts, content);
        target["content"] = parts;
    }
    if (has_calls(message)) {
        json calls = has_calls(target) ? json(target.at("tool_calls")) : json::array();
        calls.insert(message.at("tool_calls"));
        target["tool_calls"] = calls;
    }
}

/* What is said as the system, said by the user. */
static json as_user(const json & message, bool wrapped) {
    json turned = { { "role", "user" }, { "content", message.at("content") } };
    if (!wrapped) {
        return turned;
    }
    if (message.at("content").is_string()) {
        turned["content"] = "<system>\n" + message.at("content").get<std::string>() + "\n</system>";
        return turned;
    }
    json parts = json::array();
    parts.push_back(text_part("<system>"));
    parts.insert(message.at("content"));
    parts.push_back(text_part("</system>"));
    turned["content"] = parts;
    return turned;
}

/* The conversation as it is put together, message by message. */
struct arrangement {
    const template_traits & traits;
    json messages = json::array();
    bool only_systems = true; /* so far */
    bool open_lead =
        false; /* the last message was a leading system message; the user's next one joins it */

    json & last() { return messages.back(); }
    bool follows(const char * role) { return !messages.empty() && has_role(last(), role); }

    void add_system(json message) {
        message["role"] = "system";
        if (only_systems && traits.system_first) {
            if (!messages.empty() && !traits.systems_first) {
                append_message(last(), message);
            } else {
                messages.push_back(message);
            }
        } else if (!only_systems && traits.system_later) {
            messages.push_back(message);
        } else {
            const bool leading = messages.empty() || open_lead;
            add_user(as_user(message, !leading));
            open_lead = leading;
        }
    }

    void add_user(const json & message) {
        if (follows("user") && (open_lead || !traits.user_repeats)) {
            append_message(last(), message);
        } else if (follows("tool") && !traits.user_after_tool) {
            append_message(last(), message);
        } else {
            messages.push_back(message);
        }
        only_systems = false;
        open_lead = false;
    }

    void add_assistant(const json & message) {
        if (only_systems && !traits.assistant_first) {
            messages.push_back(message_of("user", ""));
        }
        if (follows("assistant") && !traits.assistant_repeats) {
            append_message(last(), message);
        } else {
            messages.push_back(message);
        }
        only_systems = false;
        open_lead = false;
    }

    void add(json message) {
        flatten_content(message);
        if (has_role(message, "system") || has_role(message, "developer")) {
            add_system(std::move(message));
        } else if (has_role(message, "user")) {
            add_user(message);
        } else if (has_role(message, "assistant")) {
            add_assistant(message);
        } else {
            message["role"] = "tool"; /* or "function", its name of old */
            messages.push_back(message);
            only_systems = false;
            open_lead = false;
        }
    }

    void finish() {
        if (only_systems && !traits.system_alone && !messages.empty()) {
            last()["role"] = "user";
        }
    }
};

void arrange_messages(json & messages, const template_traits & traits) {
    arrangement arranged{ traits };
    for (const json & message : messages) {
        arranged.add(message);
    }
    arranged.finish();
    messages = arranged.messages;
}

// ---- continuation ----

static bool says_nothing(const json & message) {
    const bool thinks = message.contains("reasoning_content") &&
                        message.at("reasoning_content").is_string() &&
                        !message.at("reasoning_content").get<std::string>().empty();
    const json & content = message.at("content");
    return !thinks && (content.is_string() ? content.get<std::string>().empty() : content.empty());
}

static bool has_user(const json & messages) {
    for (const json & message : messages) {
        if (has_role(message, "user")) {
            return true;
        }
    }
    return false;
}

void settle_continuation(json & body) {
    json & messages = body["messages"];
    const bool given = body.contains("continue_final_message");
    const bool prompted = get_or<bool>(body, "add_generation_prompt", false);
    bool continued = get_or<bool>(body, "continue_final_message", !prompted);
    const bool last_is_assistant = !messages.empty() && has_role(messages.back(), "assistant");
    if (given && continued && (prompted || !last_is_assistant)) {
        throw failure(NRN_E_ARGUMENT,
            prompted
                ? "'continue_final_message' and 'add_generation_prompt' cannot both be true"
                : "'continue_final_message' is true, but the last message is not the assistant's");
    }
    body.erase("continue_final_message");
    if (!last_is_assistant || has_calls(messages.back())) {
        return; /* a call is complete; an answer follows it */
    }
    if (continued && says_nothing(messages.back())) {
        messages.erase(messages.size() - 1);
        continued = false;
    }
    if (continued && !has_user(messages)) {
        /* The template renders what stands before the answer, and few take that without a user. */
        json with_user = json::array();
        for (size_t i = 0; i + 1 < messages.size(); i++) {
            with_user.push_back(messages.at(i));
        }
        with_user.push_back(message_of("user", ""));
        with_user.push_back(messages.back());
        messages = with_user;
    }
    if (continued) {
        body["continue_final_message"] = true;
        body["add_generation_prompt"] = false;
    }
}

json render_chat(const model & owner, json & body, std::vector<raw_buffer> & files) {
    if (!body.contains("messages") || !body.at("messages").is_array()) {
        throw failure(NRN_E_ARGUMENT, "'messages' must be an array");
    }
    for (const json & message : body.at("messages")) {
        if (!message.is_object() || !message.contains("role") || !message.at("role").is_string()) {
            throw failure(NRN_E_ARGUMENT, "Each of 'messages' must be an object with a role");
        }
    }
    arrange_messages(body["messages"], owner.traits);
    settle_continuation(body);
    return oaicompat_chat_params_parse(body, owner.meta->chat_params, files);
}

} // namespace nrn
