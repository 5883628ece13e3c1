#include "plain-text.h"

#include "failure.h"

namespace nrn {

/* A parser's parts in order, as far as a plain one has any. */
struct parts {
    std::string prefix;
    bool content = false;
    bool end = false;
    bool other = false;
};

static void flatten(const json & parsers, size_t id, parts & found, int depth) {
    if (depth > 32 || id >= parsers.size() || found.other) {
        found.other = true;
        return;
    }
    const json & parser = parsers.at(id);
    const std::string type = parser.at("type");
    if (type == "sequence") {
        for (const json & child : parser.at("children")) {
            flatten(parsers, child.get<size_t>(), found, depth + 1);
        }
    } else if (type == "literal" && !found.content) {
        found.prefix += parser.at("literal").get<std::string>();
    } else if (type == "tag" && !found.content &&
               parser.at("tag").get<std::string>() == "content") {
        const json & child = parsers.at(parser.at("child").get<size_t>());
        found.content =
            child.at("type").get<std::string>() == "until" && child.at("delimiters").empty();
        found.other = !found.content;
    } else if (type == "end" && found.content) {
        found.end = true;
    } else if (type != "epsilon") {
        found.other = true;
    }
}

bool is_plain_text(const common_chat_parser_params & params) {
    if (params.parser.empty()) {
        return params.generation_prompt.empty();
    }
    if (params.is_continuation || params.echo) {
        return false;
    }
    const json arena = params.parser.to_json();
    parts found;
    flatten(arena.at("parsers"), arena.at("root").get<size_t>(), found, 0);
    return !found.other && found.content && found.end && found.prefix == params.generation_prompt;
}

} // namespace nrn
