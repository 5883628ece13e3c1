#include "logprobs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nrn {

/* What OpenAI's service says of a token that is all but impossible; infinity is no JSON. */
constexpr double LOGPROB_MIN = -9999.0;

static double logarithm(float probability) {
    return probability <= 0 ? LOGPROB_MIN : std::max(LOGPROB_MIN, std::log((double)probability));
}

token_probability probability_of(
    const model & owner, const completion_token_output & token, size_t top) {
    token_probability one;
    one.logprob = logarithm(token.prob);
    /* Not text_to_send: that is what may go out now, which can be several tokens' text or none. */
    one.text = common_token_to_piece(owner.view->vocab, token.tok, false);
    for (const auto & candidate : token.probs) {
        if (one.top.size() >= top) {
            break;
        }
        one.top.emplace_back(candidate.txt, logarithm(candidate.prob));
    }
    return one;
}

static void append_number(std::string & out, double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.9g", value);
    out += text;
}

/* A token that is no whole character is written as its bytes, \xNN each, as OpenAI's service does.
 */
static void append_token(std::string & out, const std::string & text, const char * prefix) {
    if (is_valid_utf8(text)) {
        append_json_string(out, text);
        return;
    }
    std::string escaped = prefix;
    for (const unsigned char byte : text) {
        char one[8];
        std::snprintf(one, sizeof(one), "\\x%02x", byte);
        escaped += one;
    }
    append_json_string(out, escaped);
}

static void append_chat_token(std::string & out, const std::string & text, double logprob) {
    out += "{\"token\":";
    append_token(out, text, "");
    out += ",\"logprob\":";
    append_number(out, logprob);
    out += ",\"bytes\":[";
    for (size_t i = 0; i < text.size(); i++) {
        out += (i == 0 ? "" : ",") + std::to_string((unsigned char)text[i]);
    }
    out += ']';
}

std::string chat_logprobs(const std::vector<token_probability> & tokens) {
    std::string out = "{\"content\":[";
    for (size_t i = 0; i < tokens.size(); i++) {
        out += i == 0 ? "" : ",";
        append_chat_token(out, tokens[i].text, tokens[i].logprob);
        out += ",\"top_logprobs\":[";
        for (size_t k = 0; k < tokens[i].top.size(); k++) {
            out += k == 0 ? "" : ",";
            append_chat_token(out, tokens[i].top[k].first, tokens[i].top[k].second);
            out += '}';
        }
        out += "]}";
    }
    return out + "],\"refusal\":null}";
}

static size_t count_characters(const std::string & text) {
    return std::count_if(
        text.begin(), text.end(), [](char c) { return ((unsigned char)c & 0xC0) != 0x80; });
}

static void append_top(std::string & out, const token_probability & token) {
    out += '{';
    std::vector<std::string> seen;
    for (const auto & candidate : token.top) {
        std::string key;
        append_token(key, candidate.first, "bytes:");
        if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
            continue; /* special tokens have no text, and a key comes once */
        }
        out += (seen.empty() ? "" : ",") + key + ":";
        append_number(out, candidate.second);
        seen.push_back(key);
    }
    out += '}';
}

std::string completion_logprobs(
    const std::vector<token_probability> & tokens, size_t top, size_t & text_offset) {
    std::string texts, logprobs, tops, offsets;
    for (const token_probability & token : tokens) {
        const char * comma = texts.empty() ? "" : ",";
        texts += comma;
        append_token(texts, token.text, "bytes:");
        logprobs += comma;
        append_number(logprobs, token.logprob);
        tops += comma;
        append_top(tops, token);
        offsets += comma + std::to_string(text_offset);
        text_offset += count_characters(token.text);
    }
    return "{\"tokens\":[" + texts + "],\"token_logprobs\":[" + logprobs +
           "],\"top_logprobs\":" + (top > 0 ? "[" + tops + "]" : "null") + ",\"text_offset\":[" +
           offsets + "]}";
}

} // namespace nrn
