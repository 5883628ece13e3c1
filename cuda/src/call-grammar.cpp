#include "call-grammar.h"
#include "parser-survey.h"
#include "tool-history.h"

#include "chat-peg-parser.h"
#include "json-schema-to-grammar.h"

#include <algorithm>
#include <set>

namespace nrn {

static bool has_text(const json & object, const char * key) {
    return object.contains(key) && object.at(key).is_string() &&
           !object.at(key).get<std::string>().empty();
}

// ---- our own convention ----

/* One call of one tool. Rules are numbered: names of tools that differ in punctuation alone would
 * share a rule. */
static common_peg_parser call_of(
    common_chat_peg_builder & p, const json & function, const std::string & rule) {
    const std::string name = function.at("name");
    auto head = p.literal("{") + p.space() + p.literal("\"name\"") + p.space() + p.literal(":") +
                p.space() + p.literal("\"") + p.tool_name(p.literal(name)) + p.literal("\"");
    auto arguments =
        p.tool_args(p.schema(p.json(), rule + "-arguments", common_chat_tool_parameters(function)));
    return p.rule(rule, p.tool(p.tool_open(head) + p.space() + p.literal(",") + p.space() +
                               p.literal("\"arguments\"") + p.space() + p.literal(":") + p.space() +
                               arguments + p.space() + p.tool_close(p.literal("}"))));
}

static common_peg_parser calls_of(common_chat_peg_builder & p, const json & tools, bool many) {
    auto any_call = p.choice();
    size_t number = 0;
    for (const json & tool : tools) {
        any_call |= call_of(p, tool.at("function"), "call-" + std::to_string(number++));
    }
    auto wrapped = p.rule("wrapped-call",
        p.literal(CALL_START) + p.space() + any_call + p.space() + p.literal(CALL_END));
    return p.trigger_rule(
        "wrapped-calls", many ? wrapped + p.zero_or_more(p.space() + wrapped) : wrapped);
}

/* Reasoning comes first where the template has tags for it; its start may be part of the prompt
 * already. */
static common_peg_parser reasoning_of(common_chat_peg_builder & p, const json & params) {
    if (!has_text(params, "reasoning_budget_start_tag") ||
        !params.contains("reasoning_budget_end_tags") ||
        params.at("reasoning_budget_end_tags").empty()) {
        return p.eps();
    }
    const std::string start = params.at("reasoning_budget_start_tag");
    const auto ends = params.at("reasoning_budget_end_tags").get<std::vector<std::string>>();
    /* Qwen3.5 may end its reasoning by a call; ours must come after the reasoning. */
    std::string end;
    for (const std::string & one : ends) {
        const size_t first = one.find_first_not_of(" \n");
        if (first != std::string::npos && one != CALL_START) {
            end = one.substr(first);
            break;
        }
    }
    if (end.empty()) {
        return p.eps();
    }
    return p.optional(p.literal(start) + p.reasoning(p.until(end)) + p.literal(end) + p.space());
}

void set_own_grammar(
    json & params, const json & tools, const answer_shape & shape, bool extract_reasoning) {
    const std::string prompt = get_or<std::string>(params, "generation_prompt", "");
    const std::string start = extract_reasoning && has_text(params, "reasoning_budget_start_tag")
                                  ? params.at("reasoning_budget_start_tag").get<std::string>()
                                  : std::string();
    const common_peg_arena parser = build_chat_peg_parser([&](common_chat_peg_builder & p) {
        auto begin = p.prefix(prompt, start) +
                     (extract_reasoning ? reasoning_of(p, params) : p.eps()) + p.space();
        auto calls = shape.calls ? calls_of(p, tools, shape.many_calls) : p.eps();
        if (shape.schema.is_object()) {
            auto value = p.content(p.schema(p.json(), "answer", shape.schema));
            return begin + (shape.calls ? p.choice({ calls, value }) : value) + p.space() + p.end();
        }
        if (shape.text) {
            /* Line ends before a call are part of neither. */
            const std::string tag = CALL_START;
            return begin + p.content(p.until_one_of({ tag, "\n" + tag, "\n\n" + tag })) +
                   p.optional(p.space() + calls) + p.space() + p.end();
        }
        return begin + calls + p.space() + p.end();
    });
    params["chat_format"] = (int)COMMON_CHAT_FORMAT_PEG_NATIVE;
    params["chat_parser"] = parser.save();
    params["parse_tool_calls"] = true;
    params["grammar"] = build_grammar(
        [&](const common_grammar_builder & builder) { parser.build_grammar(builder, shape.text); });
    params["grammar_type"] = "tool_calls";
    params["grammar_lazy"] = shape.text;
    params["grammar_triggers"] = json::array();
    if (shape.text) {
        params["grammar_triggers"].push_back(
            json{ { "type", (int)COMMON_GRAMMAR_TRIGGER_TYPE_WORD }, { "value", CALL_START } });
    }
    json preserved = params.contains("preserved_tokens") && params.at("preserved_tokens").is_array()
                         ? params.at("preserved_tokens")
                         : json::array();
    preserved.push_back(CALL_START);
    preserved.push_back(CALL_END);
    params["preserved_tokens"] = preserved;
}

// ---- a template's own convention ----

/* Rule names keep only letters, digits and dashes; tools whose rules would meet cannot be told
 * apart. */
static bool rules_collide(const json & tools) {
    std::set<std::string> names;
    for (const json & tool : tools) {
        std::string name = tool.at("function").at("name");
        for (char & c : name) {
            c = isalnum((unsigned char)c) ? c : '-';
        }
        if (!names.insert(name).second) {
            return true;
        }
    }
    for (const std::string & name : names) {
        const auto next = names.lower_bound(name + "-schema");
        if (next != names.end() && next->compare(0, name.size() + 7, name + "-schema") == 0) {
            return true;
        }
        const auto argument = names.lower_bound(name + "-arg");
        if (argument != names.end() && argument->compare(0, name.size() + 4, name + "-arg") == 0) {
            return true;
        }
    }
    return false;
}

bool parses_calls(const json & params, const json & tools) {
    if (!has_text(params, "chat_parser") || rules_collide(tools)) {
        return false;
    }
    const parser_survey survey(params.at("chat_parser").get<std::string>());
    return survey.finds(survey.arena.root(), common_chat_peg_builder::TOOL_NAME);
}

/* True when each property is either no string at all or any string: what formats of tags can hold
 * to. */
static bool has_plain_arguments(const json & tools) {
    static const std::set<std::string> NOTES = { "type", "description", "title", "default",
        "examples" };
    for (const json & tool : tools) {
        const json schema = common_chat_tool_parameters(tool.at("function"));
        for (const char * key : { "$ref", "anyOf", "oneOf", "allOf", "enum", "const" }) {
            if (schema.contains(key)) {
                return false;
            }
        }
        if (!schema.contains("properties") || !schema.at("properties").is_object()) {
            continue;
        }
        for (const auto & [name, property] : schema.at("properties").items()) {
            if (!property.is_object() || !has_text(property, "type")) {
                return false;
            }
            const bool text = property.at("type").get<std::string>() == "string";
            for (const auto & [key, value] : property.items()) {
                (void)value;
                if (key == "$ref" || key == "anyOf" || key == "oneOf" ||
                    (text && NOTES.count(key) == 0)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Whether the parser's arguments are held to the tools' schemas. */
static bool holds_to_schemas(const parser_survey & survey, const json & tools) {
    bool whole = true;  /* all arguments come as one JSON value with a schema */
    bool tagged = true; /* each argument is a string or a JSON value with a schema */
    bool any = false;
    survey.walk(survey.arena.root(), [&](common_peg_parser_id at) {
        const std::string tag = survey.tag_of(at);
        if (tag == common_chat_peg_builder::TOOL_ARGS) {
            any = true;
            if (!survey.has_schema(at)) {
                whole = false;
            }
        } else if (tag == common_chat_peg_builder::TOOL_ARG_STRING_VALUE) {
            whole = false;
            any = true;
        } else if (tag == common_chat_peg_builder::TOOL_ARG_VALUE) {
            whole = false;
            any = true;
            tagged = tagged && survey.has_schema(at);
        } else if (tag.compare(0, 9, "tool-arg-") == 0 &&
                   tag != common_chat_peg_builder::TOOL_ARG_OPEN &&
                   tag != common_chat_peg_builder::TOOL_ARG_CLOSE &&
                   tag != common_chat_peg_builder::TOOL_ARG_NAME) {
            whole = tagged = false; /* containers of a format with its own mapper */
        }
        return true;
    });
    const bool separate = survey.finds(survey.arena.root(), common_chat_peg_builder::TOOL_ARG);
    if (!separate) {
        return any && whole;
    }
    return tagged && has_plain_arguments(tools);
}

/* Where the right side of a rule is: from and length; npos when the grammar has no such rule. */
static std::pair<size_t, size_t> find_rule(const std::string & grammar, const std::string & name) {
    const std::string head = name + " ::= ";
    const bool first = grammar.compare(0, head.size(), head) == 0;
    const size_t at = first ? 0 : grammar.find("\n" + head);
    if (at == std::string::npos) {
        return { at, 0 };
    }
    const size_t from = at + head.size() + (first ? 0 : 1);
    return { from, std::min(grammar.find('\n', from), grammar.size()) - from };
}

static std::string rule_of(const std::string & grammar, const std::string & name) {
    const auto [from, length] = find_rule(grammar, name);
    return from == std::string::npos ? "" : grammar.substr(from, length);
}

static bool replace_rule(std::string & grammar, const std::string & name, const std::string & by) {
    const auto [from, length] = find_rule(grammar, name);
    if (from == std::string::npos) {
        return false;
    }
    grammar.replace(from, length, by);
    return true;
}

static void replace_all(std::string & text, const std::string & what, const std::string & by) {
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
        text.replace(at, what.size(), by);
    }
}

bool limit_to_one_call(json & params) {
    if (!has_text(params, "chat_parser") || !has_text(params, "grammar")) {
        return true;
    }
    const parser_survey survey(params.at("chat_parser").get<std::string>());
    std::string grammar = params.at("grammar");
    for (const std::string & rule : survey.repeated_calls()) {
        const std::string body = rule.empty() ? "" : rule_of(grammar, rule);
        if (body.empty() || (body.back() != '+' && body.back() != '*')) {
            return false;
        }
        const std::string once = body.substr(0, body.size() - 1);
        replace_rule(grammar, rule, body.back() == '+' ? once : once + "?");
    }
    params["grammar"] = grammar;
    return true;
}

/* A parser may take its own calls for text: it is asked with the shortest call that it describes.
 */
static bool parses_its_calls(parser_survey & survey, const json & params, const json & tools) {
    common_chat_parser_params parser;
    parser.format = (common_chat_format)get_or<int>(params, "chat_format", 0);
    parser.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    common_chat_msg message;
    try {
        message = common_chat_peg_parse(
            survey.arena, survey.sample_of(survey.arena.root()), false, parser);
    } catch (const std::exception &) {
        return false; /* the answer to the question */
    }
    if (message.tool_calls.empty() ||
        message.content.find_first_not_of(" \t\r\n") != std::string::npos) {
        return false;
    }
    for (const json & tool : tools) {
        if (tool.at("function").at("name").get<std::string>() == message.tool_calls[0].name) {
            return true;
        }
    }
    return false;
}

bool force_native_calls(json & params, const json & tools) {
    if (!has_text(params, "chat_parser") || !has_text(params, "grammar") || rules_collide(tools)) {
        return false;
    }
    parser_survey survey(params.at("chat_parser").get<std::string>());
    if (!holds_to_schemas(survey, tools)) {
        return false;
    }
    survey.plan_without_content();
    const auto found = survey.verdict_of(survey.arena.root());
    if (found.dead || found.stuck || found.text || !found.calls ||
        !parses_its_calls(survey, params, tools)) {
        return false;
    }
    std::string grammar = params.at("grammar");
    for (const auto id : survey.emptied) {
        if (!replace_rule(grammar, "until-" + std::to_string(id), "\"\"")) {
            return false;
        }
    }
    for (const std::string & name : survey.dead) {
        /* A class of no character at all. */
        if (!replace_rule(grammar, name, "[^\\x00-\\U0010FFFF]")) {
            return false;
        }
    }
    for (const auto id : survey.free_ids()) {
        replace_rule(grammar, "until-" + std::to_string(id), "[a-zA-Z0-9_.:-]{1,64}");
    }
    for (const std::string & pattern : survey.endless_heads()) {
        replace_all(grammar, pattern + "+", pattern + "{1,16}");
    }
    params["grammar"] = grammar;
    params["grammar_lazy"] = false;
    params["grammar_triggers"] = json::array();
    return true;
}

bool holds_to_schema(const json & params) {
    if (!has_text(params, "chat_parser") || !has_text(params, "grammar") ||
        get_or<bool>(params, "grammar_lazy", false)) {
        return false;
    }
    parser_survey survey(params.at("chat_parser").get<std::string>());
    const auto found = survey.verdict_of(survey.arena.root());
    return found.schema && !found.text;
}

} // namespace nrn
