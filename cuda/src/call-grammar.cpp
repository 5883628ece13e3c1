#include "call-grammar.h"
#include "tool-history.h"

#include "chat-peg-parser.h"
#include "json-schema-to-grammar.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace nrn {

static bool has_text(const json & object, const char * key) {
    return object.contains(key) && object.at(key).is_string() &&
           !object.at(key).get<std::string>().empty();
}

// ---- our own convention ----

/* One call of one tool. Rules are numbered: names of tools that differ in punctuation alone would share a rule. */
static common_peg_parser call_of(
    common_chat_peg_builder & p, const json & function, const std::string & rule) {
    const std::string name = function.at("name");
    auto head = p.literal("{") + p.space() + p.literal("\"name\"") + p.space() + p.literal(":") +
                p.space() + p.literal("\"") + p.tool_name(p.literal(name)) + p.literal("\"");
    auto arguments = p.tool_args(
        p.schema(p.json(), rule + "-arguments", common_chat_tool_parameters(function)));
    return p.rule(rule,
        p.tool(p.tool_open(head) + p.space() + p.literal(",") + p.space() +
               p.literal("\"arguments\"") + p.space() + p.literal(":") + p.space() + arguments +
               p.space() + p.tool_close(p.literal("}"))));
}

static common_peg_parser calls_of(common_chat_peg_builder & p, const json & tools, bool many) {
    auto any_call = p.choice();
    size_t number = 0;
    for (const json & tool : tools) {
        any_call |= call_of(p, tool.at("function"), "call-" + std::to_string(number++));
    }
    auto wrapped = p.rule("wrapped-call", p.literal(CALL_START) + p.space() + any_call + p.space() +
                                              p.literal(CALL_END));
    return p.trigger_rule(
        "wrapped-calls", many ? wrapped + p.zero_or_more(p.space() + wrapped) : wrapped);
}

/* Reasoning comes first where the template has tags for it; its start may be part of the prompt already. */
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
    return p.optional(
        p.literal(start) + p.reasoning(p.until(end)) + p.literal(end) + p.space());
}

void set_own_grammar(
    json & params, const json & tools, const answer_shape & shape, bool extract_reasoning) {
    const std::string prompt =
        get_or<std::string>(params, "generation_prompt", "");
    const std::string start =
        extract_reasoning && has_text(params, "reasoning_budget_start_tag")
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
    params["grammar"] = build_grammar([&](const common_grammar_builder & builder) {
        parser.build_grammar(builder, shape.text);
    });
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

/* Rule names keep only letters, digits and dashes; tools whose rules would meet cannot be told apart. */
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

/* Looks at a saved parser; ids are of its nodes. */
class parser_survey {
  public:
    explicit parser_survey(const std::string & saved) { arena.load(saved); }

    common_peg_arena arena;
    std::set<common_peg_parser_id> emptied; /* free text that the grammar will not allow */
    std::set<std::string> dead;             /* rules that the grammar will not allow */

    std::vector<common_peg_parser_id> children_of(common_peg_parser_id id) const {
        return std::visit(
            [&](const auto & p) -> std::vector<common_peg_parser_id> {
                using T = std::decay_t<decltype(p)>;
                if constexpr (std::is_same_v<T, common_peg_sequence_parser> ||
                              std::is_same_v<T, common_peg_choice_parser>) {
                    return p.children;
                } else if constexpr (std::is_same_v<T, common_peg_ref_parser>) {
                    return { arena.get_rule(p.name) };
                } else if constexpr (std::is_same_v<T, common_peg_repetition_parser> ||
                                     std::is_same_v<T, common_peg_schema_parser> ||
                                     std::is_same_v<T, common_peg_rule_parser> ||
                                     std::is_same_v<T, common_peg_atomic_parser> ||
                                     std::is_same_v<T, common_peg_tag_parser> ||
                                     std::is_same_v<T, common_peg_gbnf_parser> ||
                                     std::is_same_v<T, common_peg_ac_parser>) {
                    return { p.child };
                } else {
                    return {}; /* lookahead is no part of a grammar */
                }
            },
            arena.get(id));
    }

    template <typename T> const T * as(common_peg_parser_id id) const {
        return std::get_if<T>(&arena.get(id));
    }

    std::string tag_of(common_peg_parser_id id) const {
        const auto * tag = as<common_peg_tag_parser>(id);
        return tag ? tag->tag : std::string();
    }

    /* Tags below which text is no content: calls and reasoning. */
    bool is_covered(common_peg_parser_id id) const {
        const std::string tag = tag_of(id);
        return tag.compare(0, 4, "tool") == 0 || tag.compare(0, 9, "reasoning") == 0;
    }

    /* Calls back once for each node below id; a false answer stays out of what is below it. */
    template <typename Visit>
    void walk(common_peg_parser_id id, const Visit & visit) const {
        std::set<common_peg_parser_id> seen;
        std::vector<common_peg_parser_id> open{ id };
        while (!open.empty()) {
            const auto next = open.back();
            open.pop_back();
            if (seen.insert(next).second && visit(next)) {
                for (const auto child : children_of(next)) {
                    open.push_back(child);
                }
            }
        }
    }

    bool finds(common_peg_parser_id id, const std::string & tag) const {
        bool found = false;
        walk(id, [&](common_peg_parser_id at) {
            found = found || tag_of(at) == tag;
            return !found;
        });
        return found;
    }

    /* Decides what the grammar must lose so that no content comes before the calls. */
    void plan_without_content() {
        std::set<common_peg_parser_id> covered;
        walk(arena.root(), [&](common_peg_parser_id at) {
            if (is_covered(at)) {
                walk(at, [&](common_peg_parser_id below) {
                    covered.insert(below);
                    return true;
                });
            }
            return true;
        });
        plan_below(arena.root(), "", covered);
    }

    /* What the answers of a node have in common. A dead node has no answer. */
    struct verdict {
        bool calls = false;  /* each holds a call */
        bool schema = false; /* each holds a value with a schema that is no call's */
        bool text = false;   /* some hold free text outside of calls and reasoning */
        bool dead = false;
        bool stuck = false; /* some begin well and meet a dead node then */
    };

    verdict verdict_of(common_peg_parser_id id) {
        const auto known = verdicts.find(id);
        if (known != verdicts.end()) {
            return known->second;
        }
        verdicts[id] = verdict(); /* a cycle adds nothing */
        return verdicts[id] = judge(id);
    }

    /* Repetitions of calls, by the rule that consists of one alone, or "" where there is no such rule. */
    std::set<std::string> repeated_calls() const {
        std::set<std::string> rules;
        std::set<common_peg_parser_id> named;
        const auto repeats = [&](common_peg_parser_id at) {
            const auto * repetition = as<common_peg_repetition_parser>(at);
            return repetition && repetition->max_count != 1 &&
                   finds(repetition->child, common_chat_peg_builder::TOOL_NAME);
        };
        walk(arena.root(), [&](common_peg_parser_id at) {
            const auto * rule = as<common_peg_rule_parser>(at);
            if (rule && repeats(rule->child)) {
                named.insert(rule->child);
                rules.insert(rule->name);
            }
            return !is_covered(at);
        });
        walk(arena.root(), [&](common_peg_parser_id at) {
            if (repeats(at) && named.count(at) == 0) {
                rules.insert("");
            }
            return !is_covered(at);
        });
        return rules;
    }

    /* Free text that is the id of a call. */
    std::set<common_peg_parser_id> free_ids() const {
        std::set<common_peg_parser_id> found;
        walk(arena.root(), [&](common_peg_parser_id at) {
            if (tag_of(at) == common_chat_peg_builder::TOOL_ID) {
                walk(at, [&](common_peg_parser_id below) {
                    if (as<common_peg_until_parser>(below)) {
                        found.insert(below);
                    }
                    return true;
                });
            }
            return true;
        });
        return found;
    }

    /* Classes that a call's head repeats without an end, such as the type of GPT-OSS's arguments. */
    std::set<std::string> endless_heads() const {
        std::set<std::string> found;
        walk(arena.root(), [&](common_peg_parser_id at) {
            if (tag_of(at) == common_chat_peg_builder::TOOL_OPEN) {
                walk(at, [&](common_peg_parser_id below) {
                    const auto * chars = as<common_peg_chars_parser>(below);
                    if (chars && chars->max_count < 0 && chars->min_count == 1) {
                        found.insert(chars->pattern);
                    }
                    return true;
                });
            }
            return true;
        });
        return found;
    }

    /* The shortest answer with a call that this parser should take. */
    std::string sample_of(common_peg_parser_id id, int depth = 0) {
        if (depth > 64) {
            return "";
        }
        if (const auto * literal = as<common_peg_literal_parser>(id)) {
            return literal->literal;
        }
        if (as<common_peg_schema_parser>(id)) {
            return "{}";
        }
        if (const auto * chars = as<common_peg_chars_parser>(id)) {
            const char one = chars->ranges.empty() || chars->negated ? 'x' : chars->ranges[0].start;
            return std::string(std::max(0, chars->min_count), one);
        }
        if (as<common_peg_any_parser>(id)) {
            return "x";
        }
        const auto children = children_of(id);
        if (as<common_peg_choice_parser>(id)) {
            for (const bool calling : { true, false }) {
                for (const auto child : children) {
                    const verdict below = verdict_of(child);
                    if (!below.dead && below.calls == calling) {
                        return sample_of(child, depth + 1);
                    }
                }
            }
            return "";
        }
        if (const auto * repetition = as<common_peg_repetition_parser>(id)) {
            return repetition->min_count > 0 ? sample_of(repetition->child, depth + 1) : "";
        }
        std::string text;
        for (const auto child : children) {
            text += sample_of(child, depth + 1);
        }
        return text;
    }

  private:
    std::unordered_map<common_peg_parser_id, verdict> verdicts;
    std::set<common_peg_parser_id> planned;

    void plan_below(common_peg_parser_id id, const std::string & rule,
        const std::set<common_peg_parser_id> & covered) {
        if (is_covered(id) || !planned.insert(id).second) {
            return;
        }
        if (tag_of(id) == common_chat_peg_builder::CONTENT) {
            const auto child = as<common_peg_tag_parser>(id)->child;
            if (as<common_peg_until_parser>(child) && covered.count(child) == 0) {
                emptied.insert(child);
            } else if (!rule.empty()) {
                dead.insert(rule);
            }
            return;
        }
        const auto * named = as<common_peg_rule_parser>(id);
        for (const auto child : children_of(id)) {
            plan_below(child, named ? named->name : rule, covered);
        }
    }

    verdict judge(common_peg_parser_id id) {
        verdict found;
        const auto * rule = as<common_peg_rule_parser>(id);
        if (rule && dead.count(rule->name) > 0) {
            found.dead = found.calls = found.schema = true;
            return found;
        }
        if (is_covered(id)) {
            found.calls = finds(id, common_chat_peg_builder::TOOL_NAME);
            return found;
        }
        if (as<common_peg_schema_parser>(id)) {
            found.schema = true;
            return found;
        }
        const auto * chars = as<common_peg_chars_parser>(id);
        if (as<common_peg_until_parser>(id) || as<common_peg_any_parser>(id) ||
            as<common_peg_string_parser>(id) || as<common_peg_ac_parser>(id) ||
            as<common_peg_gbnf_parser>(id) || (chars && chars->negated)) {
            found.text = emptied.count(id) == 0;
            return found;
        }
        return as<common_peg_choice_parser>(id) ? judge_choice(id) : judge_sequence(id);
    }

    verdict judge_choice(common_peg_parser_id id) {
        verdict found;
        found.dead = found.calls = found.schema = true;
        for (const auto child : children_of(id)) {
            const verdict below = verdict_of(child);
            found.dead = found.dead && below.dead;
            found.calls = found.calls && below.calls;
            found.schema = found.schema && below.schema;
            found.text = found.text || (below.text && !below.dead);
            found.stuck = found.stuck || below.stuck;
        }
        return found;
    }

    /* A sequence, and whatever has one child. */
    verdict judge_sequence(common_peg_parser_id id) {
        verdict found;
        bool first = true;
        for (const auto child : children_of(id)) {
            const verdict below = verdict_of(child);
            found.stuck = found.stuck || below.stuck || (below.dead && !first);
            found.dead = found.dead || below.dead;
            found.calls = found.calls || below.calls;
            found.schema = found.schema || below.schema;
            found.text = found.text || (below.text && !below.dead);
            first = false;
        }
        const auto * repetition = as<common_peg_repetition_parser>(id);
        if (repetition && repetition->min_count == 0) {
            found.dead = found.calls = found.schema = false;
        }
        return found;
    }
};

bool parses_calls(const json & params, const json & tools) {
    if (!has_text(params, "chat_parser") || rules_collide(tools)) {
        return false;
    }
    const parser_survey survey(params.at("chat_parser").get<std::string>());
    return survey.finds(survey.arena.root(), common_chat_peg_builder::TOOL_NAME);
}

/* True when each property is either no string at all or any string: what formats of tags can hold to. */
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
    const auto has_schema = [&](common_peg_parser_id id) {
        bool found = false;
        survey.walk(id, [&](common_peg_parser_id at) {
            found = found || survey.as<common_peg_schema_parser>(at);
            return !found;
        });
        return found;
    };
    survey.walk(survey.arena.root(), [&](common_peg_parser_id at) {
        const std::string tag = survey.tag_of(at);
        if (tag == common_chat_peg_builder::TOOL_ARGS) {
            any = true;
            if (!has_schema(at)) {
                whole = false;
            }
        } else if (tag == common_chat_peg_builder::TOOL_ARG_STRING_VALUE) {
            whole = false;
            any = true;
        } else if (tag == common_chat_peg_builder::TOOL_ARG_VALUE) {
            whole = false;
            any = true;
            tagged = tagged && has_schema(at);
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

/* A parser may take its own calls for text: it is asked with the shortest call that it describes. */
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
