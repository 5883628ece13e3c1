#include "parser-survey.h"

#include <algorithm>

namespace nrn {

std::vector<common_peg_parser_id> parser_survey::children_of(common_peg_parser_id id) const {
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

std::string parser_survey::tag_of(common_peg_parser_id id) const {
    const auto * tag = as<common_peg_tag_parser>(id);
    return tag ? tag->tag : std::string();
}

bool parser_survey::is_covered(common_peg_parser_id id) const {
    const std::string tag = tag_of(id);
    return tag.compare(0, 4, "tool") == 0 || tag.compare(0, 9, "reasoning") == 0;
}

bool parser_survey::finds(common_peg_parser_id id, const std::string & tag) const {
    bool found = false;
    walk(id, [&](common_peg_parser_id at) {
        found = found || tag_of(at) == tag;
        return !found;
    });
    return found;
}

bool parser_survey::has_schema(common_peg_parser_id id) const {
    bool found = false;
    walk(id, [&](common_peg_parser_id at) {
        found = found || as<common_peg_schema_parser>(at);
        return !found;
    });
    return found;
}

void parser_survey::plan_without_content() {
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

void parser_survey::plan_below(common_peg_parser_id id, const std::string & rule,
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

parser_survey::verdict parser_survey::verdict_of(common_peg_parser_id id) {
    const auto known = verdicts.find(id);
    if (known != verdicts.end()) {
        return known->second;
    }
    verdicts[id] = verdict(); /* a cycle adds nothing */
    return verdicts[id] = judge(id);
}

parser_survey::verdict parser_survey::judge(common_peg_parser_id id) {
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

parser_survey::verdict parser_survey::judge_choice(common_peg_parser_id id) {
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
parser_survey::verdict parser_survey::judge_sequence(common_peg_parser_id id) {
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

std::set<std::string> parser_survey::repeated_calls() const {
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

std::set<common_peg_parser_id> parser_survey::free_ids() const {
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

std::set<std::string> parser_survey::endless_heads() const {
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

std::string parser_survey::sample_of(common_peg_parser_id id, int depth) {
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

} // namespace nrn
