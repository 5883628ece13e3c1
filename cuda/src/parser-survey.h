// What a chat parser of llama.cpp takes, found out from its parts.
#pragma once

#include "chat-peg-parser.h"

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace nrn {

/* Looks at a saved parser; ids are of its nodes. Lookahead is left out, since it is no part of a
 * grammar. */
class parser_survey {
  public:
    explicit parser_survey(const std::string & saved) { arena.load(saved); }

    common_peg_arena arena;
    std::set<common_peg_parser_id> emptied; /* free text that the grammar will not allow */
    std::set<std::string> dead;             /* rules that the grammar will not allow */

    /* What the answers of a node have in common. A dead node has no answer. */
    struct verdict {
        bool calls = false;  /* each holds a call */
        bool schema = false; /* each holds a value with a schema that is no call's */
        bool text = false;   /* some hold free text outside of calls and reasoning */
        bool dead = false;
        bool stuck = false; /* some begin well and meet a dead node then */
    };
    verdict verdict_of(common_peg_parser_id id);

    /* Decides what the grammar must lose so that no content comes before the calls: emptied and
     * dead. */
    void plan_without_content();

    /* Repetitions of calls, by the rule that consists of one alone, or "" where there is no such
     * rule. */
    std::set<std::string> repeated_calls() const;
    /* Free text that is the id of a call. */
    std::set<common_peg_parser_id> free_ids() const;
    /* Classes that a call's head repeats without an end, such as the type of GPT-OSS's arguments.
     */
    std::set<std::string> endless_heads() const;
    /* The shortest answer with a call that this parser should take. */
    std::string sample_of(common_peg_parser_id id, int depth = 0);

    std::vector<common_peg_parser_id> children_of(common_peg_parser_id id) const;
    std::string tag_of(common_peg_parser_id id) const;
    /* Whether a tag is anywhere below. */
    bool finds(common_peg_parser_id id, const std::string & tag) const;
    bool has_schema(common_peg_parser_id id) const;

    template <typename T> const T * as(common_peg_parser_id id) const {
        return std::get_if<T>(&arena.get(id));
    }

    /* Calls back once for each node from id on; a false answer stays out of what is below it. */
    template <typename Visit> void walk(common_peg_parser_id id, const Visit & visit) const {
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

  private:
    std::unordered_map<common_peg_parser_id, verdict> verdicts;
    std::set<common_peg_parser_id> planned;

    /* Tags below which text is no content: calls and reasoning. */
    bool is_covered(common_peg_parser_id id) const;
    void plan_below(common_peg_parser_id id, const std::string & rule,
        const std::set<common_peg_parser_id> & covered);
    verdict judge(common_peg_parser_id id);
    verdict judge_choice(common_peg_parser_id id);
    verdict judge_sequence(common_peg_parser_id id);
};

} // namespace nrn
