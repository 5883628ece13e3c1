#include "tool-history.h"

#include <cstdint>

namespace nrn {

const char * const CALL_START = "<tool_call>";
const char * const CALL_END = "</tool_call>";

static bool is_role(const json & message, const char * role) {
    return message.contains("role") && message.at("role").is_string() &&
           message.at("role").get<std::string>() == role;
}

static bool is_result(const json & message) {
    return is_role(message, "tool") || is_role(message, "function");
}

static bool has_calls(const json & message) {
    return message.contains("tool_calls") && message.at("tool_calls").is_array() &&
           !message.at("tool_calls").empty();
}

bool has_tool_history(const json & messages) {
    if (!messages.is_array()) {
        return false;
    }
    for (const json & message : messages) {
        if (message.is_object() && (is_result(message) || message.contains("tool_calls"))) {
            return true;
        }
    }
    return false;
}

static std::string object_text(const json & arguments) {
    if (arguments.is_object()) {
        return arguments.dump_safe();
    }
    const std::string text =
        arguments.is_string() ? arguments.get<std::string>() : arguments.dump_safe();
    if (text.find_first_not_of(" \t\r\n") == std::string::npos || arguments.is_null()) {
        return "{}";
    }
    const json parsed = json::parse_no_throw(text);
    return !parsed.is_discarded() && parsed.is_object() ? text
                                                        : json{ { "raw", text } }.dump_safe();
}

void repair_calls(json & messages) {
    size_t count = 0;
    for (auto & message : messages) {
        if (!message.is_object() || !message.contains("tool_calls")) {
            continue;
        }
        if (!has_calls(message)) {
            message.erase("tool_calls");
            if (!message.contains("content")) {
                message["content"] = "";
            }
            continue;
        }
        for (auto & call : message["tool_calls"]) {
            if (!call.is_object() || !call.contains("function") ||
                !call.at("function").is_object() || !call.at("function").contains("name")) {
                throw failure(NRN_E_ARGUMENT, "A tool call of the conversation has no name");
            }
            call["type"] = "function";
            if (!call.contains("id") || !call.at("id").is_string()) {
                call["id"] = "call_" + std::to_string(count);
            }
            json & function = call["function"];
            function["arguments"] =
                object_text(function.contains("arguments") ? function.at("arguments") : json());
            count++;
        }
    }
}

/* FNV-1a, written in base 36: the same id gives the same nine characters in the call and in its
 * result. */
static std::string nine_characters(const std::string & id) {
    if (id.size() == 9 &&
        id.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") ==
            std::string::npos) {
        return id;
    }
    uint64_t hash = 14695981039346656037ULL;
    for (const unsigned char c : id) {
        hash = (hash ^ c) * 1099511628211ULL;
    }
    std::string text;
    for (int i = 0; i < 9; i++) {
        text += "0123456789abcdefghijklmnopqrstuvwxyz"[hash % 36];
        hash /= 36;
    }
    return text;
}

void shorten_call_ids(json & messages) {
    for (auto & message : messages) {
        if (message.contains("tool_call_id") && message.at("tool_call_id").is_string()) {
            message["tool_call_id"] =
                nine_characters(message.at("tool_call_id").get<std::string>());
        }
        if (has_calls(message)) {
            for (auto & call : message["tool_calls"]) {
                call["id"] = nine_characters(call.at("id").get<std::string>());
            }
        }
    }
}

/* Text of a content; of parts, those that are text. */
static std::string text_of(const json & message) {
    if (!message.contains("content")) {
        return "";
    }
    const json & content = message.at("content");
    if (content.is_string()) {
        return content.get<std::string>();
    }
    std::string text;
    if (content.is_array()) {
        for (const json & part : content) {
            if (part.is_object() && part.contains("text") && part.at("text").is_string()) {
                text += (text.empty() ? "" : "\n") + part.at("text").get<std::string>();
            }
        }
    }
    return text;
}

/* Parts of a content that are no text: images and sound stay what they are. */
static void take_media(const json & message, json & parts) {
    if (!message.contains("content") || !message.at("content").is_array()) {
        return;
    }
    for (const json & part : message.at("content")) {
        if (!part.is_object() || !part.contains("text")) {
            parts.push_back(part);
        }
    }
}

static json render_call_turn(const json & message) {
    std::string text = text_of(message);
    for (const json & call : message.at("tool_calls")) {
        const json & function = call.at("function");
        text += text.empty() ? "" : "\n";
        text += std::string(CALL_START) + "\n{\"name\": ";
        append_json_string(text, function.at("name").get<std::string>());
        text +=
            ", \"arguments\": " + function.at("arguments").get<std::string>() + "}\n" + CALL_END;
    }
    json turn = message;
    turn.erase("tool_calls");
    turn["content"] = text;
    return turn;
}

void render_history(json & messages) {
    json rendered = json::array();
    std::string results;
    json media = json::array();
    const auto flush = [&](const std::string & following) {
        const std::string text =
            results + (results.empty() || following.empty() ? "" : "\n") + following;
        results.clear();
        if (media.empty()) {
            rendered.push_back(json{ { "role", "user" }, { "content", text } });
            return;
        }
        json parts = json::array();
        parts.push_back(json{ { "type", "text" }, { "text", text } });
        parts.insert(media);
        media = json::array();
        rendered.push_back(json{ { "role", "user" }, { "content", parts } });
    };
    for (const json & message : messages) {
        if (is_result(message)) {
            results += (results.empty() ? "" : "\n") + std::string("<tool_response>\n") +
                       text_of(message) + "\n</tool_response>";
            take_media(message, media);
        } else if (is_role(message, "user") && !results.empty()) {
            take_media(message, media);
            flush(text_of(message));
        } else {
            if (!results.empty()) {
                flush("");
            }
            rendered.push_back(has_calls(message) ? render_call_turn(message) : message);
        }
    }
    if (!results.empty()) {
        flush("");
    }
    messages = rendered;
}

void add_system_text(json & messages, const std::string & text) {
    if (!messages.empty() &&
        (is_role(messages.front(), "system") || is_role(messages.front(), "developer"))) {
        json & first = messages.front();
        const std::string own = text_of(first);
        first["content"] = own.empty() ? text : own + "\n\n" + text;
        return;
    }
    json extended = json::array();
    extended.push_back(json{ { "role", "system" }, { "content", text } });
    extended.insert(messages);
    messages = extended;
}

void describe_tools(json & messages, const json & tools) {
    std::string text =
        "# Tools\n\nYou can call functions to help with the request. Each line within "
        "<tools></tools> describes one of them:\n<tools>\n";
    for (const json & tool : tools) {
        text += tool.dump_safe() + "\n";
    }
    text += "</tools>\n\nTo call a function, write a JSON object with its name and its arguments "
            "within "
            "<tool_call></tool_call>:\n<tool_call>\n{\"name\": \"the function's name\", "
            "\"arguments\": {}}\n"
            "</tool_call>\n\nThe result comes back within <tool_response></tool_response>.";
    add_system_text(messages, text);
}

} // namespace nrn
